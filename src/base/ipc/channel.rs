//! A conversation with a worker: questions one way, answers the other, and no waiting for ever. What a
//! worker does that it never should ends it.

use std::io::{self, ErrorKind, PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::timed_pipe::TimedPipe;
use super::wire::{Receiver, Sender};
use crate::Fault;
use crate::error::IoContext as _;

/// Time limit for the other end to do something: a failing stick retries for minutes.
const PATIENCE: Duration = Duration::from_mins(5);

/// Both ways.
pub struct RequestChannel {
    /// Pipe for our requests.
    pub asks: Sender<TimedPipe>,
    /// Pipe for its replies.
    pub answers: Receiver<TimedPipe>,
}

impl RequestChannel {
    /// With the worker that takes questions from `asks` and answers into `answers`.
    pub fn new(asks: OwnedFd, answers: OwnedFd) -> Result<Self, Fault> {
        let timed = |pipe| TimedPipe::new(pipe, PATIENCE).during("use", Path::new("a pipe"));
        Ok(Self { asks: Sender::new(timed(asks)?), answers: Receiver::new(timed(answers)?) })
    }

    /// With a thread of this process: for the connected side, where there is nothing to keep apart.
    pub fn here(work: impl FnOnce(PipeReader, PipeWriter) -> io::Result<()> + Send + 'static) -> Result<Self, Fault> {
        let pipe = || io::pipe().during("open", Path::new("a pipe"));
        let ((asked, asks), (answers, answered)) = (pipe()?, pipe()?);
        // It ends when nobody asks any more; a pipe that breaks is the other end's to tell.
        thread::spawn(move || work(asked, answered));
        Self::new(asks.into(), answers.into())
    }
}

/// The fault that the worker of this role did `what`.
pub fn misbehaves(role: &'static str, what: &str) -> Fault {
    Fault::Worker { role, what: what.to_owned() }
}

/// The fault that a pipe's error means.
pub fn broken(role: &'static str, error: &io::Error) -> Fault {
    let what = match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => "ended before it had answered",
        ErrorKind::TimedOut => "did nothing for five minutes",
        _ => "answered what is no answer",
    };
    misbehaves(role, what)
}

/// The fault that nothing more is asked: a question was not asked or answered to its end.
pub fn given_up(role: &'static str) -> Fault {
    misbehaves(role, "is not asked again, after a question that was not answered to its end")
}
