//! Whoever changes the state: it holds the lock, the log and what is trusted. Opening it finishes
//! what a cut left, so that every intent in the log has an outcome before anything else happens.

use crate::audit::{Event, Log};
use crate::base::lock::Lock;
use crate::base::{Fault, Timestamp, durable};
use crate::config::Config;
use crate::publish::Current;
use crate::store::{ReleaseId, State, Trust};
use crate::verify::Keyring;

/// The state, open for changes.
pub struct Keeper {
    /// The state folder.
    pub state: State,
    /// The config.
    pub config: Config,
    /// The keyring in force.
    pub keyring: Keyring,
    /// What was accepted.
    pub trust: Trust,
    /// The import log.
    pub log: Log,
    /// What time it is.
    pub now: Timestamp,
    _lock: Lock,
}

impl Keeper {
    /// Takes the lock, calling `wait` once if another must finish first, opens everything, and
    /// finishes what a cut left.
    pub fn open(state: State, now: Timestamp, wait: impl FnOnce()) -> Result<Self, Fault> {
        let lock = state.lock(wait)?;
        Self::open_locked(state, now, lock)
    }

    /// Opens everything if no other keeper is at work.
    pub fn try_open(state: State, now: Timestamp) -> Result<Option<Self>, Fault> {
        let lock = state.try_lock()?;
        lock.map(|lock| Self::open_locked(state, now, lock)).transpose()
    }

    fn open_locked(state: State, now: Timestamp, lock: Lock) -> Result<Self, Fault> {
        let config = state.config()?;
        let trust = Trust::load(&state)?;
        let keyring = state.keyring(&trust)?;
        let log = Log::open(&state.import_log())?;
        let mut keeper = Self { state, config, keyring, trust, log, now, _lock: lock };
        for folder in ["", "spool", "trust", "keyring", "inbox", "log/import"] {
            durable::sweep(&keeper.state.root().join(folder))?;
        }
        keeper.finish_interrupted()?;
        Ok(keeper)
    }

    /// Appends to the log.
    pub fn append(&mut self, events: Vec<Event>) -> Result<(), Fault> {
        self.log.append(self.now, events)
    }

    /// That the clock is not behind what the relay has already seen: signers' dates and its own log.
    pub fn check_clock(&self) -> Result<(), Fault> {
        let floor = self.trust.floor.max(self.log.floor());
        if self.now < floor { Err(Fault::ClockBehind { now: self.now, floor }) } else { Ok(()) }
    }

    /// One keeper at a time finishes each act before the next, so only the newest entry can be an
    /// intent without an outcome. Whether the act happened is told from the one step that makes it
    /// count: the trust file for an import, the pointer for a publication.
    fn finish_interrupted(&mut self) -> Result<(), Fault> {
        let Some(entry) = self.log.last().cloned() else { return Ok(()) };
        let interrupted = Event::Interrupted { intent: self.log.size().saturating_sub(1) };
        let outcome = match entry.event {
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
                if self.state.current(&channel)? == Some(Current { generation, set }) {
                    Event::Published { channel, generation, set }
                } else {
                    interrupted
                }
            }
            event if event.is_intent() => interrupted,
            _ => return Ok(()),
        };
        self.append(vec![outcome])
    }
}
