//! Entries of the logs: one JSON object each. See `schemas/log.md`.

use memchr::memmem;
use serde::{Deserialize, Serialize};

pub(crate) use super::repair_officer::RepairOfficer;
pub(crate) use sandbox::report::SelfTest;
pub(crate) use serve::journal::Attempt;

use base::{Digest, Error, Fault, Operator, Reason, Timestamp, quoted};
use bundle::Signer;
use inspect::Counts;
use tlog::note::Checkpoint;

/// Entry of a log. Its exact bytes are the leaf.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Time of appending; never earlier than that of the entry before.
    pub time: Timestamp,
    /// Event that the entry records.
    pub event: Event,
}

/// Event in a log. An intent stands before the act, its outcome after; an intent that is the last entry when the relay
/// starts gets an outcome then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// The state folder was made.
    Initialised {
        /// Name of the relay.
        relay: String,
        /// Version of the first keyring.
        keyring_version: u64,
        /// Digest of the first keyring.
        keyring: Digest,
        /// Digest of the first config; none in entries of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        config: Option<Digest>,
    },
    /// The config is another one than before: from here on it decides.
    ConfigChanged {
        /// Digest of `config.toml`.
        config: Digest,
    },
    /// Intent: a medium will be read.
    MediumOpened {
        /// Path of the medium as given, escaped.
        medium: String,
        /// Mount flags of the medium, of `ro nodev nosuid noexec`.
        mount: String,
        /// Disk that was read-only in the kernel for the time of the import.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        disk: Option<String>,
        /// Reason from the config why a writable medium is accepted, where the medium is writable.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        writable: Option<String>,
        /// Operator who imports.
        operator: Operator,
    },
    /// Outcome: everything wanted of the medium is in the spool; the medium may be removed.
    MediumRead {
        /// Number of bundles found.
        bundles: u64,
        /// Number of other files and folders.
        unrelated: u64,
        /// True when names, lengths and times on the medium were the same at the end as at the beginning.
        unchanged: bool,
    },
    /// Outcome: the medium could not be searched.
    MediumRefused {
        /// Why.
        reason: Reason,
        /// The facts, escaped.
        detail: String,
    },
    /// Intent: a bundle will be judged and, if it is acceptable, stored.
    ImportStarted {
        /// Folder of the bundle, escaped.
        bundle: String,
        /// Digest of the manifest's bytes, verified or not; none where they could not be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        manifest: Option<Digest>,
        /// Operator who imports.
        operator: Operator,
    },
    /// Outcome: a bundle was accepted as a release.
    Imported {
        /// Feed.
        feed: String,
        /// Version.
        version: u64,
        /// Digest of the manifest.
        manifest: Digest,
        /// Digest of the list of verdicts.
        verdicts: Digest,
        /// Number of artifacts by decision.
        counts: Counts,
        /// Signers of the bundle.
        signers: Vec<Signer>,
        /// Digest of the release's record, the list of its files' digests; none in entries of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        record: Option<Digest>,
        /// Found to be complete when the relay started again after a cut.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        after_interruption: bool,
    },
    /// Digest of the record of a release that an earlier version of gaprelay imported, which did not put it into the
    /// log.
    Recorded {
        /// Feed.
        feed: String,
        /// Version.
        version: u64,
        /// Digest of the release's record.
        record: Digest,
        /// True if the log tells that agents had it before.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        shown: bool,
    },
    /// Releases that are needed no longer will be removed from the state folder.
    Collected {
        /// The releases, as FEED/VERSION.
        releases: Vec<String>,
    },
    /// Outcome: the next keyring is in force.
    KeyringReplaced {
        /// Version of the keyring.
        version: u64,
        /// Digest of the keyring.
        keyring: Digest,
        /// Ids of the root keys that signed it, of the version before and of this one.
        signers: Vec<String>,
        /// Ids of the keys that the keyring revokes.
        revoked: Vec<String>,
        /// Epochs that the keyring sets, as FEED EPOCH HIGHEST.
        epochs: Vec<String>,
        /// Found to be complete when the relay started again after a cut.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        after_interruption: bool,
    },
    /// Outcome: exactly this bundle was accepted before.
    AlreadyHere {
        /// Feed.
        feed: String,
        /// Version.
        version: u64,
        /// Digest of the manifest.
        manifest: Digest,
    },
    /// Outcome: a bundle was refused; nothing of it was kept.
    ImportRefused {
        /// Why.
        reason: Reason,
        /// The facts, escaped.
        detail: String,
        /// Digest accepted before, where one version has two contents.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        accepted: Option<Digest>,
    },
    /// Outcome: the relay could not do its work; nothing of the bundle was kept.
    ImportFailed {
        /// Failure of the relay, escaped.
        fault: String,
    },
    /// An officer's statement was verified and counts from here on.
    Statement {
        /// Feed.
        feed: String,
        /// Version.
        version: u64,
        /// Decision: approve, downgrade, refuse or withdraw.
        decision: String,
        /// The officer's name in the keyring.
        officer: String,
        /// The key's id.
        key_id: String,
        /// Raw public key, hex; none in entries of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// Number of officers whom the feed asked for then; of a withdrawal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        needed: Option<u64>,
        /// Text of the statement, as it was signed.
        text: String,
        /// The signature file.
        signature: String,
    },
    /// An officer's directive was verified and counts from here on.
    Directive {
        /// Order that the directive gives.
        order: String,
        /// The officer's name in the keyring.
        officer: String,
        /// The key's id.
        key_id: String,
        /// Raw public key, hex.
        key: String,
        /// Text of the directive, as it was signed.
        text: String,
        /// The signature file.
        signature: String,
        /// Time that it is now or later, where this was the last directive needed to turn the relay's clock back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clock: Option<Timestamp>,
    },
    /// The trust state was damaged, and officers had it made again from this log.
    Repaired {
        /// Digest of the new trust file.
        trust: Digest,
        /// Officers, each with the statement that they signed.
        officers: Vec<RepairOfficer>,
    },
    /// A statement was submitted and does not count.
    StatementRefused {
        /// Why.
        reason: Reason,
        /// The facts, escaped.
        detail: String,
        /// Digest of the statement's bytes.
        statement: Digest,
    },
    /// Intent: a channel will be switched to another set.
    PublishStarted {
        /// Channel.
        channel: String,
        /// Number of the set, counted from 1.
        generation: u64,
        /// Digest of the set file.
        set: Digest,
        /// Releases in the set, as FEED/VERSION.
        releases: Vec<String>,
    },
    /// Outcome: the channel was switched.
    Published {
        /// Channel.
        channel: String,
        /// Number of the set.
        generation: u64,
        /// Digest of the set file.
        set: Digest,
        /// Releases in the set, as FEED/VERSION; none in entries of earlier versions.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        releases: Vec<String>,
    },
    /// A channel could not be given all that is due; what else it shows is in the entries behind.
    PublishRefused {
        /// Channel.
        channel: String,
        /// Why.
        reason: Reason,
        /// The facts, escaped.
        detail: String,
    },
    /// Outcome: the intended act was interrupted and did not happen.
    Interrupted {
        /// Number of the entry with the intent, counted from 0.
        intent: u64,
    },
    /// Witnesses cosigned the head that this log had at a size.
    Cosigned {
        /// Number of entries.
        size: u64,
        /// Names of the witnesses in the policy.
        witnesses: Vec<String>,
        /// True when the policy's quorum has now cosigned that head.
        quorum: bool,
    },
    /// A cosignature was submitted and does not count.
    CosignatureRefused {
        /// Why.
        reason: Reason,
        /// The facts, escaped.
        detail: String,
    },
    /// Head of the access log as it is now: whoever rewrites that log must rewrite this one too.
    Anchored {
        /// Origin of the access log.
        log: String,
        /// Number of entries in the access log.
        size: u64,
        /// Root of the tree of the access log.
        root: Digest,
    },
    /// Confinement of the processes, and the proof that it holds. In the access log where the server wrote it.
    SelfTest(SelfTest),
    /// Access log: something other than a plain download was asked of the server.
    Attempt(Attempt),
}

