//! From one keyring to the next: version N+1 alone, signed by the root threshold of N and by that of N+1, as TUF's
//! root is (TUF 1.0.34, section 5.3). A relay that is several versions behind walks them one by one.

use std::collections::BTreeSet;

use minisign_verify::PublicKey;

use super::keyring::{FORMAT, RawKey};
use super::{Envelope, Keyring, SignatureFile, named};
use base::{Digest, Limits, Reason, Refusal, quoted};

/// The keyring that follows the one in force, signed by both roots. Made by [`succeed`] alone.
pub struct Successor {
    envelope: Envelope,
    keyring: Keyring,
    digest: Digest,
    signers: Vec<String>,
}

impl Successor {
    /// The keyring.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// The exact bytes that were signed, and the signature files that count.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The SHA-256 of its bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Key ids of the distinct root keys that signed, old and new, as minisign prints them.
    pub fn signers(&self) -> &[String] {
        &self.signers
    }
}

/// The trusted comment that each signature of a keyring must carry.
pub fn trusted_comment(version: u64) -> String {
    format!("{FORMAT} version={version}")
}

/// The version that an envelope's signatures speak of, before any of them is verified: good to sort by. None where
/// nothing in it can be read.
pub fn claimed_version(envelope: &Envelope, limits: &Limits) -> Option<u64> {
    let files = envelope.signature_files(limits).ok()?;
    files.iter().find_map(|(_, file)| {
        let number = file.claimed_comment().strip_prefix(FORMAT)?.strip_prefix(" version=")?;
        number.parse().ok()
    })
}

/// Verifies a keyring as the successor of `current`: bytes, then the old root's signatures over exactly those bytes,
/// and only then TOML.
///
/// Root keys have no dates, so that no clock decides who may replace the keyring.
pub fn succeed(envelope: Envelope, current: &Keyring, limits: &Limits) -> Result<Successor, Refusal> {
    // 1. The signature files are few and each is in the one form allowed.
    let files = envelope.signature_files(limits)?;

    // 2. Those by the old root cover exactly these bytes, and are of enough distinct keys.
    let old = signed(&envelope, &files, current)?;
    if (old.len() as u64) < current.root.threshold {
        let (have, version, needed) = (old.len(), current.version, current.root.threshold);
        let detail = format!(
            "{have} root keys of keyring {version}, which is in force, have signed the new keyring, and {needed} must"
        );
        return Err(Refusal::new(Reason::KeyringThreshold, detail));
    }

    // 3. Only now are the bytes read as TOML, and what they say is one keyring that can be kept.
    let next = Keyring::parse(&envelope.document)?;

    // 4. It is the very next one.
    let (is, was) = (next.version, current.version);
    let refuse = |reason, detail: String| Err(Refusal::new(reason, detail));
    if is == was {
        return refuse(
            Reason::KeyringEquivocation,
            format!("keyring {is} is in force already, and this one has other bytes"),
        );
    }
    if is < was {
        return refuse(Reason::KeyringRollback, format!("keyring {is} is older than keyring {was}, which is in force"));
    }
    if is != was + 1 {
        return refuse(
            Reason::KeyringGap,
            format!("keyring {is} cannot follow keyring {was}, which is in force: keyring {} is missing", was + 1),
        );
    }

    // 5. The new root has signed as well: who is to replace the keyring from now on can do so.
    let new = signed(&envelope, &files, &next)?;
    if (new.len() as u64) < next.root.threshold {
        let (have, needed) = (new.len(), next.root.threshold);
        return refuse(
            Reason::KeyringThreshold,
            format!("{have} of the root keys that keyring {is} names have signed keyring {is}, and {needed} must"),
        );
    }

    // 6. Each of those signatures was made for a keyring of this version.
    let expected = trusted_comment(is);
    for Signed { name, comment, .. } in old.iter().chain(&new) {
        if *comment != expected {
            let detail = format!("the trusted comment is \"{}\", not \"{expected}\"", quoted(comment));
            return Err(named(name, Refusal::new(Reason::SignatureForeignStatement, detail)));
        }
    }

    // 7. What was taken from somebody is not given back by leaving it out.
    check_forgets_nothing(current, &next)?;

    let digest = Digest::of(&envelope.document);
    let counted: BTreeSet<String> = old.iter().chain(&new).map(|signed| signed.raw.id_text()).collect();
    let signers = counted.into_iter().collect();
    let names: BTreeSet<&str> = old.iter().chain(&new).map(|signed| signed.name.as_str()).collect();
    let mut envelope = envelope;
    envelope.signatures.retain(|(name, _)| names.contains(name.as_str()));
    Ok(Successor { envelope, keyring: next, digest, signers })
}

/// Ids of the distinct root keys of `ring` whose signatures over this keyring hold: for who collects them.
/// Refusals: `signature-*`.
pub fn root_signers(envelope: &Envelope, ring: &Keyring, limits: &Limits) -> Result<Vec<String>, Refusal> {
    let files = envelope.signature_files(limits)?;
    Ok(signed(envelope, &files, ring)?.iter().map(|signed| signed.raw.id_text()).collect())
}

/// A signature by a root key that holds.
struct Signed {
    name: String,
    raw: RawKey,
    comment: String,
}

/// The signatures by distinct root keys of `ring`, none of them revoked. One by such a key that does not hold refuses
/// the keyring; those by others neither count nor harm.
fn signed(envelope: &Envelope, files: &[(&str, SignatureFile)], ring: &Keyring) -> Result<Vec<Signed>, Refusal> {
    let mut found: Vec<Signed> = Vec::new();
    for (name, file) in files {
        let Some((public, raw)) = ring.root_keys().find(|(_, raw)| raw.id == file.key_id()) else { continue };
        let public = PublicKey::from_base64(public)
            .map_err(|_| Refusal::new(Reason::KeyringMalformed, "the public key of a root key cannot be read"))?;
        let comment = file.verify(&envelope.document, &public).map_err(|refusal| named(name, refusal))?.to_owned();
        if !found.iter().any(|other| other.raw.key == raw.key) {
            found.push(Signed { name: (*name).to_owned(), raw, comment });
        }
    }
    Ok(found)
}

fn check_forgets_nothing(current: &Keyring, next: &Keyring) -> Result<(), Refusal> {
    let version = next.version;
    let refuse = |detail: String| Err(Refusal::new(Reason::KeyringForgets, detail));
    for row in &current.revoked {
        let raw = RawKey::parse(&row.public)?;
        if next.revocation(raw).is_none() {
            return refuse(format!("keyring {version} leaves out that key {} is revoked", raw.id_text()));
        }
    }
    for epoch in &current.epochs {
        let kept = next.epochs.iter().find(|other| other.feed == epoch.feed);
        if !kept.is_some_and(|kept| kept.number > epoch.number || kept == epoch) {
            let (number, feed) = (epoch.number, &epoch.feed);
            return refuse(format!("keyring {version} leaves out or changes epoch {number} of feed {feed}"));
        }
    }
    let lifted = current.lifted.iter().find(|digest| !next.lifted.contains(digest));
    lifted.map_or(Ok(()), |digest| {
        refuse(format!("keyring {version} leaves out that the denial with digest {digest} was lifted"))
    })
}
