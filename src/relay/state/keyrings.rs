//! Keyrings: each version that was in force stays, with the signatures that put it in force, so that others can check
//! the whole chain.
//!
//! ```text
//! keyring/<version>.toml
//! keyring/<version>.toml.<anything>.minisig     by root keys of the version before and of this one
//! ```

use std::path::PathBuf;

use super::{State, Trust};
use base::{Digest, Fault, Limits, Refusal, durable};
use bundle::keyring::{self, Keyring, id_text};
use bundle::succession::{Successor, root_signers};
use bundle::{Envelope, SignatureFile, directive, signature};

impl State {
    /// Path of a keyring.
    pub fn keyring_path(&self, version: u64) -> PathBuf {
        self.root().join(format!("keyring/{version}.toml"))
    }

    /// Reads the keyring in force, with the keys that are denied here.
    pub fn keyring(&self, trust: &Trust) -> Result<Keyring, Fault> {
        let mut ring = self.keyring_with(trust.keyring.version, trust.keyring.sha256)?;
        ring.denied = directive::denied(&trust.directives, &ring);
        Ok(ring)
    }

    /// Reads a keyring that is or was in force, without what is denied here now.
    pub fn keyring_of(&self, trust: &Trust, version: u64) -> Result<Keyring, Fault> {
        let path = self.keyring_path(version);
        let unknown = || Fault::damaged(path.to_string_lossy(), "the import log tells of no such keyring");
        self.keyring_with(version, *trust.keyrings.get(&version).ok_or_else(unknown)?)
    }

    /// Reads a keyring, which must have this digest.
    fn keyring_with(&self, version: u64, sha256: Digest) -> Result<Keyring, Fault> {
        let path = self.keyring_path(version);
        let bytes = durable::read(&path, keyring::LONGEST)?;
        let damaged = |detail: &str| Fault::damaged(path.to_string_lossy(), detail);
        if Digest::of(&bytes) != sha256 {
            return Err(damaged(
                "it is not the keyring that the relay accepted; nothing was changed. Two officers put the right file back: gaprelay repair --keyring FILE",
            ));
        }
        let ring = Keyring::parse(&bytes).map_err(|r: Refusal| damaged(&r.detail))?;
        if ring.version == version {
            Ok(ring)
        } else {
            Err(damaged("the version in the file is not the one in the file's name"))
        }
    }

    /// True when exactly these bytes are the keyring of this version that was in force here.
    pub fn has_keyring(&self, version: u64, bytes: &[u8]) -> bool {
        durable::read(&self.keyring_path(version), keyring::LONGEST).is_ok_and(|kept| kept == bytes)
    }

    /// Stores a keyring and its signatures, durably. Stopping is safe: the keyring counts only once the trust file
    /// names it.
    pub fn keep_keyring(&self, successor: &Successor) -> Result<(), Fault> {
        let (version, envelope) = (successor.keyring().version, successor.envelope());
        // Signatures that an interrupted attempt left may be by other keys, or over other bytes.
        let (folder, prefix) = (self.root().join("keyring"), format!("{version}.toml."));
        for name in durable::names(&folder)?.iter().filter(|name| name.starts_with(&prefix)) {
            durable::remove(&folder.join(name))?;
        }
        for (name, bytes) in &envelope.signatures {
            durable::replace(&self.root().join(format!("keyring/{version}{}", signature_suffix(name))), bytes)?;
        }
        durable::replace(&self.keyring_path(version), &envelope.document)
    }

    /// Checks that the signatures kept with a keyring are by root keys of it, or of the one before. Fault: one is not.
    pub fn check_keyring_signatures(&self, trust: &Trust, version: u64) -> Result<(), Fault> {
        let (folder, prefix) = (self.root().join("keyring"), format!("{version}.toml."));
        let document = durable::read(&self.keyring_path(version), keyring::LONGEST)?;
        let before = version.checked_sub(1).filter(|before| trust.keyrings.contains_key(before));
        let rings = [Some(version), before].into_iter().flatten().map(|version| self.keyring_of(trust, version));
        let rings: Vec<Keyring> = rings.collect::<Result<_, _>>()?;
        for name in durable::names(&folder)?.into_iter().filter(|name| name.starts_with(&prefix)) {
            let path = folder.join(&name);
            let bytes = durable::read(&path, signature::LONGEST as u64)?;
            let envelope = Envelope { document: document.clone(), signatures: vec![(name, bytes)] };
            let is_by_root = |ring: &Keyring| {
                root_signers(&envelope, ring, &Limits::default()).is_ok_and(|signers| !signers.is_empty())
            };
            if !rings.iter().any(is_by_root) {
                let what = "it is no signature on this keyring by a root key: somebody put it there, or changed it. Keep a copy for the inquiry, then remove it";
                return Err(Fault::damaged(path.to_string_lossy(), what));
            }
        }
        Ok(())
    }

    /// Reads the ids of the root keys whose signatures on a keyring are kept.
    pub fn keyring_signers(&self, version: u64) -> Result<Vec<String>, Fault> {
        let (folder, prefix) = (self.root().join("keyring"), format!("{version}.toml."));
        let mut signers = Vec::new();
        for name in durable::names(&folder)?.iter().filter(|name| name.starts_with(&prefix)) {
            let bytes = durable::read(&folder.join(name), signature::LONGEST as u64)?;
            let damaged = |refusal: Refusal| Fault::damaged(folder.join(name).to_string_lossy(), refusal.detail);
            signers.push(id_text(SignatureFile::parse(&bytes).map_err(damaged)?.key_id()));
        }
        signers.sort();
        signers.dedup();
        Ok(signers)
    }
}

/// Suffix of a signature's name: `.toml.root1.minisig` of `keyring.toml.root1.minisig`.
fn signature_suffix(name: &str) -> &str {
    name.strip_prefix("keyring").unwrap_or(name)
}
