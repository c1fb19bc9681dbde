//! The self-test's attempts: every way out that we know of, each as a few lines that really try it.
//! Nothing else in the program connects, forks or writes where it must not; all of it is in here.

pub mod files;
pub mod journal;
pub mod network;
pub mod process;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};

use base::Fault;
use base::error::IoContext as _;
use base::raw::{self, Arg};

/// Decoys that were planted to be reached, so that "stopped" cannot mean "nothing there".
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AttemptTargets {
    /// A listener on 127.0.0.1.
    pub tcp: u16,
    /// A listener on ::1, if there is IPv6.
    pub tcp6: Option<u16>,
    /// A socket on 127.0.0.1 that takes datagrams.
    pub udp: u16,
    /// A folder with unix sockets `stream` and `datagram`, and files.
    pub folder: PathBuf,
    /// Name of a unix socket without a path.
    pub name: String,
    /// A process of ours that waits.
    pub victim: i32,
    /// Name of this host.
    pub host: String,
    /// True if this was started as root.
    pub root: bool,
    /// Number of a descriptor that was left open: a connected socket.
    pub leaked: i32,
    /// Number of a descriptor that appends to the planted journal, as roles have one.
    #[serde(default)]
    pub journal: i32,
    /// Part of the names of what is created, which nobody knows before.
    #[serde(default)]
    pub token: String,
}

impl AttemptTargets {
    /// The planted state.
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// The planted medium.
    pub fn medium(&self) -> PathBuf {
        self.folder.join("medium")
    }

    /// A name in this folder that nobody can have used, and that is not given twice.
    pub(crate) fn fresh(&self, folder: &Path) -> PathBuf {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // An attempt may run in a child process, which counts for itself.
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        folder.join(format!("fresh-{}-{}-{number}", self.token, std::process::id()))
    }
}

/// Part of a name that nobody can know before: 64 random bits, in hex.
pub(crate) fn token() -> Result<String, Fault> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(Into::into).during("read randomness from", Path::new("the kernel"))?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}

/// One attempt.
pub struct EscapeAttempt {
    /// Description of the attempt.
    pub name: &'static str,
    /// Tries it. An error says that it did not succeed, and how.
    pub run: fn(&AttemptTargets) -> io::Result<()>,
}

const fn attempt(name: &'static str, run: fn(&AttemptTargets) -> io::Result<()>) -> EscapeAttempt {
    EscapeAttempt { name, run }
}

/// All of them, numbered by their place.
pub fn all() -> impl Iterator<Item = &'static EscapeAttempt> {
    network::ATTEMPTS.iter().chain(files::ATTEMPTS).chain(journal::ATTEMPTS).chain(process::ATTEMPTS)
}

/// Tries what can be tried at any time, since nothing comes of it where it is let in: each call with
/// arguments that cannot succeed. Gives the first that the kernel did not stop at its door.
pub fn probe() -> Option<&'static str> {
    let calls: [(&str, libc::c_long, [i64; 3]); 12] = [
        ("socket", libc::SYS_socket, [-1, -1, -1]),
        ("connect", libc::SYS_connect, [-1, 0, 0]),
        ("sendmsg", libc::SYS_sendmsg, [-1, 0, 0]),
        ("recvmsg", libc::SYS_recvmsg, [-1, 0, 0]),
        ("bind", libc::SYS_bind, [-1, 0, 0]),
        ("execve", libc::SYS_execve, [0, 0, 0]),
        ("ptrace", libc::SYS_ptrace, [-1, 0, 0]),
        ("pidfd_getfd", libc::SYS_pidfd_getfd, [-1, -1, -1]),
        ("unshare", libc::SYS_unshare, [-1, 0, 0]),
        ("mount", libc::SYS_mount, [0, 0, 0]),
        ("bpf", libc::SYS_bpf, [-1, 0, 0]),
        ("memfd_create", libc::SYS_memfd_create, [0, -1, 0]),
    ];
    let refused = |number, args| matches!(numbers(number, args), Err(e) if e.raw_os_error() == Some(libc::EPERM));
    calls.into_iter().find(|(_, number, args)| !refused(*number, *args)).map(|(name, ..)| name)
}

const NULL: Arg<'static> = Arg::Number(0);

/// A system call with these numbers, and nothing in the other places.
fn numbers<const N: usize>(call: libc::c_long, given: [i64; N]) -> io::Result<i64> {
    let mut args = [const { NULL }; 6];
    for (place, number) in args.iter_mut().zip(given) {
        *place = Arg::Number(number);
    }
    raw::call(call, args)
}

/// A path as the kernel reads it.
fn path_bytes(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt as _;
    [path.as_os_str().as_bytes(), b"\0"].concat()
}

/// Says that what was read is not what was planted.
fn wrong() -> io::Error {
    io::Error::from_raw_os_error(libc::ENODATA)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_probe_can_fail() {
        assert_eq!(super::probe(), Some("socket"), "nothing confines this test");
    }
}
