//! Check of an export against the logs: for each line, the entry is read from the log again, formatted again under the
//! head that the line names, and compared.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use super::exporter::{format_line, withheld};
use super::{ExportEntry, ExportFormat, cef, syslog};
use crate::log::{Entry, Event};
use crate::state::State;
use base::{Fault, quoted};
use tlog::stored::in_bundle;
use tlog::tree::WIDTH;

/// Versions of gaprelay whose lines have the form that this one writes.
const WRITERS: &[&str] = &[super::VERSION];
/// Most findings that are listed; the rest is only counted.
const NAMED: usize = 100;

/// Result of a check: `log verify --export --json`.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExportCheckReport {
    /// Number of lines read.
    pub lines: u64,
    /// Number of repeated lines, which occur after a power cut.
    pub repeated: u64,
    /// Number of lines about withheld files of releases that the relay has removed: they cannot be compared.
    pub not_compared: u64,
    /// Origin of each log, with the first and the last of its entries in the export.
    pub logs: BTreeMap<String, (u64, u64)>,
    /// Differences from the logs, by line.
    pub findings: Vec<String>,
    /// Number of further findings, which are not listed.
    pub more: u64,
}

/// Entry that a line claims to hold.
struct ClaimedEntry {
    format: ExportFormat,
    log: String,
    number: u64,
    size: u64,
    file: Option<usize>,
    version: String,
}

/// Log that was verified as a whole.
pub struct VerifiedLog {
    /// Origin of the log.
    pub origin: String,
    /// Folder of the log.
    pub folder: PathBuf,
    /// Number of entries; all were verified under the signed head.
    pub size: u64,
}

/// Compares lines with verified logs.
pub struct ExportChecker<'a> {
    state: Option<&'a State>,
    logs: &'a [VerifiedLog],
    /// Entry bundle that was read last, since lines come in the order of the log: index of the log, index of the
    /// entry bundle, entries.
    bundle: Option<(usize, u64, Vec<Vec<u8>>)>,
    /// True if entries may be left out.
    filtered: bool,
    /// Files of the entry before whose lines must follow.
    files: Option<PendingFiles>,
    found: ExportCheckReport,
}

/// Lines about the withheld and stripped files of an import, which follow its own line.
struct PendingFiles {
    log: String,
    number: u64,
    missing: BTreeSet<usize>,
}

impl<'a> ExportChecker<'a> {
    /// Starts a check against these logs. `state` holds the verdicts of releases, if available; `filtered`: entries may
    /// be missing from the export.
    pub fn new(state: Option<&'a State>, logs: &'a [VerifiedLog], filtered: bool) -> Self {
        Self { state, logs, bundle: None, filtered, files: None, found: ExportCheckReport::default() }
    }

    /// Result for all lines, which must be all of each log from its first entry to its head, unless entries may be left
    /// out.
    pub fn finish(mut self) -> ExportCheckReport {
        self.end_files();
        let (logs, filtered) = (self.logs, self.filtered);
        for log in logs.iter().filter(|log| !filtered && log.size > 0) {
            let (end, of) = (log.size - 1, &log.origin);
            match self.found.logs.get(of).copied() {
                None => self.find_in_all(format!("no entry of {of} is in the file; the log has {} entries", log.size)),
                Some((first, last)) => {
                    if first > 0 {
                        self.find_in_all(format!("entries 0 to {} of {of} are missing at the beginning", first - 1));
                    }
                    if last < end {
                        self.find_in_all(format!("entries {} to {end} of {of} are missing at the end", last + 1));
                    }
                }
            }
        }
        if !filtered && self.found.lines == 0 {
            self.find_in_all("the file holds no line of an export".into());
        }
        self.found
    }

    /// Checks the next line. Fault: the log could not be read.
    pub fn line(&mut self, line: &str) -> Result<(), Fault> {
        self.found.lines += 1;
        let framed = line.starts_with('<');
        let inner = if framed { syslog::unframed(line).unwrap_or(line) } else { line };
        let Some(claim) = claim(inner) else {
            self.find("this is not a line of a gaprelay export");
            return Ok(());
        };
        let logs = self.logs;
        let Some((place, log)) = logs.iter().enumerate().find(|(_, log)| log.origin == claim.log) else {
            self.find(&format!("it names the log {}, and this relay has no log of that name", quoted(&claim.log)));
            return Ok(());
        };
        let (number, size) = (claim.number, claim.size);
        if number >= size || size > log.size {
            self.find(&format!(
                "it names entry {number} of a log with {size} entries, but the log has {} entries",
                log.size
            ));
            return Ok(());
        }
        let bytes = self.entry(place, number)?;
        let damaged = || Fault::damaged(log.folder.to_string_lossy(), format!("entry {number} cannot be read"));
        let entry: Entry = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        let version = claim.version.as_str();
        let exported = ExportEntry { log: &claim.log, number, size, bytes: &bytes, entry: &entry, file: None, version };
        if !WRITERS.contains(&version) {
            self.find(&format!("it names version {} of gaprelay, which this version does not know", quoted(version)));
            return Ok(());
        }
        let files = self.state.map(|state| withheld(state, &entry)).unwrap_or_default();
        let expected = match claim.file {
            None => Some(format_line(&exported, claim.format, framed)),
            Some(file) if file >= file_count(&entry) => {
                self.find(&format!("it names file {file} of entry {number} of {}, which has no such file", claim.log));
                return Ok(());
            }
            Some(number) => files
                .get(number)
                .map(|file| format_line(&ExportEntry { file: Some((number, file)), ..exported }, claim.format, framed)),
        };
        match expected {
            None => self.found.not_compared += 1,
            Some(expected) if expected != line => {
                self.find(&format!("it differs from entry {number} of {}", claim.log));
            }
            Some(_) => {}
        }
        self.follow_files(&claim, files.len());
        self.order(&claim);
        Ok(())
    }

