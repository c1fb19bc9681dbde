//! Examiners: one process a bundle, and a fresh one for what an examiner has made. The keeper that asks them may neither
//! start a process nor be handed a descriptor. So the process that started it, which reads nothing that anybody sends,
//! starts them too, always on the same two pipes:
//!
//! ```text
//! keeper ── asks ─────────► examiner     the supervisor holds both pipes by O_PATH alone, so that the keeper sees the
//!        ◄───────── answers ──           end of an examiner as the end of a pipe
//! keeper ── end ──────────► supervisor   stops the examiner, and waits until it is gone
//!        ◄──────────── done ──
//! keeper ── start ────────► supervisor   discards what was left in the pipes, and starts the next one, with ends of the
//!        ◄──────────── done ──           pipes that are opened anew
//! ```
//!
//! Nothing passes from one examiner to the next: no memory, no descriptor or its flags, no byte in a pipe. Each is started
//! when the one before it has done its work, so that it is confined and ready by the time it is asked.

use std::fs::File;
use std::io::{self, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, splice};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;

use super::worker::{PIPE, examiner_on, piped};
use base::Fault;
use base::error::IoContext as _;
use base::ipc::channel::{self, RequestChannel};
use base::ipc::timed_pipe::TimedPipe;
use inspect::Examiners;
use sandbox::worker::start_awaited;

/// How long the keeper waits for another examiner.
const PATIENCE: Duration = Duration::from_mins(1);
/// What the keeper orders, and what it is told.
const END: u8 = b'e';
const START: u8 = b's';
const DONE: u8 = b'd';
const FAILED: u8 = b'f';

/// The supervisor's side: starts each examiner.
pub struct Provider {
    root: PathBuf,
    asks: OwnedFd,
    answers: OwnedFd,
    orders: pipe::Receiver,
    told: PipeWriter,
    newest: Option<tokio::process::Child>,
}

/// The keeper's ends of the pipes, until it is started.
pub struct Ends([OwnedFd; 4]);

impl Ends {
    /// Lets this process pass them on to the one that `command` starts, and no other: it starts nothing in between.
    pub fn pass(&self, command: &mut Command) -> Result<(), Fault> {
        let mut numbers = Vec::new();
        for end in &self.0 {
            fcntl_setfd(end, FdFlags::empty()).map_err(Into::into).during("pass on", Path::new("a pipe"))?;
            numbers.push(end.as_raw_fd().to_string());
        }
        command.args(["--pipes", &numbers.join(",")]);
        Ok(())
    }
}

impl Provider {
    /// With the first examiner, which gets ready while the keeper does. In the runtime that waits for the keeper.
    pub fn start(root: &Path) -> Result<(Self, Ends), Fault> {
        let opened = || -> io::Result<_> {
            let ((asked, asks), (answers, answered)) = (io::pipe()?, io::pipe()?);
            let ((ordered, orders), (told, tells)) = (io::pipe()?, io::pipe()?);
            for pipe in [&asks, &answered] {
                // Smaller pipes work as well, with more turns.
                let _ = fcntl_setpipe_size(pipe, PIPE);
            }
            let provider = Self {
                root: root.to_owned(),
                asks: again(&asked.into(), OFlags::PATH)?,
                answers: again(&answered.into(), OFlags::PATH)?,
                orders: pipe::Receiver::from_owned_fd(ordered.into())?,
                told: tells,
                newest: None,
            };
            Ok((provider, Ends([asks.into(), answers.into(), orders.into(), told.into()])))
        };
        let (mut provider, ends) = opened().during("open", Path::new("the examiners' pipes"))?;
        provider.next()?;
        Ok((provider, ends))
    }

    /// Waits until the keeper orders something; for ever where it has gone.
    pub async fn order(&mut self) -> u8 {
        let mut order = [0];
        if !matches!(self.orders.read(&mut order).await, Ok(1)) {
            std::future::pending::<()>().await;
        }
        let [order] = order;
        order
    }

    /// Obeys: that is all that a keeper, whatever became of it, can have done here.
    pub async fn obey(&mut self, order: u8) {
        let done = match order {
            END => self.end().await,
            START => self.end().await.and_then(|()| self.next()),
            _ => Err(Fault::Internal("the keeper orders what is no order")),
        };
        if let Err(fault) = &done {
            terminal::note(format_args!("there is no examiner: {fault}"));
        }
        // Where the keeper has gone nobody waits for it.
        let _ = self.told.write_all(&[if done.is_ok() { DONE } else { FAILED }]);
    }

    /// The examiner is gone. It could start nothing and pass nothing on, so that with it every end of the pipes is closed
    /// which it had.
    async fn end(&mut self) -> Result<(), Fault> {
        match self.newest.take() {
            Some(mut newest) => newest.kill().await.during("end", Path::new("the examiner")),
            None => Ok(()),
        }
    }

