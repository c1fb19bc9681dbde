//! Rules inside of indicators: a text that is content of another kind.

use super::{lines, sigma, suricata, yara};
use crate::notes::Notes;
use base::Reason;

/// Reasons by which rules for Suricata or Snort may not pass.
pub fn suricata(text: &str) -> Vec<Reason> {
    let mut notes = Notes::default();
    let mut source = text.as_bytes();
    // What is read from memory does not fail.
    let _ = lines::read(&mut source, &mut suricata::Suricata::default(), &mut notes);
    reasons(notes)
}

/// Reasons by which YARA rules may not pass.
pub fn yara(text: &str) -> Vec<Reason> {
    let mut notes = Notes::default();
    let _ = yara::read(&mut text.as_bytes(), &mut notes);
    reasons(notes)
}

/// Reasons by which Sigma rules may not pass.
pub fn sigma(text: &str) -> Vec<Reason> {
    let mut notes = Notes::default();
    let _ = sigma::read(&mut text.as_bytes(), &mut notes);
    reasons(notes)
}

fn reasons(notes: Notes<'_>) -> Vec<Reason> {
    notes.into_flaws().into_iter().map(|flaw| flaw.reason).collect()
}
