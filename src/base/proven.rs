//! Files of ours whose digest is known: what is read of them is proven by the same read. A digest that one read showed
//! says nothing of the next one, where somebody else writes to the file.

use std::cell::RefCell;
use std::fs::File;
use std::hash::{BuildHasher as _, DefaultHasher, Hasher as _, RandomState};
use std::io::{self, BufWriter, Read, Seek as _, SeekFrom, Write};
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

/// File, or a part of one, that is read in places, more than once. It is read whole first, to show its digest, or was
/// written by a [`ProvenWriter`]; each piece is compared then with what was read or written, by a hash under a key that
/// nobody knows but this process (SipHash), and is in memory while it is read.
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

    /// Opens a part of the file at `path`: so many bytes from an offset on, or as many as there are. Fault: damage, if
    /// it has not this digest.
    pub fn open_part(path: &Path, (begin, most): (u64, u64), digest: Digest) -> Result<Self, Fault> {
        let (mut file, key, mut pieces, mut length) = (durable::open(path)?, RandomState::new(), Vec::new(), 0);
        let (mut hasher, mut piece) = (Hasher::new(), Vec::new());
        file.seek(SeekFrom::Start(begin)).during("read", path)?;
        while read_piece(&file, most - length, &mut piece).during("read", path)? {
            hasher.update(&piece);
            pieces.push(hash_of(&key, &piece));
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
                if self.hashes.get(number) != Some(&hash_of(&self.key, piece)) {
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

/// Writer of a file that the same process reads afterwards: what is read then is proven by what was written, without
/// reading all of it once more. The end of the file can be taken back, to where it was marked.
pub struct ProvenWriter {
    path: PathBuf,
    file: BufWriter<File>,
    key: RandomState,
    /// Hashes of the pieces that are full.
    hashes: Vec<u64>,
    end: WrittenEnd,
    mark: WrittenEnd,
}

/// End of what is written, with the hashes that reach up to it.
#[derive(Clone)]
struct WrittenEnd {
    length: u64,
    whole: Hasher,
    piece: DefaultHasher,
}

impl ProvenWriter {
    /// Writes to this new file at `path`, through a buffer.
    pub fn new(path: PathBuf, file: File) -> Self {
        let key = RandomState::new();
        let end = WrittenEnd { length: 0, whole: Hasher::new(), piece: key.build_hasher() };
        Self { path, file: BufWriter::with_capacity(PIECE, file), key, hashes: Vec::new(), mark: end.clone(), end }
    }

    /// Appends these bytes.
    pub fn append(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        self.file.write_all(bytes).during("write", &self.path)?;
        self.end.whole.update(bytes);
        while !bytes.is_empty() {
            let left = PIECE as u64 - self.end.length % PIECE as u64;
            let size = usize::try_from(left).unwrap_or(PIECE).min(bytes.len());
            let (now, later) = bytes.split_at(size);
            self.end.piece.write(now);
            self.end.length += size as u64;
            if self.end.length.is_multiple_of(PIECE as u64) {
                let full = std::mem::replace(&mut self.end.piece, self.key.build_hasher());
                self.hashes.push(full.finish());
            }
            bytes = later;
        }
        Ok(())
    }

    /// Marks the end.
    pub fn mark(&mut self) {
        self.mark = self.end.clone();
    }

    /// Takes back what was appended since the end was marked.
    pub fn cut_to_mark(&mut self) -> Result<(), Fault> {
        self.file.flush().during("write", &self.path)?;
        self.end = self.mark.clone();
        self.hashes.truncate(usize::try_from(self.end.length / PIECE as u64).unwrap_or(usize::MAX));
        let file = self.file.get_mut();
        file.set_len(self.end.length).during("shorten", &self.path)?;
        file.seek(SeekFrom::Start(self.end.length)).during("shorten", &self.path).map(drop)
    }

    /// Puts all of it on the disk, and gives the file to be read as it is now, and its digest.
    pub fn finish(&mut self) -> Result<(ProvenFile, Digest), Fault> {
        self.file.flush().during("write", &self.path)?;
        self.file.get_ref().sync_all().during("sync", &self.path)?;
        let (path, key, mut hashes) = (self.path.clone(), self.key.clone(), self.hashes.clone());
        let WrittenEnd { length, whole, piece } = self.end.clone();
        if !length.is_multiple_of(PIECE as u64) {
            hashes.push(piece.finish());
        }
        let file = durable::open(&path)?;
        Ok((ProvenFile { path, file, begin: 0, key, hashes, length, memory: RefCell::default() }, whole.finish()))
    }
}

fn hash_of(key: &RandomState, piece: &[u8]) -> u64 {
    let mut hasher = key.build_hasher();
    hasher.write(piece);
    hasher.finish()
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

    /// However the bytes came, and whatever was taken back, across the ends of pieces too.
    #[test]
    fn what_was_written_is_proven_when_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut writer = ProvenWriter::new(path.clone(), durable::create(&path, 0o600).unwrap());
        let mut meant = Vec::new();
        for (turn, size) in [7, PIECE - 7, 3, PIECE, 2 * PIECE + 5, 1, 0].into_iter().enumerate() {
            writer.mark();
            let bytes = vec![u8::try_from(turn).unwrap(); size];
            bytes.chunks(100_001).for_each(|part| writer.append(part).unwrap());
            if turn % 3 == 1 {
                writer.cut_to_mark().unwrap();
                bytes.chunks(7001).for_each(|part| writer.append(part).unwrap());
            } else if turn % 3 == 0 {
                writer.append(&vec![9; 2 * PIECE]).unwrap();
                writer.cut_to_mark().unwrap();
                writer.append(&bytes).unwrap();
            }
            meant.extend(bytes);
        }
        let (proven, digest) = writer.finish().unwrap();
        assert!(digest == Digest::of(&meant) && std::fs::read(&path).unwrap() == meant);
        assert_eq!(proven.length(), meant.len() as u64);
        let mut all = vec![0; meant.len()];
        proven.read_at(0, &mut all).unwrap();
        assert!(all == meant && ProvenFile::open(&path, digest).is_ok());
        assert!(proven.read_at(meant.len() as u64, &mut [0]).is_err(), "beyond the end");
        // The last piece is no longer in memory then.
        proven.read_at(0, &mut [0]).unwrap();
        durable::open_again(&path).unwrap().write_at(b"!", 4 * PIECE as u64).unwrap();
        assert!(proven.read_at(4 * PIECE as u64, &mut [0]).is_err(), "changed since");
    }

    #[test]
    fn what_is_read_has_the_digest_or_not() {
        let mut reader = DigestReader::new(&b"one two"[..]);
        reader.read_exact(&mut [0; 3]).unwrap();
        assert!(reader.ends_as(Digest::of(b"one two")).unwrap());
        assert!(!DigestReader::new(&b"one"[..]).ends_as(Digest::of(b"two")).unwrap());
    }
}
