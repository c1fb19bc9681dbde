//! Every durable write. A reader sees the old file or the whole new one, whatever is cut:
//!
//! 1. write a temporary file beside the target, and sync it: the bytes are on the disk;
//! 2. rename it over the target: the change is one step for every reader;
//! 3. sync the folder: the step itself is on the disk when the call returns.
//!
//! A cut before 2 leaves a temporary file, which nobody reads and [`sweep`] removes; a cut after 2
//! leaves the new file. Callers order several such writes so that each prefix of them is a state
//! they can go on from.
//!
//! Inside a folder that is ours alone (the state, a witness's memory), whatever stands in the place of a file is
//! removed, a folder too: somebody put it there, and it must keep nothing from being written. At a path that a user
//! chose a folder is the user's, and stays: there [`replace_output`] and [`create_output`] are used.

mod reading;

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::Serialize;

pub use reading::{foreign_names, names, open, read, read_json};
pub use tempfile::TempDir;

use super::Digest;
use super::digest::Hasher;
use super::error::{Fault, IoContext as _};

/// Temporary files begin with this; nothing else of ours does.
const TEMPORARY: &str = ".new-";

/// Flag of an open that does not follow a link in the last part of the path.
const NOFOLLOW: i32 = OFlags::NOFOLLOW.bits().cast_signed();

/// Bytes in memory at once of a file that is read or written piece by piece.
const PIECE: usize = 64 << 10;

/// Replaces `path`, in a folder of ours, by a file of these bytes, mode 0644, durably. A folder in its place is
/// removed.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    write(path, bytes, 0o644, Sync::Durable)
}

/// As [`replace`], at a path that a user chose. Fault: a folder is in its place, which stays.
pub fn replace_output(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    let temporary = beside(folder(path), &path.file_name().unwrap_or_default().to_string_lossy());
    check_no_folder(path)?;
    let mut file = create_output(&temporary, 0o644)?;
    file.write_all(bytes).during("write", &temporary)?;
    file.sync_all().during("sync", &temporary)?;
    fs::rename(&temporary, path).during("rename", path)?;
    sync_dir(folder(path))
}

/// As [`create`], at a path that a user chose. Fault: a folder is in its place, which stays.
pub fn create_output(path: &Path, mode: u32) -> Result<File, Fault> {
    check_no_folder(path)?;
    create_new(path, mode, |path| fs::remove_file(path).during("remove", path))
}

/// Checks that no folder stands where a user's file is to be written.
fn check_no_folder(path: &Path) -> Result<(), Fault> {
    let is_folder = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
    if is_folder { Err(io::Error::from(ErrorKind::IsADirectory)).during("write", path) } else { Ok(()) }
}

/// Replaces `path` by `value` as JSON, durably, and gives the digest of its bytes; they are never in
/// memory as a whole.
pub fn replace_json<T: Serialize + ?Sized>(path: &Path, value: &T) -> Result<Digest, Fault> {
    let mut hasher = Hasher::new();
    put(path, 0o644, Sync::Durable, |file| {
        let mut out = BufWriter::with_capacity(PIECE, Hashing { file, hasher: &mut hasher });
        serde_json::to_writer(&mut out, value)?;
        out.flush()
    })?;
    Ok(hasher.finish())
}

/// Hashes what is written.
struct Hashing<'a> {
    file: &'a mut File,
    hasher: &'a mut Hasher,
}

impl io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let wrote = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..wrote).unwrap_or(bytes));
        Ok(wrote)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As [`replace`], mode 0600, for secrets.
pub fn replace_secret(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    write(path, bytes, 0o600, Sync::Durable)
}

/// Replaces `path` whole but unsynced: for what can be derived again from durable files.
pub fn replace_derived(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    write(path, bytes, 0o644, Sync::Derived)
}

#[derive(Clone, Copy, PartialEq)]
enum Sync {
    Durable,
    Derived,
}

fn write(path: &Path, bytes: &[u8], mode: u32, sync: Sync) -> Result<(), Fault> {
    put(path, mode, sync, |file| file.write_all(bytes))
}

fn put(path: &Path, mode: u32, sync: Sync, content: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), Fault> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder(path).join(format!("{TEMPORARY}{name}"));
    let mut file = create(&temporary, mode)?;
    content(&mut file).during("write", &temporary)?;
    if sync == Sync::Durable {
        file.sync_all().during("sync", &temporary)?;
    }
    match fs::rename(&temporary, path) {
        // A folder in the place of a file of ours keeps nothing from being written: somebody put it there.
        Err(e) if e.kind() == ErrorKind::IsADirectory => {
            remove(path)?;
            fs::rename(&temporary, path).during("rename", path)?;
        }
        other => other.during("rename", path)?,
    }
    if sync == Sync::Durable { sync_dir(folder(path)) } else { Ok(()) }
}

