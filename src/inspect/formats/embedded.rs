//! Rules inside of indicators: a text that is content of another kind.

use super::{lines, sigma, suricata, yara};
use crate::notes::Notes;
use base::Reason;

/// What may not pass in rules for Suricata or Snort.
pub fn suricata(text: &str) -> Vec<Reason> {
    let mut notes = Notes::default();
    let mut source = text.as_bytes();
    // What is read from memory does not fail.
    let _ = lines::read(&mut source, &mut suricata::Suricata::default(), &mut notes);
    reasons(notes)
}

/// What may not pass in YARA rules.
pub fn yara(text: &str) -> Vec<Reason> {
    let mut notes = Notes::default();
    let _ = yara::read(&mut text.as_bytes(), &mut notes);
    reasons(notes)
}

/// What may not pass in Sigma rules.
pub fn sigma(text: &str) -> Vec<Reason> {
    let mut notes = Notes::default();
    let _ = sigma::read(&mut text.as_bytes(), &mut notes);
    reasons(notes)
}

fn reasons(notes: Notes<'_>) -> Vec<Reason> {
    notes.into_flaws().into_iter().map(|flaw| flaw.reason).collect()
}
