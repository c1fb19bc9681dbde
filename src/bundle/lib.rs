//! Bundle verification: from the bytes of a manifest to a manifest that can be believed (signatures, roles, thresholds,
//! publisher, origin, version, dates), the keyring and its succession, statements and directives, and the payload's
//! archive.
//!
//! Runs in the keeper (manifests, keyrings, statements), which may read and write the state folder and the spool, and
//! open no socket; and in the examiner (payload), which may read one pipe and write another. A payload is not looked at
//! before its digest is known to be the signed one. Out of scope: what a file says (`inspect`), where a release is kept
//! (`relay`).

#![forbid(unsafe_code)]

// Who signed, and whether they may: signatures, keys, the keyring, and how one keyring follows another.
pub(crate) mod denied;
pub(crate) mod epoch;
pub mod key;
pub mod keyring;
pub mod officer;
pub mod signature;
pub mod succession;
pub mod trust;

// The signed document, and what it names.
pub mod manifest;
pub mod paths;
pub mod payload;
pub(crate) mod release_id;

// What officers sign.
pub mod directive;
pub mod scope;
pub mod statement;

// The repository for TUF clients.
pub mod tuf;

use std::collections::BTreeSet;
use std::time::Duration;

use minisign_verify::PublicKey;
use serde::{Deserialize, Serialize};

pub use denied::{Denied, DeniedKey, Extent};
pub use key::Algorithm;
pub use keyring::{Keyring, Right, Role};
pub use manifest::{Artifact, Manifest};
pub use release_id::ReleaseId;
pub use signature::SignatureFile;
pub use succession::{Successor, succeed};
pub use trust::{FeedTrust, Novelty};

use base::{Digest, Limits, Reason, Refusal, Timestamp, quoted};

/// A document and its signature files as read once from a medium, under caps; nothing believed yet.
pub struct Envelope {
    /// The bytes of `manifest.json`, or of `keyring.toml`.
    pub document: Vec<u8>,
    /// Name and bytes of each `….minisig` beside it, sorted by name.
    pub signatures: Vec<(String, Vec<u8>)>,
}

impl Envelope {
    /// The signature files, each of the one form allowed, with its name.
    /// Refusals: `signature-missing`, `signature-too-many`, `signature-malformed`, `signature-legacy`.
    fn signature_files(&self, limits: &Limits) -> Result<Vec<(&str, SignatureFile)>, Refusal> {
        if !self.signatures.iter().any(|(name, _)| name.ends_with(signature::ENDING)) {
            return Err(Refusal::new(
                Reason::SignatureMissing,
                "no signature file (its name ends in .minisig) lies beside manifest.json or keyring.toml",
            ));
        }
        if self.signatures.len() as u64 > limits.signatures {
            let detail =
                format!("there are {} signature files; the limit is {}", self.signatures.len(), limits.signatures);
            return Err(Refusal::new(Reason::SignatureTooMany, detail));
        }
        let parse = |(name, bytes): &(String, Vec<u8>)| SignatureFile::parse(bytes).map_err(|r| named(name, r));
        let ours = self.signatures.iter().filter(|(name, _)| name.ends_with(signature::ENDING));
        ours.map(|file| Ok((file.0.as_str(), parse(file)?))).collect()
    }
}

/// A refusal that is about one of several files.
fn named(name: &str, mut refusal: Refusal) -> Refusal {
    refusal.detail = format!("{}: {}", quoted(name), refusal.detail);
    refusal
}

/// Context of a verification: what the relay knows and allows.
pub struct Rules<'a> {
    /// Keyring in force.
    pub keyring: &'a Keyring,
    /// Limits.
    pub limits: &'a Limits,
    /// Time by which a signer's clock may run ahead of ours.
    pub clock_tolerance: Duration,
    /// Time now.
    pub now: Timestamp,
    /// True if officers have waived the expiry of the bundle with this manifest.
    pub waived: &'a dyn Fn(&Manifest, Digest) -> bool,
}

