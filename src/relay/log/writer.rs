//! Appending to a log so that no cut loses or doubles anything:
//!
//! 1. the entry bundle is replaced by a longer one, durably: the entries exist;
//! 2. full tiles are written durably, tiles at the edge plainly: they can be derived from 1;
//! 3. the head is signed, and the checkpoint replaced durably: the entries are promised.
//!
//! A cut after 1 leaves entries without a head: the next opening finds them and goes on with 2, so
//! that there are never two heads of one size. A bundle shorter than the head promises, or a head
//! that does not match, is damage: the log stays shut and imports stop.

use std::path::{Path, PathBuf};

use super::entry::{Entry, Event};
use base::{Fault, Timestamp, durable};
use tlog::note::{Checkpoint, NoteSigner, Verifier};
use tlog::stored::{read_bundle, read_checkpoint};
use tlog::tiles::{self, LONGEST};
use tlog::tree::{self, Edge, Hash, Tile, WIDTH};
use tlog::{nodes, stored};

/// A log open for appending. Whoever has it holds the state's lock.
pub struct Log {
    folder: PathBuf,
    signer: NoteSigner,
    edge: Edge,
    /// The bytes of the unfinished bundle.
    bundle: Vec<u8>,
    last: Option<Entry>,
    /// No entry is appended with an earlier time.
    floor: Timestamp,
}

impl Log {
    /// Makes an empty log with a fresh key of this name. `init` alone calls it.
    pub fn create(folder: &Path, origin: &str) -> Result<(), Fault> {
        durable::create_dir(&folder.join("tile/entries"))?;
        durable::create_dir(&folder.join("tile/0"))?;
        let signer = NoteSigner::generate(origin)?;
        durable::replace_secret(&folder.with_extension("key"), format!("{}\n", signer.to_text()).as_bytes())?;
        durable::replace(&folder.join("vkey"), format!("{}\n", signer.verifier().to_text()).as_bytes())?;
        let empty = Checkpoint { origin: origin.to_owned(), size: 0, root: tree::root_of(&[]) };
        durable::replace(&folder.join("checkpoint"), signer.sign(&empty.to_text()).as_bytes())
    }

    /// Opens a log at its signed head, in a time that does not depend on its length, and finishes
    /// what a cut left.
    pub fn open(folder: &Path) -> Result<Self, Fault> {
        let name = folder.to_string_lossy().into_owned();
        let key = durable::read(&folder.with_extension("key"), 4096)?;
        let signer = str::from_utf8(&key).ok().and_then(NoteSigner::parse);
        let signer = signer.ok_or_else(|| Fault::damaged(&name, "the log's key cannot be read"))?;
        let head = read_checkpoint(folder, &signer.verifier())?;
        let edge = read_edge(folder, &head)?;
        let mut log = Self {
            folder: folder.to_owned(),
            signer,
            edge,
            bundle: Vec::new(),
            last: None,
            floor: Timestamp::default(),
        };
        log.load_bundle()?;
        log.finish_cut_append()?;
        log.floor = log.last.as_ref().map(|entry| entry.time).unwrap_or_default();
        Ok(log)
    }

    /// Number of entries.
    pub fn size(&self) -> u64 {
        self.edge.size()
    }

    /// What its signed head promises.
    pub fn head(&self) -> Checkpoint {
        let origin = self.signer.verifier().name().to_owned();
        Checkpoint { origin, size: self.edge.size(), root: self.edge.root() }
    }

    /// The newest entry.
    pub fn last(&self) -> Option<&Entry> {
        self.last.as_ref()
    }

    /// The latest moment the log knows to have passed.
    pub fn floor(&self) -> Timestamp {
        self.floor
    }

    /// Lets the next entry be as early as this, where officers say that a clock had run ahead.
    pub fn turn_back(&mut self, to: Timestamp) {
        self.floor = self.floor.min(to);
    }

