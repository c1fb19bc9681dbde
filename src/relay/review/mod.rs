//! The officers' pages: what came in, what was taken out, who tried to send something, and whether the
//! relay is sound. Rendered here, without scripts; nothing is loaded from elsewhere. They hold no power:
//! a release is decided by a signature, which is put through the slot of the inbox and judged by the
//! keeper. Out of scope: judging it, and how facts are gathered ([`crate::report`]).

pub mod chart;
pub mod door;
pub mod frame;
pub mod hand_in;
pub mod pages;
pub mod readers;
pub mod route;

use std::sync::{Arc, Mutex, PoisonError};

use tracing::warn;

use crate::log::Event;
use crate::log::writer::each_from;
use crate::report::refusals::{By, Tally};
use crate::rights::{ProcessRole, SLOT};
use crate::settle::InboxItem;
use crate::state::State;
use base::{Fault, clock};
use config::Config;
use door::Doors;
use guard::Guard;
use readers::Readers;
use sandbox::Grants;
use sandbox::report::SelfTest;
use serve::index::Index;
use serve::journal::Journal;
use tlog::check::read_vkey;

/// All that pages are made from.
pub struct Desk {
    /// The state; only read.
    pub state: State,
    /// The config, as it was at the start.
    pub config: Config,
    /// Who may read.
    pub readers: Readers,
    slot: Mutex<Journal>,
    refusals: Mutex<Refused>,
}

/// The access log's attempts put together, up to the entry that was read last: the log only grows.
struct Refused {
    read: u64,
    tallies: [Tally; 3],
}

/// Confines this process for good, then shows the pages until a stop is asked for (SIGTERM, SIGINT).
pub fn run(state: &State, config: &Config, readers: Readers, doors: Doors, proof: SelfTest) -> Result<(), Fault> {
    let mut slot = Journal::open(&state.slot(), SLOT)?;
    let confined =
        sandbox::begin(ProcessRole::Review.rights(), &Grants { state: state.root(), medium: None }, &config.terms())?;
    let written = slot.append(&[InboxItem::Proof(Box::new(proof))]);
    if !written.map_err(|source| Fault::Io { operation: "append to", path: state.slot(), source })? {
        warn!("the slot of the inbox is full: the result of this process's self-test is not recorded");
    }
    let desk = Desk {
        state: state.clone(),
        config: config.clone(),
        readers,
        slot: Mutex::new(slot),
        refusals: Mutex::new(Refused { read: 0, tallies: [By::Agent, By::Product, By::Day].map(Tally::new) }),
    };
    door::open(&Arc::new(desk), doors, confined)
}

impl Desk {
    /// Puts an inbox item through the slot. `false`: it is full.
    pub fn put(&self, item: &InboxItem) -> Result<bool, Fault> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        let written = slot.append(std::slice::from_ref(item));
        written.map_err(|source| Fault::Io { operation: "append to", path: self.state.slot(), source })
    }

    /// Gives the attempts so far, by agent, by product and by day, to `show`.
    pub fn refusals<T>(&self, show: impl FnOnce(&[Tally; 3]) -> T) -> Result<T, Fault> {
        let mut refused = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let Refused { read, tallies } = &mut *refused;
        let folder = self.state.access_log();
        let (from, mut next) = (*read, *read);
        let all = each_from(&folder, &read_vkey(&folder)?, from, |number, entry| {
            // A fault half way must not count anything twice.
            next = number + 1;
            if let Event::Attempt(attempt) = entry.event {
                for tally in tallies.iter_mut() {
                    tally.add(attempt.clone());
                }
            }
        });
        *read = next;
        all?;
        Ok(show(tallies))
    }

    /// What is known of vendors' endpoints; the list that ships where the published one is damaged.
    pub fn guard(&self) -> Result<Guard, Fault> {
        Index::guard_of(self.state.published(), &self.config.plan(), clock::now()).or_else(|_| Guard::shipped())
    }
}
