//! Looks for entries: by words from the newest back, a page at a time, and by time. No index, and no more is read
//! than is needed.

use std::path::Path;

use memchr::memmem::Finder;

use super::entry::Entry;
use super::log::{in_bundle, read_checkpoint};
use super::note::Verifier;
use super::tree::WIDTH;
use crate::base::{Fault, Timestamp};

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
        in_bundle(folder, size, newest / WIDTH as u64, |first, entries, read| {
            let mut below: Vec<_> = (first..found.reached).zip(entries).collect();
            while let Some((number, entry)) = below.pop().filter(|_| found.entries.len() < most) {
                if finders.iter().all(|finder| finder.find(entry).is_some()) {
                    found.entries.push((number, read(entry)?));
                }
                found.reached = number;
            }
            Ok(())
        })?;
    }
    Ok(found)
}

/// The newest entry whose bytes hold each of `words` and which `is_it`, with its number.
pub fn newest(
    folder: &Path,
    verifier: &Verifier,
    words: &[String],
    is_it: impl Fn(&Entry) -> bool,
) -> Result<Option<(u64, Entry)>, Fault> {
    let mut before = None;
    while before != Some(0) {
        let found = search(folder, verifier, before, words, 16)?;
        before = Some(found.reached);
        if let Some(entry) = found.entries.into_iter().find(|(_, entry)| is_it(entry)) {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

/// The number of the first entry that was appended at `time` or later: time does not go back in a log.
pub fn first_since(folder: &Path, size: u64, time: Timestamp) -> Result<u64, Fault> {
    let (mut low, mut high) = (0, size);
    while low < high {
        let middle = low.midpoint(high);
        let at = in_bundle(folder, size, middle / WIDTH as u64, |first, entries, read| {
            let place = usize::try_from(middle - first).unwrap_or_default();
            entries.get(place).map(|entry| read(entry).map(|entry| entry.time)).transpose()
        })?;
        if at.is_some_and(|at| at < time) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::check::read_vkey;
    use crate::audit::{Event, Log};

    #[test]
    fn every_entry_is_found_once_across_bundles_and_pages() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("log");
        Log::create(&folder, "test/1").unwrap();
        let mut log = Log::open(&folder).unwrap();
        let fault = |n: u64| Event::ImportFailed {
            fault: format!("number {n} {}", if n.is_multiple_of(7) { "seventh" } else { "" }),
        };
        log.append(Timestamp::from_secs(1), (0..700).map(fault).collect()).unwrap();
        let vkey = read_vkey(&folder).unwrap();
        for (words, expected) in
            [(vec![], (0..700).collect::<Vec<u64>>()), (vec!["seventh".to_owned()], (0..700).step_by(7).collect())]
        {
            for most in [1, 7, 255, 256, 257, 1000] {
                let (mut seen, mut before) = (Vec::new(), None);
                while before != Some(0) {
                    let found = search(&folder, &vkey, before, &words, most).unwrap();
                    assert!(
                        found.size == 700 && found.entries.len() <= most && before.is_none_or(|b| found.reached < b)
                    );
                    seen.extend(found.entries.iter().map(|(number, _)| *number));
                    before = Some(found.reached);
                }
                seen.reverse();
                assert_eq!(seen, expected, "{most} {words:?}");
            }
        }
        let both = ["seventh".to_owned(), "number 14 ".to_owned()];
        assert_eq!(search(&folder, &vkey, None, &both, 9).unwrap().entries.first().map(|(n, _)| *n), Some(14));
        assert!(search(&folder, &vkey, Some(u64::MAX), &["absent".to_owned()], 9).unwrap().entries.is_empty());
    }
}