    /// Appends events in one step; when it returns they are promised by a durable, signed head. Time does not go
    /// back in a log but by [`Self::turn_back`]: where the clock does, they have the time of the entry before.
    pub fn append(&mut self, time: Timestamp, events: Vec<Event>) -> Result<(), Fault> {
        if events.is_empty() {
            return Ok(());
        }
        let time = time.max(self.floor);
        self.floor = time;
        let mut tiles = Vec::new();
        for event in events {
            let entry = Entry { time, event };
            let bytes = serde_json::to_vec(&entry).map_err(|_| Fault::Internal("an entry cannot be written"))?;
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
        tiles::push(&mut self.bundle, entry).ok_or(Fault::Internal("an entry is longer than 65535 bytes"))?;
        self.edge.push(tree::leaf(entry), tiles);
        if self.edge.size().is_multiple_of(WIDTH as u64) {
            self.write_bundle(self.edge.size())?;
            self.bundle.clear();
        }
        Ok(())
    }

    /// Step 1.
    fn write_bundle(&self, size: u64) -> Result<(), Fault> {
        let (index, width) = bundle_position(size);
        let path = self.folder.join(tiles::bundle_path(index, width));
        create_parent(&path)?;
        durable::replace(&path, &self.bundle)
    }

    /// Steps 2 and 3.
    fn write_head(&self, full: &[Tile]) -> Result<(), Fault> {
        for tile in full {
            let path = self.folder.join(tiles::tile_path(tile.level, tile.index, WIDTH));
            create_parent(&path)?;
            durable::replace(&path, tile.hashes.as_flattened())?;
        }
        for tile in self.edge.partial() {
            let path = self.folder.join(tiles::tile_path(tile.level, tile.index, tile.hashes.len()));
            create_parent(&path)?;
            durable::replace_derived(&path, tile.hashes.as_flattened())?;
        }
        let head = self.signer.sign(&self.head().to_text());
        durable::replace(&self.folder.join("checkpoint"), head.as_bytes())?;
        self.remove_former(full)
    }

    /// Removes partial tiles and bundles that longer ones have replaced. One that stays after a cut
    /// is removed by a later append.
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

    /// Loads the unfinished bundle, and the newest entry.
    fn load_bundle(&mut self) -> Result<(), Fault> {
        let size = self.edge.size();
        let Some(last) = size.checked_sub(1) else { return Ok(()) };
        let (index, width) = (last / WIDTH as u64, to_width(last % WIDTH as u64 + 1));
        let bytes = read_bundle(&self.folder, index, width)?;
        let entries = tiles::entries(&bytes).filter(|entries| entries.len() >= width);
        let newest = entries.as_ref().and_then(|entries| entries.get(width - 1));
        let damaged = || Fault::damaged(self.folder.to_string_lossy(), "the log is shorter than its signed head");
        let newest = newest.ok_or_else(damaged)?;
        self.last =
            Some(serde_json::from_slice(newest).map_err(|e| {
                Fault::damaged(self.folder.to_string_lossy(), format!("entry {last} cannot be read: {e}"))
            })?);
        if width < WIDTH {
            for entry in entries.iter().flatten().take(width) {
                tiles::push(&mut self.bundle, entry);
            }
        }
        Ok(())
    }

    /// Goes on with entries that are durable but not promised yet.
    fn finish_cut_append(&mut self) -> Result<(), Fault> {
        let before = self.edge.size();
        let mut full = Vec::new();
        while let Some(bytes) = self.longer_bundle()? {
            let have = to_width(self.edge.size() % WIDTH as u64);
            let entries = tiles::entries(&bytes)
                .ok_or_else(|| Fault::damaged(self.folder.to_string_lossy(), "the newest entries cannot be read"))?;
            for entry in entries.iter().skip(have) {
                self.last = serde_json::from_slice(entry).ok();
                self.push(entry, &mut full)?;
            }
        }
        if self.edge.size() == before { Ok(()) } else { self.write_head(&full) }
    }

    /// A bundle at the edge with more entries than are promised.
    fn longer_bundle(&self) -> Result<Option<Vec<u8>>, Fault> {
        let (index, have) = (self.edge.size() / WIDTH as u64, to_width(self.edge.size() % WIDTH as u64));
        let whole = self.folder.join(tiles::bundle_path(index, WIDTH));
        if whole.exists() {
            return durable::read(&whole, LONGEST).map(Some);
        }
        let folder = partial_folder(&self.folder.join(tiles::bundle_path(index, 1)));
        if !folder.exists() {
            return Ok(None);
        }
        durable::sweep(&folder)?;
        let longest = durable::names(&folder)?.iter().filter_map(|name| name.parse::<usize>().ok()).max();
        match longest.filter(|width| *width > have) {
            Some(width) => durable::read(&folder.join(width.to_string()), LONGEST).map(Some),
            None => Ok(None),
        }
    }
}

/// Gives each entry from this number on to `take`; gives how many there are in all. They are read under the
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

/// Gives each entry from this number on and before the other, with its exact bytes, to `take`, of a log whose
/// head promises `size`.
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

/// Gives the entries of one bundle of a log of `size`, with the number of the first and how to read one,
/// to `look`. Fault: the bundle, or an entry, is not what was written.
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

/// The edge that the head promises: from the tiles, or, where a cut lost those, from what they are
/// derived from.
fn read_edge(folder: &Path, head: &Checkpoint) -> Result<Edge, Fault> {
    let is_right = |edge: &Edge| edge.root() == head.root;
    let stored = edge_from(head.size, |level, index, width| nodes::stored(folder, level, index, width));
    let derived = || edge_from(head.size, |level, index, width| nodes::derived(folder, level, index, width));
    stored.filter(is_right).or_else(|| derived().filter(is_right)).ok_or_else(|| {
        Fault::damaged(folder.to_string_lossy(), "the newest entries are missing, or do not match the signed head")
    })
}

fn edge_from(size: u64, read: impl Fn(usize, u64, usize) -> Option<Vec<Hash>>) -> Option<Edge> {
    let mut levels = Vec::new();
    let mut count = size;
    while count > 0 {
        let width = to_width(count % WIDTH as u64);
        let hashes = if width == 0 { Some(Vec::new()) } else { read(levels.len(), count / WIDTH as u64, width) };
        levels.push(hashes?);
        count /= WIDTH as u64;
    }
    Some(Edge::new(size, levels))
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
