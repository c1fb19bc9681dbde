//! The confined processes that an import is made of, each our own binary again: the keeper, which
//! starts the readers before it confines itself, and whose supervisor starts the examiners ([`crate::cli::examiners`]).

use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::pipe::fcntl_setpipe_size;
use rustix::process::Signal;

use super::args::{Import, Worker};
use super::examiners::Provided;
use super::here;
use super::sockets::Sockets;
use crate::import::Workers;
use crate::keeper::Keeper;
use crate::rights::ProcessRole;
use crate::sinkhole::post;
use crate::state::State;
use base::error::IoContext as _;
use base::{Error, Fault, Limits, Timestamp};
use inspect::examiner;
use media::{Medium, Mount, find, medium, reader};
use sandbox::Grants;
use sandbox::trial::{self, Layers};
use sandbox::worker::{end_with, our_id, ourselves, start};
use terminal::Ended;

/// What the pipes between two processes hold, in bytes: fewer turns for each.
pub const PIPE: usize = 1 << 20;

/// What a process is started as. Where whoever started it has gone there is nothing to tell: that one
/// tells why itself.
pub fn run(root: &Path, worker: &Worker) -> Result<Ended, Error> {
    match work(root, worker) {
        Err(Error::Fault(Fault::Interrupted)) => Ok(Ended::Failed),
        ended => ended.map(|()| Ended::Well),
    }
}

/// Confines itself, then answers until nobody asks any more.
fn work(root: &Path, worker: &Worker) -> Result<(), Error> {
    let config = || State::open(root)?.config();
    let gone = |_| Fault::Interrupted;
    match worker {
        Worker::Reader { medium, supervisor } => {
            end_with(*supervisor, Signal::KILL)?;
            let (asks, answers) = pipes()?;
            let opened = find::open_root(medium).map_err(|e| medium::unlistable(&e));
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
        Worker::Post { supervisor } => {
            end_with(*supervisor, Signal::KILL)?;
            let (street, desk) = (std::io::stdin(), std::io::stdout());
            let config = config()?;
            sandbox::enter(ProcessRole::UdpForwarder.rights(), &Grants { state: root, medium: None }, &config.terms())?;
            // Whichever end it lost, the resolver tells why.
            post::run(street, desk, &config.dns).map_err(gone)?;
        }
        Worker::Wait => {
            std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).during("wait at", Path::new("the input"))?;
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
    let own = |fd: std::io::Result<OwnedFd>| fd.map(File::from).during("take over", Path::new("a pipe"));
    Ok((own(std::io::stdin().as_fd().try_clone_to_owned())?, own(std::io::stdout().as_fd().try_clone_to_owned())?))
}

/// Starts a reader for each medium. From root each becomes its own user.
fn media(root: &Path, paths: &[PathBuf], limits: &Limits) -> Result<Vec<(PathBuf, Option<Mount>, Medium)>, Fault> {
    let mut media = Vec::new();
    for path in paths {
        let mut command = ourselves(root);
        command.args(["worker", "reader", "--supervisor", &our_id(), "--medium"]).arg(path);
        let (_, asks, answers) = piped(&mut command)?;
        media.push((path.clone(), Mount::of(path), Medium::new(asks, answers, limits)?));
    }
    Ok(media)
}

/// An examiner, to be started by this process.
pub fn examiner_on(root: &Path) -> Command {
    let mut command = ourselves(root);
    command.args(["worker", "examiner", "--supervisor", &our_id()]);
    command
}

/// Starts it with a pipe for what it is asked and one for what it answers. It ends by itself when
/// the pipes do, and with us at the latest.
pub fn piped(command: &mut Command) -> Result<(Child, OwnedFd, OwnedFd), Fault> {
    let mut child = start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    let gone = || Fault::Internal("a worker has no pipe");
    let (asks, answers) =
        (OwnedFd::from(child.stdin.take().ok_or_else(gone)?), OwnedFd::from(child.stdout.take().ok_or_else(gone)?));
    for pipe in [&asks, &answers] {
        // Smaller pipes work as well, with more turns.
        let _ = fcntl_setpipe_size(pipe, PIPE);
    }
    Ok((child, asks, answers))
}

/// This process as the keeper of an import, and its workers.
pub fn keeper(root: &Path, now: Timestamp, import: &Import, sockets: Sockets) -> Result<(Keeper, Workers), Error> {
    let config = State::open(root)?.config()?;
    let media = media(root, &import.paths, &config.limits)?;
    let workers =
        Workers { media, disks: import.keeper.disk.clone(), examiners: Box::new(Provided::over(sockets.pipes())?) };
    Ok((here(root, now)?, workers))
}
