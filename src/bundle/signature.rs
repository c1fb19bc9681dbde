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
            return Err(malformed(
                "the file is longer than the 1024 bytes that are read: sign again with shorter comments (minisign -c and -t)",
            ));
        }
        if let Some(cause) = unprintable(bytes) {
            return Err(Refusal::new(Reason::SignatureMalformed, cause));
        }
        let text = str::from_utf8(bytes).map_err(|_| malformed("the file is not ASCII"))?;
        let body = text
            .strip_suffix('\n')
            .ok_or_else(|| malformed("the last line has no line end: the file was cut or edited; copy it again"))?;
        let lines: Vec<&str> = body.split('\n').collect();
        let [first, second, third, fourth] = lines[..] else {
            return Err(malformed(
                "the file does not have exactly four lines: it was edited, or is not a signature file of minisign",
            ));
        };
        if !first.starts_with(UNTRUSTED) || !third.starts_with(TRUSTED) {
            return Err(malformed(
                "line 1 or line 3 does not begin with \"untrusted comment: \" or \"trusted comment: \": the file was edited",
            ));
        }
        let signature =
            BASE64.decode(second.as_bytes()).map_err(|_| malformed("line 2 is not base64: the file was edited"))?;
        let global =
            BASE64.decode(fourth.as_bytes()).map_err(|_| malformed("line 4 is not base64: the file was edited"))?;
        if signature.len() != 74 || global.len() != 64 {
            return Err(malformed("line 2 or line 4 has the wrong length: the file was cut or edited; copy it again"));
        }
        match signature.first_chunk() {
            Some(b"ED") => {}
            Some(b"Ed") => {
                return Err(Refusal::new(
                    Reason::SignatureLegacy,
                    "the signature was made with `minisign -l`, without prehashing",
                ));
            }
            _ => {
                return Err(malformed(
                    "line 2 does not begin with minisign's algorithm: it may be a key and not a signature",
                ));
            }
        }
        let key_id = signature.get(2..10).and_then(|id| id.try_into().ok());
        let key_id = key_id.ok_or_else(|| malformed("line 2 holds no key id: the file was edited"))?;
        let inner =
            Signature::decode(text).map_err(|_| malformed("the signature cannot be decoded: the file was edited"))?;
        Ok(Self { key_id, inner })
    }

    /// The id of the key it claims to be by: a look-up aid, no proof.
    pub fn key_id(&self) -> [u8; 8] {
        self.key_id
    }

    /// The comment that [`SignatureFile::verify`] proves or does not: good to sort by before that, and for nothing
    /// else.
    pub fn claimed_comment(&self) -> &str {
        self.inner.trusted_comment()
    }

    /// The trusted comment, once the signature over `message` and over the comment is proven to
    /// be by `key`. Refusal: `signature-invalid`.
    pub fn verify(&self, message: &[u8], key: &PublicKey) -> Result<&str, Refusal> {
        key.verify(message, &self.inner, false).map_err(|_| {
            Refusal::new(
                Reason::SignatureInvalid,
                "the signature does not match the file that it should cover, or its trusted comment was changed",
            )
        })?;
        Ok(self.inner.trusted_comment())
    }
}

/// Cause and remedy, where the file has bytes other than printable ASCII, tab and line feed.
fn unprintable(bytes: &[u8]) -> Option<String> {
    let place = bytes.iter().position(|b| !matches!(b, b'\n' | b'\t' | b' '..=b'~'))?;
    if bytes.starts_with(b"\xef\xbb\xbf") || bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Some(
            "the file begins with a byte order mark: an editor has saved it. Use the file that minisign wrote".into(),
        );
    }
    let before = bytes.get(..place).unwrap_or_default();
    let line = before.split(|b| *b == b'\n').count();
    Some(match bytes.get(place) {
        Some(b'\r') if bytes.get(place + 1) == Some(&b'\n') => {
            "the lines end as on Windows (CR LF). Use the file that minisign wrote, or turn its line ends into LF; \
                        the signature itself stays good"
                .into()
        }
        Some(128..) => format!(
            "line {line} has a character that is not ASCII. Sign again with a comment of plain ASCII (minisign -c and -t)"
        ),
        _ => format!("line {line} has a control character. Use the file that minisign wrote"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "untrusted comment: signature from minisign secret key\n\
        RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
        trusted comment: timestamp:1633700835\tfile:test\tprehashed\n\
        wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==\n";

    #[test]
    fn what_is_wrong_is_named_with_its_remedy() {
        let detail = |bytes: &[u8]| SignatureFile::parse(bytes).err().map(|refusal| refusal.detail).unwrap_or_default();
        for (bytes, cause, remedy) in [
            (GOOD.replace('\n', "\r\n").into_bytes(), "as on Windows", "LF"),
            ([b"\xef\xbb\xbf", GOOD.as_bytes()].concat(), "byte order mark", "that minisign wrote"),
            (GOOD.replace("file:test", "file:tést").into_bytes(), "line 3 has a character", "plain ASCII"),
            (GOOD.replace("signature from", "Schlüssel").into_bytes(), "line 1 has a character", "plain ASCII"),
            (GOOD.replace("file:", "\x1b[31m").into_bytes(), "line 3 has a control", "that minisign wrote"),
            (GOOD.trim_end().into(), "no line end", "copy it again"),
        ] {
            let detail = detail(&bytes);
            assert!(detail.contains(cause) && detail.contains(remedy), "{detail}");
        }
    }

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
