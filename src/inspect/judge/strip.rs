//! Leaving whole lines out of bytes on their way to a file, and the folder in which a dry run does so.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::Keep;
use super::judgement::ProvenContent;
use crate::cut::{ByteSpan, Leaving};
use base::digest::Hasher;
use base::error::IoContext as _;
use base::{Digest, Fault, durable};
use bundle::Artifact;

/// Copies `from` without these lines, which rise; gives digest and length of what is left. Errors: `InvalidInput`
/// where they are not whole lines of it; the streams'.
pub fn leave_out(mut from: impl Read, lines: &[ByteSpan], to: impl Write) -> io::Result<(Digest, u64)> {
    let mut to = BufWriter::with_capacity(128 << 10, to);
    let (mut hasher, mut kept, mut leaving) = (Hasher::new(), 0, Leaving::new(lines));
    let mut buffer = vec![0; 128 << 10];
    loop {
        let got = from.read(&mut buffer)?;
        if got == 0 {
            break;
        }
        leaving.take(buffer.get(..got).unwrap_or_default(), &mut |piece| {
            hasher.update(piece);
            kept += piece.len() as u64;
            to.write_all(piece)
        })?;
    }
    leaving.finish()?;
    to.flush()?;
    Ok((hasher.finish(), kept))
}

/// Keeps what is stripped, in an empty folder, and nothing else: for a dry run.
pub struct Scratch {
    folder: PathBuf,
    whole: Option<File>,
    number: usize,
}

impl Scratch {
    /// In this folder.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), whole: None, number: 0 }
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

    fn end(&mut self, mut proven: ProvenContent<'_>) -> Result<(), Fault> {
        if proven.verdict().stripped.is_some() {
            let path = self.whole();
            let to = self.folder.join(format!("stripped-{}", self.number));
            proven.strip(File::open(&path).during("open", &path)?, &to)?;
            self.number += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use crate::judge::strip::*;

    #[test]
    fn whole_lines_and_nothing_else() {
        let text = b"one\ntwo\n\nfour";
        let left = |spans: &[(u64, u64)]| {
            let spans: Vec<_> = spans.iter().map(|(from, size)| ByteSpan { from: *from, size: *size }).collect();
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
        for wrong in [[(4, 4), (0, 4)], [(0, 4), (0, 8)], [(0, 4), (2, 6)]] {
            assert_eq!(left(&wrong).unwrap_err(), ErrorKind::InvalidInput, "{wrong:?}");
        }
    }
}
