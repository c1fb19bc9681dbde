//! Ways to become or to use somebody else, and to shed the cage.

use std::io;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, Uid, UnshareFlags, set_capabilities, set_thread_res_uid};

use super::{AttemptTargets, EscapeAttempt, NULL, attempt, numbers, path_bytes, wrong};
use base::raw::{self, Arg};

/// In the order of the table.
pub const ATTEMPTS: &[EscapeAttempt] = &[
    attempt("execute a program", execute),
    attempt("execute a program by descriptor (execveat)", execute_at),
    attempt("fork", |_| child(libc::SYS_clone, i64::from(libc::SIGCHLD))),
    attempt("fork by clone3", |_| clone3()),
    attempt("trace another process (ptrace)", trace),
    attempt("signal another process", |t| Ok(kill_process(victim(t)?, Signal::CONT)?)),
    attempt("signal another process by descriptor (pidfd)", signal_by_descriptor),
    attempt("read another process's memory", |t| memory(t, libc::SYS_process_vm_readv)),
    attempt("write another process's memory", |t| memory(t, libc::SYS_process_vm_writev)),
    attempt("a user namespace of its own", |_| raw::unshare(UnshareFlags::NEWUSER)),
    attempt("a mount namespace of its own", |_| raw::unshare(UnshareFlags::NEWNS)),
    attempt("another process's network (setns)", enter),
    attempt("another root folder (chroot)", |t| by_path(libc::SYS_chroot, &t.folder)),
    attempt("mount", mount),
    attempt("memory that can be executed", |_| map_memory(0x7)),
    attempt("memory made executable", protect),
    attempt("shared memory (System V)", |_| {
        numbers(libc::SYS_shmget, [0, 4096, 0o1600]).map(|made| remove(made, libc::SYS_shmctl))
    }),
    attempt("message queue (System V)", |_| {
        numbers(libc::SYS_msgget, [0, 0o1600]).map(|made| remove(made, libc::SYS_msgctl))
    }),
    attempt("message queue (POSIX)", queue),
    attempt("key in the kernel's keyring", key),
    attempt("kernel program (bpf)", bpf),
    attempt("performance counters", counters),
    attempt("page faults of its own (userfaultfd)", |_| numbers(libc::SYS_userfaultfd, [1]).map(drop)),
    attempt("another filter of system calls", |_| another_filter()),
    attempt("another personality", |_| numbers(libc::SYS_personality, [0x004_0000]).map(drop)),
    attempt("another user", |t| {
        let uid = Uid::from_raw(u32::from(t.root));
        Ok(set_thread_res_uid(uid, uid, uid)?)
    }),
    attempt("a capability", |_| {
        let one = CapabilitySet::NET_ADMIN;
        Ok(set_capabilities(
            None,
            CapabilitySets { effective: one, permitted: one, inheritable: CapabilitySet::empty() },
        )?)
    }),
    attempt("readable by others again (dumpable)", |_| numbers(libc::SYS_prctl, [4, 1]).map(drop)),
    attempt("a limit raised", |_| {
        let most = Rlimit { current: Some(1 << 40), maximum: Some(1 << 40) };
        Ok(setrlimit(Resource::Data, most)?)
    }),
    attempt("a watch on others' files (inotify)", |_| {
        let watch = numbers(libc::SYS_inotify_init1, [0])?;
        let mut path = *b"/etc\0";
        let args = [Arg::Number(watch), Arg::Bytes(&mut path), Arg::Number(2), NULL, NULL, NULL];
        raw::call(libc::SYS_inotify_add_watch, args).map(drop)
    }),
    // To what it is.
    attempt("the host's name", |t| {
        let mut name = t.host.clone().into_bytes();
        let length = i64::try_from(name.len()).unwrap_or(0);
        let args = [Arg::Bytes(&mut name), Arg::Number(length), NULL, NULL, NULL, NULL];
        raw::call(libc::SYS_sethostname, args).map(drop)
    }),
    attempt("a device's control (ioctl)", |_| {
        // FIONREAD, on its own input: of no use, and not on the list.
        let mut count = [0; 8];
        let args = [Arg::Number(0), Arg::Number(0x541b), Arg::Bytes(&mut count), NULL, NULL, NULL];
        raw::call(libc::SYS_ioctl, args).map(drop)
    }),
    attempt("calls by the 32-bit gate (int 0x80)", |_| gate()),
    attempt("calls by x32 numbers", |_| numbers(0x4000_0000 + libc::SYS_getpid, []).map(drop)),
];

