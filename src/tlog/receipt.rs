//! Receipts: evidence that an outsider keeps of a log, and checks without it.
//!
//! * [`Receipt`], a C2SP tlog-proof: one entry, and the proof that it is under a signed head;
//! * [`Growth`], a C2SP tlog-witness `add-checkpoint` body: the proof that a signed head grew from an older;
//! * [`paper`], a bounded receipt: a head in a fixed form that fits into a paper book.

use data_encoding::{BASE64, HEXLOWER};

use super::note::{Checkpoint, Verifier};
use super::proof;
use super::tree::{self, Hash};
use base::digest::Digest;

/// First line of a tlog-proof.
const PROOF: &str = "c2sp.org/tlog-proof@v1";
/// First word of a bounded receipt.
const PAPER: &str = "gaprelay-receipt/1";
/// Longest text of any of these that is read, in bytes.
pub const LONGEST: u64 = 256 << 10;

/// One entry with the proof that it is in the log. The entry's bytes are the proof's extra data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The entry's exact bytes.
    pub entry: Vec<u8>,
    /// Number of the entry, counted from 0.
    pub index: u64,
    /// Hashes from the leaf to the root.
    pub proof: Vec<Hash>,
    /// The signed head.
    pub note: String,
}

impl Receipt {
    /// The text of the file (C2SP tlog-proof).
    pub fn to_text(&self) -> String {
        let extra = BASE64.encode(&self.entry);
        format!("{PROOF}\nextra {extra}\nindex {}\n{}\n{}", self.index, hash_lines(&self.proof), self.note)
    }

    /// Reads the text of a file; `None` if it is not exactly of that form.
    pub fn parse(text: &str) -> Option<Self> {
        let (head, note) = text.split_once("\n\n")?;
        let mut lines = head.lines();
        (lines.next()? == PROOF).then_some(())?;
        let entry = BASE64.decode(lines.next()?.strip_prefix("extra ")?.as_bytes()).ok()?;
        let index = lines.next()?.strip_prefix("index ")?.parse().ok()?;
        let receipt = Self { entry, index, proof: hashes(lines)?, note: note.to_owned() };
        (receipt.to_text() == text).then_some(receipt)
    }

    /// The head under which the entry is; `None` if the log of `verifier` has not promised it.
    pub fn verify(&self, verifier: &Verifier) -> Option<Checkpoint> {
        let head = verifier.head(&self.note)?;
        proof::includes(tree::leaf(&self.entry), self.index, head.size, &self.proof, &head.root).then_some(head)
    }

    /// The head that the log had before this entry, of a receipt that was verified under `head`: the proof holds it.
    pub fn before(&self, head: &Checkpoint) -> Checkpoint {
        let root = proof::root_before(self.index, head.size, &self.proof);
        Checkpoint { origin: head.origin.clone(), size: self.index, root }
    }
}

/// A signed head, and the proof that it grew from a smaller one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth {
    /// Size of the smaller one.
    pub old: u64,
    /// The proof.
    pub proof: Vec<Hash>,
    /// The signed head.
    pub note: String,
}

impl Growth {
    /// The text of the file (C2SP tlog-witness, `add-checkpoint`).
    pub fn to_text(&self) -> String {
        format!("old {}\n{}\n{}", self.old, hash_lines(&self.proof), self.note)
    }

    /// Reads the text of a file; `None` if it is not exactly of that form.
    pub fn parse(text: &str) -> Option<Self> {
        let (head, note) = text.split_once("\n\n")?;
        let mut lines = head.lines();
        let old = lines.next()?.strip_prefix("old ")?.parse().ok()?;
        let growth = Self { old, proof: hashes(lines)?, note: note.to_owned() };
        (growth.to_text() == text).then_some(growth)
    }
}

fn hash_lines(hashes: &[Hash]) -> String {
    hashes.iter().map(|hash| BASE64.encode(hash) + "\n").collect()
}

fn hashes<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Vec<Hash>> {
    let hashes: Vec<Hash> =
        lines.map(|line| BASE64.decode(line.as_bytes()).ok()?.try_into().ok()).collect::<Option<_>>()?;
    (hashes.len() <= proof::LONGEST).then_some(hashes)
}

/// A head as a bounded receipt: six lines of a length that the origin's alone changes. The last word tells a
/// slip of the pen from another history.
///
/// ```text
/// gaprelay-receipt/1
/// log   relay.example/import/1
/// size  000000000042
/// root  4f7a2c91 0be1d7f3 … four more words on this line and four on the next
/// check 1a2b
/// ```
pub fn paper(head: &Checkpoint) -> String {
    let hex = HEXLOWER.encode(&head.root);
    let words: Vec<&str> = (0..8).filter_map(|word| hex.get(word * 8..word * 8 + 8)).collect();
    let (first, second) = words.split_at_checked(4).unwrap_or_default();
    format!(
        "{PAPER}\nlog   {}\nsize  {:012}\nroot  {}\n      {}\ncheck {}\n",
        head.origin,
        head.size,
        first.join(" "),
        second.join(" "),
        check_word(head)
    )
}

