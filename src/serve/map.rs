//! Files mapped into memory: the one room with `unsafe` in it.
#![allow(unsafe_code, reason = "the fenced room: mapping a file is unsafe whoever does it")]

use std::fs::File;
use std::path::Path;

use bytes::Bytes;
use memmap2::Mmap;

use crate::base::Fault;
use crate::base::error::IoContext as _;

/// The bytes of a file of ours that never changes: a blob, a pack. Slices of them share the
/// mapping, which stays readable when the file is removed.
pub fn map(path: &Path, size: Option<u64>) -> Result<Bytes, Fault> {
    let file = File::open(path).during("open", path)?;
    let length = file.metadata().during("read", path)?.len();
    if size.is_some_and(|size| size != length) {
        return Err(Fault::damaged(path.to_string_lossy(), "it does not have its length"));
    }
    if length == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: the mapping is read-only and private to us, and the file behind it is written once,
    // under a temporary name, and never changed or cut after it got its final one: `base::durable`
    // only renames and removes, and no other user may write the state folder.
    let mapped = unsafe { Mmap::map(&file) }.during("map", path)?;
    Ok(Bytes::from_owner(mapped))
}
