//! Accounts that may read the state folder: its owner and the members of its group. The folder itself is closed to others,
//! so that nothing below it depends on a mode of its own; keys are their owner's alone all the same.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::{Gid, chown};

use base::Fault;
use base::error::IoContext as _;

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
