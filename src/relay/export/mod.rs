//! The logs' entries in the words of other people's collectors: OCSF, CEF, or as they are, in lines or in
//! RFC 5424 frames. Every line names its entry and the size of the head it was read under, and holds the
//! entry's exact bytes or their leaf hash, so that an export can be checked against the log. In scope: what a
//! line says, where it goes, how it is checked. Out of scope: what an entry means ([`crate::report::words()`]),
//! and any connection: a line goes to a file, a pipe, or the local syslog socket.

pub mod cef;
pub mod check;
pub mod feed;
pub mod fields;
pub mod ocsf;
pub mod sink;
pub mod syslog;

use data_encoding::HEXLOWER;

use crate::log::{Entry, Event};
use base::Reason;
pub use config::export::Format;
use inspect::Verdict;
use tlog::tree;

/// This program's version, as lines have it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How grave an entry is, in the steps that the formats share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It is as it should be.
    Informational,
    /// Worth a look some day.
    Low,
    /// Somebody should look.
    Medium,
    /// Somebody should look today.
    High,
    /// What the relay promises does not hold.
    Critical,
}

/// One entry, on its way out.
pub struct Told<'a> {
    /// Origin of its log.
    pub log: &'a str,
    /// Its number, counted from 0.
    pub number: u64,
    /// Entries under the signed head that it was read under.
    pub size: u64,
    /// Its exact bytes: the leaf.
    pub bytes: &'a [u8],
    /// What they say.
    pub entry: &'a Entry,
    /// An artifact that the entry's import withheld, and its place among them, where this line is about that.
    pub file: Option<(usize, &'a Verdict)>,
    /// Version of the program that tells it.
    pub version: &'a str,
}

impl Told<'_> {
    /// The line, without its end.
    pub fn line(&self, format: Format) -> String {
        match format {
            Format::Ocsf => serde_json::to_string(&ocsf::Ocsf::of(self)).unwrap_or_default(),
            Format::Cef => cef::line(self),
            Format::Json => format!(
                r#"{{"log":"{}","number":{},"size":{},"entry":{}}}"#,
                self.log,
                self.number,
                self.size,
                String::from_utf8_lossy(self.bytes)
            ),
        }
    }

    /// A name for this line that no other has: origin, entry, and the place of the file.
    pub fn uid(&self) -> String {
        let file = self.file.map(|(place, _)| format!("/{place}")).unwrap_or_default();
        format!("{}/{}{file}", self.log, self.number)
    }

    /// The leaf's hash in the log's tree (RFC 6962, section 2.1), in hex.
    pub fn leaf(&self) -> String {
        HEXLOWER.encode(&tree::leaf(self.bytes))
    }

    /// The kind of its event; `withheld` or `stripped` for a file.
    pub fn kind(&self) -> &'static str {
        self.file.map_or_else(|| self.entry.event.kind(), |(_, verdict)| verdict.decision.word())
    }

    /// How grave it is.
    pub fn severity(&self) -> Severity {
        if self.file.is_some() {
            return Severity::Medium;
        }
        match &self.entry.event {
            Event::SelfTest(result) if !result.findings.is_empty() => Severity::Critical,
            Event::Attempt(attempt) if !attempt.submission => Severity::Low,
            Event::Interrupted { .. } => Severity::Low,
            // What tries to get out, fails, or is not what an honest sender does.
            Event::Repaired { .. }
            | Event::Attempt(_)
            | Event::MediumRead { unchanged: false, .. }
            | Event::ImportFailed { .. }
            | Event::ImportRefused {
                reason:
                    Reason::SignatureInvalid
                    | Reason::SignatureForeignStatement
                    | Reason::KeyRevoked
                    | Reason::KeyDenied
                    | Reason::OriginDenied
                    | Reason::KeyringEquivocation
                    | Reason::VersionVoid
                    | Reason::VersionJump
                    | Reason::VersionEquivocation
                    | Reason::MediumChanged,
                ..
            } => Severity::High,
            Event::ImportRefused { .. }
            | Event::KeyringReplaced { .. }
            | Event::Directive { .. }
            | Event::MediumRefused { .. }
            | Event::StatementRefused { .. }
            | Event::CosignatureRefused { .. }
            | Event::PublishRefused { .. } => Severity::Medium,
            _ => Severity::Informational,
        }
    }
}
