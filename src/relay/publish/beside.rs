//! Releases that a release stands beside: what the channels of its feed show of others, or show next.

use std::collections::BTreeSet;

use super::ReleaseStatus;
use super::status::closed_status;
use crate::state::{State, Trust};
use base::Fault;
use bundle::ReleaseId;
use config::Config;

/// Releases of other feeds that agents load together with one of this feed: what its channels show, and the newest that
/// may be shown. What waits for officers takes no name from anybody.
pub(crate) fn beside((state, trust): (&State, &Trust), config: &Config, feed: &str) -> Result<Vec<ReleaseId>, Fault> {
    let (mut found, kept, keyring) = (BTreeSet::new(), trust.kept_releases(), state.keyring(trust)?);
    for channel in config.channels_of(feed) {
        let members = state.members(trust, channel.name.get_ref())?.into_iter();
        found.extend(members.map(|member| ReleaseId { feed: member.feed, version: member.version }));
        for other in &channel.feeds {
            let other = other.get_ref();
            let Some(terms) = config.feed(other).filter(|_| other != feed) else { continue };
            let is_open = |id: &&ReleaseId| closed_status(trust.statements(id), terms).is_none();
            for id in kept.iter().rev().filter(|id| id.feed == *other).filter(is_open) {
                if trust.status(&state.release(trust, id)?, terms, (config, &keyring)) == ReleaseStatus::Approved {
                    found.insert(id.clone());
                    break;
                }
            }
        }
    }
    Ok(found.into_iter().filter(|id| id.feed != feed && trust.history(id).is_some()).collect())
}
