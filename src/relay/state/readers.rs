//! Accounts that may read the state folder: its owner and the members of its group. The folder itself is closed to
//! others, so that nothing below it depends on a mode of its own; keys are their owner's alone all the same, and so is
//! what processes lock: who may read a file may hold a lock on it.

use std::fs::{File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid, chown, chownat, openat};

use base::error::IoContext as _;
use base::{Fault, durable};

/// Mode of the state folder.
const MODE: u32 = 0o750;

/// Number of a group that is given by its name or its number. Fault: there is no such group.
pub(crate) fn group_number(group: &str) -> Result<u32, Fault> {
    let named = || uzers::get_group_by_name(group).map(|found| found.gid());
    group.parse().ok().or_else(named).ok_or_else(|| {
        let detail =
            format!("the config names the group \"{}\" in state.group, and there is none", base::quoted(group));
        Fault::usage(detail, "Make the group with `groupadd`, or name another one; then run `gaprelay init` again.")
    })
}

/// Closes the folder to all but its owner and its group, which is set where one is given.
pub(super) fn close(folder: &Path, group: Option<u32>) -> Result<(), Fault> {
    std::fs::set_permissions(folder, Permissions::from_mode(MODE)).during("change the mode of", folder)?;
    let Some(group) = group else { return Ok(()) };
    chown(folder, None, Some(Gid::from_raw(group))).map_err(Into::into).during("change the group of", folder)
}

/// Takes the permissions away that let other accounts open a file that processes lock: all but its owner's, and those
/// of a group of its own, which was given the file to append to it. Who does not own the file cannot, and changes
/// nothing.
pub(super) fn close_locked(folder: &Path, path: &Path) {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(file) = openat(CWD, path, flags, Mode::empty()).map(File::from) else { return };
    let (Ok(meta), Ok(above)) = (file.metadata(), std::fs::metadata(folder)) else { return };
    let keep = if meta.gid() == above.gid() { 0o600 } else { 0o660 };
    if meta.is_file() && meta.nlink() == 1 && meta.mode() & 0o777 & !keep != 0 {
        let _ = file.set_permissions(Permissions::from_mode(meta.mode() & keep));
    }
}

/// Makes a file for a lock, where there is none, which is the owner's of the folder, whoever made it.
pub(super) fn make_lock(folder: &Path, path: &Path) -> Result<(), Fault> {
    durable::make_private(path)?;
    let owner = std::fs::metadata(folder).during("look at", folder)?;
    let (uid, gid) = (Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()));
    // Who may not give it away is its owner, or the owner could open it before.
    let _ = chownat(CWD, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW);
    Ok(())
}
