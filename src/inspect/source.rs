//! Sources of bytes for a format's reader.

use std::io::{self, BufRead, Read};

/// Shows each byte that is read to `see`, once and in order.
pub struct ReadTap<'a, F> {
    from: &'a mut dyn BufRead,
    see: F,
}

impl<'a, F: FnMut(&[u8])> ReadTap<'a, F> {
    /// Bytes that are read from `from`.
    pub fn new(from: &'a mut dyn BufRead, see: F) -> Self {
        Self { from, see }
    }
}

impl<F: FnMut(&[u8])> Read for ReadTap<'_, F> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let got = self.from.read(to)?;
        (self.see)(to.get(..got).unwrap_or_default());
        Ok(got)
    }
}

impl<F: FnMut(&[u8])> BufRead for ReadTap<'_, F> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.from.fill_buf()
    }

    fn consume(&mut self, size: usize) {
        // What is consumed waits in the buffer: this reads nothing.
        if let Ok(bytes) = self.from.fill_buf() {
            (self.see)(bytes.get(..size).unwrap_or_default());
        }
        self.from.consume(size);
    }
}

/// Reads to the end what nobody wants to look at.
pub fn drain(from: &mut dyn BufRead) -> io::Result<()> {
    loop {
        match from.fill_buf()?.len() {
            0 => return Ok(()),
            size => from.consume(size),
        }
    }
}

/// Reads all of it, or as much as that many bytes and one more.
pub fn read_most(from: &mut dyn BufRead, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take((most as u64).saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Gives so many bytes at a time.
    pub(crate) struct InPieces<'a>(pub &'a [u8], pub usize);

    impl Read for InPieces<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let got = self.fill_buf()?.read(to)?;
            self.consume(got);
            Ok(got)
        }
    }

    impl BufRead for InPieces<'_> {
        fn fill_buf(&mut self) -> io::Result<&[u8]> {
            Ok(self.0.get(..self.1).unwrap_or(self.0))
        }

        fn consume(&mut self, size: usize) {
            self.0 = &self.0[size..];
        }
    }

    #[test]
    fn each_byte_is_seen_once() {
        let bytes: Vec<u8> = (0..=255).collect();
        for step in [1, 7, 300] {
            let mut seen = Vec::new();
            let mut from = InPieces(&bytes, step);
            let mut tap = ReadTap::new(&mut from, |bytes: &[u8]| seen.extend_from_slice(bytes));
            let mut first = [0; 9];
            tap.read_exact(&mut first).unwrap();
            tap.fill_buf().unwrap();
            tap.consume(1);
            drain(&mut tap).unwrap();
            assert_eq!(seen, bytes);
        }
    }
}
