//! One keeper at a time: whoever imports, approves, settles or collects holds the state's lock
//! (`flock(2)`, released by the kernel when the process ends, however it ends).

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::error::{Fault, IoContext as _};

/// Held until dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock on `path`, calling `wait` once before waiting for another holder.
    pub fn take(path: &Path, wait: impl FnOnce()) -> Result<Self, Fault> {
        let file = File::open(path).during("open", path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                wait();
                flock(&file, FlockOperation::LockExclusive).map_err(Into::into).during("lock", path)?;
            }
            Err(e) => return Err(e.into()).during("lock", path),
        }
        Ok(Self { _file: file })
    }
}
