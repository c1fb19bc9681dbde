//! Output of `--json`: a type for each command, with its schema in `schemas/`.

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

/// Output of `doctor --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DoctorJson {
    /// Findings, in the order of the checks.
    pub findings: Vec<HostFinding>,
}

/// Output of `import --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ImportJson {
    /// Result for each bundle found, in the order of judgement.
    pub bundles: Vec<BundleJson>,
    /// Channels that switched to a new set, with the number of that set.
    pub published: BTreeMap<String, u64>,
    /// Channels that could not switch to a new set, and why.
    pub stuck: BTreeMap<String, RefusalJson>,
    /// Bounded receipt of the import log, for the paper book.
    pub receipt: String,
}

/// Result of the import of a bundle.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct BundleJson {
    /// Folder of the bundle, escaped.
    pub bundle: String,
    /// Feed of the bundle; absent while no signature was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<String>,
    /// Version of the bundle; absent while no signature was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Version of the keyring that the bundle put in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyring: Option<u64>,
    /// `imported`, `keyring-replaced`, `already-here`, `refused` or `failed`.
    pub outcome: &'static str,
    /// State of the release; only of an imported one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<ReleaseStatus>,
    /// True when a channel shows the release now.
    pub published: bool,
    /// Signers of the bundle.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signers: Vec<Signer>,
    /// Number of verdicts of each kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// Reason of the refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusalJson>,
    /// Text of the fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// Refusal with its next step.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RefusalJson {
    /// Stable code.
    pub reason: Reason,
    /// Facts of this case, escaped.
    pub detail: String,
    /// Next step.
    pub next: &'static str,
}

impl From<&base::Refusal> for RefusalJson {
    fn from(refusal: &base::Refusal) -> Self {
        Self { reason: refusal.reason, detail: refusal.detail.clone(), next: refusal.reason.next() }
    }
}

/// Output of `settle --json`, `approve --json`, `directive hand-in --json` and `log witness hand-in --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SettleJson {
    /// Statements that count from now on.
    pub taken: Vec<TakenNow>,
    /// Directives that count from now on: order and officer.
    pub directives: Vec<DirectedNow>,
    /// Statements that do not count, and why.
    pub refused: Vec<RefusalJson>,
    /// Channels that switched to a new set, with the number of that set.
    pub published: BTreeMap<String, u64>,
    /// Channels whose pointer was missing or changed, and was put right.
    pub mended: Vec<String>,
    /// Channels that could not switch to a new set, and why.
    pub stuck: BTreeMap<String, RefusalJson>,
    /// Heads that witnesses cosigned.
    pub cosigned: Vec<CosignedNow>,
    /// Bounded receipt of the import log, for the paper book.
    pub receipt: String,
    /// Number of refused attempts of agents added to the access log.
    pub evidence: usize,
    /// Faults, one sentence each; each stopped nothing else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
}

/// Head of the log that witnesses cosigned.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CosignedNow {
    /// Number of entries under the head.
    pub size: u64,
    /// Witnesses whose cosignature is new, by their names in the policy.
    pub witnesses: Vec<String>,
    /// True when the quorum has cosigned the head.
    pub quorum: bool,
}

/// Statement that counts from now on.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct TakenNow {
    /// Release as FEED/VERSION.
    pub release: String,
    /// `approve`, `refuse`, `withdraw` or `downgrade`.
    pub decision: &'static str,
    /// Name of the officer.
    pub officer: String,
    /// Loss for agents by an approval, where its statement says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
}

/// Directive that counts from now on.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DirectedNow {
    /// Text of the order.
    pub order: String,
    /// Name of the officer.
    pub officer: String,
    /// Time to which the clock of the relay was turned back; present if this was the last signature needed for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<Timestamp>,
}

/// Output of `selftest --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SelfTestJson<'a> {
    /// Name and release of the kernel, and the machine type.
    pub kernel: String,
    /// Result for each tested role.
    pub parts: &'a [RoleReport],
    /// Attempts that were not stopped, and work of a role that was stopped.
    pub findings: &'a [String],
    /// Attempts that were not stopped because the config accepts that a layer is missing.
    pub exposed: &'a [String],
}

/// Line of `log show --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct LogLine {
    /// Number of the entry, counted from 0.
    pub number: u64,
    /// Entry.
    pub entry: Entry,
}

/// Output of `log verify --json`, for each log.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct LogVerifyJson {
    /// Folder of the log.
    pub log: String,
    /// Origin of the log.
    pub origin: String,
    /// True when all entries are those of the signed head, and all stored hashes those of the entries.
    pub whole: bool,
    /// Number of entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Root of the tree in base64, as in the checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// Number of the first bad entry, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad_entry: Option<u64>,
    /// Description of the damage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Present when all entries are well, and only stored hashes are not: the files at fault, below the folder of the
    /// log, at most 1,024. `log rebuild` makes them anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<String>>,
    /// Result of the comparison with each kept head.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub against: Vec<KeptHeadJson>,
}

/// Result of the comparison of a log with a kept head.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct KeptHeadJson {
    /// File that holds the head, or the number of the entry of the import log that holds it.
    pub kept: String,
    /// Number of entries under the head.
    pub size: u64,
    /// Result.
    pub verdict: HeadComparison,
}

/// Output of `log verify --receipt --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ReceiptJson {
    /// Origin of the log.
    pub origin: String,
    /// True when the key of the log signed a head that includes this entry.
    pub proven: bool,
    /// Number of the entry.
    pub number: u64,
    /// Number of entries under the signed head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Entry; present if it is proven and of a type that this version knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
}

/// Output of `fsck --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct FsckJson {
    /// Number of releases checked.
    pub releases: u64,
    /// Number of artifacts whose bytes were hashed.
    pub artifacts: u64,
    /// Number of bytes hashed.
    pub bytes: u64,
    /// Number of entries in both logs.
    pub entries: u64,
    /// Damage found; empty if there is none.
    pub faults: Vec<String>,
}

/// Output of `gc --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct GcJson {
    /// True when all this was removed; false when it was only listed.
    pub removed: bool,
    /// Former sets of channels.
    pub sets: Vec<String>,
    /// Releases, as FEED/VERSION.
    pub releases: Vec<String>,
    /// Digests of the blobs.
    pub blobs: Vec<Digest>,
    /// Number of bytes that the removal frees.
    pub bytes: u64,
}
