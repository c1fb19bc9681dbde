//! Releases that a bundle's release stands beside: what the channels of its feed show, or may show.

use std::collections::BTreeSet;

use crate::keeper::Keeper;
use crate::publish::status::closed_status;
use crate::state::Release;
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

/// Versions of a feed that its channels show.
pub(super) fn shown_versions(keeper: &Keeper, feed: &str) -> Result<BTreeSet<u64>, Fault> {
    let mut shown = BTreeSet::new();
    for channel in keeper.config.channels_of(feed) {
        let members = keeper.state.members(&keeper.trust, channel.name.get_ref())?;
        shown.extend(members.iter().filter(|member| member.feed == feed).map(|member| member.version));
    }
    Ok(shown)
}

/// True if what a release brought may count for another: it was not refused or withdrawn, and nothing of it is denied.
pub(super) fn stands(keeper: &Keeper, release: &Release) -> bool {
    let feed = keeper.config.feed(&release.feed);
    let is_open = |feed| closed_status(keeper.trust.statements(&release.id()), feed).is_none();
    feed.is_some_and(is_open) && !keeper.is_denied(release)
}
