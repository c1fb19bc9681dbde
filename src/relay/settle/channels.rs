//! Channels: each shows the newest approved release of each of its feeds.

use std::path::PathBuf;

use super::SettleReport;
use crate::keeper::Keeper;
use crate::log::Event;
use crate::publish::ReleaseStatus;
use crate::publish::set::{SetInput, empty_set, make_set, set_without, switch};
use crate::publish::status::{back_until, closed_status};
use crate::state::{Release, ShownSet};
use base::{Digest, Fault, Refusal, durable};
use bundle::ReleaseId;
use config::Channel;
use serve::pointer::Pointer;
use serve::set::{CurrentSet, Set, SetMember};

/// Longest file that says which clash of a channel was told, in bytes.
const LONGEST_TOLD: u64 = 64 << 10;

/// Brings every channel up to date. A newcomer that cannot be shown is left out, and told at each run.
pub(super) fn update_channels(keeper: &mut Keeper, settled: &mut SettleReport) {
    each_channel(keeper, settled, |keeper, channel, settled| {
        let due = due_releases(keeper, channel)?;
        for release in &due {
            let id = release.id();
            keeper.state.statements(&keeper.trust, &id)?;
            keeper.state.stray_statements(&keeper.trust, &id)?.into_iter().next().map_or(Ok(()), Err)?;
        }
        if !update_channel(keeper, channel, due, settled)? {
            durable::remove(&refused_path(keeper, channel))?;
        }
        Ok(())
    });
}

/// Puts every pointer right that is missing, was changed or set back: which set a channel shows is what the import log says.
pub(super) fn mend_pointers(keeper: &mut Keeper, settled: &mut SettleReport) {
    for (channel, shown) in &keeper.trust.channels {
        if !is_pointer_right(keeper, channel) {
            match switch(&keeper.state, channel, shown.entry) {
                Ok(()) => settled.mended.push(channel.clone()),
                Err(fault) => settled.note(Err(fault)),
            }
        }
    }
}

/// True if a channel's pointer names the set that the import log says it shows, or it never showed one.
fn is_pointer_right(keeper: &Keeper, channel: &str) -> bool {
    let Some(shown) = keeper.trust.channels.get(channel) else { return true };
    // The same set may have been announced before, by an entry that was interrupted.
    let names = |found: &Pointer| (found.entry, found.current) == (shown.entry, shown.current());
    keeper.state.pointer(channel).is_ok_and(|found| found.is_some_and(|found| names(&found)))
}

/// Does something for every channel, so that what is damaged in one stops no other. One whose pointer could not be put right,
/// which was told, cannot be switched either.
fn each_channel(
    keeper: &mut Keeper,
    settled: &mut SettleReport,
    mut act: impl FnMut(&mut Keeper, &Channel, &mut SettleReport) -> Result<(), Fault>,
) {
    for channel in keeper.config.channels.clone() {
        if is_pointer_right(keeper, channel.name.get_ref()) && !keeper.has_failed() {
            let acted = act(keeper, &channel, settled);
            settled.note(acted);
        }
    }
}

/// Path of the file that says which clash of the channel was told.
fn refused_path(keeper: &Keeper, channel: &Channel) -> PathBuf {
    keeper.state.channel_path(channel.name.get_ref()).join("refused")
}

/// Takes out of each channel what no longer stands, and shows nothing new. For that nothing but the log, the trust file and the
/// keyring need be readable: making less visible never fails.
pub(super) fn drop_fallen(keeper: &mut Keeper, settled: &mut SettleReport) {
    each_channel(keeper, settled, |keeper, channel, settled| {
        let name = channel.name.get_ref();
        let Some(shown) = keeper.trust.channels.get(name).cloned() else { return Ok(()) };
        let members = keeper.state.members_of(name, shown.current());
        let must_go = match &members {
            Ok(members) => members.iter().any(|member| has_fallen(keeper, &id_of(member), Some(member.manifest))),
            Err(_) => shown.ids().iter().any(|id| has_fallen(keeper, id, None)),
        };
        if !must_go {
            return members.map(drop);
        }
        let set = match keeper.state.set(name, shown.current()) {
            Ok((_, former)) => smaller_set(keeper, channel, &former, settled),
            Err(fault) => {
                settled.note(Err(fault));
                readable_set(keeper, channel, &shown, settled)
            }
        };
        publish_set(keeper, &set, settled)
    });
}

/// The former set without what has fallen: made anew from the releases that stand, or, where one of them cannot be read, by
/// leaving the others out of the former.
fn smaller_set(keeper: &Keeper, channel: &Channel, former: &Set, settled: &mut SettleReport) -> Set {
    let made = former.releases.iter().map(|member| standing(keeper, &id_of(member), Some(member.manifest)));
    let made: Result<Vec<SetInput>, Fault> = made.filter_map(Result::transpose).collect();
    let made = made.and_then(|inputs| {
        let inputs: Vec<&SetInput> = inputs.iter().collect();
        match make_set(channel.name.get_ref(), Some(former), &inputs, former.generation + 1, keeper.now) {
            Ok(set) => with_dates_back(keeper, set).map(Some),
            // What stood in one set stands in one again.
            Err(_) => Ok(None),
        }
    });
    let without =
        || set_without(former, |member| has_fallen(keeper, &id_of(member), Some(member.manifest)), keeper.now);
    match made {
        Ok(set) => set.unwrap_or_else(without),
        Err(fault) => {
            settled.note(Err(fault));
            without()
        }
    }
}

