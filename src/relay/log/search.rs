//! Search for log entries: by words from the newest back, a page at a time, and by time. There is no index, and no more
//! is read than is needed.

use std::path::Path;

use memchr::memmem::Finder;

use super::entry::Entry;
use super::reading::in_bundle;
use base::{Fault, Timestamp};
use tlog::note::Verifier;
use tlog::stored::read_checkpoint;
use tlog::tree::WIDTH;

/// Query of a search.
#[derive(Clone, Debug, Default)]
pub struct SearchQuery {
    /// Number of the first entry that may be found.
    pub from: u64,
    /// Number above the last entry that may be found; none: up to the newest.
    pub before: Option<u64>,
    /// Words that must all stand in the entry's bytes.
    pub words: Vec<String>,
}

/// Page of search results.
#[derive(Debug)]
pub struct SearchPage {
    /// Number of entries in the log.
    pub size: u64,
    /// Entries found, newest first.
    pub hits: Vec<Hit>,
    /// Lowest number that was searched; the rest of the log lies before it.
    pub reached: u64,
}

/// Entry that was found.
#[derive(Debug)]
pub struct Hit {
    /// Number of the entry.
    pub number: u64,
    /// Exact bytes of the entry.
    pub bytes: Vec<u8>,
    /// Content of the entry.
    pub entry: Entry,
}

/// Finds the newest entries that match, at most `most`. They are read under the signed head;
/// [`tlog::check::check`] proves them.
pub fn search(folder: &Path, verifier: &Verifier, wanted: &SearchQuery, most: usize) -> Result<SearchPage, Fault> {
    let size = read_checkpoint(folder, verifier)?.size;
    let finders: Vec<_> = wanted.words.iter().map(|word| Finder::new(word.as_bytes())).collect();
    let reached = wanted.before.unwrap_or(size).min(size);
    let mut found = SearchPage { size, hits: Vec::new(), reached };
    while found.reached > wanted.from && found.hits.len() < most {
        in_bundle(folder, size, (found.reached - 1) / WIDTH as u64, |first, entries, read| {
            let mut below: Vec<_> = (first..found.reached).zip(entries).collect();
            while let Some((number, entry)) = below.pop().filter(|(number, _)| *number >= wanted.from) {
                if found.hits.len() == most {
                    break;
                }
                if finders.iter().all(|finder| finder.find(entry).is_some()) {
                    found.hits.push(Hit { number, bytes: entry.to_vec(), entry: read(entry)? });
                }
                found.reached = number;
            }
            Ok(())
        })?;
    }
    Ok(found)
}

/// Finds the newest entry whose bytes hold each of `words` and for which `is_it` is true, with its number.
pub fn newest(
    folder: &Path,
    verifier: &Verifier,
    words: &[String],
    is_it: impl Fn(&Entry) -> bool,
) -> Result<Option<(u64, Entry)>, Fault> {
    let mut wanted = SearchQuery { words: words.to_vec(), ..SearchQuery::default() };
    while wanted.before != Some(0) {
        let found = search(folder, verifier, &wanted, 16)?;
        wanted.before = Some(found.reached);
        if let Some(hit) = found.hits.into_iter().find(|hit| is_it(&hit.entry)) {
            return Ok(Some((hit.number, hit.entry)));
        }
    }
    Ok(None)
}

/// Number of the first entry that was appended at `time` or later. Time goes back in a log only where officers had a
/// clock turned back: entries that the wrong clock had dated may then be among those from there on, or not; entries
/// that were appended at `time` or later always are.
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
    use crate::log::{Event, Log};
    use tlog::check::read_vkey;

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
                let (mut seen, mut wanted) =
                    (Vec::new(), SearchQuery { words: words.clone(), ..SearchQuery::default() });
                while wanted.before != Some(0) {
                    let found = search(&folder, &vkey, &wanted, most).unwrap();
                    assert!(found.size == 700 && found.hits.len() <= most);
                    assert!(wanted.before.is_none_or(|before| found.reached < before));
                    seen.extend(found.hits.iter().map(|hit| hit.number));
                    wanted.before = Some(found.reached);
                }
                seen.reverse();
                assert_eq!(seen, expected, "{most} {words:?}");
            }
        }
        let of = |from, before, words: &[&str], most| {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            let found = search(&folder, &vkey, &SearchQuery { from, before, words }, most).unwrap();
            (found.hits.iter().map(|hit| hit.number).collect::<Vec<_>>(), found.reached)
        };
        assert_eq!(of(0, None, &["seventh", "number 14 "], 9).0, [14]);
        assert_eq!(of(0, Some(u64::MAX), &["absent"], 9), (vec![], 0));
        // Nothing before what is wanted is looked at, also in the middle of a bundle.
        assert_eq!(of(300, Some(310), &["seventh"], 9), (vec![308, 301], 300));
        assert_eq!(of(256, Some(260), &[], 9), (vec![259, 258, 257, 256], 256));
        assert_eq!(of(300, Some(300), &[], 9), (vec![], 300));
        assert_eq!(of(698, None, &[], 1), (vec![699], 699));
    }
}
