//! A channel's sets as they are published: numbered, never changed, and one small file that names the one agents see.
//!
//! ```text
//! channels/<channel>/<generation>.json     a set
//! channels/<channel>/pointer               which set agents see, and the proof that the relay's log says so
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Digest, Reason, Timestamp};
use serde::{Deserialize, Serialize};

/// The format of a set file, served as `/-/channels/<channel>/release.json`.
pub const FORMAT: &str = "gaprelay-set/1";

/// Set of a channel: the files that it serves.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// Always `gaprelay-set/1`.
    pub format: String,
    /// The channel.
    pub channel: String,
    /// Counted from 1; rises with each switch.
    pub generation: u64,
    /// When it was made.
    pub published: Timestamp,
    /// The releases in it, one a feed at most.
    pub releases: Vec<SetMember>,
    /// The files, sorted by path.
    pub files: Vec<SetFile>,
    /// Last modification of each path that was served once; of sets of earlier versions, which remembered them one by
    /// one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gone: BTreeMap<String, Timestamp>,
    /// Latest modification of all that was served once and is no longer; none before anything left. What comes is
    /// later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_gone: Option<Timestamp>,
}

/// A release in a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SetMember {
    /// Feed.
    pub feed: String,
    /// Version.
    pub version: u64,
    /// Digest of its manifest.
    pub manifest: Digest,
    /// Names of its signature files.
    pub signatures: Vec<String>,
    /// When it was made.
    pub issued: Timestamp,
    /// When it expires.
    pub expires: Timestamp,
    /// When content that goes forward again is due, where it was let back by a downgrade ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_until: Option<Timestamp>,
    /// Artifacts of the manifest that are not served, and why.
    pub withheld: BTreeMap<String, Reason>,
}

/// A file in a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SetFile {
    /// Path below the channel.
    pub path: String,
    /// The feed it came from.
    pub feed: Arc<str>,
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 of the bytes.
    pub sha256: Digest,
    /// When this relay first published these bytes at this path; it only moves forward.
    pub modified: Timestamp,
    /// Place of the bytes.
    pub place: BytesPlace,
    /// Digest before lines were left out; nothing, if the file is as the publisher signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripped: Option<Box<From>>,
}

/// An artifact that lines were left out of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct From {
    /// SHA-256 in the manifest.
    pub sha256: Digest,
    /// Lines that were left out.
    pub dropped: Vec<DroppedLines>,
}

/// Set that a channel serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CurrentSet {
    /// Number of the set.
    pub generation: u64,
    /// Digest of the set file.
    pub set: Digest,
}

/// Place of an artifact's bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum BytesPlace {
    /// In the blob of its digest.
    Blob,
    /// In a release's pack.
    Pack {
        /// FEED/VERSION.
        release: String,
        /// Offset of its first byte.
        offset: u64,
    },
    /// Here: made at publish, and short.
    Inline(String),
    /// Nowhere: it is the list of the set's own files, in the form of `sha256sum`.
    Sums,
}

/// Part that was left out of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DroppedLines {
    /// The line at fault, in the artifact as it came, counted from 1.
    pub line: u64,
    /// Why.
    pub reason: Reason,
    /// The file of an archive that the line is in; in line 1, it may be the whole file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
}

/// The list of a channel's files, for `sha256sum -c`.
pub const SUMS: &str = "SHA256SUMS";

/// Output of `sha256sum` for the files that publishers brought, without those that the relay made beside them.
pub fn sums(files: &[SetFile]) -> String {
    sum_lines(files).collect()
}

/// The lines of that list.
pub fn sum_lines(files: &[SetFile]) -> impl Iterator<Item = String> {
    let brought = files.iter().filter(|file| matches!(file.place, BytesPlace::Blob | BytesPlace::Pack { .. }));
    brought.map(|file| format!("{}  {}\n", file.sha256, file.path))
}
