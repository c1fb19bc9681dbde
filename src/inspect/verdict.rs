//! Verdicts: exactly one for each artifact, kept with the release.

use serde::{Deserialize, Serialize};

use super::Kind;
use crate::base::{Digest, Reason};

/// What inspection decided.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Passed whole.
    Cleared,
    /// Kept back whole.
    Withheld,
}

/// What inspection decided about one artifact, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The artifact's path in the manifest.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: Digest,
    /// The kind that the manifest declares.
    pub declared: String,
    /// The kind that its bytes show, if it is one we know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Kind>,
    /// Cleared or withheld.
    pub decision: Decision,
    /// Why it was withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The first line at fault, counted from 1, where the format has lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The version in a ClamAV database's header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clamav_version: Option<u64>,
    /// MD5 of a rule file, for the side file that suricata-update reads; no trust rests on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
}

impl Verdict {
    /// Why it was withheld, and where: the code and the line; empty if it was not.
    pub fn why(&self) -> String {
        let line = self.line.map(|line| format!(", line {line}")).unwrap_or_default();
        self.reason.map(|reason| format!("{reason}{line}")).unwrap_or_default()
    }
}

/// How many artifacts got which verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Passed whole.
    pub cleared: u64,
    /// Passed with lines dropped; no format is stripped yet.
    pub stripped: u64,
    /// Kept back whole.
    pub withheld: u64,
}

impl Counts {
    /// Counts `verdicts`.
    pub fn of(verdicts: &[Verdict]) -> Self {
        let mut counts = Self::default();
        for verdict in verdicts {
            match verdict.decision {
                Decision::Cleared => counts.cleared += 1,
                Decision::Withheld => counts.withheld += 1,
            }
        }
        counts
    }

    /// Whether everything passed whole.
    pub fn is_clean(self) -> bool {
        self.stripped == 0 && self.withheld == 0
    }
}
