//! Archives of rules, packed and plain: what the fuzzer makes is the tar, since it would not hit on a gzip; and a zip,
//! whose files are stored.
#![no_main]

#[path = "../content.rs"]
mod content;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    use std::io::Write as _;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let done = packed.write_all(data).and_then(|()| packed.finish());
    drop(done.map(|packed| content::found("a.rules.tar.gz", &packed)));
    drop(content::found("a.tgz", data));
    drop(content::found("a.zip", data));
});
