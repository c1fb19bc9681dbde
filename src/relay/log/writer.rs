//! Writer of a log: appends so that no cut loses or doubles an entry:
//!
//! 1. the entry bundle is replaced by a longer one, durably: the entries exist;
//! 2. full tiles are written durably, tiles at the edge plainly: they can be derived from 1;
//! 3. the head is signed, and the checkpoint replaced durably: the entries are promised.
//!
//! Stopping is safe at each step. A cut before 1 leaves the old log. A cut after 1 leaves entries without a head: the
//! next opening finds them and goes on with 2, so that there are never two heads of one size. A bundle shorter than the
//! head promises, or a head that does not match, is damage: the log is not opened and imports stop.

use std::path::{Path, PathBuf};

use super::entry::{Entry, Event};
use base::{Fault, Timestamp, durable};
use tlog::note::{Checkpoint, NoteSigner, Verifier};
use tlog::stored::{read_bundle, read_checkpoint, wider};
use tlog::tail::{read_edge, stored_edge};
use tlog::tiles::{self, LONGEST};
use tlog::tree::{self, Edge, Tile, WIDTH};
use tlog::{nodes, signed, stored};

/// Log open for appending. Its holder has the state's lock.
pub struct Log {
    folder: PathBuf,
    signer: NoteSigner,
    edge: Edge,
    /// Bytes of the unfinished bundle.
    bundle: Vec<u8>,
    last: Option<Entry>,
    /// Earliest time of the next entry.
    floor: Timestamp,
}

impl Log {
    /// Makes an empty log with a new key of this name. Only `init` calls it.
    pub fn create(folder: &Path, origin: &str) -> Result<(), Fault> {
        durable::create_dir(&folder.join("tile/entries"))?;
        durable::create_dir(&folder.join("tile/0"))?;
        let signer = NoteSigner::generate(origin)?;
        durable::replace_secret(&folder.with_extension("key"), format!("{}\n", signer.to_text()).as_bytes())?;
        durable::replace(&folder.join("vkey"), format!("{}\n", signer.verifier().to_text()).as_bytes())?;
        let empty = Checkpoint { origin: origin.to_owned(), size: 0, root: tree::root_of(&[]) };
        durable::replace(&folder.join("checkpoint"), signer.sign(&empty.to_text()).as_bytes())
    }

    /// Opens a log at its signed head, in a time that does not depend on its length, and finishes an
    /// append that a cut interrupted. Stopping is safe: nothing is written before the head is checked.
    pub fn open(folder: &Path) -> Result<Self, Fault> {
        let key = durable::read(&folder.with_extension("key"), 4096)?;
        let signer = str::from_utf8(&key).ok().and_then(NoteSigner::parse);
        let signer = signer.ok_or_else(|| Fault::damaged(
                folder.with_extension("key").to_string_lossy(),
                "it is not the secret key of the log. Nothing was changed. Restore this file from a backup: gaprelay help backup",
            ))?;
        let head = read_checkpoint(folder, &signer.verifier())?;
        let stored = stored_edge(folder, &head);
        let is_stored = stored.is_some();
        let edge = stored.map_or_else(|| read_edge(folder, &head), Ok)?;
        let mut log = Self {
            folder: folder.to_owned(),
            signer,
            edge,
            bundle: Vec::new(),
            last: None,
            floor: Timestamp::default(),
        };
        log.load_bundle()?;
        if !is_stored {
            log.write_edge()?;
        }
        log.finish_cut_append()?;
        log.floor = log.last.as_ref().map(|entry| entry.time).unwrap_or_default();
        Ok(log)
    }

    /// Number of entries.
    pub fn size(&self) -> u64 {
        self.edge.size()
    }

    /// Head of the log: size and root that its signature promises.
    pub fn head(&self) -> Checkpoint {
        let origin = self.signer.verifier().name().to_owned();
        Checkpoint { origin, size: self.edge.size(), root: self.edge.root() }
    }

    /// Public key of the log.
    pub fn verifier(&self) -> Verifier {
        self.signer.verifier()
    }

    /// A JSON document of this format, signed with the log's key.
    pub fn sign(&self, format: &str, json: &[u8]) -> Result<Vec<u8>, Fault> {
        signed::sign(&self.signer, format, json).ok_or(Fault::Internal("what is to be signed is not a JSON object"))
    }

    /// Newest entry.
    pub fn last(&self) -> Option<&Entry> {
        self.last.as_ref()
    }

    /// Earliest time that the next entry can have.
    pub fn floor(&self) -> Timestamp {
        self.floor
    }

    /// Allows the next entry a time as early as this, where officers say that the clock had run ahead.
    pub fn turn_back(&mut self, to: Timestamp) {
        self.floor = self.floor.min(to);
    }

