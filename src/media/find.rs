//! Bundles on a medium: folders that hold `manifest.json` beside a signature or a payload. Everything
//! is reached from the medium's root by descriptors, so no link is followed and no other path exists.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, openat, statat};

use crate::base::digest::Hasher;
use crate::base::quoted::quoted_os;
use crate::base::{Digest, Limits, Reason, Refusal};

/// A folder that looks like a bundle.
#[derive(Clone, Debug)]
pub struct Found {
    /// The bundle's folder below the medium's root; empty if it is the root itself.
    pub folder: PathBuf,
    /// Names of its signature files, sorted.
    pub signatures: Vec<OsString>,
}

/// What lies on a medium.
#[derive(Debug, Default)]
pub struct Survey {
    /// The bundles, by folder name.
    pub bundles: Vec<Found>,
    /// Files and folders that belong to none.
    pub unrelated: u64,
    /// Folders that could not be listed, escaped, with the reason.
    pub unreadable: Vec<String>,
    /// Digest over every name, kind, length and time seen: the medium's tree.
    pub tree: Option<Digest>,
}

/// Opens the medium's root for reading. A link is followed here, and here alone: the operator gave it.
pub fn open_root(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Opens the folder `name` in `folder`, through no link.
pub fn open_folder(folder: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(folder, name, flags, Mode::empty())
}

/// Looks for bundles in `root` and all folders below it.
/// Refusals: `medium-entry-limit`, `medium-unreadable` (where the root itself cannot be listed).
pub fn find(root: BorrowedFd<'_>, limits: &Limits) -> Result<Survey, Refusal> {
    let mut walk = Walk { limits, entries: 1, survey: Survey::default(), tree: Hasher::new() };
    walk.visit(root, &PathBuf::new(), 0)?;
    let Walk { mut survey, tree, .. } = walk;
    let inside: u64 = survey.bundles.iter().map(|b| 2 + b.signatures.len() as u64).sum();
    survey.unrelated = survey.unrelated.saturating_sub(inside);
    survey.tree = Some(tree.finish());
    Ok(survey)
}

struct Walk<'a> {
    limits: &'a Limits,
    entries: u64,
    survey: Survey,
    tree: Hasher,
}

impl Walk<'_> {
    /// Looks into one folder, then into those below it.
    fn visit(&mut self, folder: BorrowedFd<'_>, path: &Path, depth: u64) -> Result<(), Refusal> {
        let room = self.limits.medium_entries.saturating_sub(self.entries);
        let names = match names(folder, room) {
            // Not even their names are kept: a folder may hold more of them than there is memory.
            Ok(names) if names.len() as u64 > room => {
                let detail = format!("more than {} files and folders", self.limits.medium_entries);
                return Err(Refusal::new(Reason::MediumEntryLimit, detail));
            }
            Ok(names) => names,
            Err(e) if depth == 0 => return Err(unlistable(&e)),
            Err(e) => {
                self.survey.unreadable.push(format!("{}: {}", quoted_os(path), words(&e)));
                Vec::new()
            }
        };
        match bundle_in(&names, path) {
            Some(found) => self.survey.bundles.push(found),
            None => self.survey.unrelated += u64::from(depth > 0),
        }
        self.entries += names.len() as u64;
        for name in names {
            let below = path.join(OsStr::from_bytes(name.to_bytes()));
            let stat = statat(folder, &*name, AtFlags::SYMLINK_NOFOLLOW);
            self.note(&below, stat.as_ref().ok());
            let is_folder = stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
            if depth == self.limits.medium_depth {
                continue;
            }
            if !is_folder {
                self.survey.unrelated += 1;
                continue;
            }
            match open_folder(folder, OsStr::from_bytes(name.to_bytes())) {
                Ok(opened) => self.visit(opened.as_fd(), &below, depth + 1)?,
                Err(e) => {
                    self.survey.unrelated += 1;
                    self.survey.unreadable.push(format!("{}: {}", quoted_os(&below), words(&e.into())));
                }
            }
        }
        Ok(())
    }

    /// Takes an entry into the tree's digest: the time of the last access is left out, since reading
    /// sets it where the medium is not mounted read-only.
    fn note(&mut self, path: &Path, stat: Option<&Stat>) {
        let facts = stat.map(|s| (s.st_mode, s.st_size, s.st_mtime, s.st_mtime_nsec, s.st_ctime, s.st_ctime_nsec));
        self.tree.update(path.as_os_str().as_bytes());
        self.tree.update(format!("\0{facts:?}\0").as_bytes());
    }
}

/// The names in a folder but `.` and `..`, sorted by their bytes; no more than one beyond `most`.
fn names(folder: BorrowedFd<'_>, most: u64) -> io::Result<Vec<CString>> {
    let mut listing = Dir::new(folder.try_clone_to_owned()?)?;
    listing.rewind();
    let mut names = Vec::new();
    for entry in listing {
        let name = entry?.file_name().to_owned();
        if ![c".", c".."].contains(&name.as_c_str()) {
            names.push(name);
        }
        if names.len() as u64 > most {
            break;
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn unlistable(error: &io::Error) -> Refusal {
    Refusal::new(Reason::MediumUnreadable, format!("it cannot be listed: {}", words(error)))
}

fn words(error: &io::Error) -> String {
    quoted_os(error.to_string())
}

/// The folder as a bundle, if it holds a manifest and something that belongs to it. A link or a FIFO
/// of that name counts as there: it is refused when opened, not passed over.
fn bundle_in(names: &[CString], path: &Path) -> Option<Found> {
    let holds = |name: &CStr| names.binary_search_by(|n| n.as_c_str().cmp(name)).is_ok();
    if !holds(c"manifest.json") {
        return None;
    }
    let signatures: Vec<OsString> = names
        .iter()
        .filter(|name| is_signature_name(name.to_bytes()))
        .map(|name| OsStr::from_bytes(name.to_bytes()).to_owned())
        .collect();
    if signatures.is_empty() && !holds(c"payload.tar.gz") {
        return None;
    }
    Some(Found { folder: path.to_owned(), signatures })
}

/// `manifest.json.minisig` or `manifest.json.<anything>.minisig`.
fn is_signature_name(name: &[u8]) -> bool {
    name.starts_with(b"manifest.json.") && name.ends_with(b".minisig")
}
