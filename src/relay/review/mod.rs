//! Officers' pages: imports, what was withheld or stripped, who tried to send something, and relay health. Rendered
//! here, without scripts; nothing is loaded from elsewhere. They hold no power: a release is decided by a signature,
//! which goes through the slot of the inbox and is judged by the keeper. Out of scope: judging it, and how facts are
//! gathered ([`crate::report`]).

pub(crate) mod chart;
pub(crate) mod hand_in;
pub(crate) mod layout;
pub(crate) mod listener;
pub(crate) mod pages;
pub(crate) mod readers;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod route;

use std::sync::{Arc, Mutex, PoisonError};

use tracing::{error, warn};

use crate::log::Event;
use crate::log::reading::each_from;
use crate::report::refusals::{GroupBy, Tally};
use crate::rights::{ProcessRole, SLOT};
use crate::settle::InboxItem;
use crate::state::State;
use base::{Fault, clock};
use config::Config;
use guard::Guard;
use listener::ReviewListeners;
use readers::PageReaders;
use sandbox::Grants;
use sandbox::report::SelfTest;
use serve::index::Index;
use serve::journal::Journal;
use tlog::check::read_vkey;

/// Everything from which pages are made.
pub(crate) struct ReviewContext {
    /// State folder; only read.
    pub state: State,
    /// Config, as it was at the start.
    pub config: Config,
    /// Accounts and certificates that may read the pages.
    pub readers: PageReaders,
    slot: Mutex<Journal>,
    refusals: Mutex<CountedAttempts>,
}

/// Attempts of the access log, counted up to entry `read`: the log only grows, so later calls read only what is new.
struct CountedAttempts {
    read: u64,
    tallies: [Tally; 3],
}

/// Confines this process for good, then serves the pages until it is stopped (SIGTERM, SIGINT). `self_test`: result of
/// the self-test that ran before, if it could; it goes to the log through the slot.
pub(crate) fn run(
    state: &State,
    config: &Config,
    readers: PageReaders,
    listeners: ReviewListeners,
    self_test: Option<SelfTest>,
) -> Result<(), Fault> {
    let mut slot = Journal::open(&state.slot(), SLOT)?;
    let confined =
        sandbox::begin(ProcessRole::Review.rights(), &Grants { state: state.root(), medium: None }, &config.terms())?;
    match self_test.map(|result| slot.append(&[InboxItem::Proof(Box::new(result))])) {
        Some(Ok(true)) | None => {}
        Some(Ok(false)) => warn!(
            "the self-test of the pages process is not recorded in the log: the inbox is full. Run gaprelay settle, then \
             restart the pages"
        ),
        Some(Err(e)) => error!(fault = %e, "the self-test of the pages process is not recorded in the log: {e}"),
    }
    let context = ReviewContext {
        state: state.clone(),
        config: config.clone(),
        readers,
        slot: Mutex::new(slot),
        refusals: Mutex::new(CountedAttempts {
            read: 0,
            tallies: [GroupBy::Agent, GroupBy::Product, GroupBy::Day].map(Tally::new),
        }),
    };
    listener::serve(&Arc::new(context), listeners, confined)
}

impl ReviewContext {
    /// Appends an item to the inbox, through the slot. `false`: the inbox is full, and nothing was written.
    pub(crate) fn submit(&self, item: &InboxItem) -> Result<bool, Fault> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        let written = slot.append(std::slice::from_ref(item));
        written.map_err(|source| Fault::Io { operation: "append to", path: self.state.slot(), source })
    }

    /// Counts the attempts up to now and gives the tallies by agent, by product and by day to `show`.
    pub(crate) fn refusals<T>(&self, show: impl FnOnce(&[Tally; 3]) -> T) -> Result<T, Fault> {
        let mut counted = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let CountedAttempts { read, tallies } = &mut *counted;
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

    /// List of vendors' endpoints: the published one, or the one in this program where the published one is damaged.
    pub(crate) fn guard(&self) -> Result<Guard, Fault> {
        Index::guard_of(self.state.published(), &self.config.plan(), clock::now()).or_else(|_| Guard::shipped())
    }
}
