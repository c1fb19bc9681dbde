//! Examiners of an import: one process a bundle, and a fresh one for what an examiner has made (a stripped archive).
//! The keeper that uses them may neither start a process nor receive a descriptor. So its supervisor, which reads no
//! byte of a bundle, starts them, always on the same two pipes:
//!
//! ```text
//! keeper ── requests ─────► examiner     the supervisor holds both pipes by O_PATH alone, so that the keeper sees the
//!        ◄───────── replies ──           end of an examiner as the end of a pipe
//! keeper ── end ──────────► supervisor   stops the examiner, and waits until it is gone
//!        ◄──────────── done ──
//! keeper ── start ────────► supervisor   discards what was left in the pipes, and starts the next one, with ends of the
//!        ◄──────────── done ──           pipes that are opened anew
//! ```
//!
//! Nothing passes from one examiner to the next: no memory, no descriptor or its flags, no byte in a pipe. Each is
//! started as soon as the one before it has ended, so that it is confined and ready when the keeper needs it.

use std::fs::File;
use std::io::{self, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, fcntl_setfl, open};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::pipe::{SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, splice};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;

use super::pipes::{PIPE_SIZE, start_piped};
use super::stderr::StderrRelay;
use base::Fault;
use base::error::IoContext as _;
use base::ipc::channel::RequestChannel;
use base::ipc::timed_pipe::TimedPipe;
use inspect::Examiners;
use sandbox::worker::{our_id, ourselves, start_awaited};
use terminal::relayed::Speaker;

/// Time limit for starting or ending an examiner, as the keeper waits for it.
const TIME_LIMIT: Duration = Duration::from_mins(1);
// Orders of the keeper to its supervisor, one byte each, and the supervisor's reports.
const END: u8 = b'e';
const START: u8 = b's';
const DONE: u8 = b'd';
const FAILED: u8 = b'f';

/// Supervisor's side: starts and ends the examiners.
pub(crate) struct ExaminerSupervisor {
    root: PathBuf,
    requests: OwnedFd,
    replies: OwnedFd,
    orders: pipe::Receiver,
    reports: PipeWriter,
    newest: Option<tokio::process::Child>,
    stderr: Arc<StderrRelay>,
}

/// Keeper's ends of the four pipes (requests, replies, orders, reports), and of two (requests, replies) for each
/// reader, before the keeper is started.
pub(crate) struct KeeperEnds(Vec<OwnedFd>);

/// Number of the pipes for examiners.
pub(crate) const EXAMINER_PIPES: usize = 4;

impl KeeperEnds {
    /// Adds those of a reader.
    pub(crate) fn add(&mut self, reader: [OwnedFd; 2]) {
        self.0.extend(reader);
    }

    /// Makes the ends inheritable, and names them to `command`. This process must start no other one until `command`
    /// runs, since that one would inherit them too.
    pub(crate) fn pass_to(&self, command: &mut Command) -> Result<(), Fault> {
        let mut numbers = Vec::new();
        for end in &self.0 {
            fcntl_setfd(end, FdFlags::empty()).map_err(Into::into).during("pass on", Path::new("a pipe"))?;
            numbers.push(end.as_raw_fd().to_string());
        }
        command.args(["--pipes", &numbers.join(",")]);
        Ok(())
    }
}

impl ExaminerSupervisor {
    /// Starts the first examiner, which confines itself while the keeper does. Needs the runtime that waits for the
    /// keeper.
    pub(crate) fn start(root: &Path, stderr: &Arc<StderrRelay>) -> Result<(Self, KeeperEnds), Fault> {
        let opened = || -> io::Result<_> {
            let ((requests_end, requests), (replies, replies_end)) = (io::pipe()?, io::pipe()?);
            let ((ordered, orders), (reports, report_to)) = (io::pipe()?, io::pipe()?);
            // A keeper that was taken over and reads no reports must not make this process wait.
            fcntl_setfl(&report_to, OFlags::NONBLOCK)?;
            for pipe in [&requests, &replies_end] {
                // Smaller pipes work as well, with more turns.
                let _ = fcntl_setpipe_size(pipe, PIPE_SIZE);
            }
            let supervisor = Self {
                root: root.to_owned(),
                requests: reopen(&requests_end.into(), OFlags::PATH)?,
                replies: reopen(&replies_end.into(), OFlags::PATH)?,
                orders: pipe::Receiver::from_owned_fd(ordered.into())?,
                reports: report_to,
                newest: None,
                stderr: Arc::clone(stderr),
            };
            Ok((supervisor, KeeperEnds(vec![requests.into(), replies.into(), orders.into(), reports.into()])))
        };
        let (mut supervisor, ends) = opened().during("open", Path::new("the examiners' pipes"))?;
        supervisor.start_next()?;
        Ok((supervisor, ends))
    }