    /// Another one, where there is none.
    fn next(&mut self) -> Result<(), Fault> {
        let path = Path::new("the examiners' pipes");
        discard(&self.asks).and_then(|()| discard(&self.answers)).during("empty", path)?;
        let ends = again(&self.asks, OFlags::RDONLY).and_then(|asks| Ok((asks, again(&self.answers, OFlags::WRONLY)?)));
        let (asks, answers) = ends.during("open", path)?;
        let mut command = examiner_on(&self.root);
        command.stdin(asks).stdout(answers);
        self.newest = Some(start_awaited(command)?);
        Ok(())
    }
}

/// Opens an end of this pipe anew: with flags of its own, whatever became of those of another.
fn again(pipe: &OwnedFd, how: OFlags) -> io::Result<OwnedFd> {
    Ok(open(format!("/proc/self/fd/{}", pipe.as_raw_fd()), how | OFlags::CLOEXEC, Mode::empty())?)
}

/// Empties a pipe into which nobody writes now. The bytes never come into this process.
fn discard(pipe: &OwnedFd) -> io::Result<()> {
    let from = again(pipe, OFlags::RDONLY | OFlags::NONBLOCK)?;
    let nowhere = open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    loop {
        match splice(&from, None, &nowhere, None, PIPE, SpliceFlags::NONBLOCK) {
            Ok(0) | Err(Errno::AGAIN) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// The keeper's side: its supervisor provides them.
pub struct Provided {
    asks: OwnedFd,
    answers: OwnedFd,
    orders: File,
    told: TimedPipe,
    newest: Newest,
}

/// What the newest examiner has seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Newest {
    Nothing,
    Something,
    Gone,
}

impl Provided {
    /// Over the pipes that the supervisor passed, in the order of its [`Ends`]. Fault: it passed others.
    pub fn over(pipes: impl Iterator<Item = OwnedFd>) -> Result<Self, Fault> {
        let wrong = || Fault::Internal("an import's keeper is started by its supervisor alone");
        let pipes: [OwnedFd; 4] = pipes.collect::<Vec<_>>().try_into().map_err(|_| wrong())?;
        let [asks, answers, orders, told] = pipes;
        let told = TimedPipe::new(told, PATIENCE).map_err(|_| wrong())?;
        Ok(Self { asks, answers, orders: orders.into(), told, newest: Newest::Nothing })
    }

    /// Has the supervisor do it. Where that fails, the newest one is what it was, and asked no more.
    fn order(&mut self, order: u8, newest: Newest) -> Result<(), Fault> {
        let mut told = [0];
        let done = self.orders.write_all(&[order]).and_then(|()| self.told.read_exact(&mut told));
        if done.is_err() || told != [DONE] {
            return Err(channel::misbehaves("examiner", "cannot be replaced by a fresh one"));
        }
        self.newest = newest;
        Ok(())
    }
}

impl Examiners for Provided {
    fn fresh(&mut self) -> Result<RequestChannel, Fault> {
        if self.newest == Newest::Something {
            self.order(END, Newest::Gone)?;
        }
        if self.newest == Newest::Gone {
            self.order(START, Newest::Nothing)?;
        }
        self.newest = Newest::Something;
        let ends = self.asks.try_clone().and_then(|asks| Ok((asks, self.answers.try_clone()?)));
        let (asks, answers) = ends.map_err(|_| Fault::Internal("a pipe cannot be used"))?;
        RequestChannel::new(asks, answers)
    }

    fn end(&mut self) {
        if self.newest == Newest::Something {
            // Where that fails, it is tried again when the next one is needed, and told then.
            let _ = self.order(END, Newest::Gone);
        }
    }

    fn prepare(&mut self) {
        if self.newest == Newest::Gone {
            // The same.
            let _ = self.order(START, Newest::Nothing);
        }
    }
}

/// Starts each itself: for a process that may.
pub struct Started {
    root: PathBuf,
    newest: Option<Child>,
}

impl Started {
    /// On this state.
    pub fn on(root: &Path) -> Self {
        Self { root: root.to_owned(), newest: None }
    }
}

impl Examiners for Started {
    fn fresh(&mut self) -> Result<RequestChannel, Fault> {
        self.end();
        let (child, asks, answers) = piped(&mut examiner_on(&self.root))?;
        self.newest = Some(child);
        RequestChannel::new(asks, answers)
    }

    fn end(&mut self) {
        if let Some(mut newest) = self.newest.take() {
            // It may have ended by itself.
            let _ = newest.kill();
            let _ = newest.wait();
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.end();
    }
}
