//! Compares two releases of a feed item by item: additions, removals, changes, and first of all what became weaker. It
//! reads the records of items alone (see `inspect/item.rs`), no format's text; and those in portions, so that memory
//! stays flat however many there are: an item is in the same portion in both releases, since its key says which.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::items::Section;
use base::proven::ProvenFile;
use base::{Digest, Fault};
use inspect::item::{Effect, Item, RECORD};
use inspect::{Kind, Verdict};

/// Items that are held at a time, about: some 24 MB.
const PORTION: u64 = 500_000;

/// Records that are read together.
const TOGETHER: usize = 256;

/// Most items of one release that are held at a time. More than that in one portion have one key, which no honest
/// content has: those are reported as removed and as added, which says too much and never too little.
const MOST: usize = 2_000_000;

/// Change of an item between two releases. Changes that make detection weaker come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Change {
    /// The item detected, and is gone.
    Removed,
    /// The item was in force, and is only a comment now.
    SwitchedOff,
    /// The item keeps something else from detecting, and did not before, or was not there.
    Suppresses,
    /// The item stopped or changed traffic, and only detects now.
    ActsNoMore,
    /// A limit (threshold, noalert, private) narrows when or whether the item alerts, and did not before.
    Limited,
    /// The item has the same name and another content.
    Changed,
    /// The item is new, and detects.
    Added,
    /// The item was only a comment, and is in force now.
    SwitchedOn,
    /// The item stops or changes traffic, and only detected before.
    Acts,
    /// The item kept something else from detecting, and is gone or no longer does so.
    SuppressesNoMore,
    /// The item was added, removed or changed, and is not in force: a rule behind a comment sign.
    NotInForce,
}

impl Change {
    /// True for a change that makes detection weaker.
    pub(crate) fn is_weaker(self) -> bool {
        self <= Self::Limited
    }

    /// True if agents lose the item.
    pub(crate) fn is_loss(self) -> bool {
        matches!(self, Self::Removed | Self::SwitchedOff)
    }

    /// Text of the change, for several items.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::SwitchedOff => "switched off",
            Self::Suppresses => "now keep other rules from detecting",
            Self::ActsNoMore => "no longer stop or change traffic",
            Self::Limited => "now limited (threshold, noalert, private)",
            Self::Changed => "changed",
            Self::Added => "added",
            Self::SwitchedOn => "switched on",
            Self::Acts => "now stop or change traffic",
            Self::SuppressesNoMore => "no longer keep other rules from detecting",
            Self::NotInForce => "added, removed or changed, but not in force (comments)",
        }
    }
}

/// Item and the artifact that it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlacedItem {
    /// The item.
    pub item: Item,
    /// Index of the artifact among the release's verdicts.
    pub artifact: u32,
}

/// Item before and after; none where it is absent.
pub(crate) type ItemPair = (Option<PlacedItem>, Option<PlacedItem>);

/// Items of one release.
pub(crate) struct ReleaseItems<'a> {
    /// Verdicts of the release.
    pub verdicts: &'a [Verdict],
    /// Sections: the records that belong to each artifact.
    pub sections: Vec<Section>,
    /// File of the records.
    pub file: Rc<ProvenFile>,
}

/// Range of records to be read, and the artifact that they belong to.
pub(super) struct RecordRange {
    first: u64,
    count: u64,
    artifact: u32,
}

