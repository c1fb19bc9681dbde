//! One plain gzip member (RFC 1952) and nothing after it, inflated on its own thread so that the
//! other core can hash and write meanwhile.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::ustar::BLOCK;
use base::{Error, Fault, Reason, Refusal};

/// Compressed bytes read at a time.
const INPUT: usize = 128 << 10;
/// Inflated bytes handed over at a time.
const OUTPUT: usize = 256 << 10;
/// Buffers between the two threads.
const IN_FLIGHT: usize = 6;
const HEADER: usize = 10;
const TRAILER: usize = 8;

/// The inflated bytes, in order.
pub struct Stream<'a> {
    full: &'a Receiver<Result<Vec<u8>, Error>>,
    empty: &'a SyncSender<Vec<u8>>,
    buffer: Vec<u8>,
    at: usize,
}

impl<'a> Stream<'a> {
    /// Gives exactly `size` bytes to `give`, piece by piece. Refusal: `archive-truncated`.
    pub fn take(&mut self, mut size: u64, give: &mut dyn FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
        while size > 0 {
            if self.at == self.buffer.len() {
                self.refill()?;
            }
            let have = self.buffer.get(self.at..).unwrap_or_default();
            let piece = have.get(..have.len().min(usize::try_from(size).unwrap_or(usize::MAX))).unwrap_or(have);
            give(piece)?;
            self.at += piece.len();
            size -= piece.len() as u64;
        }
        Ok(())
    }

    /// The next `size` bytes, to be read.
    pub fn file(&mut self, size: u64) -> PayloadFile<'_, 'a> {
        PayloadFile { stream: self, left: size, failed: None }
    }

    /// The next 512 bytes.
    pub fn block(&mut self) -> Result<[u8; BLOCK], Error> {
        let mut block = [0; BLOCK];
        let mut rest = block.as_mut_slice();
        self.take(BLOCK as u64, &mut |bytes| {
            let (now, later) = std::mem::take(&mut rest).split_at_mut(bytes.len());
            now.copy_from_slice(bytes);
            rest = later;
            Ok(())
        })?;
        Ok(block)
    }

    fn refill(&mut self) -> Result<(), Error> {
        let truncated =
            || Error::refused(Reason::ArchiveTruncated, "payload.tar.gz ends before the archive in it ends");
        let next = self.full.recv().map_err(|_| truncated())??;
        let used = std::mem::replace(&mut self.buffer, next);
        self.at = 0;
        // The other thread may have finished; then nobody wants the buffer.
        let _ = self.empty.try_send(used);
        Ok(())
    }

    /// Checks that the stream ends here.
    fn finish(&mut self) -> Result<(), Error> {
        let hidden = || Error::refused(Reason::ArchiveHidden, "payload.tar.gz has bytes after the end of the archive");
        if self.at != self.buffer.len() {
            return Err(hidden());
        }
        match self.full.recv() {
            Ok(Ok(_)) => Err(hidden()),
            Ok(Err(e)) => Err(e),
            Err(_) => Ok(()),
        }
    }
}

/// Some of the bytes, as a reader. It fails where the stream does: [`PayloadFile::finish`] tells why.
pub struct PayloadFile<'s, 'a> {
    stream: &'s mut Stream<'a>,
    left: u64,
    failed: Option<Error>,
}

impl PayloadFile<'_, '_> {
    /// Passes over what was not read. Refusals: the stream's.
    pub fn finish(self) -> Result<(), Error> {
        match self.failed {
            Some(failed) => Err(failed),
            None => self.stream.take(self.left, &mut |_| Ok(())),
        }
    }
}

impl Read for PayloadFile<'_, '_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let stream = &mut *self.stream;
        if self.left == 0 || to.is_empty() || self.failed.is_some() {
            return Ok(0);
        }
        let filled = if stream.at == stream.buffer.len() { stream.refill() } else { Ok(()) };
        if let Err(failed) = filled {
            self.failed = Some(failed);
            return Err(io::ErrorKind::InvalidData.into());
        }
        let most = to.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let got = stream.buffer.get(stream.at..).unwrap_or_default().read(to.get_mut(..most).unwrap_or_default())?;
        stream.at += got;
        self.left -= got as u64;
        Ok(got)
    }
}

