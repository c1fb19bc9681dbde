//! Histories of releases and channels, as the import log tells them and the trust file keeps at hand: the record of a
//! release, the statements that count, the set that a channel was switched to. What lies in `releases/` and `channels/`
//! is evidence, which is compared with this whenever a decision rests on it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Not;

use serde::{Deserialize, Serialize};

use super::KeyringPin;
use super::Trust;
use crate::log::{Entry, Event};
use base::{Digest, Timestamp};
use bundle::ReleaseId;
use bundle::statement::{Decision, Statement};
use config::Config;
use serve::published::TUF;
use serve::set::CurrentSet;

/// Statement on a release that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TakenStatement {
    /// When it was taken.
    pub taken: Timestamp,
    /// Decision.
    pub decision: Decision,
    /// The officer's name.
    pub officer: String,
    /// The officer's raw public key, hex; its id, where an earlier version of gaprelay took the statement.
    pub key: String,
    /// Id of the key.
    pub key_id: String,
    /// Version of the keyring that was in force.
    pub keyring: u64,
    /// Digest of the statement's text.
    pub text: Digest,
    /// Digest of the signature file.
    pub signature: Digest,
    /// Digest of the changes that it approves; none in a statement of the former format, or in an order about a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Digest>,
    /// Number of officers whom the feed asked for when it was taken; of a withdrawal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needed: Option<u64>,
}

/// History of a release that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReleaseHistory {
    /// Digest of its record: of the list of its files' digests. None for a release of an earlier version of gaprelay,
    /// until the log has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Digest>,
    /// Version of the keyring that was in force when it was imported.
    pub keyring: u64,
    /// Statements that count, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statements: Vec<TakenStatement>,
    /// True if the log has had the record only since a migration: what the release's items are, nobody has vouched for.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub migrated: bool,
    /// True if it takes the most officers that the feed ever asks for, since its own items, or those that it was
    /// compared with, are such, and agents never had it.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub unproven: bool,
    /// True if it is no longer kept, and is remembered for a refusal or a withdrawal, which are final.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub collected: bool,
}

/// Number of versions of a feed that are remembered as shown, the newest: back to older ones no withdrawal goes.
const MOST_SHOWN: usize = 256;

/// Histories of releases by feed and version.
pub(super) type Histories = BTreeMap<String, BTreeMap<u64, ReleaseHistory>>;

/// Set that the log says a channel was switched to last, and the number of the entry that announced it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ShownSet {
    /// Number of the entry `publish-started`.
    pub entry: u64,
    /// Number of the set.
    pub generation: u64,
    /// Digest of the set file.
    pub set: Digest,
    /// Releases in the set, as FEED/VERSION.
    #[serde(default)]
    pub releases: Vec<String>,
}

impl ReleaseHistory {
    /// True if an officer refused or withdrew it.
    fn is_closed(&self) -> bool {
        self.statements.iter().any(|it| matches!(it.decision, Decision::Refuse | Decision::Withdraw))
    }
}

impl ShownSet {
    /// The set.
    pub fn current(&self) -> CurrentSet {
        CurrentSet { generation: self.generation, set: self.set }
    }

    /// True if the release is in it.
    pub fn has(&self, id: &ReleaseId) -> bool {
        self.releases.contains(&id.to_string())
    }

    /// Releases in it. Trees of the repository for TUF clients name other things as well, which are left out.
    pub fn ids(&self) -> Vec<ReleaseId> {
        self.releases.iter().filter_map(|id| id.parse().ok()).collect()
    }
}

impl Trust {
    /// History of a release; none if it was never accepted, is void, or is no longer kept.
    pub fn history(&self, id: &ReleaseId) -> Option<&ReleaseHistory> {
        self.accepted_manifest(&id.feed, id.version)?;
        self.known_history(id).filter(|history| history.record.is_some() && !history.collected)
    }

    /// Statements on a release that count, oldest first; of one that is kept no longer, those that closed it too.
    pub fn statements(&self, id: &ReleaseId) -> &[TakenStatement] {
        self.known_history(id).map_or(&[], |history| history.statements.as_slice())
    }

