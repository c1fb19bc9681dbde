//! Payloads: gzip framing, block by block, and the diagnosis of each wrong header.
#![no_main]

use std::io::Write as _;

use flate2::{Compression, GzBuilder};
use base::Digest;
use bundle::payload::{diagnose, gzip};
use bundle::Artifact;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // Half of the inputs are an archive, which we compress: a mutated one hardly ever has its right CRC.
    let Some((how, data)) = data.split_first() else { return };
    let data = if how % 2 == 0 { data.to_vec() } else { compressed(data) };
    let artifact = |path: &str| Artifact { path: path.into(), size: 5, sha256: Digest([0; 32]), kind: "x".into(), carried: true };
    let (first, second) = (artifact("a"), artifact("b/c"));
    let carried = [&first, &second];
    let mut blocks = 0;
    let _ = gzip::inflate(data.as_slice(), data.len() as u64, 1 << 20, |stream| {
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

fn compressed(data: &[u8]) -> Vec<u8> {
    let mut out = GzBuilder::new().operating_system(3).write(Vec::new(), Compression::none());
    out.write_all(data).unwrap();
    out.finish().unwrap()
}
