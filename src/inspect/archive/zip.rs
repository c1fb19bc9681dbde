//! Zip archives, in a form that no two readers take for two things. Source: PKWARE's APPNOTE 6.3.10, sections 4.3 and
//! 4.4. In scope: files and folders, stored or deflated, whose every byte is accounted for: the local headers one
//! behind the other from the first byte on, each as the central directory has it, and the directory up to the last
//! byte. Refused: encryption, ZIP64, comments, links, fields that name a file anew, gaps, a name twice or one that is
//! no plain path. Out of scope: other methods of compression.
//!
//! ```text
//! for each file: local header, name, extra fields, data, perhaps a descriptor · central directory · its end (22 bytes)
//! git archive has the 40 hex digits of a commit behind it, and that is the one comment taken
//! ```

use std::io::{self, BufRead, BufReader, Read};

use flate2::Crc;

use super::inflate::{Inflate, TOO_MUCH, most_from};
use super::names::Names;
use super::{Archive, ArchiveMember, Wrong};

/// Longest archive, in bytes: it is held whole, since it begins with its end.
pub(crate) const LONGEST: usize = 64 << 20;

pub(super) const LOCAL: u32 = 0x0403_4b50;
pub(super) const CENTRAL: u32 = 0x0201_4b50;
pub(super) const END: u32 = 0x0605_4b50;
const DESCRIPTOR: u32 = 0x0807_4b50;
const END_SIZE: usize = 22;
const COMMIT: usize = 40;

/// Bits of a file's flags: encrypted; sizes follow the data; the name is UTF-8. How hard the packer tried (1 and 2) is
/// all the same.
const ENCRYPTED: u16 = 1;
const FOLLOWS: u16 = 1 << 3;
pub(super) const UTF8: u16 = 1 << 11;
const KNOWN: u16 = FOLLOWS | UTF8 | 0b110;

/// Extra fields that say nothing but times and owners: NTFS, Unix, extended timestamps, Info-ZIP's Unix of both kinds.
const HARMLESS: [u16; 5] = [0x000a, 0x000d, 0x5455, 0x5855, 0x7875];

/// Bytes given at a time.
const PIECE: usize = 256 << 10;

const CUT: Wrong = "the zip archive is cut short, or is not a zip archive";
const NO_END: Wrong = "the zip archive does not end with its end record: it is cut short, or other bytes follow";
const NOT_IN_PLACE: Wrong = "the zip archive has bytes before its first file or around its directory, or is ZIP64";
const BETWEEN: Wrong = "bytes that belong to no file stand in the zip archive";
const HEADERS_DIFFER: Wrong =
    "the two headers of a file in the zip archive differ: two programs could unpack two files";
const FOLDER: Wrong = "a folder of the zip archive holds bytes, or its name does not end with a slash";

/// Fields of fixed length, one behind the other.
struct FixedFields<'a>(&'a [u8]);

impl<'a> FixedFields<'a> {
    fn bytes(&mut self, size: usize) -> Result<&'a [u8], Wrong> {
        let (now, later) = self.0.split_at_checked(size).ok_or(CUT)?;
        self.0 = later;
        Ok(now)
    }

    fn u16(&mut self) -> Result<u16, Wrong> {
        self.bytes(2)?.try_into().map(u16::from_le_bytes).map_err(|_| CUT)
    }

    fn u32(&mut self) -> Result<u32, Wrong> {
        self.bytes(4)?.try_into().map(u32::from_le_bytes).map_err(|_| CUT)
    }

    fn sign(&mut self, sign: u32) -> Result<(), Wrong> {
        if self.u32()? == sign { Ok(()) } else { Err("a header of the zip archive is not where it belongs") }
    }
}

/// Fields that both headers of a file hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header<'a> {
    flags: u16,
    method: u16,
    crc: u32,
    packed: u32,
    size: u32,
    name: &'a [u8],
}

/// A zip that is read; read itself, it gives the bytes of the file at hand.
pub(crate) struct Zip<'a> {
    directory: FixedFields<'a>,
    files: FixedFields<'a>,
    /// Offset of the directory.
    from: usize,
    /// Files still to come.
    count: u16,
    names: Names,
    /// Most bytes that may come out of it, and the bytes that its files promise so far.
    most: u64,
    promised: u64,
    open: Option<OpenMember<'a>>,
    wrong: Option<Wrong>,
}

