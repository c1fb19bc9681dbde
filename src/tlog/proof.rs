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

/// Verifies that `proof` shows `leaf` to be entry `index` of the tree of this size and root (RFC 9162, section
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

/// Root over the first `index` entries, by a proof that [`includes`] entry `index` of a tree of this size: its hashes
/// on the left are those of the whole subtrees that the first `index` entries fall into, the smallest first.
pub fn root_before(index: u64, size: u64, proof: &[Hash]) -> Hash {
    let (mut number, mut last, mut root) = (index, size.saturating_sub(1), None);
    for sibling in proof {
        if number & 1 == 1 || number == last {
            root = Some(root.map_or(*sibling, |root| node(sibling, &root)));
            while number & 1 == 0 && number != 0 {
                number >>= 1;
                last >>= 1;
            }
        }
        number >>= 1;
        last >>= 1;
    }
    root.unwrap_or_else(|| crate::tree::root_of(&[]))
}

/// Verifies that `proof` shows the tree of `size` and `root` to begin with the one of `old` and `old_root` (RFC
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
