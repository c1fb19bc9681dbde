//! Compares the names of rules and signatures in a release with those of the releases that agents load together with
//! it: an engine that finds one name twice takes one of the two, and nothing says which.
//!
//! The feed that has a name first in what is published keeps it without a question; a feed that brings it after that is
//! asked about each content that differs from the first one's. Which names a feed had from another stands beside its
//! release.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::compare::{PlacedItem, ReleaseItems, portions_of};
use super::items::Section;
use super::{Release, State, Trust};
use base::proven::ProvenFile;
use base::{Digest, Fault, durable};
use bundle::ReleaseId;
use inspect::Verdict;
use inspect::item::Effect;

/// NameDigest of the file that lists the names which another feed had first.
pub(super) const FILE: &str = "names.json";

/// Digest of a name.
type NameDigest = [u8; 16];

/// Most names, or pairs of clashing ones, that are listed one by one.
const MOST: usize = 1 << 16;

/// Names that a feed has, and another feed had first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct FollowedNames {
    /// True if there are too many to be listed: each name that the feed has counts as one.
    all: bool,
    /// The names.
    names: BTreeSet<NameDigest>,
}

impl FollowedNames {
    fn contains(&self, name: &NameDigest) -> bool {
        self.all || self.names.contains(name)
    }

    fn insert(&mut self, name: NameDigest) {
        self.names.insert(name);
        if self.names.len() > MOST {
            *self = Self { all: true, names: BTreeSet::new() };
        }
    }

    /// True if there is none.
    pub(super) fn is_empty(&self) -> bool {
        !self.all && self.names.is_empty()
    }
}

/// Release with its items and verdicts, opened to be compared.
struct OpenRelease {
    verdicts: Vec<Verdict>,
    sections: Vec<Section>,
    file: Rc<ProvenFile>,
}

impl OpenRelease {
    /// Opens a release that is kept.
    fn open(state: &State, release: &Release) -> Result<Self, Fault> {
        let (sections, file) = state.items(release)?;
        Ok(Self { verdicts: state.verdicts(release)?, sections, file })
    }

    /// Items, to be read.
    fn items(&self) -> ReleaseItems<'_> {
        ReleaseItems { verdicts: &self.verdicts, sections: self.sections.clone(), file: Rc::clone(&self.file) }
    }
}

/// Release of the feed that agents have, with the names that another feed had first.
struct PublishedNames<'a> {
    /// Items.
    items: &'a ReleaseItems<'a>,
    /// Names that another feed had first.
    followed: &'a FollowedNames,
}

/// Names of a release that another one, which agents load too, has with another content.
#[derive(Default)]
pub(crate) struct NamesInCommon {
    /// Number of them.
    pub count: u64,
    /// The first of them by place, as many as were asked for.
    first: BTreeMap<PairPlace, (PlacedItem, PlacedItem)>,
}

/// Place of a pair: artifact and offset of this release's item, and its name.
type PairPlace = (u32, u64, NameDigest);

impl NamesInCommon {
    /// The first of them by place: the other's item, and this release's.
    pub(crate) fn into_pairs(self) -> impl Iterator<Item = (PlacedItem, PlacedItem)> {
        self.first.into_values()
    }

    /// Counts a pair, and keeps it if it is one of the first `most`: a hostile bundle has as many as fit into it.
    fn put(&mut self, theirs: PlacedItem, mine: PlacedItem, most: usize) {
        self.count += 1;
        self.first.insert((mine.artifact, mine.item.offset, mine.item.key), (theirs, mine));
        if self.first.len() > most.min(MOST) {
            self.first.pop_last();
        }
    }
}

