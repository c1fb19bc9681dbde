//! Lists of hashes, addresses, names and URLs.
#![no_main]

#[path = "../content.rs"]
mod content;

libfuzzer_sys::fuzz_target!(|data: &[u8]| drop(content::check(&["a.txt", "a.csv", "a.ipset", "a.md5"], data)));
