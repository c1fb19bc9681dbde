//! Reading the entries of a log in order.

use std::path::Path;

use super::Entry;
use base::Fault;
use tlog::note::Verifier;
use tlog::stored::{self, read_checkpoint};
use tlog::tree::WIDTH;

/// Passes each entry from this number on to `take`; returns the number of all entries. They are read under the
/// signed head; [`tlog::check::check`] proves them.
pub fn each_from(
    folder: &Path,
    verifier: &Verifier,
    number: u64,
    mut take: impl FnMut(u64, Entry),
) -> Result<u64, Fault> {
    let head = read_checkpoint(folder, verifier)?;
    each_between(folder, (number, head.size), head.size, |number, _, entry| {
        take(number, entry);
        Ok(())
    })?;
    Ok(head.size)
}

/// Passes each entry from the first number up to below the second, with its exact bytes, to `take`, of a log whose head
/// promises `size`.
pub(crate) fn each_between(
    folder: &Path,
    (mut number, end): (u64, u64),
    size: u64,
    mut take: impl FnMut(u64, &[u8], Entry) -> Result<(), Fault>,
) -> Result<(), Fault> {
    while number < end {
        number = in_bundle(folder, size, number / WIDTH as u64, |first, entries, read| {
            let skip = usize::try_from(number - first).unwrap_or_default();
            for (number, entry) in (first..end).zip(entries).skip(skip) {
                take(number, entry, read(entry)?)?;
            }
            Ok(first + entries.len() as u64)
        })?;
    }
    Ok(())
}

/// Passes the entries of one bundle of a log of `size` to `look`, with the number of the first and a function that
/// reads one. Fault: the bundle, or an entry, is not what was written.
pub(crate) fn in_bundle<T>(
    folder: &Path,
    size: u64,
    index: u64,
    look: impl FnOnce(u64, &[&[u8]], &dyn Fn(&[u8]) -> Result<Entry, Fault>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    stored::in_bundle(folder, size, index, |first, entries| {
        look(first, entries, &|entry| serde_json::from_slice(entry).map_err(|_| stored::bundle_damaged(folder, index)))
    })
}
