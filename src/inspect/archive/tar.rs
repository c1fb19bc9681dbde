//! Reads a tar as vendors ship it, in a form that no two readers take for two things. Source: POSIX.1-1988 "ustar
//! Interchange Format". In scope: regular files and folders, names without any extension. Refused: links, devices, PAX
//! and GNU extensions, a wrong checksum, a name twice or one that is no plain path, bytes behind the end.

use std::io::{self, BufRead, Read};

use tar::Header;

use super::names::Names;
use super::{Archive, ArchiveMember, Wrong};
use crate::source::drain;
use bundle::payload::ustar::{BLOCK, checksum, padding};

const CUT: Wrong = "the tar archive is cut short";

/// End of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With two blocks of zeros, as the standard has it.
    Marked,
    /// With its last file: ClamAV's own writer makes no mark.
    Plain,
}

/// A tar that is read; read itself, it gives the bytes of the file at hand.
pub(crate) struct Tar<'a> {
    from: &'a mut dyn BufRead,
    /// Bytes of the file at hand, and of its padding, still to come.
    left: u64,
    pad: u64,
    names: Names,
    /// Number of blocks of zeros at the end.
    zeros: u64,
    wrong: Option<Wrong>,
    end: End,
}

impl<'a> Tar<'a> {
    /// Reader of the tar in these bytes.
    pub(crate) fn new(from: &'a mut dyn BufRead, end: End) -> Self {
        Self { from, left: 0, pad: 0, names: Names::default(), zeros: 0, wrong: None, end }
    }

    /// The next block; none at the end.
    fn block(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.from.read(rest)? {
                0 => break,
                got => filled += got,
            }
        }
        if filled > 0 && filled < BLOCK {
            self.wrong = Some(CUT);
        }
        Ok((filled == BLOCK).then_some(block))
    }

    /// Reads the zeros behind the file at hand.
    fn padding(&mut self) -> io::Result<()> {
        while self.pad > 0 && self.wrong.is_none() {
            let bytes = self.from.fill_buf()?;
            let bytes = bytes.get(..usize::try_from(self.pad).unwrap_or(bytes.len())).unwrap_or(bytes);
            if bytes.is_empty() {
                self.wrong = Some(CUT);
            } else if bytes.iter().any(|byte| *byte != 0) {
                self.wrong = Some("bytes other than zero stand between two files of the tar archive");
            }
            let size = bytes.len();
            self.from.consume(size);
            self.pad -= size as u64;
        }
        Ok(())
    }

    /// The file whose header this is; none where it is something else that may stand there.
    fn header(&mut self, block: &[u8; BLOCK]) -> Result<Option<ArchiveMember>, Wrong> {
        if block.iter().all(|byte| *byte == 0) {
            self.zeros += 1;
            return Ok(None);
        }
        if self.zeros > 0 {
            return Err("bytes follow the end mark of the tar archive");
        }
        let header = Header::from_byte_slice(block);
        let fields = header.as_old();
        if octal(&fields.cksum) != Some(u64::from(checksum(header))) {
            return Err("the checksum of a tar header is wrong");
        }
        let is_plain = fields.pad.starts_with(&[0; 8]);
        if header.as_ustar().is_none() && header.as_gnu().is_none() && !is_plain {
            return Err("a tar header has none of the known forms: ustar, GNU or the form before POSIX");
        }
        let prefix = header.as_ustar().map_or(Ok(""), |ustar| text(&ustar.prefix))?;
        let name = text(&fields.name)?;
        let name = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        let size = octal(&fields.size).ok_or("the file size in a tar header is not in octal digits")?;
        let plain = name.strip_prefix("./").unwrap_or(&name);
        match &fields.linkflag {
            b"5" if size == 0 => return self.names.add_folder(plain).map(|()| None),
            b"0" | b"\0" => self.names.add(plain)?,
            b"5" => return Err("a folder of the archive holds bytes"),
            b"1" | b"2" => return Err("the archive holds a link"),
            b"3" | b"4" | b"6" => return Err("the archive holds a device or a FIFO"),
            b"x" | b"g" => return Err("the archive uses PAX extensions"),
            b"D" | b"K" | b"L" | b"M" | b"S" | b"V" => return Err("the archive uses GNU extensions"),
            _ => return Err("the archive holds an entry of an unknown type"),
        }
        (self.left, self.pad) = (size, padding(size));
        Ok(Some(ArchiveMember { name: plain.to_owned(), size }))
    }

    /// Checks that nothing is wrong with the archive, read to its end.
    pub(crate) fn finish(self) -> Result<(), Wrong> {
        let is_ended = self.zeros >= 2 || self.end == End::Plain;
        match self.wrong {
            Some(wrong) => Err(wrong),
            None if self.left > 0 || self.pad > 0 => Err(CUT),
            None if !is_ended => Err("the tar archive has no end mark (two blocks of zeros): it may be cut short"),
            None => Ok(()),
        }
    }
}

impl Archive for Tar<'_> {
    fn next_file(&mut self) -> io::Result<Option<ArchiveMember>> {
        self.close()?;
        self.padding()?;
        while self.wrong.is_none() {
            let Some(block) = self.block()? else { break };
            match self.header(&block) {
                Ok(None) => {}
                Ok(Some(member)) => return Ok(Some(member)),
                Err(wrong) => self.wrong = Some(wrong),
            }
        }
        Ok(None)
    }

    fn close(&mut self) -> io::Result<bool> {
        drain(self)?;
        if self.left > 0 {
            self.wrong = Some(CUT);
        }
        Ok(self.wrong.is_none())
    }
}

impl Read for Tar<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let most = to.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let got = self.from.read(to.get_mut(..most).unwrap_or_default())?;
        self.left -= got as u64;
        Ok(got)
    }
}

impl BufRead for Tar<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let bytes = self.from.fill_buf()?;
        Ok(bytes.get(..usize::try_from(self.left).unwrap_or(usize::MAX)).unwrap_or(bytes))
    }

    fn consume(&mut self, size: usize) {
        self.from.consume(size);
        self.left -= size as u64;
    }
}

/// A field that ends with the first NUL; only NULs follow.
fn text(field: &[u8]) -> Result<&str, Wrong> {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    let (name, rest) = field.split_at_checked(end).unwrap_or_default();
    if rest.iter().any(|byte| *byte != 0) {
        return Err("bytes follow the end of a file name in a tar header");
    }
    str::from_utf8(name).map_err(|_| "a file name in the tar archive is not UTF-8")
}

/// Octal digits between blanks and NULs.
fn octal(field: &[u8]) -> Option<u64> {
    let digits = str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    let is_octal = !digits.is_empty() && digits.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    is_octal.then(|| u64::from_str_radix(digits, 8).ok()).flatten()
}
