//! The Merkle tree of RFC 6962, section 2.1, kept by its right edge: for each tile level the
//! hashes of the last, unfinished tile. That is enough to append and to tell the root.

use sha2::{Digest as _, Sha256};

/// A node of the tree.
pub type Hash = [u8; 32];
/// Hashes in a full tile (C2SP tlog-tiles: height 8).
pub const WIDTH: usize = 256;

/// `SHA-256(0x00 || entry)`.
pub fn leaf(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// `SHA-256(0x01 || left || right)`.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root over `hashes`, each the root of a subtree of one size, the last perhaps of a smaller.
pub fn root_of(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => Sha256::digest([]).into(),
        [one] => *one,
        many => {
            // The largest power of two smaller than the number.
            let split = many.len().next_power_of_two() / 2;
            let (left, right) = many.split_at_checked(split).unwrap_or((many, &[]));
            node(&root_of(left), &root_of(right))
        }
    }
}

/// A tile that an append filled, or changed at the right edge.
#[derive(Debug, PartialEq, Eq)]
pub struct Tile {
    /// 0 for leaf hashes, each further level is 256 times coarser.
    pub level: usize,
    /// Counted from 0 within the level.
    pub index: u64,
    /// At most 256 hashes; fewer at the right edge.
    pub hashes: Vec<Hash>,
}

/// The right edge of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// The edge of a tree of `size` leaves, with the hashes of each level's unfinished tile.
    pub fn new(size: u64, levels: Vec<Vec<Hash>>) -> Self {
        Self { size, levels }
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf; gives the tiles that it filled to `full`.
    pub fn push(&mut self, leaf: Hash, full: &mut Vec<Tile>) {
        let mut carry = leaf;
        for level in 0.. {
            if level == self.levels.len() {
                self.levels.push(Vec::new());
            }
            let Some(hashes) = self.levels.get_mut(level) else { break };
            hashes.push(carry);
            if hashes.len() < WIDTH {
                break;
            }
            carry = root_of(hashes);
            let index = (self.size >> (8 * (level + 1))) & (u64::MAX >> 8);
            full.push(Tile { level, index, hashes: std::mem::take(hashes) });
        }
        self.size += 1;
    }

    /// Hashes of the unfinished tile of a level; empty where there is none.
    pub fn unfinished(&self, level: usize) -> &[Hash] {
        self.levels.get(level).map_or(&[], Vec::as_slice)
    }

    /// The unfinished tiles, as they lie on disk.
    pub fn partial(&self) -> impl Iterator<Item = Tile> {
        let size = self.size;
        self.levels.iter().enumerate().filter(|(_, hashes)| !hashes.is_empty()).map(move |(level, hashes)| Tile {
            level,
            index: size >> (8 * (level + 1)),
            hashes: hashes.clone(),
        })
    }

    /// The root of the whole tree.
    pub fn root(&self) -> Hash {
        let mut below = None;
        for hashes in &self.levels {
            let all: Vec<Hash> = hashes.iter().copied().chain(below).collect();
            if !all.is_empty() {
                below = Some(root_of(&all));
            }
        }
        below.unwrap_or_else(|| root_of(&[]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second opinion: the `ct-merkle` crate over the same leaves.
    #[test]
    fn agrees_with_another_implementation() {
        let mut other = ct_merkle::mem_backed_tree::MemoryBackedTree::<Sha256, Vec<u8>>::new();
        let mut edge = Edge::default();
        let mut leaves = Vec::new();
        for i in 0..1_000_u32 {
            let entry = i.to_be_bytes().to_vec();
            edge.push(leaf(&entry), &mut Vec::new());
            leaves.push(leaf(&entry));
            other.push(entry);
            if i % 37 == 0 || (250..260).contains(&i) {
                assert_eq!(edge.root().as_slice(), other.root().as_bytes().as_slice(), "{i}");
                assert_eq!(edge.root(), root_of(&leaves), "{i}");
            }
        }
    }

    #[test]
    fn three_levels_deep() {
        let mut edge = Edge::default();
        let mut full = Vec::new();
        for i in 0..70_000_u32 {
            edge.push(leaf(&i.to_be_bytes()), &mut full);
        }
        assert_eq!(full.iter().filter(|t| t.level == 0).count(), 273);
        assert_eq!(full.iter().filter(|t| t.level == 1).count(), 1);
        assert_eq!(full.iter().rfind(|t| t.level == 0).map(|t| t.index), Some(272));
        let partial: Vec<_> = edge.partial().map(|t| (t.level, t.index, t.hashes.len())).collect();
        assert_eq!(partial, [(0, 273, 112), (1, 1, 17), (2, 0, 1)]);
    }
}
