//! Migration of a state folder from the first format to the present one, in which the log decides and what lies beside
//! it is proven by it: releases get a record whose digest is in the log, channels get pointers with proofs, and the
//! trust file is signed.
//!
//! New files are written beside the old ones, which stay; then the trust file is replaced, and with that step the state
//! is of the present format. A cut before it leaves a state of the former format, whose migration begins again. A
//! version that does not know the format refuses the trust file by its name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::release::{Digests, FORMAT, Packed, RECORD, Release};
use super::trust::OLDER;
use super::{LONGEST, SMALL, State, Trust, TrustReplay};
use crate::log::{Entry, Event, Log};
use crate::publish::set::switch;
use base::{Digest, Fault, Limits, Operator, Timestamp, durable};
use bundle::{Envelope, Manifest, ReleaseId, Rules, Signer, Verified};
use inspect::{Counts, Verdict};
use serve::pointer::FORMER;
use tlog::check::{LogFinding, check};

/// Import of a release as the log of the former format has it.
struct FormerImport {
    manifest: Digest,
    verdicts: Digest,
    counts: Counts,
    signers: Vec<Signer>,
    operator: Operator,
    /// Times of intent and outcome.
    times: (Timestamp, Timestamp),
}

/// Format of the state by the log, and its releases of the former one.
#[derive(Default)]
struct FormerLog {
    imports: BTreeMap<ReleaseId, FormerImport>,
    /// Releases that agents had, as FEED/VERSION.
    shown: BTreeSet<String>,
    /// True if the log ends with the records that a migration wrote, which was then cut.
    has_records: bool,
    /// True if the log has an entry that only the present format has: there was a migration, and it was finished.
    is_present: bool,
    started: Option<(Operator, Timestamp)>,
    announced: Vec<String>,
}

impl FormerLog {
    fn take(&mut self, entry: Entry) {
        let is_record = matches!(entry.event, Event::Recorded { .. });
        self.is_present |= self.has_records && !is_record;
        self.has_records = is_record;
        let announced = std::mem::take(&mut self.announced);
        match entry.event {
            Event::ImportStarted { operator, .. } => self.started = Some((operator, entry.time)),
            Event::Imported { record: Some(_), .. } | Event::Collected { .. } => self.is_present = true,
            Event::Imported { feed, version, manifest, verdicts, counts, signers, .. } => {
                if let Some((operator, started)) = self.started.take() {
                    let times = (started, entry.time);
                    let import = FormerImport { manifest, verdicts, counts, signers, operator, times };
                    self.imports.insert(ReleaseId { feed, version }, import);
                }
            }
            Event::PublishStarted { releases, .. } => self.announced = releases,
            Event::Published { releases, .. } => {
                self.is_present |= !releases.is_empty();
                self.shown.extend(announced);
            }
            _ => {}
        }
    }
}

/// Brings the state to the present format; gives its trust state. Fault: something of it is damaged; then it stays as
/// it is.
pub(crate) fn migrate(state: &State, log: &mut Log, former: &Trust, now: Timestamp) -> Result<Trust, Fault> {
    // 1. The log is of the former format too: in the present one nobody can vouch for a trust file without a signature.
    let damaged = |what: &str| Fault::damaged(state.trust_path().to_string_lossy(), what);
    let (replay, told) = read_log(state, log, Some(former.clone()))?;
    if told.is_present {
        return Err(damaged(
            "it is of the former format, and the import log is of the present one: somebody put it there. Nothing was changed. Restore the newest copy, or have two officers repair it: gaprelay repair",
        ));
    }

    // 2. What the former trust file says is what the log tells, no more and no less.
    if former.entries > log.size() {
        return Err(damaged(OLDER));
    }
    let (Some(known), Some(trust)) = (&replay.known, &replay.trust) else {
        return Err(Fault::Internal("a replay leaves no trust state"));
    };
    if !known.agrees_with_former(trust, replay.open) {
        return Err(damaged(
            "it does not agree with the import log, and the state cannot be brought to the present format. Nothing was changed. Two officers can have it made again from the log: gaprelay repair",
        ));
    }
    complete(state, log, now)
}

/// True if the log is of the former format, so that releases of the state may have no record in it.
pub(crate) fn is_needed(state: &State, log: &Log) -> Result<bool, Fault> {
    Ok(!read_log(state, log, None)?.1.is_present)
}

