//! Requests to a worker and its replies, over two pipes with time limits. A worker that does what it never should is
//! not used again.

use std::io::{self, ErrorKind, PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::timed_pipe::TimedPipe;
use super::wire::{Receiver, Sender};
use crate::Fault;
use crate::error::{IoContext as _, LATE};

/// Time limit for the other end to do something: a failing stick retries for minutes.
const PATIENCE: Duration = Duration::from_mins(5);

/// Pipes to and from a worker.
pub struct RequestChannel {
    /// Pipe for our requests.
    pub asks: Sender<TimedPipe>,
    /// Pipe for its replies.
    pub answers: Receiver<TimedPipe>,
}

impl RequestChannel {
    /// Channel to the worker that reads requests from `asks` and writes replies to `answers`.
    pub fn new(asks: OwnedFd, answers: OwnedFd) -> Result<Self, Fault> {
        let timed = |pipe| TimedPipe::new(pipe, PATIENCE).during("use", Path::new("a pipe"));
        Ok(Self { asks: Sender::new(timed(asks)?), answers: Receiver::new(timed(answers)?) })
    }

    /// Channel to a thread of this process: for the connected side, where there is nothing to keep apart.
    pub fn here(work: impl FnOnce(PipeReader, PipeWriter) -> io::Result<()> + Send + 'static) -> Result<Self, Fault> {
        let pipe = || io::pipe().during("open", Path::new("a pipe"));
        let ((asked, asks), (answers, answered)) = (pipe()?, pipe()?);
        // It ends with the pipe of requests; the other end reports a pipe that breaks.
        thread::spawn(move || work(asked, answered));
        Self::new(asks.into(), answers.into())
    }
}

/// Fault: the worker of this role did `what`.
pub fn misbehaves(role: &'static str, what: &str) -> Fault {
    Fault::Worker { role, what: what.to_owned() }
}

/// Fault that a pipe's error means.
pub fn broken(role: &'static str, error: &io::Error) -> Fault {
    let what = match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => "ended before it replied",
        ErrorKind::TimedOut => LATE,
        _ => "sent a malformed reply",
    };
    misbehaves(role, what)
}

/// Fault: the worker is not used again, since a request was not sent or answered to its end.
pub fn not_used_again(role: &'static str) -> Fault {
    misbehaves(role, "is not used again, because it did not answer an earlier request to the end")
}
