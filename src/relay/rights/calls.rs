//! The system calls that each role may make, and why. Whatever is not here fails with `EPERM`.
//!
//! Letters: R reader, E examiner, K keeper, S server, D sinkhole (DNS), P its UDP forwarder, V review, W witness, X
//! exporter. Nobody may make a socket, connect, pass descriptors, execute, fork, trace, signal, mount, or map memory as
//! code; the UDP forwarder alone may send to an address.

use sandbox::calls::{Call, When, row};

use When::{Always, BothNull, OneOf, ReadOnly, With, Without};

/// `PROT_EXEC` (mman.h).
const EXEC: u64 = 4;
/// `CLONE_VM | CLONE_THREAD` (sched.h): a thread, not a process.
const THREAD: u64 = 0x1_0100;
/// `F_GETFD F_SETFD F_GETFL F_DUPFD_CLOEXEC` (fcntl.h): none of them changes a file, or what a descriptor may do to it.
const FCNTL: &[u64] = &[1, 2, 3, 1030];
/// `F_SETFL` (fcntl.h), which can also take the append mode from a descriptor.
const FLAGS: &[u64] = &[4];
/// `LOCK_SH | LOCK_NB`, `LOCK_UN` (file.h): a lock that keeps nobody from appending.
const SHARED: &[u64] = &[5, 8];
/// `LOCK_EX`, `LOCK_EX | LOCK_NB`, `LOCK_UN` (file.h).
const EXCLUSIVE: &[u64] = &[2, 6, 8];
/// `TCGETS TIOCGWINSZ` (ioctls.h): is it a terminal, and how wide?
const TERMINAL: &[u64] = &[0x5401, 0x5413];
/// No mode of fallocate (fcntl.h): it gives a file room, and makes no hole.
const MORE: &[u64] = &[0];
/// `FIONBIO` (ioctls.h).
const NONBLOCKING: &[u64] = &[0x5421];
/// `SHUT_WR` (socket.h): it does nothing to a socket that listens. Each other value ends the listening, for all who
/// have the socket: those of a socket unit too, until that is started again.
const SENDING: &[u64] = &[1];
/// `PR_SET_NAME` (prctl.h).
const NAME: &[u64] = &[15];

