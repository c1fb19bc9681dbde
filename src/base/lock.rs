//! One keeper at a time, and one supervisor: whoever imports, approves, settles or collects holds the state's lock
//! (`flock(2)`, released by the kernel when the process ends, however it ends).

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, openat};

use super::error::{Fault, IoContext as _};

/// Held until dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock on `path` if nobody holds it.
    pub fn try_take(path: &Path) -> Result<Option<Self>, Fault> {
        let file = Self::open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { file, path: path.to_owned() })),
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(e.into()).during("lock", path),
        }
    }

    /// A file or a folder; a pipe at its place is not waited for.
    fn open(path: &Path) -> Result<File, Fault> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        openat(CWD, path, flags, Mode::empty()).map(File::from).map_err(Into::into).during("open", path)
    }

    /// Process that holds a lock on `path`, as the kernel lists it (proc(5), `/proc/locks`); `None` where it cannot be
    /// seen.
    pub fn holder(path: &Path) -> Option<u32> {
        let meta = std::fs::metadata(path).ok()?;
        let (major, minor) = (rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev()));
        let place = format!("{major:02x}:{minor:02x}:{}", meta.ino());
        let locks = std::fs::read_to_string("/proc/locks").ok()?;
        locks.lines().find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let is_it = fields.get(1) == Some(&"FLOCK") && fields.get(5) == Some(&place.as_str());
            fields.get(4).filter(|_| is_it)?.parse().ok()
        })
    }

    /// Takes the lock on `path`, calling `wait` once before waiting for another holder.
    pub fn take(path: &Path, wait: impl FnOnce()) -> Result<Self, Fault> {
        if let Some(lock) = Self::try_take(path)? {
            return Ok(lock);
        }
        wait();
        let file = Self::open(path)?;
        flock(&file, FlockOperation::LockExclusive).map_err(Into::into).during("lock", path)?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// The locked file: the lock ends when it is closed.
    pub fn into_file(self) -> File {
        self.file
    }

    /// Checks that the locked file is the one at its path. Fault: another was put in its place, so that somebody else
    /// may hold the lock on that.
    pub fn check(&self) -> Result<(), Fault> {
        let id = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
        let ours = self.file.metadata().map(id).during("read", &self.path)?;
        if std::fs::symlink_metadata(&self.path).map(id).is_ok_and(|there| there == ours) {
            return Ok(());
        }
        let what = "it was removed or replaced while this command held its lock, so that another command may be at work. Nothing more was written. Find out who did it; then run the command again";
        Err(Fault::damaged(self.path.to_string_lossy(), what))
    }
}
