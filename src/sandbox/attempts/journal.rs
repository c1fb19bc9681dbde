//! Ways to take back what was appended through a descriptor that can only append, or to keep others from appending.

use std::io;

use super::{AttemptTargets, EscapeAttempt, NULL, attempt, numbers};
use base::raw::{self, Arg};

/// In the order of the table.
pub const ATTEMPTS: &[EscapeAttempt] = &[
    attempt("take the append mode from a descriptor (fcntl)", unappend),
    attempt("write into the middle of the journal (pwritev2)", write_over),
    attempt("write to a place in the journal (pwrite64)", |t| {
        let (mut byte, one) = (*b"x", Arg::Number(1));
        let args = [Arg::Number(i64::from(t.journal)), Arg::Bytes(&mut byte), one, NULL, NULL, NULL];
        raw::call(libc::SYS_pwrite64, args).map(drop)
    }),
    attempt("cut the journal (ftruncate)", |t| numbers(libc::SYS_ftruncate, [i64::from(t.journal), 4]).map(drop)),
    attempt("make a hole in the journal (fallocate)", |t| {
        /// `FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE` (falloc.h).
        const HOLE: i64 = 3;
        numbers(libc::SYS_fallocate, [i64::from(t.journal), HOLE, 0, 4]).map(drop)
    }),
    attempt("copy over the journal (copy_file_range)", |t| {
        let file = std::fs::File::open(t.medium().join("file"))?;
        let from = i64::from(std::os::fd::AsRawFd::as_raw_fd(&file));
        match numbers(libc::SYS_copy_file_range, [from, 0, i64::from(t.journal), 0, 1, 0]) {
            // The kernel does not copy to a descriptor that appends: the call was let in all the same.
            Err(e) if e.raw_os_error() == Some(libc::EBADF) => Ok(()),
            other => other.map(drop),
        }
    }),
    attempt("lock the journal for itself (flock)", lock),
    attempt("lock a part of the journal (fcntl)", lock_part),
    attempt("a lease on the journal (fcntl)", |t| {
        match numbers(libc::SYS_fcntl, [i64::from(t.journal), i64::from(libc::F_SETLEASE), i64::from(libc::F_UNLCK)]) {
            // There is none to give back.
            Err(e) if e.raw_os_error() == Some(libc::EAGAIN) => Ok(()),
            other => other.map(drop),
        }
    }),
];

fn unappend(targets: &AttemptTargets) -> io::Result<()> {
    let set = |flags: i32| {
        numbers(libc::SYS_fcntl, [i64::from(targets.journal), i64::from(libc::F_SETFL), i64::from(flags)]).map(drop)
    };
    set(0)?;
    // The next attempts are to meet it as it was.
    set(libc::O_APPEND)
}

/// `RWF_NOAPPEND` (fs.h), which Linux has since 6.9.
fn write_over(targets: &AttemptTargets) -> io::Result<()> {
    const NOAPPEND: i64 = 0x20;
    // struct iovec: where, and how much.
    let byte = *b"x";
    let mut vector = [byte.as_ptr().addr().to_ne_bytes(), 1_usize.to_ne_bytes()].concat();
    let (journal, one) = (Arg::Number(i64::from(targets.journal)), Arg::Number(1));
    let args = [journal, Arg::Bytes(&mut vector), one, NULL, NULL, Arg::Number(NOAPPEND)];
    raw::call(libc::SYS_pwritev2, args).map(drop)
}

fn lock(targets: &AttemptTargets) -> io::Result<()> {
    let ask = |how: i32| numbers(libc::SYS_flock, [i64::from(targets.journal), i64::from(how)]).map(drop);
    ask(libc::LOCK_EX | libc::LOCK_NB)?;
    ask(libc::LOCK_UN)
}

fn lock_part(targets: &AttemptTargets) -> io::Result<()> {
    // struct flock: F_WRLCK, SEEK_SET, from the first byte to the last.
    let mut part = [0_u8; 32];
    part[0] = 1;
    let (journal, set) = (Arg::Number(i64::from(targets.journal)), Arg::Number(i64::from(libc::F_SETLK)));
    raw::call(libc::SYS_fcntl, [journal, set, Arg::Bytes(&mut part), NULL, NULL, NULL]).map(drop)
}
