//! Garbage collection: removes sets beyond those kept, releases in none of them that are neither held
//! nor the newest of their feed, and blobs of no release that stays. First a plan, then the removal.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::logged::published_sets;
use super::{SMALL, State, Trust};
use crate::keeper::Keeper;
use crate::log::Event;
use base::name::{json_number, number};
use base::{Digest, Fault, durable};
use bundle::ReleaseId;
use config::Config;
use inspect::Verdict;
use serve::published::TUF;
use serve::set::{BytesPlace, CurrentSet};

/// Plan of what would be removed.
#[derive(Debug, Default)]
pub(crate) struct RemovalPlan {
    /// Set files.
    pub sets: Vec<PathBuf>,
    /// Releases.
    pub releases: Vec<ReleaseId>,
    /// Blobs.
    pub blobs: Vec<PathBuf>,
    /// Bytes that the removal frees.
    pub bytes: u64,
}

/// Plans the removal of what is not needed, keeping as many sets of each channel as the config says. `waiting` is true
/// for a release that still waits for officers. A channel that the config no longer has serves nobody: of that only the
/// set stays that it showed last, from which it goes on if it comes back. What is needed is told by sets that are
/// proven by the import log. Fault: one of them is missing, or is not as it was published.
pub(crate) fn plan(
    state: &State,
    trust: &Trust,
    config: &Config,
    waiting: impl Fn(&ReleaseId) -> Result<bool, Fault>,
) -> Result<RemovalPlan, Fault> {
    let mut plan = RemovalPlan::default();
    let mut needed: BTreeSet<String> = BTreeSet::new();
    let mut blobs: BTreeSet<Digest> = BTreeSet::new();
    let published = published_sets(state)?;
    for (channel, shown) in trust.channels.iter().filter(|(channel, _)| *channel != TUF) {
        let (folder, current) = (state.channel_path(channel), shown.current());
        let is_served = config.channels.iter().any(|it| it.name.get_ref() == channel);
        let keep_sets = if is_served { config.publish.keep_sets } else { 1 };
        if is_served {
            needed.extend(shown.releases.iter().cloned());
        }
        let mut kept = BTreeSet::from([current.generation]);
        for name in durable::names(&folder)? {
            let Some(generation) = json_number(&name) else {
                continue;
            };
            let path = folder.join(&name);
            // A set with a higher number than the pointer was never shown to agents.
            if generation > current.generation || generation + keep_sets <= current.generation {
                plan.bytes += path.metadata().map_or(0, |meta| meta.len());
                plan.sets.push(path);
            } else {
                kept.insert(generation);
            }
        }
        for generation in kept.into_iter().filter(|_| is_served) {
            let digest = published.get(&(channel.clone(), generation));
            let unknown = || {
                let path = state.set_path(channel, generation);
                Fault::damaged(path.to_string_lossy(), "the import log tells of no set with this number")
            };
            let set = CurrentSet { generation, set: *digest.ok_or_else(unknown)? };
            let (_, set) = state.set(channel, set)?;
            needed.extend(set.releases.iter().map(|m| format!("{}/{}", m.feed, m.version)));
            for file in set.files {
                match file.place {
                    BytesPlace::Blob => drop(blobs.insert(file.sha256)),
                    BytesPlace::Pack { release, .. } => drop(needed.insert(release)),
                    BytesPlace::Inline(_) | BytesPlace::Sums => {}
                }
            }
        }
    }
    if let Some(current) = trust.shown(TUF).filter(|_| config.tuf.is_some()) {
        for kept in state.tree_of(current)?.targets.into_values() {
            match kept.place {
                BytesPlace::Blob => drop(blobs.insert(kept.sha256)),
                BytesPlace::Pack { release, .. } => drop(needed.insert(release)),
                BytesPlace::Inline(_) | BytesPlace::Sums => {}
            }
        }
    }
    for id in trust.kept_releases() {
        let newest = trust.feeds.get(&id.feed).is_some_and(|feed| feed.highest == id.version);
        if newest || needed.contains(&id.to_string()) || waiting(&id)? {
            let release = state.release(trust, &id)?;
            let verdicts = state.verdicts(&release)?;
            let kept = verdicts.iter().filter_map(Verdict::kept).filter(|(_, size)| *size >= SMALL);
            blobs.extend(kept.map(|(sha256, _)| sha256));
        } else {
            let pack = state.release_path(&id).join("pack");
            plan.bytes += pack.metadata().map_or(0, |meta| meta.len());
            plan.releases.push(id);
        }
    }
    // A release that an interrupted import left was never accepted, and one that an interrupted removal left is kept no
    // more; one that an epoch made void may still stand in a set.
    let releases = state.root().join("releases");
    for feed in durable::names(&releases)? {
        for version in durable::names(&releases.join(&feed))? {
            let id = number(&version).map(|version| ReleaseId { feed: feed.clone(), version });
            let is_left = |id: &ReleaseId| {
                trust.history(id).is_none() && !needed.contains(&id.to_string()) && !plan.releases.contains(id)
            };
            if let Some(id) = id.filter(is_left) {
                plan.releases.push(id);
            }
        }
    }
    let root = state.root().join("blobs/sha256");
    for two in durable::names(&root)? {
        for name in durable::names(&root.join(&two))? {
            let path = root.join(&two).join(&name);
            if !name.parse().is_ok_and(|digest| blobs.contains(&digest)) {
                plan.bytes += path.metadata().map_or(0, |meta| meta.len());
                plan.blobs.push(path);
            }
        }
    }
    Ok(plan)
}

/// Most releases that one log entry names.
const NAMED: usize = 200;

/// Carries the plan out. Stopping is safe: the log has the releases first, whose folders are nobody's from then on and
/// removed by the next run; then sets go, then releases, then blobs, so that whatever is left names
/// nothing that is gone.
pub(crate) fn collect(keeper: &mut Keeper, plan: &RemovalPlan) -> Result<(), Fault> {
    // What frees room must not want for it.
    keeper.state.use_reserve();
    let kept: Vec<_> = plan.releases.iter().filter(|id| keeper.trust.history(id).is_some()).collect();
    let named = |ids: &[&ReleaseId]| Event::Collected { releases: ids.iter().map(ToString::to_string).collect() };
    keeper.record(kept.chunks(NAMED).map(named).collect())?;
    for path in &plan.sets {
        durable::remove(path)?;
    }
    for id in &plan.releases {
        durable::remove(&keeper.state.release_path(id))?;
    }
    for path in &plan.blobs {
        durable::remove(path)?;
    }
    keeper.state.keep_reserve(&keeper.trust)
}