fn victim(targets: &AttemptTargets) -> io::Result<Pid> {
    Pid::from_raw(targets.victim).ok_or_else(wrong)
}

fn execute(_: &AttemptTargets) -> io::Result<()> {
    let mut path = *b"/bin/true\0";
    raw::call(libc::SYS_execve, [Arg::Bytes(&mut path), NULL, NULL, NULL, NULL, NULL]).map(drop)
}

fn execute_at(_: &AttemptTargets) -> io::Result<()> {
    let mut path = *b"/bin/true\0";
    let here = Arg::Number(i64::from(libc::AT_FDCWD));
    raw::call(libc::SYS_execveat, [here, Arg::Bytes(&mut path), NULL, NULL, NULL, NULL]).map(drop)
}

/// A child, which ends at once.
fn child(call: libc::c_long, flags: i64) -> io::Result<()> {
    ended(numbers(call, [flags, 0, 0, 0, 0])?)
}

fn clone3() -> io::Result<()> {
    // struct clone_args: exit_signal is its fifth field.
    let mut args = [0_u8; 64];
    args[32..40].copy_from_slice(&u64::from(libc::SIGCHLD.unsigned_abs()).to_ne_bytes());
    let size = Arg::Number(64);
    ended(raw::call(libc::SYS_clone3, [Arg::Bytes(&mut args), size, NULL, NULL, NULL, NULL])?)
}

fn ended(child: i64) -> io::Result<()> {
    if child == 0 {
        numbers(libc::SYS_exit_group, [0])?;
    }
    numbers(libc::SYS_wait4, [child, 0, 0, 0]).map(drop)
}

fn trace(targets: &AttemptTargets) -> io::Result<()> {
    /// `PTRACE_SEIZE` and `PTRACE_DETACH` (ptrace.h).
    const SEIZE: i64 = 0x4206;
    numbers(libc::SYS_ptrace, [SEIZE, i64::from(targets.victim), 0, 0]).map(drop)
}

fn signal_by_descriptor(targets: &AttemptTargets) -> io::Result<()> {
    let process = numbers(libc::SYS_pidfd_open, [i64::from(targets.victim), 0])?;
    numbers(libc::SYS_pidfd_send_signal, [process, i64::from(libc::SIGCONT), 0, 0]).map(drop)
}

/// One byte, of a page that nobody has: whether it may is asked before anything is copied.
fn memory(targets: &AttemptTargets, call: libc::c_long) -> io::Result<()> {
    // struct iovec: where, and how much.
    let vector = |at: usize| [at.to_ne_bytes(), 1_usize.to_ne_bytes()].concat();
    let byte = [0_u8];
    let (mut ours, mut theirs) = (vector(byte.as_ptr().addr()), vector(1));
    let victim = Arg::Number(i64::from(targets.victim));
    let one = || Arg::Number(1);
    match raw::call(call, [victim, Arg::Bytes(&mut ours), one(), Arg::Bytes(&mut theirs), one(), NULL]) {
        Err(e) if e.raw_os_error() == Some(libc::EFAULT) => Ok(()),
        other => other.map(drop),
    }
}

fn enter(targets: &AttemptTargets) -> io::Result<()> {
    let process = numbers(libc::SYS_pidfd_open, [i64::from(targets.victim), 0]);
    // Where no descriptor can be had, the call alone is tried on one that is none.
    let process = process.unwrap_or(-1);
    match numbers(libc::SYS_setns, [process, i64::from(libc::CLONE_NEWNET)]) {
        Err(e) if e.raw_os_error() == Some(libc::EBADF) => Ok(()),
        other => other.map(drop),
    }
}

fn by_path(call: libc::c_long, path: &std::path::Path) -> io::Result<()> {
    let mut path = path_bytes(path);
    raw::call(call, [Arg::Bytes(&mut path), NULL, NULL, NULL, NULL, NULL]).map(drop)
}

