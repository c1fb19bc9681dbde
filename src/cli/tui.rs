//! The voice of all operator output: what happened, and the next step on a line of its own.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use comfy_table::Table;
use comfy_table::presets::NOTHING;

use super::Ended;
use crate::base::Error;

/// Exit status for a refusal (design, section 7).
const REFUSED: u8 = 3;

/// A line for people on standard error.
pub fn note(text: impl Display) {
    // In one piece, since several processes may tell; nobody may be reading, and the work goes on.
    let _ = std::io::stderr().write_all(format!("gaprelay: {text}\n").as_bytes());
}

/// The next step, on a line of its own.
pub fn hint(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "  next: {text}");
}

/// A line of result on standard output. `false`-like end of reading (a closed pipe) ends the program.
pub fn say(text: impl Display) {
    if writeln!(std::io::stdout(), "{text}").is_err() {
        std::process::exit(0);
    }
}

/// A result as one JSON document.
pub fn say_json<T: serde::Serialize>(value: &T) {
    say(json(value));
}

/// A value as one JSON document; our own types always have one.
pub fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A table without borders, the header in capitals.
pub fn table(header: &[&str], rows: Vec<Vec<String>>) {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(header.iter().map(|h| h.to_uppercase()));
    table.add_rows(rows);
    say(table.trim_fmt());
}

/// Whether someone watches.
pub fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

/// The end of a command: words for what went wrong, and the exit status.
pub fn exit(outcome: Result<Ended, Error>) -> ExitCode {
    let status = match outcome {
        Ok(Ended::Well) => 0,
        Ok(Ended::Failed) => 1,
        Ok(Ended::Refused) => REFUSED,
        Ok(Ended::Damaged) => 4,
        Ok(Ended::As(status)) => status,
        Err(Error::Refused(refusal)) => {
            note(format_args!("refused: {refusal}"));
            hint(refusal.reason.next());
            REFUSED
        }
        Err(Error::Fault(fault)) => {
            note(format_args!("fault: {fault}"));
            hint(fault.hint());
            fault.exit()
        }
    };
    ExitCode::from(status)
}
