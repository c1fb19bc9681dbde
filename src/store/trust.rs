//! `trust/trust.json`: what the relay has accepted. It is replaced as a whole, and that step is what
//! makes an import count: a release above its feed's highest version does not exist for anyone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{LONGEST, State};
use crate::base::{Digest, Fault, Timestamp, durable};
use crate::verify::FeedTrust;

const FORMAT: &str = "gaprelay-trust/1";

/// What was accepted so far.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// Always `gaprelay-trust/1`.
    format: String,
    /// The keyring in force.
    pub keyring: KeyringPin,
    /// The latest moment a signer has vouched for: our clock must not be behind it.
    pub floor: Timestamp,
    /// The access log's head that stands in the import log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchored: Option<Anchor>,
    /// What was accepted, by feed.
    pub feeds: BTreeMap<String, FeedTrust>,
}

/// Which keyring is in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyringPin {
    /// Its version.
    pub version: u64,
    /// Its digest.
    pub sha256: Digest,
}

/// A head of the access log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// Number of entries.
    pub size: u64,
    /// Root of the tree.
    pub root: Digest,
}

impl Trust {
    /// Nothing accepted yet but a keyring.
    pub fn first(version: u64, sha256: Digest) -> Self {
        Self {
            format: FORMAT.into(),
            keyring: KeyringPin { version, sha256 },
            floor: Timestamp::default(),
            anchored: None,
            feeds: BTreeMap::new(),
        }
    }

    /// Reads the trust file; that it is missing is damage.
    pub fn load(state: &State) -> Result<Self, Fault> {
        let path = state.root().join("trust/trust.json");
        let damaged = |detail: String| Fault::damaged(path.to_string_lossy(), detail);
        let trust: Self =
            serde_json::from_slice(&durable::read(&path, LONGEST)?).map_err(|e| damaged(e.to_string()))?;
        if trust.format == FORMAT { Ok(trust) } else { Err(damaged("it is of another format".into())) }
    }

    /// Replaces the trust file, durably.
    pub fn save(&self, state: &State) -> Result<(), Fault> {
        let bytes = serde_json::to_vec_pretty(self).map_err(|_| Fault::Internal("trust cannot be written"))?;
        durable::replace(&state.root().join("trust/trust.json"), &bytes)
    }

    /// What was accepted for a feed.
    pub fn feed(&self, feed: &str) -> FeedTrust {
        self.feeds.get(feed).cloned().unwrap_or_default()
    }

    /// Whether exactly this was accepted.
    pub fn accepted(&self, feed: &str, version: u64) -> Option<Digest> {
        self.feeds.get(feed)?.accepted.get(&version).copied()
    }
}
