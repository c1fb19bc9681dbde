//! Artifacts that other publishers signed as well.

use std::collections::BTreeSet;

use crate::keeper::Keeper;
use crate::publish::status::closed_status;
use base::{Digest, Fault};

/// Digests of all artifacts that publishers other than this one have signed, and that were kept, in the releases that
/// are kept and stand: what officers refused, withdrew or deny agrees with nothing.
pub(super) fn signed_by_others(keeper: &Keeper, publisher: &str) -> Result<BTreeSet<Digest>, Fault> {
    let mut signed = BTreeSet::new();
    for id in keeper.trust.kept_releases() {
        let feed = keeper.config.feed(&id.feed);
        // Of what is closed nothing need be read: it may be damaged.
        if feed.is_none_or(|feed| closed_status(keeper.trust.statements(&id), feed).is_some()) {
            continue;
        }
        let release = keeper.state.release(&keeper.trust, &id)?;
        if release.publisher != publisher && !keeper.is_denied(&release) {
            let verdicts = keeper.state.verdicts(&release)?;
            let kept = verdicts.iter().filter(|verdict| verdict.kept().is_some());
            signed.extend(kept.map(|verdict| verdict.sha256));
        }
    }
    Ok(signed)
}
