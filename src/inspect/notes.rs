//! What the inspectors of the formats tell: flaws, and the items that came by.

use super::flaw::{Flaws, Span};
use super::item::Item;
use crate::base::Reason;
use crate::base::clock::Stopwatch;

/// How long one artifact may be inspected, in seconds of its own: far above what honest content takes.
const MOST_SECONDS: u64 = 60;

/// How often the time is looked at, in steps.
const TURN: u64 = 512;

/// Notes on one artifact.
#[derive(Default)]
pub struct Notes {
    flaws: Flaws,
    items: Vec<u8>,
    watch: Stopwatch,
    steps: u64,
    is_over: bool,
}

impl Notes {
    /// Something that may not pass in this line; without `span` the whole artifact cannot.
    pub fn flaw(&mut self, reason: Reason, line: u64, span: Option<Span>) {
        self.flaws.add(reason, line, span);
    }

    /// An item.
    pub fn item(&mut self, item: Item) {
        self.items.extend_from_slice(&item.to_record());
    }

    /// Appends the records of the items since this was asked last.
    pub fn append_items(&mut self, to: &mut Vec<u8>) {
        to.append(&mut self.items);
    }

    /// Whether the time for this artifact is over: asked by each inspector before its next step, which must be short.
    /// What was seen until then does not count: the artifact is withheld.
    pub fn is_over(&mut self, line: u64) -> bool {
        self.steps += 1;
        if !self.is_over && self.steps.is_multiple_of(TURN) && self.watch.seconds() >= MOST_SECONDS {
            self.is_over = true;
            self.flaw(Reason::InspectionLimit, line, None);
        }
        self.is_over
    }

    /// All flaws.
    pub fn into_flaws(self) -> Flaws {
        self.flaws
    }
}
