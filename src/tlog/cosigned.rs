//! Heads of a log that witnesses have cosigned, as the relay keeps them: `cosigned/<size>`, each a note with the
//! log's signature and theirs, which any reader of C2SP checkpoints can check.

use std::path::Path;

use super::compare::began_with;
use super::note::{Checkpoint, Verifier, parts};
use super::policy::WitnessPolicy;
use super::receipt::Growth;
use crate::stored::read_checkpoint;
use base::{Error, Fault, Reason, Refusal, Timestamp, durable};

/// Most heads that are kept while they wait for a quorum.
const MOST: usize = 64;
/// Longest note that is looked at, in bytes: a head, and some sixty signatures.
const LONGEST: usize = 16 << 10;

/// A head and who cosigned it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// The head.
    pub head: Checkpoint,
    /// The witnesses by the policy's names, and when each saw it.
    pub by: Vec<(String, Timestamp)>,
    /// True if these witnesses make the quorum.
    pub is_met: bool,
    /// The note.
    pub note: String,
}

fn of(verifier: &Verifier, policy: &WitnessPolicy, note: String) -> Option<Cosigned> {
    let head = verifier.head(&note)?;
    let by = policy.cosigners(&note);
    Some(Cosigned { head, is_met: !by.is_empty() && policy.is_met(&by), by, note })
}

/// The heads that are kept, newest first; those that the policy knows no witness of are left out.
pub fn kept(folder: &Path, verifier: &Verifier, policy: &WitnessPolicy) -> Result<Vec<Cosigned>, Fault> {
    let folder = folder.join("cosigned");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut kept = Vec::new();
    for name in durable::names(&folder)? {
        let note = String::from_utf8(durable::read(&folder.join(name), 65_536)?).unwrap_or_default();
        kept.extend(of(verifier, policy, note).filter(|cosigned| !cosigned.by.is_empty()));
    }
    kept.sort_by_key(|cosigned| std::cmp::Reverse(cosigned.head.size));
    Ok(kept)
}

/// Under which name the head of this size is kept: sorted, they are in their order.
fn file_name(size: u64) -> String {
    format!("{size:020}")
}

/// The names of those that are no heads of this log of their size with a cosignature under them: nobody reads them, and
/// somebody changed or cut them.
pub fn damaged(folder: &Path, verifier: &Verifier) -> Result<Vec<String>, Fault> {
    let folder = folder.join("cosigned");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut damaged = durable::names(&folder)?;
    damaged.retain(|name| {
        let note = durable::read(&folder.join(name), 65_536).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let is_whole = note.is_some_and(|note| {
            let head = verifier.head(&note);
            head.is_some_and(|head| file_name(head.size) == *name) && parts(&note).is_some_and(|(_, by)| by.len() > 1)
        });
        !is_whole
    });
    Ok(damaged)
}

/// Judges a cosigned head that was handed in: a note, or an `add-checkpoint` body with the answer behind it. `latest`:
/// the latest time that is believed of a witness. Gives what is kept once it counts, and the names that are new.
pub fn judge(
    folder: &Path,
    verifier: &Verifier,
    policy: &WitnessPolicy,
    text: &str,
    latest: Timestamp,
) -> Result<(Cosigned, Vec<String>), Error> {
    let refuse = |reason, detail: String| Err(Refusal::new(reason, detail).into());
    let note = Growth::parse(text).map_or_else(|| text.to_owned(), |growth| growth.note);
    if note.len() > LONGEST {
        let detail = format!("the signed note has {} bytes; the limit is {LONGEST}", note.len());
        return refuse(Reason::CosignatureMalformed, detail);
    }
    if parts(&note).is_none() {
        return refuse(Reason::CosignatureMalformed, "the text is not a signed note, or its last line was cut".into());
    }
    let Some(head) = verifier.head(&note) else {
        return refuse(
            Reason::CosignatureForeign,
            "the note is not a head of this relay's import log, signed by the log's key".into(),
        );
    };
    let now = read_checkpoint(folder, verifier)?;
    let same = head.size <= now.size && began_with(folder, now.size, (head.size, &head.root))?;
    if !same {
        let detail =
            format!("this log's key signed the head of {} entries, but it is not of this log's history", head.size);
        return refuse(Reason::CosignatureForked, detail);
    }
    let lines = policy.lines(&note);
    if lines.is_empty() {
        let detail = format!("no witness of witness.policy in config.toml signed the head of {} entries", head.size);
        return refuse(Reason::CosignatureUnknown, detail);
    }
    let before = kept(folder, verifier, policy)?.into_iter().find(|cosigned| cosigned.head == head);
    let known: Vec<String> = before.iter().flat_map(|cosigned| &cosigned.by).map(|(name, _)| name.clone()).collect();
    let new: Vec<&(String, &str)> = lines.iter().filter(|(name, _)| !known.contains(name)).collect();
    if new.is_empty() {
        return refuse(
            Reason::CosignatureRepeated,
            format!(
                "the cosignature of the head of {} entries by {} was handed in before",
                head.size,
                known.join(", ")
            ),
        );
    }
    let cosigners = policy.cosigners(&note);
    if let Some((name, time)) = cosigners.iter().find(|(name, time)| !known.contains(name) && *time > latest) {
        let detail =
            format!("witness {name} dates its cosignature {time}; the latest time that is taken now is {latest}");
        return refuse(Reason::CosignatureFuture, detail);
    }
    let base = match before {
        Some(cosigned) => cosigned.note,
        // The log's own line first, then those that count; nothing else of what was handed in is kept.
        None => verifier
            .alone(&note)
            .ok_or(Fault::Internal("the log's own signature is missing from a note that was verified"))?,
    };
    let note = new.iter().fold(base, |note, (_, line)| note + line + "\n");
    let names = new.iter().map(|(name, _)| name.clone()).collect();
    let cosigned = of(verifier, policy, note).ok_or(Fault::Internal("a cosigned head cannot be read back"))?;
    Ok((cosigned, names))
}

/// Keeps a head that was judged, durably, and lets go of those that it makes needless.
pub fn keep(folder: &Path, verifier: &Verifier, policy: &WitnessPolicy, cosigned: &Cosigned) -> Result<(), Fault> {
    let place = folder.join("cosigned");
    durable::create_dir(&place)?;
    durable::sweep(&place)?;
    let path = |size: u64| place.join(file_name(size));
    durable::replace(&path(cosigned.head.size), cosigned.note.as_bytes())?;
    let all = kept(folder, verifier, policy)?;
    let met = all.iter().position(|cosigned| cosigned.is_met).map_or(MOST, |at| (at + 1).min(MOST));
    all.iter().skip(met).try_for_each(|old| durable::remove(&path(old.head.size)))
}
