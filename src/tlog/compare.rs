//! Compares a log with heads that were kept outside it: the memory that no log can be for itself. And
//! makes the proofs that outsiders take away.

use std::collections::BTreeMap;
use std::path::Path;

use super::check::{LogFinding, check};
use super::nodes::Nodes;
use super::note::{Checkpoint, Verifier};
use super::proof;
use super::receipt::{Growth, Receipt};
use super::tree::{Edge, Hash, WIDTH, root_of};
use crate::stored::{in_bundle, read_head};
use base::Fault;

/// Comparison of a log with a head that somebody kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum HeadComparison {
    /// The log is as it was.
    Same,
    /// The log has grown, and its beginning is as it was.
    Grown,
    /// The log is shorter than it was: it was cut, or an old copy of it restored.
    Shorter,
    /// The log has another history.
    Forked,
    /// The kept head is of another log.
    Foreign,
}

impl HeadComparison {
    /// True if the log has kept all that the head promised.
    pub fn is_well(self) -> bool {
        matches!(self, Self::Same | Self::Grown)
    }
}

/// Checks the log in `folder` from its bytes, as [`check`] does, and compares it with each of `kept`.
pub fn compare(
    folder: &Path,
    verifier: &Verifier,
    kept: &[Checkpoint],
    mut each: impl FnMut(&[u8]),
) -> Result<(LogFinding, Vec<HeadComparison>), Fault> {
    let mut roots: BTreeMap<u64, Hash> = BTreeMap::from([(0, root_of(&[]))]);
    let wanted: std::collections::BTreeSet<u64> = kept.iter().map(|head| head.size).collect();
    let finding = check(folder, verifier, |_, entry, edge: &Edge| {
        if wanted.contains(&edge.size()) {
            roots.insert(edge.size(), edge.root());
        }
        each(entry);
    })?;
    let end = match &finding {
        LogFinding::Whole { size, .. } | LogFinding::Files { size, .. } => Some(*size),
        LogFinding::Bad { .. } => None,
    };
    let verdicts = kept.iter().map(|head| {
        if head.origin != verifier.name() {
            return HeadComparison::Foreign;
        }
        match roots.get(&head.size) {
            None => HeadComparison::Shorter,
            Some(root) if *root != head.root => HeadComparison::Forked,
            Some(_) if Some(head.size) == end => HeadComparison::Same,
            Some(_) => HeadComparison::Grown,
        }
    });
    let verdicts = verdicts.collect();
    Ok((finding, verdicts))
}

/// The receipt of entry `index`. `None` if the log is shorter.
pub fn receipt(folder: &Path, verifier: &Verifier, index: u64) -> Result<Option<Receipt>, Fault> {
    let (head, note) = read_head(folder, verifier)?;
    if index >= head.size {
        return Ok(None);
    }
    let entry = in_bundle(folder, head.size, index / WIDTH as u64, |first, entries| {
        Ok(usize::try_from(index - first).ok().and_then(|place| entries.get(place)).map(|entry| entry.to_vec()))
    })?;
    let entry = entry.ok_or_else(|| unproven(folder))?;
    // Nothing is given out that an outsider would not believe.
    from_nodes(folder, head.size, |nodes| {
        let proof = proof::inclusion(nodes, index, head.size)?;
        let receipt = Receipt { entry: entry.clone(), index, proof, note: note.clone() };
        Ok(receipt.verify(verifier).is_some().then_some(receipt))
    })
    .map(Some)
}

/// The proof that the log grew from its first `old` entries. `None` if it is shorter.
pub fn growth(folder: &Path, verifier: &Verifier, old: u64) -> Result<Option<Growth>, Fault> {
    let (head, note) = read_head(folder, verifier)?;
    if old > head.size {
        return Ok(None);
    }
    from_nodes(folder, head.size, |nodes| {
        let (former, proof) = (proof::root(nodes, old)?, proof::consistency(nodes, old, head.size)?);
        let grew = proof::grew(old, &former, head.size, &head.root, &proof);
        Ok(grew.then(|| Growth { old, proof, note: note.clone() }))
    })
    .map(Some)
}

/// True if the first `former.0` entries of the log in `folder`, which has `size` at least, have the root `former.1`.
pub fn began_with(folder: &Path, size: u64, former: (u64, &Hash)) -> Result<bool, Fault> {
    let has = |nodes: &Nodes<'_>| proof::root(nodes, former.0).map(|root| root == *former.1);
    // Stored hashes that were changed say nothing about the entries.
    Ok(has(&Nodes::new(folder, size)).unwrap_or(false) || has(&Nodes::of_entries(folder, size))?)
}

/// Makes something of the stored hashes; or, where that does not hold, of hashes of the entries: a stored hash that was
/// changed stops nothing.
fn from_nodes<T>(folder: &Path, size: u64, make: impl Fn(&Nodes<'_>) -> Result<Option<T>, Fault>) -> Result<T, Fault> {
    if let Ok(Some(made)) = make(&Nodes::new(folder, size)) {
        return Ok(made);
    }
    make(&Nodes::of_entries(folder, size))?.ok_or_else(|| unproven(folder))
}

fn unproven(folder: &Path) -> Fault {
    Fault::damaged(folder.to_string_lossy(), "the entries of the log do not match its signed head")
}