    /// Appends events in one step; when it returns they are promised by a durable, signed head. Time goes back in a log
    /// only by [`Self::turn_back`]: where the clock goes back, events get the time of the entry before.
    ///
    /// Stopping is safe: on a fault the entries are either not on the disk, or the next opening promises them.
    pub fn append(&mut self, time: Timestamp, events: Vec<Event>) -> Result<(), Fault> {
        if events.is_empty() {
            return Ok(());
        }
        let time = time.max(self.floor);
        self.floor = time;
        let mut tiles = Vec::new();
        for event in events {
            let entry = Entry { time, event };
            let bytes =
                serde_json::to_vec(&entry).map_err(|_| Fault::Internal("a log entry cannot be turned into JSON"))?;
            self.push(&bytes, &mut tiles)?;
            self.last = Some(entry);
        }
        if !self.bundle.is_empty() {
            self.write_bundle(self.edge.size())?;
        }
        self.write_head(&tiles)
    }

    /// Adds one entry in memory, and writes the bundle if it is full now.
    fn push(&mut self, entry: &[u8], tiles: &mut Vec<Tile>) -> Result<(), Fault> {
        tiles::push(&mut self.bundle, entry).ok_or(Fault::Internal("a log entry is longer than 65535 bytes"))?;
        self.edge.push(tree::leaf(entry), tiles);
        if self.edge.size().is_multiple_of(WIDTH as u64) {
            self.write_bundle(self.edge.size())?;
            self.bundle.clear();
        }
        Ok(())
    }

    /// Step 1. Stopping is safe: the file is replaced as a whole, or the former bundle stays.
    fn write_bundle(&self, size: u64) -> Result<(), Fault> {
        let (index, width) = bundle_position(size);
        let path = self.folder.join(tiles::bundle_path(index, width));
        create_parent(&path)?;
        durable::replace(&path, &self.bundle)
    }

    /// Steps 2 and 3. Stopping is safe: until the checkpoint is replaced the former head is in force, and the next opening goes on from the entries of step 1.
    fn write_head(&self, full: &[Tile]) -> Result<(), Fault> {
        for tile in full {
            let path = self.folder.join(tiles::tile_path(tile.level, tile.index, WIDTH));
            create_parent(&path)?;
            durable::replace(&path, tile.hashes.as_flattened())?;
        }
        self.write_edge()?;
        let head = self.signer.sign(&self.head().to_text());
        durable::replace(&self.folder.join("checkpoint"), head.as_bytes())?;
        self.remove_former(full)
    }

    /// Writes the partial tiles. Stopping is safe: one that a cut takes is derived, and written, by the next opening.
    fn write_edge(&self) -> Result<(), Fault> {
        for tile in self.edge.partial() {
            let path = self.folder.join(tiles::tile_path(tile.level, tile.index, tile.hashes.len()));
            create_parent(&path)?;
            durable::replace_derived(&path, tile.hashes.as_flattened())?;
        }
        Ok(())
    }

    /// Removes partial tiles and bundles that longer ones have replaced. Stopping is safe: the entries are promised, and
    /// a file that stays is removed by a later append.
    fn remove_former(&self, full: &[Tile]) -> Result<(), Fault> {
        for tile in full {
            durable::remove(&partial_folder(&self.folder.join(tiles::tile_path(tile.level, tile.index, 1))))?;
            if tile.level == 0 {
                durable::remove(&partial_folder(&self.folder.join(tiles::bundle_path(tile.index, 1))))?;
            }
        }
        let (index, width) = bundle_position(self.edge.size());
        let edges = self.edge.partial().map(|t| (tiles::tile_path(t.level, t.index, t.hashes.len()), t.hashes.len()));
        let bundle = (!self.bundle.is_empty()).then(|| (tiles::bundle_path(index, width), width));
        for (path, width) in edges.chain(bundle) {
            let folder = partial_folder(&self.folder.join(path));
            for name in durable::names(&folder)? {
                if name.parse::<usize>().is_ok_and(|former| former < width) {
                    durable::remove(&folder.join(name))?;
                }
            }
        }
        Ok(())
    }

    /// Reads the unfinished bundle, and the newest entry. They are those of the signed head: the next append writes them
    /// again, and nothing may be written over what was changed.
    fn load_bundle(&mut self) -> Result<(), Fault> {
        let size = self.edge.size();
        let Some(last) = size.checked_sub(1) else { return Ok(()) };
        let (index, width) = (last / WIDTH as u64, to_width(last % WIDTH as u64 + 1));
        let bytes = read_bundle(&self.folder, index, width)?;
        let entries = tiles::entries(&bytes).filter(|entries| entries.len() >= width);
        let damaged = |detail: &str| {
            let next = "Nothing was changed. Restore the log from a backup: gaprelay help backup";
            Fault::damaged(self.folder.to_string_lossy(), format!("{detail}. {next}"))
        };
        let entries =
            entries.ok_or_else(|| damaged("the log is shorter than its signed head: entries were lost or removed"))?;
        let newest = entries.get(width - 1).copied().unwrap_or_default();
        self.last = Some(serde_json::from_slice(newest).map_err(|e| {
            let detail = format!(
                "entry {last} of the log cannot be read ({e}); another version of gaprelay may have written it"
            );
            Fault::damaged(self.folder.to_string_lossy(), detail)
        })?);
        let is_promised = if width < WIDTH {
            entries.iter().zip(self.edge.unfinished(0)).all(|(entry, hash)| tree::leaf(entry) == *hash)
        } else {
            is_last_subtree(&self.folder, &self.edge)
        };
        if !is_promised {
            return Err(damaged("its newest entries are not those that the signed head covers: they were changed"));
        }
        if width < WIDTH {
            for entry in entries.iter().take(width) {
                tiles::push(&mut self.bundle, entry);
            }
        }
        Ok(())
    }

