//! Reading ahead: a long stream is read by one thread while another looks at what was read before. A short stream is
//! not worth a thread, and gets none.

use std::io::{self, BufRead, ErrorKind, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

/// Bytes handed over at a time.
const PIECE: usize = 256 << 10;
/// Pieces that wait.
const IN_FLIGHT: usize = 2;

/// Reads all of `source`, which has `size` bytes if that is known, here, while `work` looks at it beside. Whatever work
/// leaves unread is read too. Errors: the source's, and then those of the work.
pub(crate) fn beside<T: Send>(
    source: &mut dyn Read,
    size: Option<u64>,
    work: impl FnOnce(&mut dyn BufRead) -> io::Result<T> + Send,
) -> io::Result<T> {
    // One byte more, which shows that there is none.
    let most = size.and_then(|size| usize::try_from(size).ok()).map_or(PIECE, |size| PIECE.min(size.saturating_add(1)));
    let mut first = Vec::new();
    fill(source, &mut first, most)?;
    if first.len() < most {
        return work(&mut first.as_slice());
    }
    let (full, filled) = sync_channel(IN_FLIGHT);
    let (used, empty) = channel();
    thread::scope(|scope| {
        let working = scope.spawn(move || work(&mut PieceReader { filled, used, piece: Vec::new(), at: 0 }));
        let read = pump(source, first, full, &empty);
        // A thread that panicked takes us with it.
        let told = working.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        read.and(told)
    })
}

/// Reads until the piece has that many bytes, or there is no more.
fn fill(source: &mut dyn Read, piece: &mut Vec<u8>, most: usize) -> io::Result<()> {
    // One that was used before is as long as that: nothing is written twice.
    piece.resize(most, 0);
    let mut filled = 0;
    while let Some(room) = piece.get_mut(filled..).filter(|room| !room.is_empty()) {
        match source.read(room) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    piece.truncate(filled);
    Ok(())
}

/// Hands over piece by piece, up to the end; one that is not full is the last.
fn pump(source: &mut dyn Read, first: Vec<u8>, full: SyncSender<Vec<u8>>, empty: &Receiver<Vec<u8>>) -> io::Result<()> {
    let (mut piece, mut full) = (first, Some(full));
    while !piece.is_empty() {
        // Where nobody wants more of it, it is read all the same.
        let left = match full.as_ref().map(|full| full.send(std::mem::take(&mut piece))) {
            Some(Ok(())) => None,
            Some(Err(unsent)) => Some(unsent.0),
            None => Some(piece),
        };
        if left.is_some() {
            full = None;
        }
        piece = left.or_else(|| empty.try_recv().ok()).unwrap_or_default();
        fill(source, &mut piece, PIECE)?;
    }
    Ok(())
}

/// The pieces, in order.
struct PieceReader {
    filled: Receiver<Vec<u8>>,
    used: Sender<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
}

impl BufRead for PieceReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.piece.len() {
            let next = self.filled.recv().unwrap_or_default();
            // Whoever reads may have come to the end; then nobody wants it.
            let _ = self.used.send(std::mem::replace(&mut self.piece, next));
            self.at = 0;
        }
        Ok(self.piece.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, size: usize) {
        self.at = self.piece.len().min(self.at + size);
    }
}

impl Read for PieceReader {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let got = self.fill_buf()?.read(to)?;
        self.consume(got);
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_or_turned_round() {
        let here = thread::current().id();
        for size in [0, 1, PIECE - 1, PIECE, PIECE + 1, 9 * PIECE + 7] {
            let bytes: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let mut source = bytes.as_slice();
            let (kept, there) = beside(&mut source, Some(size as u64), |from| {
                let mut kept = Vec::new();
                from.read_to_end(&mut kept)?;
                Ok((kept, thread::current().id()))
            })
            .unwrap();
            assert!(kept == bytes, "{size}");
            assert_eq!(there == here, size < PIECE, "a thread only for what is long");
            // All of it is read, whatever is looked at.
            let mut source = bytes.as_slice();
            beside(&mut source, Some(size as u64), |from| from.read(&mut [0; 1])).unwrap();
            assert_eq!(source, b"", "{size}");
        }
        // One that is longer than was said is read all the same.
        let bytes = vec![7; 9 * PIECE];
        assert_eq!(
            beside(&mut bytes.as_slice(), Some(5), |from| from.read_to_end(&mut Vec::new())).unwrap(),
            bytes.len()
        );
    }

    #[test]
    fn a_source_that_fails_is_told_of() {
        struct Fails(usize);
        impl Read for Fails {
            fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
                self.0 = self.0.checked_sub(1).ok_or(ErrorKind::BrokenPipe)?;
                Ok(to.len())
            }
        }
        for reads in [0, 1, 100] {
            for size in [Some(0), None] {
                let told = beside(&mut Fails(reads), size, |from| from.read_to_end(&mut Vec::new()));
                assert_eq!(told.unwrap_err().kind(), ErrorKind::BrokenPipe);
            }
        }
    }
}
