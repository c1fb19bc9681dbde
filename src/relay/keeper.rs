//! Keeper: the only writer of the state. It holds the lock, the log and the trust state. Opening it finishes what a cut
//! left, so that every intent in the log has an outcome before anything else happens.

use std::io;
use std::sync::Arc;

use data_encoding::HEXLOWER;

use crate::log::interrupted::interrupted_medium;
use crate::log::{Entry, Event, Log};
use crate::publish::set::switch;
use crate::publish::status::StatementRecord;
use crate::state::reserve::is_full;
use crate::state::trust::OLDER;
use crate::state::{Release, State, Stored, Trust, migration, name_releases};
use base::lock::Lock;
use base::{Digest, Fault, Operator, Timestamp, clock, durable};
use bundle::directive::{self, Directive, Order, TakenDirective};
use bundle::keyring::{Key, RawKey, Revoked};
use bundle::officer::{count_officers, keys_of};
use bundle::{Keyring, ReleaseId};
use config::Config;
use serve::set::CurrentSet;
use tlog::note::Checkpoint;
use tlog::tail::each_after;
use tlog::tree::root_of;

/// State, open for changes.
pub struct Keeper {
    /// The state folder.
    pub state: State,
    /// The config.
    pub config: Config,
    /// The keyring in force.
    pub keyring: Keyring,
    /// Trust state: what was accepted.
    pub trust: Trust,
    /// The import log.
    pub log: Log,
    /// Time now; where the clock is too far ahead to be believed, the newest time on record.
    pub now: Timestamp,
    /// Time of the clock, where that is too far ahead.
    pub ahead: Option<Timestamp>,
    /// Faults that stop nothing; whoever settles tells them.
    pub put_off: Vec<Fault>,
    /// Statements that count, whose evidence could not be written; whoever settles tries again.
    pub unstored: Vec<(ReleaseId, StatementRecord)>,
    /// True once the log or the trust file could not be written: nothing more is, by this process.
    failed: bool,
    lock: Arc<Lock>,
}

impl Keeper {
    /// Takes the lock, calling `wait` once if another keeper must finish first, opens everything, and finishes what a
    /// cut left.
    pub fn open(state: State, now: Timestamp, wait: impl FnOnce()) -> Result<Self, Fault> {
        let mut has_waited = false;
        let lock = state.lock(|| {
            has_waited = true;
            wait();
        })?;
        // Who had the lock before has gone on with the time.
        Self::open_locked(state, if has_waited { now.max(clock::now()) } else { now }, lock)
    }

    /// Opens everything if no other keeper has the lock.
    pub fn try_open(state: State, now: Timestamp) -> Result<Option<Self>, Fault> {
        let lock = state.try_lock()?;
        lock.map(|lock| Self::open_locked(state, now, lock)).transpose()
    }

    /// Opens everything. Where the disk is full, that takes the room which is kept for withdrawals: opening again is
    /// safe, as after a cut.
    fn open_locked(state: State, now: Timestamp, lock: Lock) -> Result<Self, Fault> {
        let lock = Arc::new(lock);
        match Self::open_once(state.clone(), now, Arc::clone(&lock)) {
            Err(fault) if is_full(&fault) => {
                state.give_up_reserve();
                let mut keeper = Self::open_once(state, now, lock)?;
                let kept = keeper.state.keep_reserve(&keeper.trust);
                keeper.put_off.extend(kept.err());
                Ok(keeper)
            }
            opened => opened,
        }
    }

    fn open_once(state: State, now: Timestamp, lock: Arc<Lock>) -> Result<Self, Fault> {
        let (config, config_digest) = state.config_read()?;
        let mut log = Log::open(&state.import_log())?;
        if state.log_key()?.to_text() != log.verifier().to_text() {
            return Err(Fault::damaged(
                state.import_log().join("vkey").to_string_lossy(),
                "it is not the public key of the key that this relay signs its log with. Nothing was changed. Restore this file from a backup: gaprelay help backup",
            ));
        }
        let trust = match Trust::read(&state)? {
            Stored::Present(trust) => *trust,
            Stored::Former(former) => migration::migrate(&state, &mut log, &former, now)?,
        };
        let keyring = state.keyring(&trust)?;
        let (ahead, put_off, unstored, failed) = (None, Vec::new(), Vec::new(), false);
        let mut keeper = Self { state, config, keyring, trust, log, now, ahead, put_off, unstored, failed, lock };
        let floor = keeper.floor();
        if floor > Timestamp::default() && now > floor.plus(keeper.config.clock.ahead.0) {
            (keeper.now, keeper.ahead) = (floor, Some(now));
        }
        keeper.check_trust()?;
        for folder in ["", "spool", "trust", "tuf", "keyring", "inbox", "log/import"] {
            let swept = durable::sweep(&keeper.state.root().join(folder));
            keeper.put_off.extend(swept.err());
        }
        keeper.finish_interrupted()?;
        // What is decided from here on is decided by this config, which nobody has signed. A log without an entry is
        // that of a relay in the making.
        if keeper.log.size() > 0 && keeper.trust.config.is_none_or(|pin| pin.sha256 != config_digest) {
            keeper.record(vec![Event::ConfigChanged { config: config_digest }])?;
        }
        Ok(keeper)
    }