/// A new empty file for writing, in a folder of ours. What stands in its place is removed, whatever it is: what a cut
/// run left, or a folder, a link or a pipe that somebody put there.
pub fn create(path: &Path, mode: u32) -> Result<File, Fault> {
    create_new(path, mode, remove)
}

/// A new empty file for writing; what stands in its place is removed by `clear`.
#[expect(clippy::disallowed_methods, reason = "the one place that creates files")]
fn create_new(path: &Path, mode: u32, clear: impl Fn(&Path) -> Result<(), Fault>) -> Result<File, Fault> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(mode);
    match options.open(path) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            clear(path)?;
            options.open(path).during("create", path)
        }
        other => other.during("create", path),
    }
}

/// A new empty file without a name in this folder, to be read and written, mode 0600; it is gone when it is closed.
/// Only who holds the state's lock may make one.
pub fn create_unnamed(folder: &Path) -> Result<File, Fault> {
    let flags = OFlags::TMPFILE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::openat(rustix::fs::CWD, folder, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(file.into()),
        // A file system that has no such files: it has a name for a moment.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
            let path = beside(folder, "unnamed");
            remove(&path)?;
            let file = create(&path, 0o600)?;
            remove(&path).map(|()| file)
        }
        Err(e) => Err(e.into()).during("create a file in", folder),
    }
}

/// A new folder for temporary files, mode 0700, under a name that nobody could have made before (as by `mkdtemp`); it
/// is removed with the value.
pub fn temporary_folder() -> Result<TempDir, Fault> {
    temporary_folder_in(&std::env::temp_dir())
}

/// As [`temporary_folder`], below this folder.
pub fn temporary_folder_in(place: &Path) -> Result<TempDir, Fault> {
    let mut builder = tempfile::Builder::new();
    let private = builder.prefix("gaprelay-").permissions(Permissions::from_mode(0o700));
    private.tempdir_in(place).during("make a folder in", place)
}

/// Makes an empty file, mode 0600, where there is none: one to be locked, which no other account may open. What is
/// there stays; a link at its place is not followed.
#[expect(clippy::disallowed_methods, reason = "the one place that creates files")]
pub fn make_private(path: &Path) -> Result<(), Fault> {
    let flags = NOFOLLOW | OFlags::NONBLOCK.bits().cast_signed();
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).custom_flags(flags).open(path).during("open", path).map(drop)
}

/// The file at `path` opened to append lines, made if it is not there. A link at its place is not followed, a pipe not
/// waited for. Fault: it is no regular file.
#[expect(clippy::disallowed_methods, reason = "the one place that creates files")]
pub fn open_append(path: &Path) -> Result<File, Fault> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o644).custom_flags(NOFOLLOW | OFlags::NONBLOCK.bits().cast_signed());
    let file = options.open(path).during("open", path)?;
    if file.metadata().during("read", path)?.is_file() {
        return Ok(file);
    }
    Err(Fault::damaged(path.to_string_lossy(), "it is not a regular file"))
}

/// As [`open_append`], for a file of lines that somebody chose, so that it may be a link: a line that a cut left
/// without its end is taken away.
#[expect(clippy::disallowed_methods, reason = "the one place that opens files for writing")]
pub fn open_append_lines(path: &Path) -> Result<File, Fault> {
    /// Looked at from the end for the last line's end, in bytes.
    const LONGEST: u64 = 1 << 20;
    let file = OpenOptions::new().append(true).create(true).mode(0o644).open(path).during("open", path)?;
    let length = file.metadata().during("read", path)?.len();
    let from = length.saturating_sub(LONGEST);
    let mut tail = Vec::new();
    let mut reader = OpenOptions::new().read(true).open(path).during("open", path)?;
    reader
        .seek(SeekFrom::Start(from))
        .and_then(|_| reader.take(LONGEST).read_to_end(&mut tail))
        .during("read", path)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    // What is no file, a FIFO say, has no length and nothing to take away; a file without any line is not ours.
    if whole < tail.len() && (whole > 0 || from == 0) {
        file.set_len(from + whole as u64).during("shorten", path)?;
    }
    Ok(file)
}

/// A file of ours that is there already, to be read and written in place.
#[expect(clippy::disallowed_methods, reason = "the one place that opens files for writing")]
pub fn open_again(path: &Path) -> Result<File, Fault> {
    OpenOptions::new().read(true).write(true).open(path).during("open", path)
}

/// Moves a finished, synced file or folder to its final name, durably.
pub fn settle(from: &Path, to: &Path) -> Result<(), Fault> {
    fs::rename(from, to).during("rename", to)?;
    sync_dir(folder(to))
}

