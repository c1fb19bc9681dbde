//! Files below `tile/` of a log whose entries were proven: each is one that a log of this size has, with the bytes that
//! follow from the entries, or one that a cut append leaves behind. Names are listed folder by folder, nothing is kept
//! but what is found.
//!
//! ```text
//! up to the head's size     full tiles and bundles, and the partial ones at the edge     must be there
//!                           narrower partial ones, which later ones replaced             may be there
//! beyond                    announced bundles that go on where it ends: a cut append      may be there
//!                           tiles over those entries                                     may be there
//! ```
//!
//! A file may stand under a temporary name (`base::durable`): nobody reads it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::check::{FileFault, FileFinding, LogFinding, MOST};
use super::nodes;
use super::note::Verifier;
use super::pending;
use super::tiles::{self, LONGEST, Place};
use super::tree::{self, Edge, WIDTH};
use crate::stored::{read_bundle, wider};
use base::error::IoContext as _;
use base::{Fault, durable};

/// Bytes of a full tile.
const TILE: u64 = (WIDTH * 32) as u64;

/// Compares a hash tile that must be there with the bytes that follow from the entries.
pub(crate) fn compare(folder: &Path, place: Place, bytes: &[u8]) -> Result<Option<FileFinding>, Fault> {
    let path = folder.join(place.path());
    let fault = match durable::read(&path, TILE) {
        Ok(stored) if stored == bytes => return Ok(None),
        Err(Fault::Damaged { .. }) if std::fs::symlink_metadata(&path).is_err() => FileFault::Missing(place),
        Ok(_) | Err(Fault::Damaged { .. }) => FileFault::Wrong(place),
        Err(fault) => return Err(fault),
    };
    Ok(Some(FileFinding { path: place.path().into(), fault }))
}

/// True if a symbolic link stands at `path`.
pub(crate) fn is_link(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink())
}

/// Comparison of all files but the full tiles below the head's size, which the pass over the entries compares.
pub(crate) struct StoredFiles<'a> {
    folder: &'a Path,
    verifier: &'a Verifier,
    edge: &'a Edge,
    /// Files and folders beyond the head's size: a cut append may have left them.
    beyond: Vec<(Place, PathBuf, NameKind)>,
    /// Files at fault, at most [`MOST`].
    pub(crate) found: Vec<FileFinding>,
    /// Number of all files at fault.
    pub(crate) count: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum NameKind {
    File,
    Folder,
}

impl<'a> StoredFiles<'a> {
    /// Files of the log in `folder`, whose entries up to the head end with `edge`.
    pub(crate) fn new(folder: &'a Path, verifier: &'a Verifier, edge: &'a Edge) -> Self {
        Self { folder, verifier, edge, beyond: Vec::new(), found: Vec::new(), count: 0 }
    }

    /// Compares them. Gives what no tile made anew would mend: a fault in the entries.
    ///
    /// The order matters beside a keeper that appends: bundles are written before tiles, so what is listed first is
    /// covered by the entries that are read after.
    pub(crate) fn compare(&mut self) -> Result<Option<LogFinding>, Fault> {
        if let Some(bad) = self.list()? {
            return Ok(Some(bad));
        }
        for tile in self.edge.partial() {
            let place = Place { level: Some(tile.level), index: tile.index, width: tile.hashes.len() };
            let finding = compare(self.folder, place, tile.hashes.as_flattened())?;
            if let Some(finding) = finding {
                self.add(finding.path, finding.fault);
            }
        }
        let end = match self.unpromised()? {
            Ok(end) => end,
            Err(bad) => return Ok(Some(bad)),
        };
        if std::fs::symlink_metadata(self.folder.join(pending::NAME)).is_ok()
            && pending::read(self.folder, self.verifier)?.is_none()
        {
            self.add(pending::NAME.into(), FileFault::Foreign);
        }
        if end.size() > self.edge.size() && self.found.iter().any(|finding| self.is_overtaken(finding)) {
            let detail = "hashes that the signed head needs are missing, and those of more entries are there: the checkpoint is an old one, or this copy was made while the log grew";
            return Ok(Some(LogFinding::bad(None, detail)));
        }
        for (place, path, kind) in std::mem::take(&mut self.beyond) {
            let size = place.level_size(end.size());
            let is_right = match kind {
                // Made before its first file is.
                NameKind::Folder => {
                    place.index <= size / WIDTH as u64 && (size > 0 || place.level.unwrap_or_default() == 0)
                }
                NameKind::File if place.end() > size && place.level.is_none() => {
                    let detail = "entries stand beyond the signed head, and do not go on where it ends; the checkpoint is an old one, or somebody put them there";
                    return Ok(Some(LogFinding::bad(place.index * WIDTH as u64, detail)));
                }
                NameKind::File => place.end() <= size && self.is_beginning(place, &end)?,
            };
            if !is_right {
                self.add(path, FileFault::Foreign);
            }
        }
        Ok(None)
    }

