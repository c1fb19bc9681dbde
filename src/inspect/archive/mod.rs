//! Archives: reading a tar, a zip and what is packed, and making archives anew. What is read gives one file after the
//! other, and of each its bytes. Out of scope: what the files are.

pub(crate) mod inflate;
pub(crate) mod names;
pub mod rebuild;
pub(crate) mod tar;
pub(crate) mod zip;
pub(crate) mod zipping;

use std::io::{self, BufRead};

#[cfg(test)]
pub(crate) mod tests;

/// Why an archive is not of the form.
pub(crate) type Wrong = &'static str;

/// A file of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArchiveMember {
    /// Name: a plain path, which no agent takes for another.
    pub name: String,
    /// Length in bytes.
    pub size: u64,
}

/// An archive that is read file by file: read itself, it gives the bytes of the file at hand. Errors are those of where
/// it comes from; where it is not of the form, it ends.
pub(crate) trait Archive: BufRead {
    /// The next file; the rest of the one at hand is passed over.
    fn next_file(&mut self) -> io::Result<Option<ArchiveMember>>;
    /// Passes over the rest of the file at hand, and tells whether all of it was there, as promised.
    fn close(&mut self) -> io::Result<bool>;
}
