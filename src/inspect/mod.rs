//! What an artifact is, and whether it may pass: default deny. An artifact is cleared only if the
//! kind that the manifest declares is the kind that its bytes show and one that the feed may carry.
//! In scope: the kind, and that a text is plain text. Out of scope so far: what the single lines
//! of a format do in an engine; each format has its own file here for that.

pub mod clamav;
pub mod examination;
pub mod examiner;
pub mod foreign;
pub mod json;
pub mod kind;
pub mod lists;
pub mod rules;
pub mod text;
pub mod verdict;

use md5::Digest as _;
use serde::{Deserialize, Serialize};

pub use examination::Examination;
pub use kind::Kind;
pub use verdict::{Counts, Decision, Verdict};

use crate::base::{Fault, Reason};
use crate::verify::Artifact;
use text::Text;

/// How many bytes from the beginning of an artifact its kind is told by.
pub const HEAD: usize = 64 << 10;

/// Takes the bytes of each artifact, and then its verdict: what is withheld must not be kept.
pub trait Keep {
    /// The next artifact begins.
    fn begin(&mut self, artifact: &Artifact) -> Result<(), Fault>;
    /// More of its bytes.
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Fault>;
    /// It ended; `verdict` says whether its bytes may be kept.
    fn end(&mut self, verdict: &Verdict) -> Result<(), Fault>;
}

/// Keeps nothing: for a dry run.
pub struct Nowhere;

impl Keep for Nowhere {
    fn begin(&mut self, _: &Artifact) -> Result<(), Fault> {
        Ok(())
    }

    fn bytes(&mut self, _: &[u8]) -> Result<(), Fault> {
        Ok(())
    }

    fn end(&mut self, _: &Verdict) -> Result<(), Fault> {
        Ok(())
    }
}

/// What an artifact's bytes show: facts, and no decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The kind, or why they show none that may pass.
    pub kind: Result<Kind, Reason>,
    /// The first line at fault, counted from 1.
    pub line: Option<u64>,
    /// The version in a ClamAV database's header.
    pub clamav_version: Option<u64>,
    /// MD5 of a rule file, in hex.
    pub md5: Option<String>,
}

impl Finding {
    /// Whether an honest examiner could say so.
    pub fn is_plausible(&self) -> bool {
        let hex = |text: &String| text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        self.md5.as_ref().is_none_or(hex) && (self.clamav_version.is_none() || self.kind == Ok(Kind::ClamavCvd))
    }

    /// The verdict on `artifact`, whose bytes show this, in a feed that may carry `allowed`.
    pub fn judge(self, artifact: &Artifact, allowed: &[Kind]) -> Verdict {
        let withheld = match self.kind {
            Err(reason) => Some(reason),
            Ok(kind) if kind.name() != artifact.kind => Some(Reason::KindMismatch),
            Ok(kind) if !allowed.contains(&kind) => Some(Reason::KindNotAllowed),
            Ok(_) => None,
        };
        Verdict {
            decision: if withheld.is_some() { Decision::Withheld } else { Decision::Cleared },
            path: artifact.path.clone(),
            size: artifact.size,
            sha256: artifact.sha256,
            declared: artifact.kind.clone(),
            shown: self.kind.ok(),
            reason: withheld,
            line: self.line.filter(|_| matches!(withheld, Some(Reason::TextControl | Reason::TextEncoding))),
            clamav_version: self.clamav_version,
            md5: self.md5,
        }
    }
}

/// What has been seen of one artifact: its first bytes, and whether all of it is plain text.
pub struct Look {
    head: Vec<u8>,
    text: Text,
    /// Rules get an MD5 beside them, since that is what suricata-update asks for.
    md5: Option<md5::Md5>,
}

impl Look {
    /// Nothing seen yet of the artifact at `path`.
    pub fn new(path: &str) -> Self {
        let md5 = (kind::extension(path) == "rules").then(md5::Md5::new);
        Self { head: Vec::new(), text: Text::default(), md5 }
    }

    /// Takes the next bytes in.
    pub fn take(&mut self, bytes: &[u8]) {
        let room = HEAD - self.head.len();
        self.head.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        self.text.take(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
    }

    /// The kind its bytes show, or why they show none that may pass.
    pub fn kind(&self, path: &str) -> Result<Kind, Reason> {
        kind::recognise(path, &self.head, self.text.state())
    }

    /// What all of the bytes show.
    pub fn finding(self, path: &str) -> Finding {
        let kind = self.kind(path);
        Finding {
            kind,
            line: self.text.fault_line(),
            clamav_version: if kind == Ok(Kind::ClamavCvd) { clamav::cvd_version(&self.head) } else { None },
            md5: self.md5.map(|md5| data_encoding::HEXLOWER.encode(&md5.finalize())),
        }
    }
}
