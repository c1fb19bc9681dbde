//! The repository for TUF clients, brought in line with what channels show, and signed anew before it runs out.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use ed25519_dalek::SigningKey;
use serde_json::json;

use super::channels::{has_fallen, id_of};
use crate::keeper::Keeper;
use crate::log::Event;
use crate::publish::tuf::{
    CHANNEL, ShownFile, TreeParts, feed_roles, make_tree, notice_entry, read_metadata, take_out,
};
use crate::state::State;
use base::{Digest, Error, Fault, Reason, Refusal, durable};
use bundle::ReleaseId;
use config::tuf::Tuf;
use serve::set::{Set, SetMember};
use serve::tree::{Outline, Tree};
use tlog::check::read_vkey;
use tlog::stored::read_head;

/// Switches to a new tree if what it would say is new, or what is served runs out; gives its version.
pub(super) fn update_tree(keeper: &mut Keeper) -> Result<Option<u64>, Error> {
    let Some(config) = keeper.config.tuf.clone() else { return Ok(None) };
    // A time that nobody can vouch for dates nothing.
    if keeper.check_clock().is_err() {
        return Ok(None);
    }
    let (now, version) = (keeper.now, keeper.log.size() + 1);
    let sets = current_sets(keeper);
    let is_fresh = |tree: Outline| tree.sets == sets && tree.made <= now && tree.made.age(now) < config.expires.0 / 3;
    let shown = keeper.trust.shown(CHANNEL);
    let outline = shown.map(|shown| keeper.state.tree_outline(shown)).transpose();
    // One that is damaged is made anew.
    if outline.is_ok_and(|outline| outline.is_some_and(is_fresh)) {
        return Ok(None);
    }
    let attempt = TreeAttempt::of(keeper, &config, &sets)?;
    if let Some(refusal) = attempt.refused_before() {
        return Err(refusal.into());
    }
    let former = shown.map(|shown| keeper.state.tree_of(shown)).transpose().unwrap_or_else(|fault| {
        keeper.put_off.push(fault);
        None
    });
    let Some(parts) = gather(keeper, &config.feed, sets)? else { return Ok(None) };
    let made = require_key(&keeper.state)
        .and_then(|key| Ok(make_tree(&parts, former.as_ref(), &key, version, (now, now.plus(config.expires.0)))?))
        .and_then(|tree| check_roles(keeper, &tree).map(|()| tree).map_err(Error::from));
    let tree = match made {
        Ok(tree) => tree,
        Err(Error::Refused(refusal)) => return attempt.refuse(keeper, refusal),
        Err(fault) => return Err(fault),
    };
    // The tree is on the disk before the intent, the intent before the switch, the outcome after. The intent is the
    // entry that its version counts.
    let next = keeper.state.keep_tree(&tree)?;
    keeper.publish(CHANNEL, next, feed_roles(&tree))?;
    // The tree before it stays for downloads that began.
    let former = former.map_or(version, |former| former.version);
    keeper.state.remove_trees_but(&[version, former])?;
    durable::remove(&attempt.refused)?;
    Ok(Some(version))
}

/// Takes out of the tree that is served what no longer stands, where no new tree could be made: its metadata and all
/// other targets stay, and a client that asks for a withdrawn target is told that there is none. Nor does that wait for
/// the channel that shows it. Gives the number of the tree.
pub(super) fn take_out_fallen(keeper: &mut Keeper) -> Result<Option<u64>, Fault> {
    let (Some(_), Some(current)) = (&keeper.config.tuf, keeper.trust.shown(CHANNEL)) else { return Ok(None) };
    let has_fallen =
        |id: &str, manifest: Digest| id.parse().is_ok_and(|id: ReleaseId| has_fallen(keeper, &id, Some(manifest)));
    let outline = keeper.state.tree_outline(current)?;
    // A tree of an earlier version does not say of which releases its targets are.
    let is_of_earlier = outline.releases.is_empty() && outline.sets != current_sets(keeper);
    if !is_of_earlier && !outline.releases.iter().any(|(id, manifest)| has_fallen(id, *manifest)) {
        return Ok(None);
    }
    let mut tree = keeper.state.tree_of(current)?;
    let mut unreadable = Vec::new();
    let shown = || shown_files(keeper, &mut unreadable).0;
    if !take_out(&mut tree, has_fallen, shown) {
        return Ok(None);
    }
    keeper.put_off.extend(unreadable);
    keeper.state.use_reserve();
    let former = std::mem::replace(&mut tree.version, keeper.log.size() + 1);
    // As for a new tree: it is on the disk before the intent, the intent before the switch, the outcome after.
    let next = keeper.state.keep_tree(&tree)?;
    keeper.publish(CHANNEL, next, feed_roles(&tree))?;
    keeper.state.remove_trees_but(&[tree.version, former])?;
    Ok(Some(tree.version))
}

