//! Trust state, `trust/trust.json`: everything that the relay has accepted. The file is replaced as a whole, and that
//! step makes an import count: a release above its feed's highest version does not exist for anyone. The log's key has
//! signed it, so that nobody else can write it; an old copy is told by the entries that the log has had since.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::history::{Histories, ShownSet};
use super::{Anchor, ConfigPin, KeyringPin, LONGEST, State};
use crate::log::reading::each_between;
use crate::log::{Entry, Event, Log};
use base::{Digest, Fault, Timestamp, durable};
use bundle::directive::{Order, TakenDirective};
use bundle::keyring::Epoch;
use bundle::{FeedTrust, ReleaseId, Successor};
use tlog::check::read_vkey;
use tlog::note::Checkpoint;
use tlog::stored::read_checkpoint;
use tlog::tail::each_after;
use tlog::{signed, tree};

/// Format of the file, and with it of the whole state folder: what lies elsewhere in it changes its form with this.
const FORMAT: &str = "gaprelay-trust/2";
/// The first format.
pub(super) const FORMER: &str = "gaprelay-trust/1";

/// Detail of the fault that the trust file is an older copy.
pub(crate) const OLDER: &str = "it is older than the import log: an older copy was put back. Nothing was changed. Restore the newest copy, or have two officers repair it: gaprelay repair";

/// Trust state: everything that was accepted so far.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// Always `gaprelay-trust/2`.
    pub(super) format: String,
    /// Keyring in force.
    pub keyring: KeyringPin,
    /// Config in force; none until the first change where an earlier version made the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigPin>,
    /// Number of entries of the import log when this was written: later entries must not tell of more than this file.
    #[serde(default)]
    pub entries: u64,
    /// Root of their tree.
    #[serde(default = "no_root")]
    pub root: Digest,
    /// Newest time that a signer has vouched for: the clock must not be behind it.
    pub floor: Timestamp,
    /// Value of the floor each time officers turned the clock back: times that never were, and none is turned back
    /// from twice.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub turned_back: BTreeSet<Timestamp>,
    /// Head of the access log that stands in the import log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchored: Option<Anchor>,
    /// Digests of all keyrings that were in force, by version.
    #[serde(default)]
    pub keyrings: BTreeMap<u64, Digest>,
    /// Accepted versions, by feed.
    pub feeds: BTreeMap<String, FeedTrust>,
    /// Releases that are kept, by feed and version, with the statements on them.
    #[serde(default)]
    pub releases: Histories,
    /// Set that each channel shows, by channel.
    #[serde(default)]
    pub channels: BTreeMap<String, ShownSet>,
    /// Versions that channels show or have shown, by feed: the newest 256.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub was_shown: BTreeMap<String, BTreeSet<u64>>,
    /// Officers' directives that count, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub directives: Vec<TakenDirective>,
    /// Digests of the waivers that were dropped since the file was read or the replay began; never in the file. A file
    /// of an earlier version has them still.
    #[serde(skip)]
    pub(super) spent: BTreeSet<Digest>,
}

/// Trust file as it was found.
pub enum Stored {
    /// In the present format.
    Present(Box<Trust>),
    /// In the former format, which nobody has signed.
    Former(Box<Trust>),
}

/// Root of a tree without leaves.
fn no_root() -> Digest {
    Digest(tree::root_of(&[]))
}

impl Trust {
    /// Trust state of a new relay: only a keyring and a config are accepted.
    pub fn first(version: u64, sha256: Digest, config: Option<ConfigPin>) -> Self {
        Self {
            format: FORMAT.into(),
            keyring: KeyringPin { version, sha256 },
            config,
            entries: 0,
            root: no_root(),
            floor: Timestamp::default(),
            turned_back: BTreeSet::new(),
            anchored: None,
            keyrings: BTreeMap::from([(version, sha256)]),
            feeds: BTreeMap::new(),
            releases: BTreeMap::new(),
            channels: BTreeMap::new(),
            was_shown: BTreeMap::new(),
            directives: Vec::new(),
            spent: BTreeSet::new(),
        }
    }

    /// Reads the trust file, for whoever changes nothing. Fault: the file is missing, the log's key has not signed it
    /// as one, or it is older than the log.
    pub fn load(state: &State) -> Result<Self, Fault> {
        // The keeper may go on between the two looks.
        for is_last in [false, false, true] {
            let trust = match Self::read(state)? {
                Stored::Present(trust) => trust,
                Stored::Former(_) => {
                    return Err(Fault::usage(
                        "this state folder was made by an earlier version of gaprelay",
                        "Bring it to the format of this version: gaprelay settle",
                    ));
                }
            };
            match trust.check_age(state) {
                Ok(()) => return Ok(*trust),
                Err(fault) if is_last => return Err(fault),
                Err(_) => {}
            }
        }
        Err(Fault::Internal("the trust file was not looked at"))
    }

