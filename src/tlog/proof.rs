//! Proofs over the tree of RFC 6962, section 2.1: that an entry is in it, and that it grew out of a
//! smaller one. Making them needs the nodes of the tree; checking them needs nothing.

use super::nodes::Nodes;
use super::tree::{Hash, node};
use base::Fault;

/// Most hashes of a proof: the height of the largest tree.
pub const LONGEST: usize = 63;

/// The root over the first `size` entries; at most those that there are.
pub fn root(nodes: &Nodes<'_>, size: u64) -> Result<Hash, Fault> {
    if size == 0 { Ok(crate::tree::root_of(&[])) } else { range(nodes, 0, size) }
}

/// The proof that entry `index` is among the first `size` (RFC 6962, section 2.1.1).
pub fn inclusion(nodes: &Nodes<'_>, index: u64, size: u64) -> Result<Vec<Hash>, Fault> {
    let (mut begin, mut end, mut proof) = (0, size, Vec::new());
    while end - begin > 1 {
        let middle = begin + split(end - begin);
        if index < middle {
            proof.push(range(nodes, middle, end)?);
            end = middle;
        } else {
            proof.push(range(nodes, begin, middle)?);
            begin = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The proof that the first `old` entries are the beginning of the first `size` (RFC 6962, section 2.1.2).
/// Empty if `old` is 0 or `size`.
pub fn consistency(nodes: &Nodes<'_>, old: u64, size: u64) -> Result<Vec<Hash>, Fault> {
    if old == 0 || old >= size {
        return Ok(Vec::new());
    }
    let (mut begin, mut end, mut proof) = (0, size, Vec::new());
    while old != end {
        let middle = begin + split(end - begin);
        if old <= middle {
            proof.push(range(nodes, middle, end)?);
            end = middle;
        } else {
            proof.push(range(nodes, begin, middle)?);
            begin = middle;
        }
    }
    // The old root itself is known to whoever asks.
    if begin > 0 {
        proof.push(range(nodes, begin, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The largest power of two below `count`, which is at least 2.
fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// The root over entries `begin..end`, of which there is at least one.
fn range(nodes: &Nodes<'_>, begin: u64, end: u64) -> Result<Hash, Fault> {
    let count = end - begin;
    if count.is_power_of_two() {
        return nodes.node(count.ilog2(), begin / count);
    }
    let middle = begin + split(count);
    Ok(node(&range(nodes, begin, middle)?, &range(nodes, middle, end)?))
}

/// Whether `proof` shows that `leaf` is entry `index` of the tree of this size and root (RFC 9162, section
/// 2.1.3.2).
pub fn includes(leaf: Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut number, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if number & 1 == 1 || number == last {
            hash = node(sibling, &hash);
            while number & 1 == 0 && number != 0 {
                number >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, sibling);
        }
        number >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether `proof` shows that the tree of `size` and `root` begins with the one of `old` and `old_root` (RFC
/// 9162, section 2.1.4.2). Every tree grew out of the empty one; that needs no proof.
pub fn grew(old: u64, old_root: &Hash, size: u64, root: &Hash, proof: &[Hash]) -> bool {
    if old == 0 {
        return proof.is_empty() && *old_root == crate::tree::root_of(&[]);
    }
    if old >= size {
        return old == size && proof.is_empty() && old_root == root;
    }
    let (mut number, mut last) = (old - 1, size - 1);
    while number & 1 == 1 {
        number >>= 1;
        last >>= 1;
    }
    let mut rest = proof.iter();
    let first = if old.is_power_of_two() { Some(old_root) } else { rest.next() };
    let Some(first) = first else { return false };
    let (mut before, mut after) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if number & 1 == 1 || number == last {
            before = node(sibling, &before);
            after = node(sibling, &after);
            while number & 1 == 0 && number != 0 {
                number >>= 1;
                last >>= 1;
            }
        } else {
            after = node(&after, sibling);
        }
        number >>= 1;
        last >>= 1;
    }
    last == 0 && before == *old_root && after == *root
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::read_vkey;
    use crate::stored::read_checkpoint;
    use crate::tree;
    use base::Timestamp;
    use gaprelay::log::Event;
    use gaprelay::log::writer::Log;
    use sha2::Sha256;
    use tlog_tiles::tlog;

    /// Every proof over every tree of up to `MOST` entries, and a few over larger ones, is what the
    /// `ct-merkle` crate makes of the same entries and what `tlog_tiles` believes; and a changed one proves nothing.
    #[test]
    fn proofs_are_those_of_another_implementation() {
        const MOST: u64 = 40;
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("log");
        Log::create(&folder, "test/1").unwrap();
        let mut log = Log::open(&folder).unwrap();
        let event = |n| Event::Interrupted { intent: n };
        log.append(Timestamp::from_secs(1), (0..1_300).map(event).collect()).unwrap();
        assert_eq!(read_checkpoint(&folder, &read_vkey(&folder).unwrap()).unwrap().size, 1_300);
        let mut leaves = Vec::new();
        crate::check::check(&folder, &read_vkey(&folder).unwrap(), |_, entry, _| leaves.push(entry.to_vec()))
            .map(drop)
            .unwrap();
        let nodes = Nodes::new(&folder, 1_300);
        let sizes = (1..=MOST).chain([255, 256, 257, 511, 512, 513, 1_024, 1_299, 1_300]);
        for size in sizes {
            let mut other = ct_merkle::mem_backed_tree::MemoryBackedTree::<Sha256, Vec<u8>>::new();
            leaves.iter().take(usize::try_from(size).unwrap()).for_each(|leaf| other.push(leaf.clone()));
            let whole = root(&nodes, size).unwrap();
            assert_eq!(whole.as_slice(), other.root().as_bytes().as_slice());
            let step = if size <= MOST { 1 } else { 97 };
            for index in (0..size).step_by(step) {
                let at = usize::try_from(index).unwrap();
                let proof = inclusion(&nodes, index, size).unwrap();
                assert_eq!(proof.as_flattened(), other.prove_inclusion(at).as_bytes(), "{index} of {size}");
                let leaf = tree::leaf(&leaves[at]);
                assert!(includes(leaf, index, size, &proof, &whole));
                let ported = proof.iter().map(|hash| tlog::Hash(*hash)).collect::<Vec<_>>();
                tlog::check_record(&ported, size, tlog::Hash(whole), index, tlog::Hash(leaf)).unwrap();
                assert!(!includes(tree::leaf(b"other"), index, size, &proof, &whole));
                assert!(index == 0 || !includes(leaf, index - 1, size, &proof, &whole));
                assert!(!includes(leaf, size, size, &proof, &whole));
                for (at, _) in proof.iter().enumerate() {
                    let mut bad = proof.clone();
                    bad[at][7] ^= 1;
                    assert!(!includes(leaf, index, size, &bad, &whole));
                    bad.remove(at);
                    assert!(!includes(leaf, index, size, &bad, &whole));
                }
                let longer = [proof.as_slice(), &[whole]].concat();
                assert!(!includes(leaf, index, size, &longer, &whole));
            }
            for old in (1..=size).step_by(step) {
                let proof = consistency(&nodes, old, size).unwrap();
                let former = root(&nodes, old).unwrap();
                if old < size {
                    let theirs = other.prove_consistency(usize::try_from(size - old).unwrap());
                    assert_eq!(proof.as_flattened(), theirs.as_bytes(), "{old} to {size}");
                }
                assert!(grew(old, &former, size, &whole, &proof), "{old} to {size}");
                let ported = proof.iter().map(|hash| tlog::Hash(*hash)).collect::<Vec<_>>();
                tlog::check_tree(&ported, size, tlog::Hash(whole), old, tlog::Hash(former)).unwrap();
                assert!(!grew(old, &[9; 32], size, &whole, &proof), "{old} to {size}");
                assert!(!grew(old, &former, size, &[9; 32], &proof), "{old} to {size}");
                assert!(old == size || !grew(size, &whole, old, &former, &proof), "{size} back to {old}");
                for (at, _) in proof.iter().enumerate() {
                    let mut bad = proof.clone();
                    bad[at][7] ^= 1;
                    assert!(!grew(old, &former, size, &whole, &bad));
                    bad.remove(at);
                    assert!(!grew(old, &former, size, &whole, &bad));
                }
                let longer = [proof.as_slice(), &[whole]].concat();
                assert!(!grew(old, &former, size, &whole, &longer));
            }
        }
        assert!(grew(0, &tree::root_of(&[]), 5, &[1; 32], &[]) && !grew(0, &[0; 32], 5, &[1; 32], &[]));
    }

    /// Tiles that a cut took are derived; a tree without what it is derived from gives no proof.
    #[test]
    fn a_missing_tile_is_derived() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("log");
        Log::create(&folder, "test/1").unwrap();
        let mut log = Log::open(&folder).unwrap();
        log.append(Timestamp::from_secs(1), (0..700).map(|intent| Event::Interrupted { intent }).collect()).unwrap();
        let proof = inclusion(&Nodes::new(&folder, 700), 300, 700).unwrap();
        std::fs::remove_dir_all(folder.join("tile/0")).unwrap();
        std::fs::remove_dir_all(folder.join("tile/1")).unwrap();
        assert_eq!(inclusion(&Nodes::new(&folder, 700), 300, 700).unwrap(), proof);
        std::fs::remove_file(folder.join("tile/entries/001")).unwrap();
        assert!(matches!(inclusion(&Nodes::new(&folder, 700), 300, 700), Err(Fault::Damaged { .. })));
        assert!(Nodes::new(&folder, 700).node(0, 700).is_err());
    }
}
