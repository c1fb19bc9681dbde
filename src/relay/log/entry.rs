//! What the logs hold: one JSON object an entry. See `schemas/log.md`.

use serde::{Deserialize, Serialize};

pub use super::repair_officer::RepairOfficer;
pub use sandbox::report::{SelfTest, SelfTested};
pub use serve::journal::Attempt;

use base::{Digest, Error, Operator, Reason, Timestamp, quoted};
use bundle::Signer;
use inspect::Counts;

/// One entry. Its exact bytes are the leaf.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// When it was appended; never before the entry before it.
    pub time: Timestamp,
    /// What happened.
    pub event: Event,
}

/// What happened. An intent stands before the act, its outcome after; an intent that is the last
/// entry when the relay starts gets an outcome then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// The state folder was made.
    Initialised {
        /// The relay's name.
        relay: String,
        /// Version of the first keyring.
        keyring_version: u64,
        /// Its digest.
        keyring: Digest,
    },
    /// Intent: a medium will be read.
    MediumOpened {
        /// The path given, escaped.
        medium: String,
        /// The flags it is mounted with, of `ro nodev nosuid noexec`.
        mount: String,
        /// The disk that was set read-only for the time of the import.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        disk: Option<String>,
        /// Why a writable one is taken, from the config, where it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        writable: Option<String>,
        /// Who imports.
        operator: Operator,
    },
    /// Outcome: what could be read of it is in the spool; it may be removed.
    MediumRead {
        /// Bundles found.
        bundles: u64,
        /// Other files and folders.
        unrelated: u64,
        /// Whether its names, lengths and times were at the end what they were at the beginning.
        unchanged: bool,
    },
    /// Outcome: the medium could not be searched.
    MediumRefused {
        /// Why.
        reason: Reason,
        /// The facts, escaped.
        detail: String,
    },
    /// Intent: a bundle will be judged and, if it is good, stored.
    ImportStarted {
        /// Its folder, escaped.
        bundle: String,
        /// Digest of its manifest's bytes, believed or not; none where they could not be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        manifest: Option<Digest>,
        /// Who imports.
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
        /// How many of which.
        counts: Counts,
        /// Who signed.
        signers: Vec<Signer>,
        /// Found to be complete when the relay started again after a cut.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        after_interruption: bool,
    },
    /// Outcome: the next keyring is in force.
    KeyringReplaced {
        /// Its version.
        version: u64,
        /// Its digest.
        keyring: Digest,
        /// Ids of the root keys that signed it, of the version before and of this one.
        signers: Vec<String>,
        /// Ids of the keys that it revokes.
        revoked: Vec<String>,
        /// The epochs that it sets, as FEED EPOCH HIGHEST.
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
        /// The digest accepted before, where one version has two contents.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        accepted: Option<Digest>,
    },
    /// Outcome: we could not do our work; nothing of the bundle was kept.
    ImportFailed {
        /// What failed, escaped.
        fault: String,
    },
    /// An officer's statement was verified and counts from here on.
    Statement {
        /// Feed.
        feed: String,
        /// Version.
        version: u64,
        /// approve, refuse or withdraw.
        decision: String,
        /// The officer's name in the keyring.
        officer: String,
        /// The key's id.
        key_id: String,
        /// The statement's text, as it was signed.
        text: String,
        /// The signature file.
        signature: String,
    },
    /// An officer's directive was verified and counts from here on.
    Directive {
        /// What is ordered.
        order: String,
        /// The officer's name in the keyring.
        officer: String,
        /// The key's id.
        key_id: String,
        /// The raw public key, hex.
        key: String,
        /// The directive's text, as it was signed.
        text: String,
        /// The signature file.
        signature: String,
        /// The time that it is or later, where this was the last one needed to turn the relay's clock back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clock: Option<Timestamp>,
    },
    /// The trust state was damaged, and officers had it made anew from this log.
    Repaired {
        /// Digest of the new trust file.
        trust: Digest,
        /// What each of them signed.
        officers: Vec<RepairOfficer>,
    },
    /// A statement was handed in and does not count.
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
        /// The releases in it, as FEED/VERSION.
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
    },
    /// A channel could not be brought up to date and stays as it was.
    PublishRefused {
        /// Channel.
        channel: String,
        /// Why.
        reason: Reason,
        /// The facts, escaped.
        detail: String,
    },
    /// Outcome: what was intended was cut off and did not happen.
    Interrupted {
        /// Number of the entry with the intent, counted from 0.
        intent: u64,
    },
    /// A witness cosigned this log's head as it was at a size.
    Cosigned {
        /// Number of entries.
        size: u64,
        /// The witnesses, by the policy's names.
        witnesses: Vec<String>,
        /// Whether the policy's quorum has now cosigned that head.
        quorum: bool,
    },
    /// A cosignature was handed in and does not count.
    CosignatureRefused {
        /// Why.
        reason: Reason,
        /// The facts, escaped.
        detail: String,
    },
    /// The access log's head as it is now: whoever rewrites that log must rewrite this one too.
    Anchored {
        /// Origin of the access log.
        log: String,
        /// Its number of entries.
        size: u64,
        /// Root of its tree.
        root: Digest,
    },
    /// What is confined, and the proof that it holds. In the access log where the server wrote it.
    SelfTest(SelfTest),
    /// Access log: something other than a plain download was asked of the server.
    Attempt(Attempt),
}