    /// Waits for the keeper's next order; for ever if the keeper has ended, or sends what is not an order.
    pub(crate) async fn next_order(&mut self) -> u8 {
        let mut order = [0];
        if !matches!(self.orders.read(&mut order).await, Ok(1)) || ![[END], [START]].contains(&order) {
            std::future::pending::<()>().await;
        }
        let [order] = order;
        order
    }

    /// Carries out an order: to end or to start an examiner. A keeper that was taken over can order nothing else.
    pub(crate) async fn carry_out(&mut self, order: u8) {
        let ended = self.end().await;
        let done = if order == START { ended.and_then(|()| self.start_next()) } else { ended };
        if let Err(fault) = &done {
            terminal::note(format_args!("the examiner could not be replaced by a fresh one: {fault}"));
        }
        // If the keeper has ended, nobody reads this; one that reads no reports gets none, and is not waited for.
        let _ = self.reports.write_all(&[if done.is_ok() { DONE } else { FAILED }]);
    }

    /// Ends the examiner, if there is one. It could start no process and pass on no descriptor, so its ends of the
    /// pipes are closed with it.
    pub(crate) async fn end(&mut self) -> Result<(), Fault> {
        if let Some(newest) = &mut self.newest {
            newest.kill().await.during("end", Path::new("the examiner"))?;
        }
        // Forgotten only when it is gone: an order that is given again must not find nobody while one still runs.
        self.newest = None;
        Ok(())
    }

    /// Empties the pipes, and starts the next examiner on them. There must be none.
    fn start_next(&mut self) -> Result<(), Fault> {
        let path = Path::new("the examiners' pipes");
        discard(&self.requests).and_then(|()| discard(&self.replies)).during("empty", path)?;
        let ends = reopen(&self.requests, OFlags::RDONLY)
            .and_then(|requests| Ok((requests, reopen(&self.replies, OFlags::WRONLY)?)));
        let (requests, replies) = ends.during("open", path)?;
        let mut command = examiner_on(&self.root);
        command.stdin(requests).stdout(replies);
        self.stderr.attach(&mut command, Speaker::Worker("examiner"))?;
        self.newest = Some(start_awaited(command)?);
        Ok(())
    }
}

/// Command line of an examiner on this state, which ends with this process.
fn examiner_on(root: &Path) -> Command {
    let mut command = ourselves(root);
    command.args(["worker", "examiner", "--supervisor", &our_id()]);
    command
}

/// Opens an end of this pipe as a new file description, whose flags no earlier examiner could change.
fn reopen(pipe: &OwnedFd, how: OFlags) -> io::Result<OwnedFd> {
    Ok(open(format!("/proc/self/fd/{}", pipe.as_raw_fd()), how | OFlags::CLOEXEC, Mode::empty())?)
}

