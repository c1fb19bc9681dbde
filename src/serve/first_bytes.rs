//! The stream between the network and the HTTP parser: it turns away first bytes that are not HTTP,
//! counts what comes, remembers the last request's beginning for the record, and knows since when
//! the other side has kept us waiting. What a body contains is never kept.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::connection_limit::ConnectionPlace;
use crate::journal::Attempt;

/// Most bytes that are remembered of a broken request's beginning.
const REMEMBERED: usize = 256;
/// Most first bytes that are remembered when they are not HTTP: a TLS hello with its server name fits.
const REMEMBERED_ALIEN: usize = 4096;

/// Facts that a connection's parts share.
pub struct Watched {
    started: Instant,
    /// Place among all connections.
    pub place: Arc<ConnectionPlace>,
    received: AtomicU64,
    /// Milliseconds from `started` to the last byte written, or to the beginning.
    moved: AtomicU64,
    blocked: AtomicBool,
    /// The first bytes.
    beginning: Mutex<Vec<u8>>,
    alien: Mutex<Option<&'static str>>,
    /// The request that was refused; recorded when the connection has ended.
    pub refused: Mutex<Option<Box<Attempt>>>,
}

impl Watched {
    /// A connection begins, in its place among all.
    pub fn begin(place: Arc<ConnectionPlace>) -> Self {
        Self {
            started: Instant::now(),
            place,
            received: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
            beginning: Mutex::new(Vec::new()),
            alien: Mutex::new(None),
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
        self.started + Duration::from_millis(self.moved.load(Ordering::Relaxed)) + patience
    }

    /// The protocol of first bytes that were no HTTP.
    pub fn alien(&self) -> Option<&'static str> {
        *self.alien.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The remembered beginning.
    pub fn beginning(&self) -> Vec<u8> {
        self.beginning.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wrote(&self, wrote: &Poll<io::Result<usize>>) {
        if wrote.is_ready() {
            let now = self.started.elapsed().as_millis();
            self.moved.store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Relaxed);
            self.place.note_use();
        }
        self.blocked.store(wrote.is_pending(), Ordering::Relaxed);
    }
}

/// The wrapped stream.
pub struct FirstBytesTap<S> {
    inner: S,
    watched: Arc<Watched>,
    looked: bool,
}

impl<S> FirstBytesTap<S> {
    /// Wraps `stream`.
    pub fn new(inner: S, watched: Arc<Watched>) -> Self {
        Self { inner, watched, looked: false }
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
            return read;
        }
        self.watched.received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if !self.looked {
            let most = if alien(bytes).is_some() { REMEMBERED_ALIEN } else { REMEMBERED };
            let beginning = bytes.get(..most).unwrap_or(bytes);
            *self.watched.beginning.lock().unwrap_or_else(PoisonError::into_inner) = beginning.to_vec();
            if let Some(protocol) = alien(bytes) {
                *self.watched.alien.lock().unwrap_or_else(PoisonError::into_inner) = Some(protocol);
                return Poll::Ready(Err(io::Error::other(protocol)));
            }
            self.looked = true;
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
