//! What an artifact is, and whether it may pass: default deny. An artifact is cleared only if the
//! kind that the manifest declares is the kind that its bytes show and one that the feed may carry.
//! In scope: the kind, and that a text is plain text. Out of scope so far: what the single lines
//! of a format do in an engine; each format has its own file here for that.

pub mod clamav;
pub mod foreign;
pub mod json;
pub mod kind;
pub mod lists;
pub mod rules;
pub mod text;
pub mod verdict;

use md5::Digest as _;

pub use kind::Kind;
pub use verdict::{Counts, Decision, Verdict};

use crate::base::{Fault, Reason};
use crate::unpack::Sink;
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

/// Looks at artifacts as they come out of the payload, gives each its verdict, and hands the
/// bytes on.
pub struct Inspector<'a, K> {
    allowed: &'a [Kind],
    keep: K,
    current: Option<(Artifact, Look)>,
    verdicts: Vec<Verdict>,
}

impl<'a, K: Keep> Inspector<'a, K> {
    /// For a feed that may carry `allowed`.
    pub fn new(allowed: &'a [Kind], keep: K) -> Self {
        Self { allowed, keep, current: None, verdicts: Vec::new() }
    }

    /// One verdict for each artifact seen, sorted by path, and where the bytes were kept.
    pub fn finish(mut self) -> (Vec<Verdict>, K) {
        self.verdicts.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
        (self.verdicts, self.keep)
    }
}

impl<K: Keep> Sink for Inspector<'_, K> {
    fn begin(&mut self, artifact: &Artifact) -> Result<(), Fault> {
        self.current = Some((artifact.clone(), Look::new(&artifact.path)));
        self.keep.begin(artifact)
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if let Some((_, look)) = &mut self.current {
            look.take(bytes);
        }
        self.keep.bytes(bytes)
    }

    fn end(&mut self) -> Result<(), Fault> {
        let (artifact, look) = self.current.take().ok_or(Fault::Internal("an artifact ended twice"))?;
        let verdict = look.judge(artifact, self.allowed);
        self.keep.end(&verdict)?;
        self.verdicts.push(verdict);
        Ok(())
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

    /// The verdict on the artifact whose bytes these were.
    fn judge(self, artifact: Artifact, allowed: &[Kind]) -> Verdict {
        let shown = self.kind(&artifact.path);
        let withheld = match shown {
            Err(reason) => Some(reason),
            Ok(kind) if kind.name() != artifact.kind => Some(Reason::KindMismatch),
            Ok(kind) if !allowed.contains(&kind) => Some(Reason::KindNotAllowed),
            Ok(_) => None,
        };
        let line = match withheld {
            Some(Reason::TextControl | Reason::TextEncoding) => self.text.fault_line(),
            _ => None,
        };
        let clamav_version = match shown {
            Ok(Kind::ClamavCvd) => clamav::cvd_version(&self.head),
            _ => None,
        };
        Verdict {
            decision: if withheld.is_some() { Decision::Withheld } else { Decision::Cleared },
            path: artifact.path,
            size: artifact.size,
            sha256: artifact.sha256,
            declared: artifact.kind,
            shown: shown.ok(),
            reason: withheld,
            line,
            clamav_version,
            md5: self.md5.map(|md5| data_encoding::HEXLOWER.encode(&md5.finalize())),
        }
    }
}
