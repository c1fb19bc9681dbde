//! The stream between the network and the HTTP parser: it turns away bytes that are not HTTP where a request should
//! begin, counts what comes, remembers what was not answered yet for the record, and knows since when the other side
//! has kept us waiting. A connection that waits for a request holds nothing here, and what a body contains is never
//! kept.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::journal::Attempt;
use crate::seats::SeatUse;

/// Most bytes that are remembered: more than the parser takes of a request without an answer.
const MOST: usize = 32 << 10;
/// Most bytes of a line that are remembered once there are more: what stands behind a long path is seen all the same.
const LINE: usize = 1 << 10;

/// Facts that a connection's parts share.
pub struct Watched {
    started: Instant,
    received: AtomicU64,
    /// Milliseconds from `started` to the last byte written, or to the beginning.
    moved: AtomicU64,
    blocked: AtomicBool,
    /// True while an answer is made that takes time: the other side keeps nobody waiting.
    works: AtomicBool,
    /// False once a request was refused: what follows is its body.
    remembers: AtomicBool,
    /// Bytes that came and were not answered yet.
    unanswered: Mutex<Vec<u8>>,
    seat: Arc<SeatUse>,
    /// The request that was refused; recorded when the connection has ended.
    refused: Mutex<Option<Box<Attempt>>>,
}

impl Watched {
    /// A connection begins, on this seat.
    pub fn begin(seat: Arc<SeatUse>) -> Self {
        Self {
            started: Instant::now(),
            received: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
            works: AtomicBool::new(false),
            remembers: AtomicBool::new(true),
            unanswered: Mutex::new(Vec::new()),
            seat,
            refused: Mutex::new(None),
        }
    }

    /// Bytes received so far.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// When the other side has kept us waiting too long: for its request, or for room to write.
    pub fn deadline(&self, head: Duration, stall: Duration) -> Instant {
        let patience = if self.blocked.load(Ordering::Relaxed) { stall } else { head };
        if self.works.load(Ordering::Relaxed) {
            return Instant::now() + patience;
        }
        self.started + Duration::from_millis(self.moved.load(Ordering::Relaxed)) + patience
    }

    /// Begins an answer that takes time, until the value is dropped; then the other side's time begins anew.
    pub(crate) fn work(&self) -> WorkingAnswer<'_> {
        self.works.store(true, Ordering::Relaxed);
        WorkingAnswer(self)
    }

    fn note_moved(&self) {
        let now = self.started.elapsed().as_millis();
        self.moved.store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Bytes that came and were not answered.
    pub fn unanswered(&self) -> Vec<u8> {
        self.remembered().clone()
    }

    /// True if what was not answered is enough to name it.
    pub fn shows(&self, is_enough: impl Fn(&[u8]) -> bool) -> bool {
        is_enough(&self.remembered())
    }

    /// Forgets the head of a request that is answered; what came behind it begins the next one.
    pub fn answer(&self) {
        let mut unanswered = self.remembered();
        match head_end(&unanswered) {
            Some(end) if end < unanswered.len() => drop(unanswered.drain(..end)),
            _ => *unanswered = Vec::new(),
        }
    }

    /// Takes the record of a request that is refused: with its answer the connection ends, and what follows is its
    /// body.
    pub fn refuse(&self, attempt: Attempt) {
        self.forget();
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(attempt));
    }

    /// True if a request was refused.
    pub fn has_refused(&self) -> bool {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Gives the record of the request that was refused.
    pub fn take_refused(&self) -> Option<Attempt> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).take().map(|attempt| *attempt)
    }

    /// Forgets what came, and remembers nothing from here on.
    pub fn forget(&self) {
        self.remembers.store(false, Ordering::Relaxed);
        *self.remembered() = Vec::new();
    }

    fn remembered(&self) -> MutexGuard<'_, Vec<u8>> {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts bytes, and remembers them. True: a request begins with them.
    fn note(&self, bytes: &[u8]) -> bool {
        self.received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if !self.remembers.load(Ordering::Relaxed) {
            return false;
        }
        let mut unanswered = self.remembered();
        let begins = unanswered.is_empty();
        unanswered.extend_from_slice(bytes);
        if unanswered.len() > MOST {
            shorten(&mut unanswered);
        }
        begins
    }

    fn wrote(&self, wrote: &Poll<io::Result<usize>>) {
        if wrote.is_ready() {
            self.note_moved();
        }
        self.blocked.store(wrote.is_pending(), Ordering::Relaxed);
    }
}

