//! An archive without what may not pass: a new one, in the normal form that bundles have too ([`bundle::payload`]):
//! plain headers, no folders, no owners, no times. Files stay in their order; of each the lines to be left out are, and
//! a file of which nothing is left is not in it. In scope: making it. Out of scope: whether it may pass, which its own
//! examination says.

use std::collections::BTreeMap;
use std::io::{self, BufReader, ErrorKind, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::inflate::Inflate;
use super::tar::{End, Tar};
use super::zip::{self, Zip};
use super::zipping::Zipping;
use super::{Archive, ArchiveMember, Wrong};
use crate::cut::{ByteSpan, Cut, Leaving};
use bundle::payload::ustar::{end_after, header, padding};

/// Bytes read at a time.
const PIECE: usize = 128 << 10;

/// Most bytes that a new archive may have, made of one of so many. Packed again it may be longer, but not by much.
pub fn most(size: u64) -> u64 {
    size.saturating_mul(4).saturating_add(1 << 20)
}

/// Copies the archive `from` without this, which rises; gives back where it went. Errors: `InvalidInput` where it is
/// not the archive that was examined, or what is to be left out are no whole lines of it; the streams'.
pub fn rebuild<W: Write>(mut from: impl Read, cuts: &[Cut], to: W) -> io::Result<W> {
    let files = cuts.chunk_by(|a, b| a.member == b.member).filter_map(|cuts| {
        let name = cuts.first()?.member.as_deref()?;
        Some((name, cuts.iter().map(|cut| cut.span).collect::<Vec<ByteSpan>>()))
    });
    let files: BTreeMap<&str, Vec<ByteSpan>> = files.collect();
    let mut first = [0; 2];
    from.read_exact(&mut first)?;
    let mut from = BufReader::with_capacity(PIECE, first.as_slice().chain(from));
    if first == *b"PK" {
        let mut bytes = Vec::new();
        from.take(zip::LONGEST as u64).read_to_end(&mut bytes)?;
        let mut old = Zip::new(&bytes).map_err(wrong)?;
        let mut new = Zipping::new(to);
        copy(&mut old, &files, &mut new)?;
        old.finish().map_err(wrong)?;
        return new.finish();
    }
    let mut inflating = Inflate::gzip(&mut from);
    let mut new = Tarring { to: GzEncoder::new(to, Compression::default()), written: 0, pad: 0 };
    let mut unpacked = BufReader::with_capacity(PIECE, &mut inflating);
    let mut old = Tar::new(&mut unpacked, End::Marked);
    copy(&mut old, &files, &mut new)?;
    old.finish().map_err(wrong)?;
    inflating.finish()?.map_err(wrong)?;
    new.finish()
}

fn wrong(wrong: Wrong) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, wrong)
}

/// Copies each file of the old archive without the lines that are to be left out of it, and not at all where that is
/// all of it.
fn copy(old: &mut dyn Archive, files: &BTreeMap<&str, Vec<ByteSpan>>, new: &mut dyn ArchiveForm) -> io::Result<()> {
    while let Some(ArchiveMember { name, size }) = old.next_file()? {
        let cuts = files.get(name.as_str()).map(Vec::as_slice).unwrap_or_default();
        let left = cuts.iter().try_fold(size, |left, cut| left.checked_sub(cut.size)).ok_or(ErrorKind::InvalidInput)?;
        if left == 0 && size > 0 {
            continue;
        }
        new.begin(&name, left)?;
        let mut leaving = Leaving::new(cuts);
        loop {
            let bytes = old.fill_buf()?;
            if bytes.is_empty() {
                break;
            }
            leaving.take(bytes, &mut |piece| new.bytes(piece))?;
            let read = bytes.len();
            old.consume(read);
        }
        leaving.finish()?;
        new.end()?;
    }
    Ok(())
}

/// The form of a new archive.
trait ArchiveForm {
    /// A file of so many bytes begins.
    fn begin(&mut self, name: &str, size: u64) -> io::Result<()>;
    /// More of its bytes.
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Ends the file.
    fn end(&mut self) -> io::Result<()>;
}

