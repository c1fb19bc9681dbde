//! Ways to read what is not a role's business, and to leave something where it can be carried out.
#![expect(clippy::disallowed_methods, reason = "attempts at what nothing else here does, not durable writes")]

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, mknodat, setxattr, utimensat};

use super::{AttemptTargets, EscapeAttempt, NULL, attempt, numbers, path_bytes, wrong};
use base::raw::{self, Arg};

/// In the order of the table.
pub const ATTEMPTS: &[EscapeAttempt] = &[
    // Reading.
    attempt("read a secret file", |t| read(&t.folder.join("secret"))),
    attempt("read a file that anybody may read", |_| read(Path::new("/etc/passwd"))),
    attempt("read another process's environment", |t| read(Path::new(&format!("/proc/{}/environ", t.victim)))),
    attempt("read another process's memory map", |t| read(Path::new(&format!("/proc/{}/maps", t.victim)))),
    attempt("list the root folder", |_| fs::read_dir("/")?.next().transpose().map(drop)),
    attempt("list the processes", |_| fs::read_dir("/proc")?.next().transpose().map(drop)),
    attempt("read the kernel's log", kernel_log),
    attempt("open a file by its handle", by_handle),
    attempt("read the log's key", |t| read(&t.state().join("log/import.key"))),
    attempt("read what was handed in", |t| read(&t.state().join("inbox/file"))),
    attempt("read the spool", |t| read(&t.state().join("spool/file"))),
    attempt("read the config", |t| read(&t.state().join("config.toml"))),
    attempt("read the published sets", |t| read(&t.state().join("channels/file"))),
    attempt("read the import log's tiles", |t| read(&t.state().join("log/import/file"))),
    attempt("read the access log", |t| read(&t.state().join("log/access/file"))),
    attempt("see how far an import is", |t| read(&t.state().join("progress/file"))),
    attempt("read the medium", |t| read(&t.medium().join("file"))),
    // Writing to the medium, in every way there is.
    attempt("create a file on the medium", |t| create(t, &t.medium())),
    attempt("overwrite a file on the medium", |t| overwrite(&t.medium().join("file"))),
    attempt("append to a file on the medium", |t| append(&t.medium().join("file"))),
    attempt("truncate a file on the medium", |t| truncate(&t.medium().join("file"))),
    attempt("remove a file from the medium", |t| fs::remove_file(t.medium().join("spare-1"))),
    attempt("rename a file on the medium", |t| fs::rename(t.medium().join("spare-2"), t.medium().join("renamed"))),
    attempt("make a folder on the medium", |t| fs::create_dir(t.fresh(&t.medium()))),
    attempt("remove a folder from the medium", |t| fs::remove_dir(t.medium().join("empty"))),
    attempt("make a symbolic link on the medium", |t| symlink("secret", t.fresh(&t.medium()))),
    attempt("make a hard link on the medium", |t| fs::hard_link(t.medium().join("file"), t.fresh(&t.medium()))),
    attempt("make a FIFO on the medium", |t| node(t, FileType::Fifo)),
    attempt("make a device on the medium", |t| node(t, FileType::CharacterDevice)),
    attempt("change modes on the medium", |t| {
        fs::set_permissions(t.medium().join("file"), Permissions::from_mode(0o646))
    }),
    attempt("change owners on the medium", |t| chown(t.medium().join("file"), Some(12345), None)),
    attempt("change times on the medium", |t| touch(&t.medium().join("file"))),
    attempt("set an attribute on the medium", |t| {
        Ok(setxattr(t.medium().join("file"), c"user.x", b"x", XattrFlags::empty())?)
    }),
    attempt("open a file of the medium again, for writing", reopen),
    // Writing elsewhere.
    attempt("create a file in an open folder", |t| create(t, &t.folder.join("open"))),
    attempt("create a file in shared memory", |t| create(t, Path::new("/dev/shm"))),
    attempt("make a file in memory (memfd)", memfd),
    attempt("make a file without a name (O_TMPFILE)", nameless),
    attempt("read what a witness remembers", |t| read(&t.state().join("logs/file"))),
    attempt("remember what a witness signed", |t| overwrite(&t.state().join("logs/file"))),
    attempt("store an artifact", |t| create(t, &t.state().join("blobs"))),
    attempt("publish a set", |t| overwrite(&t.state().join("channels/file"))),
    attempt("say how far an import is", |t| overwrite(&t.state().join("progress/file"))),
    attempt("change what is trusted", |t| overwrite(&t.state().join("trust/file"))),
    attempt("append to the import log", |t| append(&t.state().join("log/import/file"))),
    attempt("append to the server's journal by its name", |t| append(&t.state().join("log/access/journal"))),
    attempt("append to the sinkhole's journal by its name", |t| append(&t.state().join("log/access/journal-sinkhole"))),
    attempt("remove from the spool", |t| {
        let path = t.fresh(&t.state().join("spool"));
        create_at(&path)?;
        fs::remove_file(path)
    }),
    attempt("change the config", |t| overwrite(&t.state().join("config.toml"))),
    attempt("write to a disk or terminal device", |_| {
        let tty = writing().open("/dev/tty0").or_else(|_| writing().open("/dev/vda"));
        tty.or_else(|_| writing().open("/dev/kmsg")).map(drop)
    }),
    attempt("change a kernel setting", |_| writing().open("/proc/sys/kernel/core_pattern").map(drop)),
];

