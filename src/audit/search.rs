//! Looks for entries from the newest back, a page at a time: no index, and no more is read than is shown.

use std::path::Path;

use memchr::memmem::Finder;

use super::entry::Entry;
use super::log::{read_bundle, read_checkpoint};
use super::note::Verifier;
use super::tiles;
use super::tree::WIDTH;
use crate::base::Fault;

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// Entries in the log.
    pub size: u64,
    /// Entries with their numbers, newest first.
    pub entries: Vec<(u64, Entry)>,
    /// The oldest number that was looked at: what is left lies before it.
    pub reached: u64,
}

/// Up to `most` entries numbered below `before` whose bytes hold each of `words`. They are read under the
/// signed head; [`super::check::check`] proves them.
pub fn search(
    folder: &Path,
    verifier: &Verifier,
    before: Option<u64>,
    words: &[String],
    most: usize,
) -> Result<Found, Fault> {
    let size = read_checkpoint(folder, verifier)?.size;
    let finders: Vec<_> = words.iter().map(|word| Finder::new(word.as_bytes())).collect();
    let mut found = Found { size, entries: Vec::new(), reached: before.unwrap_or(size).min(size) };
    while let Some(newest) = found.reached.checked_sub(1).filter(|_| found.entries.len() < most) {
        let index = newest / WIDTH as u64;
        let first = index * WIDTH as u64;
        let width = usize::try_from(size - first).unwrap_or(WIDTH).min(WIDTH);
        let damaged = || Fault::damaged(folder.to_string_lossy(), format!("bundle {index} cannot be read"));
        let bytes = read_bundle(folder, index, width)?;
        let entries = tiles::entries(&bytes).filter(|entries| entries.len() >= width).ok_or_else(damaged)?;
        let mut below: Vec<_> = (first..found.reached).zip(entries).collect();
        while let Some((number, entry)) = below.pop() {
            if finders.iter().all(|finder| finder.find(entry).is_some()) {
                found.entries.push((number, serde_json::from_slice(entry).map_err(|_| damaged())?));
            }
            found.reached = number;
            if found.entries.len() == most {
                break;
            }
        }
    }
    Ok(found)
}
