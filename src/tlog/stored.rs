//! Reads a log from its folder: the signed head, and bundles of entries as bytes. What is read is believed by nobody:
//! [`check`](crate::check) proves it.

use std::path::{Path, PathBuf};

use base::{Fault, durable};

use crate::note::{Checkpoint, Verifier};
use crate::tiles::{self, LONGEST};
use crate::tree::WIDTH;

/// The signed head of the log in `folder`. A head that is missing, unsigned or of another log is damage.
pub fn read_checkpoint(folder: &Path, verifier: &Verifier) -> Result<Checkpoint, Fault> {
    read_head(folder, verifier).map(|(head, _)| head)
}

/// The same, and the note that holds it.
pub fn read_head(folder: &Path, verifier: &Verifier) -> Result<(Checkpoint, String), Fault> {
    let damaged = || Fault::damaged(folder.to_string_lossy(), "the checkpoint is not signed by the log's key");
    let note = String::from_utf8(durable::read(&folder.join("checkpoint"), 65_536)?).map_err(|_| damaged())?;
    verifier.head(&note).map(|head| (head, note)).ok_or_else(damaged)
}

/// Gives the entries of one bundle of a log of `size`, with the number of the first, to `look`. Fault: the bundle is
/// not what was written.
pub fn in_bundle<T>(
    folder: &Path,
    size: u64,
    index: u64,
    look: impl FnOnce(u64, &[&[u8]]) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let first = index * WIDTH as u64;
    let width = usize::try_from(size - first).unwrap_or(WIDTH).min(WIDTH);
    let damaged = || bundle_damaged(folder, index);
    let bytes = read_bundle(folder, index, width)?;
    let entries = tiles::entries(&bytes).ok_or_else(damaged)?;
    look(first, entries.get(..width).ok_or_else(damaged)?)
}

/// The fault that an entry bundle, or an entry in it, is not what was written.
pub fn bundle_damaged(folder: &Path, index: u64) -> Fault {
    Fault::damaged(folder.to_string_lossy(), format!("entry bundle {index} cannot be read"))
}

/// An entry bundle of at least `width` entries: of that width, or a longer one that replaced it.
pub fn read_bundle(folder: &Path, index: u64, width: usize) -> Result<Vec<u8>, Fault> {
    find_bundle(folder, index, width).map(|(_, bytes)| bytes)
}

/// The same, with the width that its name promises.
pub fn find_bundle(folder: &Path, index: u64, width: usize) -> Result<(usize, Vec<u8>), Fault> {
    let of = |width| folder.join(tiles::bundle_path(index, width));
    let found = if of(width).exists() { width } else { wider(&of, width).unwrap_or(width) };
    Ok((found, durable::read(&of(found), LONGEST)?))
}

/// Width of a newer tile or bundle in place of one of `width` entries, which a growing log has replaced: a reader
/// beside the keeper may ask late.
pub fn wider(path: &dyn Fn(usize) -> PathBuf, width: usize) -> Option<usize> {
    if width < WIDTH && path(WIDTH).exists() {
        return Some(WIDTH);
    }
    let names = durable::names(path(1).parent()?).ok()?;
    names.iter().filter_map(|name| tiles::width_of(name)).filter(|found| *found > width).max()
}
