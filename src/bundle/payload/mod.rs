//! The payload's one canonical form. We do not interpret an archive: we know from the signed
//! manifest which bytes it must consist of, and compare. In scope: gzip framing, ustar framing,
//! sizes. Out of scope: digests, and what the artifacts mean.
//!
//! ```text
//! gzip header (10 fixed bytes) · deflate stream · CRC-32 · size · end of file
//!   └ for each carried artifact, in the manifest's order:
//!         its ustar header, byte for byte as [`ustar::header`] makes it
//!         its bytes
//!         zeros to the next 512
//!     zeros to the end: two blocks, then up to a multiple of 10240
//! ```

pub mod diagnose;
pub mod gzip;
pub mod ustar;

use std::io::Read;

use crate::{Artifact, Manifest};
use base::{Error, Fault, Reason, Refusal, quoted};
use ustar::BLOCK;

/// Takes the artifacts as they come out, in order. Whether their bytes have the signed digest is for whoever keeps them
/// to say.
pub trait PayloadSink {
    /// The next artifact, and its bytes to be read; what is left of them is passed over. Where reading fails, what it
    /// returns counts for nothing. A refusal is one of the whole payload.
    fn artifact(&mut self, artifact: &Artifact, bytes: &mut dyn Read) -> Result<(), Error>;
}

/// Unpacks the payload of this manifest into `sink`. Refusals: `gzip-*`, `entry-*`, `archive-*`.
pub fn unpack(manifest: &Manifest, payload: impl Read + Send, sink: &mut dyn PayloadSink) -> Result<(), Error> {
    let carried: Vec<&Artifact> = manifest.carried().collect();
    let unpacked = ustar::archive_size(carried.iter().map(|a| a.size));
    gzip::inflate(payload, manifest.payload.size, unpacked, |stream| {
        for (index, artifact) in carried.iter().enumerate() {
            check_header(stream, &carried, index)?;
            let mut bytes = stream.file(artifact.size);
            let taken = sink.artifact(artifact, &mut bytes);
            bytes.finish()?;
            taken?;
            zeros(stream, ustar::padding(artifact.size), "the padding after a file")?;
        }
        check_end(stream, &carried)
    })
}

/// Checks that the next block is exactly the header of `carried[index]`.
fn check_header(stream: &mut gzip::Stream<'_>, carried: &[&Artifact], index: usize) -> Result<(), Error> {
    let artifact = carried.get(index).ok_or(Fault::Internal("an artifact of the payload is not in the manifest"))?;
    let block = stream.block()?;
    let expected = ustar::header(&artifact.path, artifact.size).ok_or_else(|| {
        Refusal::new(Reason::PathTooLong, format!("\"{}\" does not fit a ustar header", quoted(&artifact.path)))
    })?;
    if block == expected { Ok(()) } else { Err(diagnose::wrong_header(&block, carried, index).into()) }
}

/// Checks that only zeros follow, as many as belong there.
fn check_end(stream: &mut gzip::Stream<'_>, carried: &[&Artifact]) -> Result<(), Error> {
    let block = stream.block()?;
    if block != [0; BLOCK] {
        return Err(diagnose::wrong_header(&block, carried, carried.len()).into());
    }
    let left = ustar::end_size(carried.iter().map(|a| a.size)) - BLOCK as u64;
    zeros(stream, left, "the padding at its end")
}

fn zeros(stream: &mut gzip::Stream<'_>, size: u64, place: &str) -> Result<(), Error> {
    stream.take(size, &mut |bytes| {
        if bytes.iter().all(|b| *b == 0) {
            return Ok(());
        }
        Err(Error::refused(Reason::ArchiveHidden, format!("the archive has bytes other than zero in {place}")))
    })
}