impl ReleaseItems<'_> {
    /// Selects the sections that `other` does not have unchanged; without `other`, all. An artifact that is the same in
    /// both changes nothing.
    pub(super) fn parts(&self, other: Option<&Self>) -> Vec<RecordRange> {
        let digests = |side: &Self| -> BTreeMap<Digest, usize> {
            let mut digests = BTreeMap::new();
            for (sha256, _) in side.verdicts.iter().filter_map(Verdict::kept) {
                *digests.entry(sha256).or_default() += 1;
            }
            digests
        };
        let (mine, theirs) = (digests(self), other.map(digests).unwrap_or_default());
        let sections: BTreeMap<Digest, &Section> = self.sections.iter().map(|s| (s.sha256, s)).collect();
        let mut parts = Vec::new();
        for (place, verdict) in self.verdicts.iter().enumerate() {
            let Some((sha256, _)) = verdict.kept() else { continue };
            if let Some(section) = sections.get(&sha256).filter(|_| mine.get(&sha256) != theirs.get(&sha256)) {
                let artifact = u32::try_from(place).unwrap_or(u32::MAX);
                parts.push(RecordRange { first: section.first, count: section.count, artifact });
            }
        }
        parts
    }

    /// Number of all items.
    pub(crate) fn count(&self) -> u64 {
        self.sections.iter().map(|section| section.count).sum()
    }

    /// Reads the items of one portion, in the order of their keys; those above the limit go to `spill`.
    pub(super) fn portion(
        &self,
        parts: &[RecordRange],
        part: (u64, u64),
        spill: &mut dyn FnMut(PlacedItem),
    ) -> Result<Vec<PlacedItem>, Fault> {
        let mut found = Vec::new();
        let mut take = |placed| if found.len() < MOST { found.push(placed) } else { spill(placed) };
        self.each_in(parts, part, &mut take)?;
        found.sort_unstable_by(by_key);
        Ok(found)
    }

    /// Reads the items of one portion, in no particular order.
    pub(super) fn each_in(
        &self,
        parts: &[RecordRange],
        (portion, portions): (u64, u64),
        tell: &mut dyn FnMut(PlacedItem),
    ) -> Result<(), Fault> {
        let damaged = || Fault::damaged("the file `items` of a release", "one of its records cannot be read");
        let mut records = [0; TOGETHER * RECORD];
        for part in parts {
            let (mut first, mut left) = (part.first, part.count);
            while left > 0 {
                let count = usize::try_from(left).unwrap_or(TOGETHER).min(TOGETHER);
                let read = records.get_mut(..count * RECORD).unwrap_or_default();
                self.file.read_at(first.saturating_mul(RECORD as u64), read)?;
                for record in read.chunks_exact(RECORD) {
                    let place = u64::from(record.first_chunk().copied().map_or(0, u16::from_be_bytes));
                    if (place * portions) >> 16 == portion {
                        let item = Item::parse(record).ok_or_else(damaged)?;
                        tell(PlacedItem { item, artifact: part.artifact });
                    }
                }
                (first, left) = (first.saturating_add(count as u64), left - count as u64);
            }
        }
        Ok(())
    }
}

/// Number of portions in which these records are read.
pub(super) fn portions_of(parts: &[RecordRange]) -> u64 {
    parts.iter().map(|part| part.count).sum::<u64>().div_ceil(PORTION).clamp(1, 1 << 16)
}

fn by_key(one: &PlacedItem, other: &PlacedItem) -> Ordering {
    let order = |placed: &PlacedItem| {
        let Item { key, content, effect, is_limited, offset } = placed.item;
        (key, content, effect, is_limited, placed.artifact, offset)
    };
    order(one).cmp(&order(other))
}

/// Reports each change from `old` to `new` to `tell`, in no particular order. Faults: a file of items is damaged.
pub(crate) fn compare(
    old: &ReleaseItems<'_>,
    new: &ReleaseItems<'_>,
    tell: &mut dyn FnMut(Change, ItemPair),
) -> Result<(), Fault> {
    let (olds, news) = (old.parts(Some(new)), new.parts(Some(old)));
    let count = |parts: &[RecordRange]| parts.iter().map(|part| part.count).sum::<u64>();
    let portions = (count(&olds) + count(&news)).div_ceil(PORTION).clamp(1, 1 << 16);
    for portion in 0..portions {
        let part = (portion, portions);
        let olds = old.portion(&olds, part, &mut |placed| tell(removal(&placed.item), (Some(placed), None)))?;
        let news = new.portion(&news, part, &mut |placed| tell(addition(&placed.item), (None, Some(placed))))?;
        merge(&olds, &news, tell);
    }
    Ok(())
}

