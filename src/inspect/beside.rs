//! Work on a long stream of bytes goes on a thread of its own, so that whoever hands them over does theirs meanwhile.
//! A short stream is not worth a thread, and gets none.

use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

/// Bytes handed over at a time.
const PIECE: usize = 256 << 10;
/// Pieces that wait.
const IN_FLIGHT: usize = 2;

/// What is done with the bytes.
pub trait Work: Send + 'static {
    /// Takes the next bytes in, and appends the records of the items that they bring.
    fn take(&mut self, bytes: &[u8], items: &mut Vec<u8>);
}

/// Work in progress.
pub struct Beside<W> {
    here: Option<W>,
    there: Option<There<W>>,
    /// The next piece.
    piece: Vec<u8>,
}

/// Work on a thread.
struct There<W> {
    full: SyncSender<Vec<u8>>,
    /// Pieces that were used, and the records of what was in them.
    done: Receiver<(Vec<u8>, Vec<u8>)>,
    thread: JoinHandle<W>,
}

impl<W: Work> Beside<W> {
    /// Nothing handed over yet.
    pub fn new(work: W) -> Self {
        Self { here: Some(work), there: None, piece: Vec::new() }
    }

    /// Takes the next bytes in; records of items are appended to `items` once they are known.
    pub fn take(&mut self, mut bytes: &[u8], items: &mut Vec<u8>) {
        while !bytes.is_empty() {
            let room = self.room();
            let (now, later) = bytes.split_at_checked(room.capacity() - room.len()).unwrap_or((bytes, &[]));
            room.extend_from_slice(now);
            bytes = later;
            self.pass(items);
        }
    }

    /// Where the next bytes go, up to its capacity; [`Beside::pass`] follows.
    pub fn room(&mut self) -> &mut Vec<u8> {
        if self.piece.capacity() == 0 {
            self.piece.reserve_exact(PIECE);
        }
        &mut self.piece
    }

    /// Hands the piece over if it is full.
    pub fn pass(&mut self, items: &mut Vec<u8>) {
        if self.piece.len() < self.piece.capacity() {
            return;
        }
        let there = match (&mut self.there, self.here.take()) {
            (there, Some(work)) => there.insert(There::start(work)),
            (Some(there), None) => there,
            (None, None) => return,
        };
        // A thread that is gone has panicked: the join tells.
        let _ = there.full.send(std::mem::take(&mut self.piece));
        for (used, more) in there.done.try_iter() {
            items.extend_from_slice(&more);
            self.piece = used;
            self.piece.clear();
        }
    }

    /// All was handed over; gives the work once it is done.
    pub fn finish(self, items: &mut Vec<u8>) -> Option<W> {
        match (self.here, self.there) {
            (Some(mut work), _) => {
                work.take(&self.piece, items);
                Some(work)
            }
            (None, Some(There { full, done, thread })) => {
                let _ = full.send(self.piece);
                drop(full);
                for (_, more) in done {
                    items.extend_from_slice(&more);
                }
                Some(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            }
            (None, None) => None,
        }
    }
}

impl<W: Work> There<W> {
    fn start(mut work: W) -> Self {
        let (full, filled) = sync_channel::<Vec<u8>>(IN_FLIGHT);
        let (used, done) = channel();
        let thread = thread::spawn(move || {
            for piece in filled {
                let mut items = Vec::new();
                work.take(&piece, &mut items);
                // Nobody waits for the last one.
                let _ = used.send((piece, items));
            }
            work
        });
        Self { full, done, thread }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps what it gets; each byte is an item.
    struct Kept(Vec<u8>, thread::ThreadId);

    impl Work for Kept {
        fn take(&mut self, bytes: &[u8], items: &mut Vec<u8>) {
            self.0.extend_from_slice(bytes);
            items.extend_from_slice(bytes);
            self.1 = thread::current().id();
        }
    }

    #[test]
    fn nothing_is_lost_or_turned_round() {
        let here = thread::current().id();
        for size in [0, 1, PIECE - 1, PIECE, PIECE + 1, 9 * PIECE + 7] {
            let bytes: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
            for step in [1000, PIECE, 3 * PIECE] {
                let (mut beside, mut items) = (Beside::new(Kept(Vec::new(), here)), Vec::new());
                bytes.chunks(step).for_each(|piece| beside.take(piece, &mut items));
                let kept = beside.finish(&mut items).unwrap();
                assert!(kept.0 == bytes && items == bytes, "{size} by {step}");
                assert_eq!(kept.1 == here, size < PIECE, "a thread only for what is long");
            }
        }
    }
}