/// A distinct key that signed, as the keyring knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Signer {
    /// Name in the keyring.
    pub name: String,
    /// Role.
    pub role: Role,
    /// Key id as minisign prints it.
    pub key_id: String,
    /// By what it signed; by minisign, if left out.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub algorithm: Algorithm,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde asks for")]
fn is_usual(algorithm: &Algorithm) -> bool {
    *algorithm == Algorithm::default()
}

/// A manifest signed by whom the keyring asks for. Made by [`verify`] alone.
pub struct Verified {
    envelope: Envelope,
    manifest: Manifest,
    digest: Digest,
    signers: Vec<Signer>,
}

impl Verified {
    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The exact bytes that were signed, and their signature files.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The envelope again, to be verified anew.
    pub fn into_envelope(self) -> Envelope {
        self.envelope
    }

    /// The SHA-256 of the manifest's bytes: the release's identity.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The distinct keys that signed.
    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }
}

/// Checks that keys of all these algorithms have signed. Refusal: `signature-algorithm`.
pub fn check_algorithms(verified: &Verified, asked: &[Algorithm]) -> Result<(), Refusal> {
    let has = |algorithm: &&Algorithm| !verified.signers.iter().any(|signer| signer.algorithm == **algorithm);
    match asked.iter().find(has) {
        Some(missing) => {
            let (feed, name) = (&verified.manifest.feed, missing.name());
            let detail =
                format!("feed {feed} also needs a signature by {name}, and no usable key of the keyring made one");
            Err(Refusal::new(Reason::SignatureAlgorithm, detail))
        }
        None => Ok(()),
    }
}

