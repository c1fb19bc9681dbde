//! Checks a log from its bytes alone: every entry is hashed again, the tree rebuilt, and the root
//! compared with the signed head. The stored tiles serve only to name the first bad entry.

use std::path::Path;

use super::note::Verifier;
use super::tiles::{self, LONGEST};
use super::tree::{self, Edge, WIDTH};
use crate::stored::{read_bundle, read_checkpoint};
use base::{Fault, durable};

/// Result of a check.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFinding {
    /// All entries are what the head promises.
    Whole {
        /// Number of entries.
        size: u64,
        /// Root of the tree, as in the checkpoint.
        root: tree::Hash,
    },
    /// Something is not as it was promised.
    Bad {
        /// The first entry at fault, counted from 0, if it can be told.
        entry: Option<u64>,
        /// Fault that was found.
        detail: String,
    },
}

/// Reads the public key beside a log.
pub fn read_vkey(folder: &Path) -> Result<Verifier, Fault> {
    let bytes = durable::read(&folder.join("vkey"), 4096)?;
    let verifier = str::from_utf8(&bytes).ok().and_then(Verifier::parse);
    verifier.ok_or_else(|| Fault::damaged(folder.to_string_lossy(), "the log's public key cannot be read"))
}

/// Checks the log in `folder` against its head, signed by `verifier`, giving each entry to `each`,
/// with the edge of the tree that ends with it.
/// Damage is a finding; a fault is that we could not look.
pub fn check(folder: &Path, verifier: &Verifier, mut each: impl FnMut(u64, &[u8], &Edge)) -> Result<LogFinding, Fault> {
    let head = match read_checkpoint(folder, verifier) {
        Ok(head) => head,
        // With the name of the file: its damage alone would not say what is missing.
        Err(fault @ Fault::Damaged { .. }) => return Ok(LogFinding::Bad { entry: None, detail: fault.to_string() }),
        Err(fault) => return Err(fault),
    };
    let mut edge = Edge::default();
    let mut suspect = None;
    while edge.size() < head.size {
        let first = edge.size();
        let index = first / WIDTH as u64;
        let width = usize::try_from(head.size - first).unwrap_or(WIDTH).min(WIDTH);
        let bad = |entry, detail: &str| Ok(LogFinding::Bad { entry: Some(entry), detail: detail.into() });
        let bytes = match read_bundle(folder, index, width) {
            Ok(bytes) => bytes,
            Err(Fault::Damaged { .. }) => {
                return bad(first, "the entry bundle that holds this entry is missing or too long");
            }
            Err(fault) => return Err(fault),
        };
        let Some(entries) = tiles::entries(&bytes) else {
            return bad(first, "the entry bundle that holds this entry cannot be read");
        };
        if entries.len() < width {
            return bad(first + entries.len() as u64, "the log has fewer entries than its signed head says");
        }
        let tile = durable::read(&folder.join(tiles::tile_path(0, index, width)), LONGEST);
        let promised = tile.ok().and_then(|bytes| tiles::hashes(&bytes)).unwrap_or_default();
        for (number, entry) in (first..).zip(entries.into_iter().take(width)) {
            let leaf = tree::leaf(entry);
            let place = usize::try_from(number % WIDTH as u64).unwrap_or_default();
            if suspect.is_none() && promised.get(place).is_some_and(|hash| *hash != leaf) {
                suspect = Some(number);
            }
            edge.push(leaf, &mut Vec::new());
            each(number, entry, &edge);
        }
    }
    if edge.root() == head.root {
        return Ok(LogFinding::Whole { size: head.size, root: head.root });
    }
    let detail = match suspect {
        Some(_) => "the entry differs from the one that the signed head covers",
        None => "the entries and the tiles were both changed: they do not match the signed head",
    };
    Ok(LogFinding::Bad { entry: suspect, detail: detail.into() })
}
