//! Bounded receipt on a terminal: six lines for the paper book, and the same text as a QR code.

use std::io::IsTerminal as _;

use crate::report::qr_code::half_blocks;
use tlog::note::Checkpoint;
use tlog::receipt::paper;

/// Escape sequences for black on white, and back to the colours of the terminal.
const PAPER: (&str, &str) = ("\x1b[30;107m", "\x1b[0m");

/// Prints the receipt; with the picture only on a terminal.
pub(crate) fn show(head: &Checkpoint) {
    let text = paper(head);
    terminal::say(text.trim_end());
    if std::io::stdout().is_terminal() {
        for line in half_blocks(&text) {
            terminal::say(format_args!("{}{line}{}", PAPER.0, PAPER.1));
        }
        terminal::hint(
            "write the six lines into the paper book, or photograph the picture; to check the log against them later: gaprelay log verify --against FILE",
        );
    }
}
