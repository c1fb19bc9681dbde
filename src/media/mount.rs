//! Mount of a medium, and the disk it lies on. Examined before anything is read from it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, major, minor, statvfs};

use base::error::IoContext as _;
use base::lock::Lock;
use base::{Fault, raw};

/// Mount of a medium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// True if it could be written to.
    pub writable: bool,
    /// The flags it should have and has: of `ro nodev nosuid noexec`.
    pub flags: Vec<&'static str>,
    /// Mount options that it lacks.
    pub lacks: Vec<&'static str>,
}

impl Mount {
    /// The mount that `path` lies on. `None` where it cannot be looked at: then it cannot be read
    /// either, and the reader says why.
    pub fn of(path: &Path) -> Option<Self> {
        let set = statvfs(path).ok()?.f_flag;
        let wanted = [
            ("ro", StatVfsMountFlags::RDONLY),
            ("nodev", StatVfsMountFlags::NODEV),
            ("nosuid", StatVfsMountFlags::NOSUID),
            ("noexec", StatVfsMountFlags::NOEXEC),
        ];
        let (has, lacks): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|(_, flag)| set.contains(*flag));
        let names = |flags: Vec<(&'static str, _)>| flags.into_iter().map(|(name, _)| name).collect();
        Some(Self { writable: !set.contains(StatVfsMountFlags::RDONLY), flags: names(has), lacks: names(lacks) })
    }
}

/// The whole disk under a medium, read-only in the kernel until this is dropped: not even a file
/// system that replays its journal writes to it then. One that is read-only already is left as it is: what is set for a
/// device stays with it, for whatever medium comes next.
///
/// The disk is locked (`flock(2)`) as long: another import of it waits until this one has set back what it found, so
/// that neither takes the other's setting for its own, and none goes on reading a disk that the other has made
/// writable. The programs of udev leave a locked disk alone too (systemd's `BLOCK_DEVICE_LOCKING`).
pub struct Guarded {
    device: File,
    /// Name, such as `sdb`.
    pub name: String,
    was_read_only: bool,
}

impl Guarded {
    /// Sets the disks under these paths read-only, each once; all imports take them in one order, so that no two wait
    /// for each other. `wait` is called with the name of each that another process has locked.
    pub fn guard_all(paths: &[PathBuf], mut wait: impl FnMut(&str)) -> Result<Vec<Self>, Fault> {
        let devices = paths.iter().filter_map(|path| fs::metadata(path).ok()).map(|meta| meta.dev());
        let disks: BTreeSet<PathBuf> = devices.filter_map(disk_of).collect();
        let guarded = disks.iter().map(|disk| Self::guard(disk, &mut wait));
        guarded.filter_map(Result::transpose).collect()
    }

    /// Sets a disk read-only. `None` where that makes no sense: it is no block device, or a part of it is mounted
    /// writable, as the disk that the system runs from is.
    fn guard(disk: &Path, wait: &mut impl FnMut(&str)) -> Result<Option<Self>, Fault> {
        if is_mounted_writable(disk)? {
            return Ok(None);
        }
        let name = disk.file_name().unwrap_or_default().to_string_lossy().replace('!', "/");
        let node = Path::new("/dev").join(&name);
        let device = Lock::take(&node, || wait(&name))?.into_file();
        // It may have been mounted meanwhile.
        if is_mounted_writable(disk)? {
            return Ok(None);
        }
        let was_read_only = raw::is_read_only(&device).during("look at", &node)?;
        if !was_read_only {
            raw::set_read_only(&device, true).during("set read-only", &node)?;
        }
        Ok(Some(Self { device, name, was_read_only }))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if !self.was_read_only {
            // A stick that was pulled out has no state to restore.
            let _ = raw::set_read_only(&self.device, false);
        }
    }
}

/// The folder in sysfs of the whole disk that device `dev` is, or is a partition of.
fn disk_of(dev: u64) -> Option<PathBuf> {
    let part = fs::canonicalize(format!("/sys/dev/block/{}:{}", major(dev), minor(dev))).ok()?;
    if part.join("partition").exists() { part.parent().map(Path::to_owned) } else { Some(part) }
}

/// True if the disk, or a part of it, is mounted writable.
fn is_mounted_writable(disk: &Path) -> Result<bool, Fault> {
    let path = Path::new("/proc/self/mountinfo");
    Ok(is_written_to(disk, &fs::read_to_string(path).during("read", path)?))
}

/// True if a line of `mounts` (proc(5), mountinfo) mounts this disk, or a part of it, writable.
fn is_written_to(disk: &Path, mounts: &str) -> bool {
    let numbers = |folder: &Path| fs::read_to_string(folder.join("dev")).map(|text| text.trim().to_owned());
    let parts = fs::read_dir(disk).into_iter().flatten().filter_map(io::Result::ok).map(|entry| entry.path());
    let devices: Vec<String> =
        [disk.to_owned()].into_iter().chain(parts).filter_map(|path| numbers(&path).ok()).collect();
    mounts.lines().any(|line| {
        let mut fields = line.split(' ');
        let device = fields.nth(2).unwrap_or_default();
        let writable = |options: &str| options.split(',').any(|option| option == "rw");
        // A mount may be read-only over a file system that is written to: the last field counts too.
        let (own, whole) = (fields.nth(2).unwrap_or_default(), line.rsplit(' ').next().unwrap_or_default());
        devices.iter().any(|known| known == device) && (writable(own) || writable(whole))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_we_run_from_is_never_set_read_only() {
        let paths = ["/", "/proc", "/nonexistent"].map(PathBuf::from);
        assert!(Guarded::guard_all(&paths, |_| {}).is_ok_and(|guarded| guarded.is_empty()));
    }

    #[test]
    fn flags_are_those_of_the_mount() {
        let proc = Mount::of(Path::new("/proc")).unwrap();
        assert!(proc.flags.contains(&"nosuid") || proc.lacks.contains(&"nosuid"));
        assert_eq!(proc.flags.len() + proc.lacks.len(), 4);
        assert_eq!(Mount::of(Path::new("/nonexistent")), None);
    }
}