    /// True if something of a release is denied: its feed, its origin or a key that signed it, which may also be
    /// revoked.
    pub fn is_denied(&self, release: &Release) -> bool {
        self.keyring.check_release(&release.feed, &release.origin, &release.signers).is_err()
    }

    /// Appends to the log.
    pub fn append(&mut self, events: Vec<Event>) -> Result<(), Fault> {
        self.check_failed()?;
        // Two that write to one log sign two histories of it.
        self.lock.check()?;
        let appended = self.log.append(self.now, events);
        // An event that is too long is none of the log's faults.
        self.failed = matches!(&appended, Err(fault) if !matches!(fault, Fault::Internal(_)));
        appended
    }

    /// True once the log or the trust file could not be written. They may hold what was to be written, or not: the next
    /// opening finds out, and what this process would write behind it could hide that.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    fn check_failed(&self) -> Result<(), Fault> {
        if self.failed {
            let source = io::Error::other(
                "an earlier write of this command failed (a full disk, say), so that it writes nothing more",
            );
            return Err(Fault::Io { operation: "write to", path: self.state.import_log(), source });
        }
        Ok(())
    }

    /// Appends to the log what the trust state follows from, and applies it there. Stopping is safe: the next opening
    /// applies what the log has and the trust file has not.
    pub fn record(&mut self, events: Vec<Event>) -> Result<(), Fault> {
        let first = self.log.size();
        self.append(events.clone())?;
        let time = self.log.last().map_or(self.now, |entry| entry.time);
        let applied = self.apply((first..).zip(events.into_iter().map(|event| Entry { time, event })).collect());
        // The next opening applies what the log has: a trust file that is saved without it would say that there is
        // nothing.
        self.failed |= applied.is_err();
        applied
    }

    /// Switches a channel, or the repository for TUF clients, to a set that is on the disk: the intent before the
    /// switch, the outcome after. Stopping is safe: the next opening finds out by the pointer whether it was switched.
    pub fn publish(&mut self, channel: &str, to: CurrentSet, releases: Vec<String>) -> Result<(), Fault> {
        let (entry, CurrentSet { generation, set }) = (self.log.size(), to);
        let (named, intended) = (channel.to_owned(), releases.clone());
        self.append(vec![Event::PublishStarted { channel: named.clone(), generation, set, releases: intended }])?;
        let switched = switch(&self.state, channel, entry);
        // Where the switch failed, the pointer says all the same whether it happened; the next act begins after this
        // one's end.
        let is_shown = || self.state.current(channel).ok().flatten() == Some(to);
        self.record(vec![if switched.is_ok() || is_shown() {
            Event::Published { channel: named, generation, set, releases }
        } else {
            Event::Interrupted { intent: entry }
        }])?;
        switched
    }

    /// Applies entries of the log to the trust state. A statement's evidence is written before, where it can be; what
    /// keeps it from being written keeps no statement from counting. Nothing is shown on evidence that is missing: what
    /// the log has can be written again from it.
    fn apply(&mut self, entries: Vec<(u64, Entry)>) -> Result<(), Fault> {
        let mut trust = self.trust.clone();
        for (number, entry) in entries {
            if let Some((id, record)) = StatementRecord::of(&entry).filter(|(id, _)| trust.history(id).is_some())
                && self.state.store_statement(&id, &record).is_err()
            {
                self.unstored.push((id, record));
            }
            let applied = Trust::with_entry(Some(trust), number, &entry);
            trust = applied.ok_or(Fault::Internal("an entry of the log leaves no trust state"))?;
        }
        self.replace_trust(trust)
    }

    /// Writes the evidence that could not be written when its statement was taken; gives the faults of what still
    /// cannot be.
    pub fn store_evidence(&mut self) -> Vec<Fault> {
        let stored = std::mem::take(&mut self.unstored).into_iter();
        stored.filter_map(|(id, record)| self.state.store_statement(&id, &record).err()).collect()
    }

    /// Replaces the trust file: the one step by which an import, a keyring or a directive counts.
    pub fn replace_trust(&mut self, mut trust: Trust) -> Result<(), Fault> {
        self.check_failed()?;
        self.lock.check()?;
        let head = self.log.head();
        (trust.entries, trust.root) = (head.size, Digest(head.root));
        // Before the file is replaced: what could not be read after it would leave this process with another state than
        // the disk.
        let keyring = if trust.keyring == self.trust.keyring {
            let denied = directive::denied(&trust.directives, &self.keyring);
            Keyring { denied, ..self.keyring.clone() }
        } else {
            self.state.keyring(&trust)?
        };
        // A fault may come after the file was replaced: then nobody could say what counts. So the save is tried again.
        let saved = trust.save(&self.state, &self.log).or_else(|_| trust.save(&self.state, &self.log));
        self.failed = saved.is_err();
        saved?;
        (self.keyring, self.trust) = (keyring, trust);
        Ok(())
    }

    /// Checks that the trust file is neither older nor newer than the log: an old copy would let old content in again.
    /// What a cut kept from being applied is applied.
    fn check_trust(&mut self) -> Result<(), Fault> {
        let damaged = |detail: &str| Fault::damaged(self.state.trust_path().to_string_lossy(), detail);
        let head = self.log.head();
        if self.trust.entries > head.size {
            return Err(damaged(
                "it is newer than the import log: the log was replaced by an older copy or cut short. Nothing was changed. Restore the newest copy of the log: gaprelay help backup",
            ));
        }
        let since = self.trust.entries_since(&self.state.import_log(), &head)?;
        let missing = self.trust.not_applied(since).ok_or_else(|| damaged(OLDER))?;
        if missing.is_empty() { Ok(()) } else { self.apply(missing) }
    }

    /// Newest time on record: from signers' dates, the import log, and officers.
    pub fn floor(&self) -> Timestamp {
        self.trust.floor.max(self.log.floor())
    }

    /// Takes the time of the clock again, in a command that runs for long: it only moves forward, and no further than
    /// is believed.
    pub fn look_at_clock(&mut self, now: Timestamp) {
        if self.ahead.is_none() && now <= self.floor().plus(self.config.clock.ahead.0) {
            self.now = self.now.max(now);
        }
    }

    /// Believes the clock, however far it is ahead: an officer says that it is right.
    pub fn believe_clock(&mut self) {
        self.now = self.ahead.take().unwrap_or(self.now);
    }

    /// Checks the clock: not behind the newest time on record, and not too far ahead of it.
    pub fn check_clock(&self) -> Result<(), Fault> {
        let floor = self.floor();
        match self.ahead {
            Some(now) => Err(Fault::ClockAhead { now, floor }),
            None if self.now < floor => Err(Fault::ClockBehind { now: self.now, floor }),
            None => Ok(()),
        }
    }

    /// True when as many officers as the feed asks for have waived the dates and the jump of the bundle with this
    /// manifest, with keys that are theirs today. The operator who imports it does not count.
    pub fn is_waived(&self, feed: &str, manifest: Digest, operator: &Operator) -> bool {
        let Some(needed) = self.config.feed(feed).map(|feed| *feed.officers.get_ref()) else { return false };
        let waived_by = |given: &TakenDirective| {
            let Directive { order: Order::Waive { manifest: waived, until }, officer, .. } = given.directive()? else {
                return None;
            };
            let is_theirs = officer_of((&self.keyring, self.now), given, &officer).is_some_and(|key| key.is_for(feed));
            let counts = waived == manifest && self.now <= until && is_theirs && !operator.is(&officer);
            counts.then(|| (officer, given.key.clone()))
        };
        let waived: Vec<(String, String)> = self.trust.directives.iter().filter_map(waived_by).collect();
        count_officers(waived.iter().map(|(officer, key)| (officer.as_str(), key.as_str()))) >= needed
    }

    /// Makes the log entry for the keyring in force.
    pub fn keyring_event(&self, after_interruption: bool) -> Result<Event, Fault> {
        let keyring = &self.keyring;
        let id = |row: &Revoked| RawKey::parse(&row.public).map_or_else(|_| row.public.clone(), |raw| raw.id_text());
        Ok(Event::KeyringReplaced {
            version: keyring.version,
            keyring: self.trust.keyring.sha256,
            signers: self.state.keyring_signers(keyring.version)?,
            revoked: keyring.revoked.iter().map(id).collect(),
            epochs: keyring.epochs.iter().map(ToString::to_string).collect(),
            after_interruption,
        })
    }

    /// Logs the outcome of an act that a cut interrupted. One keeper at a time finishes each act before the next, so
    /// only the newest entry can be an intent without an outcome, and with it the medium that was being read. The one
    /// step that makes an act count shows whether it happened: the trust file for an import, the pointer for a
    /// publication. Stopping here is safe: without the outcome in the log, the next start does the same again.
    fn finish_interrupted(&mut self) -> Result<(), Fault> {
        let Some(entry) = self.log.last().cloned() else { return Ok(()) };
        let medium = interrupted_medium(&self.state.import_log(), self.log.size())?;
        let interrupted = Event::Interrupted { intent: self.log.size().saturating_sub(1) };
        let outcome = match entry.event {
            Event::ImportStarted { manifest: Some(keyring), .. } if keyring == self.trust.keyring.sha256 => {
                self.keyring_event(true)?
            }
            Event::ImportStarted { manifest: Some(manifest), .. } => {
                let accepted = self.trust.feeds.iter().find_map(|(feed, trust)| {
                    let version = trust.accepted.iter().find(|(_, digest)| **digest == manifest)?.0;
                    Some(ReleaseId { feed: feed.clone(), version: *version })
                });
                match accepted {
                    Some(id) if self.trust.history(&id).is_some() => match self.state.release(&self.trust, &id) {
                        Ok(release) => Event::Imported {
                            record: Some(release.record()?),
                            feed: release.feed,
                            version: release.version,
                            manifest: release.manifest,
                            verdicts: release.verdicts,
                            counts: release.counts,
                            signers: release.signers,
                            after_interruption: true,
                        },
                        // It was damaged since: it did not come in, and keeps nobody from withdrawing another.
                        Err(fault) => {
                            self.put_off.push(fault);
                            self.trust = self.replayed()?;
                            interrupted
                        }
                    },
                    _ => interrupted,
                }
            }
            Event::PublishStarted { channel, generation, set, releases } => {
                // A pointer that cannot be read was not written by us: the channel is as it was.
                let shown = self.state.current(&channel).ok().flatten();
                if shown == Some(CurrentSet { generation, set }) {
                    Event::Published { channel, generation, set, releases }
                } else {
                    interrupted
                }
            }
            event if event.is_intent() => interrupted,
            _ => match medium {
                Some(intent) => Event::Interrupted { intent },
                None => return Ok(()),
            },
        };
        let medium = medium.filter(|intent| outcome != Event::Interrupted { intent: *intent });
        self.record(std::iter::once(outcome).chain(medium.map(|intent| Event::Interrupted { intent })).collect())
    }

    /// Trust state by the import log alone, every entry proven; the newest time on record stays.
    fn replayed(&self) -> Result<Trust, Fault> {
        let (folder, head) = (self.state.import_log(), self.log.head());
        let none = Checkpoint { origin: head.origin.clone(), size: 0, root: root_of(&[]) };
        let (mut trust, mut announced) = (None, Vec::new());
        each_after(&folder, &none, &head, |number, bytes| {
            let unreadable = |_| Fault::damaged(folder.to_string_lossy(), format!("entry {number} cannot be read"));
            let mut entry = serde_json::from_slice(bytes).map_err(unreadable)?;
            name_releases(&mut entry, &mut announced);
            trust = Trust::with_entry(trust.take(), number, &entry);
            Ok(())
        })?;
        let mut trust = trust.ok_or(Fault::Internal("the log does not begin with the relay"))?;
        trust.floor = trust.floor.max(self.trust.floor);
        Ok(trust)
    }
}

/// Finds the officer's key, if the directive was signed with it, and it is theirs at `now`.
pub(crate) fn officer_of<'a>(
    (keyring, now): (&'a Keyring, Timestamp),
    given: &TakenDirective,
    officer: &str,
) -> Option<&'a Key> {
    // A person may have several keys.
    let mut keys = keys_of(officer, keyring);
    let is_it = |(key, raw): &(&Key, RawKey)| {
        HEXLOWER.encode(&raw.key) == given.key && keyring.check_usable(key, *raw, now).is_ok()
    };
    keys.find(is_it).map(|(key, _)| key)
}
