//! Reserve: room on the disk that ordinary work never gets, so that what officers withdraw leaves where the disk is
//! full, too. It lies in `log/reserve/`, in pieces that nobody reads. They are given up before a withdrawal is written,
//! and made again after it; nothing new is shown until they are.

use std::fs;
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::{State, Trust};
use base::error::IoContext as _;
use base::name::json_number;
use base::{Fault, durable};
use serve::published::TUF;

/// Number of pieces. On a file system that counts files, each keeps one free as well.
const PIECES: u64 = 32;
/// Bytes for entries of the log, statements and pointers.
const SMALL_FILES: u64 = 4 << 20;

impl State {
    fn reserve(&self) -> PathBuf {
        self.root().join("log/reserve")
    }

    /// Length of a piece: all of them are what a withdrawal writes that changes every channel: each set and the
    /// repository for TUF clients once more, the trust file, and what is short.
    fn piece(&self, trust: &Trust) -> u64 {
        let length = |path: PathBuf| path.metadata().map_or(0, |meta| meta.len());
        let shown = trust.channels.iter().map(|(channel, shown)| match channel.as_str() {
            TUF => length(self.tuf_path(&format!("{}.json", shown.generation))),
            channel => length(self.set_path(channel, shown.generation)),
        });
        let bytes = SMALL_FILES + 2 * length(self.trust_path()) + shown.sum::<u64>();
        // In steps, so that it is not made anew with each set.
        bytes.div_ceil(PIECES).next_multiple_of(64 << 10)
    }

    /// True if less room is left on the disk than a whole reserve takes.
    fn is_disk_full(&self) -> bool {
        let pieces = (0..PIECES).filter_map(|piece| self.reserve().join(piece.to_string()).metadata().ok());
        let whole = pieces.map(|meta| meta.len()).max().unwrap_or_default().saturating_mul(PIECES);
        rustix::fs::statvfs(self.import_log()).is_ok_and(|disk| {
            let files = disk.f_files > 0 && disk.f_favail < 2 * PIECES;
            disk.f_bavail.saturating_mul(disk.f_frsize) < whole || files
        })
    }

    /// Gives the reserve up for a withdrawal, where the disk is full. Going on is safe where that fails: the write that
    /// finds no room says so.
    pub(crate) fn use_reserve(&self) {
        if self.is_disk_full() {
            self.give_up_reserve();
        }
    }

    /// Gives the reserve up.
    pub(crate) fn give_up_reserve(&self) {
        let _ = durable::remove(&self.reserve());
    }

    /// Makes what is missing of the reserve. Where there is no room for it, former sets leave, which nothing needs.
    /// Fault: there is no room.
    pub(crate) fn keep_reserve(&self, trust: &Trust) -> Result<(), Fault> {
        let made = self.make_reserve(trust);
        if !made.as_ref().is_err_and(is_full) {
            return made;
        }
        for (channel, shown) in trust.channels.iter().filter(|(channel, _)| *channel != TUF) {
            self.remove_sets_before(channel, shown.generation)?;
        }
        self.make_reserve(trust)
    }

    fn make_reserve(&self, trust: &Trust) -> Result<(), Fault> {
        let (folder, length) = (self.reserve(), self.piece(trust));
        if fs::symlink_metadata(&folder).is_ok_and(|meta| !meta.is_dir()) {
            durable::remove(&folder)?;
        }
        durable::create_dir(&folder)?;
        (0..PIECES).try_for_each(|piece| make_piece(&folder.join(piece.to_string()), length))
    }

    fn remove_sets_before(&self, channel: &str, shown: u64) -> Result<(), Fault> {
        for name in durable::names(&self.channel_path(channel))? {
            if let Some(generation) = json_number(&name).filter(|generation| *generation < shown) {
                durable::remove(&self.set_path(channel, generation))?;
            }
        }
        Ok(())
    }
}

/// Makes a piece, or gives one that is there the room that it has not: a backup is restored without it.
fn make_piece(path: &Path, length: u64) -> Result<(), Fault> {
    let found = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file);
    let has_room = |meta: &fs::Metadata| meta.len() >= length && meta.blocks().saturating_mul(512) >= length;
    if found.as_ref().is_some_and(has_room) {
        return Ok(());
    }
    let file = if found.is_some() { durable::open_again(path)? } else { durable::create(path, 0o600)? };
    let made = match fallocate(&file, FallocateFlags::empty(), 0, length) {
        Err(e @ (Errno::NOSPC | Errno::DQUOT)) => Err(e.into()),
        // A file system that keeps room only for what is written.
        Err(_) => {
            let missing = length.saturating_sub(file.metadata().during("read", path)?.len());
            let mut end = &file;
            end.seek(SeekFrom::End(0)).and_then(|_| io::copy(&mut io::repeat(0).take(missing), &mut end)).map(drop)
        }
        Ok(()) => Ok(()),
    };
    made.during("keep room for withdrawals in", path)
}

/// True if the cause of a fault is that the disk, or what this account may have of it, is full.
pub(crate) fn is_full(fault: &Fault) -> bool {
    matches!(fault, Fault::Io { source, .. } if [ErrorKind::StorageFull, ErrorKind::QuotaExceeded].contains(&source.kind()))
}
