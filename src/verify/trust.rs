//! What the relay has accepted before: the memory against rollback and equivocation.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Verified;
use crate::base::{Digest, Reason, Refusal, Timestamp};

/// How many accepted versions of a feed are remembered with their manifests.
const REMEMBERED: usize = 256;

/// What was accepted for one feed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FeedTrust {
    /// The highest version accepted.
    pub highest: u64,
    /// The digests of the manifests accepted, by version; the newest 256.
    pub accepted: BTreeMap<u64, Digest>,
}

/// How a verified bundle stands to what was accepted before.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A higher version than any before.
    New,
    /// Exactly this manifest was accepted before: nothing to do.
    Before,
}

impl FeedTrust {
    /// How `verified` stands to this feed's past: a version only rises, and one version has one
    /// content. Refusals: `version-equivocation`, `version-rollback`.
    pub fn check(&self, verified: &Verified) -> Result<Seen, Refusal> {
        let version = verified.manifest().version;
        match self.accepted.get(&version) {
            Some(digest) if *digest == verified.digest() => return Ok(Seen::Before),
            Some(digest) => {
                let detail = format!(
                    "version {version} was accepted with manifest {digest}, and this one has {}",
                    verified.digest()
                );
                return Err(Refusal::new(Reason::VersionEquivocation, detail));
            }
            None => {}
        }
        if version <= self.highest {
            let detail = format!("version {version} is not above {}, which was accepted", self.highest);
            return Err(Refusal::new(Reason::VersionRollback, detail));
        }
        Ok(Seen::New)
    }

    /// Remembers an accepted version.
    pub fn accept(&mut self, version: u64, manifest: Digest) {
        self.highest = self.highest.max(version);
        self.accepted.insert(version, manifest);
        while self.accepted.len() > REMEMBERED {
            self.accepted.pop_first();
        }
    }
}

/// That a bundle is young enough for its feed. Refusal: `bundle-stale`.
pub fn check_age(verified: &Verified, refuse_after: Option<Duration>, now: Timestamp) -> Result<(), Refusal> {
    let issued = verified.manifest().issued;
    match refuse_after {
        Some(span) if issued.age(now) > span => {
            let detail = format!("it was issued {issued}, more than {} ago", humantime::format_duration(span));
            Err(Refusal::new(Reason::BundleStale, detail))
        }
        _ => Ok(()),
    }
}
