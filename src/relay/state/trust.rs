//! `trust/trust.json`: what the relay has accepted. It is replaced as a whole, and that step is what
//! makes an import count: a release above its feed's highest version does not exist for anyone.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{LONGEST, State};
use crate::log::writer::each_between;
use crate::log::{Entry, Event};
use base::{Digest, Fault, Timestamp, durable};
use bundle::directive::{Given, Order};
use bundle::keyring::Epoch;
use bundle::{FeedTrust, Successor};
use tlog::check::read_vkey;
use tlog::stored::read_checkpoint;

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
    /// Entries of the import log when this was written: what stands behind them must not know of more than this.
    #[serde(default)]
    pub entries: u64,
    /// The latest moment a signer has vouched for: our clock must not be behind it.
    pub floor: Timestamp,
    /// What the floor was each time officers turned the clock back: moments that never were, and none is turned back
    /// from twice.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub turned_back: BTreeSet<Timestamp>,
    /// The access log's head that stands in the import log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchored: Option<Anchor>,
    /// What was accepted, by feed.
    pub feeds: BTreeMap<String, FeedTrust>,
    /// Officers' directives that count, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub directives: Vec<Given>,
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
            entries: 0,
            floor: Timestamp::default(),
            turned_back: BTreeSet::new(),
            anchored: None,
            feeds: BTreeMap::new(),
            directives: Vec::new(),
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
        durable::replace(&state.root().join("trust/trust.json"), &self.to_bytes()?)
    }

    /// What the file holds.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Fault> {
        serde_json::to_vec_pretty(self).map_err(|_| Fault::Internal("trust cannot be written"))
    }

    /// What the import log tells of it, from its first entry on: the file is nothing but this, kept at hand. None where
    /// the log does not begin with the relay's own beginning.
    pub fn with_entry(known: Option<Self>, number: u64, entry: &Entry) -> Option<Self> {
        if let Event::Initialised { keyring_version, keyring, .. } = &entry.event {
            let first = Self::first(*keyring_version, *keyring);
            return Some(Self { entries: number + 1, floor: entry.time, ..first });
        }
        let mut trust = known?;
        match &entry.event {
            Event::Imported { feed, version, manifest, .. } => {
                trust.feeds.entry(feed.clone()).or_default().accept(*version, *manifest);
            }
            Event::KeyringReplaced { version, keyring, epochs, .. } => {
                trust.keyring = KeyringPin { version: *version, sha256: *keyring };
                for epoch in epochs.iter().filter_map(|text| text.parse::<Epoch>().ok()) {
                    trust.feeds.entry(epoch.feed.clone()).or_default().enter(&epoch);
                }
            }
            Event::Directive { key, text, signature, clock, .. } => {
                let given =
                    Given { taken: entry.time, key: key.clone(), text: text.clone(), signature: signature.clone() };
                if let Some(directive) = given.directive() {
                    trust.apply_time_order(&directive.order, *clock);
                }
                if !trust.has_directive(&given) {
                    trust.directives.push(given);
                }
            }
            Event::Anchored { size, root, .. } => trust.anchored = Some(Anchor { size: *size, root: *root }),
            _ => return Some(trust),
        }
        (trust.entries, trust.floor) = (number + 1, trust.floor.max(entry.time));
        Some(trust)
    }

    /// Takes in what an officer's order says of the time, and the clock, if it was turned back by it.
    pub fn apply_time_order(&mut self, order: &Order, clock: Option<Timestamp>) {
        match (order, clock) {
            (Order::Clock(time), _) => self.floor = self.floor.max(*time),
            (Order::TurnBack { from, .. }, Some(clock)) => {
                self.floor = clock;
                self.turned_back.insert(*from);
            }
            // One officer alone changes nothing; another one may answer exactly this, whatever the log's last time is.
            (Order::TurnBack { from, .. }, None) => self.floor = self.floor.max(*from),
            _ => {}
        }
    }

    /// Whether it holds what this entry of the log tells: if not, it is an older copy. A directive stands in the log
    /// before it is kept, so that of the last entry may be missing.
    pub fn reflects(&self, entry: &Entry, is_last: bool) -> bool {
        match &entry.event {
            Event::Imported { feed, version, manifest, .. } => {
                let known = self.feed(feed);
                let is_forgotten = known.accepted.first_key_value().is_some_and(|(oldest, _)| version < oldest);
                known.accepted.get(version) == Some(manifest) || known.void.contains(version) || is_forgotten
            }
            Event::KeyringReplaced { version, .. } => *version <= self.keyring.version,
            Event::Directive { key, text, .. } => {
                is_last || self.directives.iter().any(|given| given.key == *key && given.text == *text)
            }
            _ => true,
        }
    }

    /// Whether it is what the log tells, but for moments and for what waits to be told by the next entry.
    pub fn agrees_with(&self, told: &Self) -> bool {
        let feeds = told.feeds.iter().all(|(feed, told)| {
            let known = self.feed(feed);
            known.highest >= told.highest
                && known.epoch == told.epoch
                && known.void == told.void
                && told.accepted.iter().all(|(version, digest)| known.accepted.get(version) == Some(digest))
        });
        let directives = told.directives.iter().all(|given| self.has_directive(given));
        let is_keyring = (self.keyring.version, self.keyring.sha256) == (told.keyring.version, told.keyring.sha256);
        feeds && directives && is_keyring && self.turned_back == told.turned_back
    }

    /// Whether an officer has ordered exactly this before.
    pub fn has_directive(&self, given: &Given) -> bool {
        self.directives.iter().any(|other| other.key == given.key && other.text == given.text)
    }

    /// Puts the next keyring in force.
    pub fn apply_succession(&mut self, successor: &Successor) {
        let keyring = successor.keyring();
        self.keyring = KeyringPin { version: keyring.version, sha256: successor.digest() };
        for epoch in &keyring.epochs {
            self.feeds.entry(epoch.feed.clone()).or_default().enter(epoch);
        }
    }

    /// The latest moment the relay knows to have passed: from signers' dates and officers, and its own log.
    pub fn latest_known_time(&self, state: &State) -> Result<Timestamp, Fault> {
        let folder = state.import_log();
        let size = read_checkpoint(&folder, &read_vkey(&folder)?)?.size;
        let mut latest = self.floor;
        each_between(&folder, (size.saturating_sub(1), size), size, |_, _, entry| {
            latest = latest.max(entry.time);
            Ok(())
        })?;
        Ok(latest)
    }

    /// What was accepted for a feed.
    pub fn feed(&self, feed: &str) -> FeedTrust {
        self.feeds.get(feed).cloned().unwrap_or_default()
    }

    /// Whether exactly this was accepted.
    pub fn accepted_manifest(&self, feed: &str, version: u64) -> Option<Digest> {
        self.feeds.get(feed)?.accepted.get(&version).copied()
    }
}
