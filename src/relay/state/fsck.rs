//! Checks the whole state: every blob and pack against its digests, every record against the one
//! that names it, every pointer, both logs. Changes nothing.

use std::collections::BTreeSet;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use crate::log::{Entry, Event, anchored_head, published_set};

use super::foreign::{LoggedFiles, foreign, foreign_in_release};
use super::{LONGEST, Release, SMALL, State, Stored, Trust, TrustReplay};
use crate::settle::tuf::read_key;
use base::digest::Hasher;
use base::error::IoContext as _;
use base::name::json_number;
use base::quoted::printable;
use base::{Digest, Fault, Limits, Refusal, durable};
use bundle::{Envelope, Manifest, Rules};
use inspect::item::RECORD;
use serve::published::TUF;
use serve::set::{BytesPlace, sums};
use tlog::check::{self, LogFinding};
use tlog::compare::began_with;
use tlog::cosigned;
use tlog::note::{Checkpoint, NoteSigner};
use tlog::stored::read_checkpoint;

/// Result of a check of the state.
#[derive(Debug, Default)]
pub(crate) struct FsckReport {
    /// Releases checked.
    pub releases: u64,
    /// Artifacts whose bytes were hashed.
    pub artifacts: u64,
    /// Bytes hashed.
    pub bytes: u64,
    /// Entries in both logs.
    pub entries: u64,
    /// Faults found, one sentence each; empty if all is well.
    pub faults: Vec<String>,
}

impl FsckReport {
    fn note<T>(&mut self, outcome: Result<T, Fault>) -> Option<T> {
        outcome.map_err(|fault| self.faults.push(fault.to_string())).ok()
    }
}

/// Checks the whole state and changes nothing. A fault in one part does not stop the check of the others.
pub(crate) fn fsck(state: &State) -> FsckReport {
    let mut report = FsckReport::default();
    let mut seen = BTreeSet::new();
    // One that is signed says what to look at, even where it is an old copy, or where the log's end cannot be read.
    let trust = report.note(Trust::load(state)).or_else(|| match Trust::read(state) {
        Ok(Stored::Present(trust)) => Some(*trust),
        _ => None,
    });
    let (mut replay, mut anchor, mut logged) = (TrustReplay::beside(trust.clone()), None, LoggedFiles::default());
    let entries = trust.as_ref().map_or(0, |trust| trust.entries);
    let mut root = None;
    for folder in [state.import_log(), state.access_log()] {
        let is_import = folder == state.import_log();
        let mut unread = None;
        let found = check::read_vkey(&folder).and_then(|vkey| {
            check::check(&folder, &vkey, |number, bytes, edge| {
                match serde_json::from_slice::<Entry>(bytes) {
                    Ok(Entry { event: Event::ImportStarted { manifest: Some(manifest), .. }, .. }) => {
                        logged.started.insert(manifest);
                    }
                    Ok(_) => {}
                    Err(_) => unread = unread.or(Some(number)),
                }
                if is_import {
                    replay.replay(number, bytes, edge);
                    anchor = anchored_head(bytes).or(anchor.take());
                    logged.sets.extend(published_set(bytes));
                    root = root.or((edge.size() == entries).then(|| Digest(edge.root())));
                }
            })
        });
        match report.note(found) {
            Some(LogFinding::Whole { size, .. }) => report.entries += size,
            Some(finding @ LogFinding::Files { size, .. }) => {
                report.entries += size;
                let detail = finding.detail().unwrap_or_default();
                let next =
                    "See all files: gaprelay log verify. Have them made anew from the entries: gaprelay log rebuild";
                report.faults.push(format!("log {}: {}. {next}", folder.display(), printable(&detail)));
            }
            Some(LogFinding::Bad { entry, detail }) => {
                let place = entry.map_or(String::new(), |entry| format!(", entry {entry}"));
                report.faults.push(format!("log {}{place}: {}", folder.display(), printable(&detail)));
            }
            None => {}
        }
        if let Some(number) = unread {
            report.faults.push(format!(
                "log {}, entry {number}: it cannot be read; another version of gaprelay may have written it",
                folder.display()
            ));
        }
    }
    if let Some(anchor) = &anchor {
        report.note(check_anchor(&state.access_log(), anchor));
    }
    let folder = state.import_log();
    let found = check::read_vkey(&folder).and_then(|vkey| cosigned::damaged(&folder, &vkey));
    for name in report.note(found).unwrap_or_default() {
        let what = "it is not a head of this log that a witness cosigned. Remove this file, then hand in the witness's copy again: gaprelay log witness hand-in FILE";
        report.faults.push(Fault::damaged(folder.join("cosigned").join(name).to_string_lossy(), what).to_string());
    }
    if let Some(trust) = &trust {
        if entries > 0 && root != Some(trust.root) {
            let what = "it was made from other entries than those that the import log has: one of the two was put back. Restore the newest copy of both: gaprelay help backup";
            report.faults.push(Fault::damaged(state.trust_path().to_string_lossy(), what).to_string());
        }
        check_trust(state, trust, &replay, &mut report);
        for id in trust.kept_releases() {
            let checked = state
                .release(trust, &id)
                .and_then(|release| check_release(state, trust, &release, &mut seen, &mut report));
            if report.note(checked).is_some() {
                report.releases += 1;
            }
        }
    }
    if let Some(trust) = &trust {
        report.faults.extend(foreign(state, trust, &logged).iter().map(ToString::to_string));
    }
    check_keys(state, &mut report);
    check_channels(state, &logged, &mut report);
    report
}

