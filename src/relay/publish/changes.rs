//! Changes of a release against the one that agents have now, item by item: counts, and examples to look at.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::beside::beside;
use crate::state::compare::{Change, ItemPair, PlacedItem, ReleaseItems, compare};
use crate::state::lost_files::{kept_files, lost_files};
use crate::state::release::Packed;
use crate::state::{Release, SMALL, State, Trust};
use base::proven::ProvenFile;
use base::{Digest, Fault};
use bundle::ReleaseId;
use config::{Config, Feed};
use inspect::{Kind, Verdict};

/// Most examples of one change, unless all are wanted.
const MOST: usize = 20;
/// Longest text of an example, in bytes.
const LONGEST: u64 = 300;

/// Change of an item from one release to another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ItemChanges {
    /// The release that it is compared with, as FEED/VERSION; none where none is served.
    pub served: Option<String>,
    /// Number of items of the release that agents have.
    pub before: u64,
    /// Number of items of this release.
    pub after: u64,
    /// Changes, those that make detection weaker first; a change that does not occur is left out.
    pub changes: Vec<ChangeGroup>,
    /// Names that another feed of a channel has first, with another content, by feed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared: Vec<SharedNames>,
    /// Files that agents have now, and would not get any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<LostFiles>,
}

/// Files that agents have now, and that a release has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct LostFiles {
    /// Number of files that agents have.
    pub of: u64,
    /// Number of files that they would not get any more.
    pub count: u64,
    /// The first of their paths; at most 20, unless all were asked for.
    pub paths: Vec<String>,
}

/// Names of rules and signatures that a feed which agents load too has first, with another content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct SharedNames {
    /// Feed that has them.
    pub feed: String,
    /// Number of names.
    pub count: u64,
    /// The first of them: the line of that feed as the old one, the line of this release as the new one.
    pub examples: Vec<Example>,
}

/// One kind of change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeGroup {
    /// Change.
    pub change: Change,
    /// Number of items.
    pub count: u64,
    /// The first of them, by path and place; at most 20, unless all were asked for.
    pub examples: Vec<Example>,
}

/// An item as it stands in its artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Example {
    /// The artifact; the new one, where it is in both.
    pub path: String,
    /// The beginning of its line before, at most 300 bytes; none where it was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// The beginning of its line now; none where it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

impl ItemChanges {
    /// Digest that an officer's statement names.
    pub(crate) fn digest(&self) -> Result<Digest, Fault> {
        let bytes = serde_json::to_vec(self)
            .map_err(|_| Fault::Internal("the changes of a release cannot be written as JSON"))?;
        Ok(Digest::of(&bytes))
    }

    /// Effect of an approval of the release in a line of plain text, where agents would lose everything, or more than
    /// the feed's brake lets pass, or would have an id twice.
    pub(crate) fn effect(&self, release: &Release, feed: &Feed) -> Option<String> {
        let (brake, of) = (*feed.brake.get_ref(), self.before);
        let lost: u64 = self.changes.iter().filter(|it| it.change.is_loss()).map(|it| it.count).sum();
        let mut effects = Vec::new();
        if release.counts.cleared + release.counts.stripped == 0 {
            effects.push(format!("publishes nothing: agents lose every file of feed {}", release.feed));
        } else {
            let is_more = |lost: u64, of: u64| lost.saturating_mul(100) > of.saturating_mul(brake);
            let files = self.files.as_ref().filter(|files| is_more(files.count, files.of));
            let files = files.map(|files| format!("{} of {} files", files.count, files.of));
            let items = is_more(lost, of).then(|| format!("{lost} of {of} rules, signatures and indicators"));
            let removed: Vec<String> = items.into_iter().chain(files).collect();
            if !removed.is_empty() {
                effects.push(format!("removes {}; the brake of the feed is {brake} %", removed.join(", and ")));
            }
        }
        for SharedNames { feed, count, .. } in &self.shared {
            let names = if *count == 1 { "rule or signature" } else { "rules or signatures" };
            effects.push(format!("brings {count} {names} by an id that feed {feed} has with another content"));
        }
        (!effects.is_empty()).then(|| effects.join("; and "))
    }

    /// The kinds of change that make detection weaker.
    pub(crate) fn weaker(&self) -> impl Iterator<Item = &ChangeGroup> {
        self.changes.iter().filter(|group| group.change.is_weaker())
    }
}

