//! Reading of files and folders of ours: a file that is missing, no regular one, or not what was written is damage, and
//! a pipe at its place is not waited for.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufReader, Read as _, Seek as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::de::DeserializeOwned;

use super::{PIECE, TEMPORARY};
use crate::Digest;
use crate::error::{Fault, IoContext as _};
use crate::proven::DigestReader;

/// Longest JSON that is read into memory, in bytes.
const AT_ONCE: u64 = 8 << 20;

/// Reads the JSON at `path`, whose bytes must have this digest, so that nothing else is parsed. A longer one than 8 MiB
/// is never in memory as a whole: it is read twice, and what was parsed counts if it has the digest too, since somebody
/// may have written to the file between. Fault: damage.
pub fn read_json<T: DeserializeOwned>(path: &Path, digest: Digest) -> Result<T, Fault> {
    let damaged = |detail: &str| Fault::damaged(path.to_string_lossy(), detail);
    let differs = || damaged("the bytes of the file differ from those that were written");
    let unknown = |_| damaged("the JSON in the file is not of the form that this version of gaprelay reads");
    let mut file = open(path)?;
    if file.metadata().during("read", path)?.len() <= AT_ONCE {
        let mut bytes = Vec::new();
        file.take(AT_ONCE).read_to_end(&mut bytes).during("read", path)?;
        return if Digest::of(&bytes) == digest {
            serde_json::from_slice(&bytes).map_err(unknown)
        } else {
            Err(differs())
        };
    }
    if !DigestReader::new(BufReader::with_capacity(PIECE, &file)).ends_as(digest).during("read", path)? {
        return Err(differs());
    }
    file.rewind().during("read", path)?;
    let mut reader = BufReader::with_capacity(PIECE, DigestReader::new(file));
    let value = serde_json::from_reader(&mut reader);
    if !reader.into_inner().ends_as(digest).during("read", path)? {
        return Err(differs());
    }
    value.map_err(unknown)
}

/// The names in a folder, sorted, without what is in the making. Names that are not UTF-8 are none of ours, and left
/// out: [`foreign_names`] gives them to who looks for them.
pub fn names(path: &Path) -> Result<Vec<String>, Fault> {
    let names = all_names(path)?.into_iter().filter_map(|name| name.into_string().ok());
    Ok(names.filter(|name| !name.starts_with(TEMPORARY)).collect())
}

/// The names in a folder that are not UTF-8.
pub fn foreign_names(path: &Path) -> Result<Vec<OsString>, Fault> {
    let mut names = all_names(path)?;
    names.retain(|name| name.to_str().is_none());
    Ok(names)
}

pub(super) fn all_names(path: &Path) -> Result<Vec<OsString>, Fault> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).during("list", path)? {
        names.push(entry.during("list", path)?.file_name());
    }
    names.sort_unstable();
    Ok(names)
}

/// A file of ours, to be read; that it is missing or no regular file is damage. A pipe at its place is not waited for.
pub fn open(path: &Path) -> Result<File, Fault> {
    let damaged = |detail: &str| Fault::damaged(path.to_string_lossy(), detail);
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(rustix::fs::CWD, path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::NOTDIR) => return Err(damaged("the file is missing")),
        // A socket.
        Err(Errno::NXIO) => return Err(damaged("it is not a regular file")),
        Err(e) => return Err(e.into()).during("open", path),
    };
    let is_file = file.metadata().during("read", path)?.is_file();
    if is_file { Ok(file) } else { Err(damaged("it is not a regular file")) }
}

/// A whole file of ours; that it is missing, no regular file, or longer than `longest` bytes is damage. A pipe at its
/// place is not waited for.
pub fn read(path: &Path, longest: u64) -> Result<Vec<u8>, Fault> {
    let damaged = |detail: String| Fault::damaged(path.to_string_lossy(), detail);
    let file = open(path)?;
    let length = file.metadata().during("read", path)?.len();
    if length > longest {
        return Err(damaged(format!("the file has {length} bytes, and at most {longest} are expected")));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    file.take(longest + 1).read_to_end(&mut bytes).during("read", path)?;
    if bytes.len() as u64 > longest {
        return Err(damaged(format!("the file grew beyond the {longest} bytes that are expected")));
    }
    Ok(bytes)
}
