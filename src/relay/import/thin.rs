//! Thin bundles: artifacts that they leave out are taken from the relay's own store, and judged like those they carry.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};

use crate::keeper::Keeper;
use crate::state::State;
use crate::state::release::Packs;
use base::error::IoContext as _;
use base::{Error, Fault, Reason, Refusal, quoted};
use bundle::{Artifact, Verified};

/// Checks that the relay holds every artifact that a thin bundle leaves out. Refusal: `blob-missing`, with a list.
pub(crate) fn check_held(keeper: &Keeper, verified: &Verified) -> Result<(), Error> {
    let left_out: Vec<_> = verified.manifest().artifacts.iter().filter(|a| !a.carried).collect();
    if left_out.is_empty() {
        return Ok(());
    }
    let packs = keeper.state.packs(&keeper.trust)?;
    let missing: Vec<String> = left_out
        .iter()
        .filter(|a| keeper.state.find_held(a.sha256, a.size, &packs).is_none())
        .map(|a| format!("{} (sha256:{})", quoted(&a.path), a.sha256))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let shown = missing.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
    let more = missing.len().saturating_sub(20);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Err(Error::refused(Reason::BlobMissing, format!("this relay does not hold: {shown}{more}")))
}

/// Artifacts that the relay holds and a thin bundle leaves out. They are inspected again from the relay's own store, on
/// this feed's terms, and proven to have the signed digest, as if the bundle had carried them.
pub(crate) struct HeldArtifacts {
    packs: Packs,
}

impl HeldArtifacts {
    /// Finds the packs for this bundle.
    pub(crate) fn of(keeper: &Keeper, verified: &Verified) -> Result<Self, Fault> {
        let carries_all = verified.manifest().artifacts.iter().all(|artifact| artifact.carried);
        let packs = if carries_all { Packs::default() } else { keeper.state.packs(&keeper.trust)? };
        Ok(Self { packs })
    }

    /// Opens a file at the beginning of an artifact's bytes. Refusal: `blob-missing`.
    pub(crate) fn open(&self, state: &State, artifact: &Artifact) -> Result<File, Error> {
        let missing =
            || Refusal::new(Reason::BlobMissing, format!("this relay does not hold: {}", quoted(&artifact.path)));
        let (path, offset) = state.find_held(artifact.sha256, artifact.size, &self.packs).ok_or_else(missing)?;
        let mut file = File::open(&path).during("open", &path)?;
        file.seek(SeekFrom::Start(offset)).during("read", &path)?;
        Ok(file)
    }
}
