//! Pins of the trust state: digests of what is in force, or was last seen, outside of it.

use serde::{Deserialize, Serialize};

use base::Digest;

/// Version and digest of the keyring in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyringPin {
    /// Version of the keyring.
    pub version: u64,
    /// Digest of its file.
    pub sha256: Digest,
}

/// Config in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConfigPin {
    /// Digest of `config.toml`.
    pub sha256: Digest,
    /// Number of the entry of the import log that says so, counted from 0.
    pub entry: u64,
}

/// Head of the access log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// Number of entries.
    pub size: u64,
    /// Root of the tree.
    pub root: Digest,
}
