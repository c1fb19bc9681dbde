//! Releases that a bundle's release stands beside: what the channels of its feed show, and what other publishers signed.

use std::collections::BTreeSet;

use crate::keeper::Keeper;
use crate::publish::status::closed_status;
use base::{Digest, Fault};

/// Digests of all artifacts that publishers other than this one have signed, in the releases that are kept and stand: what
/// officers refused, withdrew or deny agrees with nothing.
pub(super) fn signed_by_others(keeper: &Keeper, publisher: &str) -> Result<BTreeSet<Digest>, Fault> {
    let mut signed = BTreeSet::new();
    for id in keeper.trust.kept_releases() {
        let feed = keeper.config.feed(&id.feed);
        // Of what is closed nothing need be read: it may be damaged.
        if feed.is_none_or(|feed| closed_status(keeper.trust.statements(&id), feed).is_some()) {
            continue;
        }
        let release = keeper.state.release(&keeper.trust, &id)?;
        let denied = &keeper.keyring.denied;
        let is_denied = denied.check_release(&release.feed, &release.origin, &release.signers).is_err();
        if release.publisher != publisher && !is_denied {
            signed.extend(keeper.state.verdicts(&release)?.iter().map(|verdict| verdict.sha256));
        }
    }
    Ok(signed)
}