    fn known_history(&self, id: &ReleaseId) -> Option<&ReleaseHistory> {
        self.releases.get(&id.feed)?.get(&id.version)
    }

    /// Releases that were accepted and are kept, by feed and version.
    pub fn kept_releases(&self) -> Vec<ReleaseId> {
        let of = |(feed, versions): (&String, &BTreeMap<u64, ReleaseHistory>)| {
            let feed = feed.clone();
            let ids: Vec<_> =
                versions.keys().map(|version| ReleaseId { feed: feed.clone(), version: *version }).collect();
            ids
        };
        self.releases.iter().flat_map(of).filter(|id| self.history(id).is_some()).collect()
    }

    /// Version of the keyring that was in force when the release was imported.
    pub(super) fn keyring_at_import(&self, id: &ReleaseId) -> u64 {
        self.known_history(id).map_or(0, |history| history.keyring)
    }

    /// Set that a channel shows, or the tree of the repository for TUF clients.
    pub fn shown(&self, channel: &str) -> Option<CurrentSet> {
        self.channels.get(channel).map(ShownSet::current)
    }

    /// Releases that the channels of the config show. A channel that the config no longer has serves nobody.
    fn shown_releases(&self, config: &Config) -> impl Iterator<Item = ReleaseId> {
        let names = config.channels.iter().map(|channel| channel.name.get_ref());
        let shown = names.filter_map(|name| self.channels.get(name)).flat_map(|shown| &shown.releases);
        shown.filter_map(|id| id.parse().ok())
    }

    /// True if a channel shows the release.
    pub fn is_shown(&self, config: &Config, id: &ReleaseId) -> bool {
        self.shown_releases(config).any(|shown| shown == *id)
    }

    /// Newest release of a feed that a channel shows, but for this one.
    pub fn shown_beside(&self, config: &Config, id: &ReleaseId) -> Option<ReleaseId> {
        let others = self.shown_releases(config).filter(|shown| shown.feed == id.feed && shown.version != id.version);
        others.max_by_key(|shown| shown.version)
    }

    /// True if a channel shows the release, or has shown it.
    pub fn was_shown(&self, id: &ReleaseId) -> bool {
        self.was_shown.get(&id.feed).is_some_and(|versions| versions.contains(&id.version))
    }

    /// Newest version of a feed that a channel shows, or has shown, and that no epoch made void.
    pub fn highest_shown(&self, feed: &str) -> Option<u64> {
        let is_void = |version: &&u64| self.feeds.get(feed).is_some_and(|known| known.is_void(**version));
        self.was_shown.get(feed)?.iter().rev().find(|version| !is_void(version)).copied()
    }

    /// Remembers that a channel shows these releases.
    fn note_shown(&mut self, releases: &[String]) {
        for id in releases.iter().filter_map(|id| id.parse::<ReleaseId>().ok()) {
            let versions = self.was_shown.entry(id.feed).or_default();
            versions.insert(id.version);
            if versions.len() > MOST_SHOWN {
                versions.pop_first();
            }
        }
    }

    /// Newest version of a feed that a channel shows.
    pub fn shown_version(&self, config: &Config, feed: &str) -> Option<u64> {
        self.shown_releases(config).filter(|id| id.feed == feed).map(|id| id.version).max()
    }

    /// Versions of a feed that channels show, those of channels that the config no longer has among them: the log knows
    /// no config.
    pub fn shown_versions(&self, feed: &str) -> BTreeSet<u64> {
        // Versions of the repository for TUF clients are its own.
        let channels = self.channels.iter().filter(|(channel, _)| *channel != TUF);
        let shown = channels.flat_map(|(_, shown)| &shown.releases);
        shown.filter_map(|id| id.parse::<ReleaseId>().ok()).filter(|id| id.feed == feed).map(|id| id.version).collect()
    }

