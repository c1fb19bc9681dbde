//! Migration of a state folder from the first format to the present one, in which the log decides and what lies beside it
//! is proven by it: releases get a record whose digest is in the log, channels get pointers with proofs, and the trust file
//! is signed.
//!
//! New files are written beside the old ones, which stay; then the trust file is replaced, and with that step the state is
//! of the present format. A cut before it leaves a state of the former format, whose migration begins again. A version that
//! does not know the format refuses the trust file by its name.

use std::collections::BTreeMap;

use super::release::{Digests, FORMAT, RECORD, Release};
use super::trust::OLDER;
use super::{State, Trust, TrustReplay};
use crate::log::writer::each_between;
use crate::log::{Entry, Event, Log};
use crate::publish::set::switch;
use base::{Digest, Fault, Timestamp, durable};
use bundle::ReleaseId;
use serve::pointer::FORMER;
use tlog::check::{LogFinding, check};

/// Digests of manifest and verdicts that the log has of each import.
type Imports = BTreeMap<ReleaseId, (Digest, Digest)>;

/// Brings the state to the present format; gives its trust state. Fault: something of it is damaged; then it stays as it is.
pub(crate) fn migrate(state: &State, log: &mut Log, former: Trust, now: Timestamp) -> Result<Trust, Fault> {
    // 1. What the former trust file says is what the log tells.
    let folder = state.import_log();
    let mut since = Vec::new();
    each_between(&folder, (former.entries.min(log.size()), log.size()), log.size(), |number, _, entry| {
        since.push((number, entry));
        Ok(())
    })?;
    let damaged = |what: &str| Fault::damaged(state.trust_path().to_string_lossy(), what);
    if former.entries > log.size() || former.not_applied(since, log.size()).is_none() {
        return Err(damaged(OLDER));
    }
    let (replay, _) = replay(state, log)?;
    if !former.agrees_with_former(&replay) {
        return Err(damaged(
            "it does not agree with the import log, and the state cannot be brought to the present format. Nothing was changed. Two officers can have it made again from the log: gaprelay repair",
        ));
    }
    complete(state, log, former, now)
}

/// True if a release that was accepted and lies here has no record in the log: the state was of the former format.
pub(crate) fn is_needed(state: &State, trust: &Trust) -> bool {
    let mut accepted = trust.feeds.iter().flat_map(|(feed, known)| {
        known.accepted.keys().map(|version| ReleaseId { feed: feed.clone(), version: *version })
    });
    accepted.any(|id| trust.history(&id).is_none() && state.release_path(&id).is_dir())
}

/// Does so for a trust state that is what the log tells.
pub(crate) fn complete(state: &State, log: &mut Log, former: Trust, now: Timestamp) -> Result<Trust, Fault> {
    let (replay, imports) = replay(state, log)?;

    // 2. Each release that is kept gets a record; the log has its digest before the state is of the present format.
    let mut events = Vec::new();
    for (feed, known) in &former.feeds {
        for version in known.accepted.keys() {
            let id = ReleaseId { feed: feed.clone(), version: *version };
            if replay.history(&id).is_none() && state.release_path(&id).is_dir() {
                let record = record(state, &id, imports.get(&id))?;
                events.push(Event::Recorded { feed: id.feed, version: id.version, record });
            }
        }
    }
    log.append(now, events)?;

    // 3. Each channel gets a pointer to the set that the log says it shows.
    let (replay, _) = self::replay(state, log)?;
    for (channel, shown) in &replay.channels {
        switch(state, channel, shown.entry)?;
    }

    // 4. From this step on the state is of the present format.
    let head = log.head();
    let (entries, root) = (head.size, Digest(head.root));
    let Trust { format, keyrings, releases, channels, was_shown, .. } = replay;
    let trust = Trust { format, entries, root, keyrings, releases, channels, was_shown, ..former };
    trust.save(state, log)?;

    // Nobody reads the former pointers any more: one that a cut leaves here does no harm.
    for channel in trust.channels.keys() {
        durable::remove(&state.pointer_path(channel).with_file_name(FORMER))?;
    }
    Ok(trust)
}

/// Trust state by the whole log, every entry hashed again, and what it has of each import.
fn replay(state: &State, log: &Log) -> Result<(Trust, Imports), Fault> {
    let folder = state.import_log();
    let damaged = |detail: String| Fault::damaged(folder.to_string_lossy(), detail);
    let (mut replay, mut imports) = (TrustReplay::default(), Imports::new());
    let finding = check(&folder, &log.verifier(), |number, bytes, edge| {
        replay.replay(number, bytes, edge);
        if let Ok(Entry { event: Event::Imported { feed, version, manifest, verdicts, .. }, .. }) =
            serde_json::from_slice(bytes)
        {
            imports.insert(ReleaseId { feed, version }, (manifest, verdicts));
        }
    })?;
    match (finding, replay.unread, replay.trust) {
        (LogFinding::Bad { detail, .. }, ..) => Err(damaged(detail)),
        (_, Some(number), _) => {
            Err(damaged(format!("entry {number} cannot be read; another version of gaprelay may have written it")))
        }
        (_, None, Some(trust)) => Ok((trust, imports)),
        (_, None, None) => Err(damaged("it has no entry `initialised`".into())),
    }
}

/// Writes the record of a release of the former format: what the log has of it is as it was. Returns its digest.
fn record(state: &State, id: &ReleaseId, import: Option<&(Digest, Digest)>) -> Result<Digest, Fault> {
    let folder = state.release_path(id);
    let mut digests = Digests::new();
    let names = durable::names(&folder)?.into_iter();
    for name in names.filter(|name| !matches!(name.as_str(), "pack" | "statements" | RECORD)) {
        digests.insert(name.clone(), super::fsck::digest_of(&folder.join(&name), 0, u64::MAX)?);
    }
    let path = folder.join("release.json");
    let release: Release = super::release::read_json(&path)?;
    let is_this = release.format == FORMAT
        && release.id() == *id
        && import == Some(&(release.manifest, release.verdicts))
        && digests.get("manifest.json") == Some(&release.manifest)
        && digests.get("verdicts.json") == Some(&release.verdicts);
    let needed = ["pack.json", "items", "items.json"];
    let is_whole = release.signatures.iter().map(String::as_str).chain(needed).all(|name| digests.contains_key(name));
    if !is_this || !is_whole {
        return Err(Fault::damaged(
            folder.to_string_lossy(),
            "a file of this release is missing or differs from what the import log has, so the state cannot be brought to the present format. Nothing was changed. Restore the folder from a backup: gaprelay help backup",
        ));
    }
    durable::replace_json(&folder.join(RECORD), &digests)
}
