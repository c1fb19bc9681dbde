//! Terminal output: messages with the next step on a line of their own, tables, JSON documents, help, the manual, man
//! pages, and the diagnostics of the services.
//!
//! Runs in every process of both programs, and writes to standard output and standard error; only man pages are files.

#![forbid(unsafe_code)]

pub mod diagnostics;
pub mod examples;
pub mod help;
pub(crate) mod kinds;
pub mod manual;
pub mod offline;
pub mod relayed;
pub mod verdicts;

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::OnceLock;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use tracing::Level;

use base::Error;
use diagnostics::priority;

/// Below every help.
pub const AFTER: &str = "\
Exit status: 0 done · 1 fault · 2 usage or config · 3 refused · 4 integrity (log, store) ·
5 a way out of the isolation was found.
The command `explain CODE` says what a reason code means and what to do; no help needs a network.";

/// End of a command, short of a fault, and with it the exit status.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Done.
    Well,
    /// Something was refused: 3.
    Refused,
    /// Something of ours failed: 1.
    Failed,
    /// The log or the store is damaged: 4.
    Damaged,
    /// As a process of ours ended, which has told why.
    As(u8),
}

/// Exit status for a refusal (design, section 7).
const REFUSED: u8 = 3;

/// Name of the program, which begins its lines on standard error.
static PROGRAM: OnceLock<&str> = OnceLock::new();

/// Sets the name that begins this program's lines, before the first of them; `gaprelay`, if it is not set.
pub fn set_program(name: &'static str) {
    // Only a second call fails: then the first name holds.
    let _ = PROGRAM.set(name);
}

/// Writes a line for people to standard error.
pub fn note(text: impl Display) {
    line("", text);
}

fn line(priority: &str, text: impl Display) {
    let program = PROGRAM.get().copied().unwrap_or("gaprelay");
    // In one piece, since several processes may write there; nobody may be reading, and the work goes on.
    let _ = std::io::stderr().write_all(format!("{priority}{program}: {text}\n").as_bytes());
}

/// The next step, on a line of its own.
pub fn hint(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "  next: {text}");
}

/// Writes a line of result to standard output. The program ends where that fails: with 0 where the reader has closed
/// the pipe, who has seen enough; else with 1, since a result that nobody got must not pass for one.
pub fn say(text: impl Display) {
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(e) => {
            note(format_args!("fault: the result cannot be written to standard output: {e}"));
            std::process::exit(1);
        }
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

/// True if standard error is a terminal.
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
            line(priority(Level::ERROR), format_args!("refused: {refusal}"));
            hint(refusal.reason.next());
            REFUSED
        }
        Err(Error::Fault(fault)) => {
            line(priority(Level::ERROR), format_args!("fault: {fault}"));
            hint(fault.hint());
            fault.exit()
        }
    };
    ExitCode::from(status)
}
