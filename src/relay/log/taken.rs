//! Taking in of a file of lines to which a confined process appends (a journal, the slot of the inbox):
//! each line once, whatever that process does. A record beside the file, which is the keeper's own, says how far it
//! was taken.
//!
//! 1. whole lines are read, a piece at a time, and handed on: what they become is durable;
//! 2. the record is replaced, durably: they are not handed on again;
//! 3. once all is taken the file is emptied, under a lock that keeps others from appending, and the record says so.
//!
//! Stopping is safe at each step. A cut before 2 hands a piece on once more, with the same numbers. A cut within 3
//! leaves an offset that does not fit the file: the record knows the bytes before it, and another file is taken from
//! its beginning. Neither a line nor a lock of the other process keeps the keeper: time, bytes and lines of a run are
//! bounded, and the next run goes on.

use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use tracing::warn;

use base::error::IoContext as _;
use base::{Digest, Fault, durable};
use serve::journal::{LARGEST, LONGEST_LINE};

/// Most bytes that a run takes.
const BYTES: u64 = 16 << 20;
/// Most lines that a run takes.
const LINES: usize = 1 << 18;
/// Bytes before the offset that the record knows.
const TAIL: u64 = 4 << 10;
/// Number of tries to get the lock, and the pause between two: who appends holds it for a moment.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(5);
/// Longest record that is read, in bytes.
const LONGEST_RECORD: u64 = 4096;

/// Limits of a file of lines.
#[derive(Clone, Copy)]
pub(crate) struct FileLimits {
    /// Bytes of a piece; no line that is believed is longer.
    pub piece: usize,
    /// Bytes at which the file is full for who appends.
    pub full: u64,
}

/// Record of how far a file was taken.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TakenRecord {
    /// Bytes of the file that were taken.
    offset: u64,
    /// Digest of the last of these bytes.
    tail: Digest,
    /// Number of lines that were ever taken.
    lines: u64,
    /// Entries of the log that the lines go to, when this was written.
    entries: u64,
}

impl TakenRecord {
    /// Record of a file of which nothing was taken.
    fn new(entries: u64) -> Self {
        Self { offset: 0, tail: Digest::of(b""), lines: 0, entries }
    }
}

/// File of lines, open to be taken.
pub(crate) struct TakenFile {
    path: PathBuf,
    file: File,
    reader: File,
    record: TakenRecord,
    limits: FileLimits,
}

/// Whole lines that were read.
struct Piece {
    bytes: Vec<u8>,
    /// Offset of what comes after them.
    next: u64,
}

impl TakenFile {
    /// Opens the file at `path`, made if it is not there. `entries`: those of the log that the lines go to.
    pub(crate) fn open(path: &Path, limits: FileLimits, entries: u64) -> Result<Self, Fault> {
        let file = durable::open_append(path)?;
        let reader = durable::open(path)?;
        let none = TakenRecord::new(entries);
        let known = durable::read(&record_path(path), LONGEST_RECORD).ok();
        let known = known.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let is_new = known.is_none();
        let mut taken = Self { path: path.to_owned(), file, reader, record: known.unwrap_or(none), limits };
        if taken.length()? == 0 && taken.record.offset == 0 {
            return Ok(taken);
        }
        if taken.length()? < taken.record.offset || taken.tail()? != taken.record.tail {
            // It was emptied since, or is another file.
            taken.set_offset(0)?;
            taken.save()?;
        } else if is_new {
            // Going on without a record could only take lines twice. Written now, it also says where a cut run began.
            taken.save()?;
        }
        Ok(taken)
    }

    /// Number of lines that were ever taken.
    pub(crate) fn lines(&self) -> u64 {
        self.record.lines
    }

    /// True if a cut run added entries to the log, which has so many now, and could not record it.
    pub(crate) fn was_cut(&self, entries: u64) -> bool {
        entries > self.record.entries
    }

    /// Hands lines on to `take`, with the number of the first; it returns the number of entries of the log then.
    /// Where it fails, every line that it was given is handed on again by the next run. True: nothing was left.
    pub(crate) fn take(mut self, mut take: impl FnMut(&[&[u8]], u64) -> Result<u64, Fault>) -> Result<bool, Fault> {
        let (begin, mut left) = (self.record.lines, LINES);
        let mut bytes = BYTES;
        while left > 0 && bytes > 0 {
            if self.length()? <= self.record.offset {
                if self.record.offset == 0 || self.empty()? {
                    return Ok(true);
                }
                continue;
            }
            let Some(piece) = self.read(left)? else {
                if self.end_line()? {
                    continue;
                }
                return Ok(false);
            };
            let lines: Vec<&[u8]> = whole_lines(&piece.bytes).collect();
            self.record.entries = take(&lines, self.record.lines + 1)?;
            self.record.lines += lines.len() as u64;
            bytes = bytes.saturating_sub(piece.bytes.len() as u64);
            left = LINES.saturating_sub(usize::try_from(self.record.lines - begin).unwrap_or(LINES));
            self.set_offset(piece.next)?;
            self.save()?;
        }
        Ok(false)
    }

    fn length(&self) -> Result<u64, Fault> {
        Ok(self.file.metadata().during("read", &self.path)?.len())
    }

