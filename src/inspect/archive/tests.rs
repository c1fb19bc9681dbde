//! Archives for tests.

use super::zipping::Zipping;
use bundle::payload::ustar;

/// A tar of these files.
pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, bytes) in files {
        out.extend_from_slice(&ustar::header(name, bytes.len() as u64).unwrap());
        out.extend_from_slice(bytes);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

/// Packed.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// A zip of these files.
pub(crate) fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zipping = Zipping::new(Vec::new());
    for (name, bytes) in files {
        zipping.begin(name);
        zipping.bytes(bytes).unwrap();
        zipping.end().unwrap();
    }
    zipping.finish().unwrap()
}
