//! Opens a file of a bundle: below the medium's root, through no link, a regular file, read-only.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use super::find::Found;
use crate::base::quoted::quoted_os;
use crate::base::{Reason, Refusal};

/// The file `name` of the bundle and its length; `None` if there is none of that name.
///
/// The kernel resolves the path (`openat2(2)`): no link anywhere in it, never above the root, and
/// opening a FIFO does not wait. Refusals: `medium-not-regular`, `medium-unreadable`.
pub fn open(found: &Found, name: &std::ffi::OsStr) -> Result<Option<(File, u64)>, Refusal> {
    let shown = quoted_os(name);
    let path = found.folder.join(name);
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let opened = open_root(&found.root)
        .and_then(|root| Ok(openat2(&root, &path, flags, Mode::empty(), resolve)?))
        .map(File::from);
    let file = match opened {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(Refusal::new(Reason::MediumNotRegular, format!("{shown} is reached through a link")));
        }
        // A socket cannot be opened at all.
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => {
            return Err(Refusal::new(Reason::MediumNotRegular, format!("{shown} is not a regular file")));
        }
        Err(e) => return Err(unreadable(&shown, &e)),
    };
    let meta = file.metadata().map_err(|e| unreadable(&shown, &e))?;
    if !meta.is_file() {
        return Err(Refusal::new(Reason::MediumNotRegular, format!("{shown} is not a regular file")));
    }
    Ok(Some((file, meta.len())))
}

fn open_root(root: &Path) -> io::Result<std::os::fd::OwnedFd> {
    Ok(rustix::fs::open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// The medium failed while it was read.
pub fn unreadable(shown: &str, error: &io::Error) -> Refusal {
    Refusal::new(Reason::MediumUnreadable, format!("{shown}: {}", quoted_os(error.to_string())))
}
