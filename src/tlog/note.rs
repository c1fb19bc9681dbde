//! Signed notes (C2SP signed-note) and checkpoints (C2SP tlog-checkpoint), with Ed25519 keys.
//! Public keys are written as Go's `sumdb/note` reads them, so that its tools check our logs.

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use super::tree::Hash;
use base::Fault;
use base::digest::Digest;
use base::error::IoContext as _;
use std::path::Path;

/// signed-note's number for Ed25519.
pub const ED25519: u8 = 1;

/// A log's signing key.
pub struct NoteSigner {
    name: String,
    key: SigningKey,
}

/// A log's public key.
#[derive(Clone, Debug)]
pub struct Verifier {
    name: String,
    key: VerifyingKey,
}

impl NoteSigner {
    /// A fresh key from the system's randomness.
    pub fn generate(name: &str) -> Result<Self, Fault> {
        Ok(Self { name: name.to_owned(), key: fresh_key()? })
    }

    /// Reads `PRIVATE+KEY+name+hash+base64`, as Go's `note.GenerateKey` writes it.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.trim_end().strip_prefix("PRIVATE+KEY+")?;
        let (name, bytes) = parse_key(rest, ED25519)?;
        let signer = Self { name, key: SigningKey::from_bytes(&bytes) };
        (signer.to_text() == text.trim_end()).then_some(signer)
    }

    /// The secret key as text.
    pub fn to_text(&self) -> String {
        format!("PRIVATE+KEY+{}", key_text(&self.name, ED25519, &self.key.to_bytes(), self.verifier().hash()))
    }

    /// Public key of the signer.
    pub fn verifier(&self) -> Verifier {
        Verifier { name: self.name.clone(), key: self.key.verifying_key() }
    }

    /// `text`, which ends in a line feed, as a signed note.
    pub fn sign(&self, text: &str) -> String {
        let signature = self.key.sign(text.as_bytes()).to_bytes();
        let line = [self.verifier().hash().as_slice(), &signature].concat();
        format!("{text}\n— {} {}\n", self.name, BASE64.encode(&line))
    }
}

impl Verifier {
    /// Reads `name+hash+base64`.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, bytes) = parse_key(text.trim_end(), ED25519)?;
        let verifier = Self { name, key: VerifyingKey::from_bytes(&bytes).ok()? };
        (verifier.to_text() == text.trim_end()).then_some(verifier)
    }

    /// The public key as text.
    pub fn to_text(&self) -> String {
        key_text(&self.name, ED25519, &self.key.to_bytes(), self.hash())
    }

    /// The key's name: the log's origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text of a note, once a signature line is proven to be by this key. Lines by other keys,
    /// a witness's say, are passed over.
    pub fn open<'a>(&self, note: &'a str) -> Option<&'a str> {
        let (text, lines) = parts(note)?;
        let line = lines.into_iter().find(|line| line.is_by(&self.name, self.hash()))?;
        let signature = Signature::from_slice(&line.signature).ok()?;
        self.key.verify_strict(text.as_bytes(), &signature).ok().map(|()| text)
    }

    /// The head that a note holds, once its signature by this key is proven.
    pub fn head(&self, note: &str) -> Option<Checkpoint> {
        self.open(note).and_then(Checkpoint::parse).filter(|head| head.origin == self.name)
    }

    /// A note with this key's signature line alone, however many others it has; `None` if this key has not
    /// signed it.
    pub fn alone(&self, note: &str) -> Option<String> {
        let (text, lines) = note.split_once("\n\n")?;
        self.open(note)?;
        lines.lines().map(|line| format!("{text}\n\n{line}\n")).find(|alone| self.open(alone).is_some())
    }

    fn hash(&self) -> [u8; 4] {
        key_hash(&self.name, ED25519, &self.key)
    }
}

/// A secret key from the system's randomness.
pub fn fresh_key() -> Result<SigningKey, Fault> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(Into::into).during("read randomness from", Path::new("the kernel"))?;
    Ok(SigningKey::from_bytes(&seed))
}