    /// Checks that the lines of an import's files follow its own: all of them, where the release's verdicts are still
    /// there.
    fn follow_files(&mut self, claim: &ClaimedEntry, count: usize) {
        if let Some(file) = claim.file {
            let pending = self.files.as_mut().filter(|it| (&it.log, it.number) == (&claim.log, claim.number));
            if let Some(pending) = pending {
                pending.missing.remove(&file);
            }
            return;
        }
        // After a power cut an export begins again with the entry that it was at.
        let is_again = |it: &PendingFiles| it.log == claim.log && claim.number <= it.number;
        if self.files.as_ref().is_some_and(is_again) {
            self.files = None;
        }
        self.end_files();
        let (log, number) = (claim.log.clone(), claim.number);
        let missing = if claim.format == ExportFormat::Json { BTreeSet::new() } else { (0..count).collect() };
        self.files = Some(PendingFiles { log, number, missing });
    }

    fn end_files(&mut self) {
        let Some(PendingFiles { log, number, missing }) = self.files.take() else { return };
        if !self.filtered && !missing.is_empty() {
            let many = missing.len();
            self.find(&format!("{many} lines about the files of entry {number} of {log} are missing before this line"));
        }
    }

    /// Checks the order of the entries: a missing one is a finding, a repeated one is not.
    fn order(&mut self, claim: &ClaimedEntry) {
        match self.found.logs.get_mut(&claim.log) {
            None => {
                self.found.logs.insert(claim.log.clone(), (claim.number, claim.number));
            }
            Some((_, last)) if claim.number > *last => {
                let gap = (!self.filtered && *last + 1 < claim.number).then_some((*last + 1, claim.number - 1));
                *last = claim.number;
                if let Some((first, last)) = gap {
                    self.find(&format!("entries {first} to {last} of {} are missing before this line", claim.log));
                }
            }
            Some(_) if claim.file.is_some() => {}
            Some(_) => self.found.repeated += 1,
        }
    }

    fn find(&mut self, what: &str) {
        self.find_in_all(format!("line {}: {what}", self.found.lines));
    }

    /// Notes a finding about the file as a whole.
    fn find_in_all(&mut self, what: String) {
        if self.found.findings.len() < NAMED {
            self.found.findings.push(what);
        } else {
            self.found.more += 1;
        }
    }

    fn entry(&mut self, place: usize, number: u64) -> Result<Vec<u8>, Fault> {
        let log = self.logs.get(place).ok_or(Fault::Internal("the list of verified logs has no log at this index"))?;
        let index = number / WIDTH as u64;
        if self.bundle.as_ref().is_none_or(|(of, at, _)| (*of, *at) != (place, index)) {
            let entries = in_bundle(&log.folder, log.size, index, |_, entries| {
                Ok(entries.iter().map(|entry| entry.to_vec()).collect())
            })?;
            self.bundle = Some((place, index, entries));
        }
        let within = usize::try_from(number % WIDTH as u64).unwrap_or_default();
        let entry = self.bundle.as_ref().and_then(|(_, _, entries)| entries.get(within));
        entry.cloned().ok_or_else(|| Fault::damaged(log.folder.to_string_lossy(), format!("entry {number} is missing")))
    }
}

/// Number of files that an import has withheld or stripped, as its entry counts them.
fn file_count(entry: &Entry) -> usize {
    let Event::Imported { counts, .. } = &entry.event else { return 0 };
    usize::try_from(counts.stripped.saturating_add(counts.withheld)).unwrap_or(usize::MAX)
}

/// Reads the claim of a line; `None` if it is not a line of an export.
fn claim(line: &str) -> Option<ClaimedEntry> {
    if line.starts_with("CEF:0|gaprelay|") {
        let log = cef::value(line, "cs1")?;
        let file = file(&cef::value(line, "externalId")?, &log);
        let number = |key| cef::value(line, key)?.parse().ok();
        let version = line.split('|').nth(3)?.to_owned();
        return Some(ClaimedEntry {
            format: ExportFormat::Cef,
            number: number("cn1")?,
            size: number("cn2")?,
            log,
            file,
            version,
        });
    }
    let value: Value = serde_json::from_str(line).ok()?;
    let text = |path: &str| value.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let number = |path: &str| value.pointer(path).and_then(Value::as_u64);
    if let Some(log) = text("/log") {
        let version = crate::export::VERSION.to_owned();
        return Some(ClaimedEntry {
            format: ExportFormat::Json,
            log,
            number: number("/number")?,
            size: number("/size")?,
            file: None,
            version,
        });
    }
    let log = text("/metadata/log_name")?;
    Some(ClaimedEntry {
        format: ExportFormat::Ocsf,
        number: number("/metadata/sequence")?,
        size: number("/unmapped/checkpoint_size")?,
        file: file(&text("/metadata/uid")?, &log),
        version: text("/metadata/product/version")?,
        log,
    })
}

/// Place of a file in `LOG/ENTRY/PLACE`; `None` for `LOG/ENTRY`.
fn file(uid: &str, log: &str) -> Option<usize> {
    let (_, place) = uid.strip_prefix(log)?.strip_prefix('/')?.split_once('/')?;
    place.parse().ok()
}