impl<W: Write> ArchiveForm for Zipping<W> {
    fn begin(&mut self, name: &str, _: u64) -> io::Result<()> {
        Self::begin(self, name);
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        Self::bytes(self, bytes)
    }

    fn end(&mut self) -> io::Result<()> {
        Self::end(self)
    }
}

/// A tar in gzip.
struct Tarring<W: Write> {
    to: GzEncoder<W>,
    written: u64,
    /// Zeros behind the file at hand.
    pad: u64,
}

impl<W: Write> Tarring<W> {
    fn zeros(&mut self, size: u64) -> io::Result<()> {
        self.written += size;
        io::copy(&mut io::repeat(0).take(size), &mut self.to).map(drop)
    }

    fn finish(mut self) -> io::Result<W> {
        self.zeros(end_after(self.written))?;
        self.to.finish()
    }
}

impl<W: Write> ArchiveForm for Tarring<W> {
    fn begin(&mut self, name: &str, size: u64) -> io::Result<()> {
        self.pad = padding(size);
        let header = header(name, size).ok_or(ErrorKind::InvalidInput)?;
        self.bytes(&header)
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.to.write_all(bytes)
    }

    fn end(&mut self) -> io::Result<()> {
        self.zeros(self.pad)
    }
}

#[cfg(test)]
mod tests {
    use flate2::read::GzDecoder;

    use super::*;
    use crate::archive::tests::{gzip, tar, zip};
    use bundle::payload::ustar::RECORD;

    fn cut(member: &str, from: u64, size: u64) -> Cut {
        Cut { member: Some(member.into()), span: ByteSpan { from, size } }
    }

    #[test]
    fn lines_and_files_are_left_out_and_nothing_else() {
        let old = gzip(&tar(&[("a.rules", b"one\ntwo\nthree"), ("b/x.lua", b"code"), ("empty", b""), ("c", b"4\n")]));
        let made = |cuts: &[Cut]| {
            let mut out = Vec::new();
            let zipped = rebuild(old.as_slice(), cuts, Vec::new()).map_err(|e| e.kind())?;
            GzDecoder::new(zipped.as_slice()).read_to_end(&mut out).unwrap();
            assert_eq!(out.len() % usize::try_from(RECORD).unwrap(), 0);
            Ok::<_, ErrorKind>(out)
        };
        let is = |files: &[(&str, &[u8])], made: Vec<u8>| {
            let mut expected = tar(files);
            expected.resize(made.len(), 0);
            assert!(expected == made, "{files:?}");
        };
        let cuts = [cut("a.rules", 4, 4), cut("b/x.lua", 0, 4)];
        is(&[("a.rules", b"one\nthree"), ("empty", b""), ("c", b"4\n")], made(&cuts).unwrap());
        is(
            &[("a.rules", b"one\ntwo\n"), ("b/x.lua", b"code"), ("empty", b"")],
            made(&[cut("a.rules", 8, 5), cut("c", 0, 2)]).unwrap(),
        );
        for wrong in [cut("a.rules", 1, 3), cut("a.rules", 0, 99), cut("a.rules", 8, 4), cut("c", 2, 1), cut("c", 0, 0)]
        {
            assert_eq!(made(&[wrong]).unwrap_err(), ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn a_zip_becomes_a_zip() {
        let files: &[(&str, &[u8])] = &[("a.rules", b"one\ntwo\nthree"), ("x.lua", b"code"), ("c", b"4\n")];
        let made = |cuts: &[Cut]| rebuild(zip(files).as_slice(), cuts, Vec::new()).map_err(|e| e.kind());
        let left = zip(&[("a.rules", b"one\nthree"), ("c", b"4\n")]);
        assert!(made(&[cut("a.rules", 4, 4), cut("x.lua", 0, 4)]).unwrap() == left);
        assert_eq!(made(&[cut("a.rules", 1, 3)]).unwrap_err(), ErrorKind::InvalidInput);
    }
}