/// Number of examples that are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Examples {
    /// The first 20 of each change, which is what the digest is of.
    Few,
    /// All.
    All,
}

/// True if agents would go back by this release to older content than they have now: to an older database, or to
/// exactly what an earlier release had. At its import they may have had something else.
pub(crate) fn goes_back_now(
    (state, trust): (&State, &Trust),
    config: &Config,
    release: &Release,
) -> Result<bool, Fault> {
    let Some(served) = trust.shown_beside(config, &release.id()) else { return Ok(false) };
    let (now, new) = (state.verdicts(&state.release(trust, &served)?)?, state.verdicts(release)?);
    let is_older = |new: &Verdict| now.iter().any(|now| now.path == new.path && new.goes_back(now));
    if new.iter().filter(|verdict| verdict.database.is_some()).any(is_older) {
        return Ok(true);
    }
    let is_same = |other: &[Verdict]| {
        other.len() == new.len()
            && other.iter().zip(&new).all(|(one, other)| (&one.path, one.sha256) == (&other.path, other.sha256))
    };
    if is_same(&now) {
        return Ok(false);
    }
    let earlier = |id: &ReleaseId| id.feed == release.feed && id.version < release.version && *id != served;
    for id in trust.kept_releases().into_iter().filter(earlier) {
        if is_same(&state.verdicts(&state.release(trust, &id)?)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A release whose items can be looked up.
struct ReleaseReader<'a> {
    state: &'a State,
    id: ReleaseId,
    verdicts: &'a [Verdict],
    packed: BTreeMap<Digest, Packed>,
    /// Content of the last artifact that was read.
    last: RefCell<Option<(Digest, ProvenFile)>>,
}

/// Compares `release` with what is served of its feed now, and its names with those of other feeds that agents load
/// too.
pub(crate) fn item_changes(
    (state, trust): (&State, &Trust),
    config: &Config,
    release: &Release,
    wanted: Examples,
) -> Result<ItemChanges, Fault> {
    let (id, verdicts) = (release.id(), state.verdicts(release)?);
    let (sections, file) = state.items(release)?;
    let new = ReleaseItems { verdicts: &verdicts, sections, file };
    let news = ReleaseReader::new(state, release, &verdicts)?;
    let most = if wanted == Examples::All { usize::MAX } else { MOST };
    let shared = shared_names((state, trust), config, (&id, &new), &news, most)?;
    let Some(served) = trust.shown_beside(config, &id) else {
        return Ok(ItemChanges { after: new.count(), shared, ..ItemChanges::default() });
    };
    let served = state.release(trust, &served)?;
    let former = state.verdicts(&served)?;
    let (sections, file) = state.items(&served)?;
    let old = ReleaseItems { verdicts: &former, sections, file };
    let mut found: BTreeMap<Change, (u64, FirstExamples)> = BTreeMap::new();
    compare(&old, &new, &mut |change, pair| {
        let (count, few) = found.entry(change).or_default();
        *count += 1;
        few.put(pair, most);
    })?;
    let olds = ReleaseReader::new(state, &served, &former)?;
    let changes = found
        .into_iter()
        .map(|(change, (count, FirstExamples(pairs)))| {
            let examples = pairs.into_values().map(|pair| example(pair, &olds, &news)).collect::<Result<_, _>>()?;
            Ok(ChangeGroup { change, count, examples })
        })
        .collect::<Result<_, Fault>>()?;
    let lost = lost_files(&former, &verdicts);
    let paths = lost.iter().take(most).map(|path| (*path).to_owned()).collect();
    let files = (!lost.is_empty()).then(|| LostFiles { of: kept_files(&former), count: lost.len() as u64, paths });
    let (before, after) = (old.count(), new.count());
    Ok(ItemChanges { served: Some(served.id().to_string()), before, after, changes, shared, files })
}

/// Names that other feeds of its channels have first, with another content.
fn shared_names(
    (state, trust): (&State, &Trust),
    config: &Config,
    (id, new): (&ReleaseId, &ReleaseItems<'_>),
    news: &ReleaseReader<'_>,
    most: usize,
) -> Result<Vec<SharedNames>, Fault> {
    let (found, _) = state.names_beside(
        trust,
        new,
        trust.shown_beside(config, id).as_ref(),
        (&beside((state, trust), config, &id.feed)?, most),
    )?;
    let mut shared: Vec<SharedNames> = Vec::new();
    for (other, common) in found.into_iter().filter(|(_, common)| common.count > 0) {
        let count = common.count;
        let verdicts = state.verdicts(&other)?;
        let theirs = ReleaseReader::new(state, &other, &verdicts)?;
        let pairs = common.into_pairs().map(|(old, new)| example((Some(old), Some(new)), &theirs, news));
        let examples = pairs.collect::<Result<_, _>>()?;
        // Of what is shown and what is shown next one answer for both.
        match shared.iter_mut().find(|it| it.feed == other.feed) {
            Some(known) if known.count >= count => {}
            Some(known) => (known.count, known.examples) = (count, examples),
            None => shared.push(SharedNames { feed: other.feed, count, examples }),
        }
    }
    Ok(shared)
}

/// The first pairs by artifact and place, so that the same releases always give the same examples.
#[derive(Default)]
struct FirstExamples(BTreeMap<(u32, u64, u32, u64), ItemPair>);

impl FirstExamples {
    fn put(&mut self, pair: ItemPair, most: usize) {
        let place = |placed: Option<PlacedItem>| placed.map_or((u32::MAX, u64::MAX), |p| (p.artifact, p.item.offset));
        let ((artifact, offset), (was_artifact, was_offset)) = (place(pair.1), place(pair.0));
        self.0.insert((artifact, offset, was_artifact, was_offset), pair);
        if self.0.len() > most {
            self.0.pop_last();
        }
    }
}

fn example((old, new): ItemPair, olds: &ReleaseReader<'_>, news: &ReleaseReader<'_>) -> Result<Example, Fault> {
    let read =
        |placed: Option<PlacedItem>, open: &ReleaseReader<'_>| placed.map(|placed| open.read(placed)).transpose();
    let (old, new) = (read(old, olds)?, read(new, news)?);
    let path = new.as_ref().or(old.as_ref()).map(|(path, _)| path.clone()).unwrap_or_default();
    Ok(Example { path, old: old.map(|(_, text)| text), new: new.map(|(_, text)| text) })
}

impl<'a> ReleaseReader<'a> {
    fn new(state: &'a State, release: &Release, verdicts: &'a [Verdict]) -> Result<Self, Fault> {
        Ok(Self { state, verdicts, packed: state.pack_index(release)?, id: release.id(), last: RefCell::default() })
    }

    /// The path and the beginning of an item's line.
    fn read(&self, placed: PlacedItem) -> Result<(String, String), Fault> {
        let at = usize::try_from(placed.artifact).unwrap_or(usize::MAX);
        let damaged =
            || Fault::damaged(format!("the list of items of {}", self.id), "an item in it belongs to no artifact");
        let verdict = self.verdicts.get(at).ok_or_else(damaged)?;
        let (sha256, size) = verdict.kept().ok_or_else(damaged)?;
        if matches!(verdict.shown, Some(Kind::RulesArchive | Kind::ClamavCvd)) {
            return Ok((verdict.path.clone(), "in the archive".into()));
        }
        let (path, begin) = if size < SMALL {
            let packed = self.packed.get(&sha256).ok_or_else(damaged)?;
            (self.state.release_path(&self.id).join("pack"), packed.offset)
        } else {
            (self.state.blob_path(sha256), 0)
        };
        let length = usize::try_from(LONGEST.min(size.saturating_sub(placed.item.offset))).unwrap_or_default();
        let mut bytes = vec![0; length];
        let mut last = self.last.borrow_mut();
        // The items come by artifact: each is proven once.
        let (_, content) = match last.take().filter(|(digest, _)| *digest == sha256) {
            Some(known) => last.insert(known),
            None => last.insert((sha256, ProvenFile::open_part(&path, (begin, size), sha256)?)),
        };
        content.read_at(placed.item.offset, &mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        // An object of JSON has its name in one of the next lines.
        let text = match verdict.shown {
            Some(Kind::StixJson | Kind::MispJson) => text.split_whitespace().collect::<Vec<_>>().join(" "),
            _ => text.lines().next().unwrap_or_default().to_owned(),
        };
        Ok((verdict.path.clone(), text.trim_end_matches('\u{fffd}').to_owned()))
    }
}