/// The table.
pub(super) const CALLS: &[Call] = &[
    // Bytes from and to what is open.
    row("read", "REKSDPVWX", Always, "files, pipes and connections"),
    row("write", "REKSDPVWX", Always, "pipes, files opened for it, the terminal, connections"),
    row("readv", "KS", Always, "as read, into several buffers"),
    row("writev", "REKSDPVWX", Always, "as write, from several buffers"),
    row("pread64", "KS", Always, "a place in a file of the state"),
    row("lseek", "RKSDVWX", Always, "a folder from its beginning; a place in a pack"),
    row("close", "REKSDPVWX", Always, "what is done with"),
    row("fcntl", "REKSDPVWX", OneOf(1, FCNTL), "a second handle; whether one blocks; whether it is open"),
    row("fcntl", "K", OneOf(1, FLAGS), "its pipes to workers do not block"),
    row("fstat", "REKSDPVWX", Always, "length and type of what is open"),
    row("newfstatat", "RKSDVWX", Always, "length, type and times by name"),
    row("statx", "RKSDVWX", Always, "the same"),
    row("getdents64", "RKSDVWX", Always, "the names in a folder"),
    row("openat", "RSDVX", ReadOnly(2), "files of the medium; files of the published set"),
    row("openat", "KW", Always, "files of the state"),
    row("poll", "KP", Always, "a worker that stands still"),
    row("ppoll", "KP", Always, "the same"),
    row("splice", "K", Always, "the payload from the spool to the examiner without a copy"),
    row("sendfile", "K", Always, "the same"),
    // Changing the state, durably.
    row("pwrite64", "K", Always, "how far an import is, in place"),
    row("fsync", "KW", Always, "what must survive a cut"),
    row("fdatasync", "KSDVWX", Always, "the same; a journal; the slot of the inbox"),
    row("ftruncate", "K", Always, "a journal, once its lines are in the log"),
    row("fallocate", "K", OneOf(1, MORE), "room that is kept for withdrawals"),
    row("flock", "KW", OneOf(1, EXCLUSIVE), "one keeper at a time; emptying the journals and the slot"),
    row("flock", "SDV", OneOf(1, SHARED), "appending to its journal, or to the slot"),
    row("rename", "KW", Always, "a finished file gets its name"),
    row("renameat", "KW", Always, "the same"),
    row("renameat2", "KW", Always, "the same"),
    row("mkdir", "KW", Always, "folders of releases, blobs, tiles"),
    row("mkdirat", "KW", Always, "the same"),
    row("unlink", "KW", Always, "what is in the making and not wanted; what gc removes"),
    row("unlinkat", "KW", Always, "the same"),
    row("rmdir", "K", Always, "the same"),
    row("statfs", "K", Always, "free space"),
    row("fstatfs", "K", Always, "the same"),
    // Serving: only what was accepted.
    row("accept4", "SDVW", Always, "agents and officers, on the listeners it was given"),
    row("recvfrom", "SDPVW", Always, "requests"),
    row("sendto", "SDVW", BothNull(4, 5), "answers; an address is refused"),
    row("sendto", "P", Always, "answers by UDP, to the address that asked"),
    row(
        "shutdown",
        "SVW",
        OneOf(1, SENDING),
        "the end of an answer; the other direction would end a listener for good",
    ),
    row("getsockname", "SDVW", Always, "the address an agent came to"),
    row("getpeername", "SDW", Always, "the agent's address"),
    row("getsockopt", "SDVW", Always, "whether a connection failed; who is at the other end of a Unix socket"),
    row("epoll_wait", "SDVW", Always, "the next connection that is ready"),
    row("epoll_pwait", "SDVW", Always, "the same"),
    row("epoll_pwait2", "SDVW", Always, "the same"),
    row("epoll_ctl", "SDVW", Always, "connections that come and go"),
    row("ioctl", "SD", OneOf(1, NONBLOCKING), "connections do not block"),
    row("ioctl", "K", OneOf(1, TERMINAL), "how wide the operator's terminal is"),
    // Memory, never as code.
    row("brk", "REKSDPVWX", Always, "memory"),
    row("mmap", "REKSDPVWX", Without(2, EXEC), "memory; blobs to hand out"),
    row("mprotect", "REKSDPVWX", Without(2, EXEC), "memory"),
    row("munmap", "REKSDPVWX", Always, "memory given back"),
    row("mremap", "REKSDPVWX", Always, "memory that grows"),
    row("madvise", "REKSDPVWX", Always, "memory given back"),
    // Threads and time.
    row("clone", "EKSDVW", With(0, THREAD), "threads, not processes"),
    row("set_robust_list", "EKSDVW", Always, "the start of a thread"),
    row("rseq", "EKSDVW", Always, "the same"),
    row("sched_getaffinity", "EKSDVW", Always, "how many processors there are"),
    row("sched_yield", "REKSDPVWX", Always, "another thread's turn"),
    row("prctl", "EKSDVW", OneOf(0, NAME), "a thread's name"),
    row("futex", "REKSDPVWX", Always, "threads that wait for each other"),
    row("membarrier", "EKSDVW", Always, "the same"),
    row("gettid", "REKSDPVWX", Always, "which thread this is"),
    row("getpid", "REKSDPVWX", Always, "which process this is"),
    row("getuid", "K", Always, "who this is"),
    row("geteuid", "K", Always, "the same"),
    row("nanosleep", "KSDVWX", Always, "a pause"),
    row("clock_nanosleep", "KSDVWX", Always, "the same"),
    row("clock_gettime", "REKSDPVWX", Always, "the time"),
    row("clock_getres", "REKSDPVWX", Always, "the same"),
    row("gettimeofday", "REKSDPVWX", Always, "the same"),
    row("getrandom", "REKSDPVWX", Always, "keys of hash tables; TLS"),
    row("uname", "K", Always, "the kernel's version, for the log"),
    row("wait4", "K", Always, "its workers' ends"),
    row("waitid", "K", Always, "the same"),
    row("rt_sigreturn", "REKSDPVWX", Always, "the end of a signal's handler"),
    row("rt_sigprocmask", "REKSDPVWX", Always, "the start and the end of a thread"),
    row("rt_sigaction", "REKSDPVWX", Always, "a stop that was asked for"),
    row("sigaltstack", "REKSDPVWX", Always, "a stack overflow that is told"),
    row("restart_syscall", "REKSDPVWX", Always, "a wait that was interrupted"),
    row("exit", "REKSDPVWX", Always, "a thread's end"),
    row("exit_group", "REKSDPVWX", Always, "the end"),
    // Answered ENOSYS, so that the C library falls back to a call whose arguments can be seen.
    row("clone3", "EKSDVW", Always, "answered ENOSYS: clone follows"),
    row("openat2", "RKSDPVWX", Always, "answered ENOSYS: openat follows"),
    row("faccessat2", "RKSDPVWX", Always, "answered ENOSYS"),
];
