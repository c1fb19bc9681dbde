//! Releases that a bundle's release stands beside: what the channels of its feed show, or may show.

use std::collections::BTreeSet;

use crate::keeper::Keeper;
use crate::publish::status::closed_status;
use base::Fault;
use bundle::ReleaseId;

/// Releases of other feeds that agents load together with this one, or may: what a channel of this feed shows, and of each of
/// its feeds the newest that is not refused or withdrawn.
pub(super) fn beside(keeper: &Keeper, feed: &str) -> Result<Vec<ReleaseId>, Fault> {
    let (mut found, kept) = (BTreeSet::new(), keeper.trust.kept_releases());
    for other in keeper.config.channels_of(feed).iter().flat_map(|channel| &channel.feeds) {
        let Some(config) = keeper.config.feed(other.get_ref()) else { continue };
        let is_open = |id: &&ReleaseId| closed_status(keeper.trust.statements(id), config).is_none();
        found.extend(kept.iter().rev().filter(|id| id.feed == *other.get_ref()).find(is_open).cloned());
    }
    for channel in keeper.config.channels_of(feed) {
        let members = keeper.state.members(&keeper.trust, channel.name.get_ref())?.into_iter();
        found.extend(members.map(|member| ReleaseId { feed: member.feed, version: member.version }));
    }
    Ok(found.into_iter().filter(|id| id.feed != feed && keeper.trust.history(id).is_some()).collect())
}
