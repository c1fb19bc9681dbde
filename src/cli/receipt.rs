//! The bounded receipt on a terminal: six lines for the paper book, and the same as a picture.

use std::io::IsTerminal as _;

use super::tui;
use crate::audit::note::Checkpoint;
use crate::audit::receipt::paper;
use crate::report::picture::picture;

/// Black on white, whatever the terminal's colours are; and back.
const PAPER: (&str, &str) = ("\x1b[30;107m", "\x1b[0m");

/// Prints it; the picture only where somebody looks.
pub fn show(head: &Checkpoint) {
    let text = paper(head);
    tui::say(text.trim_end());
    if std::io::stdout().is_terminal() {
        for line in half_blocks(&text) {
            tui::say(format_args!("{}{line}{}", PAPER.0, PAPER.1));
        }
        tui::hint(
            "write the six lines into the paper book, or photograph the picture; later: gaprelay log verify --against FILE",
        );
    }
}

/// Two rows of modules to a line of text, with the quiet zone.
fn half_blocks(text: &str) -> Vec<String> {
    let rows = picture(text);
    let dark = |y: usize, x: usize| rows.get(y).and_then(|row| row.get(x)).copied().unwrap_or_default();
    (0..rows.len())
        .step_by(2)
        .map(|y| {
            (0..rows.len())
                .map(|x| match (dark(y, x), dark(y + 1, x)) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                })
                .collect()
        })
        .collect()
}
