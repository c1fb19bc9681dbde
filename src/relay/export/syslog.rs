//! RFC 5424 frames around a line: facility 13 (log audit), the relay as host, the entry's kind as message id.
//!
//! ```text
//! <109>1 2026-11-24T06:00:00Z demo gaprelay - import-refused [entry@32473 log="demo/import/1" number="12" size="55"] MSG
//! ```
//!
//! 32473 is the number that RFC 5612 sets aside for examples: this project has none of its own.

use super::{Severity, Told};

/// Facility "log audit" (RFC 5424, section 6.2.1).
const FACILITY: u8 = 13;

/// The frame around `line`.
pub fn frame(told: &Told<'_>, line: &str) -> String {
    let level = match told.severity() {
        Severity::Informational => 6,
        Severity::Low => 5,
        Severity::Medium => 4,
        Severity::High => 3,
        Severity::Critical => 2,
    };
    let host = told.log.split('/').next().filter(|host| !host.is_empty()).unwrap_or("-");
    format!(
        "<{}>1 {} {host} gaprelay - {} [entry@32473 log=\"{}\" number=\"{}\" size=\"{}\"] {line}",
        FACILITY * 8 + level,
        told.entry.time,
        told.kind(),
        value(told.log),
        told.number,
        told.size,
    )
}

/// A value of structured data (section 6.3.3): quotes, backslashes and closing brackets escaped.
fn value(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]")
}

/// The line within a frame; `None` if it is none of ours.
pub fn unframed(frame: &str) -> Option<&str> {
    let (_, rest) = frame.split_once(" [entry@32473 ")?;
    rest.split_once("\"] ").map(|(_, line)| line)
}