    /// Checks that it is as new as the log: what the log has behind it is proven to be under the signed head. Fault: it
    /// is older, or the log is damaged, so that nobody can say.
    fn check_age(&self, state: &State) -> Result<(), Fault> {
        let head = read_checkpoint(&state.import_log(), state.log_key()?)?;
        let since = self.entries_since(&state.import_log(), &head)?;
        let older = || Fault::damaged(state.trust_path().to_string_lossy(), OLDER);
        self.not_applied(since).map(drop).ok_or_else(older)
    }

    /// Entries of the log in `folder` behind those that this was made from, proven: the log had these, and what is
    /// given made it grow to `head`. Fault: it did not.
    pub fn entries_since(&self, folder: &Path, head: &Checkpoint) -> Result<Vec<(u64, Entry)>, Fault> {
        let known = Checkpoint { origin: head.origin.clone(), size: self.entries, root: self.root.0 };
        let mut since = Vec::new();
        each_after(folder, &known, head, |number, bytes| {
            let unreadable = |_| Fault::damaged(folder.to_string_lossy(), format!("entry {number} cannot be read"));
            since.push((number, serde_json::from_slice(bytes).map_err(unreadable)?));
            Ok(())
        })?;
        Ok(since)
    }

    /// Reads the trust file in the present format or the former.
    pub fn read(state: &State) -> Result<Stored, Fault> {
        #[derive(Deserialize)]
        struct Format {
            format: String,
        }
        let path = state.trust_path();
        let damaged = |detail: &str| {
            let next = "nothing was changed. Two officers can repair it: gaprelay repair";
            Fault::damaged(path.to_string_lossy(), format!("{detail}; {next}"))
        };
        let bytes = durable::read(&path, LONGEST)?;
        let format = serde_json::from_slice(&bytes).map(|it: Format| it.format);
        match format.as_deref() {
            Ok(FORMAT) => {
                let json = signed::open(state.log_key()?, FORMAT, &bytes);
                let json =
                    json.ok_or_else(|| damaged("it is not as this relay wrote it: its signature does not hold"))?;
                let trust =
                    serde_json::from_slice(&json).map_err(|e| damaged(&format!("it is not a trust file ({e})")))?;
                Ok(Stored::Present(Box::new(trust)))
            }
            Ok(FORMER) => {
                let trust =
                    serde_json::from_slice(&bytes).map_err(|e| damaged(&format!("it is not a trust file ({e})")))?;
                Ok(Stored::Former(Box::new(trust)))
            }
            Ok(other) if other.starts_with("gaprelay-trust/") => Err(Fault::damaged(
                path.to_string_lossy(),
                format!(
                    "its format is {}, and this version of gaprelay knows {FORMAT}: another version wrote it. Nothing was changed. Use that version",
                    base::quoted(other)
                ),
            )),
            Ok(_) | Err(_) => Err(damaged("it is not a trust file")),
        }
    }

    /// Replaces the trust file, durably, signed with the key of the log that it is made from.
    pub fn save(&self, state: &State, log: &Log) -> Result<(), Fault> {
        durable::replace(&state.trust_path(), &log.sign(FORMAT, &self.to_bytes()?)?)
    }