    /// Finishes an append that a cut interrupted: promises entries that are on the disk but under no signed head yet.
    fn finish_cut_append(&mut self) -> Result<(), Fault> {
        let before = self.edge.size();
        let mut full = Vec::new();
        let damaged = |folder: &Path| {
            Fault::damaged(
                folder.to_string_lossy(),
                "its newest entries, which have no signed head yet, cannot be read, or do not go on where the signed head ends. Restore the log from a backup: gaprelay help backup",
            )
        };
        while let Some((width, bytes)) = self.longer_bundle()? {
            let promised = self.edge.unfinished(0);
            let have = promised.len();
            let entries = tiles::entries(&bytes).filter(|entries| {
                entries.len() == width && entries.iter().zip(promised).all(|(entry, hash)| tree::leaf(entry) == *hash)
            });
            for entry in entries.ok_or_else(|| damaged(&self.folder))?.iter().skip(have) {
                self.last = Some(serde_json::from_slice(entry).map_err(|_| damaged(&self.folder))?);
                self.push(entry, &mut full)?;
            }
        }
        if self.edge.size() == before { Ok(()) } else { self.write_head(&full) }
    }

    /// Reads a bundle at the edge that has more entries than the head promises, with the width that its name promises.
    fn longer_bundle(&self) -> Result<Option<(usize, Vec<u8>)>, Fault> {
        let (index, have) = (self.edge.size() / WIDTH as u64, self.edge.unfinished(0).len());
        let of = |width| self.folder.join(tiles::bundle_path(index, width));
        let folder = partial_folder(&of(1));
        if folder.exists() {
            durable::sweep(&folder)?;
        }
        let Some(width) = wider(&of, have) else { return Ok(None) };
        Ok(Some((width, durable::read(&of(width), LONGEST)?)))
    }
}

/// True if the entries of the last full bundle, where a log ends with one, are those that its tree ends with.
fn is_last_subtree(folder: &Path, edge: &Edge) -> bool {
    let level = (1..8).find(|level| !edge.unfinished(*level).is_empty());
    let Some((level, last)) = level.and_then(|level| Some((level, edge.unfinished(level).last()?))) else {
        return false;
    };
    let index = (edge.size() - 1) >> (8 * level);
    nodes::from_entries(folder, level - 1, index, WIDTH).is_some_and(|hashes| tree::root_of(&hashes) == *last)
}

/// Passes each entry from this number on to `take`; returns the number of all entries. They are read under the
/// signed head; [`tlog::check::check`] proves them.
pub fn each_from(
    folder: &Path,
    verifier: &Verifier,
    number: u64,
    mut take: impl FnMut(u64, Entry),
) -> Result<u64, Fault> {
    let head = read_checkpoint(folder, verifier)?;
    each_between(folder, (number, head.size), head.size, |number, _, entry| {
        take(number, entry);
        Ok(())
    })?;
    Ok(head.size)
}

/// Passes each entry from the first number up to below the second, with its exact bytes, to `take`, of a log whose head
/// promises `size`.
pub fn each_between(
    folder: &Path,
    (mut number, end): (u64, u64),
    size: u64,
    mut take: impl FnMut(u64, &[u8], Entry) -> Result<(), Fault>,
) -> Result<(), Fault> {
    while number < end {
        number = in_bundle(folder, size, number / WIDTH as u64, |first, entries, read| {
            let skip = usize::try_from(number - first).unwrap_or_default();
            for (number, entry) in (first..end).zip(entries).skip(skip) {
                take(number, entry, read(entry)?)?;
            }
            Ok(first + entries.len() as u64)
        })?;
    }
    Ok(())
}

/// Passes the entries of one bundle of a log of `size` to `look`, with the number of the first and a function that reads
/// one. Fault: the bundle, or an entry, is not what was written.
pub fn in_bundle<T>(
    folder: &Path,
    size: u64,
    index: u64,
    look: impl FnOnce(u64, &[&[u8]], &dyn Fn(&[u8]) -> Result<Entry, Fault>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    stored::in_bundle(folder, size, index, |first, entries| {
        look(first, entries, &|entry| serde_json::from_slice(entry).map_err(|_| stored::bundle_damaged(folder, index)))
    })
}

/// Index and width of the bundle that ends at `size`, which is at least 1.
fn bundle_position(size: u64) -> (u64, usize) {
    let last = size.saturating_sub(1);
    (last / WIDTH as u64, to_width(last % WIDTH as u64 + 1))
}

fn to_width(width: u64) -> usize {
    usize::try_from(width).unwrap_or(WIDTH)
}

fn partial_folder(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_owned()
}

fn create_parent(path: &Path) -> Result<(), Fault> {
    durable::create_dir(path.parent().unwrap_or(path))
}