/// Verifies an envelope: bytes, then signatures over exactly those bytes, and only then JSON.
///
/// Each step stands on those before it.
pub fn verify(envelope: Envelope, rules: &Rules<'_>) -> Result<Verified, Refusal> {
    // 1. The signature files are few and each is in the one form allowed.
    let files = envelope.signature_files(rules.limits)?;
    let mut signed = Vec::new();
    let mut strangers = Vec::new();
    for (name, file) in files {
        let named = |refusal| named(name, refusal);

        // 2. The key is one of the keyring's and may be used today. A stranger's signature neither
        //    counts nor harms: anyone could add or remove one.
        let Some((key, raw)) = rules.keyring.by_id(file.key_id()) else {
            strangers.push(keyring::id_text(file.key_id()));
            continue;
        };
        rules.keyring.check_usable(key, raw, rules.now).map_err(named)?;

        // 3. The signature covers exactly these bytes and its trusted comment.
        let public = PublicKey::from_base64(&key.public).map_err(|_| {
            Refusal::new(Reason::KeyringMalformed, format!("the keyring's public key of {} cannot be read", key.name))
        })?;
        let comment = file.verify(&envelope.document, &public).map_err(named)?.to_owned();
        signed.push((name.to_owned(), key, raw, comment));
    }
    if signed.is_empty() {
        let detail = format!("the bundle is signed only by keys that are not in the keyring: {}", strangers.join(", "));
        return Err(Refusal::new(Reason::SignatureUnknownKey, detail));
    }

    // 4. Only now are the bytes read as JSON.
    let manifest = Manifest::parse(&envelope.document, rules.limits)?;

    // 5. Each signature was made for this kind of statement, this feed and this version.
    let expected = manifest.trusted_comment();
    for (name, _, _, comment) in &signed {
        if *comment != expected {
            let detail =
                format!("{}: the trusted comment is \"{}\", not \"{expected}\"", quoted(name), quoted(comment));
            return Err(Refusal::new(Reason::SignatureForeignStatement, detail));
        }
    }

    // 6. The feed is not denied here, and enough distinct raw keys of each role signed. Names and key ids do not count.
    rules.keyring.denied.check_feed(&manifest.feed)?;
    let mut raw_keys = BTreeSet::new();
    signed.retain(|(_, key, raw, _)| key.is_for(&manifest.feed) && raw_keys.insert(raw.key));
    check_thresholds(&manifest.feed, &signed.iter().map(|s| s.1).collect::<Vec<_>>(), rules.keyring)?;

    // 7. Publisher and origin are properties of the keys; the manifest only repeats them.
    let publishing: Vec<_> = signed.iter().map(|s| s.1).filter(|key| key.publishes()).collect();
    for key in &publishing {
        if key.publisher.as_ref() != Some(&manifest.publisher) {
            let (name, own) = (&key.name, key.publisher.as_deref().unwrap_or_default());
            let detail = format!(
                "the manifest names the publisher {}, and the keyring gives the key of {name} the publisher {own}",
                manifest.publisher
            );
            return Err(Refusal::new(Reason::PublisherMismatch, detail));
        }
        if key.origin.as_ref() != Some(&manifest.origin) {
            let (name, own) = (&key.name, key.origin.as_deref().unwrap_or_default());
            let detail = format!(
                "the manifest names the origin {}, and the keyring gives the key of {name} the origin {own}",
                manifest.origin
            );
            return Err(Refusal::new(Reason::OriginMismatch, detail));
        }
    }
    if publishing.is_empty() {
        let detail = "no vendor or custodian key signed, so nobody answers for the publisher";
        return Err(Refusal::new(Reason::PublisherMismatch, detail));
    }

    // 8. It is for today: not dated ahead, not past its expiry, unless officers have said that this one may be.
    if manifest.issued > rules.now.plus(rules.clock_tolerance) {
        let detail = format!("the bundle was issued {}, and the clock here says {}", manifest.issued, rules.now);
        return Err(Refusal::new(Reason::BundleFuture, detail));
    }
    let digest = Digest::of(&envelope.document);
    if manifest.expires <= rules.now && !(rules.waived)(&manifest, digest) {
        let detail = format!("the bundle expired {}, and the clock here says {}", manifest.expires, rules.now);
        return Err(Refusal::new(Reason::BundleExpired, detail));
    }

    let told = |key: &keyring::Key, raw: keyring::RawKey| {
        let (name, key_id, algorithm) = (key.name.clone(), raw.id_text(), raw.algorithm);
        Signer { name, role: key.role, key_id, algorithm }
    };
    let mut signers: Vec<Signer> = signed.iter().map(|(_, key, raw, _)| told(key, *raw)).collect();

    // 9. Signatures of another algorithm are noted beside those: they count towards no threshold, and a feed may ask
    //    for one of them.
    let usable = |(key, raw): &(&keyring::Key, keyring::RawKey)| {
        key.is_for(&manifest.feed) && rules.keyring.check_usable(key, *raw, rules.now).is_ok()
    };
    for (key, raw) in rules.keyring.of(Algorithm::MlDsa65).filter(usable) {
        let mut others = envelope.signatures.iter().filter(|(name, _)| name.ends_with(signature::ML_DSA_ENDING));
        if others.any(|(_, bytes)| key::has_signed_ml_dsa(&key.public, &envelope.document, &expected, bytes)) {
            signers.push(told(key, raw));
        }
    }
    Ok(Verified { envelope, manifest, digest, signers })
}

fn check_thresholds(feed: &str, signed: &[&keyring::Key], keyring: &Keyring) -> Result<(), Refusal> {
    let mut rows = keyring.thresholds_for(feed).peekable();
    if rows.peek().is_none() {
        let detail = format!("the keyring sets no threshold for feed {feed}, so nobody can sign it");
        return Err(Refusal::new(Reason::SignatureThreshold, detail));
    }
    for row in rows {
        let have = signed.iter().filter(|key| key.role == row.role).count() as u64;
        if have < row.signers {
            let by: Vec<String> = signed.iter().map(|key| format!("the {} {}", key.role, key.name)).collect();
            let by = if by.is_empty() { "no key of the keyring".to_owned() } else { by.join(" and ") };
            let must = match (row.signers, have) {
                (1, _) => format!("one {} must sign this feed", row.role),
                (needed, have) => format!("{needed} different {}s must sign this feed, and {have} did", row.role),
            };
            let detail = format!("signed by {by}; {must}");
            return Err(Refusal::new(Reason::SignatureThreshold, detail));
        }
    }
    Ok(())
}