    /// True if a partial tile at the edge is missing, and a wider one is there: an append removes the former one only
    /// when its own head is in force.
    fn is_overtaken(&self, finding: &FileFinding) -> bool {
        let FileFault::Missing(Place { level: Some(level), index, width }) = finding.fault else { return false };
        wider(&|width| self.folder.join(tiles::tile_path(level, index, width)), width).is_some()
    }

    fn add(&mut self, path: PathBuf, fault: FileFault) {
        self.count += 1;
        if self.found.len() < MOST {
            self.found.push(FileFinding { path, fault });
        }
    }

    /// Looks at every name below `tile/`.
    fn list(&mut self) -> Result<Option<LogFinding>, Fault> {
        if is_link(&self.folder.join("tile")) {
            return Ok(Some(LogFinding::bad(None, "the folder tile is a link, not a folder of the log")));
        }
        let mut folders = vec!["tile".to_owned()];
        while let Some(folder) = folders.pop() {
            let path = self.folder.join(&folder);
            let names = match std::fs::read_dir(&path) {
                // An append beside us removes folders of partial files.
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                names => names.during("list", &path)?,
            };
            for entry in names {
                let entry = entry.during("list", &path)?;
                let name = entry.file_name();
                let relative = Path::new(&folder).join(&name);
                let kind = match entry.file_type().during("list", &path)? {
                    kind if kind.is_dir() => NameKind::Folder,
                    kind if kind.is_file() => NameKind::File,
                    _ if relative.starts_with("tile/entries") => {
                        let detail =
                            format!("{} is no regular file: nothing but such files is read", relative.display());
                        return Ok(Some(LogFinding::bad(None, &detail)));
                    }
                    _ => {
                        self.add(relative, FileFault::Foreign);
                        continue;
                    }
                };
                let Some(text) = relative.to_str() else {
                    self.add(relative, FileFault::Foreign);
                    continue;
                };
                match kind {
                    NameKind::Folder if matches!(text, "tile/entries") => folders.push(text.to_owned()),
                    NameKind::Folder => self.sort_folder(text, &mut folders),
                    NameKind::File => self.sort_file(text)?,
                }
            }
        }
        Ok(None)
    }

    fn sort_folder(&mut self, path: &str, folders: &mut Vec<String>) {
        let Some(place) = Place::first_in(path) else { return self.add(path.into(), FileFault::Foreign) };
        let size = place.level_size(self.edge.size());
        if place.end() > size {
            self.put_off(place, path, NameKind::Folder);
        }
        folders.push(path.to_owned());
    }

    fn sort_file(&mut self, path: &str) -> Result<(), Fault> {
        let name = path.rsplit('/').next().unwrap_or_default();
        if let Some(making) = durable::final_name(name) {
            let final_path = format!("{}{making}", path.strip_suffix(name).unwrap_or_default());
            if Place::parse(&final_path).is_none() {
                self.add(path.into(), FileFault::Foreign);
            }
            return Ok(());
        }
        let Some(place) = Place::parse(path) else {
            self.add(path.into(), FileFault::Foreign);
            return Ok(());
        };
        let size = place.level_size(self.edge.size());
        let is_needed = place.width == WIDTH || place.end() == size;
        if place.end() > size {
            self.put_off(place, path, NameKind::File);
        } else if !is_needed && !self.is_beginning(place, self.edge)? {
            self.add(path.into(), FileFault::Foreign);
        }
        Ok(())
    }

