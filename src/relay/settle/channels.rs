//! Channels: each shows the newest approved release of each of its feeds.

use super::{SettleReport, append_once};
use crate::keeper::Keeper;
use crate::log::Event;
use crate::publish::ReleaseStatus;
use crate::publish::set::{SetInput, empty_set, make_folder, make_set, set_without, switch};
use crate::publish::status::{back_until, closed_status};
use crate::state::{Release, ShownSet};
use base::{Digest, Fault, Refusal, durable};
use bundle::ReleaseId;
use config::Channel;
use serve::pointer::Pointer;
use serve::published::TUF;
use serve::set::{CurrentSet, Set, SetMember};

/// Brings every channel up to date.
pub(super) fn update_channels(keeper: &mut Keeper, settled: &mut SettleReport) {
    for channel in keeper.config.channels.clone() {
        act_on(keeper, channel.name.get_ref(), settled, |keeper, settled| {
            let due = due_releases(keeper, &channel)?;
            for release in &due {
                let id = release.id();
                keeper.state.statements(&keeper.trust, &id)?;
                keeper.state.stray_statements(&keeper.trust, &id)?.into_iter().next().map_or(Ok(()), Err)?;
            }
            update_channel(keeper, &channel, due, settled)
        });
    }
}

/// Puts every pointer right that is missing, was changed or set back: which set a channel shows is what the import log
/// says.
pub(super) fn mend_pointers(keeper: &mut Keeper, settled: &mut SettleReport) {
    for (channel, shown) in &keeper.trust.channels {
        if !is_pointer_right(keeper, channel) {
            keeper.state.use_reserve();
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

/// Does something with a channel, so that what is damaged in it stops no other. One whose pointer could not be put
/// right, which was told, cannot be switched either.
fn act_on(
    keeper: &mut Keeper,
    channel: &str,
    settled: &mut SettleReport,
    act: impl FnOnce(&mut Keeper, &mut SettleReport) -> Result<(), Fault>,
) {
    if is_pointer_right(keeper, channel) && !keeper.has_failed() {
        let acted = act(keeper, settled);
        settled.note(acted);
    }
}

/// Takes out of each channel what no longer stands, and shows nothing new. For that nothing but the log, the trust file
/// and the keyring need be readable: making less visible never fails. It leaves channels as well that the config no
/// longer has: one that comes back is served at once.
pub(super) fn drop_fallen(keeper: &mut Keeper, settled: &mut SettleReport) {
    let shown: Vec<(String, ShownSet)> = keeper.trust.channels.clone().into_iter().collect();
    for (channel, shown) in shown.iter().filter(|(channel, _)| channel != TUF) {
        act_on(keeper, channel, settled, |keeper, settled| drop_fallen_from(keeper, channel, shown, settled));
    }
}

fn drop_fallen_from(
    keeper: &mut Keeper,
    channel: &str,
    shown: &ShownSet,
    settled: &mut SettleReport,
) -> Result<(), Fault> {
    let is_served = keeper.config.channels.iter().any(|it| it.name.get_ref() == channel);
    // On a feed that the config has not either nobody has decided since.
    let counts = |id: &ReleaseId| is_served || keeper.config.feed(&id.feed).is_some();
    let must_leave = |id: &ReleaseId, manifest| counts(id) && has_fallen(keeper, id, manifest);
    let members = keeper.state.members_of(channel, shown.current());
    let must_go = match &members {
        Ok(members) => members.iter().any(|member| must_leave(&id_of(member), Some(member.manifest))),
        Err(_) => shown.ids().iter().any(|id| must_leave(id, None)),
    };
    if !must_go {
        return members.map(drop);
    }
    keeper.state.use_reserve();
    let set = match keeper.state.set(channel, shown.current()) {
        Ok((_, former)) => smaller_set(keeper, channel, &former, settled),
        Err(fault) => {
            settled.note(Err(fault));
            readable_set(keeper, channel, shown, settled)
        }
    };
    publish_set(keeper, &set, None, settled)
}

/// The former set without what has fallen: made anew from the releases that stand, or, where one of them cannot be
/// read, by leaving the others out of the former.
fn smaller_set(keeper: &Keeper, channel: &str, former: &Set, settled: &mut SettleReport) -> Set {
    let made = former.releases.iter().map(|member| standing(keeper, &id_of(member), Some(member.manifest)));
    let made: Result<Vec<SetInput>, Fault> = made.filter_map(Result::transpose).collect();
    let made = made.and_then(|inputs| {
        let inputs: Vec<&SetInput> = inputs.iter().collect();
        let (set, _) = make_set(channel, Some(former), &inputs, former.generation + 1, keeper.now)?;
        with_dates_back(keeper, set)
    });
    let without =
        || set_without(former, |member| has_fallen(keeper, &id_of(member), Some(member.manifest)), keeper.now);
    match made {
        Ok(set) => set,
        Err(fault) => {
            settled.note(Err(fault));
            without()
        }
    }
}

/// The set of those releases of a set that stand and can be read, where the set itself cannot be.
fn readable_set(keeper: &Keeper, channel: &str, shown: &ShownSet, settled: &mut SettleReport) -> Set {
    let make = |inputs: &[&SetInput]| {
        make_set(channel, None, inputs, shown.generation + 1, keeper.now)
            .and_then(|(set, _)| with_dates_back(keeper, set))
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
    set.unwrap_or_else(|| empty_set(channel, shown.generation + 1, keeper.now))
}

/// True if the import log says that a release must not be shown any more, or not with this manifest: its files need not
/// be read for that.
pub(super) fn has_fallen(keeper: &Keeper, id: &ReleaseId, manifest: Option<Digest>) -> bool {
    let accepted = keeper.trust.accepted_manifest(&id.feed, id.version);
    let is_accepted = accepted.is_some_and(|accepted| manifest.is_none_or(|manifest| manifest == accepted));
    let feed = keeper.config.feed(&id.feed).filter(|_| is_accepted);
    feed.is_none_or(|feed| closed_status(keeper.trust.statements(id), feed).is_some())
}

pub(super) fn id_of(member: &SetMember) -> ReleaseId {
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
    let (set, clash) = make_set(&name, former.as_ref(), &inputs, generation, keeper.now)?;
    drop(former);
    let set = with_dates_back(keeper, set)?;
    publish_set(keeper, &set, clash.as_ref(), settled)?;
    settled.stuck.extend(clash.map(|refusal| (name, refusal)));
    Ok(())
}

/// The set with the dates by which content that went back is due to go forward, from the statements on its releases.
fn with_dates_back(keeper: &Keeper, mut set: Set) -> Result<Set, Fault> {
    for member in &mut set.releases {
        member.back_until = back_until(&keeper.state.statements(&keeper.trust, &id_of(member))?);
    }
    Ok(set)
}

/// Switches a channel to its next set: that is on the disk before the intent, the intent before the switch, the outcome
/// after. What had to be left out of it is in the log just before the intent: an attempt that ends earlier says
/// nothing.
fn publish_set(
    keeper: &mut Keeper,
    set: &Set,
    left_out: Option<&Refusal>,
    settled: &mut SettleReport,
) -> Result<(), Fault> {
    let (name, generation) = (set.channel.clone(), set.generation);
    make_folder(&keeper.state, &name)?;
    durable::sweep(&keeper.state.channel_path(&name))?;
    let written = durable::replace_json(&keeper.state.set_path(&name, generation), set)?;
    if let Some(Refusal { reason, detail }) = left_out.cloned() {
        append_once(keeper, vec![Event::PublishRefused { channel: name.clone(), reason, detail }])?;
    }
    let releases = set.releases.iter().map(|m| format!("{}/{}", m.feed, m.version)).collect();
    keeper.publish(&name, CurrentSet { generation, set: written }, releases)?;
    settled.published.push((name, generation));
    Ok(())
}

/// A release that a set shows, if it may still be shown.
fn standing(keeper: &Keeper, id: &ReleaseId, manifest: Option<Digest>) -> Result<Option<SetInput>, Fault> {
    let Some(feed) = keeper.config.feed(&id.feed).filter(|_| !has_fallen(keeper, id, manifest)) else {
        return Ok(None);
    };
    let release = keeper.state.release(&keeper.trust, id)?;
    let stands = keeper.trust.status(&release, feed, (&keeper.config, &keeper.keyring));
    (stands == ReleaseStatus::Approved).then(|| SetInput::read(&keeper.state, release)).transpose()
}
