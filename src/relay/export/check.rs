//! Whether an export says what the log says: each line's entry is taken from the log again, told again under
//! the head that the line names, and compared.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use super::feed::{shape, withheld};
use super::{Format, Told, cef, syslog};
use crate::log::Entry;
use crate::state::State;
use base::Fault;
use tlog::stored::in_bundle;
use tlog::tree::WIDTH;

/// Most findings that are named; the rest is counted.
const NAMED: usize = 100;

/// What was found.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Checked {
    /// Lines looked at.
    pub lines: u64,
    /// Lines that came again, as they do after a cut.
    pub repeated: u64,
    /// Lines about withheld files of releases that are no longer here: they cannot be compared.
    pub not_compared: u64,
    /// Each log's origin, with the first and the last of its entries in the export.
    pub logs: BTreeMap<String, (u64, u64)>,
    /// What is not as the log has it, by line.
    pub findings: Vec<String>,
    /// Findings that are not named.
    pub more: u64,
}

/// What a line says it is.
struct Claim {
    format: Format,
    log: String,
    number: u64,
    size: u64,
    file: Option<usize>,
    version: String,
}

/// A log, with its folder and number of entries.
pub struct Whole {
    /// Its origin.
    pub origin: String,
    /// Where it lies.
    pub folder: PathBuf,
    /// Its number of entries, all of which were found to be as its head promises.
    pub size: u64,
}

/// Compares lines with these logs, which were found whole.
pub struct Checking<'a> {
    state: Option<&'a State>,
    logs: &'a [Whole],
    /// The bundle that was read last: lines come in the order of the log.
    bundle: Option<(usize, u64, Vec<Vec<u8>>)>,
    /// Whether entries may be left out.
    filtered: bool,
    found: Checked,
}

impl<'a> Checking<'a> {
    /// Compares with these logs; `state` holds the verdicts of releases, where it is at hand. `filtered`: some
    /// entries may have been left out.
    pub fn new(state: Option<&'a State>, logs: &'a [Whole], filtered: bool) -> Self {
        Self { state, logs, bundle: None, filtered, found: Checked::default() }
    }

    /// What was found in all lines.
    pub fn finish(self) -> Checked {
        self.found
    }

    /// Looks at the next line. Fault: the log could not be read.
    pub fn line(&mut self, line: &str) -> Result<(), Fault> {
        self.found.lines += 1;
        let framed = line.starts_with('<');
        let inner = if framed { syslog::unframed(line).unwrap_or(line) } else { line };
        let Some(claim) = claim(inner) else {
            self.find("it is no line of an export");
            return Ok(());
        };
        let logs = self.logs;
        let Some((place, log)) = logs.iter().enumerate().find(|(_, log)| log.origin == claim.log) else {
            self.find("it is of a log that is not here");
            return Ok(());
        };
        let (number, size) = (claim.number, claim.size);
        if number >= size || size > log.size {
            self.find(&format!("it names entry {number} under a head of {size}; the log has {}", log.size));
            return Ok(());
        }
        let bytes = self.entry(place, number)?;
        let damaged = || Fault::damaged(log.folder.to_string_lossy(), format!("entry {number} cannot be read"));
        let entry: Entry = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        let version = claim.version.as_str();
        let told = Told { log: &claim.log, number, size, bytes: &bytes, entry: &entry, file: None, version };
        let expected = match claim.file {
            None => Some(shape(&told, claim.format, framed)),
            Some(number) => {
                let files = self.state.map(|state| withheld(state, &entry)).unwrap_or_default();
                files.get(number).map(|file| shape(&Told { file: Some((number, file)), ..told }, claim.format, framed))
            }
        };
        match expected {
            None => self.found.not_compared += 1,
            Some(expected) if expected != line => {
                let other =
                    if version == crate::export::VERSION { "" } else { ", or another version tells it otherwise" };
                self.find(&format!("it is not what entry {number} of {} says{other}", claim.log));
            }
            Some(_) => {}
        }
        self.order(&claim);
        Ok(())
    }

    /// Entries follow each other: one that is left out is a finding, one that comes again is not.
    fn order(&mut self, claim: &Claim) {
        match self.found.logs.get_mut(&claim.log) {
            None => {
                self.found.logs.insert(claim.log.clone(), (claim.number, claim.number));
            }
            Some((_, last)) if claim.number > *last => {
                let gap = (!self.filtered && *last + 1 < claim.number).then_some((*last + 1, claim.number - 1));
                *last = claim.number;
                if let Some((first, last)) = gap {
                    self.find(&format!("entries {first} to {last} of {} are left out before it", claim.log));
                }
            }
            Some(_) if claim.file.is_some() => {}
            Some(_) => self.found.repeated += 1,
        }
    }

    fn find(&mut self, what: &str) {
        if self.found.findings.len() < NAMED {
            self.found.findings.push(format!("line {}: {what}", self.found.lines));
        } else {
            self.found.more += 1;
        }
    }

    fn entry(&mut self, place: usize, number: u64) -> Result<Vec<u8>, Fault> {
        let log = self.logs.get(place).ok_or(Fault::Internal("a log is gone"))?;
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

/// What a line says of itself; `None` if it is none of ours.
fn claim(line: &str) -> Option<Claim> {
    if line.starts_with("CEF:0|gaprelay|") {
        let log = cef::value(line, "cs1")?;
        let file = file(&cef::value(line, "externalId")?, &log);
        let number = |key| cef::value(line, key)?.parse().ok();
        let version = line.split('|').nth(3)?.to_owned();
        return Some(Claim { format: Format::Cef, number: number("cn1")?, size: number("cn2")?, log, file, version });
    }
    let value: Value = serde_json::from_str(line).ok()?;
    let text = |path: &str| value.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let number = |path: &str| value.pointer(path).and_then(Value::as_u64);
    if let Some(log) = text("/log") {
        let version = crate::export::VERSION.to_owned();
        return Some(Claim {
            format: Format::Json,
            log,
            number: number("/number")?,
            size: number("/size")?,
            file: None,
            version,
        });
    }
    let log = text("/metadata/log_name")?;
    Some(Claim {
        format: Format::Ocsf,
        number: number("/metadata/sequence")?,
        size: number("/unmapped/checkpoint_size")?,
        file: file(&text("/metadata/uid")?, &log),
        version: text("/metadata/product/version")?,
        log,
    })
}

/// The place of a file in `LOG/ENTRY/PLACE`; none in `LOG/ENTRY`.
fn file(uid: &str, log: &str) -> Option<usize> {
    let (_, place) = uid.strip_prefix(log)?.strip_prefix('/')?.split_once('/')?;
    place.parse().ok()
}
