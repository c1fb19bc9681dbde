//! Files of ours whose digest is known: what is read of them is proven by the same read. A digest that one read showed says
//! nothing of the next one, where somebody else writes to the file.

use std::cell::RefCell;
use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::digest::Hasher;
use crate::error::IoContext as _;
use crate::ipc::wire::LONGEST_BYTES;
use crate::{Digest, Fault, durable};

/// Reader that digests what is read from it.
pub struct DigestReader<R> {
    from: R,
    hasher: Hasher,
}

impl<R: Read> DigestReader<R> {
    /// Nothing is read yet.
    pub fn new(from: R) -> Self {
        Self { from, hasher: Hasher::new() }
    }

    /// Reads what is left; true if all that was read has this digest.
    pub fn ends_as(mut self, digest: Digest) -> io::Result<bool> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(self.hasher.finish() == digest)
    }
}

impl<R: Read> Read for DigestReader<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let got = self.from.read(to)?;
        self.hasher.update(to.get(..got).unwrap_or_default());
        Ok(got)
    }
}

/// Copies what is left of `from`; true if it has this digest. Whoever took it must not use it where it has not.
pub fn copy_proven(mut from: impl Read, to: &mut impl Write, digest: Digest) -> io::Result<bool> {
    let (mut hasher, mut buffer) = (Hasher::new(), vec![0; LONGEST_BYTES]);
    loop {
        let got = from.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..got).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
        to.write_all(bytes)?;
    }
    Ok(hasher.finish() == digest)
}

/// Length of the pieces in which a [`ProvenFile`] is read.
const PIECE: usize = 256 << 10;

/// File, or a part of one, that is read in places, more than once. It is read whole first, to show its digest; each piece is
/// compared then with what was read, by a hash under a key that nobody knows but this value (SipHash), and is in memory
/// while it is read.
pub struct ProvenFile {
    path: PathBuf,
    file: File,
    begin: u64,
    key: RandomState,
    hashes: Vec<u64>,
    length: u64,
    memory: RefCell<PieceInMemory>,
}

/// Piece in memory, and its number.
#[derive(Default)]
struct PieceInMemory {
    bytes: Vec<u8>,
    at: Option<usize>,
}

impl ProvenFile {
    /// Opens the file at `path`. Fault: damage, if it has not this digest.
    pub fn open(path: &Path, digest: Digest) -> Result<Self, Fault> {
        Self::open_part(path, (0, u64::MAX), digest)
    }

    /// Opens a part of the file at `path`: so many bytes from an offset on, or as many as there are. Fault: damage, if it has
    /// not this digest.
    pub fn open_part(path: &Path, (begin, most): (u64, u64), digest: Digest) -> Result<Self, Fault> {
        let (mut file, key, mut pieces, mut length) = (durable::open(path)?, RandomState::new(), Vec::new(), 0);
        let (mut hasher, mut piece) = (Hasher::new(), Vec::new());
        file.seek(SeekFrom::Start(begin)).during("read", path)?;
        while read_piece(&file, most - length, &mut piece).during("read", path)? {
            hasher.update(&piece);
            pieces.push(key.hash_one(&piece));
            length += piece.len() as u64;
        }
        let proven =
            Self { path: path.to_owned(), file, begin, key, hashes: pieces, length, memory: RefCell::default() };
        if hasher.finish() == digest { Ok(proven) } else { Err(proven.differs()) }
    }

