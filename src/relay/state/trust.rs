//! Trust state, `trust/trust.json`: everything that the relay has accepted. The file is replaced as a whole, and that
//! step makes an import count: a release above its feed's highest version does not exist for anyone.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{LONGEST, State};
use crate::log::writer::each_between;
use crate::log::{Entry, Event};
use base::{Digest, Fault, Timestamp, durable};
use bundle::directive::{Order, TakenDirective};
use bundle::keyring::Epoch;
use bundle::{FeedTrust, Successor};
use tlog::check::read_vkey;
use tlog::stored::read_checkpoint;

const FORMAT: &str = "gaprelay-trust/1";

/// Trust state: everything that was accepted so far.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// Always `gaprelay-trust/1`.
    format: String,
    /// Keyring in force.
    pub keyring: KeyringPin,
    /// Number of entries of the import log when this was written: later entries must not tell of more than this file.
    #[serde(default)]
    pub entries: u64,
    /// Newest time that a signer has vouched for: the clock must not be behind it.
    pub floor: Timestamp,
    /// Value of the floor each time officers turned the clock back: times that never were, and none is turned back
    /// from twice.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub turned_back: BTreeSet<Timestamp>,
    /// Head of the access log that stands in the import log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchored: Option<Anchor>,
    /// Accepted versions, by feed.
    pub feeds: BTreeMap<String, FeedTrust>,
    /// Officers' directives that count, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub directives: Vec<TakenDirective>,
}

/// Version and digest of the keyring in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyringPin {
    /// Version of the keyring.
    pub version: u64,
    /// Digest of its file.
    pub sha256: Digest,
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

impl Trust {
    /// Trust state of a new relay: only a keyring is accepted.
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

    /// Reads the trust file. Fault: the file is missing, or cannot be read as one.
    pub fn load(state: &State) -> Result<Self, Fault> {
        let path = state.root().join("trust/trust.json");
        let damaged = |detail: String| Fault::damaged(path.to_string_lossy(), detail);
        let trust: Self = serde_json::from_slice(&durable::read(&path, LONGEST)?).map_err(|e| {
            damaged(format!(
                "it is not a trust file ({e}); nothing was changed. Two officers can repair it: gaprelay repair"
            ))
        })?;
        if trust.format != FORMAT {
            return Err(damaged(format!(
                "its format is not {FORMAT}: another version of gaprelay wrote it; nothing was changed"
            )));
        }
        Ok(trust)
    }

    /// Replaces the trust file, durably.
    pub fn save(&self, state: &State) -> Result<(), Fault> {
        durable::replace(&state.root().join("trust/trust.json"), &self.to_bytes()?)
    }

    /// Content of the file.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Fault> {
        serde_json::to_vec_pretty(self).map_err(|_| Fault::Internal("the trust file cannot be turned into JSON"))
    }

    /// Applies an entry of the import log to the trust state made from the entries before it: the file is nothing but
    /// this replay, kept at hand. None where the log does not begin with `initialised`.
    pub fn with_entry(known: Option<Self>, number: u64, entry: &Entry) -> Option<Self> {
        if let Event::Initialised { keyring_version, keyring, .. } = &entry.event {
            let first = Self::first(*keyring_version, *keyring);
            return Some(Self { entries: number + 1, floor: entry.time, ..first });
        }
        let mut trust = known?;
        match &entry.event {
            Event::Imported { feed, version, manifest, .. } => {
                trust.feeds.entry(feed.clone()).or_default().accept(*version, *manifest, &BTreeSet::new());
            }
            Event::KeyringReplaced { version, keyring, epochs, .. } => {
                trust.keyring = KeyringPin { version: *version, sha256: *keyring };
                for epoch in epochs.iter().filter_map(|text| text.parse::<Epoch>().ok()) {
                    trust.feeds.entry(epoch.feed.clone()).or_default().enter(&epoch);
                }
            }
            Event::Directive { key, text, signature, clock, .. } => {
                let given = TakenDirective {
                    taken: entry.time,
                    key: key.clone(),
                    text: text.clone(),
                    signature: signature.clone(),
                };
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

    /// Applies an officer's order about the time; `clock` is the new time, where the order turned the clock back.
    pub fn apply_time_order(&mut self, order: &Order, clock: Option<Timestamp>) {
        match (order, clock) {
            (Order::Clock(time), _) => self.floor = self.floor.max(*time),
            (Order::TurnBack { from, .. }, Some(clock)) => {
                self.floor = clock;
                self.turned_back.insert(*from);
            }
            // One officer alone turns nothing back; a second one may answer exactly this order, whatever the log's last time is.
            (Order::TurnBack { from, .. }, None) => self.floor = self.floor.max(*from),
            _ => {}
        }
    }

    /// True when the trust state includes this entry of the log; if not, the file is an older copy. A directive stands in
    /// the log before it is kept here, so that the one of the last entry may be missing.
    pub fn reflects(&self, entry: &Entry, is_last: bool) -> bool {
        match &entry.event {
            Event::Imported { feed, version, manifest, .. } => {
                let known = self.feed(feed);
                let is_forgotten = known.accepted.first_key_value().is_some_and(|(oldest, _)| version < oldest);
                known.accepted.get(version) == Some(manifest)
                    || known.is_void(*version)
                    || known.forgotten.contains(*version)
                    || is_forgotten
            }
            Event::KeyringReplaced { version, .. } => *version <= self.keyring.version,
            Event::Directive { key, text, .. } => {
                is_last || self.directives.iter().any(|given| given.key == *key && given.text == *text)
            }
            _ => true,
        }
    }

    /// True when it agrees with a replay of the log, except for times and for an act whose outcome the next entry will
    /// state.
    pub fn agrees_with(&self, replay: &Self) -> bool {
        let feeds = replay.feeds.iter().all(|(feed, replayed)| {
            let known = self.feed(feed);
            known.highest >= replayed.highest
                && known.epoch == replayed.epoch
                && (&known.void, &known.void_ranges) == (&replayed.void, &replayed.void_ranges)
                && replayed.accepted.iter().all(|(version, digest)| known.accepted.get(version) == Some(digest))
        });
        let directives = replay.directives.iter().all(|given| self.has_directive(given));
        let is_keyring = (self.keyring.version, self.keyring.sha256) == (replay.keyring.version, replay.keyring.sha256);
        feeds && directives && is_keyring && self.turned_back == replay.turned_back
    }

    /// True when the officer has given exactly this directive before.
    pub fn has_directive(&self, given: &TakenDirective) -> bool {
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

    /// Newest time on record: from signers' dates, from officers, and from the last entry of the import log.
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

    /// Accepted versions of a feed; empty for an unknown feed.
    pub fn feed(&self, feed: &str) -> FeedTrust {
        self.feeds.get(feed).cloned().unwrap_or_default()
    }

    /// Digest of the manifest that was accepted as this version.
    pub fn accepted_manifest(&self, feed: &str, version: u64) -> Option<Digest> {
        self.feeds.get(feed)?.accepted.get(&version).copied()
    }
}