    /// Content of the file, without its signature.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Fault> {
        serde_json::to_vec_pretty(self).map_err(|_| Fault::Internal("the trust file cannot be turned into JSON"))
    }

    /// Applies an entry of the import log to the trust state made from the entries before it: the file is nothing but
    /// this replay, kept at hand. None where the log does not begin with `initialised`.
    pub fn with_entry(known: Option<Self>, number: u64, entry: &Entry) -> Option<Self> {
        if let Event::Initialised { keyring_version, keyring, config, .. } = &entry.event {
            let first =
                Self::first(*keyring_version, *keyring, config.map(|sha256| ConfigPin { sha256, entry: number }));
            return Some(Self { entries: number + 1, floor: entry.time, ..first });
        }
        let mut trust = known?;
        let is_history = trust.apply_history(number, entry);
        match &entry.event {
            Event::Imported { feed, version, manifest, .. } => {
                let shown = trust.shown_versions(feed);
                trust.feeds.entry(feed.clone()).or_default().accept(*version, *manifest, &shown);
                trust.drop_histories();
                trust.drop_waivers_of(*manifest);
            }
            Event::KeyringReplaced { version, keyring, epochs, .. } => {
                trust.enter_keyring(*version, *keyring);
                for epoch in epochs.iter().filter_map(|text| text.parse::<Epoch>().ok()) {
                    trust.feeds.entry(epoch.feed.clone()).or_default().enter(&epoch);
                }
                trust.drop_histories();
            }
            Event::Directive { key, text, signature, clock, .. } => {
                let given = TakenDirective {
                    taken: entry.time,
                    key: key.clone(),
                    text: text.clone(),
                    signature: signature.clone(),
                };
                if let Some(directive) = given.directive() {
                    trust.apply_time_order(&directive.order, *clock, entry.time);
                }
                trust.add_directive(given);
            }
            Event::ConfigChanged { config } => trust.config = Some(ConfigPin { sha256: *config, entry: number }),
            Event::Anchored { size, root, .. } => trust.anchored = Some(Anchor { size: *size, root: *root }),
            _ if is_history => {}
            _ => return Some(trust),
        }
        (trust.entries, trust.floor) = (number + 1, trust.floor.max(entry.time));
        Some(trust)
    }

    /// Applies an officer's order about the time, which was taken at the time `taken` by the relay's clock; `clock` is
    /// the new time, where the order turned the clock back. Nobody sets the newest time on record ahead of the relay's
    /// clock, which would stop imports until then.
    pub fn apply_time_order(&mut self, order: &Order, clock: Option<Timestamp>, taken: Timestamp) {
        match (order, clock) {
            (Order::Clock(time), _) => self.floor = self.floor.max((*time).min(taken)),
            (Order::TurnBack { from, .. }, Some(clock)) => {
                self.floor = clock;
                self.turned_back.insert(*from);
            }
            // One officer alone turns nothing back; a second one may answer exactly this order, whatever the log's last
            // time is.
            (Order::TurnBack { from, .. }, None) => self.floor = self.floor.max(*from),
            _ => {}
        }
    }

    /// True when the trust state includes this entry of the log; if not, the file is an older copy, or a cut kept the
    /// entry from being applied.
    pub fn reflects(&self, entry: &Entry) -> bool {
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
            Event::ConfigChanged { config } => self.config.is_some_and(|pin| pin.sha256 == *config),
            Event::Directive { key, text, .. } => self.has_directive(key, text),
            _ => self.reflects_history(entry),
        }
    }

    /// Of the entries behind those that this was made from: those that it does not include, and that a cut kept from
    /// being applied. None where it does not include another: the file is an older copy.
    pub fn not_applied(&self, since: Vec<(u64, Entry)>) -> Option<Vec<(u64, Entry)>> {
        let missing: Vec<_> = since.into_iter().filter(|(_, entry)| !self.reflects(entry)).collect();
        missing.iter().all(|(_, entry)| entry.event.is_applied()).then_some(missing)
    }

    /// True when it says exactly what a replay of the log does, times excepted. Of an act under way the outcome may
    /// stand here first: `open` is the digest of the manifest or keyring that the last entry says is being imported.
    pub fn agrees_with(&self, replay: &Self, open: Option<Digest>) -> bool {
        let replay = &replay.with_open(self, open);
        self.agrees_with_former(replay, None)
            && (&self.releases, &self.channels, &self.was_shown, &self.keyrings)
                == (&replay.releases, &replay.channels, &replay.was_shown, &replay.keyrings)
    }

    /// The same of a trust state in the former format, which says nothing of releases and channels.
    pub fn agrees_with_former(&self, replay: &Self, open: Option<Digest>) -> bool {
        let replay = &replay.with_open(self, open);
        let orders = |trust: &Self| -> BTreeSet<(String, String, String)> {
            let order = |it: &TakenDirective| (it.key.clone(), it.text.clone(), it.signature.clone());
            trust.directives.iter().filter(|it| !replay.spent.contains(&it.digest())).map(order).collect()
        };
        (&self.keyring, &self.config) == (&replay.keyring, &replay.config)
            && self.feeds == replay.feeds
            && orders(self) == orders(replay)
            && (&self.turned_back, &self.anchored) == (&replay.turned_back, &replay.anchored)
    }

    /// The trust state with the act that is under way, where `known` has its outcome already.
    fn with_open(&self, known: &Self, open: Option<Digest>) -> Self {
        let mut with = self.clone();
        let Some(open) = open else { return with };
        if known.keyring.sha256 == open && self.keyring.sha256 != open {
            with.enter_keyring(known.keyring.version, open);
            (with.feeds, with.releases) = (known.feeds.clone(), known.releases.clone());
        }
        for (feed, trust) in &known.feeds {
            for (version, _) in trust.accepted.iter().filter(|(_, manifest)| **manifest == open) {
                let id = ReleaseId { feed: feed.clone(), version: *version };
                if self.accepted_manifest(feed, *version).is_none() {
                    let shown = with.shown_versions(feed);
                    with.feeds.entry(feed.clone()).or_default().accept(*version, open, &shown);
                    with.keep(&id, known.history(&id).and_then(|history| history.record));
                    with.drop_histories();
                    with.drop_waivers_of(open);
                }
            }
        }
        with
    }

    /// True when exactly this directive was given before with this key: its raw public key, hex.
    pub fn has_directive(&self, key: &str, text: &str) -> bool {
        self.directives.iter().any(|other| other.key == key && other.text == text)
    }

    /// Puts the next keyring in force.
    pub fn apply_succession(&mut self, successor: &Successor) {
        let keyring = successor.keyring();
        self.enter_keyring(keyring.version, successor.digest());
        for epoch in &keyring.epochs {
            self.feeds.entry(epoch.feed.clone()).or_default().enter(epoch);
        }
        self.drop_histories();
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