    /// Remembers a release that is accepted now, with the digest of its record.
    pub fn keep(&mut self, id: &ReleaseId, record: Option<Digest>) {
        // What it was compared with, it is no better than.
        let shown = self.shown_versions(&id.feed).into_iter();
        let mut shown = shown.filter_map(|version| self.releases.get(&id.feed)?.get(&version));
        let unproven = record.is_some() && shown.any(|shown| shown.migrated);
        let (keyring, statements) = (self.keyring.version, Vec::new());
        let new = ReleaseHistory { record, keyring, statements, migrated: false, unproven, collected: false };
        self.releases.entry(id.feed.clone()).or_default().entry(id.version).or_insert(new);
    }

    /// Gives a release of an earlier version of gaprelay its record, once. One that was removed as no longer needed, or
    /// never imported, has none.
    fn migrate(&mut self, id: &ReleaseId, record: Digest, was_shown: bool) {
        let versions = self.releases.get_mut(&id.feed);
        let history = versions.and_then(|versions| versions.get_mut(&id.version));
        if let Some(history) = history.filter(|history| history.record.is_none() && !history.collected) {
            (history.record, history.migrated, history.unproven) = (Some(record), true, !was_shown);
        }
    }

    /// Forgets the releases that are no longer accepted.
    pub(crate) fn drop_histories(&mut self) {
        let Self { feeds, releases, .. } = self;
        releases.retain(|feed, versions| {
            versions.retain(|version, _| feeds.get(feed).is_some_and(|known| known.accepted.contains_key(version)));
            !versions.is_empty()
        });
    }

    /// Applies an entry to the histories; false for an entry that is about something else.
    pub(super) fn apply_history(&mut self, number: u64, entry: &Entry) -> bool {
        match &entry.event {
            Event::Imported { feed, version, record, .. } => {
                self.keep(&ReleaseId { feed: feed.clone(), version: *version }, *record);
            }
            Event::Recorded { feed, version, record, shown } => {
                self.migrate(&ReleaseId { feed: feed.clone(), version: *version }, *record, *shown);
            }
            Event::Statement { feed, version, .. } => {
                let Some(taken) = TakenStatement::of(entry, self.keyring.version) else { return false };
                if let Some(history) = self.releases.get_mut(feed).and_then(|versions| versions.get_mut(version)) {
                    history.statements.push(taken);
                }
            }
            Event::Collected { releases } => {
                for id in releases.iter().filter_map(|id| id.parse::<ReleaseId>().ok()) {
                    if let Some(versions) = self.releases.get_mut(&id.feed) {
                        versions.retain(|version, history| {
                            history.collected |= *version == id.version;
                            !history.collected || history.is_closed()
                        });
                    }
                }
                self.releases.retain(|_, versions| !versions.is_empty());
            }
            // One keeper at a time finishes each act before the next: the entry before announced the switch.
            Event::Published { channel, generation, set, releases } => {
                let (entry, releases) = (number.saturating_sub(1), releases.clone());
                if channel != TUF {
                    self.note_shown(&releases);
                }
                let shown = ShownSet { entry, generation: *generation, set: *set, releases };
                self.channels.insert(channel.clone(), shown);
            }
            _ => return false,
        }
        true
    }

    /// True when the histories include this entry; of other entries nothing is said.
    pub(super) fn reflects_history(&self, entry: &Entry) -> bool {
        let history = |feed: &String, version: &u64| self.releases.get(feed).and_then(|versions| versions.get(version));
        match &entry.event {
            Event::Recorded { feed, version, record, .. } => {
                history(feed, version).is_none_or(|it| it.collected || it.record == Some(*record))
            }
            Event::Statement { feed, version, .. } => {
                let taken = TakenStatement::of(entry, self.keyring.version);
                let is_this = |other: &TakenStatement| {
                    taken.as_ref().is_some_and(|it| (it.text, it.signature) == (other.text, other.signature))
                };
                history(feed, version).is_none_or(|history| history.statements.iter().any(is_this))
            }
            Event::Collected { releases } => releases
                .iter()
                .filter_map(|id| id.parse::<ReleaseId>().ok())
                .all(|id| history(&id.feed, &id.version).is_none_or(|history| history.collected)),
            Event::Published { channel, generation, .. } => {
                self.channels.get(channel).is_some_and(|shown| shown.generation >= *generation)
            }
            _ => true,
        }
    }

