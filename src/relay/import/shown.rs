//! Versions that the channels of a feed show.

use std::collections::BTreeSet;

use crate::keeper::Keeper;
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
