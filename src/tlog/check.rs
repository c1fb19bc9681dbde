//! Checks a log from its bytes alone, in one pass: every entry is hashed again, the tree rebuilt, and the root compared
//! with the signed head. Then every file below `tile/` is what follows from the entries, or what a cut leaves behind
//! (module `files`): agents, witnesses and auditors read those.

use std::path::{Path, PathBuf};

use super::note::{Checkpoint, Verifier};
use super::tiles::{self, Place};
use super::tree::{self, Edge, WIDTH};
use crate::stored::{find_bundle, read_checkpoint};
use base::{Fault, durable};

/// Most files that a finding names.
pub const MOST: usize = 1_024;

/// Result of a check.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFinding {
    /// All entries are what the head promises, and all tiles what follows from them.
    Whole {
        /// Number of entries.
        size: u64,
        /// Root of the tree, as in the checkpoint.
        root: tree::Hash,
    },
    /// All entries are what the head promises, but not all files are what follows from them. Nothing is lost:
    /// [`rebuild`](crate::rebuild::rebuild) makes them anew.
    Files {
        /// Number of entries.
        size: u64,
        /// Root of the tree, as in the checkpoint.
        root: tree::Hash,
        /// Files at fault, at most [`MOST`].
        files: Vec<FileFinding>,
        /// Number of all files at fault.
        count: u64,
    },
    /// Something is not as it was promised.
    Bad {
        /// The first entry at fault, counted from 0, if it can be told.
        entry: Option<u64>,
        /// Fault that was found.
        detail: String,
    },
}

/// File or folder below `tile/` that is not what follows from the entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFinding {
    /// Path below the log's folder.
    pub path: PathBuf,
    /// Fault that was found.
    pub fault: FileFault,
}

/// Fault of a file below `tile/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// A hash tile is not there.
    Missing(Place),
    /// A hash tile holds other bytes.
    Wrong(Place),
    /// No log of this size has the file or folder, or it holds other bytes than the one that replaced it.
    Foreign,
}

impl LogFinding {
    /// Finding about the entries from `entry` on, or about the log as a whole.
    pub(crate) fn bad(entry: impl Into<Option<u64>>, detail: &str) -> Self {
        Self::Bad { entry: entry.into(), detail: detail.into() }
    }

    /// Description for a person; `None` if all is well.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Whole { .. } => None,
            Self::Bad { detail, .. } => Some(detail.clone()),
            Self::Files { files, count, .. } => {
                let named = files.iter().take(3).map(|file| {
                    let fault = match file.fault {
                        FileFault::Missing(_) => "is missing",
                        FileFault::Wrong(_) => "was changed",
                        FileFault::Foreign => "does not belong to the log",
                    };
                    format!("{} {fault}", file.path.display())
                });
                let named = named.collect::<Vec<_>>().join(", ");
                let more = if *count > 3 { format!(", and {} more", count - 3) } else { String::new() };
                Some(format!("no entry is lost, but the stored hashes are not those of the entries: {named}{more}"))
            }
        }
    }
}

/// Reads the public key beside a log.
pub fn read_vkey(folder: &Path) -> Result<Verifier, Fault> {
    let bytes = durable::read(&folder.join("vkey"), 4096)?;
    let verifier = str::from_utf8(&bytes).ok().and_then(Verifier::parse);
    verifier.ok_or_else(|| Fault::damaged(folder.to_string_lossy(), "the log's public key cannot be read"))
}

/// Checks the log in `folder` against its head, signed by `verifier`, giving each entry to `each`,
/// with the edge of the tree that ends with it. A log that grows meanwhile is checked up to its newest head.
/// Damage is a finding; a fault is that we could not look.
pub fn check(folder: &Path, verifier: &Verifier, mut each: impl FnMut(u64, &[u8], &Edge)) -> Result<LogFinding, Fault> {
    let mut pass =
        Pass { folder, verifier, edge: Edge::default(), suspect: None, replaced: false, files: Vec::new(), count: 0 };
    loop {
        let head = match read_checkpoint(folder, verifier) {
            Ok(head) => head,
            // With the name of the file: its damage alone would not say what is missing.
            Err(fault @ Fault::Damaged { .. }) => return Ok(LogFinding::bad(None, &fault.to_string())),
            Err(fault) => return Err(fault),
        };
        if !has_key(folder, verifier)? {
            return Ok(LogFinding::bad(None, "the file vkey is not the public key of the log, as it was written"));
        }
        let finding = pass.look(&head, &mut each)?;
        // An append removes partial files that the former head needs: what was found in between is looked at again.
        if !read_checkpoint(folder, verifier).is_ok_and(|now| now.size > head.size) {
            return Ok(finding);
        }
    }
}

