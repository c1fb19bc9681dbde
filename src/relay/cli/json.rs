//! What `--json` prints: one type for each command, its schema in `schemas/`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::doctor::HostFinding;
use crate::log::Entry;
use crate::publish::ReleaseStatus;
use base::{Digest, Reason, Timestamp};
use bundle::Signer;
use inspect::Counts;
use sandbox::selftest::RoleReport;
use tlog::compare::HeadComparison;

/// `doctor --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Doctor {
    /// What was looked at, in order.
    pub findings: Vec<HostFinding>,
}

/// `import --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Imported {
    /// One for each bundle found, in the order they were judged.
    pub bundles: Vec<Bundle>,
    /// Channels that were switched, with their new generation.
    pub published: BTreeMap<String, u64>,
    /// Channels that could not be brought up to date, and why.
    pub stuck: BTreeMap<String, Why>,
    /// The bounded receipt of the import log, for the paper book.
    pub receipt: String,
}

/// What became of one bundle.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Bundle {
    /// Its folder, escaped.
    pub bundle: String,
    /// Its feed, once it could be believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<String>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The version of a keyring that it put in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyring: Option<u64>,
    /// `imported`, `keyring-replaced`, `already-here`, `refused` or `failed`.
    pub outcome: &'static str,
    /// Where the release stands; of an imported one only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<ReleaseStatus>,
    /// Whether a channel shows it now.
    pub published: bool,
    /// Who signed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signers: Vec<Signer>,
    /// How many verdicts of which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Why>,
    /// What failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// A refusal.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Why {
    /// The stable code.
    pub reason: Reason,
    /// The facts, escaped.
    pub detail: String,
    /// What to do next.
    pub next: &'static str,
}

impl From<&base::Refusal> for Why {
    fn from(refusal: &base::Refusal) -> Self {
        Self { reason: refusal.reason, detail: refusal.detail.clone(), next: refusal.reason.next() }
    }
}

/// `settle --json` and `approve --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Settled {
    /// Statements that count from now on.
    pub taken: Vec<TakenNow>,
    /// Directives that count from now on: what is ordered, and by whom.
    pub directives: Vec<DirectedNow>,
    /// Statements that do not count, and why.
    pub refused: Vec<Why>,
    /// Channels that were switched, with their new generation.
    pub published: BTreeMap<String, u64>,
    /// Channels that could not be brought up to date, and why.
    pub stuck: BTreeMap<String, Why>,
    /// Heads that witnesses cosigned.
    pub cosigned: Vec<CosignedNow>,
    /// The bounded receipt of the import log, for the paper book.
    pub receipt: String,
    /// Lines of evidence taken into the access log.
    pub evidence: usize,
}

/// A head that witnesses cosigned.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CosignedNow {
    /// Its number of entries.
    pub size: u64,
    /// Who is new, by the policy's names.
    pub witnesses: Vec<String>,
    /// Whether the quorum has cosigned it now.
    pub quorum: bool,
}

/// A statement that counts from now on.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TakenNow {
    /// FEED/VERSION.
    pub release: String,
    /// approve, refuse or withdraw.
    pub decision: &'static str,
    /// The officer.
    pub officer: String,
}

/// A directive that counts from now on.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DirectedNow {
    /// What is ordered.
    pub order: String,
    /// The officer.
    pub officer: String,
    /// The time that it is or later, where this was the last one needed to turn the relay's clock back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<Timestamp>,
}

/// `selftest --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SelfTest<'a> {
    /// The kernel.
    pub kernel: String,
    /// Each role tried.
    pub parts: &'a [RoleReport],
    /// What got through, or does not work.
    pub findings: &'a [String],
    /// What got through where a layer is missing that the config does without.
    pub exposed: &'a [String],
}

/// One line of `log show --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LogLine {
    /// Number of the entry, counted from 0.
    pub number: u64,
    /// The entry.
    pub entry: Entry,
}

/// `log verify --json`: one for each log.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Verified {
    /// The log's folder.
    pub log: String,
    /// Its origin.
    pub origin: String,
    /// Whether all entries are what the signed head promises.
    pub whole: bool,
    /// Number of entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Root of the tree, base64, as in the checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// The first bad entry, if it can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad_entry: Option<u64>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What each kept head tells of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub against: Vec<Against>,
}

/// What a kept head tells of a log.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Against {
    /// Where it was kept: a file, or the number of the entry of the import log that has it.
    pub kept: String,
    /// Its number of entries.
    pub size: u64,
    /// What it tells.
    pub verdict: HeadComparison,
}

/// `log verify --receipt --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Proven {
    /// The log's origin.
    pub origin: String,
    /// Whether the log has promised this entry.
    pub proven: bool,
    /// Number of the entry.
    pub number: u64,
    /// Number of entries under the signed head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The entry, where it is proven and one that this version knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
}

/// `fsck --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Fsck {
    /// Releases looked at.
    pub releases: u64,
    /// Artifacts whose bytes were hashed.
    pub artifacts: u64,
    /// Bytes hashed.
    pub bytes: u64,
    /// Entries in both logs.
    pub entries: u64,
    /// What is wrong; empty if all is well.
    pub faults: Vec<String>,
}

/// `gc --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Gc {
    /// Whether it was removed, or only would be.
    pub removed: bool,
    /// Former sets.
    pub sets: Vec<String>,
    /// Releases, as FEED/VERSION.
    pub releases: Vec<String>,
    /// Blobs by digest.
    pub blobs: Vec<Digest>,
    /// Bytes that this frees.
    pub bytes: u64,
}
