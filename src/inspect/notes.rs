//! Notes of the formats' inspectors: flaws, and the items that came by.

use std::collections::BTreeSet;

use super::Kind;
use super::budget::TimeBudget;
use super::finding::DatabaseHeader;
use super::flaw::{Flaw, FlawPart, Flaws};
use super::item::{Item, MOST, RECORD};
use base::Reason;
use base::clock::WorkTimer;
use base::ipc::wire::LONGEST_BYTES;

/// Time limit for the inspection of one artifact, in seconds of its own: far above what honest content takes.
const MOST_SECONDS: u64 = 60;

/// Number of steps between two looks at the time.
const TURN: u64 = 64;

/// Bytes of records that are worth a message: a frame takes twice as many.
const WORTH: usize = (LONGEST_BYTES / 2).next_multiple_of(RECORD) - RECORD;

/// Takes records of items, whole ones.
pub(crate) type Items<'a> = &'a mut (dyn FnMut(&[u8]) + Send);

/// Notes on one artifact, whatever is inside of what in it: flaws are kept, items handed over as they come.
#[derive(Default)]
pub struct Notes<'a> {
    flaws: Flaws,
    /// Records that were not handed over yet.
    items: Vec<u8>,
    /// Takes them; nobody wants them where it is none.
    to: Option<Items<'a>>,
    /// Number of items.
    count: u64,
    /// Time limit of the artifact, from the first look at the time.
    timer: Option<WorkTimer>,
    /// Time budget of the artifact's bundle, if it is of one.
    budget: Option<TimeBudget>,
    steps: u64,
    is_over: bool,
    /// The file of an archive that is looked at.
    member: Option<String>,
    /// Kinds of the files in an archive.
    pub kinds: BTreeSet<Kind>,
    /// Header of a ClamAV database.
    pub database: Option<DatabaseHeader>,
}

impl<'a> Notes<'a> {
    /// Notes whose items go to `to`.
    pub fn new(to: Items<'a>) -> Self {
        Self { to: Some(to), ..Self::default() }
    }

    /// Notes on an artifact of a bundle with this budget.
    pub(crate) fn within(self, budget: TimeBudget) -> Self {
        Self { budget: Some(budget), ..self }
    }

    /// Budget of the artifact's bundle.
    pub(crate) fn budget(&self) -> Option<TimeBudget> {
        self.budget
    }

    /// Something that may not pass in this line, and what has to be left out for it to be gone.
    pub fn flaw(&mut self, reason: Reason, line: u64, part: FlawPart) {
        self.flaws.add(reason, line, part, self.member.as_deref());
    }

    /// Begins a file of an archive, or the archive itself: later notes are about it.
    pub fn enter(&mut self, member: Option<&str>) {
        self.member = member.map(str::to_owned);
    }

    /// Notes that the archive is malformed, and why.
    pub fn form(&mut self, wrong: &str) {
        self.flaws.add(Reason::ArchiveForm, 1, FlawPart::Whole, Some(wrong));
    }

    /// Reads something inside of the artifact, whose flaws are given apart: what they mean for the artifact is for the
    /// caller to say. Time and items are the artifact's.
    pub fn aside<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> (T, Vec<Flaw>) {
        let (flaws, member) = (std::mem::take(&mut self.flaws), self.member.take());
        let told = read(self);
        self.member = member;
        (told, std::mem::replace(&mut self.flaws, flaws).into_vec())
    }

    /// An item.
    pub fn item(&mut self, item: Item) {
        if !self.has_room() || self.to.is_none() {
            return;
        }
        self.items.extend_from_slice(&item.to_record());
        if self.items.len() >= WORTH {
            self.hand_over();
        }
    }

    /// Counts one more item; false if it is one too many, which is noted once.
    fn has_room(&mut self) -> bool {
        self.count = self.count.saturating_add(1);
        if self.count == MOST + 1 {
            self.flaw(Reason::InspectionLimit, 1, FlawPart::Whole);
        }
        self.count <= MOST
    }

    /// Hands over the items that wait.
    pub fn hand_over(&mut self) {
        if let Some(to) = &mut self.to {
            to(&self.items);
        }
        self.items.clear();
    }

    /// Checks whether the time for this artifact, or for its bundle, is over: asked by each inspector before its next
    /// step, which must be short. What was seen until then does not count: the artifact is withheld.
    pub fn is_over(&mut self, line: u64) -> bool {
        self.steps += 1;
        if !self.is_over && self.steps.is_multiple_of(TURN) && self.is_time_up() {
            self.is_over = true;
            self.flaw(Reason::InspectionLimit, line, FlawPart::Whole);
        }
        self.is_over
    }

    fn is_time_up(&mut self) -> bool {
        self.timer.get_or_insert_with(|| WorkTimer::new(MOST_SECONDS)).is_up()
            || self.budget.is_some_and(|budget| budget.is_used_up())
    }

    /// True if it was over at the last check.
    pub fn was_over(&self) -> bool {
        self.is_over
    }

    /// All flaws.
    pub fn into_flaws(self) -> Vec<Flaw> {
        self.flaws.into_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::look;
    use crate::item::Effect;
    use crate::{Action, ContentPolicy, Demands, InspectionTerms, Opaque, VerdictKind};
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
        let policy =
            ContentPolicy { name: "p".into(), about: String::new(), rules: Vec::new(), otherwise: Action::Strip };
        let (kinds, opaque) = (Kind::ALL, Opaque::default());
        let terms = InspectionTerms { kinds, policy: &policy, may_suppress: true, opaque, demands: Demands::default() };
        for (path, text) in
            [("a.rules", &rules), ("a.yar", &yara), ("a.txt", &hashes), ("a.yml", &sigma), ("a.json", &event)]
        {
            let bytes = text.as_bytes();
            let decided = |most: u64| {
                let mut notes = Notes { timer: Some(WorkTimer::new(most)), ..Notes::default() };
                let finding = look(path, &mut { bytes }, &mut notes).unwrap();
                let kind = finding.kind.map_or("?", Kind::name).to_owned();
                let size = bytes.len() as u64;
                let artifact = Artifact { path: path.into(), size, sha256: Digest::of(bytes), kind, carried: true };
                let judged = finding.judge(&artifact, terms).unwrap();
                assert!(judged.cuts().is_empty());
                (judged.verdict().decision, judged.verdict().reason)
            };
            let limit = (VerdictKind::Withheld, Some(Reason::InspectionLimit));
            assert_eq!(decided(0), limit, "{path}");
            assert_eq!(decided(MOST_SECONDS), (VerdictKind::Cleared, None), "{path}");
        }
    }

    #[test]
    fn too_many_items_are_noted_once() {
        let (mut kept, item) = (Vec::new(), Item::value("t", b"v", 0, Effect::Detects));
        let mut to = |records: &[u8]| kept.extend_from_slice(records);
        let mut notes = Notes { count: MOST - 1, ..Notes::new(&mut to) };
        (0..3).for_each(|_| notes.item(item));
        notes.hand_over();
        let flaws: Vec<_> = notes.into_flaws().into_iter().map(|flaw| (flaw.reason, flaw.part)).collect();
        assert_eq!(kept, item.to_record());
        assert_eq!(flaws, [(Reason::InspectionLimit, FlawPart::Whole)]);
    }
}