impl Event {
    /// Every kind of event, in the order of their definition.
    pub const KINDS: [&str; 23] = [
        "initialised",
        "medium-opened",
        "medium-read",
        "medium-refused",
        "import-started",
        "imported",
        "keyring-replaced",
        "already-here",
        "import-refused",
        "import-failed",
        "statement",
        "directive",
        "repaired",
        "statement-refused",
        "publish-started",
        "published",
        "publish-refused",
        "interrupted",
        "cosigned",
        "cosignature-refused",
        "anchored",
        "self-test",
        "attempt",
    ];

    /// What the bytes of each entry of this kind hold, and of few others.
    pub fn needle(kind: &str) -> String {
        format!(r#""type":"{kind}""#)
    }

    /// Its kind: what its entry has as `type`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Initialised { .. } => "initialised",
            Self::MediumOpened { .. } => "medium-opened",
            Self::MediumRead { .. } => "medium-read",
            Self::MediumRefused { .. } => "medium-refused",
            Self::ImportStarted { .. } => "import-started",
            Self::Imported { .. } => "imported",
            Self::KeyringReplaced { .. } => "keyring-replaced",
            Self::AlreadyHere { .. } => "already-here",
            Self::ImportRefused { .. } => "import-refused",
            Self::ImportFailed { .. } => "import-failed",
            Self::Statement { .. } => "statement",
            Self::Directive { .. } => "directive",
            Self::Repaired { .. } => "repaired",
            Self::StatementRefused { .. } => "statement-refused",
            Self::PublishStarted { .. } => "publish-started",
            Self::Published { .. } => "published",
            Self::PublishRefused { .. } => "publish-refused",
            Self::Interrupted { .. } => "interrupted",
            Self::Cosigned { .. } => "cosigned",
            Self::CosignatureRefused { .. } => "cosignature-refused",
            Self::Anchored { .. } => "anchored",
            Self::SelfTest(_) => "self-test",
            Self::Attempt(_) => "attempt",
        }
    }

    /// The outcome of what was refused or failed; `accepted` is what one version was accepted with before.
    pub fn failure(error: &Error, accepted: Option<Digest>) -> Self {
        match error {
            Error::Refused(refusal) => {
                Self::ImportRefused { reason: refusal.reason, detail: refusal.detail.clone(), accepted }
            }
            Error::Fault(fault) => Self::ImportFailed { fault: quoted(&fault.to_string()).to_string() },
        }
    }

    /// Whether an outcome must follow.
    pub fn is_intent(&self) -> bool {
        matches!(self, Self::MediumOpened { .. } | Self::ImportStarted { .. } | Self::PublishStarted { .. })
    }
}