/// Counts the rules of one release that stand more than once in its files, or in one of its archives. An engine that
/// loads those takes one of each, and nothing says which. Faults: the file of items is damaged.
pub(crate) fn count_duplicates(side: &ReleaseItems<'_>) -> Result<u64, Fault> {
    // An engine loads an archive instead of the files, not together with them.
    let loaded_with = |artifact: u32| {
        let verdict = usize::try_from(artifact).ok().and_then(|at| side.verdicts.get(at));
        match verdict.filter(|verdict| verdict.kept().is_some())?.shown? {
            Kind::SuricataRules | Kind::YaraSource => Some(u32::MAX),
            Kind::RulesArchive => Some(artifact),
            _ => None,
        }
    };
    let mut parts = side.parts(None);
    parts.retain(|part| loaded_with(part.artifact).is_some());
    let portions = portions_of(&parts);
    let mut twice = 0;
    for portion in 0..portions {
        let items = side.portion(&parts, (portion, portions), &mut |_| twice += 1)?;
        // An indicator that stands in two lists is one value, not a duplicate.
        let in_force = items.iter().map(|placed| (placed.item, loaded_with(placed.artifact)));
        let in_force = in_force.filter(|(item, _)| item.effect != Effect::Off && item.key != item.content);
        let mut keys: Vec<_> = in_force.map(|(item, with)| (with, item.key)).collect();
        keys.sort_unstable();
        twice += keys.chunk_by(|one, other| one == other).filter(|these| these.len() > 1).count() as u64;
    }
    Ok(twice)
}

/// Reports the changes of one portion. Both lists are in the order of their keys.
fn merge(mut olds: &[PlacedItem], mut news: &[PlacedItem], tell: &mut dyn FnMut(Change, ItemPair)) {
    while let Some(key) = [olds.first(), news.first()].into_iter().flatten().map(|placed| placed.item.key).min() {
        let split = |all: &mut &[PlacedItem]| {
            let (these, rest) = all.split_at(all.partition_point(|placed| placed.item.key == key));
            *all = rest;
            these.to_vec()
        };
        let (mut before, mut after) = (split(&mut olds), split(&mut news));
        // Paired first: equal items, in whatever file they stand; then items of equal content; then what is left.
        drop(pair(&mut before, &mut after, |item| (item.content, item.effect, item.is_limited)));
        let mut pairs = pair(&mut before, &mut after, |item| item.content);
        let left = before.len().min(after.len());
        pairs.extend(before.drain(..left).zip(after.drain(..left)));
        for (one, other) in pairs {
            tell(classify_change(&one.item, &other.item), (Some(one), Some(other)));
        }
        for placed in before {
            tell(removal(&placed.item), (Some(placed), None));
        }
        for placed in after {
            tell(addition(&placed.item), (None, Some(placed)));
        }
    }
}

/// Takes out pairs for which `by` gives the same value. Both lists are in the order of that value.
fn pair<K: Ord>(
    before: &mut Vec<PlacedItem>,
    after: &mut Vec<PlacedItem>,
    by: impl Fn(&Item) -> K,
) -> Vec<(PlacedItem, PlacedItem)> {
    let mut pairs = Vec::new();
    let mut others = std::mem::take(after).into_iter().peekable();
    before.retain(|one| {
        let key = by(&one.item);
        after.extend(std::iter::from_fn(|| others.next_if(|other| by(&other.item) < key)));
        match others.next_if(|other| by(&other.item) == key) {
            Some(other) => {
                pairs.push((*one, other));
                false
            }
            None => true,
        }
    });
    after.extend(others);
    pairs
}

