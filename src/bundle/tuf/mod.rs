//! TUF metadata (The Update Framework 1.0.34) as agents get it: the types, the bytes that are signed, and who signed
//! them. The rules of a client are in [`client`].

pub mod client;

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature, VerifyingKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use base::{Digest, Reason, Refusal, Timestamp, quoted};

/// The version of the specification that we write.
pub const SPEC: &str = "1.0.34";
/// The role by which a relay names what it withholds: it can sign no content.
pub const NOTICE: &str = "relay-notice";
/// Names of that role's targets.
pub const NOTICES: &str = "relay--*";

/// A public key (section 4.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TufKey {
    /// `ed25519`.
    pub keytype: String,
    /// `ed25519`.
    pub scheme: String,
    /// The key, hex.
    pub keyval: KeyValue,
}

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyValue {
    /// 32 bytes, hex.
    pub public: String,
}

impl TufKey {
    /// The Ed25519 key with these bytes.
    pub fn ed25519(raw: &[u8; 32]) -> Self {
        let keyval = KeyValue { public: HEXLOWER.encode(raw) };
        Self { keytype: "ed25519".into(), scheme: "ed25519".into(), keyval }
    }

    /// Key id: the SHA-256 of its canonical form.
    pub fn id(&self) -> String {
        canonical(self).map_or_else(|_| String::new(), |bytes| Digest::of(&bytes).to_string())
    }
}

/// Keys that play a role, and their threshold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TufRole {
    /// Ids of the keys.
    pub keyids: Vec<String>,
    /// Number of keys that must sign.
    pub threshold: u64,
}

/// `root.json` (section 4.3).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TufRoot {
    /// Version, counted from 1.
    pub version: u64,
    /// When it expires.
    pub expires: Timestamp,
    /// True if names carry versions and digests; it must be.
    pub consistent_snapshot: bool,
    /// The keys.
    pub keys: BTreeMap<String, TufKey>,
    /// The four top-level roles.
    pub roles: BTreeMap<String, TufRole>,
}

/// `timestamp.json` and `snapshot.json` (sections 4.4 and 4.6).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listing {
    /// Version.
    pub version: u64,
    /// When it expires.
    pub expires: Timestamp,
    /// The files that it names.
    pub meta: BTreeMap<String, Meta>,
}

/// A file that a listing names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Version.
    pub version: u64,
}

/// `targets.json`, or that of a delegated role (section 4.5).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TufTargets {
    /// Version.
    pub version: u64,
    /// When it expires.
    pub expires: Timestamp,
    /// The targets.
    pub targets: BTreeMap<String, TufTarget>,
    /// To whom others are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegations: Option<Delegations>,
}

/// A target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TufTarget {
    /// Length in bytes.
    pub length: u64,
    /// Digests; `sha256` must be there.
    pub hashes: BTreeMap<String, String>,
}

/// To whom targets are left.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delegations {
    /// Keys of the delegated roles.
    pub keys: BTreeMap<String, TufKey>,
    /// The roles, in order.
    pub roles: Vec<Delegated>,
}

/// A delegated role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delegated {
    /// Name of the role: its metadata is `NAME.json`.
    pub name: String,
    /// Ids of its keys.
    pub keyids: Vec<String>,
    /// Number of keys that must sign.
    pub threshold: u64,
    /// True if no other role is asked for names that fit its patterns.
    pub terminating: bool,
    /// Patterns of target names.
    pub paths: Vec<String>,
}

impl Delegated {
    /// Keys and threshold of the role.
    pub fn role(&self) -> TufRole {
        TufRole { keyids: self.keyids.clone(), threshold: self.threshold }
    }

    /// True if the role may sign a target of this name: flat, and of its patterns, of which we write `NAME--*` alone.
    pub fn is_for(&self, target: &str) -> bool {
        let fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some(prefix) => target.starts_with(prefix),
            None => target == pattern,
        };
        !target.contains('/') && self.paths.iter().any(fits)
    }
}

