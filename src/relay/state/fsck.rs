//! Checks the whole state: every blob and pack against its digests, every record against the one
//! that names it, every pointer, both logs. Changes nothing.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::log::anchored_head;

use super::{LONGEST, Release, SMALL, State, Trust, TrustReplay};
use base::digest::Hasher;
use base::error::IoContext as _;
use base::{Digest, Fault, durable};
use inspect::item::RECORD;
use serve::set::{BytesPlace, sums};
use tlog::check::{self, LogFinding};
use tlog::cosigned;
use tlog::nodes::Nodes;
use tlog::note::Checkpoint;
use tlog::proof;
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
    let (mut replay, mut anchor) = (TrustReplay::default(), None);
    for folder in [state.import_log(), state.access_log()] {
        let is_import = folder == state.import_log();
        let found = check::read_vkey(&folder).and_then(|vkey| {
            check::check(&folder, &vkey, |number, bytes, edge| {
                if is_import {
                    replay.replay(number, bytes, edge);
                    anchor = anchored_head(bytes).or(anchor.take());
                }
            })
        });
        match report.note(found) {
            Some(LogFinding::Whole { size, .. }) => report.entries += size,
            Some(LogFinding::Bad { entry, detail }) => {
                let place = entry.map_or(String::new(), |entry| format!(", entry {entry}"));
                report.faults.push(format!("log {}{place}: {detail}", folder.display()));
            }
            None => {}
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
    let trust = report.note(Trust::load(state));
    if let Some(trust) = &trust {
        if replay.trust.is_some_and(|replay| !trust.agrees_with(&replay)) {
            let path = state.root().join("trust/trust.json");
            let detail = "it does not agree with the import log. Two officers can have it made again from the log: gaprelay repair";
            report.faults.push(Fault::damaged(path.to_string_lossy(), detail).to_string());
        }
        report.note(state.keyring(trust));
        for id in report.note(state.releases(trust)).unwrap_or_default() {
            let checked = state.release(&id).and_then(|release| {
                if trust.accepted_manifest(&id.feed, id.version) != Some(release.manifest) {
                    return Err(Fault::damaged(
                        state.release_path(&id).join("release.json").to_string_lossy(),
                        "it names another manifest than the one that was accepted for this release",
                    ));
                }
                check_release(state, &release, &mut seen, &mut report)
            });
            if report.note(checked).is_some() {
                report.releases += 1;
            }
        }
    }
    for channel in report.note(state.channels()).unwrap_or_default() {
        let Some(Some(current)) = report.note(state.current(&channel)) else { continue };
        let Some((_, set)) = report.note(state.set(&channel, current)) else { continue };
        for file in &set.files {
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
    report
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
    if size < anchor.size || proof::root(&Nodes::new(folder, size), anchor.size)? != anchor.root {
        return damaged(format!(
            "its first {} entries are not those that the import log has on record. Restore it from a backup: gaprelay help backup",
            anchor.size
        ));
    }
    Ok(())
}

fn check_release(
    state: &State,
    release: &Release,
    seen: &mut BTreeSet<Digest>,
    report: &mut FsckReport,
) -> Result<(), Fault> {
    let id = release.id();
    let folder = state.release_path(&id);
    let manifest = folder.join("manifest.json");
    if Digest::of(&durable::read(&manifest, LONGEST)?) != release.manifest {
        return Err(Fault::damaged(
            manifest.to_string_lossy(),
            "it is not the manifest that was accepted for this release",
        ));
    }
    for name in &release.signatures {
        durable::read(&folder.join(name), 4096)?;
    }
    state.statements(&id)?;
    let index = state.pack_index(&id)?;
    let pack = folder.join("pack");
    let (sections, items) = state.items(&id)?;
    let count: u64 = sections.iter().map(|section| section.count).sum();
    if items.metadata().during("read the length of", &folder.join("items"))?.len() != count * RECORD as u64 {
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
    let mut file = File::open(path).during("open", path)?;
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
