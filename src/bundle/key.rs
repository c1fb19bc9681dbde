//! Public keys: those of minisign, and those of a second algorithm.

use data_encoding::{BASE64, HEXUPPER};
use ml_dsa::{EncodedVerifyingKey, MlDsa65, Signature, VerifyingKey};
use serde::{Deserialize, Serialize};

use base::{Digest, Reason, Refusal};

/// By what a key signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// Ed25519 over BLAKE2b-512, in minisign's form: what everything is signed with.
    #[default]
    MinisignEd25519,
    /// ML-DSA-65 (FIPS 204), raw, with the trusted comment as its context: a second signature on a bundle, where a feed
    /// asks for it.
    #[serde(rename = "ml-dsa-65")]
    MlDsa65,
}

impl Algorithm {
    /// Name in the keyring.
    pub fn name(self) -> &'static str {
        match self {
            Self::MinisignEd25519 => "minisign-ed25519",
            Self::MlDsa65 => "ml-dsa-65",
        }
    }
}

/// Length of a public ML-DSA-65 key, in bytes (FIPS 204, table 2).
pub const ML_DSA_KEY: usize = 1952;
/// Length of a signature, in bytes (FIPS 204, table 2).
pub const ML_DSA_SIGNATURE: usize = 3309;

/// A public key taken apart: its id, and the 32 raw bytes that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawKey {
    /// minisign's key id: a look-up aid. Of another algorithm, the beginning of `key`.
    pub id: [u8; 8],
    /// The Ed25519 public key; of another algorithm, the SHA-256 of the public key.
    pub key: [u8; 32],
    /// By what it signs.
    pub algorithm: Algorithm,
}

impl RawKey {
    /// Reads minisign base64, or base64 of an ML-DSA-65 key, and refuses keys of small order, for which anyone can make
    /// signatures that some verifiers take. A refusal never repeats the text, which may be a secret key given by
    /// mistake. Refusals: `keyring-malformed`, `key-weak`.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let malformed = || {
            Refusal::new(
                Reason::KeyringMalformed,
                "a public key is neither one of minisign (56 characters that begin with RW) nor an ML-DSA-65 key in base64",
            )
        };
        let bytes = BASE64.decode(text.as_bytes()).map_err(|_| malformed())?;
        if bytes.len() == ML_DSA_KEY {
            let Digest(key) = Digest::of(&bytes);
            let id = key.first_chunk().copied().ok_or_else(malformed)?;
            return Ok(Self { id, key, algorithm: Algorithm::MlDsa65 });
        }
        let (Some(b"Ed"), Some(id), Some(key), 42) =
            (bytes.first_chunk(), bytes.get(2..10), bytes.last_chunk(), bytes.len())
        else {
            return Err(malformed());
        };
        let weak = || {
            Refusal::new(
                Reason::KeyWeak,
                "a public key is not a valid Ed25519 point, or is one for which anybody can make signatures",
            )
        };
        let point = ed25519_dalek::VerifyingKey::from_bytes(key).map_err(|_| weak())?;
        if point.is_weak() {
            return Err(weak());
        }
        let id = id.try_into().map_err(|_| malformed())?;
        Ok(Self { id, key: *key, algorithm: Algorithm::MinisignEd25519 })
    }

    /// The key id as minisign prints it.
    pub fn id_text(&self) -> String {
        id_text(self.id)
    }
}

/// True if this ML-DSA-65 key, in base64, has signed exactly these bytes in this context.
pub fn has_signed_ml_dsa(public: &str, message: &[u8], context: &str, signature: &[u8]) -> bool {
    let Ok(bytes) = BASE64.decode(public.as_bytes()) else { return false };
    let key =
        EncodedVerifyingKey::<MlDsa65>::try_from(bytes.as_slice()).map(|key| VerifyingKey::<MlDsa65>::decode(&key));
    let signature = Signature::<MlDsa65>::try_from(signature);
    match (key, signature) {
        (Ok(key), Ok(signature)) => key.verify_with_context(message, context.as_bytes(), &signature),
        _ => false,
    }
}

/// A key id in the one form in which it is stored and shown: the eight bytes as one little-endian number in hex, as
/// minisign prints it, but with leading zeros.
pub fn id_text(mut id: [u8; 8]) -> String {
    id.reverse();
    HEXUPPER.encode(&id)
}

/// Reads a key id that somebody gives: in the form of [`id_text`], or without leading zeros, as minisign prints it.
pub fn parse_key_id(text: &str) -> Option<String> {
    let is_id = (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    is_id.then(|| format!("{:0>16}", text.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_id_has_one_form() {
        for form in ["00AB12CD34EF5678", "AB12CD34EF5678", "0ab12cd34ef5678"] {
            assert_eq!(parse_key_id(form).unwrap(), "00AB12CD34EF5678");
        }
        for wrong in ["", "x", "+1", "0x1", "\u{661}", "000AB12CD34EF5678"] {
            assert_eq!(parse_key_id(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn small_order_keys_are_refused() {
        // The identity, the point of order two, and one of order eight.
        let order_eight = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
        let points = [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            order_eight,
        ];
        for hex in points {
            let point = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
            let text = BASE64.encode(&[b"Ed12345678".as_slice(), &point].concat());
            assert_eq!(RawKey::parse(&text).unwrap_err().reason, Reason::KeyWeak, "{hex}");
        }
        let good = RawKey::parse("RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3").unwrap();
        assert_eq!(good.id_text(), "E7620F1842B4E81F");
    }
}
