//! Export of the logs to collectors: OCSF, CEF, or the entries as they are, in lines or in RFC 5424 frames. Every line
//! names its entry and the size of the signed head under which it was read, and holds the entry's exact bytes or their
//! leaf hash, so that an export can be checked against the log. In scope: content of a line, its destination, the
//! check. Out of scope: the sentence for an entry (`report::event_text`), and any connection: a line goes to
//! a file, a pipe, or the local syslog socket.

pub mod cef;
pub mod check;
pub(crate) mod exporter;
pub(crate) mod fields;
pub(crate) mod ocsf;
pub(crate) mod sink;
pub mod syslog;

use data_encoding::HEXLOWER;

use crate::log::journal_line::FORGED;
use crate::log::{Entry, Event};
use base::Reason;
pub use config::export::ExportFormat;
use inspect::Verdict;
use tlog::tree;

/// Version of this program, as lines have it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Severity of an entry, in the steps that all formats share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Normal operation.
    Informational,
    /// No action needed soon.
    Low,
    /// Somebody should look at it.
    Medium,
    /// Somebody should look at it today.
    High,
    /// A protection of the relay does not work.
    Critical,
}

/// Entry to export, or one withheld or stripped file of an import entry.
pub struct ExportEntry<'a> {
    /// Origin of the log.
    pub log: &'a str,
    /// Number of the entry, counted from 0.
    pub number: u64,
    /// Number of entries under the signed head under which it was read.
    pub size: u64,
    /// Exact bytes of the entry: the leaf of the log's tree.
    pub bytes: &'a [u8],
    /// Entry that these bytes hold.
    pub entry: &'a Entry,
    /// File that the import withheld or stripped, with its place among them; `None` for the line of the entry itself.
    pub file: Option<(usize, &'a Verdict)>,
    /// Version of the program that writes the line.
    pub version: &'a str,
}

impl ExportEntry<'_> {
    /// Line in this format, without a line end.
    pub fn line(&self, format: ExportFormat) -> String {
        match format {
            ExportFormat::Ocsf => serde_json::to_string(&ocsf::Ocsf::of(self)).unwrap_or_default(),
            ExportFormat::Cef => cef::line(self),
            ExportFormat::Json => format!(
                r#"{{"log":"{}","number":{},"size":{},"entry":{}}}"#,
                self.log,
                self.number,
                self.size,
                String::from_utf8_lossy(self.bytes)
            ),
        }
    }

    /// Unique id of the line: `ORIGIN/ENTRY`, or `ORIGIN/ENTRY/PLACE` for a file.
    pub fn uid(&self) -> String {
        let file = self.file.map(|(place, _)| format!("/{place}")).unwrap_or_default();
        format!("{}/{}{file}", self.log, self.number)
    }

    /// Hash of the leaf in the log's tree (RFC 6962, section 2.1), in hex.
    pub fn leaf(&self) -> String {
        HEXLOWER.encode(&tree::leaf(self.bytes))
    }

    /// Kind of the event; `withheld` or `stripped` for a file.
    pub fn kind(&self) -> &'static str {
        self.file.map_or_else(|| self.entry.event.kind(), |(_, verdict)| verdict.decision.word())
    }

    /// Severity of the line.
    pub fn severity(&self) -> Severity {
        if self.file.is_some() {
            return Severity::Medium;
        }
        match &self.entry.event {
            Event::SelfTest(result) if !result.findings.is_empty() => Severity::Critical,
            Event::Attempt(attempt) if attempt.label == FORGED => Severity::Critical,
            Event::Attempt(attempt) if !attempt.submission => Severity::Low,
            Event::Interrupted { .. } => Severity::Low,
            // Attempts to send something out, failures, and acts of a dishonest sender.
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
            | Event::ConfigChanged { .. }
            | Event::Directive { .. }
            | Event::MediumRefused { .. }
            | Event::StatementRefused { .. }
            | Event::CosignatureRefused { .. }
            | Event::PublishRefused { .. } => Severity::Medium,
            _ => Severity::Informational,
        }
    }
}
