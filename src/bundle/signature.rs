//! The strict reader that stands before `minisign-verify`.
//!
//! A `.minisig` is four lines: untrusted comment, base64 of algorithm (2 bytes), key id (8) and
//! Ed25519 signature (64), trusted comment, base64 of the global signature (64). The global
//! signature covers signature and trusted comment. The crate reads it leniently (CR, more lines,
//! control characters, any first line), so here: at most 1 KiB, exactly four LF lines, printable
//! ASCII and tab, strict base64, prehashed (`ED`) only.

use data_encoding::BASE64;
use minisign_verify::{PublicKey, Signature};

use super::key::ML_DSA_SIGNATURE;
use base::{Reason, Refusal};

/// Longest signature file, in bytes.
pub const LONGEST: usize = 1024;
/// Ending of a minisign signature's name.
pub const ENDING: &str = ".minisig";
/// Ending of an ML-DSA-65 signature's name; the file is nothing but the signature's 3309 bytes.
pub const ML_DSA_ENDING: &str = ".mldsa65";

/// Most bytes that are read of a signature file with this name.
pub fn longest(name: &str) -> usize {
    if name.ends_with(ML_DSA_ENDING) { ML_DSA_SIGNATURE } else { LONGEST }
}

const UNTRUSTED: &str = "untrusted comment: ";
const TRUSTED: &str = "trusted comment: ";

/// A well-formed prehashed signature. Nothing in it is believed before [`SignatureFile::verify`].
pub struct SignatureFile {
    key_id: [u8; 8],
    inner: Signature,
}

impl SignatureFile {
    /// Reads the four lines. Refusals: `signature-malformed`, `signature-legacy`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let malformed = |what: &str| Refusal::new(Reason::SignatureMalformed, what);
        if bytes.len() > LONGEST {
            return Err(malformed("it is longer than 1024 bytes"));
        }
        if !bytes.iter().all(|b| matches!(b, b'\n' | b'\t' | b' '..=b'~')) {
            return Err(malformed("it has bytes other than printable ASCII, tab and line feed"));
        }
        let text = str::from_utf8(bytes).map_err(|_| malformed("it is not ASCII"))?;
        let body = text.strip_suffix('\n').ok_or_else(|| malformed("the last line does not end"))?;
        let lines: Vec<&str> = body.split('\n').collect();
        let [first, second, third, fourth] = lines[..] else {
            return Err(malformed("it does not have exactly four lines"));
        };
        if !first.starts_with(UNTRUSTED) || !third.starts_with(TRUSTED) {
            return Err(malformed("a comment line lacks its prefix"));
        }
        let signature = BASE64.decode(second.as_bytes()).map_err(|_| malformed("line 2 is not base64"))?;
        let global = BASE64.decode(fourth.as_bytes()).map_err(|_| malformed("line 4 is not base64"))?;
        if signature.len() != 74 || global.len() != 64 {
            return Err(malformed("a signature has the wrong length"));
        }
        match signature.first_chunk() {
            Some(b"ED") => {}
            Some(b"Ed") => {
                return Err(Refusal::new(Reason::SignatureLegacy, "it was made without prehashing"));
            }
            _ => return Err(malformed("the algorithm is not minisign's")),
        }
        let key_id = signature.get(2..10).and_then(|id| id.try_into().ok());
        let key_id = key_id.ok_or_else(|| malformed("the key id is missing"))?;
        let inner = Signature::decode(text).map_err(|_| malformed("it cannot be decoded"))?;
        Ok(Self { key_id, inner })
    }

    /// The id of the key it claims to be by: a look-up aid, no proof.
    pub fn key_id(&self) -> [u8; 8] {
        self.key_id
    }

    /// The comment that [`SignatureFile::verify`] proves or does not: good to sort by before that, and for nothing else.
    pub fn claimed_comment(&self) -> &str {
        self.inner.trusted_comment()
    }

    /// The trusted comment, once the signature over `message` and over the comment is proven to
    /// be by `key`. Refusal: `signature-invalid`.
    pub fn verify(&self, message: &[u8], key: &PublicKey) -> Result<&str, Refusal> {
        key.verify(message, &self.inner, false)
            .map_err(|_| Refusal::new(Reason::SignatureInvalid, "it does not match the bytes it should cover"))?;
        Ok(self.inner.trusted_comment())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "untrusted comment: signature from minisign secret key\n\
        RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
        trusted comment: timestamp:1633700835\tfile:test\tprehashed\n\
        wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==\n";

    fn reason(text: &str) -> Option<Reason> {
        SignatureFile::parse(text.as_bytes()).err().map(|refusal| refusal.reason)
    }

    #[test]
    fn takes_the_sample_of_the_crate_and_nothing_near_it() {
        assert_eq!(reason(GOOD), None);
        let file = SignatureFile::parse(GOOD.as_bytes()).unwrap();
        let key = PublicKey::from_base64("RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3").unwrap();
        assert!(file.verify(b"test", &key).is_ok_and(|c| c.starts_with("timestamp:1633700835")));
        assert_eq!(file.verify(b"Test", &key).unwrap_err().reason, Reason::SignatureInvalid);

        let malformed = Some(Reason::SignatureMalformed);
        assert_eq!(reason(&GOOD.replace('\n', "\r\n")), malformed);
        assert_eq!(reason(&format!("{GOOD}\n")), malformed);
        assert_eq!(reason(&format!("{GOOD}{GOOD}")), malformed);
        assert_eq!(reason(GOOD.trim_end()), malformed);
        assert_eq!(reason(&GOOD.replace("untrusted", "untrustee")), malformed);
        assert_eq!(reason(&GOOD.replace("file:", "\x1b[31m")), malformed);
        assert_eq!(reason(&GOOD.replace("Zwo=\n", "Zwo\n")), malformed);
        assert_eq!(reason(&GOOD.replace("timestamp", &"x".repeat(1024))), malformed);
        assert_eq!(reason(&GOOD.replace("RUQf", "RWQf")), Some(Reason::SignatureLegacy));
        assert_eq!(reason(""), malformed);
    }
}
