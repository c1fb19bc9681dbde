//! What the inspectors of the formats tell: flaws, and the items that came by.

use std::collections::BTreeSet;

use super::Kind;
use super::cvd::Database;
use super::flaw::{Flaws, Span};
use super::item::{Item, MOST, RECORD};
use base::Reason;
use base::clock::Stopwatch;

/// How long one artifact may be inspected, in seconds of its own: far above what honest content takes.
const MOST_SECONDS: u64 = 60;

/// How often the time is looked at, in steps.
const TURN: u64 = 64;

/// Notes on one artifact.
#[derive(Default)]
pub struct Notes {
    flaws: Flaws,
    items: Vec<u8>,
    /// How many items there were.
    count: u64,
    watch: Stopwatch,
    steps: u64,
    is_over: bool,
    /// The file of an archive that is looked at.
    member: Option<String>,
    /// Kinds of the files in an archive.
    pub kinds: BTreeSet<Kind>,
    /// What a ClamAV database says of itself.
    pub database: Option<Database>,
}

impl Notes {
    /// Something that may not pass in this line; without `span` the whole artifact cannot.
    pub fn flaw(&mut self, reason: Reason, line: u64, span: Option<Span>) {
        self.flaws.add(reason, line, span, self.member.as_deref());
    }

    /// What follows is about this file of an archive; or about what is wrong with the archive.
    pub fn enter(&mut self, member: Option<&str>) {
        self.member = member.map(str::to_owned);
    }

    /// Takes over the items of others' notes.
    pub fn absorb_items(&mut self, others: &mut Self) {
        self.absorb_records(&mut others.items);
    }

    /// Takes over records of items.
    pub fn absorb_records(&mut self, records: &mut Vec<u8>) {
        if self.has_room((records.len() / RECORD) as u64) {
            self.items.append(records);
        } else {
            records.clear();
        }
    }

    /// Whether so many more items are not too many; if they are, that is noted once.
    fn has_room(&mut self, more: u64) -> bool {
        let was_full = self.count > MOST;
        self.count = self.count.saturating_add(more);
        let has_room = self.count <= MOST;
        if !was_full && !has_room {
            self.flaw(Reason::InspectionLimit, 1, None);
        }
        has_room
    }

    /// Takes over others' notes.
    pub fn absorb(&mut self, others: Self) {
        self.absorb_of(others, &crate::flaw::CONTENT);
    }

    /// Takes over others' items, and flaws of these reasons.
    pub fn absorb_of(&mut self, mut others: Self, reasons: &[Reason]) {
        self.absorb_items(&mut others);
        for flaw in others.flaws.into_vec().into_iter().filter(|flaw| reasons.contains(&flaw.reason)) {
            self.flaws.add(flaw.reason, flaw.line, flaw.span, flaw.member.as_deref());
        }
    }

    /// An item.
    pub fn item(&mut self, item: Item) {
        if self.has_room(1) {
            self.items.extend_from_slice(&item.to_record());
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Effect;
    use crate::{Action, Decision, Demands, Look, Opaque, Policy, Terms};
    use base::Digest;
    use bundle::Artifact;

    /// Whatever the format, and however lax the policy: what could not be looked at to its end is withheld.
    #[test]
    fn content_that_takes_too_long_is_withheld() {
        let many = |one: &dyn Fn(usize) -> String| (1..=200).map(one).collect::<String>();
        let rules = many(&|n| format!("alert tcp any any -> any any (sid:{n};)\n"));
        let yara = many(&|n| format!("rule r{n} {{ condition: true }}\n"));
        let hashes = many(&|n| format!("{n:064x}\n"));
        let sigma = many(&|n| format!("---\ntitle: r{n}\nlogsource: {{}}\ndetection: {{a: b, condition: a}}\n"));
        let attributes = many(&|n| format!("{{\"type\":\"port\",\"value\":\"{n}\"}},"));
        let event = format!("{{\"Event\":{{\"info\":\"x\",\"Attribute\":[{}]}}}}", attributes.trim_end_matches(','));
        let policy = Policy { name: "p".into(), about: String::new(), rules: Vec::new(), otherwise: Action::Strip };
        let (kinds, opaque) = (Kind::ALL, Opaque::default());
        let terms = Terms { kinds, policy: &policy, may_suppress: true, opaque, demands: Demands::default() };
        for (path, text) in
            [("a.rules", &rules), ("a.yar", &yara), ("a.txt", &hashes), ("a.yml", &sigma), ("a.json", &event)]
        {
            let bytes = text.as_bytes();
            let decided = |seconds: i64| {
                let mut look = Look::new(path);
                look.notes.watch = Stopwatch::after(seconds);
                look.take(bytes);
                let finding = look.finding();
                let kind = finding.kind.map_or("?", Kind::name).to_owned();
                let size = bytes.len() as u64;
                let artifact = Artifact { path: path.into(), size, sha256: Digest::of(bytes), kind, carried: true };
                let (verdict, cuts) = finding.judge(&artifact, terms).unwrap();
                assert!(cuts.is_empty());
                (verdict.decision, verdict.reason)
            };
            let limit = (Decision::Withheld, Some(Reason::InspectionLimit));
            assert_eq!(decided(i64::try_from(MOST_SECONDS).unwrap()), limit, "{path}");
            assert_eq!(decided(0), (Decision::Cleared, None), "{path}");
        }
    }

    #[test]
    fn too_many_items_are_noted_once() {
        let mut notes = Notes { count: MOST - 1, ..Notes::default() };
        let item = Item::value("t", b"v", 0, Effect::Detects);
        (0..3).for_each(|_| notes.item(item));
        let mut others = Notes::default();
        others.item(item);
        notes.absorb_items(&mut others);
        let mut kept = Vec::new();
        notes.append_items(&mut kept);
        assert_eq!(kept, item.to_record());
        let flaws: Vec<_> = notes.into_flaws().into_vec().into_iter().map(|flaw| (flaw.reason, flaw.span)).collect();
        assert_eq!(flaws, [(Reason::InspectionLimit, None)]);
    }
}
