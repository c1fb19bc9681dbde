//! What an artifact is, and whether it may pass: default deny. An artifact is cleared only if the
//! kind that the manifest declares is the kind that its bytes show and one that the feed may carry.
//! In scope: the kind, that a text is plain text, and of rules for Suricata, Snort and YARA what each line does in an
//! engine. Out of scope so far: what the lines of other formats do; each format has its own file here for that.

pub mod clamav;
pub mod examination;
pub mod examiner;
pub mod flaw;
pub mod foreign;
pub mod json;
pub mod kind;
pub mod lists;
pub mod rules;
pub mod suricata;
pub mod text;
pub mod verdict;
pub mod yara;

use md5::Digest as _;
use serde::{Deserialize, Serialize};

pub use examination::Examination;
pub use kind::Kind;
pub use verdict::{Counts, Decision, Verdict};

use crate::base::{Fault, Reason};
use crate::verify::Artifact;
use flaw::{CONTENT, Flaw, Flaws};
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
    /// What its content does that may not pass, the first of each reason; of formats that are looked into.
    #[serde(default)]
    pub flaws: Vec<Flaw>,
}

/// What a feed may carry.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    /// The kinds.
    pub kinds: &'a [Kind],
    /// What content may do that otherwise may not pass.
    pub permits: &'a [Reason],
}

impl Finding {
    /// Whether an honest examiner could say so.
    pub fn is_plausible(&self) -> bool {
        let hex = |text: &String| text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let inside = self.flaws.is_empty() || matches!(self.kind, Ok(Kind::SuricataRules | Kind::YaraSource));
        self.md5.as_ref().is_none_or(hex)
            && (self.clamav_version.is_none() || self.kind == Ok(Kind::ClamavCvd))
            && inside
            && self.flaws.len() <= CONTENT.len()
            && self.flaws.iter().all(|flaw| CONTENT.contains(&flaw.reason))
    }

    /// The verdict on `artifact`, whose bytes show this, in a feed with this policy.
    pub fn judge(self, artifact: &Artifact, policy: Policy<'_>) -> Verdict {
        // Of several the one that comes first in the file.
        let flaw = self.flaws.iter().filter(|flaw| !policy.permits.contains(&flaw.reason)).min_by_key(|flaw| flaw.line);
        let withheld = match self.kind {
            Err(reason) => Some(reason),
            Ok(kind) if kind.name() != artifact.kind => Some(Reason::KindMismatch),
            Ok(kind) if !policy.kinds.contains(&kind) => Some(Reason::KindNotAllowed),
            Ok(_) => flaw.map(|flaw| flaw.reason),
        };
        let line = match withheld {
            Some(Reason::TextControl | Reason::TextEncoding) => self.line,
            Some(reason) => flaw.filter(|flaw| flaw.reason == reason).map(|flaw| flaw.line),
            None => None,
        };
        Verdict {
            decision: if withheld.is_some() { Decision::Withheld } else { Decision::Cleared },
            path: artifact.path.clone(),
            size: artifact.size,
            sha256: artifact.sha256,
            declared: artifact.kind.clone(),
            shown: self.kind.ok(),
            reason: withheld,
            line,
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
    inside: Inside,
}

/// What looks into the content, by the path's ending.
enum Inside {
    Nothing,
    Suricata(suricata::Reading),
    Yara(yara::Reading),
}

impl Look {
    /// Nothing seen yet of the artifact at `path`.
    pub fn new(path: &str) -> Self {
        let extension = kind::extension(path);
        let md5 = (extension == "rules").then(md5::Md5::new);
        let inside = match extension.as_str() {
            "rules" => Inside::Suricata(suricata::Reading::default()),
            "yar" | "yara" => Inside::Yara(yara::Reading::default()),
            _ => Inside::Nothing,
        };
        Self { head: Vec::new(), text: Text::default(), md5, inside }
    }

    /// Takes the next bytes in.
    pub fn take(&mut self, bytes: &[u8]) {
        let room = HEAD - self.head.len();
        self.head.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        self.text.take(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        match &mut self.inside {
            Inside::Nothing => {}
            Inside::Suricata(reading) => reading.take(bytes),
            Inside::Yara(reading) => reading.take(bytes),
        }
    }

    /// The kind its bytes show, or why they show none that may pass.
    pub fn kind(&self, path: &str) -> Result<Kind, Reason> {
        kind::recognise(path, &self.head, self.text.state())
    }

    /// What all of the bytes show.
    pub fn finding(self, path: &str) -> Finding {
        let kind = self.kind(path);
        let flaws = match (self.inside, kind) {
            (Inside::Suricata(reading), Ok(Kind::SuricataRules)) => reading.finish(),
            (Inside::Yara(reading), Ok(Kind::YaraSource)) => reading.finish(),
            _ => Flaws::default(),
        };
        Finding {
            flaws: flaws.into_vec(),
            kind,
            line: self.text.fault_line(),
            clamav_version: if kind == Ok(Kind::ClamavCvd) { clamav::cvd_version(&self.head) } else { None },
            md5: self.md5.map(|md5| data_encoding::HEXLOWER.encode(&md5.finalize())),
        }
    }
}