    /// Length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Fills `to` with the bytes from `offset` on. Fault: damage, if the file has changed, or is shorter.
    pub fn read_at(&self, mut offset: u64, mut to: &mut [u8]) -> Result<(), Fault> {
        let Ok(mut memory) = self.memory.try_borrow_mut() else { return Err(Fault::Internal("a read within a read")) };
        let PieceInMemory { bytes: piece, at } = &mut *memory;
        while !to.is_empty() {
            let number = usize::try_from(offset / PIECE as u64).unwrap_or(usize::MAX);
            let begin = usize::try_from(offset % PIECE as u64).unwrap_or(usize::MAX);
            if *at != Some(number) {
                *at = None;
                let start = offset - begin as u64;
                (&self.file).seek(SeekFrom::Start(self.begin.saturating_add(start))).during("read", &self.path)?;
                read_piece(&self.file, self.length.saturating_sub(start), piece).during("read", &self.path)?;
                if self.hashes.get(number) != Some(&self.key.hash_one(&*piece)) {
                    return Err(self.differs());
                }
                *at = Some(number);
            }
            let found = piece.get(begin..).unwrap_or_default();
            let size = found.len().min(to.len());
            let (now, later) = std::mem::take(&mut to).split_at_mut(size);
            match found.get(..size).filter(|bytes| !bytes.is_empty()) {
                Some(bytes) => now.copy_from_slice(bytes),
                None => return Err(self.differs()),
            }
            (to, offset) = (later, offset + size as u64);
        }
        Ok(())
    }

    fn differs(&self) -> Fault {
        Fault::damaged(self.path.to_string_lossy(), "the bytes of the file differ from those that were written")
    }
}

/// Reads the next piece, of at most that many bytes; false at the end.
fn read_piece(from: &File, most: u64, piece: &mut Vec<u8>) -> io::Result<bool> {
    piece.clear();
    from.take(most.min(PIECE as u64)).read_to_end(piece).map(|got| got > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt as _;

    #[test]
    fn each_read_of_a_file_is_proven() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let bytes: Vec<u8> = (0..3 * PIECE + 5).map(|n| u8::try_from(n % 251).unwrap()).collect();
        durable::replace_derived(&path, &bytes).unwrap();
        assert!(ProvenFile::open(&path, Digest::of(b"x")).is_err());
        let proven = ProvenFile::open(&path, Digest::of(&bytes)).unwrap();
        assert_eq!(proven.length(), bytes.len() as u64);
        let mut got = [0; 10];
        for offset in [0, PIECE - 5, PIECE, 2 * PIECE - 1, 3 * PIECE - 5, 7] {
            proven.read_at(offset as u64, &mut got).unwrap();
            assert_eq!(got, bytes[offset..offset + 10], "{offset}");
        }
        assert!(proven.read_at(3 * PIECE as u64, &mut got).is_err(), "beyond the end");
        let (begin, size) = (PIECE + 7, PIECE + 20);
        let digest = Digest::of(&bytes[begin..begin + size]);
        let part = ProvenFile::open_part(&path, (begin as u64, size as u64), digest).unwrap();
        for offset in [PIECE - 5, 0, PIECE + 10] {
            part.read_at(offset as u64, &mut got).unwrap();
            assert_eq!(got, bytes[begin + offset..begin + offset + 10], "{offset}");
        }
        assert!(part.read_at(PIECE as u64 + 11, &mut got).is_err(), "beyond its end");
        proven.read_at(0, &mut got).unwrap();
        let file = durable::open_again(&path).unwrap();
        file.write_at(b"!", PIECE as u64 + 3).unwrap();
        proven.read_at(0, &mut got).unwrap();
        assert!(proven.read_at(PIECE as u64, &mut got).is_err(), "changed since");
        file.write_at(&bytes[PIECE + 3..PIECE + 4], PIECE as u64 + 3).unwrap();
        proven.read_at(PIECE as u64, &mut got).unwrap();
        file.set_len(PIECE as u64).unwrap();
        assert!(proven.read_at(2 * PIECE as u64, &mut got).is_err(), "cut since");
    }

    #[test]
    fn what_is_read_has_the_digest_or_not() {
        let mut reader = DigestReader::new(&b"one two"[..]);
        reader.read_exact(&mut [0; 3]).unwrap();
        assert!(reader.ends_as(Digest::of(b"one two")).unwrap());
        assert!(!DigestReader::new(&b"one"[..]).ends_as(Digest::of(b"two")).unwrap());
    }
}