/// Brings a state to the present format whose log is of the former one. Its trust state is what the log tells, and
/// nothing of what lies beside it.
pub(crate) fn complete(state: &State, log: &mut Log, now: Timestamp) -> Result<Trust, Fault> {
    let (replay, told) = read_log(state, log, None)?;
    let trust = told_trust(state, replay)?;

    // 3. Each release that is kept gets a record; the log has its digest before the state is of the present format. All
    //    of them are one append: where a cut left them there, no other is added.
    let mut events = Vec::new();
    for (id, import) in told.imports.iter().filter(|_| !told.has_records) {
        if trust.accepted_manifest(&id.feed, id.version).is_some() && state.release_path(id).is_dir() {
            let record = record(state, &trust, id, import)?;
            let (ReleaseId { feed, version }, shown) = (id.clone(), told.shown.contains(&id.to_string()));
            events.push(Event::Recorded { feed, version, record, shown });
        }
    }
    log.append(now, events)?;

    // 4. Each channel gets a pointer to the set that the log says it shows.
    let trust = told_trust(state, read_log(state, log, None)?.0)?;
    for (channel, shown) in &trust.channels {
        switch(state, channel, shown.entry)?;
    }

    // 5. From this step on the state is of the present format.
    let head = log.head();
    let trust = Trust { entries: head.size, root: Digest(head.root), ..trust };
    trust.save(state, log)?;

    // Nobody reads the former pointers any more: one that a cut leaves here does no harm.
    for channel in trust.channels.keys() {
        durable::remove(&state.pointer_path(channel).with_file_name(FORMER))?;
    }
    Ok(trust)
}

/// Reads the whole log, every entry hashed again: the trust state that it makes, beside the one of the file, and what
/// it tells of the former format.
fn read_log(state: &State, log: &Log, known: Option<Trust>) -> Result<(TrustReplay, FormerLog), Fault> {
    let folder = state.import_log();
    let damaged = |detail: String| Fault::damaged(folder.to_string_lossy(), detail);
    let (mut replay, mut told) = (TrustReplay::beside(known), FormerLog::default());
    let finding = check(&folder, &log.verifier(), |number, bytes, edge| {
        replay.replay(number, bytes, edge);
        if let Ok(entry) = serde_json::from_slice(bytes) {
            told.take(entry);
        }
    })?;
    match (finding, replay.unread) {
        (LogFinding::Bad { detail, .. }, _) => Err(damaged(detail)),
        (_, Some(number)) => {
            Err(damaged(format!("entry {number} cannot be read; another version of gaprelay may have written it")))
        }
        (_, None) => Ok((replay, told)),
    }
}

fn told_trust(state: &State, replay: TrustReplay) -> Result<Trust, Fault> {
    let none = || Fault::damaged(state.import_log().to_string_lossy(), "it has no entry `initialised`");
    replay.trust.ok_or_else(none)
}

/// Writes the record of a release of the former format: what the log has of it is as it was. Returns its digest.
fn record(state: &State, trust: &Trust, id: &ReleaseId, import: &FormerImport) -> Result<Digest, Fault> {
    let folder = state.release_path(id);
    let mut digests = Digests::new();
    let names = durable::names(&folder)?.into_iter();
    for name in names.filter(|name| !matches!(name.as_str(), "pack" | "statements" | RECORD)) {
        digests.insert(name.clone(), super::fsck::digest_of(&folder.join(&name), 0, u64::MAX)?);
    }
    // What is judged from here on is what these digests are of: each read shows it again.
    let files = DigestedFiles { folder: &folder, digests: &digests };
    let release: Release = files.read_json("release.json")?;
    let needed = ["manifest.json", "verdicts.json", "pack.json", "items", "items.json"];
    let is_whole = release.signatures.iter().map(String::as_str).chain(needed).all(|name| digests.contains_key(name));
    if !is_whole || !is_as_imported(state, trust, (id, &release), import, &files)? || !is_packed(&files, import)? {
        return Err(Fault::damaged(
            folder.to_string_lossy(),
            "a file of this release is missing or differs from what the import log has, so the state cannot be brought to the present format. Nothing was changed. Restore the folder from a backup: gaprelay help backup",
        ));
    }
    durable::replace_json(&folder.join(RECORD), &digests)
}

/// Files of a release whose digests were taken.
struct DigestedFiles<'a> {
    folder: &'a Path,
    digests: &'a Digests,
}