/// Finds the names that `new` brings and `other`, which agents load together with it, has with another content. A name
/// that the feed has had in what is published is a question only where `other` had it first, and only with another
/// content.
fn names_in_common(
    published: Option<&PublishedNames<'_>>,
    new: &ReleaseItems<'_>,
    other: &ReleaseItems<'_>,
    (followed, most): (&mut FollowedNames, usize),
) -> Result<NamesInCommon, Fault> {
    let news = new.parts(published.map(|it| it.items));
    let portions = portions_of(&news);
    let mut found = NamesInCommon::default();
    for portion in 0..portions {
        let part = (portion, portions);
        // More of one name than are held at a time is what no honest content has.
        let mut items = new.portion(&news, part, &mut |_| found.count += 1)?;
        items.retain(is_named);
        if items.is_empty() {
            continue;
        }
        let mine: BTreeSet<NameDigest> = items.iter().map(|placed| placed.item.key).collect();
        let (mut had, mut unchanged) = (BTreeSet::new(), BTreeSet::new());
        if let Some(PublishedNames { items: before, .. }) = published {
            before.each_in(&before.parts(None), part, &mut |placed| {
                if is_named(&placed) && mine.contains(&placed.item.key) {
                    had.insert(placed.item.key);
                    unchanged.insert((placed.item.key, placed.item.content));
                }
            })?;
        }
        let contents: BTreeSet<(NameDigest, NameDigest)> =
            items.iter().map(|it| (it.item.key, it.item.content)).collect();
        let (mut theirs, mut same) = (BTreeMap::new(), BTreeSet::new());
        other.each_in(&other.parts(None), part, &mut |placed| {
            let (key, content) = (placed.item.key, placed.item.content);
            if is_named(&placed) && mine.contains(&key) {
                theirs.entry(key).or_insert(placed);
                same.extend(Some((key, content)).filter(|it| contents.contains(it)));
            }
        })?;
        for these in items.chunk_by(|one, other| one.item.key == other.item.key) {
            let Some(key) = these.first().map(|placed| placed.item.key) else { continue };
            let Some(theirs) = theirs.get(&key) else { continue };
            let is_first = had.contains(&key) && published.is_none_or(|it| !it.followed.contains(&key));
            if is_first {
                continue;
            }
            followed.insert(key);
            let is_question = |placed: &&PlacedItem| {
                let content = (placed.item.key, placed.item.content);
                !same.contains(&content) && !unchanged.contains(&content)
            };
            if let Some(mine) = these.iter().find(is_question) {
                found.put(*theirs, *mine, most);
            }
        }
    }
    Ok(found)
}

/// True for a rule or signature that is in force; an indicator that stands in two lists is one value.
fn is_named(placed: &PlacedItem) -> bool {
    placed.item.effect != Effect::Off && placed.item.key != placed.item.content
}

impl State {
    /// Names of a release that another feed had first; none of one that was imported before they were noted.
    fn followed_names(&self, release: &Release) -> Result<FollowedNames, Fault> {
        let Some(digest) = release.files().find(|(name, _)| *name == FILE).map(|(_, digest)| *digest) else {
            return Ok(FollowedNames::default());
        };
        durable::read_json(&self.release_path(&release.id()).join(FILE), digest)
    }

    /// Compares the names of `new` with those of releases that agents load together with it: what it has in common with
    /// each, with the first `most` pairs of each, and which names another feed had first.
    pub(crate) fn names_beside(
        &self,
        trust: &Trust,
        new: &ReleaseItems<'_>,
        served: Option<&ReleaseId>,
        (beside, most): (&[ReleaseId], usize),
    ) -> Result<(Vec<(Release, NamesInCommon)>, FollowedNames), Fault> {
        let (mut found, mut followed) = (Vec::new(), FollowedNames::default());
        if beside.is_empty() {
            return Ok((found, followed));
        }
        let served = served.map(|served| self.release(trust, served)).transpose()?;
        let before = served.as_ref().map(|it| self.followed_names(it)).transpose()?.unwrap_or_default();
        followed.clone_from(&before);
        let opened = served.map(|served| OpenRelease::open(self, &served)).transpose()?;
        let items = opened.as_ref().map(OpenRelease::items);
        let published = items.as_ref().map(|items| PublishedNames { items, followed: &before });
        for id in beside {
            let other = self.release(trust, id)?;
            let theirs = OpenRelease::open(self, &other)?;
            let common = names_in_common(published.as_ref(), new, &theirs.items(), (&mut followed, most))?;
            found.push((other, common));
        }
        Ok((found, followed))
    }
}

/// Writes the names that another feed had first; gives the digest of the file.
pub(super) fn write(folder: &Path, followed: &FollowedNames) -> Result<Digest, Fault> {
    durable::replace_json(&folder.join(FILE), followed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use inspect::item::Item;

    /// A bundle that clashes in each of many names is counted in whole, and its first pairs are kept: memory is
    /// bounded.
    #[test]
    fn pairs_are_counted_and_the_first_kept() {
        let placed = |number: u64| PlacedItem {
            item: Item::new("rule", &number.to_be_bytes(), b"x", number, Effect::Off),
            artifact: u32::from(number.is_multiple_of(2)),
        };
        let (all, mut found, mut few) = (300_000, NamesInCommon::default(), NamesInCommon::default());
        for number in (0..all).rev() {
            found.put(placed(number), placed(number), usize::MAX);
            few.put(placed(number), placed(number), 0);
            assert!(found.first.len() <= MOST && few.first.is_empty());
        }
        assert_eq!((found.count, few.count), (all, all));
        let kept: Vec<u64> = found.into_pairs().map(|(_, mine)| mine.item.offset).collect();
        assert_eq!(kept, (0..MOST as u64).map(|number| 2 * number + 1).collect::<Vec<_>>());
    }
}