/// The set of those releases of a set that stand and can be read, where the set itself cannot be.
fn readable_set(keeper: &Keeper, channel: &Channel, shown: &ShownSet, settled: &mut SettleReport) -> Set {
    let make = |inputs: &[&SetInput]| {
        make_set(channel.name.get_ref(), None, inputs, shown.generation + 1, keeper.now)
            .map_err(|_| Fault::Internal("releases of one set clash"))
            .and_then(|set| with_dates_back(keeper, set))
    };
    let mut inputs: Vec<SetInput> = Vec::new();
    let mut set = None;
    for id in shown.ids() {
        let added = standing(keeper, &id, None).and_then(|input| {
            let Some(input) = input else { return Ok(None) };
            make(&inputs.iter().chain([&input]).collect::<Vec<_>>()).map(|set| Some((input, set)))
        });
        match added {
            Ok(None) => {}
            Ok(Some((input, with))) => {
                inputs.push(input);
                set = Some(with);
            }
            Err(fault) => settled.note(Err(fault)),
        }
    }
    set.unwrap_or_else(|| empty_set(channel.name.get_ref(), shown.generation + 1, keeper.now))
}

/// True if the import log says that a release must not be shown any more, or not with this manifest: its files need not be read
/// for that.
pub(super) fn has_fallen(keeper: &Keeper, id: &ReleaseId, manifest: Option<Digest>) -> bool {
    let accepted = keeper.trust.accepted_manifest(&id.feed, id.version);
    let is_accepted = accepted.is_some_and(|accepted| manifest.is_none_or(|manifest| manifest == accepted));
    let feed = keeper.config.feed(&id.feed).filter(|_| is_accepted);
    feed.is_none_or(|feed| closed_status(keeper.trust.statements(id), feed).is_some())
}

fn id_of(member: &SetMember) -> ReleaseId {
    ReleaseId { feed: member.feed.clone(), version: member.version }
}

/// The releases a channel should show: of each feed the newest that stands approved.
pub fn due_releases(keeper: &Keeper, channel: &Channel) -> Result<Vec<Release>, Fault> {
    let ids = keeper.trust.kept_releases();
    let mut due = Vec::new();
    for name in &channel.feeds {
        let Some(feed) = keeper.config.feed(name.get_ref()) else { continue };
        for id in ids.iter().rev().filter(|id| id.feed == *name.get_ref()) {
            // Of what is closed nothing need be read: it may be damaged.
            if closed_status(keeper.trust.statements(id), feed).is_some() {
                continue;
            }
            let release = keeper.state.release(&keeper.trust, id)?;
            if keeper.trust.status(&release, feed) == ReleaseStatus::Approved {
                due.push(release);
                break;
            }
        }
    }
    Ok(due)
}

/// True if the channel shows exactly these releases: feed and digest of the manifest of each.
fn shows<'a>(shown: &[SetMember], mut releases: impl ExactSizeIterator<Item = (&'a str, Digest)>) -> bool {
    shown.len() == releases.len() && shown.iter().all(|it| releases.next() == Some((&*it.feed, it.manifest)))
}

/// Switches a channel if what is due is not what it shows; true if something clashes.
fn update_channel(
    keeper: &mut Keeper,
    channel: &Channel,
    due: Vec<Release>,
    settled: &mut SettleReport,
) -> Result<bool, Fault> {
    let name = channel.name.get_ref().clone();
    // Looked at every few seconds, and hardly ever otherwise.
    let shown = keeper.state.members(&keeper.trust, &name)?;
    let refused = refused_path(keeper, channel);
    if shows(&shown, due.iter().map(|release| (&*release.feed, release.manifest))) {
        return Ok(false);
    }
    let former =
        keeper.trust.shown(&name).map(|current| keeper.state.set(&name, current)).transpose()?.map(|(_, set)| set);
    let (set, clash) = make_without_clashes(keeper, channel, due, former.as_ref())?;
    drop(former);
    if let Some(Refusal { reason, detail }) = clash.clone() {
        // Told once, not at every tick of the timer.
        if !durable::read(&refused, LONGEST_TOLD).is_ok_and(|told| told == detail.as_bytes()) {
            keeper.append(vec![Event::PublishRefused { channel: name.clone(), reason, detail: detail.clone() }])?;
            durable::create_dir(&keeper.state.channel_path(&name))?;
            durable::replace(&refused, detail.as_bytes())?;
        }
        settled.stuck.extend(clash.clone().map(|refusal| (name.clone(), refusal)));
    }
    // Without the newcomer it is what it was.
    if clash.is_some() && shows(&shown, set.releases.iter().map(|it| (&*it.feed, it.manifest))) {
        return Ok(true);
    }
    publish_set(keeper, &with_dates_back(keeper, set)?, settled)?;
    Ok(clash.is_some())
}

