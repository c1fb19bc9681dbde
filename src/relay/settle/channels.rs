//! Channels: each shows the newest approved release of each of its feeds.

use std::path::PathBuf;

use super::SettleReport;
use crate::keeper::Keeper;
use crate::log::Event;
use crate::publish::ReleaseStatus;
use crate::publish::set::{SetInput, make_set, switch, without};
use crate::publish::status::{back_until, closed_status};
use crate::state::Release;
use base::{Digest, Fault, Refusal, durable};
use bundle::ReleaseId;
use config::Channel;
use serve::set::{CurrentSet, Set, SetMember};

/// Brings every channel up to date. What no longer stands leaves at once; a newcomer that cannot be shown is left out, and
/// told at each run.
pub(super) fn update_channels(keeper: &mut Keeper, settled: &mut SettleReport) -> Result<(), Fault> {
    each_channel(keeper, |keeper, channel| {
        // What no longer stands does not wait for the evidence of what is due.
        drop_fallen_of(keeper, channel, settled)?;
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
    })
}

/// Puts every pointer right that is missing, was changed or set back: which set a channel shows is what the import log says.
pub(super) fn mend_pointers(keeper: &Keeper, settled: &mut SettleReport) -> Result<(), Fault> {
    for (channel, shown) in &keeper.trust.channels {
        let is_right = |current: Option<CurrentSet>| current == Some(shown.current());
        if !keeper.state.current(channel).is_ok_and(is_right) {
            switch(&keeper.state, channel, shown.entry)?;
            settled.mended.push(channel.clone());
        }
    }
    Ok(())
}

/// Does something for every channel; gives the first fault at the end, so that what is damaged in one stops no other.
fn each_channel(
    keeper: &mut Keeper,
    mut act: impl FnMut(&mut Keeper, &Channel) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut first = Ok(());
    for channel in keeper.config.channels.clone() {
        first = first.and(act(keeper, &channel));
    }
    first
}

/// Path of the file that says which clash of the channel was told.
fn refused_path(keeper: &Keeper, channel: &Channel) -> PathBuf {
    keeper.state.channel_path(channel.name.get_ref()).join("refused")
}

/// Takes out of each channel what no longer stands, and shows nothing new.
pub(super) fn drop_fallen(keeper: &mut Keeper, settled: &mut SettleReport) -> Result<(), Fault> {
    each_channel(keeper, |keeper, channel| drop_fallen_of(keeper, channel, settled))
}

fn drop_fallen_of(keeper: &mut Keeper, channel: &Channel, settled: &mut SettleReport) -> Result<(), Fault> {
    let shown = keeper.state.members(&keeper.trust, channel.name.get_ref())?;
    let stands: Vec<&SetMember> = shown.iter().filter(|member| !has_fallen(keeper, member)).collect();
    if stands.len() == shown.len() {
        return Ok(());
    }
    let left = stands.into_iter().map(|member| standing(keeper, member)).filter_map(Result::transpose);
    let left: Result<Vec<Release>, Fault> = left.collect();
    match left {
        Ok(left) if left.iter().all(|release| SetInput::read(&keeper.state, release.clone()).is_ok()) => {
            update_channel(keeper, channel, left, settled).map(drop)
        }
        // Going on is safe: what stays is shown as it was, and its damage is told by whoever looks for what is due.
        _ => shrink_channel(keeper, channel, settled),
    }
}

/// Switches a channel to what it shows without the members that fell, where a release that stays cannot be read.
fn shrink_channel(keeper: &mut Keeper, channel: &Channel, settled: &mut SettleReport) -> Result<(), Fault> {
    let name = channel.name.get_ref();
    let Some(current) = keeper.trust.shown(name) else { return Ok(()) };
    let (_, former) = keeper.state.set(name, current)?;
    if former.releases.iter().any(|member| has_fallen(keeper, member)) {
        let set = without(&former, |member| has_fallen(keeper, member), keeper.now);
        switch_channel(keeper, &set, settled)?;
    }
    Ok(())
}

/// True if the import log says that a member must not be shown any more: its files need not be read for that.
fn has_fallen(keeper: &Keeper, member: &SetMember) -> bool {
    let id = id_of(member);
    let is_accepted = keeper.trust.accepted_manifest(&id.feed, id.version) == Some(member.manifest);
    let feed = keeper.config.feed(&id.feed).filter(|_| is_accepted);
    feed.is_none_or(|feed| closed_status(keeper.trust.statements(&id), feed).is_some())
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
    let (mut set, clash) = make_without_clashes(keeper, channel, due, former.as_ref())?;
    drop(former);
    if let Some(Refusal { reason, detail }) = clash.clone() {
        // Told once, not at every tick of the timer.
        if !std::fs::read(&refused).is_ok_and(|told| told == detail.as_bytes()) {
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
    for member in &mut set.releases {
        member.back_until = back_until(&keeper.state.statements(&keeper.trust, &id_of(member))?);
    }

    switch_channel(keeper, &set, settled)?;
    Ok(clash.is_some())
}

/// Switches a channel to a set: that is on the disk before the intent, the intent before the switch, the outcome after.
fn switch_channel(keeper: &mut Keeper, set: &Set, settled: &mut SettleReport) -> Result<(), Fault> {
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
    let standing = former.into_iter().flat_map(|set| &set.releases).map(|member| standing(keeper, member));
    let standing: Vec<SetInput> =
        standing.filter_map(Result::transpose).map(|it| read(it?)).collect::<Result<_, _>>()?;
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

/// The release of a set's member, if it may still be shown.
fn standing(keeper: &Keeper, member: &SetMember) -> Result<Option<Release>, Fault> {
    let id = id_of(member);
    let Some(feed) = keeper.config.feed(&id.feed).filter(|_| !has_fallen(keeper, member)) else { return Ok(None) };
    let release = keeper.state.release(&keeper.trust, &id)?;
    let stands = keeper.trust.status(&release, feed);
    Ok((stands == ReleaseStatus::Approved).then_some(release))
}