/// Makes a folder and those above it, durably; no fault if it is there.
#[expect(clippy::disallowed_methods, reason = "the one place that creates folders")]
pub fn create_dir(path: &Path) -> Result<(), Fault> {
    if path.is_dir() {
        return Ok(());
    }
    let above = folder(path);
    create_dir(above)?;
    match fs::create_dir(path) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other.during("create folder", path),
    }?;
    sync_dir(above)
}

/// Puts a folder's names on the disk.
pub fn sync_dir(path: &Path) -> Result<(), Fault> {
    File::open(path).during("open", path)?.sync_all().during("sync", path)
}

/// Removes a file or folder with all in it; no fault if it is not there.
pub fn remove(path: &Path) -> Result<(), Fault> {
    let gone = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match gone {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other.during("remove", path),
    }
}

/// Removes the temporary files that a cut run left directly in `path`. Only who holds the state's
/// lock may: another's could be in the making.
pub fn sweep(path: &Path) -> Result<(), Fault> {
    for name in reading::all_names(path)? {
        if name.to_str().is_some_and(|name| name.starts_with(TEMPORARY)) {
            remove(&path.join(name))?;
        }
    }
    Ok(())
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(above) if above != Path::new("") => above,
        _ => Path::new("."),
    }
}

/// Final name of the file that is in the making under this name, if it is one.
pub fn final_name(name: &str) -> Option<&str> {
    name.strip_prefix(TEMPORARY)
}

/// A path beside `path` for a file in the making, swept after a cut.
pub fn beside(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{TEMPORARY}{name}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use std::os::unix::fs::FileExt as _;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Anything may have been put in the place of a file that is to be written.
    #[test]
    fn nothing_stands_in_the_way_of_a_file() {
        let folder = temporary_folder().unwrap();
        let (path, making) = (folder.path().join("file"), folder.path().join(".new-file"));
        let other = folder.path().join("other");
        replace(&other, b"theirs").unwrap();
        let in_the_way = |place: &Path, way: usize| match way {
            0 => create_dir(&place.join("x/y")).unwrap(),
            1 => symlink(&other, place).unwrap(),
            2 => fs::hard_link(&other, place).unwrap(),
            _ => rustix::fs::mknodat(rustix::fs::CWD, place, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
                .unwrap(),
        };
        for place in [&path, &making] {
            for way in 0..4 {
                remove(place).unwrap();
                in_the_way(place, way);
                replace(&path, b"ours").unwrap();
                assert_eq!(read(&path, 4).unwrap(), b"ours", "{way}");
                assert_eq!(fs::read(&other).unwrap(), b"theirs", "{way}");
                assert_eq!(names(folder.path()).unwrap(), ["file", "other"], "{way}");
            }
        }
    }

    /// At a path that a user chose a folder stays, with what is in it, under the name of the file and of the one in the
    /// making.
    #[test]
    fn a_users_folder_is_never_removed() {
        let folder = temporary_folder().unwrap();
        let (path, making) = (folder.path().join("file"), folder.path().join(".new-file"));
        for place in [&path, &making] {
            create_dir(&place.join("theirs")).unwrap();
            replace_output(&path, b"ours").unwrap_err();
            create_output(place, 0o644).unwrap_err();
            assert!(place.join("theirs").is_dir() && !path.is_file());
            remove(place).unwrap();
        }
        symlink("elsewhere", &making).unwrap();
        for text in [b"one", b"two"] {
            replace_output(&path, text).unwrap();
            assert_eq!(
                (read(&path, 4).unwrap(), names(folder.path()).unwrap()),
                (text.to_vec(), vec!["file".to_owned()])
            );
        }
        create_output(&path, 0o644).unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"");
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let folder = temporary_folder().unwrap();
        let path = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        open_append(&path).unwrap_err();
        assert!(read(&path, 4).unwrap_err().to_string().contains("not a regular file"));
    }

    /// Somebody writes to the file all the time: what is given has the digest, or is damage. One is read at once, the
    /// other twice.
    #[test]
    fn json_that_changes_between_two_reads_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for (number, count, turns) in [(1_u64, 50_000, 300), (1_111_111_111_111_111_111, 500_000, 10)] {
            let text = serde_json::to_vec(&vec![number; count]).unwrap();
            replace_derived(&path, &text).unwrap();
            let (digest, is_over) = (Digest::of(&text), AtomicBool::new(false));
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let file = open_again(&path).unwrap();
                    while !is_over.load(Ordering::Relaxed) {
                        for byte in [b"9", b"1"] {
                            file.write_all_at(byte, 1).unwrap();
                            std::thread::sleep(std::time::Duration::from_micros(300));
                        }
                    }
                });
                for _ in 0..turns {
                    if let Ok(found) = read_json::<Vec<u64>>(&path, digest) {
                        assert_eq!(found[0], number);
                    }
                }
                is_over.store(true, Ordering::Relaxed);
            });
            assert_eq!(read_json::<Vec<u64>>(&path, digest).unwrap().len(), count);
        }
    }
}
