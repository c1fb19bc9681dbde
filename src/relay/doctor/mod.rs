//! Compares this host with what the relay needs, and says what to correct. Changes nothing. Most checks only read
//! files, so that a copy of another host's files can be checked in its place.

pub(crate) mod deployment;
mod firewall;
mod host;

use std::path::{Path, PathBuf};

use serde::Serialize;

use base::{Timestamp, quoted};
use config::Config;

/// Result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Health {
    /// As it should be.
    Good,
    /// Not visible from here.
    Unseen,
    /// Weaker than it could be.
    Weak,
    /// Breaks what the relay promises, or will soon.
    Bad,
}

/// Finding of one check.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct HostFinding {
    /// Subject: mounts, auto-mounters, usb, firewall, network, users, modes, units, clock, space.
    pub check: &'static str,
    /// Result.
    pub health: Health,
    /// Observation, escaped.
    pub found: String,
    /// Next step; absent if the result is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Host that is compared with what the relay needs.
pub(crate) struct ExaminedHost<'a> {
    /// Root of the host's files: `/`, or a copy of another's.
    pub host: PathBuf,
    /// The state folder.
    pub state: &'a Path,
    /// Config of the relay.
    pub config: &'a Config,
    /// The date of the newest entry of its logs.
    pub newest: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// Findings, check by check.
#[derive(Default)]
struct HostReport {
    findings: Vec<HostFinding>,
}

impl HostReport {
    fn good(&mut self, check: &'static str, found: impl AsRef<str>) {
        self.add(check, Health::Good, found.as_ref(), None);
    }

    fn unseen(&mut self, check: &'static str, found: impl AsRef<str>, next: &str) {
        self.add(check, Health::Unseen, found.as_ref(), Some(next));
    }

    fn weak(&mut self, check: &'static str, found: impl AsRef<str>, next: &str) {
        self.add(check, Health::Weak, found.as_ref(), Some(next));
    }

    fn bad(&mut self, check: &'static str, found: impl AsRef<str>, next: &str) {
        self.add(check, Health::Bad, found.as_ref(), Some(next));
    }

    fn add(&mut self, check: &'static str, health: Health, found: &str, next: Option<&str>) {
        let found = quoted(found).to_string();
        self.findings.push(HostFinding { check, health, found, next: next.map(str::to_owned) });
    }

    /// True if this check has a finding.
    fn has(&self, check: &str) -> bool {
        self.findings.iter().any(|finding| finding.check == check)
    }
}

/// Runs all checks.
pub(crate) fn examine(subject: &ExaminedHost<'_>) -> Vec<HostFinding> {
    let mut report = HostReport::default();
    host::mounts(subject, &mut report);
    host::mounters(subject, &mut report);
    host::usb(subject, &mut report);
    firewall::firewall(subject, &mut report);
    host::network(subject, &mut report);
    host::users(subject, &mut report);
    host::modes(subject, &mut report);
    host::units(subject, &mut report);
    host::clock(subject, &mut report);
    host::space(subject, &mut report);
    report.findings
}
