//! RFC 5424 frame around a line: facility 13 (log audit), the relay as host, the entry's kind as message id.
//!
//! ```text
//! <109>1 2026-11-24T06:00:00Z demo gaprelay - import-refused [entry@32473 log="demo/import/1" number="12" size="55"] MSG
//! ```
//!
//! 32473 is the enterprise number that RFC 5612 reserves for examples: this project has none of its own.

use super::{ExportEntry, Severity};

/// Syslog facility "log audit" (RFC 5424, section 6.2.1).
const FACILITY: u8 = 13;

/// Frames `line`.
pub fn frame(exported: &ExportEntry<'_>, line: &str) -> String {
    let level = match exported.severity() {
        Severity::Informational => 6,
        Severity::Low => 5,
        Severity::Medium => 4,
        Severity::High => 3,
        Severity::Critical => 2,
    };
    let host = exported.log.split('/').next().filter(|host| !host.is_empty()).unwrap_or("-");
    format!(
        "<{}>1 {} {host} gaprelay - {} [entry@32473 log=\"{}\" number=\"{}\" size=\"{}\"] {line}",
        FACILITY * 8 + level,
        exported.entry.time,
        exported.kind(),
        value(exported.log),
        exported.number,
        exported.size,
    )
}

/// Value of structured data (RFC 5424, section 6.3.3): quotes, backslashes and closing brackets escaped.
fn value(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]")
}

/// Line inside a frame; `None` if the frame is not one of this program.
pub fn unframed(frame: &str) -> Option<&str> {
    let (_, rest) = frame.split_once(" [entry@32473 ")?;
    rest.split_once("\"] ").map(|(_, line)| line)
}
