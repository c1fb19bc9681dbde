//! Names of a bundle's files, and whose they are: see [`PathClaims`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::keeper::Keeper;
use crate::publish::ReleaseStatus;
use crate::publish::claims::PathClaims;
use crate::publish::status::closed_status;
use base::Fault;
use bundle::Manifest;

/// Artifacts of a manifest whose names belong to other feeds that agents load together with this one, and to which:
/// what those brought before, were it held or withdrawn since, and what this feed itself brought before them. Of what
/// officers refused, or of which something is denied, no name is kept.
pub(super) fn taken_names(keeper: &Keeper, manifest: &Manifest) -> Result<BTreeMap<String, String>, Fault> {
    let channels = keeper.config.channels_of(&manifest.feed).into_iter().filter(|channel| channel.feeds.len() > 1);
    let feeds: BTreeSet<&str> =
        channels.flat_map(|channel| &channel.feeds).map(|feed| feed.get_ref().as_str()).collect();
    let mut releases = Vec::new();
    for id in keeper.trust.kept_releases().into_iter().filter(|id| feeds.contains(id.feed.as_str())) {
        let Some(feed) = keeper.config.feed(&id.feed) else { continue };
        if closed_status(keeper.trust.statements(&id), feed) == Some(ReleaseStatus::Refused) {
            continue;
        }
        let release = keeper.state.release(&keeper.trust, &id)?;
        if !keeper.is_denied(&release) {
            releases.push(release);
        }
    }
    releases.sort_by_key(|release| (release.imported, release.id()));
    let mut claims = PathClaims::new();
    for release in &releases {
        let feed = Arc::from(release.feed.as_str());
        for verdict in keeper.state.verdicts(release)?.iter().filter(|verdict| verdict.kept().is_some()) {
            // The name is another one's already: that one keeps it.
            let _ = claims.claim(&verdict.path, &feed);
        }
    }
    let paths = manifest.artifacts.iter().map(|artifact| &artifact.path).filter(|_| !feeds.is_empty());
    let taken = paths.filter_map(|path| Some((path.clone(), claims.other_owner(path, &manifest.feed)?.to_string())));
    Ok(taken.collect())
}