impl<'a> Zip<'a> {
    /// Reader of the zip in these bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Wrong> {
        let is_commit = |text: &[u8]| text.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let commit = bytes.last_chunk::<COMMIT>().filter(|text| is_commit(*text)).map_or(0, |text| text.len());
        let at_end = bytes.len().checked_sub(END_SIZE + commit).ok_or(CUT)?;
        let mut end = FixedFields(bytes.get(at_end..).ok_or(CUT)?);
        end.sign(END).map_err(|_| NO_END)?;
        let (disk, first_disk, count, all) = (end.u16()?, end.u16()?, end.u16()?, end.u16()?);
        let (size, from, comment) = (end.u32()?, end.u32()?, end.u16()?);
        if (disk, first_disk, count, usize::from(comment)) != (0, 0, all, commit) {
            return Err("the zip archive is one part of several, or has a comment");
        }
        if from.checked_add(size).map(|at| at as usize) != Some(at_end) {
            return Err(NOT_IN_PLACE);
        }
        Ok(Self {
            directory: FixedFields(bytes.get(from as usize..at_end).ok_or(CUT)?),
            files: FixedFields(bytes.get(..from as usize).ok_or(CUT)?),
            from: from as usize,
            count,
            names: Names::default(),
            most: most_from(bytes.len() as u64),
            promised: 0,
            open: None,
            wrong: None,
        })
    }

    /// The next file; none where it is a folder.
    fn entry(&mut self) -> Result<Option<ArchiveMember>, Wrong> {
        let at = self.from - self.files.0.len();
        let (header, is_folder) = central(&mut self.directory, at)?;
        let data = local(&mut self.files, &header)?;
        let name = str::from_utf8(header.name).map_err(|_| "a file name in the zip archive is not UTF-8")?;
        if !name.is_ascii() && header.flags & UTF8 == 0 {
            return Err("a file name in the zip archive is not ASCII, and is not marked as UTF-8");
        }
        self.promised += u64::from(header.size);
        if self.promised > self.most {
            return Err(TOO_MUCH);
        }
        if is_folder || name.ends_with('/') {
            if header.size != 0 || !name.ends_with('/') {
                return Err(FOLDER);
            }
            self.names.add_folder(name)?;
            return OpenMember::new(data, &header).finish().map(|()| None);
        }
        self.names.add(name)?;
        self.open = Some(OpenMember::new(data, &header));
        Ok(Some(ArchiveMember { name: name.to_owned(), size: u64::from(header.size) }))
    }

    /// Checks that nothing is wrong with the archive, read to its end.
    pub(crate) fn finish(self) -> Result<(), Wrong> {
        let is_all = self.files.0.is_empty() && self.directory.0.is_empty();
        self.wrong.map_or(if is_all { Ok(()) } else { Err(BETWEEN) }, Err)
    }
}

impl Archive for Zip<'_> {
    fn next_file(&mut self) -> io::Result<Option<ArchiveMember>> {
        self.close()?;
        while self.count > 0 && self.wrong.is_none() {
            self.count -= 1;
            match self.entry() {
                Ok(None) => {}
                Ok(Some(member)) => return Ok(Some(member)),
                Err(wrong) => self.wrong = Some(wrong),
            }
        }
        Ok(None)
    }

    fn close(&mut self) -> io::Result<bool> {
        if let Some(Err(wrong)) = self.open.take().map(OpenMember::finish) {
            self.wrong = Some(wrong);
        }
        Ok(self.wrong.is_none())
    }
}

impl Read for Zip<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let got = self.fill_buf()?.read(to)?;
        self.consume(got);
        Ok(got)
    }
}

impl BufRead for Zip<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.open.as_mut().map_or(Ok(&[]), OpenMember::fill_buf)
    }

    fn consume(&mut self, size: usize) {
        if let Some(open) = &mut self.open {
            open.consume(size);
        }
    }
}

/// A file as the central directory has it, whose local header must begin at `at`; and whether it is a folder.
fn central<'a>(directory: &mut FixedFields<'a>, at: usize) -> Result<(Header<'a>, bool), Wrong> {
    directory.sign(CENTRAL)?;
    let (_made_by, _needed, flags, method) = (directory.u16()?, directory.u16()?, directory.u16()?, directory.u16()?);
    let (_time, _date, crc, packed, size) =
        (directory.u16()?, directory.u16()?, directory.u32()?, directory.u32()?, directory.u32()?);
    let (name, extra, comment) = (directory.u16()?, directory.u16()?, directory.u16()?);
    let (disk, _inner, outer, from) = (directory.u16()?, directory.u16()?, directory.u32()?, directory.u32()?);
    let name = directory.bytes(usize::from(name))?;
    check_extra(directory.bytes(usize::from(extra))?)?;
    if flags & ENCRYPTED != 0 {
        return Err("a file of the zip archive is encrypted");
    }
    if !matches!(method, 0 | 8) {
        return Err("a file of the zip archive is compressed by another method than deflate");
    }
    if flags & !KNOWN != 0 || comment != 0 || disk != 0 {
        return Err("a file of the zip archive has a comment, an unknown flag or a part elsewhere");
    }
    if from as usize != at {
        return Err(BETWEEN);
    }
    // The upper half of the attributes is the file's mode, to readers that take more systems than Unix for one; in the
    // lower one is DOS's mark of a folder.
    let is_folder = outer & 0x10 != 0;
    match outer >> 28 {
        0 | 0o10 => Ok((Header { flags, method, crc, packed, size, name }, is_folder)),
        0o4 => Ok((Header { flags, method, crc, packed, size, name }, true)),
        0o12 => Err("the archive holds a link"),
        _ => Err("the archive holds a device, a FIFO or another special file"),
    }
}

