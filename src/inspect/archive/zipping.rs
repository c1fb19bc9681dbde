//! Making a zip that [`super::zip`] reads, in normal form: files alone, deflated, of no time, mode 0644.

use std::io::{self, Write};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

use super::zip::{CENTRAL, END, LOCAL, LONGEST, UTF8};

/// A zip in the making.
pub(crate) struct Zipping<W: Write> {
    to: W,
    written: u32,
    directory: Vec<u8>,
    count: u16,
    file: Option<(String, Crc, DeflateEncoder<Vec<u8>>)>,
}

fn too_large<E>(_: E) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the new zip archive is too large, or holds too many files")
}

impl<W: Write> Zipping<W> {
    /// Into `to`.
    pub(crate) fn new(to: W) -> Self {
        Self { to, written: 0, directory: Vec::new(), count: 0, file: None }
    }

    /// A file begins.
    pub(crate) fn begin(&mut self, name: &str) {
        let packing = DeflateEncoder::new(Vec::new(), Compression::default());
        self.file = Some((name.to_owned(), Crc::new(), packing));
    }

    /// More of its bytes.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some((_, crc, packing)) = &mut self.file else { return Ok(()) };
        crc.update(bytes);
        packing.write_all(bytes)?;
        // It waits here until its length is known.
        if packing.get_ref().len() > 2 * LONGEST { Err(too_large(())) } else { Ok(()) }
    }

    /// Ends the file.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        let Some((name, crc, packing)) = self.file.take() else { return Ok(()) };
        let packed = packing.finish()?;
        let size = u32::try_from(packed.len()).map_err(too_large)?;
        let flags = if name.is_ascii() { 0 } else { UTF8 };
        // Version 2.0, deflated, the first of January 1980.
        let mut both = Vec::new();
        for field in [20, flags, 8, 0, 0x21] {
            both.extend_from_slice(&u16::to_le_bytes(field));
        }
        for field in [crc.sum(), size, crc.amount()] {
            both.extend_from_slice(&field.to_le_bytes());
        }
        both.extend_from_slice(&u16::try_from(name.len()).map_err(too_large)?.to_le_bytes());
        let local = [LOCAL.to_le_bytes().as_slice(), &both, &[0, 0], name.as_bytes()].concat();
        // Made under Unix by version 2.0; a regular file, mode 0644.
        let after = [[0; 8].as_slice(), &(0o100_644_u32 << 16).to_le_bytes(), &self.written.to_le_bytes()].concat();
        self.directory.extend_from_slice(&CENTRAL.to_le_bytes());
        self.directory.extend_from_slice(&[20, 3]);
        self.directory.extend_from_slice(&both);
        self.directory.extend_from_slice(&after);
        self.directory.extend_from_slice(name.as_bytes());
        self.to.write_all(&local)?;
        self.to.write_all(&packed)?;
        let more = u32::try_from(local.len() + packed.len()).map_err(too_large)?;
        self.written = self.written.checked_add(more).ok_or(()).map_err(too_large)?;
        self.count = self.count.checked_add(1).ok_or(()).map_err(too_large)?;
        Ok(())
    }

    /// Ends the archive, and gives back the writer.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.to.write_all(&self.directory)?;
        self.to.write_all(&END.to_le_bytes())?;
        self.to.write_all(&[0; 4])?;
        for _ in 0..2 {
            self.to.write_all(&self.count.to_le_bytes())?;
        }
        self.to.write_all(&u32::try_from(self.directory.len()).map_err(too_large)?.to_le_bytes())?;
        self.to.write_all(&self.written.to_le_bytes())?;
        self.to.write_all(&[0; 2])?;
        Ok(self.to)
    }
}