/// Inflates the next `size` bytes of `payload`, and gives the stream to `read`, which must consume it
/// to the end. No more than `most` bytes are inflated, and one buffer.
/// Refusals: `gzip-*`, `archive-*`, and those of `read`.
pub fn inflate(
    payload: impl Read + Send,
    size: u64,
    most: u64,
    read: impl FnOnce(&mut Stream<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut payload = PayloadStream { from: payload, left: size };
    check_header(&mut payload)?;
    let (full, filled) = sync_channel(IN_FLIGHT);
    let (empty, emptied) = sync_channel(IN_FLIGHT);
    thread::scope(|scope| {
        // A panic in here is a fault of the import, not of the process.
        let inflating = scope.spawn(move || {
            if let Err(e) = inflate_to(&mut payload, most, &full, &emptied) {
                // The reader may have refused the bundle already; its reason stands.
                let _ = full.send(Err(e));
            }
        });
        let mut stream = Stream { full: &filled, empty: &empty, buffer: Vec::new(), at: 0 };
        let outcome = read(&mut stream).and_then(|()| stream.finish());
        // Unblocks the other thread, whatever it is waiting for.
        drop(stream);
        drop(filled);
        drop(empty);
        inflating.join().map_err(|_| Fault::Internal("the thread that decompresses the payload stopped"))?;
        outcome
    })
}

/// RFC 1952, section 2.3: magic, deflate, no flags, no time; XFL says only how hard the packer
/// tried, OS is Unix or unknown.
fn check_header(payload: &mut PayloadStream<impl Read>) -> Result<(), Error> {
    let refuse = |reason, what: &str| Err(Error::refused(reason, what));
    let mut header = [0; HEADER];
    if payload.left < (HEADER + TRAILER) as u64 {
        return refuse(Reason::GzipMalformed, "payload.tar.gz is too short for a gzip file");
    }
    payload.fill(&mut header)?;
    match header {
        [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0 | 2 | 4, 3 | 255] => Ok(()),
        [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, ..] => refuse(
            Reason::GzipExtra,
            "the gzip header of payload.tar.gz names another system than Unix, or an unknown level of compression",
        ),
        [0x1f, 0x8b, 8, ..] => refuse(
            Reason::GzipExtra,
            "the gzip header of payload.tar.gz holds a name, a comment, a date or other extra fields",
        ),
        _ => refuse(Reason::GzipMalformed, "payload.tar.gz is not a gzip file"),
    }
}

/// Remaining compressed bytes.
struct PayloadStream<R> {
    from: R,
    left: u64,
}

impl<R: Read> PayloadStream<R> {
    /// Fills `buffer`, or as much of it as there are bytes left; gives how many.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        let want = usize::try_from(self.left).unwrap_or(buffer.len()).min(buffer.len());
        let failed = |source: io::Error| Fault::Io { operation: "read", path: "the spool".into(), source };
        self.from.read_exact(buffer.get_mut(..want).unwrap_or_default()).map_err(failed)?;
        self.left -= want as u64;
        Ok(want)
    }
}

fn inflate_to(
    payload: &mut PayloadStream<impl Read>,
    most: u64,
    full: &SyncSender<Result<Vec<u8>, Error>>,
    emptied: &Receiver<Vec<u8>>,
) -> Result<(), Error> {
    let mut input = vec![0; INPUT];
    let (mut filled, mut used) = (0, 0);
    let mut inflater = Decompress::new(false);
    let mut crc = Crc::new();
    loop {
        let mut output = emptied.try_recv().unwrap_or_else(|_| Vec::with_capacity(OUTPUT));
        output.clear();
        let mut ended = false;
        while output.len() < output.capacity() && !ended {
            if used == filled && payload.left > 0 {
                used = 0;
                filled = payload.fill(&mut input)?;
            }
            let before = (inflater.total_in(), inflater.total_out());
            let rest = input.get(used..filled).unwrap_or_default();
            let status = inflater
                .decompress_vec(rest, &mut output, FlushDecompress::None)
                .map_err(|_| Refusal::new(Reason::GzipMalformed, "the compressed data in payload.tar.gz is damaged"))?;
            let eaten = inflater.total_in() - before.0;
            used +=
                usize::try_from(eaten).map_err(|_| Fault::Internal("decompression took more bytes than there were"))?;
            ended = status == Status::StreamEnd;
            if !ended && eaten == 0 && inflater.total_out() == before.1 && used == filled && payload.left == 0 {
                return Err(Error::refused(
                    Reason::GzipMalformed,
                    "the compressed data in payload.tar.gz has no end: the file was cut, or made wrong",
                ));
            }
        }
        crc.update(&output);
        // The trailer is proven before the last bytes are handed over.
        if ended {
            check_trailer(input.get(used..filled).unwrap_or_default(), payload, &crc)?;
        }
        if !output.is_empty() && full.send(Ok(output)).is_err() || ended {
            return Ok(());
        }
        // One buffer more than the manifest lists was handed over, so that the reader could say
        // what it is; a bomb gets no further.
        if inflater.total_out() > most {
            return Err(Error::refused(
                Reason::ArchiveHidden,
                "payload.tar.gz unpacks to more bytes than the manifest lists",
            ));
        }
    }
}

/// RFC 1952, section 2.3.1: CRC-32 and length modulo 2^32, and then the payload ends. `rest` was read
/// after the deflate stream's end.
fn check_trailer(rest: &[u8], payload: &mut PayloadStream<impl Read>, crc: &Crc) -> Result<(), Error> {
    let refuse = |reason, what: &str| Err(Error::refused(reason, what));
    let mut end = rest.to_vec();
    let mut more = [0; TRAILER + 2];
    let got = payload.fill(&mut more)?;
    end.extend_from_slice(more.get(..got).unwrap_or_default());
    let Some((trailer, beyond)) = end.split_at_checked(TRAILER) else {
        return refuse(Reason::GzipMalformed, "payload.tar.gz lacks its last 8 bytes: the checksum and the size");
    };
    if !beyond.is_empty() {
        let second = beyond.starts_with(&[0x1f, 0x8b]);
        let what = if second {
            "a second gzip file follows the first in payload.tar.gz"
        } else {
            "bytes follow the end of the gzip file in payload.tar.gz"
        };
        return refuse(Reason::GzipTrailing, what);
    }
    let expected = [crc.sum().to_le_bytes(), crc.amount().to_le_bytes()].concat();
    if trailer != expected {
        return refuse(
            Reason::GzipChecksum,
            "the checksum or the size at the end of payload.tar.gz does not match what it unpacks to",
        );
    }
    Ok(())
}
