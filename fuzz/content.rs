//! Properties of content, however it comes: cut into other pieces, the same is found; what an honest examiner could
//! say is all that is said; what is left out are whole lines, and an archive can be made anew without them.

use std::io::BufReader;

use inspect::flaw::cuts;
use inspect::rebuild::rebuild;
use inspect::{Finding, Kind, inspect};

/// The first byte of `data` chooses one of the paths; gives what is found in the rest.
pub fn check(paths: &[&str], data: &[u8]) -> Option<Finding> {
    let (first, data) = data.split_first()?;
    let path = paths[usize::from(*first) % paths.len()];
    found(path, data)
}

/// Findings in `data` at `path`.
pub fn found(path: &str, data: &[u8]) -> Option<Finding> {
    let read = |piece: usize| {
        let mut items = Vec::new();
        let found = inspect(path, &mut BufReader::with_capacity(piece, data), &mut |records| items.extend_from_slice(records));
        (found.expect("what is in memory can be read"), items)
    };
    let (found, items) = read(data.len().max(1));
    assert_eq!((found.clone(), items), read(3));
    assert!(found.is_plausible());
    if found.kind == Ok(Kind::RulesArchive) {
        // What can be left out of an archive that is of the form can be left out of it.
        if !found.flaws.is_empty() && found.flaws.iter().all(|flaw| flaw.span().is_some()) {
            rebuild(data, &cuts(&found.flaws), Vec::new()).expect("whole lines of an archive that was read");
        }
        return Some(found);
    }
    for part in found.flaws.iter().map(|flaw| flaw.part) {
        assert!(part.span().is_none_or(|span| span.end() <= data.len() as u64), "{part:?}");
    }
    for span in found.flaws.iter().filter_map(|flaw| flaw.span()) {
        let (from, end) = (span.from as usize, span.end() as usize);
        assert!(from == 0 || data[from - 1] == b'\n', "{span:?}");
        assert!(end == data.len() || data[end - 1] == b'\n', "{span:?}");
    }
    Some(found)
}
