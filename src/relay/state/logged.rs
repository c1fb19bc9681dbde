//! Imports and publications as the import log has them, every entry proven: for decisions that must not rest on files
//! beside it, or for which those cannot be read.

use std::collections::BTreeMap;

use super::{State, Trust};
use crate::log::{Entry, Event, published_set};
use base::{Digest, Fault};
use bundle::{ReleaseId, Signer};
use tlog::note::Checkpoint;
use tlog::stored::read_checkpoint;
use tlog::tail::each_after;
use tlog::tree;

/// Signers of the releases that are kept, with the manifests that were accepted. The whole log is read for that. Fault:
/// it is damaged.
pub(crate) fn logged_signers(state: &State, trust: &Trust) -> Result<BTreeMap<ReleaseId, Vec<Signer>>, Fault> {
    let mut found = BTreeMap::new();
    each_entry(state, |bytes| {
        // What another version of gaprelay wrote says nothing here.
        let Ok(Entry { event: Event::Imported { feed, version, manifest, signers, .. }, .. }) =
            serde_json::from_slice(bytes)
        else {
            return;
        };
        let id = ReleaseId { feed, version };
        if trust.history(&id).is_some() && trust.accepted_manifest(&id.feed, version) == Some(manifest) {
            found.insert(id, signers);
        }
    })?;
    Ok(found)
}

/// Digests of all sets that were published, by channel and number. The whole log is read for that. Fault: it is
/// damaged.
pub(crate) fn published_sets(state: &State) -> Result<BTreeMap<(String, u64), Digest>, Fault> {
    let mut found = BTreeMap::new();
    each_entry(state, |bytes| found.extend(published_set(bytes)))?;
    Ok(found)
}

/// Passes the bytes of each entry of the import log to `take`. What it was given counts once this returns.
fn each_entry(state: &State, mut take: impl FnMut(&[u8])) -> Result<(), Fault> {
    let folder = state.import_log();
    let head = read_checkpoint(&folder, state.log_key()?)?;
    let none = Checkpoint { origin: head.origin.clone(), size: 0, root: tree::root_of(&[]) };
    each_after(&folder, &none, &head, |_, bytes| {
        take(bytes);
        Ok(())
    })
}