/// Name by which a client gets a feed's artifact: flat, since clients do not agree where the digest stands in others.
pub fn target_name(feed: &str, path: &str) -> String {
    format!("{feed}--{}", path.replace('/', "--"))
}

/// The canonical bytes that are signed: OLPC's form of JSON (section 4.1).
pub fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, olpc_cjson::CanonicalFormatter::new());
    value.serialize(&mut serializer).map_err(|_| refuse("a file of TUF metadata has no canonical form".into()))?;
    Ok(bytes)
}

/// A signed part of this type as a JSON object: with its type and the version of the specification.
pub fn signed_part<T: Serialize>(kind: &str, part: &T) -> Result<Value, Refusal> {
    let mut value =
        serde_json::to_value(part).map_err(|_| refuse("a file of TUF metadata cannot be written as JSON".into()))?;
    if let Some(object) = value.as_object_mut() {
        object.insert("_type".into(), kind.into());
        object.insert("spec_version".into(), SPEC.into());
    }
    Ok(value)
}

/// A signed part and its signatures, by key id, as a file.
pub fn file(signed: &Value, signatures: &[(String, [u8; 64])]) -> String {
    let signatures: Vec<Value> =
        signatures.iter().map(|(id, sig)| json!({ "keyid": id, "sig": HEXLOWER.encode(sig) })).collect();
    json!({ "signatures": signatures, "signed": signed }).to_string()
}

/// The signed part of a file of this type, once enough distinct keys of the role have signed exactly it.
/// Refusal: `tuf-refused`.
pub fn open<T: DeserializeOwned>(
    name: &str,
    kind: &str,
    text: &str,
    keys: &BTreeMap<String, TufKey>,
    role: &TufRole,
) -> Result<T, Refusal> {
    let wrong = |what: &str| refuse(format!("{name} {what}"));
    let file: Value = serde_json::from_str(text).map_err(|_| wrong("is not JSON"))?;
    let signed = file.get("signed").ok_or_else(|| wrong("has no signed part"))?;
    let bytes = canonical(signed)?;
    let mut good: Vec<&str> = Vec::new();
    for signature in file.get("signatures").and_then(Value::as_array).into_iter().flatten() {
        let field = |name| signature.get(name).and_then(Value::as_str).unwrap_or_default();
        let Some(key) = keys.get(field("keyid")).filter(|_| role.keyids.iter().any(|id| id == field("keyid"))) else {
            continue;
        };
        // One key under two ids is one.
        if !good.contains(&key.keyval.public.as_str()) && is_signed(key, &bytes, field("sig")) {
            good.push(&key.keyval.public);
        }
    }
    if role.threshold == 0 || (good.len() as u64) < role.threshold {
        return Err(wrong(&format!("is signed by {} keys of its role, and {} must sign", good.len(), role.threshold)));
    }
    if signed.get("_type").and_then(Value::as_str) != Some(kind) {
        return Err(wrong(&format!("is not of the type {kind}")));
    }
    serde_json::from_value(signed.clone()).map_err(|e| wrong(&format!("cannot be read: {}", quoted(&e.to_string()))))
}

fn is_signed(key: &TufKey, bytes: &[u8], signature: &str) -> bool {
    let raw = HEXLOWER.decode(key.keyval.public.as_bytes()).ok().and_then(|raw| raw.try_into().ok());
    let key = raw.and_then(|raw: [u8; 32]| VerifyingKey::from_bytes(&raw).ok()).filter(|key| !key.is_weak());
    let signature = HEXLOWER.decode(signature.as_bytes()).ok().and_then(|raw| Signature::from_slice(&raw).ok());
    key.zip(signature).is_some_and(|(key, signature)| key.verify_strict(bytes, &signature).is_ok())
}

/// A refusal of this module.
pub fn refuse(detail: String) -> Refusal {
    Refusal::new(Reason::TufRefused, detail)
}
