//! The layer that says which files exist, and that no TCP port may be bound or connected: Landlock.
//! It does not depend on the others. What it cannot say (UDP, unix sockets, changing times and
//! modes) the two others do.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use ::landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus, PathBeneath,
    Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};
use rustix::fs::{FileType, Mode, OFlags, fstat, open, openat};
use rustix::io::Errno;

use super::rights::{GrantedPath, Rights};
use super::{Grants, Layer, is_filtered, missing};
use base::Fault;
use base::error::IoContext as _;

/// The newest version that this program knows rules for.
const NEWEST: ABI = ABI::V7;

/// Takes effect for this thread and those it starts, for good. Gives the kernel's version of the
/// interface (ABI), counted from 1.
pub(crate) fn enter(rights: &Rights, grants: &Grants<'_>) -> Result<u32, Fault> {
    let rules = || -> Result<_, RulesetError> {
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(NEWEST))?
            .handle_access(AccessNet::from_all(NEWEST))?
            .scope(Scope::from_all(NEWEST))?
            .create()
    };
    let failed = |e: RulesetError| missing(Layer::Landlock, &format!("the kernel refused a call of Landlock: {e}"));
    let mut ruleset = rules().map_err(failed)?;
    for (places, access) in [(rights.reads, AccessFs::ReadFile | AccessFs::ReadDir), (rights.writes, writing())] {
        for place in places {
            match (place, grants.medium) {
                (GrantedPath::Medium, Some(medium)) => {
                    ruleset = ruleset.add_rule(PathBeneath::new(medium, access)).map_err(failed)?;
                }
                (GrantedPath::Medium, None) => return Err(Fault::Internal("a reader without a medium")),
                (GrantedPath::State(below), _) => {
                    let (opened, kind) = open_below(grants.state, below)?;
                    ruleset = ruleset.add_rule(PathBeneath::new(opened, allowed(access, kind))).map_err(failed)?;
                }
            }
        }
    }
    let status = ruleset.restrict_self().map_err(failed)?;
    let why = match (status.ruleset, status.landlock) {
        (_, LandlockStatus::NotEnabled) => {
            "Landlock is built into this kernel, but not enabled: add landlock to the list in the boot option lsm= (the list in force is in /sys/kernel/security/lsm), then start the machine again"
        }
        (_, LandlockStatus::NotImplemented) if is_filtered() => {
            "this kernel has no Landlock (Linux has it since 5.13; `uname -r` shows this kernel's version), or a container's seccomp profile hides it: permit the calls landlock_* there"
        }
        (_, LandlockStatus::NotImplemented) => {
            "this kernel has no Landlock: use Linux 5.13 or newer, built with CONFIG_SECURITY_LANDLOCK (`uname -r` shows this kernel's version)"
        }
        (RulesetStatus::NotEnforced, LandlockStatus::Available { .. }) => {
            "this kernel has Landlock, but did not put the rules into force"
        }
        (_, LandlockStatus::Available { effective_abi, kernel_abi }) => {
            return Ok(kernel_abi.and_then(|abi| u32::try_from(abi).ok()).unwrap_or(effective_abi as u32));
        }
    };
    Err(missing(Layer::Landlock, why))
}

/// Everything but executing, making devices and sockets, and device control.
fn writing() -> BitFlags<AccessFs> {
    AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer
}

/// Opens a place below the state folder, with what it is. Fault: it is not there, or it is a link: whoever can write to
/// the state could make one, and have another place granted.
fn open_below(state: &Path, below: &str) -> Result<(OwnedFd, FileType), Fault> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let failed = |e: Errno| -> io::Error { e.into() };
    let mut path = state.to_owned();
    let mut opened = open(&path, flags, Mode::empty()).map_err(failed).during("open", &path)?;
    let mut kind = FileType::Directory;
    for name in Path::new(below) {
        path.push(name);
        opened =
            openat(&opened, name, flags | OFlags::NOFOLLOW, Mode::empty()).map_err(failed).during("open", &path)?;
        kind = FileType::from_raw_mode(fstat(&opened).map_err(failed).during("read", &path)?.st_mode);
        if kind == FileType::Symlink {
            let what =
                "it is a link, and no part of the state may be one. Nothing was changed. Put back what it stands for";
            return Err(Fault::damaged(path.to_string_lossy(), what));
        }
    }
    Ok((opened, kind))
}

/// Part of `access` that applies to a file, if the place is one.
fn allowed(access: BitFlags<AccessFs>, kind: FileType) -> BitFlags<AccessFs> {
    if kind == FileType::Directory { access } else { access & AccessFs::from_file(NEWEST) }
}
