//! Public keys as minisign writes them.

use data_encoding::{BASE64, HEXUPPER};

use crate::base::{Reason, Refusal, quoted};

/// A public key taken apart: its id, and the 32 raw bytes that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawKey {
    /// minisign's key id: a look-up aid.
    pub id: [u8; 8],
    /// The Ed25519 public key.
    pub key: [u8; 32],
}

impl RawKey {
    /// Reads minisign base64 and refuses keys of small order, for which anyone can make signatures
    /// that some verifiers take. Refusals: `keyring-malformed`, `key-weak`.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let malformed =
            || Refusal::new(Reason::KeyringMalformed, format!("\"{}\" is not a minisign public key", quoted(text)));
        let bytes = BASE64.decode(text.as_bytes()).map_err(|_| malformed())?;
        let (Some(b"Ed"), Some(id), Some(key), 42) =
            (bytes.first_chunk(), bytes.get(2..10), bytes.last_chunk(), bytes.len())
        else {
            return Err(malformed());
        };
        let weak = || Refusal::new(Reason::KeyWeak, format!("\"{}\" is no sound Ed25519 point", quoted(text)));
        let point = ed25519_dalek::VerifyingKey::from_bytes(key).map_err(|_| weak())?;
        if point.is_weak() {
            return Err(weak());
        }
        Ok(Self { id: id.try_into().map_err(|_| malformed())?, key: *key })
    }

    /// The key id as minisign prints it.
    pub fn id_text(&self) -> String {
        id_text(self.id)
    }
}

/// A key id as minisign prints it: the eight bytes as one little-endian number in hex.
pub fn id_text(mut id: [u8; 8]) -> String {
    id.reverse();
    HEXUPPER.encode(&id)
}

#[cfg(test)]
mod tests {
    use super::*;

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
