//! Workers: confined processes that do one thing for the process that uses them. The supervisor of an import starts a
//! reader for each medium, and the examiners ([`super::examiners`]).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::pipe::fcntl_setpipe_size;
use rustix::process::Signal;

use super::examiners::{EXAMINER_PIPES, SupervisedExaminers};
use super::pipes::PIPE_SIZE;
use super::stderr::StderrRelay;
use crate::import::Workers;
use crate::rights::ProcessRole;
use crate::sinkhole::forwarder;
use crate::state::State;
use base::error::IoContext as _;
use base::{Error, Fault};
use inspect::examiner;
use media::{Medium, Mount, medium, reader};
use sandbox::Grants;
use sandbox::trial::{self, Layers};
use sandbox::worker::{end_with, our_id, ourselves, start_awaited};
use terminal::Ended;
use terminal::relayed::Speaker;

/// Command line of a worker.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Worker {
    /// Reads one medium.
    Reader {
        /// Mount point of the medium.
        #[arg(long)]
        medium: PathBuf,
        /// Number of the process that started this one; this one ends with it.
        #[arg(long)]
        supervisor: i32,
    },
    /// Unpacks and inspects the files of a bundle.
    Examiner {
        /// Number of the process that started this one; this one ends with it.
        #[arg(long)]
        supervisor: i32,
    },
    /// Forwards the UDP packets of DNS queries.
    #[command(name = "post")]
    UdpForwarder {
        /// Number of the process that started this one; this one ends with it.
        #[arg(long)]
        supervisor: i32,
    },
    /// Tries to get out of its confinement, for the self-test.
    Attempt {
        /// Role whose rights this process has.
        #[arg(long, value_enum)]
        role: ProcessRole,
        /// Layers of confinement that are in place.
        #[arg(long)]
        layers: String,
        /// Targets that it tries to reach.
        #[arg(long)]
        targets: String,
    },
    /// Waits for the end of its input: a process that attempts may try to stop.
    Wait,
}

/// Runs this process as a worker. When the process that started it has ended, that is no fault of the worker, and
/// nothing is reported.
pub(crate) fn run(root: &Path, worker: &Worker) -> Result<Ended, Error> {
    match work(root, worker) {
        Err(Error::Fault(Fault::Interrupted)) => Ok(Ended::Failed),
        ended => ended.map(|()| Ended::Well),
    }
}

/// Confines this process, then serves requests until the pipe of requests ends.
fn work(root: &Path, worker: &Worker) -> Result<(), Error> {
    let config = || State::open(root)?.config();
    let gone = |_| Fault::Interrupted;
    match worker {
        Worker::Reader { medium, supervisor } => {
            end_with(*supervisor, Signal::KILL)?;
            let (asks, answers) = pipes()?;
            let opened = media::open_root(medium).map_err(|e| medium::unlistable(medium, &e));
            let opened = match opened {
                Ok(opened) => opened,
                Err(refusal) => {
                    reader::refuse(refusal, asks, answers).map_err(gone)?;
                    return Ok(());
                }
            };
            let grants = Grants { state: root, medium: Some(opened.as_fd()) };
            let config = config()?;
            sandbox::enter(ProcessRole::Reader.rights(), &grants, &config.terms())?;
            reader::run(&opened, &config.limits, asks, answers).map_err(gone)?;
        }
        Worker::Attempt { role, layers, targets } => {
            let unknown = || Fault::Config("there is no such layer".into());
            let layers = Layers::named(layers).ok_or_else(unknown)?;
            trial::run(role.rights(), layers, targets, &config()?.terms())?;
        }
        Worker::UdpForwarder { supervisor } => {
            end_with(*supervisor, Signal::KILL)?;
            let (socket, resolver) = (io::stdin(), io::stdout());
            let config = config()?;
            sandbox::enter(ProcessRole::UdpForwarder.rights(), &Grants { state: root, medium: None }, &config.terms())?;
            // When one end is gone, the resolver reports the reason.
            forwarder::run(socket, resolver, &config.dns).map_err(gone)?;
        }
        Worker::Wait => {
            io::copy(&mut io::stdin(), &mut io::sink()).during("read", Path::new("the standard input"))?;
        }
        Worker::Examiner { supervisor } => {
            end_with(*supervisor, Signal::KILL)?;
            let (asks, answers) = pipes()?;
            let config = config()?;
            sandbox::enter(ProcessRole::Examiner.rights(), &Grants { state: root, medium: None }, &config.terms())?;
            examiner::run(&config.limits, asks, answers).map_err(gone)?;
        }
    }
    Ok(())
}

fn pipes() -> Result<(File, File), Fault> {
    let own = |fd: io::Result<OwnedFd>| fd.map(File::from).during("take over", Path::new("a pipe"));
    Ok((own(io::stdin().as_fd().try_clone_to_owned())?, own(io::stdout().as_fd().try_clone_to_owned())?))
}

/// Starts a reader for the medium at this path, on two pipes whose other ends the keeper gets. It is started by the
/// keeper's supervisor, which is not confined: the kernel lets nobody end a process of another user, or outside of
/// their own cage, not even by their own end, and a reader must not outlive either of the two. From root each becomes
/// its own user.
pub(crate) fn start_reader(
    root: &Path,
    path: &Path,
    stderr: &StderrRelay,
) -> Result<(tokio::process::Child, [OwnedFd; 2]), Fault> {
    let pipe = || io::pipe().during("open", Path::new("a pipe to the reader"));
    let ((requests_end, requests), (replies, replies_end)) = (pipe()?, pipe()?);
    for pipe in [requests.as_fd(), replies.as_fd()] {
        // Smaller pipes work as well, with more turns.
        let _ = fcntl_setpipe_size(pipe, PIPE_SIZE);
    }
    let mut command = ourselves(root);
    command.args(["worker", "reader", "--supervisor", &our_id(), "--medium"]).arg(path);
    command.stdin(requests_end).stdout(replies_end);
    stderr.attach(&mut command, Speaker::Worker("reader"))?;
    Ok((start_awaited(command)?, [requests.into(), replies.into()]))
}

/// The workers of an import, for its keeper, over the pipes that its supervisor passed: the examiners, and a reader for
/// each medium. To be called before this process confines itself. `disks` were set read-only by the supervisor. Fault:
/// there are not as many pipes.
pub(crate) fn of_import(
    root: &Path,
    paths: &[PathBuf],
    disks: &[String],
    mut pipes: Vec<OwnedFd>,
) -> Result<Workers, Error> {
    let config = State::open(root)?.config()?;
    let mut readers = pipes.split_off(pipes.len().min(EXAMINER_PIPES)).into_iter();
    let mut media = Vec::new();
    for path in paths {
        let (Some(requests), Some(replies)) = (readers.next(), readers.next()) else {
            return Err(Fault::Internal("the supervisor of an import passed too few pipes to its keeper").into());
        };
        media.push((path.clone(), Mount::of(path), Medium::new(requests, replies, &config.limits)?));
    }
    Ok(Workers { media, disks: disks.to_vec(), examiners: Box::new(SupervisedExaminers::new(pipes)?) })
}
