//! The repository for TUF clients as it is published: one tree at a time, never changed, and a pointer to it.
//!
//! ```text
//! tuf/<version>.json     a tree: metadata as text, and where each target's bytes lie
//! tuf/pointer            which tree is served, in the form of a channel's pointer
//! ```

use std::collections::BTreeMap;

use base::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use super::set::BytesPlace;

/// The format of a tree's file.
pub const FORMAT: &str = "gaprelay-tuf/1";

/// A repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Tree {
    /// Always `gaprelay-tuf/1`.
    pub format: String,
    /// Number of the tree: entries of the import log when it was made, so that it only rises. Timestamp and snapshot
    /// have it as their version, unless targets were taken out since, which changes no metadata.
    pub version: u64,
    /// When it was made.
    pub made: Timestamp,
    /// Set that each channel showed then.
    pub sets: BTreeMap<String, Digest>,
    /// Metadata files by name, as clients ask for them.
    pub metadata: BTreeMap<String, String>,
    /// Targets by `<sha256>.<name>`.
    pub targets: BTreeMap<String, TreeFile>,
    /// Releases that the targets are of, as FEED/VERSION, with the digests of their manifests; none in trees of earlier
    /// versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub releases: BTreeMap<String, Digest>,
}

/// Sources of a repository, and their time: read where the rest does not matter.
#[derive(Debug, Deserialize)]
pub struct Outline {
    /// When it was made.
    pub made: Timestamp,
    /// Set that each channel showed then.
    pub sets: BTreeMap<String, Digest>,
    /// Releases that the targets are of, with the digests of their manifests; none in trees of earlier versions.
    #[serde(default)]
    pub releases: BTreeMap<String, Digest>,
}

/// Target's bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TreeFile {
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 of the bytes.
    pub sha256: Digest,
    /// Place of the bytes.
    pub place: BytesPlace,
    /// Release that the target is of, as FEED/VERSION; none for what the relay says itself, and in trees of earlier
    /// versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
}
