//! Opens a file of a bundle: below the medium's root, through no link, a regular file, read-only.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags, openat, statx};
use rustix::io::Errno;

use base::quoted::quoted_os;
use base::{Reason, Refusal};

/// Opens the medium's root for reading. A link is followed here, and here alone: the operator gave it.
pub fn open_root(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Opens the folder `name` in `folder`, through no link.
pub(crate) fn open_folder(folder: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(folder, name, flags, Mode::empty())
}

/// Id of the mount that a descriptor lies on (`statx`, `STATX_MNT_ID`, since Linux 5.8).
fn mount_id(fd: impl AsFd) -> rustix::io::Result<u64> {
    let found = statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    // A kernel that cannot say it: nothing else tells a bind mount from the folder that it covers.
    if found.stx_mask & StatxFlags::MNT_ID.bits() == 0 { Err(Errno::NOSYS) } else { Ok(found.stx_mnt_id) }
}

/// True if both lie on one mount. A medium is one mount: what somebody has mounted below its root is no part of it, and
/// may be writable where the medium is not.
pub(crate) fn is_one_mount(root: impl AsFd, below: impl AsFd) -> rustix::io::Result<bool> {
    Ok(mount_id(root)? == mount_id(below)?)
}

/// The file `name` of the bundle in this folder below the root, and its length; `None` if there is none of that name.
///
/// Folder by folder from the root, each opened with `O_NOFOLLOW`, so no link anywhere in the path is
/// followed and nothing above the root can be named; the flags lie in a register, where the filter
/// of system calls sees them. Opening a FIFO does not wait.
/// Refusals: `medium-not-regular`, `medium-mounted-over`, `medium-unreadable`.
pub(crate) fn open(root: BorrowedFd<'_>, folder: &Path, name: &OsStr) -> Result<Option<(File, u64)>, Refusal> {
    let shown = quoted_os(name);
    let file = match open_below(root, folder, name) {
        Ok(Some(file)) => File::from(file),
        Ok(None) => {
            let detail = format!("{shown} is not on the medium: something else is mounted in its place");
            return Err(Refusal::new(Reason::MediumMountedOver, detail));
        }
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP | Errno::NOTDIR) => {
            return Err(Refusal::new(Reason::MediumNotRegular, format!("{shown} is a link, or lies behind one")));
        }
        // A socket cannot be opened at all.
        Err(Errno::NXIO) => {
            return Err(Refusal::new(Reason::MediumNotRegular, format!("{shown} is not a regular file")));
        }
        Err(e) => return Err(unreadable(&shown, &e.into())),
    };
    let meta = file.metadata().map_err(|e| unreadable(&shown, &e))?;
    if !meta.is_file() {
        return Err(Refusal::new(Reason::MediumNotRegular, format!("{shown} is not a regular file")));
    }
    Ok(Some((file, meta.len())))
}

/// Opens a file below the root; `None` if a step of the way leads off the medium's mount.
fn open_below(root: BorrowedFd<'_>, folder: &Path, name: &OsStr) -> rustix::io::Result<Option<OwnedFd>> {
    let mut opened: Option<OwnedFd> = None;
    for part in folder {
        let next = open_folder(opened.as_ref().map_or(root, |f| f.as_fd()), part)?;
        if !is_one_mount(root, &next)? {
            return Ok(None);
        }
        opened = Some(next);
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(opened.as_ref().map_or(root, |f| f.as_fd()), name, flags, Mode::empty())?;
    Ok(if is_one_mount(root, &file)? { Some(file) } else { None })
}

/// The medium failed while it was read.
pub(crate) fn unreadable(shown: &str, error: &io::Error) -> Refusal {
    Refusal::new(Reason::MediumUnreadable, format!("{shown} cannot be read: {}", quoted_os(error.to_string())))
}
