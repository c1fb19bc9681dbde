//! Content of each kind that is looked into: however they come in pieces, the same is found; a file in which nothing is found has no line that a simple
//! look takes for one that runs code.
#![no_main]

use gaprelay::inspect::Look;
use libfuzzer_sys::fuzz_target;

/// A path for each inspector.
const PATHS: [&str; 12] = [
    "a.rules", "a.yar", "a.ldb", "a.ndb", "a.hdb", "a.cdb", "a.idb", "a.ign2", "a.txt", "a.yml", "a.json", "a.md5",
];

fuzz_target!(|data: &[u8]| {
    let Some((first, data)) = data.split_first() else { return };
    let path = PATHS[usize::from(*first) % PATHS.len()];
    let read = |piece: usize| {
        let (mut look, mut items) = (Look::new(path), Vec::new());
        data.chunks(piece).for_each(|piece| look.take(piece));
        look.finish();
        look.append_items(&mut items);
        (look.finding(), items)
    };
    let (found, items) = read(data.len().max(1));
    assert_eq!((found.clone(), items), read(3));
    assert!(found.is_plausible());
    // What is left out are whole lines.
    for span in found.flaws.iter().filter_map(|flaw| flaw.span) {
        let (from, end) = (span.from as usize, span.end() as usize);
        assert!(from == 0 || data[from - 1] == b'\n', "{span:?}");
        assert!(end == data.len() || data[end - 1] == b'\n', "{span:?}");
    }
    if path == "a.rules" && found.kind.is_ok() && found.flaws.is_empty() {
        for line in String::from_utf8_lossy(data).split('\n').map(str::trim).filter(|line| !line.starts_with('#')) {
            // A keyword stands behind a bracket or a semicolon that ends a value.
            for word in ["lua", "luajit", "luaxform", "filestore", "bypass"] {
                let options = line.split_once('(').map(|(_, options)| options).unwrap_or_default();
                let begins = options.trim_start().strip_prefix(word).is_some_and(|rest| rest.trim_start().starts_with([':', ';']));
                assert!(!begins, "{line}");
            }
        }
    }
});