/// An attempt at a tree, which is refused for what it would be made from.
struct TreeAttempt {
    /// Digest of what decides whether there can be a tree.
    of: Digest,
    /// File that keeps the last refusal, behind the digest of the attempt.
    refused: PathBuf,
}

impl TreeAttempt {
    /// With what channels show, the config and the relay's key; and the hour, since what was signed offline runs out.
    fn of(keeper: &Keeper, config: &Tuf, sets: &BTreeMap<String, Digest>) -> Result<Self, Fault> {
        let key = read_key(&keeper.state)?.map(|key| key.verifying_key().to_bytes());
        let hour = keeper.now.secs() / 3600;
        let bytes = serde_json::to_vec(&(sets, &config.feed, config.expires.0.as_secs(), key, hour));
        let of = Digest::of(&bytes.map_err(|_| Fault::Internal("a list of sets cannot be turned into JSON"))?);
        Ok(Self { of, refused: keeper.state.root().join("tuf/refused") })
    }

    /// The refusal of the same attempt before: to gather all of it again would give none other.
    fn refused_before(&self) -> Option<Refusal> {
        let text = fs::read_to_string(&self.refused).ok()?;
        let (of, detail) = text.split_once('\n')?;
        (of == self.of.to_string()).then(|| Refusal::new(Reason::TufRefused, detail))
    }

    /// Keeps the refusal; the log has it once, not at every attempt.
    fn refuse(&self, keeper: &mut Keeper, refusal: Refusal) -> Result<Option<u64>, Error> {
        let (reason, detail) = (refusal.reason, refusal.detail.clone());
        let before = fs::read_to_string(&self.refused).unwrap_or_default();
        if before.split_once('\n').is_none_or(|(_, before)| before != detail) {
            keeper.append(vec![Event::PublishRefused { channel: CHANNEL.into(), reason, detail: detail.clone() }])?;
        }
        durable::replace(&self.refused, format!("{}\n{detail}", self.of).as_bytes())?;
        Err(refusal.into())
    }
}

/// Checks that no role of a feed is older than the log says that clients know it: where the tree before it is damaged,
/// what was in that is known from nowhere else. Refusal: `tuf-refused`.
fn check_roles(keeper: &Keeper, tree: &Tree) -> Result<(), Refusal> {
    let versions = |roles: &[String]| -> BTreeMap<String, u64> {
        roles.iter().filter_map(|role| role.parse::<ReleaseId>().ok()).map(|role| (role.feed, role.version)).collect()
    };
    let known = keeper.trust.channels.get(CHANNEL).map(|shown| versions(&shown.releases)).unwrap_or_default();
    let roles = versions(&feed_roles(tree));
    match known.into_iter().find(|(feed, version)| roles.get(feed) < Some(version)) {
        None => Ok(()),
        Some((feed, version)) => {
            let detail = format!(
                "clients know version {version} of the metadata of feed {feed}, and what the channels show has an older one: sign a newer one for that feed"
            );
            Err(Refusal::new(Reason::TufRefused, detail))
        }
    }
}

/// The relay's key. Refusal: there is none.
fn require_key(state: &State) -> Result<SigningKey, Error> {
    read_key(state)?.ok_or_else(|| {
        let detail = "the relay's key for its TUF repository, log/tuf.key, is not there: restore it from a backup; for a relay that never had one, `gaprelay tuf key` makes it";
        Error::refused(Reason::TufRefused, detail)
    })
}

