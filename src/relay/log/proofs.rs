//! Proofs of `tlog` over logs as the writer makes them, beside those of other implementations.

use base::{Fault, Timestamp};
use sha2::Sha256;
use tlog::check::{check, read_vkey};
use tlog::compare::{began_with, growth, receipt};
use tlog::nodes::Nodes;
use tlog::proof::{consistency, grew, includes, inclusion, root, root_before};
use tlog::stored::read_checkpoint;
use tlog::tree;
use tlog_tiles::tlog as ported_tlog;

use super::{Event, Log};

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
    check(&folder, &read_vkey(&folder).unwrap(), |_, entry, _| leaves.push(entry.to_vec())).map(drop).unwrap();
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
            assert_eq!(root_before(index, size, &proof), root(&nodes, index).unwrap(), "{index} of {size}");
            let ported = proof.iter().map(|hash| ported_tlog::Hash(*hash)).collect::<Vec<_>>();
            ported_tlog::check_record(&ported, size, ported_tlog::Hash(whole), index, ported_tlog::Hash(leaf)).unwrap();
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
            let ported = proof.iter().map(|hash| ported_tlog::Hash(*hash)).collect::<Vec<_>>();
            ported_tlog::check_tree(&ported, size, ported_tlog::Hash(whole), old, ported_tlog::Hash(former)).unwrap();
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

/// Stored hashes that were changed stop no proof: the entries give the same.
#[test]
fn a_changed_tile_stops_no_proof() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("log");
    Log::create(&folder, "test/1").unwrap();
    let mut log = Log::open(&folder).unwrap();
    log.append(Timestamp::from_secs(1), (0..700).map(|intent| Event::Interrupted { intent }).collect()).unwrap();
    let (vkey, former) = (read_vkey(&folder).unwrap(), root(&Nodes::new(&folder, 700), 300).unwrap());
    let proofs = || {
        let receipt = receipt(&folder, &vkey, 300).unwrap().unwrap().to_text();
        (receipt, growth(&folder, &vkey, 300).unwrap().unwrap().to_text())
    };
    let right = proofs();
    for tile in ["tile/0/000", "tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2"] {
        let mut bytes = std::fs::read(folder.join(tile)).unwrap();
        for byte in &mut bytes {
            *byte ^= 1;
        }
        base::durable::replace(&folder.join(tile), &bytes).unwrap();
        assert_eq!(proofs(), right, "{tile}");
        assert!(began_with(&folder, 700, (300, &former)).unwrap(), "{tile}");
        assert!(!began_with(&folder, 700, (300, &[7; 32])).unwrap(), "{tile}");
    }
}
