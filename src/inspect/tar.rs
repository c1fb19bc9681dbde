//! Archives as vendors ship them: a tar inside of gzip, read as it comes, in a form that no two readers take for two
//! things. Sources: POSIX.1-1988 "ustar Interchange Format"; RFC 1952. In scope: regular files and folders, names
//! without any extension. Refused: links, devices, PAX and GNU extensions, a wrong checksum, a name twice or one
//! that is no plain path, bytes behind the end, a second gzip member. Out of scope: other archives.

use std::collections::HashSet;

use flate2::{Decompress, FlushDecompress, Status};

use super::beside::{Beside, Work};
use super::notes::Notes;

use base::Limits;
use bundle::paths;
use bundle::payload::ustar::{BLOCK, checksum, padding};

/// Most files in an archive.
const MOST: usize = 20_000;
/// How many times as many bytes may come out of one as it has, beside 64 MiB.
const RATIO: u64 = 200;
const FREE: u64 = 64 << 20;
/// Most bytes that may come out of one: as many as the longest artifact has.
const LARGEST: u64 = 8 << 30;

/// Most bytes that may come out of so many.
pub fn most_from(packed: u64) -> u64 {
    packed.saturating_mul(RATIO).saturating_add(FREE).min(LARGEST)
}

/// Who looks at the files.
pub trait Members {
    /// A file begins.
    fn begin(&mut self, name: &str, size: u64);
    /// More of its bytes.
    fn bytes(&mut self, bytes: &[u8]);
    /// It ended.
    fn end(&mut self);
}

/// Who looks at the files and notes what they are.
pub trait Noting: Members + Send + 'static {
    /// The notes.
    fn notes(&mut self) -> &mut Notes;
}

/// Why an archive is not of the form.
pub type Wrong = &'static str;

/// The names in an archive so far, as an agent that folds case or normalises Unicode has them.
#[derive(Default)]
pub struct Names {
    files: HashSet<String>,
    folders: HashSet<String>,
}

impl Names {
    /// One more file: its name is a plain path, and no agent takes it for one that was there before.
    pub fn add(&mut self, path: &str) -> Result<(), Wrong> {
        self.enter(path)?;
        if self.files.len() == MOST {
            return Err("it holds too many files");
        }
        let folded = paths::folded(path);
        if self.folders.contains(&folded) {
            return Err("one of its files is a folder too");
        }
        if self.files.insert(folded) { Ok(()) } else { Err("two of its files have one name") }
    }

    /// A folder: an agent that unpacks makes them. The outermost has no name.
    pub fn add_folder(&mut self, path: &str) -> Result<(), Wrong> {
        let path = path.trim_end_matches('/');
        if path.is_empty() || path == "." {
            return Ok(());
        }
        self.enter(path)?;
        self.folder(paths::folded(path))
    }

    /// What it lies in.
    fn enter(&mut self, path: &str) -> Result<(), Wrong> {
        paths::check(path, &Limits::default()).map_err(|_| "a file's name is no plain path")?;
        path.match_indices('/').try_for_each(|(at, _)| self.folder(paths::folded(path.get(..at).unwrap_or_default())))
    }

    fn folder(&mut self, folded: String) -> Result<(), Wrong> {
        if self.files.contains(&folded) {
            return Err("one of its files is a folder too");
        }
        if self.folders.len() > MOST && !self.folders.contains(&folded) {
            return Err("it holds too many files");
        }
        self.folders.insert(folded);
        Ok(())
    }
}

/// Reads a tar.
pub struct Tar<M> {
    members: M,
    block: Vec<u8>,
    /// Bytes of the file at hand, and of its padding, still to come.
    left: u64,
    pad: u64,
    names: Names,
    /// How many blocks of zeros stand at the end.
    zeros: u64,
    wrong: Option<Wrong>,
    end: End,
}

/// How an archive ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With two blocks of zeros, as the standard has it.
    Marked,
    /// With its last file: ClamAV's own writer makes no mark.
    Plain,
}

impl<M: Members> Tar<M> {
    /// Whose files `members` looks at.
    pub fn new(members: M, end: End) -> Self {
        Self { members, block: Vec::new(), left: 0, pad: 0, names: Names::default(), zeros: 0, wrong: None, end }
    }

    /// Takes the next bytes in.
    pub fn take(&mut self, mut bytes: &[u8]) {
        while self.wrong.is_none() && !bytes.is_empty() {
            if self.left > 0 {
                let (now, rest) = split(bytes, self.left);
                self.members.bytes(now);
                self.left -= now.len() as u64;
                bytes = rest;
                if self.left == 0 {
                    self.members.end();
                }
            } else if self.pad > 0 {
                let (now, rest) = split(bytes, self.pad);
                if now.iter().any(|byte| *byte != 0) {
                    self.wrong = Some("bytes other than zero stand between its files");
                }
                self.pad -= now.len() as u64;
                bytes = rest;
            } else {
                let (now, rest) = split(bytes, (BLOCK - self.block.len()) as u64);
                self.block.extend_from_slice(now);
                bytes = rest;
                if self.block.len() == BLOCK {
                    let block = std::mem::take(&mut self.block);
                    self.wrong = self.header(&block).err();
                }
            }
        }
    }

