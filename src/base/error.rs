//! The two families of error. A [`Refusal`]: the input is not acceptable, the relay is fine.
//! A [`Fault`]: we could not do our work.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use super::quoted::{printable, quoted, quoted_os};
use super::reason::Reason;

/// Exit status of [`Fault::Escape`] and of nothing else: a supervisor stops everything at it.
pub const ESCAPE: u8 = 5;

/// Words of the fault of a worker whose time is up: a failing medium is the likely cause.
pub(crate) const LATE: &str = "did not finish within its time limit";

/// The input is not acceptable: a stable code, and the facts of this case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The stable code, with its meaning and the next step.
    pub reason: Reason,
    /// The facts of this case, safe to show.
    pub detail: String,
}

impl Refusal {
    /// A refusal for `reason`. Hostile text in `detail` must have gone through `quoted`.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.detail, self.reason.code())
    }
}

/// We could not do our work.
#[derive(Debug)]
pub enum Fault {
    /// The operating system refused an operation on a path.
    Io {
        /// Operation that was tried, as a verb: `open`, `write`, `sync` …
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// Something of ours is not as we left it: missing, changed or unreadable.
    Damaged {
        /// File or record that is damaged.
        what: String,
        /// Damage that was found.
        detail: String,
    },
    /// A setting of config.toml that cannot be followed.
    Config(String),
    /// A command line, a file or an order of steps that cannot work, with the step that helps.
    Usage {
        /// Cause, naming the file, option or value.
        detail: String,
        /// Next step, a sentence or a command to type.
        next: String,
    },
    /// There is less free space than the signed sizes ask for, in bytes.
    Space {
        /// Bytes that the bundle needs.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The clock is behind what the relay has already seen.
    ClockBehind {
        /// Time of the clock.
        now: crate::Timestamp,
        /// The latest moment the relay knows to have passed.
        floor: crate::Timestamp,
    },
    /// The clock is so far ahead of all that the relay has seen that nobody can say whether it is right.
    ClockAhead {
        /// Time of the clock.
        now: crate::Timestamp,
        /// The latest moment the relay knows to have passed.
        floor: crate::Timestamp,
    },
    /// A layer of the confinement cannot be had.
    Unconfined {
        /// Name of the layer.
        layer: String,
        /// Why not.
        why: String,
    },
    /// A confined process of ours ended, or said what it never should: whatever it was given may be
    /// hostile.
    Worker {
        /// Role of the worker.
        role: &'static str,
        /// Behaviour that it never should show.
        what: String,
    },
    /// A process of the relay was stopped by a signal that nobody is known to have sent.
    Killed {
        /// Role of the process.
        role: &'static str,
        /// Number of the signal.
        signal: i32,
    },
    /// The kernel, or the container around this process, lacks or refuses a system call that the relay needs.
    Kernel {
        /// Name of the system call.
        call: &'static str,
        /// Linux version that has it, at least.
        since: &'static str,
        /// Error of the call.
        source: io::Error,
    },
    /// Whoever started this process, or the operator, ended it.
    Interrupted,
    /// The self-test found a way out.
    Escape(String),
    /// A part of the program ended in a way it never should.
    Internal(&'static str),
}

impl Fault {
    /// Something of ours is not as we left it.
    pub fn damaged(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Damaged { what: what.into(), detail: detail.into() }
    }

    /// Fault of a command line, a file or an order of steps: the cause, and the step that helps.
    pub fn usage(detail: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Usage { detail: detail.into(), next: next.into() }
    }

    /// Next step, in a sentence.
    pub fn hint(&self) -> &str {
        match self {
            Self::Io { operation, source, .. } => io_hint(operation, source),
            Self::Damaged { .. } => {
                "Run `gaprelay fsck` to see everything that is damaged. Published content is still served. If the trust state is damaged, two officers make it anew: `gaprelay repair`. For anything else, ask for help before you change anything."
            }
            Self::Config(_) => {
                "Correct what is named above, then run the same command again. `gaprelay check-config` checks config.toml before it is used."
            }
            Self::Usage { next, .. } => next,
            Self::Space { .. } => {
                "Run `gaprelay gc` to remove what is no longer served, or give the state folder more room; then import again."
            }
            Self::ClockBehind { .. } => {
                "Set the clock of this machine right, then import again. If the clock is right now, and ran ahead before, two officers confirm that: gaprelay directive clock-back."
            }
            Self::ClockAhead { .. } => {
                "Set the clock of this machine right, then import again. If the clock is right, an officer confirms that: gaprelay directive clock."
            }
            Self::Unconfined { .. } => {
                "Remove the cause that is named above, then run the same command again. Only if the site accepts running without this layer: name the layer and the reason under [[without]] in config.toml."
            }
            Self::Worker { role: "reader", what } if what == LATE => {
                "Nothing of the bundle was kept. The medium may be failing: copy the bundle to another one and import again. If that takes too long as well, keep the medium as evidence, and report this."
            }
            Self::Worker { .. } => {
                "Nothing of the bundle was kept. Keep the medium as evidence, and have it examined on another machine; then report this."
            }
            Self::Killed { .. } => {
                "Run the same command again; what was not finished does not count. If it happens again, look at the kernel's messages (`journalctl -k` or `dmesg`): a lack of memory stops processes by signal 9."
            }
            Self::Kernel { source, .. } => match source.kind() {
                io::ErrorKind::Unsupported => {
                    "`uname -r` shows the version of this kernel. If that is too old, use a newer kernel. If not, a container hides the call: permit it in the container's seccomp profile, or run gaprelay outside of the container."
                }
                io::ErrorKind::PermissionDenied => {
                    "Permit the call in the container's seccomp profile, or in SystemCallFilter= of the systemd unit; or run gaprelay outside of the container."
                }
                _ => "Keep this output and report it to the makers of gaprelay.",
            },
            Self::Interrupted => "Run the same command again; nothing was lost, and nothing was half done.",
            Self::Escape(_) => {
                "Take this machine off the network until the cause is found. `gaprelay selftest` shows each attempt and what stopped it."
            }
            Self::Internal(_) => "Keep this output and report it to the makers of gaprelay.",
        }
    }

    /// The exit status it leads to (design, section 7).
    pub fn exit(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Usage { .. } => 2,
            Self::Damaged { .. } => 4,
            Self::Escape(_) => ESCAPE,
            _ => 1,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { operation, path, source } => {
                write!(f, "cannot {operation} {}: {source}", quoted_os(path))
            }
            Self::Damaged { what, detail } => {
                write!(f, "{} is damaged: {}", quoted(what), printable(detail))
            }
            Self::Config(text) | Self::Usage { detail: text, .. } => f.write_str(text),
            Self::Space { needed, free } => {
                let (needed, free) = (crate::limits::human(*needed), crate::limits::human(*free));
                write!(f, "not enough free space for the bundle: {needed} needed, {free} free")
            }
            Self::ClockBehind { now, floor } => {
                write!(
                    f,
                    "the clock says {now}, which is before the newest time on record, {floor}: no date can be judged"
                )
            }
            Self::ClockAhead { now, floor } => {
                write!(
                    f,
                    "the clock says {now}, far ahead of the newest time on record, {floor}: no officer has confirmed so long a step"
                )
            }
            Self::Unconfined { layer, why } => {
                write!(f, "the confinement layer {layer} is not available: {}", printable(why))
            }
            Self::Worker { role, what } => write!(f, "the {role} {}", quoted(what)),
            Self::Killed { role, signal } => write!(f, "the {role} was stopped by signal {signal}"),
            Self::Kernel { call, since, source } => match source.kind() {
                io::ErrorKind::Unsupported => {
                    write!(f, "the system call {call} does not exist here (Linux has it since {since})")
                }
                io::ErrorKind::PermissionDenied => {
                    write!(f, "this process may not make the system call {call}: {source}")
                }
                _ => write!(f, "the system call {call} failed: {source}"),
            },
            Self::Interrupted => f.write_str("interrupted"),
            Self::Escape(what) => write!(f, "the isolation self-test failed: {what}"),
            Self::Internal(what) => write!(f, "internal fault (a defect in gaprelay): {what}"),
        }
    }
}

impl std::error::Error for Fault {}

/// Next step where the operating system refused an operation, by the cause it gave.
fn io_hint(operation: &str, source: &io::Error) -> &'static str {
    use io::ErrorKind::{
        AddrInUse, AddrNotAvailable, AlreadyExists, IsADirectory, NotADirectory, NotFound, PermissionDenied,
        ReadOnlyFilesystem, StorageFull,
    };
    match source.kind() {
        StorageFull => {
            "The disk is full. Free some space (`gaprelay gc`), then run the same command again; nothing was lost."
        }
        PermissionDenied if operation == "listen on" => {
            "Ports below 1024 need a privilege: start the service by the units of `gaprelay deployment`, or choose a port from 1024 on."
        }
        PermissionDenied if operation == "set read-only" => {
            "Root lacks the capability CAP_SYS_ADMIN, as in most containers: run the command outside of the container."
        }
        PermissionDenied => "Run the command as the user who owns that path, or correct the permissions of that path.",
        NotFound => {
            "Check the spelling of the path. If the path is on a removable medium, check that the medium is mounted."
        }
        AlreadyExists => "Name another path, or move the existing one away first.",
        IsADirectory => "Name a file inside that folder.",
        NotADirectory => "Check the spelling of the path: one of its folders is a file.",
        ReadOnlyFilesystem => "That file system is mounted read-only. Name a path on another one.",
        AddrInUse => {
            "Another program listens on that address: `ss -lntup` shows which one. Stop it, or choose another address."
        }
        AddrNotAvailable => {
            "No network interface of this machine has that address: `ip address` shows the addresses that it has."
        }
        _ => "Remove the cause, then run the same command again; nothing was lost.",
    }
}

/// Either family.
#[derive(Debug)]
pub enum Error {
    /// The input is not acceptable.
    Refused(Refusal),
    /// We could not do our work.
    Fault(Fault),
}

impl Error {
    /// A refusal, as an error.
    pub fn refused(reason: Reason, detail: impl Into<String>) -> Self {
        Self::Refused(Refusal::new(reason, detail))
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

/// Turns an I/O error into a fault that says what was tried, and on which path.
pub trait IoContext<T> {
    /// `operation` is a verb: `open`, `write`, `sync` …
    fn during(self, operation: &'static str, path: &Path) -> Result<T, Fault>;
}

impl<T> IoContext<T> for Result<T, io::Error> {
    fn during(self, operation: &'static str, path: &Path) -> Result<T, Fault> {
        self.map_err(|source| Fault::Io { operation, path: path.to_owned(), source })
    }
}