/// Discards what is left in a pipe that nobody writes to. The bytes never enter this process's memory.
fn discard(pipe: &OwnedFd) -> io::Result<()> {
    let from = reopen(pipe, OFlags::RDONLY | OFlags::NONBLOCK)?;
    let nowhere = open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    // A pipe that is fuller than a pipe can be has somebody who writes: the keeper, against the protocol.
    let mut left = fcntl_getpipe_size(&from)?.max(PIPE_SIZE);
    loop {
        match splice(&from, None, &nowhere, None, left, SpliceFlags::NONBLOCK) {
            Ok(0) | Err(Errno::AGAIN) => return Ok(()),
            Ok(discarded) if discarded < left => left -= discarded,
            Ok(_) => return Err(io::ErrorKind::ResourceBusy.into()),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Keeper's side: examiners that its supervisor starts and ends.
pub(crate) struct SupervisedExaminers {
    requests: OwnedFd,
    replies: OwnedFd,
    orders: File,
    reports: TimedPipe,
    newest: Newest,
}

/// Cause where no order is sent any more.
const EARLIER: &str = "an earlier one could not be started";

/// Fault: there is no fresh examiner. No medium has a part in that.
fn not_replaced(cause: &'static str) -> Fault {
    Fault::Io { operation: "start", path: "a fresh examiner".into(), source: io::Error::other(cause) }
}

/// Use that was made of the newest examiner.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Newest {
    Unused,
    Used,
    Ended,
    /// An order failed, so that nobody knows whether there is an examiner.
    Lost,
}

impl SupervisedExaminers {
    /// Takes the pipes that the supervisor passed, in the order of its [`KeeperEnds`]. Fault: there are not four.
    pub(crate) fn new(pipes: Vec<OwnedFd>) -> Result<Self, Fault> {
        let wrong = || Fault::Internal("only the supervisor of an import may start its keeper");
        let pipes: [OwnedFd; EXAMINER_PIPES] = pipes.try_into().map_err(|_| wrong())?;
        let [requests, replies, orders, reports] = pipes;
        let reports = TimedPipe::new(reports, TIME_LIMIT).map_err(|_| wrong())?;
        Ok(Self { requests, replies, orders: orders.into(), reports, newest: Newest::Unused })
    }

    /// Sends an order, and waits for its report. After one that failed none is sent again: its report may still come,
    /// and would be taken for that of the next order.
    fn order(&mut self, order: u8, newest: Newest) -> Result<(), Fault> {
        if self.newest == Newest::Lost {
            return Err(not_replaced(EARLIER));
        }
        let mut report = [0];
        let sent = self.orders.write_all(&[order]).and_then(|()| self.reports.read_exact(&mut report));
        let cause = match sent.map_err(|e| e.kind()) {
            Ok(()) if report == [DONE] => {
                self.newest = newest;
                return Ok(());
            }
            Ok(()) => "its supervisor reported a failure; the line above names the cause",
            Err(io::ErrorKind::TimedOut) => "its supervisor did not reply within a minute",
            Err(_) => "its supervisor has ended",
        };
        self.newest = Newest::Lost;
        Err(not_replaced(cause))
    }
}

impl Examiners for SupervisedExaminers {
    fn fresh(&mut self) -> Result<RequestChannel, Fault> {
        if self.newest == Newest::Used {
            self.order(END, Newest::Ended)?;
        }
        if self.newest == Newest::Ended {
            self.order(START, Newest::Unused)?;
        }
        if self.newest == Newest::Lost {
            return Err(not_replaced(EARLIER));
        }
        self.newest = Newest::Used;
        let ends = self.requests.try_clone().and_then(|requests| Ok((requests, self.replies.try_clone()?)));
        let (requests, replies) = ends.during("use", Path::new("the examiners' pipes"))?;
        RequestChannel::new(requests, replies)
    }

    fn end(&mut self) {
        if self.newest == Newest::Used {
            // A failure is reported when the next examiner is needed.
            let _ = self.order(END, Newest::Ended);
        }
    }

    fn prepare(&mut self) {
        if self.newest == Newest::Ended {
            // A failure is reported when the next examiner is needed.
            let _ = self.order(START, Newest::Unused);
        }
    }
}

/// Examiners that this process starts itself: for commands that are not confined.
pub(crate) struct OwnExaminers {
    root: PathBuf,
    newest: Option<Child>,
    stderr: StderrRelay,
}

impl OwnExaminers {
    /// Starts none yet.
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), newest: None, stderr: StderrRelay::default() }
    }
}

impl Examiners for OwnExaminers {
    fn fresh(&mut self) -> Result<RequestChannel, Fault> {
        self.end();
        let mut command = examiner_on(&self.root);
        self.stderr.attach(&mut command, Speaker::Worker("examiner"))?;
        let (child, requests, replies) = start_piped(&mut command)?;
        self.newest = Some(child);
        RequestChannel::new(requests, replies)
    }

    fn end(&mut self) {
        if let Some(mut newest) = self.newest.take() {
            // It may have ended by itself.
            let _ = newest.kill();
            let _ = newest.wait();
            self.stderr.finish();
        }
    }
}

impl Drop for OwnExaminers {
    fn drop(&mut self) {
        self.end();
    }
}
