//! Lines and files to leave out, and leaving lines out of bytes that come by.

use std::io::{self, ErrorKind};

use serde::{Deserialize, Serialize};

/// Start and length of a part, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByteSpan {
    /// From the beginning of the artifact.
    pub from: u64,
    /// At least 1.
    pub size: u64,
}

impl ByteSpan {
    /// The first byte after it.
    pub fn end(self) -> u64 {
        self.from.saturating_add(self.size)
    }
}

/// Part to be left out: whole lines, of an artifact or of a file in an archive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// The file of an archive.
    pub member: Option<String>,
    /// The lines.
    pub span: ByteSpan,
}

/// Leaves whole lines out of bytes that come by.
pub(crate) struct Leaving<'a> {
    /// Spans that are still to come.
    lines: &'a [ByteSpan],
    at: u64,
    /// The byte before.
    last: u8,
    /// True if the last span left out must end behind the end of a line.
    is_behind: bool,
}

impl<'a> Leaving<'a> {
    /// These, which rise.
    pub(crate) fn new(lines: &'a [ByteSpan]) -> Self {
        Self { lines, at: 0, last: b'\n', is_behind: false }
    }

    /// Takes the next bytes, and gives what is left of them to `keep`. Errors: `InvalidInput` where what is to be left
    /// out are no whole lines; those of `keep`.
    pub(crate) fn take(&mut self, mut bytes: &[u8], keep: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        while !bytes.is_empty() {
            // A line begins at the beginning, or behind the end of another; it ends with its end, or with everything.
            if self.is_behind && self.last != b'\n' {
                return Err(ErrorKind::InvalidInput.into());
            }
            let most = match self.lines.first() {
                None => u64::MAX,
                Some(line) if self.at < line.from => line.from - self.at,
                Some(line) => line.end().saturating_sub(self.at),
            };
            let is_kept = self.lines.first().is_none_or(|line| self.at < line.from);
            let begins = self.lines.first().is_some_and(|line| self.at == line.from);
            if most == 0 || begins && self.last != b'\n' {
                return Err(ErrorKind::InvalidInput.into());
            }
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at_checked(most).unwrap_or((bytes, &[]));
            if is_kept {
                keep(now)?;
            }
            self.at += now.len() as u64;
            self.last = now.last().copied().unwrap_or(self.last);
            self.is_behind = !is_kept && self.lines.first().is_some_and(|line| self.at == line.end());
            if self.is_behind {
                self.lines = self.lines.get(1..).unwrap_or_default();
                if self.lines.first().is_some_and(|next| next.from < self.at) {
                    return Err(ErrorKind::InvalidInput.into());
                }
            }
            bytes = later;
        }
        Ok(())
    }

    /// Checks that every span was left out.
    pub(crate) fn finish(self) -> io::Result<()> {
        if self.lines.is_empty() { Ok(()) } else { Err(ErrorKind::InvalidInput.into()) }
    }
}
