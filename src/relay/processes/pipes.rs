//! Workers with two pipes: one for requests, one for replies.

use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use rustix::pipe::fcntl_setpipe_size;

use base::Fault;
use sandbox::worker::start;

/// Size of a pipe between two processes, in bytes: larger than the kernel's default, so that they take turns less
/// often.
pub(crate) const PIPE_SIZE: usize = 1 << 20;

/// Starts a worker, with a pipe for requests as its input and one for replies as its output. It ends when the pipes do,
/// and with this process at the latest.
pub(crate) fn start_piped(command: &mut Command) -> Result<(Child, OwnedFd, OwnedFd), Fault> {
    let mut child = start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    let gone = || Fault::Internal("a worker has no pipe");
    let (requests, replies) =
        (OwnedFd::from(child.stdin.take().ok_or_else(gone)?), OwnedFd::from(child.stdout.take().ok_or_else(gone)?));
    for pipe in [&requests, &replies] {
        // Smaller pipes work as well, with more turns.
        let _ = fcntl_setpipe_size(pipe, PIPE_SIZE);
    }
    Ok((child, requests, replies))
}
