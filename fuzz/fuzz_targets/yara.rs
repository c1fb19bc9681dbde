//! YARA rules.
#![no_main]

#[path = "../content.rs"]
mod content;

libfuzzer_sys::fuzz_target!(|data: &[u8]| drop(content::found("a.yar", data)));