/// Checks the sets of all channels, and that the content of what agents see is there. What a channel showed that the
/// config no longer has, `gaprelay gc` may have removed.
fn check_channels(state: &State, logged: &LoggedFiles, report: &mut FsckReport) {
    let config = state.config();
    let is_served = |channel: &str| {
        config.as_ref().map_or(true, |config| config.channels.iter().any(|it| it.name.get_ref() == channel))
    };
    for channel in report.note(state.channels()).unwrap_or_default() {
        report.note(check_sets(state, &channel, logged));
        let Some(Some(current)) = report.note(state.newest(&channel)) else { continue };
        let Some((_, set)) = report.note(state.set(&channel, current)) else { continue };
        for file in set.files.iter().filter(|_| is_served(&channel)) {
            let there = match &file.place {
                BytesPlace::Blob => state.blob_path(file.sha256).is_file(),
                BytesPlace::Pack { release, .. } => state.root().join("releases").join(release).join("pack").is_file(),
                BytesPlace::Inline(text) => Digest::of(text.as_bytes()) == file.sha256,
                BytesPlace::Sums => Digest::of(sums(&set.files).as_bytes()) == file.sha256,
            };
            if !there {
                report.faults.push(format!(
                    "channel {channel}: the content of {} is missing or was changed, so agents cannot download this file",
                    file.path
                ));
            }
        }
    }
}

/// Checks that the access log is the one whose head stands in the import log.
fn check_anchor(folder: &Path, anchor: &Checkpoint) -> Result<(), Fault> {
    let damaged = |detail: String| Err(Fault::damaged(folder.to_string_lossy(), detail));
    let vkey = check::read_vkey(folder)?;
    if vkey.name() != anchor.origin {
        return damaged(format!(
            "it is the log {}, and the import log names {}: it was replaced. Restore it from a backup: gaprelay help backup",
            vkey.name(),
            anchor.origin
        ));
    }
    let size = read_checkpoint(folder, &vkey)?.size;
    if size < anchor.size || !began_with(folder, size, (anchor.size, &anchor.root))? {
        return damaged(format!(
            "its first {} entries are not those that the import log has on record. Restore it from a backup: gaprelay help backup",
            anchor.size
        ));
    }
    Ok(())
}

/// Checks what the trust file says against the log, and what lies beside it against both: keyrings and pointers.
fn check_trust(state: &State, trust: &Trust, replay: &TrustReplay, report: &mut FsckReport) {
    if !replay.agrees() {
        let detail =
            "it does not agree with the import log. Two officers can have it made again from the log: gaprelay repair";
        report.faults.push(Fault::damaged(state.trust_path().to_string_lossy(), detail).to_string());
    }
    for version in trust.keyrings.keys() {
        report.note(state.keyring_of(trust, *version));
        report.note(state.check_keyring_signatures(trust, *version));
    }
    for (channel, shown) in &trust.channels {
        let path = state.pointer_path(channel);
        let what = "it is missing, or names another set than the one that the import log says agents see. `gaprelay settle` puts it right";
        match state.current(channel) {
            Ok(current) if current == Some(shown.current()) => {}
            Ok(_) => report.faults.push(Fault::damaged(path.to_string_lossy(), what).to_string()),
            Err(fault) => report.faults.push(fault.to_string()),
        }
    }
    if let Some(current) = trust.shown(TUF) {
        report.note(state.tree_of(current));
    }
}

/// Checks that every set of a channel that is kept is the one that was published under its number.
fn check_sets(state: &State, channel: &str, logged: &LoggedFiles) -> Result<(), Fault> {
    for name in durable::names(&state.channel_path(channel))? {
        let number = json_number(&name);
        // One that was never published is what a cut left.
        let Some(digest) = number.and_then(|number| logged.sets.get(&(channel.to_owned(), number))) else { continue };
        let path = state.channel_path(channel).join(&name);
        if digest_of(&path, 0, u64::MAX)? != *digest {
            let what = "it is not the set that was published under this number";
            return Err(Fault::damaged(path.to_string_lossy(), what));
        }
    }
    Ok(())
}