    fn put_off(&mut self, place: Place, path: &str, kind: NameKind) {
        if self.beyond.len() < MOST {
            self.beyond.push((place, path.into(), kind));
        } else {
            self.add(path.into(), FileFault::Foreign);
        }
    }

    /// True if a file holds what the log that ends with `end` has at this place, whether or not it is needed. One that
    /// an append beside us has removed holds nothing wrong.
    fn is_beginning(&self, place: Place, end: &Edge) -> Result<bool, Fault> {
        let path = self.folder.join(place.path());
        let stored = match durable::read(&path, LONGEST) {
            Err(Fault::Damaged { .. }) => return Ok(std::fs::symlink_metadata(&path).is_err()),
            stored => stored?,
        };
        let is_at_edge = place.index == place.level_size(end.size()) / WIDTH as u64;
        let Some(level) = place.level else {
            let width = usize::try_from(end.size() % WIDTH as u64).ok().filter(|_| is_at_edge).unwrap_or(WIDTH);
            let Ok(whole) = read_bundle(self.folder, place.index, width) else { return Ok(false) };
            let count = tiles::entries(&stored).map_or(0, |entries| entries.len());
            return Ok(count == place.width && whole.starts_with(&stored));
        };
        let right = if is_at_edge {
            end.unfinished(level).get(..place.width).map(<[_]>::to_vec)
        } else if place.end() <= place.level_size(self.edge.size()) {
            // The full one is compared by the pass over the entries.
            nodes::stored(self.folder, level, place.index, WIDTH).map(|mut hashes| {
                hashes.truncate(place.width);
                hashes
            })
        } else {
            nodes::from_entries(self.folder, level, place.index, place.width)
        };
        Ok(right.is_some_and(|hashes| hashes.as_flattened() == stored))
    }

    /// Reads the entries that go on where the head ends, as a cut append leaves them: gives the edge that ends with
    /// them. They are those that the log's key announced, or the append was cut before all of them were there.
    fn unpromised(&self) -> Result<Result<Edge, LogFinding>, Fault> {
        let end = match self.beyond_head()? {
            Ok(end) if end.size() > self.edge.size() => end,
            other => return Ok(other),
        };
        let announced = pending::read(self.folder, self.verifier)?;
        let is_announced = announced
            .is_some_and(|head| end.size() < head.size || (end.size() == head.size && end.root() == head.root));
        if is_announced {
            return Ok(Ok(end));
        }
        let detail =
            "entries stand beyond the signed head that the log's key did not announce: somebody else put them there";
        Ok(Err(LogFinding::bad(self.edge.size(), detail)))
    }

    fn beyond_head(&self) -> Result<Result<Edge, LogFinding>, Fault> {
        let mut edge = self.edge.clone();
        loop {
            let (index, have) = (edge.size() / WIDTH as u64, edge.unfinished(0).len());
            let of = |width| self.folder.join(tiles::bundle_path(index, width));
            let Some(width) = wider(&of, have) else { return Ok(Ok(edge)) };
            let bytes = match durable::read(&of(width), LONGEST) {
                Ok(bytes) => bytes,
                Err(Fault::Damaged { .. }) => Vec::new(),
                Err(fault) => return Err(fault),
            };
            let entries = tiles::entries(&bytes).unwrap_or_default();
            let goes_on = entries.iter().zip(edge.unfinished(0)).all(|(entry, hash)| tree::leaf(entry) == *hash);
            if entries.len() != width || !goes_on {
                let detail = "entries that stand beyond the signed head cannot be read, or do not go on where it ends";
                return Ok(Err(LogFinding::bad(edge.size(), detail)));
            }
            entries.iter().skip(have).for_each(|entry| edge.push(tree::leaf(entry), &mut Vec::new()));
        }
    }
}
