//! Makes anew what follows from a log's entries: hash tiles that are missing or were changed. Files that do not belong
//! to the log are removed. Entries, checkpoint and key are never touched: where those are not what they were, nothing
//! is done.

use std::path::{Path, PathBuf};

use super::check::{FileFault, FileFinding, LogFinding, check};
use super::nodes;
use super::note::Verifier;
use super::tree::Hash;
use base::{Fault, durable};

/// Files of a log that were made anew.
#[derive(Debug, PartialEq, Eq)]
pub struct RebuiltTiles {
    /// Number of entries.
    pub size: u64,
    /// Root of the tree, as in the checkpoint.
    pub root: Hash,
    /// Hash tiles that were written, by their paths below the log's folder.
    pub written: Vec<PathBuf>,
    /// Files and folders that were removed, by their paths below the log's folder.
    pub removed: Vec<PathBuf>,
}

/// Makes the hash tiles of the log in `folder` anew, durably. Only the holder of the state's lock may.
///
/// Stopping is safe: each file is replaced by the one that follows from the entries, which were proven before, and the
/// next run goes on. Fault: entries, checkpoint or key are not as promised; nothing was changed then.
pub fn rebuild(folder: &Path, verifier: &Verifier) -> Result<RebuiltTiles, Fault> {
    let damaged = |detail: String| Fault::damaged(folder.to_string_lossy(), detail);
    let (mut written, mut removed, mut before) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let files = match check(folder, verifier, |_, _, _| {})? {
            LogFinding::Whole { size, root } => return Ok(RebuiltTiles { size, root, written, removed }),
            LogFinding::Bad { entry, detail } => {
                let entry = entry.map_or(String::new(), |entry| format!("entry {entry}: "));
                return Err(damaged(format!(
                    "{entry}{detail}. Only hashes can be made anew from the entries, so nothing was changed. Restore the log from a backup: gaprelay help backup"
                )));
            }
            LogFinding::Files { files, .. } if files == before => {
                return Err(damaged("the files that were made anew are wrong again: another process changes them, or the disk fails. Find the cause first".into()));
            }
            LogFinding::Files { files, .. } => files,
        };
        // A file in the place of a folder goes before what belongs into that folder.
        for FileFinding { path, .. } in files.iter().filter(|file| file.fault == FileFault::Foreign) {
            durable::remove(&folder.join(path))?;
            removed.push(path.clone());
        }
        for FileFinding { path, fault } in &files {
            let (FileFault::Missing(place) | FileFault::Wrong(place)) = fault else { continue };
            let level = place.level.unwrap_or_default();
            let hashes = nodes::from_entries(folder, level, place.index, place.width)
                .ok_or_else(|| damaged("its entries cannot be read any more".into()))?;
            let target = folder.join(path);
            if target.is_dir() {
                durable::remove(&target)?;
            }
            durable::create_dir(target.parent().unwrap_or(folder))?;
            durable::replace(&target, hashes.as_flattened())?;
            written.push(path.clone());
        }
        before = files;
    }
}