    /// Digest of the bytes before the offset.
    fn tail(&self) -> Result<Digest, Fault> {
        let from = self.record.offset.saturating_sub(TAIL);
        self.read_at(from, usize::try_from(self.record.offset - from).unwrap_or_default())
            .map(|bytes| Digest::of(&bytes))
    }

    fn set_offset(&mut self, offset: u64) -> Result<(), Fault> {
        self.record.offset = offset;
        self.record.tail = self.tail()?;
        Ok(())
    }

    fn save(&self) -> Result<(), Fault> {
        durable::replace_json(&record_path(&self.path), &self.record).map(drop)
    }

    /// Up to so many bytes from `offset` on; fewer where the file ends.
    fn read_at(&self, offset: u64, most: usize) -> Result<Vec<u8>, Fault> {
        let (mut bytes, mut have) = (vec![0; most], 0);
        while let Some(rest) = bytes.get_mut(have..).filter(|rest| !rest.is_empty()) {
            match self.reader.read_at(rest, offset + have as u64) {
                Ok(0) => break,
                Ok(got) => have += got,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e).during("read", &self.path),
            }
        }
        bytes.truncate(have);
        Ok(bytes)
    }

    /// Whole lines from the offset on, at most so many; none where the line there has no end yet.
    fn read(&self, most: usize) -> Result<Option<Piece>, Fault> {
        let begin = self.record.offset;
        let mut bytes = self.read_at(begin, self.limits.piece)?;
        if let Some(end) = memchr::memrchr(b'\n', &bytes) {
            let cut = whole_lines(&bytes).nth(most).map(|line| place(&bytes, line));
            bytes.truncate(cut.unwrap_or(end + 1));
            let next = begin + bytes.len() as u64;
            return Ok(Some(Piece { bytes, next }));
        }
        if bytes.len() < self.limits.piece {
            return Ok(None);
        }
        // Longer than a line may be: its beginning stands for it.
        let next = self.line_end(begin + bytes.len() as u64)?;
        bytes.truncate(LONGEST_LINE + 1);
        Ok(Some(Piece { bytes, next }))
    }

    /// Offset behind the next line's end from `offset` on; where none is found, of where the looking ended.
    fn line_end(&self, mut offset: u64) -> Result<u64, Fault> {
        let last = offset.saturating_add(LARGEST);
        while offset < last {
            let bytes = self.read_at(offset, self.limits.piece)?;
            if let Some(end) = memchr::memchr(b'\n', &bytes) {
                return Ok(offset + end as u64 + 1);
            }
            offset += bytes.len() as u64;
            if bytes.len() < self.limits.piece {
                break;
            }
        }
        Ok(offset)
    }

    /// Ends a line that a process was cut in. False: it may still be written.
    fn end_line(&self) -> Result<bool, Fault> {
        let Some(_lock) = self.lock()? else { return Ok(false) };
        (&self.file).write_all(b"\n").during("write to", &self.path)?;
        Ok(true)
    }

    /// Empties the file, all of which was taken, unless more came, or somebody holds the lock. False: more came.
    fn empty(&mut self) -> Result<bool, Fault> {
        {
            let Some(_lock) = self.lock()? else { return Ok(true) };
            if self.length()? > self.record.offset {
                return Ok(false);
            }
            self.file.set_len(0).and_then(|()| self.file.sync_all()).during("empty", &self.path)?;
        }
        self.set_offset(0)?;
        self.save()?;
        Ok(true)
    }

    /// Takes the lock, so that nobody appends. `None`: somebody holds it, and the file can wait. In a file that is
    /// half full nobody may hold it for so long: evidence of others would not fit, so it is done without.
    fn lock(&self) -> Result<Option<HeldLock<'_>>, Fault> {
        for _ in 0..TRIES {
            match flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(HeldLock(&self.file))),
                Err(e) if e.kind() == ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
                Err(e) => return Err(io::Error::from(e)).during("lock", &self.path),
            }
        }
        if self.length()? < self.limits.full / 2 {
            return Ok(None);
        }
        let path = self.path.display();
        warn!(
            "a process holds the lock on {path}, which only a process that was taken over does for so long; the file \
             is emptied all the same. Stop the relay's services and find out which: lslocks"
        );
        Ok(Some(HeldLock(&self.file)))
    }
}

/// Lock that is given back.
struct HeldLock<'a>(&'a File);

impl Drop for HeldLock<'_> {
    fn drop(&mut self) {
        // It ends with this process at the latest.
        let _ = flock(self.0, FlockOperation::Unlock);
    }
}

/// True if there is a record of the file at `path`.
pub(crate) fn has_record(path: &Path) -> bool {
    record_path(path).exists()
}

/// Writes the record of a file at `path` of which nothing was taken. `entries`: those of the log that the lines go to.
pub(crate) fn begin(path: &Path, entries: u64) -> Result<(), Fault> {
    durable::replace_json(&record_path(path), &TakenRecord::new(entries)).map(drop)
}

/// Path of the record beside the file.
fn record_path(path: &Path) -> PathBuf {
    path.with_extension("taken")
}

/// Lines that are not empty.
fn whole_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// Place of a line in the bytes that it is part of.
fn place(bytes: &[u8], line: &[u8]) -> usize {
    line.as_ptr().addr().saturating_sub(bytes.as_ptr().addr())
}
