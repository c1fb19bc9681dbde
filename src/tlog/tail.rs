//! Entries behind a head that is known, proven to be those of the signed head: who kept a head need not read the log
//! from its beginning to know what was added.

use std::path::Path;

use base::Fault;

use crate::nodes;
use crate::note::Checkpoint;
use crate::stored::in_bundle;
use crate::tree::{self, Edge, Hash, WIDTH};

/// Passes each entry from `known.size` on up to the end of `head` to `take`, with its number. What `take` was given
/// counts only once this returns: then the log had the head `known`, and these entries made it grow to `head`.
///
/// Fault: the log is shorter than `known`, or another, or an entry is not what was written.
pub fn each_after(
    folder: &Path,
    known: &Checkpoint,
    head: &Checkpoint,
    mut take: impl FnMut(u64, &[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let damaged = |what: &str| Fault::damaged(folder.to_string_lossy(), what);
    if known.size > head.size || known.origin != head.origin {
        return Err(damaged(
            "it is shorter than it was, or another log: it was replaced by an older copy. Nothing was changed. Restore the newest copy of the log: gaprelay help backup",
        ));
    }
    let mut edge = read_edge(folder, known)?;
    while edge.size() < head.size {
        in_bundle(folder, head.size, edge.size() / WIDTH as u64, |first, entries| {
            let skip = usize::try_from(edge.size() - first).unwrap_or(WIDTH);
            for entry in entries.iter().skip(skip) {
                let number = edge.size();
                edge.push(tree::leaf(entry), &mut Vec::new());
                take(number, entry)?;
            }
            Ok(())
        })?;
    }
    if edge.root() == head.root {
        Ok(())
    } else {
        Err(damaged(
            "its newest entries do not match the signed head. Nothing was changed. Restore the log from a backup: gaprelay help backup",
        ))
    }
}

/// Reads the edge that the head promises: from the tiles, or, where a cut lost those, from the entries that tiles are
/// derived from.
pub fn read_edge(folder: &Path, head: &Checkpoint) -> Result<Edge, Fault> {
    let derived = || edge_from(head.size, |level, index, width| nodes::derived(folder, level, index, width));
    let right = stored_edge(folder, head).or_else(|| derived().filter(|edge| edge.root() == head.root));
    right.ok_or_else(|| {
        Fault::damaged(
            folder.to_string_lossy(),
            "its newest entries or their hashes are missing, or do not match the signed head. Nothing was changed. See which with `gaprelay log verify`: hashes are made anew by `gaprelay log rebuild`; for entries, restore the log from a backup: gaprelay help backup",
        )
    })
}

/// Reads the edge from the tiles alone; `None` if one is missing or was changed.
pub fn stored_edge(folder: &Path, head: &Checkpoint) -> Option<Edge> {
    let stored = edge_from(head.size, |level, index, width| nodes::stored(folder, level, index, width));
    stored.filter(|edge| edge.root() == head.root)
}

fn edge_from(size: u64, read: impl Fn(usize, u64, usize) -> Option<Vec<Hash>>) -> Option<Edge> {
    let mut levels = Vec::new();
    let mut count = size;
    while count > 0 {
        let width = usize::try_from(count % WIDTH as u64).unwrap_or(WIDTH);
        let hashes = if width == 0 { Some(Vec::new()) } else { read(levels.len(), count / WIDTH as u64, width) };
        levels.push(hashes?);
        count /= WIDTH as u64;
    }
    Some(Edge::new(size, levels))
}