    /// Remembers that a keyring is in force.
    pub(super) fn enter_keyring(&mut self, version: u64, sha256: Digest) {
        self.keyring = KeyringPin { version, sha256 };
        self.keyrings.insert(version, sha256);
    }
}

impl TakenStatement {
    /// Statement of an entry `statement`, taken while the keyring of this version was in force.
    fn of(entry: &Entry, keyring: u64) -> Option<Self> {
        let Event::Statement { feed, version, decision, officer, key_id, key, needed, text, signature } = &entry.event
        else {
            return None;
        };
        let id = ReleaseId { feed: feed.clone(), version: *version };
        let statement = Statement::parse(text.as_bytes()).ok();
        Some(Self {
            taken: entry.time,
            decision: Decision::parse(decision)?,
            officer: officer.clone(),
            key: key.clone().unwrap_or_else(|| key_id.clone()),
            key_id: key_id.clone(),
            keyring,
            text: Digest::of(text.as_bytes()),
            signature: Digest::of(signature.as_bytes()),
            changes: statement.and_then(|statement| Some(statement.subject(&id)?.changes)),
            needed: *needed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Trust state after these events, in this order.
    fn told(events: Vec<Event>) -> Trust {
        let initialised = Event::Initialised {
            relay: "test".into(),
            keyring_version: 1,
            keyring: Digest::of(b"keyring"),
            config: None,
        };
        let entries =
            std::iter::once(initialised).chain(events).map(|event| Entry { time: Timestamp::default(), event });
        (0..).zip(entries).fold(None, |trust, (number, entry)| Trust::with_entry(trust, number, &entry)).unwrap()
    }

    fn imported(record: Option<Digest>) -> Event {
        Event::Imported {
            feed: "f".into(),
            version: 1,
            manifest: Digest::of(b"manifest"),
            verdicts: Digest::of(b"verdicts"),
            counts: inspect::Counts::default(),
            signers: Vec::new(),
            record,
            after_interruption: false,
        }
    }

    fn recorded(shown: bool) -> Event {
        Event::Recorded { feed: "f".into(), version: 1, record: Digest::of(b"recorded"), shown }
    }

    fn decided(decision: &str) -> Event {
        Event::Statement {
            feed: "f".into(),
            version: 1,
            decision: decision.into(),
            officer: "o".into(),
            key_id: "k".into(),
            key: None,
            needed: None,
            text: "text".into(),
            signature: "signature".into(),
        }
    }

    #[test]
    fn a_removed_release_gets_no_record_again_and_stays_closed() {
        let id: ReleaseId = "f/1".parse().unwrap();
        let collected = || Event::Collected { releases: vec!["f/1".into()] };
        let record = Some(Digest::of(b"record"));
        // Never imported; removed; removed after an approval: nobody knows it any more.
        for events in [
            vec![recorded(true)],
            vec![imported(record), collected(), recorded(true)],
            vec![imported(None), collected(), recorded(true)],
            vec![imported(record), decided("approve"), collected(), recorded(true)],
        ] {
            let trust = told(events);
            assert!(
                trust.history(&id).is_none() && trust.statements(&id).is_empty() && trust.kept_releases().is_empty()
            );
        }
        for decision in ["refuse", "withdraw"] {
            for first in [imported(record), imported(None)] {
                let trust = told(vec![first, decided(decision), collected(), recorded(true), decided("approve")]);
                assert!(trust.history(&id).is_none() && trust.kept_releases().is_empty());
                assert_eq!(trust.statements(&id)[0].decision.word(), decision);
            }
        }
        // A record is given once, and only to what has none.
        let trust = told(vec![imported(record), recorded(true)]);
        assert_eq!(trust.history(&id).map(|history| (history.record, history.migrated)), Some((record, false)));
        let trust = told(vec![imported(None), recorded(false)]);
        let history = trust.history(&id).unwrap();
        assert_eq!((history.record, history.migrated, history.unproven), (Some(Digest::of(b"recorded")), true, true));
        assert!(!told(vec![imported(None), recorded(true)]).history(&id).unwrap().unproven);
    }
}