/// Answer in the making that takes time.
pub(crate) struct WorkingAnswer<'a>(&'a Watched);

impl Drop for WorkingAnswer<'_> {
    fn drop(&mut self) {
        self.0.note_moved();
        self.0.works.store(false, Ordering::Relaxed);
    }
}

/// End of the first head in these bytes: behind its empty line (RFC 9112, section 2.2).
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    let (mut end, mut has_begun) = (0, false);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        end += line.len();
        match line {
            b"\n" | b"\r\n" if has_begun => return Some(end),
            b"\n" | b"\r\n" => {}
            _ => has_begun = true,
        }
    }
    None
}

/// Cuts long lines, and what is too much all the same.
fn shorten(bytes: &mut Vec<u8>) {
    let mut column = 0;
    bytes.retain(|byte| {
        column = if *byte == b'\n' { 0 } else { column + 1 };
        column <= LINE
    });
    bytes.truncate(MOST);
}

/// The wrapped stream.
pub struct FirstBytesTap<S> {
    inner: S,
    watched: Arc<Watched>,
    takes_all: bool,
}

impl<S> FirstBytesTap<S> {
    /// Wraps `stream`, on which HTTP is expected.
    pub fn new(inner: S, watched: Arc<Watched>) -> Self {
        Self { inner, watched, takes_all: false }
    }

    /// Wraps `stream`, on which anything may come.
    pub fn taking_all(inner: S, watched: Arc<Watched>) -> Self {
        Self { inner, watched, takes_all: true }
    }
}

/// Protocol that begins with these bytes, if it is not HTTP/1.
pub fn alien(first: &[u8]) -> Option<&'static str> {
    match first {
        [4 | 5, ..] => Some("socks"),
        [0x16, ..] => Some("tls-on-plain-port"),
        [b'P', b'R', b'I', b' ', b'*', ..] => Some("http2"),
        [first, ..] if first.is_ascii_alphabetic() || matches!(first, b'\r' | b'\n') => None,
        [_, ..] => Some("not-http"),
        [] => None,
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FirstBytesTap<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        let bytes = buffer.filled().get(before..).unwrap_or_default();
        if bytes.is_empty() {
            if read.is_pending() {
                self.watched.seat.rest();
            }
            return read;
        }
        self.watched.seat.work();
        let begins = self.watched.note(bytes) && !self.takes_all;
        if let Some(protocol) = alien(bytes).filter(|_| begins) {
            return Poll::Ready(Err(io::Error::other(protocol)));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FirstBytesTap<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.watched.wrote(&wrote);
        wrote
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.watched.wrote(&wrote);
        wrote
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answered heads are forgotten, and nothing of what came behind them.
    #[test]
    fn each_request_that_was_not_answered_is_remembered() {
        let watched = Watched::begin(Arc::default());
        assert!(watched.note(b"\r\nGET /a HTTP/1.1\r\nHost: x\r\n"));
        assert!(!watched.note(b"\r\nPOST /b HTTP/1.1\r\nX: "));
        watched.answer();
        assert_eq!(watched.unanswered(), b"POST /b HTTP/1.1\r\nX: ");
        watched.note(b"y\n\nPUT");
        watched.answer();
        assert_eq!(watched.unanswered(), b"PUT");
        watched.note(b" /c HTTP/1.1\r\n\r\n");
        watched.answer();
        assert!(watched.remembered().capacity() == 0, "an idle connection holds nothing");
        watched.forget();
        watched.note(b"a body");
        assert!(watched.unanswered().is_empty() && watched.received() == 79);
    }

    /// However long a line is, what stands behind it is remembered, and the whole stays small.
    #[test]
    fn a_long_line_hides_nothing_behind_it() {
        let watched = Watched::begin(Arc::default());
        watched.note(b"POST /");
        for _ in 0..1000 {
            watched.note(&[b'a'; 1000]);
        }
        watched.note(b" HTTP/1.1\r\nHost: www.virustotal.com\r\n");
        let remembered = watched.unanswered();
        assert!(remembered.starts_with(b"POST /aaa") && remembered.ends_with(b"Host: www.virustotal.com\r\n"));
        for _ in 0..1000 {
            watched.note(&[b'\n'; 1000]);
        }
        assert!(watched.unanswered().len() <= MOST);
    }
}