impl DigestedFiles<'_> {
    /// Reads a file. Fault: damage, if these are not the bytes whose digest was taken.
    fn read(&self, name: &str) -> Result<Vec<u8>, Fault> {
        let (path, digest) = self.digested(name)?;
        let bytes = durable::read(&path, LONGEST)?;
        if Digest::of(&bytes) == digest { Ok(bytes) } else { Err(changed(&path)) }
    }

    /// Reads a file of JSON, likewise.
    fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T, Fault> {
        let (path, digest) = self.digested(name)?;
        durable::read_json(&path, digest)
    }

    fn digested(&self, name: &str) -> Result<(PathBuf, Digest), Fault> {
        let path = self.folder.join(name);
        match self.digests.get(name) {
            Some(digest) => Ok((path, *digest)),
            None => Err(Fault::damaged(path.to_string_lossy(), "the file is missing")),
        }
    }
}

fn changed(path: &Path) -> Fault {
    let what = "the file changed while the state was brought to the present format: another process writes to it. Nothing was changed. Find out which, then run the command again";
    Fault::damaged(path.to_string_lossy(), what)
}

/// True if the release is what the import log and its signed manifest say. The rest, which is what follows from its
/// items, nobody can prove: the log says so by the entry `recorded`.
fn is_as_imported(
    state: &State,
    trust: &Trust,
    (id, release): (&ReleaseId, &Release),
    import: &FormerImport,
    files: &DigestedFiles<'_>,
) -> Result<bool, Fault> {
    let Some(verified) = verify(state, trust, (id, release), import, files)? else { return Ok(false) };
    let (loss, suppressions, imported) = (release.loss, release.suppressions, release.imported);
    let operator = import.operator.clone();
    let mut told = Release::new(&verified, import.verdicts, import.counts, loss, suppressions, operator, imported);
    told.shared_names.clone_from(&release.shared_names);
    let json = |release: &Release| serde_json::to_value(release).ok();
    let (started, ended) = import.times;
    Ok(release.format == FORMAT
        && told.id() == *id
        && told.manifest == import.manifest
        && verified.signers() == import.signers
        && (started..=ended).contains(&imported)
        && json(&told) == json(release))
}

/// Verifies the manifest again, by the keyring of the time of the import.
fn verify(
    state: &State,
    trust: &Trust,
    (id, release): (&ReleaseId, &Release),
    import: &FormerImport,
    files: &DigestedFiles<'_>,
) -> Result<Option<Verified>, Fault> {
    let signatures = release.signatures.iter().map(|name| Ok((name.clone(), files.read(name)?)));
    let envelope =
        Envelope { document: files.read("manifest.json")?, signatures: signatures.collect::<Result<_, Fault>>()? };
    let keyring = state.keyring_of(trust, trust.keyring_at_import(id))?;
    let limits = Limits { signatures: u64::MAX, ..Limits::default() };
    let rules = Rules {
        keyring: &keyring,
        limits: &limits,
        clock_tolerance: Duration::MAX,
        now: import.times.1,
        waived: &|_: &Manifest, _| true,
    };
    Ok(bundle::verify(envelope, &rules).ok())
}

/// True if the verdicts are those of the log, and each small artifact lies where the index says.
fn is_packed(files: &DigestedFiles<'_>, import: &FormerImport) -> Result<bool, Fault> {
    let folder = files.folder;
    if files.digests.get("verdicts.json") != Some(&import.verdicts) {
        return Ok(false);
    }
    let verdicts: Vec<Verdict> = files.read_json("verdicts.json")?;
    let packed: Vec<Packed> = files.read_json("pack.json")?;
    let places: BTreeMap<Digest, &Packed> = packed.iter().map(|packed| (packed.sha256, packed)).collect();
    for (sha256, size) in verdicts.iter().filter_map(Verdict::kept).filter(|(_, size)| *size < SMALL) {
        let Some(place) = places.get(&sha256).filter(|place| place.size == size) else { return Ok(false) };
        if super::fsck::digest_of(&folder.join("pack"), place.offset, size)? != sha256 {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files are judged by the bytes that were digested: one that was changed between the two is damage.
    #[test]
    fn what_is_judged_is_what_was_digested() {
        let folder = durable::temporary_folder().unwrap();
        let path = folder.path().join("a");
        durable::replace_derived(&path, b"[1]").unwrap();
        let digests = Digests::from([("a".to_owned(), Digest::of(b"[1]"))]);
        let files = DigestedFiles { folder: folder.path(), digests: &digests };
        assert_eq!((files.read("a").unwrap(), files.read_json::<Vec<u8>>("a").unwrap()), (b"[1]".to_vec(), vec![1]));
        durable::replace_derived(&path, b"[2]").unwrap();
        assert!(files.read("a").unwrap_err().to_string().contains("changed while"));
        assert!(matches!(files.read_json::<Vec<u8>>("a"), Err(Fault::Damaged { .. })));
        assert!(matches!(files.read("b"), Err(Fault::Damaged { .. })));
    }
}
