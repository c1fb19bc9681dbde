//! Channels: each shows the newest approved release of each of its feeds.

use super::SettleReport;
use crate::keeper::Keeper;
use crate::log::Event;
use crate::publish::ReleaseStatus;
use crate::publish::set::{SetInput, make_set, switch, without};
use crate::publish::status::{back_until, closed_status};
use crate::state::Release;
use base::{Digest, Fault, durable};
use bundle::ReleaseId;
use config::Channel;
use serve::set::{CurrentSet, Set, SetMember};

/// Brings every channel up to date. What no longer stands leaves at once.
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
        update_channel(keeper, channel, due, settled)
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

/// Takes out of each channel what no longer stands, and shows nothing new.
pub(super) fn drop_fallen(keeper: &mut Keeper, settled: &mut SettleReport) -> Result<(), Fault> {
    each_channel(keeper, |keeper, channel| drop_fallen_of(keeper, channel, settled))
}

fn drop_fallen_of(keeper: &mut Keeper, channel: &Channel, settled: &mut SettleReport) -> Result<(), Fault> {
    let shown = keeper.state.members(&keeper.trust, channel.name.get_ref())?;
    let stands: Vec<&SetMember> =
        shown.iter().filter(|member| !has_fallen(keeper, &id_of(member), member.manifest)).collect();
    if stands.len() == shown.len() {
        return Ok(());
    }
    let left = stands.into_iter().map(|member| standing(keeper, member)).filter_map(Result::transpose);
    let left: Result<Vec<Release>, Fault> = left.collect();
    match left {
        Ok(left) if left.iter().all(|release| SetInput::read(&keeper.state, release.clone()).is_ok()) => {
            update_channel(keeper, channel, left, settled)
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
    if former.releases.iter().any(|member| has_fallen(keeper, &id_of(member), member.manifest)) {
        let set = without(&former, |member| has_fallen(keeper, &id_of(member), member.manifest), keeper.now);
        switch_channel(keeper, &set, settled)?;
    }
    Ok(())
}

/// True if the import log says that a release must not be shown any more: its files need not be read for that.
pub(super) fn has_fallen(keeper: &Keeper, id: &ReleaseId, manifest: Digest) -> bool {
    let is_accepted = keeper.trust.accepted_manifest(&id.feed, id.version) == Some(manifest);
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
            let status = keeper.trust.status(&release, feed, (&keeper.config, &keeper.keyring));
            // What another channel shows and is denied stays there, and does not come here.
            let is_here = keeper.trust.channels.get(channel.name.get_ref()).is_some_and(|shown| shown.has(id));
            let may_come = is_here || !keeper.is_denied(&release);
            if status == ReleaseStatus::Approved && may_come {
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

/// Switches a channel if what is due is not what it shows. What has to be left out is told.
fn update_channel(
    keeper: &mut Keeper,
    channel: &Channel,
    due: Vec<Release>,
    settled: &mut SettleReport,
) -> Result<(), Fault> {
    let name = channel.name.get_ref().clone();
    // Looked at every few seconds, and hardly ever otherwise.
    let shown = keeper.state.members(&keeper.trust, &name)?;
    if shows(&shown, due.iter().map(|release| (&*release.feed, release.manifest))) {
        return Ok(());
    }
    let former =
        keeper.trust.shown(&name).map(|current| keeper.state.set(&name, current)).transpose()?.map(|(_, set)| set);
    let generation = former.as_ref().map_or(0, |set| set.generation) + 1;
    let inputs = due.into_iter().map(|release| SetInput::read(&keeper.state, release));
    let inputs: Vec<SetInput> = inputs.collect::<Result<_, _>>()?;
    let inputs: Vec<&SetInput> = inputs.iter().collect();
    let (mut set, clash) = make_set(&name, former.as_ref(), &inputs, generation, keeper.now)?;
    drop(former);
    if let Some(refusal) = clash {
        let (reason, detail) = (refusal.reason, refusal.detail.clone());
        keeper.append(vec![Event::PublishRefused { channel: name.clone(), reason, detail }])?;
        settled.stuck.push((name, refusal));
    }
    for member in &mut set.releases {
        member.back_until = back_until(&keeper.state.statements(&keeper.trust, &id_of(member))?);
    }
    switch_channel(keeper, &set, settled)
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

/// The release of a set's member, if it may still be shown.
fn standing(keeper: &Keeper, member: &SetMember) -> Result<Option<Release>, Fault> {
    let id = id_of(member);
    let Some(feed) = keeper.config.feed(&id.feed).filter(|_| !has_fallen(keeper, &id, member.manifest)) else {
        return Ok(None);
    };
    let release = keeper.state.release(&keeper.trust, &id)?;
    let stands = keeper.trust.status(&release, feed, (&keeper.config, &keeper.keyring));
    Ok((stands == ReleaseStatus::Approved).then_some(release))
}
