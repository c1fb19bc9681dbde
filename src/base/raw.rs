//! The one room with `unsafe` in it: mapping a file of ours, closing what others left open, and the
//! raw system calls of the self-test.
#![allow(unsafe_code, reason = "the fenced room: what is in here is unsafe whoever does it")]

pub mod mapped;

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::Path;

use rustix::thread::UnshareFlags;

use super::Fault;
use super::error::IoContext as _;

/// Closes every descriptor from number `first` on. To be called once, before this process has opened
/// anything: then they are what whoever started us left open, and belong to nobody.
pub fn close_from(first: u32) -> Result<(), Fault> {
    close_range(first, u32::MAX)
}

fn close_range(first: u32, last: u32) -> Result<(), Fault> {
    // SAFETY: called at the start of `main` alone, when no value of ours owns one of these descriptors.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if closed == 0 {
        return Ok(());
    }
    Err(Fault::Kernel { call: "close_range", since: "5.9", source: io::Error::last_os_error() })
}

/// Takes the descriptors of these numbers, which whoever started us opened for us alone, and closes every other from
/// number 3 on. To be called once, as [`close_from`]. Fault: one is not open, or named twice.
pub fn inherited(numbers: &[u32]) -> Result<Vec<OwnedFd>, Fault> {
    let mut rising = numbers.to_vec();
    rising.sort_unstable();
    let mut next = 3;
    for number in rising {
        if number < next {
            return Err(Fault::Internal("a passed descriptor is named twice, or has a number below 3"));
        }
        if number > next {
            close_range(next, number - 1)?;
        }
        next = number + 1;
    }
    close_from(next)?;
    numbers.iter().map(|number| take(*number)).collect()
}

/// Takes one of those.
fn take(number: u32) -> Result<OwnedFd, Fault> {
    let number =
        i32::try_from(number).map_err(|_| Fault::Internal("the number of a passed descriptor is too large"))?;
    // SAFETY: the call takes numbers and reads no memory.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(Fault::Internal("a passed descriptor is not open"));
    }
    // SAFETY: it is open, it was opened for this process, and `inherited`, which runs at the start of `main`, takes
    // each number once: no other value owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The descriptors that a service manager passed, by name (`sd_listen_fds_with_names`(3)); numbered
/// from 3 on. To be called once, as [`close_from`].
pub fn passed() -> Result<Vec<(String, OwnedFd)>, Fault> {
    let listed =
        sd_notify::listen_fds_with_names().during("take over", Path::new("the sockets of the service manager"))?;
    // SAFETY: called at the start of `main`; the manager opened them for this process alone, and no
    // value of ours owns them. Each has just been found open, when it was set to be closed on `exec`.
    Ok(listed.map(|(number, name)| (name, unsafe { OwnedFd::from_raw_fd(number) })).collect())
}

/// Leaves the namespaces that `flags` name.
pub fn unshare(flags: UnshareFlags) -> io::Result<()> {
    if flags.contains(UnshareFlags::FILES) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the table of descriptors stays shared, so every thread still owns what it owned.
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(Into::into)
}

/// Has a write beyond this process's limit on a file's length fail (`EFBIG`) instead of ending the process (`SIGXFSZ`).
pub fn fail_beyond_limit() -> io::Result<()> {
    // SAFETY: no handler of ours is installed or replaced: the signal is ignored.
    if unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// True if the kernel refuses to write to this block device, as it was set for it (`BLKROGET`).
pub fn is_read_only(device: &File) -> io::Result<bool> {
    let mut set: libc::c_int = 0;
    // SAFETY: the call writes one int, which lives until it returns.
    let done = unsafe { libc::ioctl(device.as_raw_fd(), BLKROGET, &raw mut set) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(set != 0) }
}

/// Has the kernel refuse to write to this block device, or not (`BLKROSET`). Needs root.
pub fn set_read_only(device: &File, refuse: bool) -> io::Result<()> {
    let set = libc::c_int::from(refuse);
    // SAFETY: the call reads one int, which lives until it returns.
    let done = unsafe { libc::ioctl(device.as_raw_fd(), BLKROSET, &raw const set) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `_IO(0x12, 93)` and `_IO(0x12, 94)` (fs.h).
const BLKROSET: libc::Ioctl = 0x125d;
const BLKROGET: libc::Ioctl = 0x125e;

/// One argument of a raw system call.
pub enum Arg<'a> {
    /// A number, or a null pointer as 0.
    Number(i64),
    /// The address of these bytes, which the kernel may read and change.
    Bytes(&'a mut [u8]),
}

/// Makes a system call by its number, for an attempt of the self-test. Gives what it returns.
pub fn call(number: i64, args: [Arg<'_>; 6]) -> io::Result<i64> {
    let args = args.map(|arg| match arg {
        Arg::Number(number) => number,
        Arg::Bytes(bytes) => bytes.as_mut_ptr() as i64,
    });
    // SAFETY: `sandbox::attempts` alone calls this, in a process started for nothing else, with
    // numbers that name no memory and buffers that live until the call returns. What a call may do
    // to such a process (fork it, stop it, add a mapping) can break no promise made to other code.
    let done = unsafe { libc::syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(done) }
}

/// `getpid` by the 32-bit gate, whose calls have other numbers: a filter must know that. Gives
/// nothing: it ends the process where the filter stops it.
#[cfg(target_arch = "x86_64")]
pub fn call_by_gate() -> io::Result<i64> {
    let done: i64;
    // SAFETY: `int 0x80` with 20, `getpid` on i386, takes no argument and changes rax alone (and r8
    // to r11, which older kernels clear).
    unsafe {
        std::arch::asm!("int 0x80", inlateout("rax") 20_i64 => done, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    if done < 0 { Err(io::Error::from_raw_os_error(i32::try_from(-done).unwrap_or(0))) } else { Ok(done) }
}

/// Runs `work` in a forked child and gives how that ended: its exit status, or the signal. No thread
/// may run.
pub fn in_child(work: impl FnOnce() -> u8) -> io::Result<Result<u8, i32>> {
    // SAFETY: one thread runs, so the child is a whole copy of us, with no lock held by anybody.
    let child = unsafe { libc::fork() };
    match child {
        -1 => return Err(io::Error::last_os_error()),
        0 => {
            let status = work();
            // SAFETY: ends the child without running what the parent will run at its own end.
            unsafe { libc::_exit(i32::from(status)) }
        }
        _ => {}
    }
    let mut status = 0;
    // SAFETY: `status` lives until the call returns.
    while unsafe { libc::waitpid(child, &raw mut status, 0) } < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    if libc::WIFEXITED(status) {
        return Ok(Ok(u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX)));
    }
    Ok(Err(libc::WTERMSIG(status)))
}