/// True if the public key beside the log is this one, to the byte. A copy that somebody made may be without.
fn has_key(folder: &Path, verifier: &Verifier) -> Result<bool, Fault> {
    match durable::read(&folder.join("vkey"), 4096) {
        Ok(bytes) => Ok(bytes == format!("{}\n", verifier.to_text()).as_bytes()),
        Err(Fault::Damaged { .. }) => Ok(std::fs::symlink_metadata(folder.join("vkey")).is_err()),
        Err(fault) => Err(fault),
    }
}

/// One pass over a log.
struct Pass<'a> {
    folder: &'a Path,
    verifier: &'a Verifier,
    edge: Edge,
    /// First entry that is not what its stored hash says.
    suspect: Option<u64>,
    /// True if a longer bundle was read in place of the one at the head's edge.
    replaced: bool,
    /// Full tiles at fault.
    files: Vec<FileFinding>,
    count: u64,
}

impl Pass<'_> {
    /// Goes on to this head.
    fn look(&mut self, head: &Checkpoint, each: &mut dyn FnMut(u64, &[u8], &Edge)) -> Result<LogFinding, Fault> {
        while self.edge.size() < head.size {
            if let Some(bad) = self.bundle(head.size, each)? {
                return Ok(bad);
            }
        }
        if self.edge.root() != head.root {
            let detail = match self.suspect {
                Some(_) => "the entry differs from the one that the signed head covers",
                None => "the entries and the tiles were both changed: they do not match the signed head",
            };
            return Ok(LogFinding::bad(self.suspect, detail));
        }
        let mut rest = crate::files::StoredFiles::new(self.folder, self.verifier, &self.edge);
        let bad = rest.compare()?;
        if self.replaced {
            let first = head.size - head.size % WIDTH as u64;
            return Ok(LogFinding::bad(
                first,
                "the partial bundle that ends with the signed head is missing, and a longer one is there: the file was removed, the checkpoint is an old one, or this copy was made while the log grew",
            ));
        }
        if let Some(bad) = bad {
            return Ok(bad);
        }
        let (mut files, count) = (self.files.clone(), self.count + rest.count);
        files.extend(rest.found.into_iter().take(MOST.saturating_sub(files.len())));
        Ok(match count {
            0 => LogFinding::Whole { size: head.size, root: head.root },
            _ => LogFinding::Files { size: head.size, root: head.root, files, count },
        })
    }

    /// Reads the next bundle, up to the head's size.
    fn bundle(&mut self, size: u64, each: &mut dyn FnMut(u64, &[u8], &Edge)) -> Result<Option<LogFinding>, Fault> {
        let (first, have) = (self.edge.size(), self.edge.unfinished(0).len());
        let index = first / WIDTH as u64;
        let width = usize::try_from(size - index * WIDTH as u64).unwrap_or(WIDTH).min(WIDTH);
        let bad = |entry, detail: &str| Ok(Some(LogFinding::bad(Some(entry), detail)));
        let (found, bytes) = match find_bundle(self.folder, index, width) {
            Ok(found) => found,
            Err(Fault::Damaged { .. }) => {
                return bad(first, "the entry bundle that holds this entry is missing, too long or no regular file");
            }
            Err(fault) => return Err(fault),
        };
        if crate::files::is_link(&self.folder.join(tiles::bundle_path(index, found))) {
            return bad(first, "the entry bundle that holds this entry is a link, not a file of the log");
        }
        let Some(entries) = tiles::entries(&bytes) else {
            return bad(first, "the entry bundle that holds this entry cannot be read");
        };
        if entries.len() < width {
            let end = index * WIDTH as u64 + entries.len() as u64;
            return bad(end, "the log has fewer entries than its signed head says");
        }
        if entries.len() != found {
            return bad(first, "the entry bundle that holds this entry has more entries than its name says");
        }
        if !entries.iter().zip(self.edge.unfinished(0)).all(|(entry, hash)| tree::leaf(entry) == *hash) {
            return bad(first, "entries before this one differ from those that the bundle held a moment ago");
        }
        self.replaced = found > width;
        let place = Place { level: Some(0), index, width };
        let tile = durable::read(&self.folder.join(place.path()), tiles::LONGEST);
        let promised = tile.ok().and_then(|bytes| tiles::hashes(&bytes)).unwrap_or_default();
        let mut full = Vec::new();
        for (number, entry) in (first..).zip(entries.into_iter().take(width).skip(have)) {
            let leaf = tree::leaf(entry);
            let place = usize::try_from(number % WIDTH as u64).unwrap_or_default();
            if self.suspect.is_none() && promised.get(place).is_some_and(|hash| *hash != leaf) {
                self.suspect = Some(number);
            }
            self.edge.push(leaf, &mut full);
            each(number, entry, &self.edge);
        }
        for tile in full {
            let place = Place { level: Some(tile.level), index: tile.index, width: WIDTH };
            if let Some(finding) = crate::files::compare(self.folder, place, tile.hashes.as_flattened())? {
                self.count += 1;
                if self.files.len() < MOST {
                    self.files.push(finding);
                }
            }
        }
        Ok(None)
    }
}
