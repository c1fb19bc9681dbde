//! JSON documents that a log's key has signed: its holder knows its own files by that, and others know whose they are.
//!
//! ```text
//! {
//!   "signature": "<base64 of key hash and Ed25519 signature, as in a signed note>",
//!   …the document
//! ```
//!
//! What is signed is a note of three lines: the document's format, the log's origin, and the SHA-256 of the document's
//! bytes without the line of the signature. No checkpoint begins with a format's name, so that neither passes for the
//! other.

use base::Digest;

use crate::note::{NoteSigner, Verifier};

/// The beginning of a document with a signature.
const BEGIN: &str = "{\n  \"signature\": \"";

/// The document with its signature. `json` is an object of at least one field, in the form of `to_vec_pretty`.
pub fn sign(signer: &NoteSigner, format: &str, json: &[u8]) -> Option<Vec<u8>> {
    let rest = json.strip_prefix(b"{")?;
    let note = signer.sign(&text(signer.verifier().name(), format, json));
    let (_, signature) = note.trim_end().rsplit_once(' ')?;
    Some([BEGIN.as_bytes(), signature.as_bytes(), b"\",", rest].concat())
}

/// The document without its signature; `None` if this key has not signed it as a document of this format.
pub fn open(verifier: &Verifier, format: &str, signed: &[u8]) -> Option<Vec<u8>> {
    let rest = signed.strip_prefix(BEGIN.as_bytes())?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    let (signature, rest) = rest.split_at_checked(end)?;
    let json = [b"{", rest.strip_prefix(b"\",")?].concat();
    let (name, signature) = (verifier.name(), str::from_utf8(signature).ok()?);
    verifier.open(&format!("{}\n— {name} {signature}\n", text(name, format, &json)))?;
    Some(json)
}

fn text(origin: &str, format: &str, json: &[u8]) -> String {
    format!("{format}\n{origin}\nsha256:{}\n", Digest::of(json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_that_of_its_key_and_format_alone() {
        let key = NoteSigner::generate("relay.example/import/1").unwrap();
        let json = b"{\n  \"a\": 1\n}".to_vec();
        let signed = sign(&key, "test/1", &json).unwrap();
        assert!(signed.ends_with(b"\",\n  \"a\": 1\n}"));
        assert_eq!(open(&key.verifier(), "test/1", &signed), Some(json.clone()));
        assert_eq!(open(&key.verifier(), "test/2", &signed), None);
        let other = NoteSigner::generate("relay.example/import/1").unwrap();
        assert_eq!(open(&other.verifier(), "test/1", &signed), None);
        assert_eq!(open(&key.verifier(), "test/1", &json), None);
        for at in 0..signed.len() {
            let mut bad = signed.clone();
            bad[at] ^= 1;
            assert_eq!(open(&key.verifier(), "test/1", &bad), None, "{at}");
            assert_eq!(open(&key.verifier(), "test/1", &signed[..at]), None, "{at}");
        }
        assert_eq!(open(&key.verifier(), "test/1", &[signed, b"\n".to_vec()].concat()), None);
    }
}
