//! Statements in, publications out: brings what agents see in line with officers' statements.
//! Running it again changes nothing; a cut at any step is finished by the next run.

mod channels;
mod directive;
pub(crate) mod draft;
mod evidence;
mod grounds;
mod inbox;
mod pages;
pub mod repair;
mod statement;
mod submission;
pub(crate) mod tuf;

use crate::keeper::Keeper;
use crate::log::Event;
use crate::publish::tuf::CHANNEL;
use crate::state::State;
use base::error::IoContext as _;
use base::{Error, Fault, Refusal, Timestamp, durable};
use bundle::ReleaseId;
use bundle::directive::Order;
use bundle::statement::Decision;

pub use channels::due_releases;
pub use submission::{CosignedNote, InboxItem, SubmittedStatement, hand_in, hand_in_cosigned};

/// Result of a settle.
#[derive(Debug, Default)]
pub struct SettleReport {
    /// Decisions that count from now on.
    pub taken: Vec<TakenDecision>,
    /// Directives that count from now on.
    pub directives: Vec<AcceptedDirective>,
    /// Statements that do not count, and why.
    pub refused: Vec<Refusal>,
    /// Channels that were switched, with the new generation.
    pub published: Vec<(String, u64)>,
    /// Channels whose pointer was missing or wrong, and was put right.
    pub mended: Vec<String>,
    /// Channels that could not be brought up to date, and why.
    pub stuck: Vec<(String, Refusal)>,
    /// Heads that witnesses cosigned: size, who is new, whether the quorum is met.
    pub cosigned: Vec<(u64, Vec<String>, bool)>,
    /// Lines of evidence taken from the server's journal.
    pub evidence: usize,
}

impl SettleReport {
    /// Adds what a later run of the same command did. What is stuck is told by the last one.
    pub fn extend(&mut self, later: Self) {
        self.taken.extend(later.taken);
        self.directives.extend(later.directives);
        self.refused.extend(later.refused);
        self.published.extend(later.published);
        self.cosigned.extend(later.cosigned);
        self.mended.extend(later.mended);
        self.evidence += later.evidence;
        self.stuck = later.stuck;
    }
}

/// True if something was handed in and not judged yet.
pub fn has_inbox_items(state: &State) -> Result<bool, Fault> {
    let slot = state.slot();
    let submitted = std::fs::metadata(&slot).during("read", &slot)?.len() > 0;
    Ok(submitted || durable::names(&state.inbox())?.iter().any(|name| submission::is_item(name)))
}

/// An officer's decision on a release that counts from now on.
#[derive(Debug)]
pub struct TakenDecision {
    /// Release.
    pub release: ReleaseId,
    /// Decision.
    pub decision: Decision,
    /// The officer.
    pub officer: String,
    /// Loss for agents by an approval, where the statement says so.
    pub effect: Option<String>,
}

/// A directive that counts from now on.
#[derive(Debug)]
pub struct AcceptedDirective {
    /// Order of the directive.
    pub order: Order,
    /// The officer.
    pub officer: String,
    /// The time that it is or later, where this was the last one needed to turn the clock back.
    pub clock: Option<Timestamp>,
}

/// Brings what is published in line with the statements, step by step; each step leaves a state from which the next run
/// goes on.
pub fn settle(keeper: &mut Keeper) -> Result<SettleReport, Fault> {
    let mut settled = SettleReport::default();
    // 1. What the server saw becomes entries of the access log, whose head the import log holds. A cut leaves the lines in
    //    the journal, and the former head there, which the log grew from.
    let opened = evidence::collect(keeper).and_then(|evidence| {
        settled.evidence = evidence;
        // 2. Each channel shows what the log says it does. A cut leaves it for the next run.
        channels::mend_pointers(keeper, &mut settled)
    });
    if let Err(fault) = opened {
        // Nothing new is shown beside a log or a pointer that is damaged; what no longer stands leaves all the same.
        settle_between(keeper)?;
        return Err(fault);
    }
    // 3. Each statement counts or does not. A cut leaves it in the inbox, and in the log at most once. One that causes a
    //    fault stays there, and stops neither those behind it nor what they decide.
    let judged = inbox::judge_items(keeper, &mut settled);
    // 4. Each channel shows the newest approved release of each of its feeds. A cut leaves the former set there.
    let shown = channels::update_channels(keeper, &mut settled).and(judged);
    // 5. And the repository for TUF clients shows what the channels do. A cut leaves the former one there.
    let made = shown.map_err(Error::from).and_then(|()| tuf::update_tree(keeper));
    if let Ok(Some(version)) = made {
        settled.published.push((CHANNEL.to_owned(), version));
        return Ok(settled);
    }
    // Where nothing new can be shown, whatever the reason, what no longer stands leaves all the same.
    let cut = tuf::take_out_fallen(keeper)?;
    settled.published.extend(cut.map(|version| (CHANNEL.to_owned(), version)));
    match made {
        Ok(_) => {}
        // Agents keep what they have; it is told at each run until it is mended.
        Err(Error::Refused(refusal)) => settled.stuck.push((CHANNEL.to_owned(), refusal)),
        Err(Error::Fault(fault)) => return Err(fault),
    }
    Ok(settled)
}

/// Does between the bundles of an import what cannot wait for its end: judges what officers handed in, and takes out of the
/// channels what no longer stands. It shows nothing new, so that each bundle of the import is compared with what agents had
/// before it.
pub fn settle_between(keeper: &mut Keeper) -> Result<SettleReport, Fault> {
    let mut settled = SettleReport::default();
    // Stopping after any is safe, as in `settle`: the next run goes on. Nor does a fault of one keep the next from its work.
    let judged = inbox::judge_items(keeper, &mut settled);
    let dropped = channels::drop_fallen(keeper, &mut settled);
    let cut = tuf::take_out_fallen(keeper);
    judged.and(dropped)?;
    settled.published.extend(cut?.map(|version| (CHANNEL.to_owned(), version)));
    Ok(settled)
}

/// Appends, unless a cut run appended exactly these as its last act.
fn append_once(keeper: &mut Keeper, events: Vec<Event>) -> Result<(), Fault> {
    let last = keeper.log.last().map(|entry| &entry.event);
    if last.is_some() && last == events.last() { Ok(()) } else { keeper.append(events) }
}
