//! Hashes of a log's tree, read from its tiles; a tile that a cut took is derived from what lies below
//! it. What is read is believed by nobody: a proof is checked against the signed head.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use super::tiles::{self, LONGEST};
use super::tree::{self, Hash, WIDTH};
use crate::stored::{read_bundle, wider};
use base::{Fault, durable};

/// The nodes of the tree of one size.
pub struct Nodes<'a> {
    folder: &'a Path,
    size: u64,
    /// True where stored tiles are not read.
    from_entries: bool,
    read: RefCell<BTreeMap<(usize, u64), Vec<Hash>>>,
}

impl<'a> Nodes<'a> {
    /// Nodes of the first `size` entries of the log in `folder`.
    pub fn new(folder: &'a Path, size: u64) -> Self {
        Self { folder, size, from_entries: false, read: RefCell::default() }
    }

    /// The same nodes from nothing but entries: for where stored tiles gave what the signed head does not fit. Slow,
    /// for entries are read.
    pub fn of_entries(folder: &'a Path, size: u64) -> Self {
        Self { from_entries: true, ..Self::new(folder, size) }
    }

    /// Number of entries.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the complete subtree over the `2^height` entries from `index * 2^height` on. Fault: the
    /// tree does not have it, or neither its tile nor what that is derived from can be read.
    pub fn node(&self, height: u32, index: u64) -> Result<Hash, Fault> {
        let missing = || Fault::damaged(self.folder.to_string_lossy(), "hashes of the log's tree are missing");
        let (level, within) = ((height / 8) as usize, height % 8);
        let first = index << within;
        let (tile, offset) = (first / WIDTH as u64, usize::try_from(first % WIDTH as u64).map_err(|_| missing())?);
        let mut read = self.read.borrow_mut();
        let hashes = match read.entry((level, tile)) {
            std::collections::btree_map::Entry::Occupied(kept) => kept.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                let there = (self.size >> (8 * level)).saturating_sub(tile * WIDTH as u64);
                let width = usize::try_from(there).unwrap_or(WIDTH).min(WIDTH);
                let found = if self.from_entries {
                    from_entries(self.folder, level, tile, width)
                } else {
                    stored(self.folder, level, tile, width).or_else(|| derived(self.folder, level, tile, width))
                };
                place.insert(found.ok_or_else(missing)?)
            }
        };
        hashes.get(offset..offset + (1 << within)).map(tree::root_of).ok_or_else(missing)
    }
}

/// A tile of `width` hashes, as it is stored; or the beginning of a wider one that replaced it.
pub fn stored(folder: &Path, level: usize, index: u64, width: usize) -> Option<Vec<Hash>> {
    let of = |width| folder.join(tiles::tile_path(level, index, width));
    let read = |width| durable::read(&of(width), LONGEST).ok();
    let bytes = read(width).or_else(|| read(wider(&of, width)?))?;
    let mut hashes = tiles::hashes(&bytes)?;
    (hashes.len() >= width).then(|| hashes.truncate(width))?;
    Some(hashes)
}

/// The same from what it is derived from.
pub fn derived(folder: &Path, level: usize, index: u64, width: usize) -> Option<Vec<Hash>> {
    let Some(below) = level.checked_sub(1) else {
        let bytes = read_bundle(folder, index, width).ok()?;
        return Some(tiles::entries(&bytes)?.get(..width)?.iter().map(|entry| tree::leaf(entry)).collect());
    };
    let first = index * WIDTH as u64;
    let child = |child| stored(folder, below, child, WIDTH).or_else(|| derived(folder, below, child, WIDTH));
    (first..first + width as u64).map(|index| child(index).map(|hashes| tree::root_of(&hashes))).collect()
}

/// The same from nothing but entries: all that lie below it are read.
pub fn from_entries(folder: &Path, level: usize, index: u64, width: usize) -> Option<Vec<Hash>> {
    let Some(below) = level.checked_sub(1) else { return derived(folder, level, index, width) };
    let first = index * WIDTH as u64;
    let child = |child| from_entries(folder, below, child, WIDTH).map(|hashes| tree::root_of(&hashes));
    (first..first + width as u64).map(child).collect()
}
