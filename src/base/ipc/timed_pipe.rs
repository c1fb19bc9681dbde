//! A pipe to a process that may have stopped reading or writing: neither waits for ever.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl, sendfile};
use rustix::io::Errno;

/// Most bytes of a file given to the kernel at once.
const PIECE: usize = 1 << 20;

/// Our end of a pipe, which gives an error, `TimedOut`, when the other end does nothing for so long.
pub struct TimedPipe {
    pipe: File,
    patience: Duration,
    deadline: Option<Instant>,
}

impl TimedPipe {
    /// Waits so long for each turn of the other end.
    pub fn new(pipe: OwnedFd, patience: Duration) -> io::Result<Self> {
        // Else a write of more than there is room for would wait in the kernel.
        fcntl_setfl(&pipe, fcntl_getfl(&pipe)? | OFlags::NONBLOCK)?;
        Ok(Self { pipe: pipe.into(), patience, deadline: None })
    }

    /// Sets the time in which all is to be done from now on, however the other end spreads its turns: one that does a
    /// little before each turn is over would else keep us for ever.
    pub fn set_deadline(&mut self, time: Duration) {
        self.deadline = Instant::now().checked_add(time);
    }

    /// Writes so many bytes of `file`, from its place on; the kernel moves them. Error: `UnexpectedEof` where it has
    /// fewer.
    pub fn write_file(&mut self, file: &File, size: u64) -> io::Result<()> {
        let mut left = size;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            match self.turn(PollFlags::OUT, |pipe| Ok(sendfile(pipe, file, None, most)?))? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                sent => left -= sent as u64,
            }
        }
        Ok(())
    }

    /// Tries until the other end has done its part.
    fn turn(&self, ready: PollFlags, mut attempt: impl FnMut(&File) -> io::Result<usize>) -> io::Result<usize> {
        loop {
            if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Err(ErrorKind::TimedOut.into());
            }
            match attempt(&self.pipe) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                done => return done,
            }
            let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let wait = left.map_or(self.patience, |left| left.min(self.patience));
            let seconds = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
            let wait = Timespec { tv_sec: seconds, tv_nsec: i64::from(wait.subsec_nanos()) };
            match poll(&mut [PollFd::new(&self.pipe, ready)], Some(&wait)) {
                Ok(0) => return Err(ErrorKind::TimedOut.into()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl Read for TimedPipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.turn(PollFlags::IN, |mut pipe| pipe.read(buffer))
    }
}

impl Write for TimedPipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.turn(PollFlags::OUT, |mut pipe| pipe.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Seek as _;

    use crate::ipc::timed_pipe::*;

    #[test]
    fn an_end_that_does_nothing_is_not_waited_for() {
        let short = Duration::from_millis(10);
        let (from, to) = io::pipe().unwrap();
        let mut reads = TimedPipe::new(from.into(), short).unwrap();
        assert_eq!(reads.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
        let mut writes = TimedPipe::new(to.into(), short).unwrap();
        assert_eq!(writes.write_all(&vec![1; 4 << 20]).unwrap_err().kind(), ErrorKind::TimedOut);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![2; 4 << 20]).unwrap();
        file.rewind().unwrap();
        assert_eq!(writes.write_file(&file, 1 << 30).unwrap_err().kind(), ErrorKind::TimedOut);
        drop(reads);
        assert_eq!(writes.write(&[1]).unwrap_err().kind(), ErrorKind::BrokenPipe);
    }

    /// One that does a little before each turn is over is bound by the time for all of it.
    #[test]
    fn an_end_that_drips_is_not_read_for_ever() {
        let (read, mut write) = io::pipe().unwrap();
        let drips = std::thread::spawn(move || {
            while write.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let mut pipe = TimedPipe::new(read.into(), Duration::from_mins(1)).unwrap();
        pipe.set_deadline(Duration::from_millis(100));
        let mut all = Vec::new();
        assert_eq!(pipe.read_to_end(&mut all).map_err(|e| e.kind()), Err(ErrorKind::TimedOut));
        assert!(!all.is_empty() && all.len() < 1000, "{}", all.len());
        drop(pipe);
        drips.join().unwrap();
    }
}
