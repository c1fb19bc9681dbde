//! The one inflater (RFC 1951; RFC 1952): it reads packed bytes where they come from, and gives what is in them. In
//! scope: one member, how much may come out of it. Out of scope: what stands behind it.

use std::io::{self, BufRead, Read};

use flate2::{Decompress, FlushDecompress, Status};

use super::Wrong;

/// Ratio of bytes out of an archive to bytes in, at most, beside 64 MiB.
const RATIO: u64 = 200;
const FREE: u64 = 64 << 20;
/// Most bytes that may come out of one: as many as the longest artifact has.
const LARGEST: u64 = 8 << 30;

/// Most bytes that may come out of so many.
pub(crate) fn most_from(packed: u64) -> u64 {
    packed.saturating_mul(RATIO).saturating_add(FREE).min(LARGEST)
}

/// More came out than [`most_from`] allows.
pub(crate) const TOO_MUCH: Wrong =
    "the archive unpacks to more than 200 times its size plus 64 MiB, or to more than 8 GiB";
const DAMAGED: Wrong = "the gzip data is damaged, or is not gzip";
/// The bytes end before the stream does.
const CUT: Wrong = "the gzip data is cut short";

/// Inflates what it reads. It ends where something is wrong, too: [`Inflate::ended`] tells.
pub(crate) struct Inflate<R> {
    from: R,
    inner: Decompress,
    most: fn(u64) -> u64,
    has_ended: bool,
    wrong: Option<Wrong>,
}

impl<R: BufRead> Inflate<R> {
    /// One member of gzip, out of which no more may come than [`most_from`] allows.
    pub(crate) fn gzip(from: R) -> Self {
        Self { from, inner: Decompress::new_gzip(15), most: most_from, has_ended: false, wrong: None }
    }

    /// Deflate without a frame. How much may come out of it is for the caller to say.
    pub(crate) fn raw(from: R) -> Self {
        Self { from, inner: Decompress::new(false), most: |_| u64::MAX, has_ended: false, wrong: None }
    }

    /// Checks that the stream came to its own end; gives the fault if it did not.
    pub(crate) fn ended(&self) -> Result<(), Wrong> {
        match self.wrong {
            Some(wrong) => Err(wrong),
            None if self.has_ended => Ok(()),
            None => Err(CUT),
        }
    }

    /// Inflates what nobody wanted to look at, and tells whether it came to its own end and nothing stands behind it.
    pub(crate) fn finish(mut self) -> io::Result<Result<(), Wrong>> {
        let mut rest = vec![0; 64 << 10];
        while self.read(&mut rest)? > 0 {}
        let is_all = self.from.fill_buf()?.is_empty();
        let behind = if is_all { Ok(()) } else { Err("bytes follow the end of the gzip data") };
        Ok(self.ended().and(behind))
    }

    /// Compressed source.
    pub(crate) fn get_mut(&mut self) -> &mut R {
        &mut self.from
    }
}

impl<R: BufRead> Read for Inflate<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.wrong.is_none() && !self.has_ended && !to.is_empty() {
            let packed = self.from.fill_buf()?;
            let is_all = packed.is_empty();
            let (eaten, given) = (self.inner.total_in(), self.inner.total_out());
            match self.inner.decompress(packed, to, FlushDecompress::None) {
                Ok(status) => self.has_ended = status == Status::StreamEnd,
                Err(_) => self.wrong = Some(DAMAGED),
            }
            let eaten = usize::try_from(self.inner.total_in() - eaten).unwrap_or_default();
            let given = usize::try_from(self.inner.total_out() - given).unwrap_or_default();
            self.from.consume(eaten);
            if self.inner.total_out() > (self.most)(self.inner.total_in()) {
                self.wrong = Some(TOO_MUCH);
            } else if eaten == 0 && given == 0 && !self.has_ended {
                if !is_all {
                    self.wrong = Some(DAMAGED);
                }
                break;
            }
            if given > 0 {
                return Ok(given);
            }
        }
        Ok(0)
    }
}
