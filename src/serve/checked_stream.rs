//! The stream below everything that is sent to an agent, TLS included. Answers come out of mapped files; where a page
//! of one could not be read, zeros stand in its place ([`base::raw::mapped`]). So nothing leaves for the network before
//! it is known that no file which was answered from is broken: such an answer ends before its end, and its connection
//! with it.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::index::ServedItem;
use base::raw::mapped;

/// Number of answers that may wait in the buffers of one connection, with room to spare: they hold 16 KiB.
const RECENT: usize = 64;

/// Files that a connection's last answers came out of.
pub(crate) struct AnsweredItems {
    /// Number of pages that could not be read, when all of these were whole.
    breaks: AtomicU64,
    recent: Mutex<VecDeque<Arc<ServedItem>>>,
}

impl AnsweredItems {
    /// None yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { breaks: AtomicU64::new(mapped::breaks()), recent: Mutex::default() })
    }

    /// Notes that an answer comes out of this file.
    pub(crate) fn note(&self, item: &Arc<ServedItem>) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever asks for one file again and again, in ranges say, needs no second entry.
        if recent.back().is_some_and(|last| Arc::ptr_eq(last, item)) {
            return;
        }
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back(Arc::clone(item));
    }

    /// One of them that is broken.
    pub(crate) fn broken(&self) -> Option<Arc<ServedItem>> {
        let breaks = mapped::breaks();
        if breaks == self.breaks.load(Ordering::Relaxed) {
            return None;
        }
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let broken = recent.iter().find(|item| mapped::is_broken(&item.bytes)).cloned();
        if broken.is_none() {
            self.breaks.store(breaks, Ordering::Relaxed);
        }
        broken
    }
}

/// The wrapped stream.
pub(crate) struct CheckedStream<S> {
    inner: S,
    answered: Arc<AnsweredItems>,
}

impl<S> CheckedStream<S> {
    /// Wraps `inner`, on which answers are sent that are noted in `answered`.
    pub(crate) fn new(inner: S, answered: Arc<AnsweredItems>) -> Self {
        Self { inner, answered }
    }

    fn check(&self) -> io::Result<()> {
        // Whoever serves the connection tells of it when it has ended.
        self.answered.broken().map_or(Ok(()), |_| Err(ErrorKind::InvalidData.into()))
    }
}

/// Has a page noted that the kernel could not read, of the bytes that it was given.
fn find_broken<T>(written: &Poll<io::Result<T>>, pieces: &[IoSlice<'_>]) {
    let Poll::Ready(Err(error)) = written else { return };
    if error.raw_os_error() == Some(Errno::FAULT.raw_os_error()) {
        for piece in pieces {
            mapped::touch(piece);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for CheckedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CheckedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        find_broken(&written, &[IoSlice::new(bytes)]);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, pieces);
        find_broken(&written, pieces);
        written
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