/// The data of the next file, whose local header must say the same.
fn local<'a>(files: &mut FixedFields<'a>, header: &Header<'_>) -> Result<&'a [u8], Wrong> {
    files.sign(LOCAL)?;
    let (_needed, flags, method, _time, _date) = (files.u16()?, files.u16()?, files.u16()?, files.u16()?, files.u16()?);
    let (crc, packed, size) = (files.u32()?, files.u32()?, files.u32()?);
    let (name, extra) = (files.u16()?, files.u16()?);
    let name = files.bytes(usize::from(name))?;
    check_extra(files.bytes(usize::from(extra))?)?;
    let follows = flags & FOLLOWS != 0;
    let (crc, packed, size) = if follows && (crc, packed, size) == (0, 0, 0) {
        (header.crc, header.packed, header.size)
    } else {
        (crc, packed, size)
    };
    let found = Header { flags, method, crc, packed, size, name };
    if found != *header {
        return Err(HEADERS_DIFFER);
    }
    let data = files.bytes(header.packed as usize)?;
    if follows {
        // Its signature is not always there.
        if files.0.starts_with(&DESCRIPTOR.to_le_bytes()) {
            files.sign(DESCRIPTOR)?;
        }
        if (files.u32()?, files.u32()?, files.u32()?) != (header.crc, header.packed, header.size) {
            return Err(HEADERS_DIFFER);
        }
    }
    Ok(data)
}

fn check_extra(extra: &[u8]) -> Result<(), Wrong> {
    let mut fields = FixedFields(extra);
    while !fields.0.is_empty() {
        let (id, size) = (fields.u16()?, fields.u16()?);
        fields.bytes(usize::from(size))?;
        if !HARMLESS.contains(&id) {
            return Err("a file of the zip archive has an extra field with more than times and owners");
        }
    }
    Ok(())
}

/// A file that is read: its bytes, which must be those that its header promises.
struct OpenMember<'a> {
    data: Data<'a>,
    crc: Crc,
    /// The CRC that it must have, and how many bytes are still to come.
    promised: u32,
    left: u64,
}

