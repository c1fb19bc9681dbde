//! Keeper: the only writer of the state. It holds the lock, the log and the trust state. Opening it finishes what a cut
//! left, so that every intent in the log has an outcome before anything else happens.

use data_encoding::HEXLOWER;

use crate::log::interrupted::interrupted_medium;
use crate::log::writer::each_between;
use crate::log::{Event, Log};
use crate::publish::tuf::CHANNEL;
use crate::state::{State, Trust};
use base::lock::Lock;
use base::{Digest, Fault, Operator, Timestamp, clock, durable};
use bundle::directive::{Directive, Order, TakenDirective};
use bundle::keyring::{Key, RawKey, Revoked};
use bundle::officer::count_officers;
use bundle::{Keyring, ReleaseId};
use config::Config;
use serve::set::CurrentSet;

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
    _lock: Lock,
}

impl Keeper {
    /// Takes the lock, calling `wait` once if another keeper must finish first, opens everything, and finishes what a cut
    /// left.
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

    fn open_locked(state: State, now: Timestamp, lock: Lock) -> Result<Self, Fault> {
        let config = state.config()?;
        let trust = Trust::load(&state)?;
        let keyring = state.keyring(&trust)?;
        let log = Log::open(&state.import_log())?;
        let mut keeper = Self { state, config, keyring, trust, log, now, ahead: None, _lock: lock };
        let floor = keeper.floor();
        if floor > Timestamp::default() && now > floor.plus(keeper.config.clock.ahead.0) {
            (keeper.now, keeper.ahead) = (floor, Some(now));
        }
        keeper.check_trust()?;
        for folder in ["", "spool", "trust", "tuf", "keyring", "inbox", "log/import"] {
            durable::sweep(&keeper.state.root().join(folder))?;
        }
        keeper.finish_interrupted()?;
        Ok(keeper)
    }

    /// Appends to the log.
    pub fn append(&mut self, events: Vec<Event>) -> Result<(), Fault> {
        self.log.append(self.now, events)
    }

    /// Replaces the trust file: the one step by which an import, a keyring or a directive counts.
    pub fn replace_trust(&mut self, mut trust: Trust) -> Result<(), Fault> {
        trust.entries = self.log.size();
        // A fault may come after the file was replaced: then nobody could say what counts. So the save is tried again.
        trust.save(&self.state).or_else(|_| trust.save(&self.state))?;
        self.keyring = self.state.keyring(&trust)?;
        self.trust = trust;
        Ok(())
    }

    /// Checks that the trust file is neither older nor newer than the log: an old copy would let old content in again.
    fn check_trust(&self) -> Result<(), Fault> {
        let damaged =
            |detail: &str| Fault::damaged(self.state.root().join("trust/trust.json").to_string_lossy(), detail);
        let size = self.log.size();
        if self.trust.entries > size {
            return Err(damaged(
                "it is newer than the import log: the log was replaced by an older copy or cut short. Nothing was changed. Restore the newest copy of the log: gaprelay help backup",
            ));
        }
        each_between(&self.state.import_log(), (self.trust.entries, size), size, |number, _, entry| {
            let holds = self.trust.reflects(&entry, number + 1 == size);
            if holds {
                Ok(())
            } else {
                Err(damaged(
                    "it is older than the import log: an older copy was put back. Nothing was changed. Restore the newest copy, or have two officers repair it: gaprelay repair",
                ))
            }
        })
    }

    /// Newest time on record: from signers' dates, the import log, and officers.
    pub fn floor(&self) -> Timestamp {
        self.trust.floor.max(self.log.floor())
    }

    /// Takes the time of the clock again, in a command that runs for long: it only moves forward, and no further than is
    /// believed.
    pub fn look_at_clock(&mut self, now: Timestamp) {
        if self.ahead.is_none() && now <= self.floor().plus(self.config.clock.ahead.0) {
            self.now = self.now.max(now);
        }
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
            let is_theirs = self.officer_of(given, &officer).is_some_and(|key| key.is_for(feed));
            let counts = waived == manifest && self.now <= until && is_theirs && !operator.is(&officer);
            counts.then(|| (officer, given.key.clone()))
        };
        let waived: Vec<(String, String)> = self.trust.directives.iter().filter_map(waived_by).collect();
        count_officers(waived.iter().map(|(officer, key)| (officer.as_str(), key.as_str()))) >= needed
    }

    /// Finds the officer's key, if the directive was signed with it, and it is theirs today.
    pub fn officer_of(&self, given: &TakenDirective, officer: &str) -> Option<&Key> {
        // A person may have several keys.
        self.keyring.keys.iter().filter(|key| key.name == officer).find(|key| {
            RawKey::parse(&key.public).is_ok_and(|raw| {
                HEXLOWER.encode(&raw.key) == given.key && self.keyring.check_usable(key, raw, self.now).is_ok()
            })
        })
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

    /// Logs the outcome of an act that a cut interrupted. One keeper at a time finishes each act before the next, so only
    /// the newest entry can be an intent without an outcome, and with it the medium that was being read. The one step that
    /// makes an act count shows whether it happened: the trust file for an import, the pointer for a publication. Stopping
    /// here is safe: without the outcome in the log, the next start does the same again.
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
                    Some(id) if self.state.release_path(&id).is_dir() => {
                        let release = self.state.release(&id)?;
                        Event::Imported {
                            feed: release.feed,
                            version: release.version,
                            manifest: release.manifest,
                            verdicts: release.verdicts,
                            counts: release.counts,
                            signers: release.signers,
                            after_interruption: true,
                        }
                    }
                    _ => interrupted,
                }
            }
            Event::PublishStarted { channel, generation, set, .. } => {
                let shown =
                    if channel == CHANNEL { self.state.tree_current()? } else { self.state.current(&channel)? };
                if shown == Some(CurrentSet { generation, set }) {
                    Event::Published { channel, generation, set }
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
        self.append(std::iter::once(outcome).chain(medium.map(|intent| Event::Interrupted { intent })).collect())
    }
}
