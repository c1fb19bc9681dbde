//! Reading from a process that may have stopped answering.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A pipe that gives an error, `TimedOut`, when nothing comes for so long.
pub struct Patient {
    pipe: File,
    patience: Timespec,
}

impl Patient {
    /// Waits so long for each read.
    pub fn new(pipe: File, patience: Duration) -> Self {
        let seconds = i64::try_from(patience.as_secs()).unwrap_or(i64::MAX);
        Self { pipe, patience: Timespec { tv_sec: seconds, tv_nsec: 0 } }
    }
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut wait = [PollFd::new(&self.pipe, PollFlags::IN)];
            match poll(&mut wait, Some(&self.patience)) {
                Ok(0) => return Err(ErrorKind::TimedOut.into()),
                Ok(_) => return self.pipe.read(buffer),
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}
