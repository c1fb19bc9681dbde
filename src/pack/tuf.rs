//! The offline half of the repository for TUF clients: root, top-level targets, and the role of each feed.

use std::collections::BTreeMap;
use std::path::Path;

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signer as _, SigningKey};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use serde_json::{Value, json};

use super::ring::fault;
use base::error::IoContext as _;
use base::quoted::quoted_os;
use base::{Error, Reason, Timestamp, quoted};
use bundle::Artifact;
use bundle::tuf::{
    Delegated, Delegations, NOTICE, NOTICES, TufKey, TufRole, TufRoot, TufTarget, TufTargets, canonical, file, refuse,
    signed_part, target_name,
};

/// Prefix of a secret Ed25519 key's 32 bytes in PKCS #8 (RFC 8410, section 7).
const PKCS8: &[u8] = &[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// And before those of a public one (RFC 8410, section 4).
const SPKI: &[u8] = &[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// A secret key in PEM.
pub fn secret(path: &Path) -> Result<SigningKey, Error> {
    let file = std::fs::read(path).during("read", path)?;
    let wrong = || {
        let is_public = file.starts_with(b"-----BEGIN PUBLIC KEY-----");
        let what =
            if is_public { "a public key, and the secret key is needed" } else { "not a secret Ed25519 key in PEM" };
        let next = "Give the file of the secret key: `openssl genpkey -algorithm ed25519 -out FILE` makes one.";
        fault(&format!("{} is {what}", quoted_os(path)), next)
    };
    let der = PrivatePkcs8KeyDer::from_pem_slice(&file).map_err(|_| wrong())?;
    let seed = der.secret_pkcs8_der().strip_prefix(PKCS8).and_then(|seed| seed.try_into().ok());
    seed.map(|seed: [u8; 32]| SigningKey::from_bytes(&seed)).ok_or_else(wrong)
}

/// A public key: 64 hex digits, or a PEM file.
pub fn public(text: &str) -> Result<TufKey, Error> {
    let raw = HEXLOWER.decode(text.as_bytes()).ok().and_then(|raw| <[u8; 32]>::try_from(raw).ok());
    if let Some(raw) = raw {
        return Ok(TufKey::ed25519(&raw));
    }
    let next = "Give 64 hex digits, as `gaprelay tuf key` prints them, or the file that `openssl pkey -pubout` writes.";
    let path = Path::new(text);
    if !path.exists() {
        return Err(fault(&format!("\"{}\" is neither an Ed25519 public key in hex nor a file", quoted(text)), next));
    }
    let file = std::fs::read(path).during("read", path)?;
    let wrong = || fault(&format!("{} is not an Ed25519 public key in PEM", quoted_os(path)), next);
    let der = SubjectPublicKeyInfoDer::from_pem_slice(&file).map_err(|_| wrong())?;
    let raw = der.as_ref().strip_prefix(SPKI).and_then(|raw| raw.try_into().ok());
    raw.map(|raw: [u8; 32]| TufKey::ed25519(&raw)).ok_or_else(wrong)
}

/// Next step where the relay's key was not given.
const RELAY: &str = "Give it with --relay, as `gaprelay tuf key` prints it on the relay.";
/// Next step where more keys must sign than there are.
const KEYS: &str = "Give more keys, or a threshold from 1 to the number of keys.";

/// Words for a threshold that these keys cannot meet.
fn too_few(who: &str, keys: usize, threshold: u64) -> String {
    format!("{who} has {keys} keys, and its threshold is {threshold}")
}

/// Changes from the former root to the next.
#[derive(Default)]
pub struct RootChanges {
    /// TufRoot keys, instead of all former ones.
    pub root: Vec<TufKey>,
    /// Number of keys that must sign.
    pub root_threshold: Option<u64>,
    /// Keys for the top-level targets, instead of all former ones.
    pub targets: Vec<TufKey>,
    /// Number of keys that must sign.
    pub targets_threshold: Option<u64>,
    /// The relay's key.
    pub relay: Option<TufKey>,
}

/// The root that follows `former`, or the first; unsigned.
pub fn root(former: Option<TufRoot>, changes: RootChanges, expires: Timestamp) -> Result<TufRoot, Error> {
    let first =
        TufRoot { version: 0, expires, consistent_snapshot: true, keys: BTreeMap::new(), roles: BTreeMap::new() };
    let mut root = former.unwrap_or(first);
    (root.version, root.expires) = (root.version + 1, expires);
    let relay: Vec<TufKey> = changes.relay.into_iter().collect();
    for (name, keys, threshold) in [
        ("root", changes.root, changes.root_threshold),
        ("targets", changes.targets, changes.targets_threshold),
        ("snapshot", relay.clone(), None),
        ("timestamp", relay, None),
    ] {
        let role = root.roles.entry(name.into()).or_insert(TufRole { keyids: Vec::new(), threshold: 1 });
        if !keys.is_empty() {
            role.keyids = keys.iter().map(TufKey::id).collect();
            root.keys.extend(keys.into_iter().map(|key| (key.id(), key)));
        }
        role.threshold = threshold.unwrap_or(role.threshold);
        if role.keyids.is_empty() && matches!(name, "snapshot" | "timestamp") {
            return Err(fault("the relay's key is missing", RELAY));
        }
        if role.threshold == 0 || role.threshold > role.keyids.len() as u64 {
            return Err(fault(&too_few(&format!("the role {name}"), role.keyids.len(), role.threshold), KEYS));
        }
    }
    let used: Vec<String> = root.roles.values().flat_map(|role| role.keyids.clone()).collect();
    root.keys.retain(|id, _| used.contains(id));
    Ok(root)
}

/// The top-level targets that follow `former`, or the first: none by itself, and one delegated role for each feed and
/// for the relay's notices; unsigned.
pub fn targets(
    former: Option<TufTargets>,
    feeds: Vec<(String, Vec<TufKey>, u64)>,
    relay: Option<TufKey>,
    expires: Timestamp,
) -> Result<TufTargets, Error> {
    let first = TufTargets { version: 0, expires, targets: BTreeMap::new(), delegations: None };
    let mut targets = former.unwrap_or(first);
    (targets.version, targets.expires) = (targets.version + 1, expires);
    let mut all = targets.delegations.take().unwrap_or(Delegations { keys: BTreeMap::new(), roles: Vec::new() });
    let notices = relay.map(|key| (NOTICE.to_owned(), vec![key], 1));
    for (name, keys, threshold) in notices.into_iter().chain(feeds) {
        if ["root", "snapshot", "targets", "timestamp"].contains(&name.as_str()) {
            let detail = format!("a feed cannot have the name {name}: TUF has a role of that name");
            return Err(fault(&detail, "Give the feed another name, here and in the config of the relay."));
        }
        if threshold == 0 || threshold > keys.len() as u64 {
            return Err(fault(&too_few(&format!("the feed {name}"), keys.len(), threshold), KEYS));
        }
        let paths = vec![if name == NOTICE { NOTICES.to_owned() } else { format!("{name}--*") }];
        let keyids = keys.iter().map(TufKey::id).collect();
        all.keys.extend(keys.into_iter().map(|key| (key.id(), key)));
        all.roles.retain(|role| role.name != name);
        all.roles.push(Delegated { name, keyids, threshold, terminating: true, paths });
    }
    if !all.roles.iter().any(|role| role.name == NOTICE) {
        return Err(fault("the relay's key is missing", RELAY));
    }
    let used: Vec<String> = all.roles.iter().flat_map(|role| role.keyids.clone()).collect();
    all.keys.retain(|id, _| used.contains(id));
    targets.delegations = Some(all);
    Ok(targets)
}

/// A feed's role: all artifacts of a bundle, under flat names; signed.
pub fn feed(name: &str, version: u64, expires: Timestamp, artifacts: &[Artifact], key: &Path) -> Result<String, Error> {
    let mut targets = BTreeMap::new();
    for artifact in artifacts {
        let hashes = BTreeMap::from([("sha256".to_owned(), artifact.sha256.to_string())]);
        let flat = target_name(name, &artifact.path);
        if targets.insert(flat.clone(), TufTarget { length: artifact.size, hashes }).is_some() {
            let detail = format!("two files would have the same name for TUF clients: \"{}\"", quoted(&flat));
            return Err(Error::refused(Reason::PathClash, detail));
        }
    }
    let signed = signed_part("targets", &TufTargets { version, expires, targets, delegations: None })?;
    sign(&file(&signed, &[]), &secret(key)?)
}

/// Adds a signature to metadata; one by the same key is replaced.
pub fn sign(text: &str, key: &SigningKey) -> Result<String, Error> {
    let wrong = || refuse("the text is not TUF metadata".into());
    let mut metadata: Value = serde_json::from_str(text).map_err(|_| wrong())?;
    let bytes = canonical(metadata.get("signed").ok_or_else(wrong)?)?;
    let id = TufKey::ed25519(key.verifying_key().as_bytes()).id();
    let signatures = metadata.get_mut("signatures").and_then(Value::as_array_mut).ok_or_else(wrong)?;
    signatures.retain(|signature| signature.get("keyid").and_then(Value::as_str) != Some(&id));
    signatures.push(json!({ "keyid": id, "sig": HEXLOWER.encode(&key.sign(&bytes).to_bytes()) }));
    Ok(metadata.to_string())
}

/// The signed part of a file of ours.
pub fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let bytes = std::fs::read(path).during("read", path)?;
    let part = serde_json::from_slice::<Value>(&bytes)
        .ok()
        .and_then(|file| serde_json::from_value(file.get("signed")?.clone()).ok());
    part.ok_or_else(|| {
        let next = "Give the former N.root.json to `tuf root`, and the former targets.json to `tuf targets`.";
        fault(&format!("{} is not the metadata of that role", quoted_os(path)), next)
    })
}