enum Data<'a> {
    Stored(&'a [u8]),
    Deflated(Box<BufReader<Inflate<&'a [u8]>>>),
}

impl<'a> OpenMember<'a> {
    fn new(data: &'a [u8], header: &Header<'_>) -> Self {
        let data = if header.method == 0 {
            Data::Stored(data)
        } else {
            Data::Deflated(Box::new(BufReader::with_capacity(PIECE, Inflate::raw(data))))
        };
        Self { data, crc: Crc::new(), promised: header.crc, left: u64::from(header.size) }
    }

    fn bytes(&mut self) -> io::Result<&[u8]> {
        match &mut self.data {
            Data::Stored(data) => Ok(data.get(..PIECE).unwrap_or(data)),
            Data::Deflated(data) => data.fill_buf(),
        }
    }

    /// The next bytes, and none that its header does not promise.
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let bytes = self.bytes()?;
        Ok(bytes.get(..left).unwrap_or(bytes))
    }

    fn consume(&mut self, size: usize) {
        let Self { data, crc, left, .. } = self;
        match data {
            Data::Stored(data) => {
                let (now, later) = data.split_at_checked(size).unwrap_or((data, &[]));
                crc.update(now);
                *data = later;
            }
            Data::Deflated(data) => {
                crc.update(data.buffer().get(..size).unwrap_or_default());
                data.consume(size);
            }
        }
        *left = left.saturating_sub(size as u64);
    }

    /// Reads what nobody wanted to look at, and tells whether all was as promised.
    fn finish(mut self) -> Result<(), Wrong> {
        const DAMAGED: Wrong = "a file of the zip archive is damaged";
        loop {
            match self.fill_buf().map_err(|_| DAMAGED)?.len() {
                0 => break,
                size => self.consume(size),
            }
        }
        if !self.bytes().map_err(|_| DAMAGED)?.is_empty() {
            return Err(DAMAGED);
        }
        if let Data::Deflated(data) = &mut self.data {
            data.get_ref().ended().map_err(|_| DAMAGED)?;
            if !data.get_mut().get_mut().is_empty() {
                return Err(BETWEEN);
            }
        }
        if (self.left, self.crc.sum()) == (0, self.promised) { Ok(()) } else { Err(DAMAGED) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::tests::zip;

    type Kept = Vec<(String, Vec<u8>)>;

    fn read(bytes: &[u8], kept: &mut Kept) -> Result<(), Wrong> {
        let mut zip = Zip::new(bytes)?;
        while let Some(member) = zip.next_file().unwrap() {
            let mut bytes = Vec::new();
            zip.read_to_end(&mut bytes).unwrap();
            assert!(bytes.len() as u64 <= member.size);
            kept.push((member.name, bytes));
        }
        zip.finish()
    }

    fn wrong(bytes: &[u8]) -> Wrong {
        read(bytes, &mut Kept::default()).err().unwrap_or("nothing")
    }

    #[test]
    fn what_is_written_is_read() {
        let large = vec![b'x'; 3 * PIECE + 5];
        let files: &[(&str, &[u8])] = &[("a.rules", b"one\n"), ("b/c\u{e9}.txt", b""), ("large", &large)];
        let mut kept = Kept::default();
        assert_eq!(read(&zip(files), &mut kept), Ok(()));
        let expected: Vec<_> = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect();
        assert!(kept == expected);
        assert_eq!(read(&zip(&[]), &mut Kept::default()), Ok(()));
        let mut of_git = zip(files);
        *of_git.iter_mut().nth_back(1).unwrap() = 40;
        of_git.extend_from_slice(&[b'a'; 40]);
        assert_eq!(read(&of_git, &mut Kept::default()), Ok(()));
    }

    #[test]
    fn each_byte_is_accounted_for() {
        let good = zip(&[("a.rules", b"one two three\n"), ("b", b"x")]);
        // Whatever byte is changed, what was read before is read, or nothing: but for times, versions and owners.
        for at in 0..good.len() {
            let mut changed = good.clone();
            changed[at] ^= 0x41;
            let mut kept = Kept::default();
            if read(&changed, &mut kept).is_ok() {
                let names: Vec<&str> = kept.iter().map(|(name, _)| name.as_str()).collect();
                assert_eq!(names, ["a.rules", "b"], "{at}");
                assert_eq!(kept[0].1, b"one two three\n", "{at}");
            }
        }
        for (bytes, expected) in [
            (good[..good.len() - 1].to_vec(), NO_END),
            ([b"x".to_vec(), good.clone()].concat(), NOT_IN_PLACE),
            ([good.clone(), b"x".to_vec()].concat(), NO_END),
            ([good.clone(), good.clone()].concat(), NOT_IN_PLACE),
            (zip(&[("a", b""), ("A", b"")]), "two files of the archive have the same name"),
            (zip(&[("a", b""), ("A/b", b"")]), "one name in the archive is both a file and a folder"),
            (zip(&[("a/b", b""), ("a", b"")]), "one name in the archive is both a file and a folder"),
            (zip(&[("../a", b"")]), "a name in the archive is empty or absolute"),
            (zip(&[("/a", b"")]), "a name in the archive is empty or absolute"),
            (zip(&[("a\\b", b"")]), "a name in the archive has a character that is not allowed"),
            (zip(&[("d/", b"x")]), FOLDER),
            (zip(&[("bomb", &vec![0; 200 << 20])]), TOO_MUCH),
            (Vec::new(), CUT),
        ] {
            assert!(wrong(&bytes).starts_with(expected), "{expected}");
        }
        let directory = good.len() - END_SIZE - 2 * 46 - "a.rulesb".len();
        for (at, byte, expected) in [
            (directory + 8, 1, "a file of the zip archive is encrypted"),
            (directory + 10, 14, "a file of the zip archive is compressed by another method than deflate"),
            (directory + 41, 0xa1, "the archive holds a link"),
            (directory + 38, 0x10, FOLDER),
            (directory + 46, b'c', HEADERS_DIFFER),
            (30, b'c', HEADERS_DIFFER),
            (14, 1, HEADERS_DIFFER),
        ] {
            let mut changed = good.clone();
            changed[at] = byte;
            assert_eq!(wrong(&changed), expected, "{at}");
            // Whatever system it is said to be made under.
            changed[directory + 5] = 5;
            assert_eq!(wrong(&changed), expected, "{at}");
        }
    }
}
