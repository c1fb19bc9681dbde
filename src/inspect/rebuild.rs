//! An archive without what may not pass: a new one, in the normal form that bundles have too ([`crate::unpack`]): plain
//! headers, no folders, no owners, no times. Files stay in their order; of each the lines to be left out are, and a
//! file of which nothing is left is not in it. In scope: making it. Out of scope: whether it may pass, which its own
//! examination says.

use std::io::{self, ErrorKind, Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::flaw::{Cut, Span};
use super::strip::Leaving;
use super::tar::{End, Members, Tar};
use crate::unpack::ustar::{BLOCK, RECORD, header, padding};

/// Copies the archive `from` without this, which rises; gives back where it went. Errors: `InvalidInput` where it is
/// not the archive that was examined, or what is to be left out are no whole lines of it; the streams'.
pub fn rebuild<W: Write>(from: impl Read, cuts: &[Cut], to: W) -> io::Result<W> {
    let files = cuts.chunk_by(|a, b| a.member == b.member).filter_map(|cuts| {
        let name = cuts.first()?.member.as_deref()?;
        Some((name, cuts.iter().map(|cut| cut.span).collect::<Vec<Span>>()))
    });
    let files: Vec<(&str, Vec<Span>)> = files.collect();
    let to = GzEncoder::new(to, Compression::default());
    let making = Making { files: &files, to, at: None, written: 0, failed: None };
    let (mut tar, mut from) = (Tar::new(making, End::Marked), GzDecoder::new(from));
    let mut buffer = vec![0; 128 << 10];
    loop {
        let got = from.read(&mut buffer)?;
        if got == 0 {
            break;
        }
        tar.take(buffer.get(..got).unwrap_or_default());
    }
    let (mut making, read) = tar.finish();
    if let Some(failed) = making.failed.take() {
        return Err(failed);
    }
    read.map_err(|wrong| io::Error::new(ErrorKind::InvalidInput, wrong))?;
    let end = (making.written + 2 * BLOCK as u64).next_multiple_of(RECORD) - making.written;
    making.zeros(end)?;
    making.to.finish()
}

/// The new archive, while the files of the old one come by.
struct Making<'a, W: Write> {
    /// What is to be left out, by file.
    files: &'a [(&'a str, Vec<Span>)],
    to: GzEncoder<W>,
    /// The file at hand, and how many bytes will be left of it; none where it is left out.
    at: Option<(Leaving<'a>, u64)>,
    written: u64,
    failed: Option<io::Error>,
}

impl<W: Write> Making<'_, W> {
    fn zeros(&mut self, size: u64) -> io::Result<()> {
        io::copy(&mut io::repeat(0).take(size), &mut self.to).map(drop)
    }

    /// Does the next step, if none has failed.
    fn step(&mut self, step: impl FnOnce(&mut Self) -> io::Result<()>) {
        if self.failed.is_none() {
            self.failed = step(self).err();
        }
    }

    fn start(&mut self, name: &str, size: u64) -> io::Result<()> {
        let cuts = self.files.iter().find(|(file, _)| *file == name).map(|(_, cuts)| cuts.as_slice());
        let cuts = cuts.unwrap_or_default();
        let left = cuts.iter().try_fold(size, |left, cut| left.checked_sub(cut.size)).ok_or(ErrorKind::InvalidInput)?;
        if left > 0 || size == 0 {
            let header = header(name, left).ok_or(ErrorKind::InvalidInput)?;
            self.to.write_all(&header)?;
            self.at = Some((Leaving::new(cuts), left));
        }
        Ok(())
    }

    fn copy(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some((leaving, _)) = &mut self.at else { return Ok(()) };
        leaving.take(bytes, &mut |piece| self.to.write_all(piece))
    }

    fn close(&mut self) -> io::Result<()> {
        let Some((leaving, left)) = self.at.take() else { return Ok(()) };
        leaving.finish()?;
        self.written += BLOCK as u64 + left + padding(left);
        self.zeros(padding(left))
    }
}

impl<W: Write> Members for Making<'_, W> {
    fn begin(&mut self, name: &str, size: u64) {
        self.step(|making| making.start(name, size));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.step(|making| making.copy(bytes));
    }

    fn end(&mut self) {
        self.step(Self::close);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::archive::tests::{gzip, tar};

    fn cut(member: &str, from: u64, size: u64) -> Cut {
        Cut { member: Some(member.into()), span: Span { from, size } }
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
}
