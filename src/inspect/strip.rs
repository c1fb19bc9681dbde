//! Leaving lines out of an artifact. Whoever holds the signed bytes does it, not the examiner: that one only says which
//! lines, and lines that are not whole are refused. So what it could do, taken over, is leave lines out: in formats in
//! which each line is read by itself, that forges nothing.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use super::flaw::Span;
use super::{Keep, Verdict};
use crate::base::digest::Hasher;
use crate::base::error::IoContext as _;
use crate::base::{Digest, Fault, durable};
use crate::verify::Artifact;

/// Copies `from` without these lines, which rise; gives digest and length of what is left. Errors: `InvalidInput`
/// where they are not whole lines of it; the streams'.
pub fn leave_out(from: impl Read, lines: &[Span], to: impl Write) -> io::Result<(Digest, u64)> {
    let (mut from, mut to) = (BufReader::with_capacity(128 << 10, from), BufWriter::with_capacity(128 << 10, to));
    let (mut hasher, mut kept, mut at, mut last) = (Hasher::new(), 0, 0_u64, b'\n');
    let mut buffer = vec![0; 128 << 10];
    // Copies or passes over `size` bytes, or all there are.
    let mut go = |size: u64, is_kept: bool, last: &mut u8| -> io::Result<u64> {
        let mut left = size;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(buffer.len()).min(buffer.len());
            let got = from.read(buffer.get_mut(..most).unwrap_or_default())?;
            let piece = buffer.get(..got).unwrap_or_default();
            let Some(end) = piece.last() else { break };
            *last = *end;
            left -= got as u64;
            if is_kept {
                hasher.update(piece);
                to.write_all(piece)?;
                kept += got as u64;
            }
        }
        Ok(size - left)
    };
    for span in lines {
        let before = span.from.checked_sub(at).ok_or(ErrorKind::InvalidInput)?;
        // A line begins at the beginning, or behind the end of another; it ends with its end, or with everything.
        if go(before, true, &mut last)? < before || last != b'\n' || span.size == 0 {
            return Err(ErrorKind::InvalidInput.into());
        }
        if go(span.size, false, &mut last)? < span.size {
            return Err(ErrorKind::InvalidInput.into());
        }
        at = span.end();
        if last != b'\n' && go(1, false, &mut last)? > 0 {
            return Err(ErrorKind::InvalidInput.into());
        }
    }
    go(u64::MAX, true, &mut last)?;
    to.flush()?;
    Ok((hasher.finish(), kept))
}

/// The artifact that `verdict` says was stripped, as the one that it became.
pub fn become_of(verdict: &Verdict) -> Option<Artifact> {
    let (sha256, size) = verdict.kept()?;
    Some(Artifact { path: verdict.path.clone(), size, sha256, kind: verdict.declared.clone(), carried: true })
}

/// Fills in what the artifact became: `from` without these lines, in a file at `to`.
pub fn strip(verdict: &mut Verdict, from: impl Read, lines: &[Span], to: &Path) -> Result<(), Fault> {
    let file = durable::create(to, 0o644)?;
    let left = leave_out(from, lines, file);
    if left.as_ref().is_err_and(|e| e.kind() == ErrorKind::InvalidInput) {
        return Err(Fault::Worker { role: "examiner", what: "leaves out what are no whole lines".into() });
    }
    let (sha256, size) = left.during("write", to)?;
    if let Some(stripped) = &mut verdict.stripped {
        (stripped.sha256, stripped.size) = (sha256, size);
    }
    Ok(())
}

/// Keeps what is stripped, in an empty folder, and nothing else: for a dry run.
pub struct Scratch {
    folder: PathBuf,
    whole: Option<File>,
    number: usize,
    paths: Vec<String>,
}

impl Scratch {
    /// In this folder.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), whole: None, number: 0, paths: Vec::new() }
    }

    fn whole(&self) -> PathBuf {
        self.folder.join("whole")
    }
}

impl Keep for Scratch {
    fn begin(&mut self, _: &Artifact) -> Result<(), Fault> {
        durable::remove(&self.whole())?;
        self.whole = Some(durable::create(&self.whole(), 0o600)?);
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let path = self.whole();
        self.whole.as_mut().map_or(Ok(()), |file| file.write_all(bytes)).during("write", &path)
    }

    fn items(&mut self, _: &[u8]) -> Result<(), Fault> {
        Ok(())
    }

    fn end(&mut self, verdict: &mut Verdict, drop: &[Span]) -> Result<(), Fault> {
        if verdict.stripped.is_some() {
            let path = self.whole();
            let to = self.folder.join(format!("stripped-{}", self.number));
            strip(verdict, File::open(&path).during("open", &path)?, drop, &to)?;
            self.number += 1;
            self.paths.push(verdict.path.clone());
        }
        Ok(())
    }

    fn stripped(&self, path: &str) -> PathBuf {
        let number = self.paths.iter().position(|known| known == path).unwrap_or(usize::MAX);
        self.folder.join(format!("stripped-{number}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_and_nothing_else() {
        let text = b"one\ntwo\n\nfour";
        let left = |spans: &[(u64, u64)]| {
            let spans: Vec<_> = spans.iter().map(|(from, size)| Span { from: *from, size: *size }).collect();
            let mut out = Vec::new();
            let (digest, size) = leave_out(text.as_slice(), &spans, &mut out).map_err(|e| e.kind())?;
            assert_eq!((digest, size), (Digest::of(&out), out.len() as u64));
            Ok::<_, ErrorKind>(String::from_utf8(out).unwrap())
        };
        assert_eq!(left(&[]).unwrap(), "one\ntwo\n\nfour");
        assert_eq!(left(&[(0, 4)]).unwrap(), "two\n\nfour");
        assert_eq!(left(&[(4, 4), (9, 4)]).unwrap(), "one\n\n");
        assert_eq!(left(&[(0, 8), (8, 1)]).unwrap(), "four");
        assert_eq!(left(&[(0, 13)]).unwrap(), "");
        for wrong in [[(0, 3)], [(1, 3)], [(4, 5)], [(9, 3)], [(9, 5)], [(4, 0)], [(20, 1)], [(0, u64::MAX)]] {
            // The empty third line is one: what begins in the second and ends with it is two whole lines.
            if wrong != [(4, 5)] {
                assert_eq!(left(&wrong).unwrap_err(), ErrorKind::InvalidInput, "{wrong:?}");
            }
        }
        assert_eq!(left(&[(4, 4), (0, 4)]).unwrap_err(), ErrorKind::InvalidInput);
    }
}
