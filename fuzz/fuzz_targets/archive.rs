//! Payloads: gzip framing, block by block, and the diagnosis of each wrong header.
#![no_main]

use std::io::Write as _;

use gaprelay::base::Digest;
use gaprelay::unpack::{diagnose, gzip};
use gaprelay::verify::Artifact;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(data).unwrap();
    let artifact = |path: &str| Artifact { path: path.into(), size: 5, sha256: Digest([0; 32]), kind: "x".into(), carried: true };
    let (first, second) = (artifact("a"), artifact("b/c"));
    let carried = [&first, &second];
    let mut blocks = 0;
    let _ = gzip::inflate(&file, data.len() as u64, 1 << 20, |stream| {
        loop {
            let block = stream.block()?;
            blocks += 1;
            for index in 0..=2 {
                let _ = diagnose::wrong_header(&block, &carried, index);
            }
        }
    });
    // One buffer more than was allowed may come through, and no more.
    assert!(blocks <= ((1 << 20) + (1 << 19)) / 512);
});