/// The set with the dates by which content that went back is due to go forward, from the statements on its releases.
fn with_dates_back(keeper: &Keeper, mut set: Set) -> Result<Set, Fault> {
    for member in &mut set.releases {
        member.back_until = back_until(&keeper.state.statements(&keeper.trust, &id_of(member))?);
    }
    Ok(set)
}

/// Switches a channel to its next set: that is on the disk before the intent, the intent before the switch, the outcome after.
fn publish_set(keeper: &mut Keeper, set: &Set, settled: &mut SettleReport) -> Result<(), Fault> {
    let (name, generation) = (set.channel.clone(), set.generation);
    durable::create_dir(&keeper.state.channel_path(&name))?;
    durable::sweep(&keeper.state.channel_path(&name))?;
    let written = durable::replace_json(&keeper.state.set_path(&name, generation), set)?;
    let releases = set.releases.iter().map(|m| format!("{}/{}", m.feed, m.version)).collect();
    keeper.publish(&name, CurrentSet { generation, set: written }, releases)?;
    settled.published.push((name, generation));
    Ok(())
}

/// Makes the next set of a channel from the releases that are due. Where two of them claim one path, what is shown already
/// and still stands keeps its place, and the newcomer is left out, so that making less visible never waits for it; the
/// refusal says which path.
fn make_without_clashes(
    keeper: &Keeper,
    channel: &Channel,
    due: Vec<Release>,
    former: Option<&Set>,
) -> Result<(Set, Option<Refusal>), Fault> {
    let generation = former.map_or(0, |set| set.generation) + 1;
    let make = |inputs: &[&SetInput]| make_set(channel.name.get_ref(), former, inputs, generation, keeper.now);
    let read = |release| SetInput::read(&keeper.state, release);
    let due: Vec<SetInput> = due.into_iter().map(read).collect::<Result<_, _>>()?;
    let mut clash = match make(&due.iter().collect::<Vec<_>>()) {
        Ok(set) => return Ok((set, None)),
        Err(refusal) => refusal,
    };
    let members = former.into_iter().flat_map(|set| &set.releases);
    let standing = members.map(|member| standing(keeper, &id_of(member), Some(member.manifest)));
    let standing: Vec<SetInput> = standing.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    // For each feed of the channel what it shows, in its order; a newcomer takes the place as soon as it fits.
    let by_feed = |inputs: &[SetInput], feed: &str| inputs.iter().position(|input| input.release.feed == feed);
    let mut places: Vec<(Option<&SetInput>, Option<&SetInput>)> = Vec::new();
    for feed in &channel.feeds {
        let of = |inputs: &[SetInput]| by_feed(inputs, feed.get_ref());
        let (kept, new) = (of(&standing).and_then(|at| standing.get(at)), of(&due).and_then(|at| due.get(at)));
        places.push((kept, new));
    }
    let shown = |places: &[(Option<&SetInput>, Option<&SetInput>)]| {
        make(&places.iter().filter_map(|it| it.0).collect::<Vec<_>>())
    };
    loop {
        let mut has_moved = false;
        for at in 0..places.len() {
            let Some((kept, Some(new))) = places.get(at).copied() else { continue };
            let mut with = places.clone();
            with.iter_mut().skip(at).take(1).for_each(|place| *place = (Some(new), None));
            match shown(&with) {
                Ok(_) => (places, has_moved) = (with, true),
                Err(refusal) if kept.is_none_or(|kept| kept.release.manifest != new.release.manifest) => {
                    clash = refusal;
                }
                Err(_) => {}
            }
        }
        if !has_moved {
            break;
        }
    }
    // What stood in one set stands in one again; where it does not, the first feeds of the channel have their places.
    let mut kept = Vec::new();
    for place in &places {
        kept.push((place.0, None));
        if shown(&kept).is_err() {
            kept.pop();
        }
    }
    let set = shown(&kept).map_err(|_| Fault::Internal("a set without clashes has one"))?;
    Ok((set, Some(clash)))
}

/// A release that a set shows, if it may still be shown.
fn standing(keeper: &Keeper, id: &ReleaseId, manifest: Option<Digest>) -> Result<Option<SetInput>, Fault> {
    let Some(feed) = keeper.config.feed(&id.feed).filter(|_| !has_fallen(keeper, id, manifest)) else {
        return Ok(None);
    };
    let release = keeper.state.release(&keeper.trust, id)?;
    let stands = keeper.trust.status(&release, feed);
    (stands == ReleaseStatus::Approved).then(|| SetInput::read(&keeper.state, release)).transpose()
}
