//! Standard error of the processes that this one starts: a pipe each, whose lines this process shows.

use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use base::Fault;
use base::error::IoContext as _;
use terminal::relayed::{Speaker, relay_lines};

/// Threads that show what processes say.
#[derive(Default)]
pub(crate) struct StderrRelay(Mutex<Vec<JoinHandle<()>>>);

impl StderrRelay {
    /// Gives `command`, which is not started yet, a pipe as its standard error, and shows what comes out of it. It ends
    /// when the process has ended and `command` is dropped.
    pub(crate) fn attach(&self, command: &mut Command, speaker: Speaker) -> Result<(), Fault> {
        let (from, to) = io::pipe().during("open", Path::new("a pipe for standard error"))?;
        command.stderr(to);
        let shows = Builder::new().name("stderr".into()).spawn(move || relay_lines(from, speaker));
        let mut threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        threads.push(shows.during("start", Path::new("a thread"))?);
        Ok(())
    }

    /// Waits until everything is shown that was said. To be called when all these processes have ended, or are being
    /// killed.
    pub(crate) fn finish(&self) {
        let threads = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // One that panicked has shown what it will.
            let _ = thread.join();
        }
    }
}
