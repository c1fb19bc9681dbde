//! Channels: each shows the newest approved release of each of its feeds.

use super::SettleReport;
use crate::keeper::Keeper;
use crate::log::Event;
use crate::publish::set::make_set;
use crate::publish::status::back_until;
use crate::publish::{ReleaseStatus, release_status};
use crate::state::Release;
use base::{Error, Fault, durable};
use bundle::ReleaseId;
use config::Channel;
use serve::set::{CurrentSet, SetMember};

/// Brings every channel up to date. One that cannot be keeps showing what it shows, and is told at each run.
pub(super) fn update_channels(keeper: &mut Keeper, settled: &mut SettleReport) -> Result<(), Fault> {
    for channel in keeper.config.channels.clone() {
        let name = channel.name.get_ref().clone();
        match update_channel(keeper, &channel) {
            Ok(Some(generation)) => settled.published.push((name, generation)),
            Ok(None) => {}
            Err(Error::Refused(refusal)) => settled.stuck.push((name, refusal)),
            Err(Error::Fault(fault)) => return Err(fault),
        }
    }
    Ok(())
}

/// The releases a channel should show: of each feed the newest that stands approved.
pub fn due_releases(keeper: &Keeper, channel: &Channel) -> Result<Vec<Release>, Fault> {
    let ids = keeper.state.releases(&keeper.trust)?;
    let mut due = Vec::new();
    for name in &channel.feeds {
        let Some(feed) = keeper.config.feed(name.get_ref()) else { continue };
        for id in ids.iter().rev().filter(|id| id.feed == *name.get_ref()) {
            let release = keeper.state.release(id)?;
            if release_status(&release, &keeper.state.statements(id)?, feed) == ReleaseStatus::Approved {
                due.push(release);
                break;
            }
        }
    }
    Ok(due)
}

/// Switches a channel if what is due is not what it shows; gives the new generation.
fn update_channel(keeper: &mut Keeper, channel: &Channel) -> Result<Option<u64>, Error> {
    let name = channel.name.get_ref().clone();
    let due = due_releases(keeper, channel)?;
    let current = keeper.state.current(&name)?;
    let same =
        |(member, release): (&SetMember, &Release)| member.feed == release.feed && member.manifest == release.manifest;
    // Looked at every few seconds, and hardly ever otherwise.
    let shown = keeper.state.members(&name)?;
    if shown.len() == due.len() && shown.iter().zip(&due).all(same) {
        return Ok(None);
    }
    let former = current.map(|current| keeper.state.set(&name, current)).transpose()?.map(|(_, set)| set);
    let mut releases = Vec::new();
    for release in due {
        let verdicts = keeper.state.verdicts(&release)?;
        let packed = keeper.state.pack_index(&release.id())?;
        releases.push((release, verdicts, packed));
    }
    let generation = former.as_ref().map_or(0, |set| set.generation) + 1;
    let refused = keeper.state.channel_path(&name).join("refused");
    let set = match make_set(&name, former.as_ref(), &releases, generation, keeper.now) {
        Ok(mut set) => {
            for member in &mut set.releases {
                let id = ReleaseId { feed: member.feed.clone(), version: member.version };
                member.back_until = back_until(&keeper.state.statements(&id)?);
            }
            set
        }
        Err(refusal) => {
            // Told once, not at every tick of the timer.
            let (reason, detail) = (refusal.reason, refusal.detail.clone());
            if !std::fs::read(&refused).is_ok_and(|told| told == detail.as_bytes()) {
                keeper.append(vec![Event::PublishRefused { channel: name.clone(), reason, detail: detail.clone() }])?;
                durable::create_dir(&keeper.state.channel_path(&name))?;
                durable::replace(&refused, detail.as_bytes())?;
            }
            return Err(refusal.into());
        }
    };
    drop((former, releases));

    // The set is on the disk before the intent, the intent before the switch, the outcome after.
    durable::create_dir(&keeper.state.channel_path(&name))?;
    durable::sweep(&keeper.state.channel_path(&name))?;
    let written = durable::replace_json(&keeper.state.set_path(&name, generation), &set)?;
    let next = CurrentSet { generation, set: written };
    let shown = set.releases.iter().map(|m| format!("{}/{}", m.feed, m.version)).collect();
    keeper.append(vec![Event::PublishStarted { channel: name.clone(), generation, set: next.set, releases: shown }])?;
    keeper.state.switch_channel(&name, next)?;
    keeper.append(vec![Event::Published { channel: name.clone(), generation, set: next.set }])?;
    durable::remove(&refused)?;
    Ok(Some(generation))
}