/// Checks that the keys which only the keeper reads are those that belong here.
fn check_keys(state: &State, report: &mut FsckReport) {
    let folders = [state.import_log(), state.access_log()];
    // A copy of the state for an auditor has no secret keys: neither of the two.
    if folders.iter().any(|folder| folder.with_extension("key").exists()) {
        for folder in &folders {
            report.note(check_log_key(folder));
        }
    }
    report.note(read_key(state));
}

fn check_log_key(folder: &Path) -> Result<(), Fault> {
    let path = folder.with_extension("key");
    let text = durable::read(&path, 4096)?;
    let signer = str::from_utf8(&text).ok().and_then(NoteSigner::parse);
    if signer.map(|signer| signer.verifier().to_text()) == Some(check::read_vkey(folder)?.to_text()) {
        return Ok(());
    }
    let what = "it is not the secret key of this log. Restore this file from a backup: gaprelay help backup";
    Err(Fault::damaged(path.to_string_lossy(), what))
}

/// Checks that the manifest is signed as it was when it was imported, by the keyring of then.
fn check_signatures(state: &State, trust: &Trust, release: &Release) -> Result<(), Fault> {
    let folder = state.release_path(&release.id());
    let read = |name: &str| durable::read(&folder.join(name), LONGEST);
    let signatures = release.signatures.iter().map(|name| Ok((name.clone(), read(name)?)));
    let envelope = Envelope { document: read("manifest.json")?, signatures: signatures.collect::<Result<_, Fault>>()? };
    let ring = state.keyring_of(trust, trust.history(&release.id()).map_or(0, |history| history.keyring))?;
    let limits = Limits { signatures: u64::MAX, ..Limits::default() };
    let waived = |_: &Manifest, _| true;
    let rules = Rules {
        keyring: &ring,
        limits: &limits,
        clock_tolerance: Duration::MAX,
        now: release.imported,
        waived: &waived,
    };
    let damaged = |refusal: Refusal| {
        let what = format!("the manifest is not signed as it was when it was imported: {}", refusal.detail);
        Fault::damaged(folder.to_string_lossy(), what)
    };
    bundle::verify(envelope, &rules).map(drop).map_err(damaged)
}

fn check_release(
    state: &State,
    trust: &Trust,
    release: &Release,
    seen: &mut BTreeSet<Digest>,
    report: &mut FsckReport,
) -> Result<(), Fault> {
    let id = release.id();
    let folder = state.release_path(&id);
    for (name, digest) in release.files() {
        let path = folder.join(name);
        if digest_of(&path, 0, u64::MAX)? != *digest {
            let what = "the bytes of the file differ from those that the import log vouches for";
            return Err(Fault::damaged(path.to_string_lossy(), what));
        }
    }
    check_signatures(state, trust, release)?;
    state.statements(trust, &id)?;
    report.faults.extend(state.stray_statements(trust, &id)?.iter().map(ToString::to_string));
    report.faults.extend(foreign_in_release(state, release)?.iter().map(ToString::to_string));
    let index = state.pack_index(release)?;
    let pack = folder.join("pack");
    let (sections, items) = state.items(release)?;
    let count: u64 = sections.iter().map(|section| section.count).sum();
    if items.length() != count * RECORD as u64 {
        let damaged =
            Fault::damaged(folder.join("items").to_string_lossy(), "its length is not the one that items.json states");
        report.faults.push(damaged.to_string());
    }
    for verdict in &state.verdicts(release)? {
        let Some((sha256, size)) = verdict.kept() else { continue };
        let (path, offset) = if size < SMALL {
            let missing =
                || Fault::damaged(pack.to_string_lossy(), format!("pack.json does not list {}", verdict.path));
            (pack.clone(), index.get(&sha256).ok_or_else(missing)?.offset)
        } else {
            (state.blob_path(sha256), 0)
        };
        if size >= SMALL && !seen.insert(sha256) {
            continue;
        }
        if digest_of(&path, offset, size)? != sha256 {
            let detail = format!("the content of {} was changed: its digest is not the recorded one", verdict.path);
            report.faults.push(Fault::damaged(path.to_string_lossy(), detail).to_string());
        }
        report.artifacts += 1;
        report.bytes += size;
    }
    Ok(())
}

/// Hashes `size` bytes of a file from `offset` on, or as many as there are.
pub(crate) fn digest_of(path: &Path, offset: u64, size: u64) -> Result<Digest, Fault> {
    let mut file = durable::open(path)?;
    file.seek(SeekFrom::Start(offset)).during("read", path)?;
    let mut reader = file.take(size);
    let (mut hasher, mut buffer) = (Hasher::new(), vec![0; 256 << 10]);
    loop {
        let got = reader.read(&mut buffer).during("read", path)?;
        if got == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(buffer.get(..got).unwrap_or_default());
    }
}
