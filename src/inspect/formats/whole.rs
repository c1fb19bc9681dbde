//! Formats that are read as a whole: the file is held, up to a length of its format.

use std::io::{self, BufRead};

use crate::flaw::FlawPart;
use crate::notes::Notes;
use crate::source::read_most;
use base::Reason;

/// The file, of at most so many bytes; `None`, and a note, where it is too long.
pub fn read(source: &mut dyn BufRead, longest: usize, notes: &mut Notes<'_>) -> io::Result<Option<Vec<u8>>> {
    let bytes = read_most(source, longest)?;
    if bytes.len() <= longest {
        return Ok(Some(bytes));
    }
    notes.flaw(Reason::RuleTooLong, 1, FlawPart::Whole);
    Ok(None)
}

/// Counts lines in a text, from the place asked for last: asked in order, it reads the text once.
pub struct Counter<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl<'a> Counter<'a> {
    /// At its beginning.
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, line: 1 }
    }

    /// The line at an offset in bytes, counted from 1.
    pub fn line(&mut self, offset: usize) -> u64 {
        let offset = offset.min(self.text.len());
        let count = |from: usize, to: usize| {
            memchr::memchr_iter(b'\n', self.text.get(from..to).unwrap_or_default()).count() as u64
        };
        self.line = if offset < self.at {
            self.line.saturating_sub(count(offset, self.at))
        } else {
            self.line + count(self.at, offset)
        };
        self.at = offset;
        self.line
    }

    /// Offset of a line, counted from 1, if it is not before the one asked for last.
    pub fn start_of(&mut self, line: u64) -> usize {
        while self.line < line {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let Some(end) = memchr::memchr(b'\n', rest) else {
                self.at = self.text.len();
                break;
            };
            self.at += end + 1;
            self.line += 1;
        }
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_forth_and_back() {
        let text = b"one\ntwo\n\nfour";
        let line = |at: usize| text[..at].split(|b| *b == b'\n').count() as u64;
        for (first, second) in [(0, 13), (5, 5), (9, 2), (13, 0), (8, 9), (4, 3)] {
            let mut counter = Counter::new(text);
            assert_eq!((counter.line(first), counter.line(second)), (line(first), line(second)), "{first}, {second}");
        }
        assert_eq!(Counter::new(text).line(99), 4);
        let mut counter = Counter::new(text);
        assert_eq!([1, 2, 2, 3, 4, 9].map(|line| counter.start_of(line)), [0, 4, 4, 8, 9, 13]);
    }
}
