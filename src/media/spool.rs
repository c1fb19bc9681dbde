//! The one read: bytes go from the medium into the spool, hashed on the way, under the signed size.
//! What is decided later is decided from the spool.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;

use super::find::Found;
use super::open::{open, unreadable};
use crate::base::digest::Hasher;
use crate::base::durable;
use crate::base::error::IoContext as _;
use crate::base::quoted::quoted_os;
use crate::base::{Error, Fault, Limits, Reason, Refusal};
use crate::verify::{Envelope, Verified, signature};

/// Buffer for one read, in bytes.
const CHUNK: usize = 256 << 10;
/// Buffers in flight between reading and hashing.
const IN_FLIGHT: usize = 4;

/// Bytes of work done, for a progress bar.
pub type Step<'a> = &'a mut dyn FnMut(u64);

/// A verified bundle whose payload lies in the spool with exactly the signed digest.
/// Made by [`copy_payload`] alone.
pub struct Spooled {
    verified: Verified,
    file: File,
    path: PathBuf,
}

impl Spooled {
    /// The bundle's verified manifest.
    pub fn verified(&self) -> &Verified {
        &self.verified
    }

    /// The payload in the spool, from its beginning.
    pub fn payload(&self) -> &File {
        &self.file
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        // The spool is private and swept at the next start; a copy left behind harms nothing.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Reads manifest and signature files, each once and under its cap.
pub fn read_envelope(found: &Found, limits: &Limits) -> Result<Envelope, Refusal> {
    let missing = || Refusal::new(Reason::MediumChanged, "manifest.json was there and is gone");
    let manifest = read_small(found, OsStr::new("manifest.json"), limits.manifest.0, Reason::ManifestTooLarge)?
        .ok_or_else(missing)?;
    // One more than the limit is read, so that verify can say what is wrong; the rest stays unread.
    let most = usize::try_from(limits.signatures).unwrap_or(usize::MAX).saturating_add(1);
    let mut signatures = Vec::new();
    for name in found.signatures.iter().take(most) {
        let longest = signature::LONGEST as u64;
        if let Some(bytes) = read_small(found, name, longest, Reason::SignatureMalformed)? {
            let name = name.to_str().filter(|n| n.len() <= 200 && n.bytes().all(|b| (0x21..0x7f).contains(&b)));
            let name = name.ok_or_else(|| {
                Refusal::new(
                    Reason::SignatureMalformed,
                    "the name of a signature file is not plain ASCII of at most 200 characters",
                )
            })?;
            signatures.push((name.to_owned(), bytes));
        }
    }
    Ok(Envelope { manifest, signatures })
}

fn read_small(found: &Found, name: &OsStr, longest: u64, too_long: Reason) -> Result<Option<Vec<u8>>, Refusal> {
    let Some((file, length)) = open(found, name)? else { return Ok(None) };
    let shown = quoted_os(name);
    let mut bytes = Vec::new();
    file.take(longest + 1).read_to_end(&mut bytes).map_err(|e| unreadable(&shown, &e))?;
    if bytes.len() as u64 > longest {
        return Err(Refusal::new(too_long, format!("{shown} is longer than {longest} bytes")));
    }
    if bytes.len() as u64 != length {
        let detail = format!("{shown} said it had {length} bytes and gave {}", bytes.len());
        return Err(Refusal::new(Reason::MediumChanged, detail));
    }
    Ok(Some(bytes))
}

/// Copies the payload into `spool` as `name` and proves its digest to be the signed one.
/// Refusals: `payload-missing`, `payload-size`, `payload-digest`, `medium-*`.
pub fn copy_payload(
    verified: Verified,
    found: &Found,
    spool: &Path,
    name: &str,
    step: Step<'_>,
) -> Result<Spooled, Error> {
    let signed = verified.manifest().payload.clone();
    let (medium, length) = open(found, OsStr::new("payload.tar.gz"))?
        .ok_or_else(|| Refusal::new(Reason::PayloadMissing, "there is no payload.tar.gz"))?;
    if length != signed.size {
        let detail = format!("payload.tar.gz has {length} bytes, the manifest says {}", signed.size);
        return Err(Error::refused(Reason::PayloadSize, detail));
    }
    let path = durable::beside(spool, name);
    let file = durable::create(&path, 0o600)?;
    // From here on a failure drops `spooled`, and with it the copy.
    let spooled = Spooled { verified, file, path };
    let digest = copy_hashing(&medium, &spooled, signed.size, step)?;
    if digest != signed.sha256 {
        let detail = format!("payload.tar.gz has digest {digest}, the manifest says {}", signed.sha256);
        return Err(Error::refused(Reason::PayloadDigest, detail));
    }
    Ok(spooled)
}

/// Reads exactly `size` bytes and one more attempt, writes them, and hashes them on a second thread.
fn copy_hashing(medium: &File, spooled: &Spooled, size: u64, step: Step<'_>) -> Result<crate::base::Digest, Error> {
    let shown = "payload.tar.gz";
    let (full, to_hash) = sync_channel::<Vec<u8>>(IN_FLIGHT);
    let (empty, hashed) = sync_channel::<Vec<u8>>(IN_FLIGHT);
    thread::scope(|scope| {
        let hashing = scope.spawn(move || {
            let mut digest = Hasher::new();
            for buffer in to_hash {
                digest.update(&buffer);
                // The reader may be gone with an error; then nobody wants the buffer.
                let _ = empty.send(buffer);
            }
            digest.finish()
        });
        let mut buffers: Vec<Vec<u8>> = (0..IN_FLIGHT).map(|_| Vec::with_capacity(CHUNK)).collect();
        let mut left = size;
        let mut out = &spooled.file;
        while left > 0 {
            let mut buffer = buffers.pop().or_else(|| hashed.recv().ok()).ok_or(Fault::Internal("hashing stopped"))?;
            buffer.clear();
            let want = left.min(CHUNK as u64);
            let got = medium.take(want).read_to_end(&mut buffer).map_err(|e| unreadable(shown, &e))? as u64;
            if got == 0 {
                let detail = format!("{shown} ended {left} bytes early");
                return Err(Error::refused(Reason::MediumChanged, detail));
            }
            out.write_all(&buffer).during("write", &spooled.path)?;
            left -= got;
            step(got);
            full.send(buffer).map_err(|_| Fault::Internal("hashing stopped"))?;
        }
        drop(full);
        let mut more = [0];
        if (&mut &*medium).read(&mut more).map_err(|e| unreadable(shown, &e))? > 0 {
            return Err(Error::refused(Reason::MediumChanged, format!("{shown} is longer than it said")));
        }
        hashing.join().map_err(|_| Fault::Internal("hashing stopped").into())
    })
}