/// The relay's key, if it was made.
pub(crate) fn read_key(state: &State) -> Result<Option<SigningKey>, Fault> {
    let path = state.tuf_key_path();
    if !path.exists() {
        return Ok(None);
    }
    let text = durable::read(&path, 4096)?;
    let seed = data_encoding::HEXLOWER.decode(text.trim_ascii()).ok().and_then(|seed| seed.try_into().ok());
    let wrong = "it is not the relay's TUF key, which is 64 hex digits. Nothing was changed. Restore this file from a backup: gaprelay help backup";
    let seed: [u8; 32] = seed.ok_or_else(|| Fault::damaged(path.to_string_lossy(), wrong))?;
    Ok(Some(SigningKey::from_bytes(&seed)))
}

/// Set that each of the config's channels shows.
fn current_sets(keeper: &Keeper) -> BTreeMap<String, Digest> {
    let mut sets = BTreeMap::new();
    for channel in &keeper.config.channels {
        let name = channel.name.get_ref();
        if let Some(current) = keeper.trust.shown(name) {
            sets.insert(name.clone(), current.set);
        }
    }
    sets
}

/// Files that channels show of releases that stand, and these releases, by feed. A set that cannot be read gives none,
/// and its fault.
fn shown_files(keeper: &Keeper, unreadable: &mut Vec<Fault>) -> (Vec<ShownFile>, BTreeMap<String, SetMember>) {
    let (mut files, mut members) = (Vec::new(), BTreeMap::new());
    for channel in &keeper.config.channels {
        let name = channel.name.get_ref();
        let Some(current) = keeper.trust.shown(name) else { continue };
        let Set { mut releases, files: shown, .. } = match keeper.state.set(name, current) {
            Ok((_, set)) => set,
            Err(fault) => {
                unreadable.push(fault);
                continue;
            }
        };
        // A channel that could not be switched shows more than stands.
        releases.retain(|member| !has_fallen(keeper, &id_of(member), Some(member.manifest)));
        for file in shown {
            // Lists of all files of a set are of no release, and no target.
            let Some(member) = releases.iter().find(|member| *member.feed == *file.feed) else { continue };
            files.push(ShownFile { file, release: id_of(member), manifest: member.manifest });
        }
        members.extend(releases.into_iter().map(|member| (member.feed.clone(), member)));
    }
    (files, members)
}

/// Offline metadata, and sets that channels show; none before the feed that brings the root is published.
fn gather(keeper: &Keeper, root_feed: &str, sets: BTreeMap<String, Digest>) -> Result<Option<TreeParts>, Fault> {
    let state = &keeper.state;
    let mut unreadable = Vec::new();
    let (files, members) = shown_files(keeper, &mut unreadable);
    unreadable.into_iter().next().map_or(Ok(()), Err)?;
    if !members.contains_key(root_feed) {
        return Ok(None);
    }
    let (mut roots, mut targets, mut feeds) = (BTreeMap::new(), None, BTreeMap::new());
    for member in members.values() {
        for (path, text) in read_metadata(state, &keeper.trust, member)? {
            if member.feed == root_feed && path.ends_with(".root.json") {
                roots.insert(path, text);
            } else if member.feed == root_feed && path == "targets.json" {
                targets = Some(text);
            } else if path == format!("tuf-{}.json", member.feed) {
                feeds.insert(member.feed.clone(), text);
            }
        }
    }
    let Some(targets) = targets else { return Ok(None) };
    let withheld = members.values().flat_map(|member| {
        member.withheld.iter().map(|(path, why)| notice_entry(&member.feed, member.version, path, why.code()))
    });
    let version = |feed: &str| members.get(feed).map_or(0, |member| member.version);
    let stripped = files.iter().map(|shown| &shown.file).filter(|file| file.stripped.is_some());
    let stripped = stripped.map(|file| notice_entry(&file.feed, version(&file.feed), &file.path, "stripped"));
    let served: BTreeMap<&String, u64> = members.iter().map(|(feed, member)| (feed, member.version)).collect();
    let withheld: Vec<_> = withheld.chain(stripped).collect();
    let notice = json!({ "relay": keeper.config.relay.get_ref(), "served": served, "not_as_signed": withheld });
    let folder = state.import_log();
    let (_, checkpoint) = read_head(&folder, &read_vkey(&folder)?)?;
    Ok(Some(TreeParts { roots, targets, feeds, sets, files, notice, checkpoint }))
}