fn read(path: &Path) -> io::Result<()> {
    let mut byte = [0; 1];
    if File::open(path)?.read(&mut byte)? == 1 { Ok(()) } else { Err(wrong()) }
}

fn writing() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(libc::O_NONBLOCK);
    options
}

/// Creates a file and leaves none: what cannot be removed could not be created either.
fn create(targets: &AttemptTargets, folder: &Path) -> io::Result<()> {
    let path = targets.fresh(folder);
    let created = create_at(&path);
    let _ = fs::remove_file(path);
    created
}

/// Creates a file where none is. Outside of all layers this may be root, in a folder that anybody may write to: a link
/// or file at its place is another's, and stays as it is.
fn create_at(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)?.write_all(b"x")
}

fn overwrite(path: &Path) -> io::Result<()> {
    writing().open(path)?.write_all(b"y")
}

fn append(path: &Path) -> io::Result<()> {
    OpenOptions::new().append(true).open(path)?.write_all(b"y")
}

fn truncate(path: &Path) -> io::Result<()> {
    let mut path = path_bytes(path);
    raw::call(libc::SYS_truncate, [Arg::Bytes(&mut path), Arg::Number(4), NULL, NULL, NULL, NULL]).map(drop)
}

fn node(targets: &AttemptTargets, kind: FileType) -> io::Result<()> {
    let null = rustix::fs::makedev(1, 3);
    let device = if kind == FileType::Fifo { 0 } else { null };
    Ok(mknodat(CWD, targets.fresh(&targets.medium()), kind, Mode::RUSR, device)?)
}

fn touch(path: &Path) -> io::Result<()> {
    let then = Timespec { tv_sec: 1, tv_nsec: 0 };
    Ok(utimensat(CWD, path, &Timestamps { last_access: then, last_modification: then }, AtFlags::empty())?)
}

/// File that could be opened for reading, opened again for writing through its descriptor.
fn reopen(targets: &AttemptTargets) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let file = File::open(targets.medium().join("file"))?;
    writing().open(format!("/proc/self/fd/{}", file.as_raw_fd())).map(drop)
}

fn memfd(_: &AttemptTargets) -> io::Result<()> {
    rustix::fs::memfd_create("x", rustix::fs::MemfdFlags::empty()).map(drop).map_err(Into::into)
}

fn nameless(targets: &AttemptTargets) -> io::Result<()> {
    let flags = rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::WRONLY;
    rustix::fs::open(targets.folder.join("open"), flags, Mode::RUSR).map(drop).map_err(Into::into)
}

fn kernel_log(_: &AttemptTargets) -> io::Result<()> {
    /// `SYSLOG_ACTION_READ_ALL` (syslog(2)).
    const READ_ALL: i64 = 3;
    let mut buffer = vec![0; 4096];
    let length = i64::try_from(buffer.len()).unwrap_or(0);
    let args = [Arg::Number(READ_ALL), Arg::Bytes(&mut buffer), Arg::Number(length), NULL, NULL, NULL];
    raw::call(libc::SYS_syslog, args).map(drop)
}

fn by_handle(targets: &AttemptTargets) -> io::Result<()> {
    // struct file_handle: the size of what follows, filled in by the first call.
    let mut handle = [0_u8; 136];
    handle[..4].copy_from_slice(&128_u32.to_ne_bytes());
    let (mut mount, mut path) = ([0_u8; 8], path_bytes(&targets.folder.join("secret")));
    let here = i64::from(libc::AT_FDCWD);
    let args = [Arg::Number(here), Arg::Bytes(&mut path), Arg::Bytes(&mut handle), Arg::Bytes(&mut mount), NULL, NULL];
    raw::call(libc::SYS_name_to_handle_at, args)?;
    let opened =
        raw::call(libc::SYS_open_by_handle_at, [Arg::Number(here), Arg::Bytes(&mut handle), NULL, NULL, NULL, NULL])?;
    numbers(libc::SYS_close, [opened]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_at_a_name_is_not_touched() {
        let folder = base::durable::temporary_folder().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, b"another's").unwrap();
        symlink(&file, &link).unwrap();
        for path in [&file, &link] {
            assert_eq!(create_at(path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        }
        // Nor does a link lead to a file that is not there yet.
        let (ahead, missing) = (folder.path().join("ahead"), folder.path().join("missing"));
        symlink(&missing, &ahead).unwrap();
        create_at(&ahead).unwrap_err();
        assert!(!missing.exists());
        assert_eq!(fs::read(&file).unwrap(), b"another's");
    }

    #[test]
    fn a_file_is_created_and_none_is_left() {
        let folder = base::durable::temporary_folder().unwrap();
        create(&AttemptTargets::default(), folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
