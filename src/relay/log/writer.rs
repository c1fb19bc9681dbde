//! Writer of a log: appends so that no cut loses or doubles an entry:
//!
//! 1. the head to come is announced, durably, under the log's signature ([`tlog::pending`]): entries beyond the signed
//!    head are known to be ours;
//! 2. entry bundles are replaced by longer ones, durably: the entries exist;
//! 3. full tiles are written durably, tiles at the edge plainly: they can be derived from 2;
//! 4. the head is signed, and the checkpoint replaced durably: the entries are promised.
//!
//! Stopping is safe at each step. A cut before the end of 2 leaves the old log, and perhaps some of the entries: no
//! head over them was signed, and they are removed. A cut after 2 leaves entries without a head: the next opening finds
//! them and goes on with 3, so that there are never two heads of one size. A bundle shorter than the head promises, or
//! a head that does not match, is damage: the log is not opened and imports stop. So are entries that were not
//! announced: whoever can write here and has no key would else have them signed.

use std::path::{Path, PathBuf};

use super::entry::{Entry, Event};
use base::{Fault, Timestamp, durable};
use tlog::note::{Checkpoint, NoteSigner, Verifier};
use tlog::stored::{read_bundle, read_checkpoint, wider};
use tlog::tail::{read_edge, stored_edge};
use tlog::tiles::{self, LONGEST};
use tlog::tree::{self, Edge, Tile, WIDTH};
use tlog::{nodes, pending, signed};

/// Fault of an entry that does not fit into a bundle.
const TOO_LONG: Fault = Fault::Internal("a log entry is longer than 65535 bytes");

/// Log open for appending. Its holder has the state's lock.
pub struct Log {
    folder: PathBuf,
    signer: NoteSigner,
    edge: Edge,
    /// Bytes of the unfinished bundle.
    bundle: Vec<u8>,
    /// Full bundles and tiles that no durable head promises yet.
    full: Vec<Tile>,
    full_bundles: Vec<(u64, Vec<u8>)>,
    last: Option<Entry>,
    /// Earliest time of the next entry.
    floor: Timestamp,
}

