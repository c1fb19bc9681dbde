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
    /// Accepted versions that are no longer remembered with their manifests.
    #[serde(default, skip_serializing_if = "VersionRanges::is_empty")]
    pub forgotten: VersionRanges,
    /// Forgotten versions that an epoch made void: never taken again.
    #[serde(default, skip_serializing_if = "VersionRanges::is_empty")]
    pub void_ranges: VersionRanges,
}

/// Ranges of versions, each with its first and its last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VersionRanges(Vec<(u64, u64)>);

impl VersionRanges {
    /// Most ranges. Of more, those with the smallest gap between them become one.
    const MOST: usize = 4096;

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if the version lies in one of the ranges.
    pub fn contains(&self, version: u64) -> bool {
        self.0.iter().any(|(first, last)| (first..=last).contains(&&version))
    }

    /// Adds a version, which is above all that are there; or was kept for longer than those.
    fn push(&mut self, version: u64) {
        match self.0.last_mut() {
            Some((_, last)) if last.saturating_add(1) == version => *last = version,
            _ => self.0.push((version, version)),
        }
        if self.0.len() > Self::MOST {
            let gaps = self.0.array_windows().map(|[(_, last), (first, _)]| first.abs_diff(*last));
            if let Some((at, _)) = gaps.enumerate().min_by_key(|(_, gap)| *gap) {
                let (_, last) = self.0.remove(at + 1);
                self.0.iter_mut().skip(at).take(1).for_each(|range| range.1 = last);
            }
        }
    }

    /// Takes away what lies above `highest`, and gives it.
    fn split_above(&mut self, highest: u64) -> Self {
        let above = self.0.iter().filter(|(_, last)| *last > highest);
        let above = above.map(|(first, last)| ((*first).max(highest.saturating_add(1)), *last)).collect();
        self.0.retain(|(first, _)| *first <= highest);
        self.0.iter_mut().for_each(|(_, last)| *last = (*last).min(highest));
        Self(above)
    }
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
        if self.is_void(version) {
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

    /// True if an epoch made the version void.
    pub fn is_void(&self, version: u64) -> bool {
        self.void.contains(&version) || self.void_ranges.contains(version)
    }

    /// Checks that the version does not run far ahead: with a stolen key somebody could else use up the numbers (TUF
    /// 1.0.34, fast-forward). A feed's first version may be any. Refusal: `version-jump`.
    pub fn check_jump(&self, version: u64, most: u64) -> Result<(), Refusal> {
        let jump = version.saturating_sub(self.highest);
        // What an epoch made void is refused as that.
        if self.highest == 0 || jump <= most || self.is_void(version) {
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
        self.void_ranges.0.extend(self.forgotten.split_above(epoch.highest).0);
        self.highest = self.highest.min(epoch.highest);
    }

    /// Remembers an accepted version, and those in `shown` however old they are: what a channel shows must not leave it
    /// because others were accepted, which nobody has approved.
    pub fn accept(&mut self, version: u64, manifest: Digest, shown: &BTreeSet<u64>) {
        self.highest = self.highest.max(version);
        self.accepted.insert(version, manifest);
        while self.accepted.len() > REMEMBERED + shown.len() {
            let Some(oldest) = self.accepted.keys().copied().find(|version| !shown.contains(version)) else { break };
            self.accepted.remove(&oldest);
            self.forgotten.push(oldest);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Versions that an epoch makes void stay so, however many were accepted since.
    #[test]
    fn an_epoch_makes_all_versions_above_it_void() {
        let mut known = FeedTrust::default();
        let (manifest, shown) = (Digest::of(b""), BTreeSet::new());
        (1..=10).for_each(|version| known.accept(version, manifest, &shown));
        (1001..=2000).for_each(|version| known.accept(version, manifest, &shown));
        // A fast-forward, and a few after it.
        ((1 << 40)..(1 << 40) + 3).for_each(|version| known.accept(version, manifest, &shown));
        assert_eq!(known.accepted.len(), REMEMBERED);
        known.enter(&Epoch { feed: "f".into(), number: 1, highest: 1500 });
        assert_eq!(known.highest, 1500);
        for void in [1501, 1502, 1744, 1999, 2000, 1 << 40, (1 << 40) + 2] {
            assert!(known.is_void(void), "{void}");
        }
        for open in [1, 10, 1001, 1500, 2001, 999_999, (1 << 40) - 1, (1 << 40) + 3] {
            assert!(!known.is_void(open), "{open}");
        }
        // And again: what was void stays void.
        (2001..=2600).for_each(|version| known.accept(version, manifest, &shown));
        known.enter(&Epoch { feed: "f".into(), number: 2, highest: 2100 });
        assert!([1501, 1744, 2000, 2101, 2300, 2600, 1 << 40].iter().all(|version| known.is_void(*version)));
        assert!(!known.is_void(2100) && !known.is_void(2601));
    }

    /// A version that a channel shows is remembered, however many come after it.
    #[test]
    fn what_is_shown_is_not_forgotten() {
        let (mut known, manifest) = (FeedTrust::default(), Digest::of(b""));
        let shown = BTreeSet::from([7]);
        (1..=1000).for_each(|version| known.accept(version, manifest, &shown));
        assert!(known.accepted.contains_key(&7) && !known.accepted.contains_key(&8) && known.forgotten.contains(8));
        assert_eq!(known.accepted.len(), REMEMBERED + 1);
        (1001..=1002).for_each(|version| known.accept(version, manifest, &BTreeSet::new()));
        assert!(!known.accepted.contains_key(&7) && known.forgotten.contains(7));
        known.enter(&Epoch { feed: "f".into(), number: 1, highest: 6 });
        assert!([7, 8, 500, 1002].iter().all(|version| known.is_void(*version)) && !known.is_void(6));
    }
}
