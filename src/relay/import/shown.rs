//! Versions that the channels of a feed show.

use std::collections::BTreeSet;

use crate::keeper::Keeper;
use crate::publish::status::closed_status;
use crate::state::Release;
use base::Fault;

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