impl Event {
    /// Outcome for a refusal or a fault; `accepted` is the digest with which the version was accepted before.
    pub fn failure(error: &Error, accepted: Option<Digest>) -> Self {
        match error {
            Error::Refused(refusal) => {
                Self::ImportRefused { reason: refusal.reason, detail: refusal.detail.clone(), accepted }
            }
            Error::Fault(fault) => Self::fault(fault),
        }
    }

    /// Outcome for a fault.
    pub fn fault(fault: &Fault) -> Self {
        Self::ImportFailed { fault: quoted(&fault.to_string()).to_string() }
    }

    /// True for an act that counts as soon as the log has it: where a cut kept it from the trust state, it is applied
    /// there.
    pub fn is_applied(&self) -> bool {
        matches!(
            self,
            Self::Statement { .. }
                | Self::Directive { .. }
                | Self::Published { .. }
                | Self::Recorded { .. }
                | Self::Collected { .. }
                | Self::ConfigChanged { .. }
        )
    }

    /// True when an outcome must follow.
    pub fn is_intent(&self) -> bool {
        matches!(self, Self::MediumOpened { .. } | Self::ImportStarted { .. } | Self::PublishStarted { .. })
    }
}

/// Set that an entry says was published: channel, number and digest; `None` for an entry of another kind.
pub(crate) fn published_set(bytes: &[u8]) -> Option<((String, u64), Digest)> {
    memmem::find(bytes, br#""type":"published""#)?;
    match serde_json::from_slice(bytes).ok()? {
        Entry { event: Event::Published { channel, generation, set, .. }, .. } => Some(((channel, generation), set)),
        _ => None,
    }
}

/// Head of the access log that an entry of the import log holds; `None` for an entry of another kind.
pub fn anchored_head(bytes: &[u8]) -> Option<Checkpoint> {
    // Most entries are of other kinds: they need not be read.
    memmem::find(bytes, br#""type":"anchored""#)?;
    match serde_json::from_slice(bytes).ok()? {
        Entry { event: Event::Anchored { log, size, root }, .. } => {
            Some(Checkpoint { origin: log, size, root: root.0 })
        }
        _ => None,
    }
}
