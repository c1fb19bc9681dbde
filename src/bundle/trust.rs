//! Accepted versions of each feed: the memory against rollback and equivocation.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Verified;
use super::keyring::Epoch;
use base::{Digest, Reason, Refusal, Timestamp};

/// Number of accepted versions of a feed that are remembered with their manifests.
const REMEMBERED: usize = 256;

/// Accepted versions of one feed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FeedTrust {
    /// The highest version accepted.
    pub highest: u64,
    /// The digests of the manifests accepted, by version; the newest 256.
    pub accepted: BTreeMap<u64, Digest>,
    /// The keyring's epoch that this follows; 0 before the first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub epoch: u64,
    /// Versions that an epoch made void: never taken again.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub void: BTreeSet<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde asks for")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Relation of a verified bundle to the accepted versions.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Novelty {
    /// A higher version than any before.
    New,
    /// Exactly this manifest was accepted before: nothing to do.
    Before,
}

impl FeedTrust {
    /// Relation of `verified` to this feed's past: a version only rises, and one version has one content. Refusals:
    /// `version-void`, `version-equivocation`, `version-rollback`.
    pub fn check(&self, verified: &Verified) -> Result<Novelty, Refusal> {
        let version = verified.manifest().version;
        if self.void.contains(&version) {
            let detail =
                format!("version {version} was accepted before, and epoch {} of the keyring made it void", self.epoch);
            return Err(Refusal::new(Reason::VersionVoid, detail));
        }
        match self.accepted.get(&version) {
            Some(digest) if *digest == verified.digest() => return Ok(Novelty::Before),
            Some(digest) => {
                let detail = format!(
                    "version {version} was accepted before with manifest {digest}; this bundle has manifest {}",
                    verified.digest()
                );
                return Err(Refusal::new(Reason::VersionEquivocation, detail));
            }
            None => {}
        }
        if version <= self.highest {
            let detail =
                format!("version {version} is not higher than version {}, which was accepted before", self.highest);
            return Err(Refusal::new(Reason::VersionRollback, detail));
        }
        Ok(Novelty::New)
    }

    /// Checks that the version does not run far ahead: with a stolen key somebody could else use up the numbers (TUF
    /// 1.0.34, fast-forward). A feed's first version may be any. Refusal: `version-jump`.
    pub fn check_jump(&self, version: u64, most: u64) -> Result<(), Refusal> {
        let jump = version.saturating_sub(self.highest);
        if self.highest == 0 || jump <= most {
            return Ok(());
        }
        let detail = format!(
            "version {version} is {jump} higher than {}, the highest accepted; the feed's limit (jump) is {most}",
            self.highest
        );
        Err(Refusal::new(Reason::VersionJump, detail))
    }

    /// Goes over to an epoch of the keyring, if it is a new one: what was accepted above its highest version is void.
    pub fn enter(&mut self, epoch: &Epoch) {
        if epoch.number <= self.epoch {
            return;
        }
        self.epoch = epoch.number;
        self.void.extend(self.accepted.split_off(&epoch.highest.saturating_add(1)).into_keys());
        self.highest = self.highest.min(epoch.highest);
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

/// Checks that a bundle is young enough for its feed. Refusal: `bundle-stale`.
pub fn check_age(verified: &Verified, refuse_after: Option<Duration>, now: Timestamp) -> Result<(), Refusal> {
    let issued = verified.manifest().issued;
    match refuse_after {
        Some(span) if issued.age(now) > span => {
            let detail = format!(
                "the bundle was issued {issued}, longer ago than the feed allows ({})",
                humantime::format_duration(span)
            );
            Err(Refusal::new(Reason::BundleStale, detail))
        }
        _ => Ok(()),
    }
}
