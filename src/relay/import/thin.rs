//! Thin bundles: artifacts that they leave out are taken from the relay's own store, and judged like those they carry.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::path::PathBuf;

use crate::keeper::Keeper;
use crate::publish::ReleaseStatus;
use crate::state::SMALL;
use base::error::IoContext as _;
use base::{Digest, Error, Fault, Reason, Refusal, durable, quoted};
use bundle::{Artifact, Verified};
use config::{Channel, Config};
use inspect::VerdictKind;

/// Checks that the relay holds every artifact that a thin bundle leaves out. Refusal: `blob-missing`, with a list.
pub(crate) fn check_held(keeper: &Keeper, verified: &Verified) -> Result<(), Error> {
    let held = HeldArtifacts::of(keeper, verified)?;
    let left_out = verified.manifest().artifacts.iter().filter(|a| !a.carried);
    let missing: Vec<String> = left_out
        .filter(|a| held.find(a).is_none())
        .map(|a| format!("{} (sha256:{})", quoted(&a.path), a.sha256))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let shown = missing.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
    let more = missing.len().saturating_sub(20);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Err(Error::refused(Reason::BlobMissing, format!("the feed's releases on this relay do not hold: {shown}{more}")))
}

/// Artifacts that a thin bundle may leave out, by digest and size: their file, and their offset in it. They are those
/// of accepted releases, neither refused nor withdrawn, of the bundle's own feed, and of approved ones of feeds that
/// everybody may read who may read this one: a bundle that names a digest must not bring its readers what they may not
/// see, nor bring back what officers refused. The artifacts are inspected again on this feed's terms, and proven to
/// have the signed digest, as if the bundle had carried them.
pub(crate) struct HeldArtifacts(BTreeMap<(Digest, u64), (PathBuf, u64)>);

impl HeldArtifacts {
    /// Finds the artifacts for this bundle.
    pub(crate) fn of(keeper: &Keeper, verified: &Verified) -> Result<Self, Fault> {
        let (manifest, mut held) = (verified.manifest(), BTreeMap::new());
        if manifest.artifacts.iter().all(|artifact| artifact.carried) {
            return Ok(Self(held));
        }
        let state = &keeper.state;
        for id in keeper.trust.kept_releases() {
            let Some(feed) =
                keeper.config.feed(&id.feed).filter(|_| may_lend(&keeper.config, &id.feed, &manifest.feed))
            else {
                continue;
            };
            let release = state.release(&keeper.trust, &id)?;
            let is_lent = match keeper.trust.status(&release, feed, (&keeper.config, &keeper.keyring)) {
                ReleaseStatus::Approved => true,
                // Nobody may read it yet: to its own feed alone, where it waits for the same officers.
                ReleaseStatus::Held { .. } | ReleaseStatus::Overtaken { .. } => id.feed == manifest.feed,
                ReleaseStatus::Denied { .. } | ReleaseStatus::Refused | ReleaseStatus::Withdrawn => false,
            };
            if !is_lent || keeper.is_denied(&release) {
                continue;
            }
            let pack = state.release_path(&id).join("pack");
            let small = state.pack_index(&release)?.into_values();
            held.extend(small.map(|packed| ((packed.sha256, packed.size), (pack.clone(), packed.offset))));
            let verdicts = state.verdicts(&release)?.into_iter();
            let large = verdicts.filter(|it| it.decision == VerdictKind::Cleared && it.size >= SMALL);
            held.extend(large.map(|it| ((it.sha256, it.size), (state.blob_path(it.sha256), 0))));
        }
        Ok(Self(held))
    }

    fn find(&self, artifact: &Artifact) -> Option<&(PathBuf, u64)> {
        let found = self.0.get(&(artifact.sha256, artifact.size))?;
        found.0.metadata().is_ok_and(|meta| meta.len() >= artifact.size).then_some(found)
    }

    /// Opens a file at the beginning of an artifact's bytes. Refusal: `blob-missing`.
    pub(crate) fn open(&self, artifact: &Artifact) -> Result<File, Error> {
        let missing = || {
            let detail = format!("the feed's releases on this relay do not hold: {}", quoted(&artifact.path));
            Refusal::new(Reason::BlobMissing, detail)
        };
        let (path, offset) = self.find(artifact).ok_or_else(missing)?;
        let mut file = durable::open(path)?;
        file.seek(SeekFrom::Start(*offset)).during("read", path)?;
        Ok(file)
    }
}

/// True if a bundle of the feed `to` may leave out what the feed `from` has brought: it is the same feed, or everybody
/// who may read the one may read the other. Who will read a feed that no channel shows yet, nobody knows.
fn may_lend(config: &Config, from: &str, to: &str) -> bool {
    let (shown, wanted) = (config.channels_of(from), config.channels_of(to));
    let is_open = |channels: &[&Channel]| channels.iter().any(|channel| channel.certificates.is_empty());
    let readers = |channels: &[&Channel]| -> BTreeSet<String> {
        channels.iter().flat_map(|channel| channel.certificates.iter().cloned()).collect()
    };
    from == to
        || is_open(&shown)
        || (!wanted.is_empty() && !is_open(&wanted) && readers(&wanted).is_subset(&readers(&shown)))
}