/// A signature line of a note.
pub struct NoteSignature {
    name: String,
    hash: [u8; 4],
    /// Signature bytes behind the key's hash.
    pub signature: Vec<u8>,
}

impl NoteSignature {
    /// True if the line claims to be by the key of this name and hash.
    pub fn is_by(&self, name: &str, hash: [u8; 4]) -> bool {
        self.name == name && self.hash == hash
    }
}

/// The signed text of a note and its signature lines; `None` if it is not a whole note.
pub fn parts(note: &str) -> Option<(&str, Vec<NoteSignature>)> {
    let (text, signatures) = note.split_once("\n\n")?;
    let text = note.get(..=text.len())?;
    // A last line without its end is a cut file.
    let lines = signatures.strip_suffix('\n')?.split('\n').map(|line| {
        let (name, encoded) = line.strip_prefix("— ")?.split_once(' ')?;
        let bytes = BASE64.decode(encoded.as_bytes()).ok()?;
        let (hash, signature) = bytes.split_first_chunk::<4>()?;
        Some(NoteSignature { name: name.to_owned(), hash: *hash, signature: signature.to_vec() })
    });
    Some((text, lines.collect::<Option<_>>()?))
}

/// The hash that stands for a key in a signature line (C2SP signed-note, "Signatures").
pub fn key_hash(name: &str, kind: u8, key: &VerifyingKey) -> [u8; 4] {
    let digest = Digest::of(&[name.as_bytes(), b"\n", &[kind], &key.to_bytes()].concat());
    let [a, b, c, d, ..] = digest.0;
    [a, b, c, d]
}

/// A key as text: `name+hash+base64`.
pub fn key_text(name: &str, kind: u8, bytes: &[u8; 32], hash: [u8; 4]) -> String {
    let body = [[kind].as_slice(), bytes].concat();
    format!("{name}+{}+{}", HEXLOWER.encode(&hash), BASE64.encode(&body))
}

/// Name and bytes of a key of this kind.
pub fn parse_key(text: &str, wanted: u8) -> Option<(String, [u8; 32])> {
    let (name, rest) = text.split_once('+')?;
    let (_, encoded) = rest.split_once('+')?;
    let body = BASE64.decode(encoded.as_bytes()).ok()?;
    let (kind, bytes) = body.split_first()?;
    (*kind == wanted && !name.is_empty() && !name.contains(char::is_whitespace)).then_some(())?;
    Some((name.to_owned(), bytes.try_into().ok()?))
}

/// The state of a log at one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Origin of the log.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed.
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(&self.root))
    }

    /// Reads the text of a note that was opened.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let root = BASE64.decode(root.as_bytes()).ok()?.try_into().ok()?;
        let checkpoint = Self { origin: origin.to_owned(), size: size.parse().ok()?, root };
        (checkpoint.to_text() == text).then_some(checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_note_of_the_go_package() {
        // From golang.org/x/mod/sumdb/note's documentation.
        let verifier = Verifier::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").unwrap();
        let note = "If you think cryptography is the answer to your problem,\n\
            then you don't know what your problem is.\n\
            \n\
            — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        assert!(verifier.open(note).is_some_and(|text| text.ends_with("problem is.\n")));
        assert_eq!(verifier.open(&note.replace("think", "thank")), None);
        assert_eq!(verifier.open(&note.replace("x08go", "x08gp")), None);
    }

    #[test]
    fn keys_and_checkpoints_come_back() {
        let signer = NoteSigner::generate("relay.example/import/1").unwrap();
        let again = NoteSigner::parse(&signer.to_text()).unwrap();
        let checkpoint = Checkpoint { origin: "relay.example/import/1".into(), size: 7, root: [7; 32] };
        let note = again.sign(&checkpoint.to_text());
        let verifier = Verifier::parse(&signer.verifier().to_text()).unwrap();
        assert_eq!(verifier.open(&note).and_then(Checkpoint::parse), Some(checkpoint));
        assert!(NoteSigner::parse(&signer.to_text().replace("import", "export")).is_none());
    }
}
