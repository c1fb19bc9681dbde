//! Rules: however they come in pieces, the same is found; a file in which nothing is found has no line that a simple
//! look takes for one that runs code.
#![no_main]

use gaprelay::inspect::{suricata, yara};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let read = |piece: usize| {
        let mut reading = suricata::Reading::default();
        data.chunks(piece).for_each(|piece| reading.take(piece));
        reading.finish().into_vec()
    };
    let found = read(data.len().max(1));
    assert_eq!(found, read(3));
    if found.is_empty() {
        for line in String::from_utf8_lossy(data).split('\n').map(str::trim).filter(|line| !line.starts_with('#')) {
            // A keyword stands behind a bracket or a semicolon that ends a value.
            for word in ["lua", "luajit", "luaxform", "filestore", "bypass"] {
                let options = line.split_once('(').map(|(_, options)| options).unwrap_or_default();
                let begins = options.trim_start().strip_prefix(word).is_some_and(|rest| rest.trim_start().starts_with([':', ';']));
                assert!(!begins, "{line}");
            }
        }
    }
    let mut reading = yara::Reading::default();
    reading.take(data);
    let _ = reading.finish();
});
