//! Formats that are read as a whole: the file is kept until it is complete, up to a length of its format.

use super::notes::Notes;
use base::Reason;

/// A file in the making.
pub struct Whole {
    bytes: Vec<u8>,
    longest: usize,
    is_too_long: bool,
}

impl Whole {
    /// Of at most so many bytes.
    pub fn new(longest: usize) -> Self {
        Self { bytes: Vec::new(), longest, is_too_long: false }
    }

    /// Takes the next bytes in.
    pub fn take(&mut self, bytes: &[u8]) {
        self.is_too_long |= self.bytes.len() + bytes.len() > self.longest;
        if !self.is_too_long {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// The file; `None`, and a note, where it is too long.
    pub fn finish(self, notes: &mut Notes) -> Option<Vec<u8>> {
        if self.is_too_long {
            notes.flaw(Reason::RuleTooLong, 1, None);
        }
        (!self.is_too_long).then_some(self.bytes)
    }
}
