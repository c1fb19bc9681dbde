//! Bundles on a medium: folders that hold `manifest.json` beside a signature or a payload, or `keyring.toml` beside a
//! signature. Everything is reached from the medium's root by descriptors, so no link is followed and no other path
//! exists.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Stat, statat};
use serde::{Deserialize, Serialize};

use super::open::{is_one_mount, open_folder};
use base::digest::Hasher;
use base::quoted::quoted_os;
use base::{Digest, Limits, Reason, Refusal};
use bundle::{keyring, signature};

/// Document that a bundle's signatures are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Document {
    /// The list of a feed's artifacts.
    Manifest,
    /// A keyring: a bundle without a payload.
    Keyring,
}

impl Document {
    /// File name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest.json",
            Self::Keyring => "keyring.toml",
        }
    }

    /// True for the name of a signature over it: `manifest.json.minisig`, or `manifest.json.<anything>.minisig`.
    pub fn is_signed_by(self, name: &[u8]) -> bool {
        let beside = name.strip_prefix(self.name().as_bytes());
        let is_one = |rest: &[u8]| match self {
            Self::Manifest => {
                rest.ends_with(signature::ENDING.as_bytes()) || rest.ends_with(signature::ML_DSA_ENDING.as_bytes())
            }
            Self::Keyring => rest.ends_with(signature::ENDING.as_bytes()),
        };
        beside.is_some_and(|rest| rest.starts_with(b".") && is_one(rest))
    }

    /// Limit on bytes read, and the reason code beyond it.
    pub fn limit(self, limits: &Limits) -> (u64, Reason) {
        match self {
            Self::Manifest => (limits.manifest.0, Reason::ManifestTooLarge),
            Self::Keyring => (keyring::LONGEST, Reason::KeyringTooLarge),
        }
    }
}

/// A folder that looks like a bundle.
#[derive(Clone, Debug)]
pub(crate) struct BundleFolder {
    /// Signed document.
    pub document: Document,
    /// The bundle's folder below the medium's root; empty if it is the root itself.
    pub folder: PathBuf,
    /// Names of its signature files, sorted.
    pub signatures: Vec<OsString>,
}

/// Content of a medium.
#[derive(Debug, Default)]
pub(crate) struct MediumSurvey {
    /// The bundles, by folder name.
    pub bundles: Vec<BundleFolder>,
    /// Files and folders that belong to none.
    pub unrelated: u64,
    /// Folders that could not be listed, escaped, with the reason.
    pub unreadable: Vec<String>,
    /// Digest over every name, kind, length and time seen: the medium's tree.
    pub tree: Option<Digest>,
}

/// Looks for bundles in `root` and all folders below it.
/// Refusals: `medium-entry-limit`, `medium-unreadable` (where the root itself cannot be listed).
pub(crate) fn find(root: BorrowedFd<'_>, limits: &Limits) -> Result<MediumSurvey, Refusal> {
    let mut walk = Walk { root, limits, entries: 1, survey: MediumSurvey::default(), tree: Hasher::new() };
    walk.visit(root, &PathBuf::new(), 0)?;
    let Walk { mut survey, tree, .. } = walk;
    let beside = |found: &BundleFolder| if found.document == Document::Manifest { 2 } else { 1 };
    let inside: u64 = survey.bundles.iter().map(|found| beside(found) + found.signatures.len() as u64).sum();
    survey.unrelated = survey.unrelated.saturating_sub(inside);
    survey.tree = Some(tree.finish());
    Ok(survey)
}

struct Walk<'a> {
    root: BorrowedFd<'a>,
    limits: &'a Limits,
    entries: u64,
    survey: MediumSurvey,
    tree: Hasher,
}

impl Walk<'_> {
    /// Looks into one folder, then into those below it.
    fn visit(&mut self, folder: BorrowedFd<'_>, path: &Path, depth: u64) -> Result<(), Refusal> {
        let room = self.limits.medium_entries.saturating_sub(self.entries);
        let names = match names(folder, room) {
            // Not even their names are kept: a folder may hold more of them than there is memory.
            Ok(names) if names.len() as u64 > room => {
                let detail = format!("the medium holds more than {} files and folders", self.limits.medium_entries);
                return Err(Refusal::new(Reason::MediumEntryLimit, detail));
            }
            Ok(names) => names,
            Err(e) if depth == 0 => return Err(unlistable(&e)),
            Err(e) => {
                self.survey.unreadable.push(format!("{}: {}", quoted_os(path), words(&e)));
                Vec::new()
            }
        };
        let found: Vec<BundleFolder> =
            [Document::Manifest, Document::Keyring].into_iter().filter_map(|it| bundle_in(it, &names, path)).collect();
        self.survey.unrelated += u64::from(depth > 0 && found.is_empty());
        self.survey.bundles.extend(found);
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
            let opened = open_folder(folder, OsStr::from_bytes(name.to_bytes()));
            let why = match opened.and_then(|opened| Ok((is_one_mount(self.root, &opened)?, opened))) {
                Ok((true, opened)) => {
                    self.visit(opened.as_fd(), &below, depth + 1)?;
                    continue;
                }
                Ok((false, _)) => "something else is mounted there, which is no part of the medium".into(),
                Err(e) => words(&e.into()),
            };
            self.survey.unrelated += 1;
            self.survey.unreadable.push(format!("{}: {why}", quoted_os(&below)));
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
    Refusal::new(Reason::MediumUnreadable, format!("the top folder of the medium cannot be listed: {}", words(error)))
}

fn words(error: &io::Error) -> String {
    quoted_os(error.to_string())
}

/// The folder as a bundle, if it holds such a document and something that belongs to it. A link or a FIFO of that
/// name counts as there: it is refused when opened, not passed over.
fn bundle_in(document: Document, names: &[CString], path: &Path) -> Option<BundleFolder> {
    let holds = |name: &[u8]| names.binary_search_by(|n| n.to_bytes().cmp(name)).is_ok();
    if !holds(document.name().as_bytes()) {
        return None;
    }
    let signatures: Vec<OsString> = names
        .iter()
        .filter(|name| document.is_signed_by(name.to_bytes()))
        .map(|name| OsStr::from_bytes(name.to_bytes()).to_owned())
        .collect();
    let has_payload = document == Document::Manifest && holds(b"payload.tar.gz");
    (has_payload || !signatures.is_empty()).then(|| BundleFolder { document, folder: path.to_owned(), signatures })
}
