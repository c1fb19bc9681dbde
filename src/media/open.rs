//! Opens a file of a bundle: below the medium's root, through no link, a regular file, read-only.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use super::find::{BundleFolder, open_folder};
use base::quoted::quoted_os;
use base::{Reason, Refusal};

/// The file `name` of the bundle and its length; `None` if there is none of that name.
///
/// Folder by folder from the root, each opened with `O_NOFOLLOW`, so no link anywhere in the path is
/// followed and nothing above the root can be named; the flags lie in a register, where the filter
/// of system calls sees them. Opening a FIFO does not wait.
/// Refusals: `medium-not-regular`, `medium-unreadable`.
pub(crate) fn open(root: BorrowedFd<'_>, found: &BundleFolder, name: &OsStr) -> Result<Option<(File, u64)>, Refusal> {
    let shown = quoted_os(name);
    let file = match open_below(root, found, name) {
        Ok(file) => File::from(file),
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

fn open_below(root: BorrowedFd<'_>, found: &BundleFolder, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let mut folder: Option<OwnedFd> = None;
    for part in &found.folder {
        folder = Some(open_folder(folder.as_ref().map_or(root, |f| f.as_fd()), part)?);
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(folder.as_ref().map_or(root, |f| f.as_fd()), name, flags, Mode::empty())
}

/// The medium failed while it was read.
pub(crate) fn unreadable(shown: &str, error: &io::Error) -> Refusal {
    Refusal::new(Reason::MediumUnreadable, format!("{shown} cannot be read: {}", quoted_os(error.to_string())))
}