fn check_word(head: &Checkpoint) -> String {
    let digest = Digest::of(head.to_text().as_bytes()).to_string();
    digest.get(..4).unwrap_or_default().to_owned()
}

/// A head that somebody keeps, as it was handed back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeptHead {
    /// A signed head, or one with a proof before it: whose signature it has is for the reader to check.
    Signed(String),
    /// A bounded receipt.
    Paper(Checkpoint),
    /// A bounded receipt with a slip of the pen: its check word does not fit.
    Slip,
}

impl KeptHead {
    /// Reads a bounded receipt, with any spaces, line ends and capitals; or a checkpoint, a tlog-proof, an
    /// `add-checkpoint` body. `None` if it is none of them.
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        if words.first().is_some_and(|word| word.eq_ignore_ascii_case(PAPER)) {
            return Some(parse_paper(&words).unwrap_or(Self::Slip));
        }
        if let Some(receipt) = Receipt::parse(text) {
            return Some(Self::Signed(receipt.note));
        }
        if let Some(growth) = Growth::parse(text) {
            return Some(Self::Signed(growth.note));
        }
        text.contains("\n\n").then(|| Self::Signed(text.to_owned()))
    }
}

fn parse_paper(words: &[&str]) -> Option<KeptHead> {
    let [_, _, origin, _, size, _, root @ .., _, check] = words else { return None };
    let root = HEXLOWER.decode(root.concat().to_ascii_lowercase().as_bytes()).ok()?.try_into().ok()?;
    let head = Checkpoint { origin: (*origin).to_owned(), size: size.parse().ok()?, root };
    check.eq_ignore_ascii_case(&check_word(&head)).then_some(KeptHead::Paper(head))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::NoteSigner;

    fn head() -> Checkpoint {
        Checkpoint { origin: "relay.example/import/1".into(), size: 42, root: [0xa7; 32] }
    }

    #[test]
    fn a_bounded_receipt_has_one_length_and_comes_back_however_it_is_typed() {
        let text = paper(&head());
        for size in [0, 9_999, 999_999_999_999] {
            assert_eq!(paper(&Checkpoint { size, ..head() }).len(), text.len());
        }
        assert_eq!(KeptHead::parse(&text), Some(KeptHead::Paper(head())), "{text}");
        let typed = text.split_whitespace().collect::<Vec<_>>().join(" ").to_uppercase();
        let typed = typed.replace("RELAY.EXAMPLE/IMPORT/1", "relay.example/import/1");
        assert_eq!(KeptHead::parse(&typed), Some(KeptHead::Paper(head())));
        for at in 0..text.len() {
            let mut slip = text.clone().into_bytes();
            slip[at] = if slip[at] == b'3' { b'8' } else { b'3' };
            let read = KeptHead::parse(&String::from_utf8(slip).unwrap());
            // The labels are there for the eye; all else counts.
            assert!(read != Some(KeptHead::Paper(head())) || !text.as_bytes()[at].is_ascii_digit(), "{at}");
            assert!(!matches!(&read, Some(KeptHead::Paper(other)) if *other != head()), "{at}: {read:?}");
        }
        assert_eq!(KeptHead::parse("gaprelay-receipt/1"), Some(KeptHead::Slip));
        assert_eq!(KeptHead::parse("something else"), None);
    }

    #[test]
    fn proofs_come_back_as_they_were_written_and_in_no_other_form() {
        let signer = NoteSigner::generate("relay.example/import/1").unwrap();
        let entry = b"{}".to_vec();
        let one = Checkpoint { size: 1, root: tree::leaf(&entry), ..head() };
        let note = signer.sign(&one.to_text());
        let receipt = Receipt { entry, index: 0, proof: Vec::new(), note: note.clone() };
        let text = receipt.to_text();
        assert!(
            text.starts_with("c2sp.org/tlog-proof@v1\nextra e30=\nindex 0\n\nrelay.example/import/1\n1\n"),
            "{text}"
        );
        assert_eq!(Receipt::parse(&text), Some(receipt.clone()));
        assert_eq!(receipt.verify(&signer.verifier()), Some(one));
        assert_eq!(Receipt { entry: b"[]".to_vec(), ..receipt.clone() }.verify(&signer.verifier()), None);
        let other = NoteSigner::generate("relay.example/import/1").unwrap();
        assert_eq!(receipt.verify(&other.verifier()), None);
        for cut in 0..text.len() {
            let read = text.get(..cut).and_then(Receipt::parse);
            assert!(read.is_none_or(|read| read.verify(&signer.verifier()).is_none()), "{cut}");
        }
        assert_eq!(Receipt::parse(&text.replace("index 0", "index 00")), None);
        let growth = Growth { old: 7, proof: vec![[1; 32]; 3], note };
        assert_eq!(Growth::parse(&growth.to_text()), Some(growth.clone()));
        assert_eq!(Growth::parse(&Growth { proof: vec![[1; 32]; 64], ..growth }.to_text()), None);
    }
}