impl Log {
    /// Makes an empty log with a new key of this name, and opens it. Only `init` calls it.
    pub fn create(folder: &Path, origin: &str) -> Result<Self, Fault> {
        durable::create_dir(&folder.join("tile/entries"))?;
        durable::create_dir(&folder.join("tile/0"))?;
        let signer = NoteSigner::generate(origin)?;
        durable::replace_secret(&folder.with_extension("key"), format!("{}\n", signer.to_text()).as_bytes())?;
        durable::replace(&folder.join("vkey"), format!("{}\n", signer.verifier().to_text()).as_bytes())?;
        let empty = Checkpoint { origin: origin.to_owned(), size: 0, root: tree::root_of(&[]) };
        durable::replace(&folder.join("checkpoint"), signer.sign(&empty.to_text()).as_bytes())?;
        Self::open(folder)
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
            full: Vec::new(),
            full_bundles: Vec::new(),
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
    /// Stopping is safe: on a fault the entries are either not on the disk, or the next opening or append promises
    /// them.
    pub fn append(&mut self, time: Timestamp, events: Vec<Event>) -> Result<(), Fault> {
        if events.is_empty() {
            return Ok(());
        }
        let time = time.max(self.floor);
        // Nothing is changed in memory before all of them are known to fit.
        let mut entries = Vec::with_capacity(events.len());
        for event in events {
            let entry = Entry { time, event };
            let bytes = serde_json::to_vec(&entry).ok().filter(|bytes| bytes.len() <= tiles::LONGEST_ENTRY);
            entries.push((entry, bytes.ok_or(TOO_LONG)?));
        }
        self.floor = time;
        for (entry, bytes) in entries {
            self.push(&bytes)?;
            self.last = Some(entry);
        }
        self.promise()
    }

    /// Adds one entry in memory.
    fn push(&mut self, entry: &[u8]) -> Result<(), Fault> {
        tiles::push(&mut self.bundle, entry).ok_or(TOO_LONG)?;
        self.edge.push(tree::leaf(entry), &mut self.full);
        if self.edge.size().is_multiple_of(WIDTH as u64) {
            let (index, _) = bundle_position(self.edge.size());
            self.full_bundles.push((index, std::mem::take(&mut self.bundle)));
        }
        Ok(())
    }

    /// Steps 1 to 4. Stopping is safe: until the checkpoint is replaced the former head is in force, and the next
    /// opening goes on from the entries of step 2 if all of them are there; if not, nobody has seen a head over any of
    /// them.
    fn promise(&mut self) -> Result<(), Fault> {
        pending::write(&self.folder, &self.signer, &self.head())?;
        for (index, bytes) in &self.full_bundles {
            write_bundle(&self.folder.join(tiles::bundle_path(*index, WIDTH)), bytes)?;
        }
        if !self.bundle.is_empty() {
            let (index, width) = bundle_position(self.edge.size());
            write_bundle(&self.folder.join(tiles::bundle_path(index, width)), &self.bundle)?;
        }
        for tile in &self.full {
            let path = self.folder.join(tiles::tile_path(tile.level, tile.index, WIDTH));
            create_parent(&path)?;
            durable::replace(&path, tile.hashes.as_flattened())?;
        }
        self.write_edge()?;
        let head = self.signer.sign(&self.head().to_text());
        durable::replace(&self.folder.join("checkpoint"), head.as_bytes())?;
        self.full_bundles.clear();
        let full = std::mem::take(&mut self.full);
        self.remove_former(&full)
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

    /// Removes partial tiles and bundles that longer ones have replaced. Stopping is safe: the entries are promised,
    /// and a file that stays is removed by a later append.
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
                if tiles::width_of(&name).is_some_and(|former| former < width) {
                    durable::remove(&folder.join(name))?;
                }
            }
        }
        Ok(())
    }

    /// Reads the unfinished bundle, and the newest entry. They are those of the signed head: the next append writes
    /// them again, and nothing may be written over what was changed.
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

    /// Finishes an append that a cut interrupted: promises entries that are on the disk but under no signed head yet,
    /// if they are all of those that were announced. If some are missing, no head over them was ever signed: they are
    /// removed.
    fn finish_cut_append(&mut self) -> Result<(), Fault> {
        let damaged = || {
            Fault::damaged(
                self.folder.to_string_lossy(),
                "entries stand beyond its signed head that this relay did not announce there, or that cannot be read: somebody else put them there, or they were changed. Nothing was changed. Restore the log from a backup: gaprelay help backup",
            )
        };
        let (mut edge, mut entries, mut paths) = (self.edge.clone(), Vec::new(), Vec::new());
        while let Some((width, path)) = longer_bundle(&self.folder, &edge)? {
            let (bytes, promised) = (durable::read(&path, LONGEST)?, edge.unfinished(0));
            let have = promised.len();
            let bundle = tiles::entries(&bytes).filter(|bundle| {
                bundle.len() == width && bundle.iter().zip(promised).all(|(entry, hash)| tree::leaf(entry) == *hash)
            });
            for entry in bundle.ok_or_else(damaged)?.into_iter().skip(have) {
                edge.push(tree::leaf(entry), &mut Vec::new());
                entries.push(entry.to_vec());
            }
            paths.push(path);
        }
        if entries.is_empty() {
            return Ok(());
        }
        let announced = pending::read(&self.folder, &self.signer.verifier())?.ok_or_else(damaged)?;
        if edge.size() < announced.size && is_before_tiles(&self.folder, &self.edge) {
            // The last one first: what is left goes on where the head ends.
            for path in paths.iter().rev() {
                durable::remove(path)?;
                durable::sync_dir(&partial_folder(path))?;
            }
            return Ok(());
        }
        if (edge.size(), edge.root()) != (announced.size, announced.root) {
            return Err(damaged());
        }
        let newest = entries.last().and_then(|entry| serde_json::from_slice(entry).ok());
        self.last = Some(newest.ok_or_else(damaged)?);
        for entry in &entries {
            self.push(entry)?;
        }
        self.promise()
    }
}

/// True if nothing stands beyond this head but bundles, and what the head needs has not been replaced: so an append
/// leaves it that was cut before the last of its bundles. Beside an old checkpoint that was put back more is there, or
/// less.
fn is_before_tiles(folder: &Path, edge: &Edge) -> bool {
    let (index, have) = (edge.size() / WIDTH as u64, edge.unfinished(0).len());
    let is_there = have == 0 || folder.join(tiles::bundle_path(index, have)).exists();
    is_there && wider(&|width| folder.join(tiles::tile_path(0, index, width)), have).is_none()
}

/// Finds a bundle at the edge that has more entries than the edge, with the width that its name promises.
fn longer_bundle(folder: &Path, edge: &Edge) -> Result<Option<(usize, PathBuf)>, Fault> {
    let (index, have) = (edge.size() / WIDTH as u64, edge.unfinished(0).len());
    let of = |width| folder.join(tiles::bundle_path(index, width));
    let partial = partial_folder(&of(1));
    if partial.exists() {
        durable::sweep(&partial)?;
    }
    Ok(wider(&of, have).map(|width| (width, of(width))))
}

/// Writes a bundle. Stopping is safe: the file is replaced as a whole, or the former bundle stays.
fn write_bundle(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    create_parent(path)?;
    durable::replace(path, bytes)
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