    fn header(&mut self, block: &[u8]) -> Result<(), Wrong> {
        let block: &[u8; BLOCK] = block.try_into().map_err(|_| "it is cut")?;
        if block.iter().all(|byte| *byte == 0) {
            self.zeros += 1;
            return Ok(());
        }
        if self.zeros > 0 {
            return Err("something stands behind its end");
        }
        let field = |from: usize, size: usize| block.get(from..from + size).unwrap_or_default();
        if octal(field(148, 8)) != Some(u64::from(checksum(block))) {
            return Err("a header's checksum is wrong");
        }
        let magic = field(257, 8);
        let is_ustar = magic == b"ustar\x0000";
        if !is_ustar && magic != b"ustar  \0" && magic != [0; 8] {
            return Err("a header is of no form that is known");
        }
        let prefix = if is_ustar { text(field(345, 155))? } else { "" };
        let name = text(field(0, 100))?;
        let name = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        let size = octal(field(124, 12)).ok_or("a size is not in octal digits")?;
        let plain = name.strip_prefix("./").unwrap_or(&name);
        match field(156, 1) {
            b"5" if size == 0 => return self.names.add_folder(plain),
            b"0" | b"\0" => self.names.add(plain)?,
            _ => return Err("it holds a link, a device or an extended header"),
        }
        (self.left, self.pad) = (size, padding(size));
        self.members.begin(plain, size);
        if size == 0 {
            self.members.end();
        }
        Ok(())
    }

    /// Who looks at the files.
    pub fn members(&mut self) -> &mut M {
        &mut self.members
    }

    /// All was taken; gives who looked.
    pub fn finish(self) -> (M, Result<(), Wrong>) {
        let whole =
            self.left == 0 && self.pad == 0 && self.block.is_empty() && (self.zeros >= 2 || self.end == End::Plain);
        (self.members, self.wrong.map_or(if whole { Ok(()) } else { Err("it is cut") }, Err))
    }
}

fn split(bytes: &[u8], most: u64) -> (&[u8], &[u8]) {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    bytes.split_at_checked(most).unwrap_or((bytes, &[]))
}

/// A field that ends with the first NUL; only NULs follow.
fn text(field: &[u8]) -> Result<&str, Wrong> {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    let (name, rest) = field.split_at_checked(end).unwrap_or_default();
    if rest.iter().any(|byte| *byte != 0) {
        return Err("something stands behind a file's name");
    }
    str::from_utf8(name).map_err(|_| "a file's name is not UTF-8")
}

/// Octal digits between blanks and NULs.
fn octal(field: &[u8]) -> Option<u64> {
    let digits = str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    let is_octal = !digits.is_empty() && digits.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    is_octal.then(|| u64::from_str_radix(digits, 8).ok()).flatten()
}

/// Reads a tar in gzip: inflates it, while the files are looked at beside.
pub struct Zipped<M> {
    gzip: Decompress,
    has_ended: bool,
    tar: Beside<Tar<M>>,
    wrong: Option<Wrong>,
}

impl<M: Noting> Work for Tar<M> {
    fn take(&mut self, bytes: &[u8], items: &mut Vec<u8>) {
        Tar::take(self, bytes);
        self.members.notes().append_items(items);
    }
}

const DAMAGED: Wrong = "it is no gzip, or damaged";

impl<M: Noting> Zipped<M> {
    /// Whose files `members` looks at.
    pub fn new(members: M, end: End) -> Self {
        let (gzip, tar) = (Decompress::new_gzip(15), Beside::new(Tar::new(members, end)));
        Self { gzip, has_ended: false, tar, wrong: None }
    }

    /// Takes the next bytes in; the items that came by are noted.
    pub fn take(&mut self, mut bytes: &[u8], notes: &mut Notes) {
        let mut items = Vec::new();
        // A full piece may be one that more is waiting behind.
        let mut is_full = false;
        while self.wrong.is_none() && (!bytes.is_empty() || is_full) {
            if self.has_ended {
                self.wrong = (!bytes.is_empty()).then_some("bytes stand behind its end");
                break;
            }
            let before = self.gzip.total_in();
            let room = self.tar.room();
            match self.gzip.decompress_vec(bytes, room, FlushDecompress::None) {
                Ok(status) => self.has_ended = status == Status::StreamEnd,
                Err(_) => self.wrong = Some(DAMAGED),
            }
            is_full = room.len() == room.capacity();
            let eaten = usize::try_from(self.gzip.total_in() - before).unwrap_or_default();
            if eaten == 0 && !is_full && !self.has_ended && !bytes.is_empty() {
                self.wrong = Some(DAMAGED);
            }
            bytes = bytes.get(eaten..).unwrap_or_default();
            self.tar.pass(&mut items);
            if self.gzip.total_out() > most_from(self.gzip.total_in()) {
                self.wrong = Some("far more comes out of it than went in");
            }
        }
        notes.absorb_records(&mut items);
    }

    /// All was taken; gives who looked.
    pub fn finish(self, notes: &mut Notes) -> (Option<M>, Result<(), Wrong>) {
        let mut items = Vec::new();
        let tar = self.tar.finish(&mut items);
        notes.absorb_records(&mut items);
        let Some(mut tar) = tar else { return (None, Err(DAMAGED)) };
        notes.absorb_items(tar.members.notes());
        let (members, read) = tar.finish();
        let ended = if self.has_ended { Ok(()) } else { Err(DAMAGED) };
        (Some(members), self.wrong.map_or(Ok(()), Err).and(ended).and(read))
    }
}
