//! Cosignatures of witnesses (C2SP tlog-cosignature, `cosignature/v1`): who signs says that the head grew
//! from every head they signed before, and when they saw it.

use data_encoding::BASE64;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use super::note::{fresh_key, key_hash, key_text, parse_key, parts};
use base::{Fault, Timestamp};

/// tlog-cosignature's number for timestamped Ed25519.
const COSIGNATURE: u8 = 4;

/// A witness's signing key.
pub struct Cosigner {
    name: String,
    key: SigningKey,
}

/// A witness's public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessSigner {
    name: String,
    key: VerifyingKey,
}

fn message(time: Timestamp, text: &str) -> String {
    format!("cosignature/v1\ntime {}\n{text}", time.secs())
}

impl Cosigner {
    /// A fresh key from the system's randomness.
    pub fn generate(name: &str) -> Result<Self, Fault> {
        Ok(Self { name: name.to_owned(), key: fresh_key()? })
    }

    /// Reads `PRIVATE+KEY+name+hash+base64`.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, bytes) = parse_key(text.trim_end().strip_prefix("PRIVATE+KEY+")?, COSIGNATURE)?;
        let cosigner = Self { name, key: SigningKey::from_bytes(&bytes) };
        (cosigner.to_text() == text.trim_end()).then_some(cosigner)
    }

    /// The secret key as text.
    pub fn to_text(&self) -> String {
        let hash = key_hash(&self.name, COSIGNATURE, &self.key.verifying_key());
        format!("PRIVATE+KEY+{}", key_text(&self.name, COSIGNATURE, &self.key.to_bytes(), hash))
    }

    /// Public key of the witness.
    pub fn witness(&self) -> WitnessSigner {
        WitnessSigner { name: self.name.clone(), key: self.key.verifying_key() }
    }

    /// The signature line under a checkpoint's text, with its line end.
    pub fn cosign(&self, text: &str, time: Timestamp) -> String {
        let signature = self.key.sign(message(time, text).as_bytes()).to_bytes();
        let hash = key_hash(&self.name, COSIGNATURE, &self.key.verifying_key());
        let line = [hash.as_slice(), &time.secs().to_be_bytes(), &signature].concat();
        format!("— {} {}\n", self.name, BASE64.encode(&line))
    }
}

impl WitnessSigner {
    /// Reads `name+hash+base64`.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, bytes) = parse_key(text.trim_end(), COSIGNATURE)?;
        let witness = Self { name, key: VerifyingKey::from_bytes(&bytes).ok().filter(|key| !key.is_weak())? };
        (witness.to_text() == text.trim_end()).then_some(witness)
    }

    /// The public key as text.
    pub fn to_text(&self) -> String {
        key_text(&self.name, COSIGNATURE, &self.key.to_bytes(), key_hash(&self.name, COSIGNATURE, &self.key))
    }

    /// True if the other is the same raw key, whatever it is called.
    pub fn has_key_of(&self, other: &Self) -> bool {
        self.key == other.key
    }

    /// The same key by another name.
    #[cfg(test)]
    pub(crate) fn renamed(&self, name: &str) -> Self {
        Self { name: name.into(), ..self.clone() }
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When this witness cosigned the note; `None` if it did not.
    pub fn cosigned(&self, note: &str) -> Option<Timestamp> {
        let (text, lines) = parts(note)?;
        let hash = key_hash(&self.name, COSIGNATURE, &self.key);
        lines.iter().filter(|line| line.is_by(&self.name, hash)).find_map(|line| {
            let (time, signature) = line.signature.split_first_chunk::<8>()?;
            let time = Timestamp::from_secs(u64::from_be_bytes(*time));
            let signature = Signature::from_slice(signature).ok()?;
            self.key.verify_strict(message(time, text).as_bytes(), &signature).ok().map(|()| time)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::{NoteSigner, Verifier};

    #[test]
    fn a_cosigned_note_is_read_by_both_keys_and_by_no_other() {
        let (log, desk) =
            (NoteSigner::generate("relay/import/1").unwrap(), Cosigner::generate("desk.example/w").unwrap());
        let text = "relay/import/1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
        let note = log.sign(text) + &desk.cosign(text, Timestamp::from_secs(1_700_000_000));
        assert_eq!(log.verifier().open(&note), Some(text));
        let witness = WitnessSigner::parse(&desk.witness().to_text()).unwrap();
        assert_eq!(witness.cosigned(&note), Some(Timestamp::from_secs(1_700_000_000)));
        assert_eq!(witness.cosigned(&note.replace("\n0\n", "\n1\n")), None);
        assert_eq!(Cosigner::generate("desk.example/w").unwrap().witness().cosigned(&note), None);
        assert!(Cosigner::parse(&desk.to_text()).is_some());
        // A witness's key is no log's key, and the other way round.
        assert!(
            Verifier::parse(&witness.to_text()).is_none() && WitnessSigner::parse(&log.verifier().to_text()).is_none()
        );
    }
}