/// In a mount namespace of its own, if it can have one: the host's mounts stay as they are.
fn mount(targets: &AttemptTargets) -> io::Result<()> {
    let own = raw::unshare(UnshareFlags::NEWNS);
    let (mut kind, mut at) = (*b"tmpfs\0", path_bytes(&targets.folder.join("open/mount")));
    let source = &mut kind.clone();
    // MS_BIND would leak where the namespace is shared: without one of its own, a flag that cannot be.
    let flags = Arg::Number(if own.is_ok() { 0 } else { i64::MIN });
    raw::call(libc::SYS_mount, [Arg::Bytes(source), Arg::Bytes(&mut at), Arg::Bytes(&mut kind), flags, NULL, NULL])
        .map(drop)
}

fn map_memory(protection: i64) -> io::Result<()> {
    /// `MAP_PRIVATE | MAP_ANONYMOUS` (mman.h).
    const FLAGS: i64 = 0x22;
    let at = numbers(libc::SYS_mmap, [0, 4096, protection, FLAGS, -1, 0])?;
    numbers(libc::SYS_munmap, [at, 4096]).map(drop)
}

fn protect(_: &AttemptTargets) -> io::Result<()> {
    let at = numbers(libc::SYS_mmap, [0, 4096, 3, 0x22, -1, 0])?;
    numbers(libc::SYS_mprotect, [at, 4096, 5]).map(drop)
}

/// Removes an object of System V, which would outlive every process. Where that is stopped, making it was too.
fn remove(made: i64, control: libc::c_long) {
    let _ = numbers(control, [made, i64::from(libc::IPC_RMID), 0]);
}

fn queue(targets: &AttemptTargets) -> io::Result<()> {
    // A name that nobody could have taken before.
    let mut name = format!("gaprelay-selftest-{}\0", targets.token).into_bytes();
    let flags = Arg::Number(i64::from(libc::O_CREAT | libc::O_EXCL | libc::O_RDWR));
    raw::call(libc::SYS_mq_open, [Arg::Bytes(&mut name), flags, Arg::Number(0o600), NULL, NULL, NULL])?;
    raw::call(libc::SYS_mq_unlink, [Arg::Bytes(&mut name), NULL, NULL, NULL, NULL, NULL]).map(drop)
}

fn key(_: &AttemptTargets) -> io::Result<()> {
    let (mut kind, mut name, mut value) = (*b"user\0", *b"gaprelay-selftest\0", *b"x");
    /// `KEY_SPEC_PROCESS_KEYRING` (keyctl.h): gone with the process.
    const OWN: i64 = -2;
    let args =
        [Arg::Bytes(&mut kind), Arg::Bytes(&mut name), Arg::Bytes(&mut value), Arg::Number(1), Arg::Number(OWN), NULL];
    raw::call(libc::SYS_add_key, args).map(drop)
}

fn bpf(_: &AttemptTargets) -> io::Result<()> {
    // BPF_MAP_CREATE: an array of one value.
    let mut attributes: Vec<u8> = [2_u32, 4, 4, 1].iter().flat_map(|value| value.to_ne_bytes()).collect();
    attributes.resize(64, 0);
    raw::call(libc::SYS_bpf, [NULL, Arg::Bytes(&mut attributes), Arg::Number(64), NULL, NULL, NULL]).map(drop)
}

fn counters(_: &AttemptTargets) -> io::Result<()> {
    // struct perf_event_attr: PERF_TYPE_SOFTWARE, its size, PERF_COUNT_SW_CPU_CLOCK, user space only.
    let mut attributes = [0_u8; 64];
    attributes[0..4].copy_from_slice(&1_u32.to_ne_bytes());
    attributes[4..8].copy_from_slice(&64_u32.to_ne_bytes());
    attributes[40..48].copy_from_slice(&0x60_u64.to_ne_bytes());
    let (own, any) = (Arg::Number(0), || Arg::Number(-1));
    raw::call(libc::SYS_perf_event_open, [Arg::Bytes(&mut attributes), own, any(), any(), NULL, NULL]).map(drop)
}

/// `SECCOMP_GET_ACTION_AVAIL` of the action to allow: harmless, and the way to install one.
fn another_filter() -> io::Result<()> {
    let mut allow = 0x7fff_0000_u32.to_ne_bytes();
    raw::call(libc::SYS_seccomp, [Arg::Number(2), NULL, Arg::Bytes(&mut allow), NULL, NULL, NULL]).map(drop)
}

#[cfg(target_arch = "x86_64")]
fn gate() -> io::Result<()> {
    raw::call_by_gate().map(drop)
}

#[cfg(not(target_arch = "x86_64"))]
fn gate() -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}
