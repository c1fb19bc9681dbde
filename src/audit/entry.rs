//! What the logs hold: one JSON object an entry. See `schemas/log.md`.

use serde::{Deserialize, Serialize};

use crate::base::{Digest, Operator, Reason, Timestamp};
use crate::inspect::Counts;
use crate::sandbox::{Held, Role, Waiver};
use crate::verify::Signer;

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

/// The result of a self-test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SelfTest {
    /// The line's number in the server's journal, where it came from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// Whether each layer was tried alone, and everything without any.
    pub full: bool,
    /// The kernel.
    pub kernel: String,
    /// Each role tried.
    pub roles: Vec<SelfTested>,
    /// The layers that the config does without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<Waiver>,
    /// What got through where a layer is missing that the config does without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exposed: Vec<String>,
    /// What got through, or does not work: none of it is as it should be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
}

/// One role in a self-test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SelfTested {
    /// The role.
    pub role: Role,
    /// The layers it holds: Landlock's version, the filter's digest, what is weaker.
    pub held: Held,
    /// How much was tried.
    pub attempts: u64,
    /// How much of it was stopped.
    pub stopped: u64,
    /// How much this kernel or user cannot do, confined or not; counted in the full form only.
    pub not_here: u64,
}

/// An attempt to send something out, or to use the relay for it. Never a byte of what was sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// The line's number in the server's journal; rises, with gaps where the server restarted.
    pub id: u64,
    /// When the first of them came.
    pub at: Timestamp,
    /// How many alike came since the last such entry.
    pub count: u64,
    /// What it was, for instance `virustotal` or `generic-upload`.
    pub label: String,
    /// Whether it tried to send something out; `false` for a misdirected update or a broken request.
    pub submission: bool,
    /// The agent's address.
    pub agent: String,
    /// Its port, in the first of them.
    pub port: u16,
    /// Name in the agent's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The address it came to.
    pub listener: String,
    /// Server name asked for in TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// Method, escaped.
    pub method: String,
    /// Target with its query, escaped, credentials redacted.
    pub target: String,
    /// Host header, escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// User-Agent header, escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Content-Length or `chunked`, as declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_length: Option<String>,
    /// Content-Type, as declared, escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_type: Option<String>,
    /// The answer's status; 0 where the connection was closed without one.
    pub status: u16,
    /// Bytes that came on the connection, the request's head included.
    pub bytes_received: u64,
}

impl Event {
    /// Every kind of event, in the order of their definition.
    pub const KINDS: [&str; 20] = [
        "initialised",
        "medium-opened",
        "medium-read",
        "medium-refused",
        "import-started",
        "imported",
        "already-here",
        "import-refused",
        "import-failed",
        "statement",
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
            Self::AlreadyHere { .. } => "already-here",
            Self::ImportRefused { .. } => "import-refused",
            Self::ImportFailed { .. } => "import-failed",
            Self::Statement { .. } => "statement",
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

    /// Whether an outcome must follow.
    pub fn is_intent(&self) -> bool {
        matches!(self, Self::MediumOpened { .. } | Self::ImportStarted { .. } | Self::PublishStarted { .. })
    }
}