fn removal(item: &Item) -> Change {
    match item.effect {
        Effect::Off => Change::NotInForce,
        Effect::Suppresses => Change::SuppressesNoMore,
        Effect::Detects | Effect::Acts => Change::Removed,
    }
}

fn addition(item: &Item) -> Change {
    match item.effect {
        Effect::Off => Change::NotInForce,
        Effect::Suppresses => Change::Suppresses,
        Effect::Detects | Effect::Acts => Change::Added,
    }
}

fn classify_change(before: &Item, after: &Item) -> Change {
    match (before.effect, after.effect) {
        (Effect::Off, Effect::Off) => Change::NotInForce,
        (Effect::Suppresses, Effect::Suppresses) => Change::Changed,
        (_, Effect::Suppresses) => Change::Suppresses,
        (Effect::Suppresses, _) => Change::SuppressesNoMore,
        (_, Effect::Off) => Change::SwitchedOff,
        (Effect::Off, _) => Change::SwitchedOn,
        (Effect::Acts, Effect::Detects) => Change::ActsNoMore,
        (Effect::Detects, Effect::Acts) => Change::Acts,
        _ if after.is_limited && !before.is_limited => Change::Limited,
        _ => Change::Changed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(key: &str, content: &str, effect: Effect, is_limited: bool) -> PlacedItem {
        let item = Item::new("t", key.as_bytes(), content.as_bytes(), 0, effect);
        PlacedItem { item: Item { is_limited, ..item }, artifact: 0 }
    }

    fn changes_between(mut olds: Vec<PlacedItem>, mut news: Vec<PlacedItem>) -> Vec<Change> {
        olds.sort_unstable_by(by_key);
        news.sort_unstable_by(by_key);
        let mut told = Vec::new();
        merge(&olds, &news, &mut |change, _| told.push(change));
        told.sort_unstable();
        told
    }

    #[test]
    fn each_change_by_its_name() {
        use Effect::{Acts, Detects, Off, Suppresses};
        for (before, after, change) in [
            (Some((Detects, "a", false)), None, Change::Removed),
            (Some((Detects, "a", false)), Some((Off, "a", false)), Change::SwitchedOff),
            (Some((Detects, "a", false)), Some((Suppresses, "b", false)), Change::Suppresses),
            (None, Some((Suppresses, "b", false)), Change::Suppresses),
            (Some((Off, "a", false)), Some((Suppresses, "a", false)), Change::Suppresses),
            (Some((Acts, "a", false)), Some((Detects, "b", false)), Change::ActsNoMore),
            (Some((Detects, "a", false)), Some((Detects, "b", true)), Change::Limited),
            (Some((Detects, "a", true)), Some((Detects, "b", true)), Change::Changed),
            (None, Some((Detects, "a", false)), Change::Added),
            (Some((Off, "a", false)), Some((Detects, "a", false)), Change::SwitchedOn),
            (Some((Detects, "a", false)), Some((Acts, "b", false)), Change::Acts),
            (Some((Suppresses, "a", false)), None, Change::SuppressesNoMore),
            (Some((Off, "a", false)), None, Change::NotInForce),
        ] {
            let side = |one: Option<(Effect, &str, bool)>| -> Vec<PlacedItem> {
                let other = placed("same", "same", Detects, false);
                one.map(|(effect, content, limited)| placed("k", content, effect, limited))
                    .into_iter()
                    .chain([other])
                    .collect()
            };
            assert_eq!(changes_between(side(before), side(after)), [change], "{before:?} {after:?}");
        }
    }

    #[test]
    fn items_of_one_name_are_paired_and_none_is_lost() {
        let one = |content| placed("k", content, Effect::Detects, false);
        assert_eq!(
            changes_between(vec![one("a"), one("b"), one("c")], vec![one("b"), one("d")]),
            [Change::Removed, Change::Changed]
        );
        assert_eq!(changes_between(vec![one("a")], vec![one("a"), one("a")]), [Change::Added]);
    }
}
