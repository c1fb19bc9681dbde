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
use crate::state::reserve::is_full;
use base::{Error, Fault, Refusal, Timestamp, durable};
use bundle::directive::Order;
use bundle::statement::Decision;
use bundle::{Extent, ReleaseId};

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
    /// Channels that do not show all that is due, and why.
    pub stuck: Vec<(String, Refusal)>,
    /// Heads that witnesses cosigned: size, who is new, whether the quorum is met.
    pub cosigned: Vec<(u64, Vec<String>, bool)>,
    /// Lines of evidence taken from the server's journal.
    pub evidence: usize,
    /// Faults. Each stopped nothing else, and is met again by the next run until it is mended.
    pub faults: Vec<Fault>,
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
        later.faults.into_iter().for_each(|fault| self.note(Err(fault)));
    }

    /// Keeps a fault that stops nothing else, once.
    fn note(&mut self, outcome: Result<(), Fault>) {
        let Err(fault) = outcome else { return };
        if self.faults.iter().all(|other| other.to_string() != fault.to_string()) {
            self.faults.push(fault);
        }
    }
}

/// True if something was handed in and not judged yet.
pub fn has_inbox_items(state: &State) -> bool {
    let submitted = std::fs::metadata(state.slot()).is_ok_and(|slot| slot.len() > 0);
    submitted || durable::names(&state.inbox()).is_ok_and(|names| names.iter().any(|name| submission::is_item(name)))
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
    /// Extent of all denials of the key together, where this is one.
    pub extent: Option<Extent>,
}

/// Step of a settle, which notes its faults.
#[derive(Clone, Copy)]
enum SettleStep {
    /// Takes in what came, or takes out what must not be shown: waits for nothing.
    Always(fn(&mut Keeper, &mut SettleReport)),
    /// The same; beside its fault nothing new is shown.
    Checks(fn(&mut Keeper, &mut SettleReport) -> Result<(), Fault>),
    /// Shows something new.
    ShowsNew(fn(&mut Keeper, &mut SettleReport)),
}
use SettleStep::{Always, Checks, ShowsNew};

/// Brings what is published in line with the statements, step by step; each step leaves a state from which the next run
/// goes on. A fault in one stops none behind it: what takes something out of the channels comes first, and waits for
/// nothing.
pub fn settle(keeper: &mut Keeper) -> SettleReport {
    run(
        keeper,
        &[
            // 1. Each statement counts or does not. A cut leaves it in the inbox, and in the log at most once. One that
            //    causes a fault stays there.
            Always(inbox::judge_items),
            // 2. Each channel shows what the log says it does. A cut leaves it for the next run.
            Always(channels::mend_pointers),
            // 3. What must not be shown any more leaves. A cut leaves the former set there.
            Always(channels::drop_fallen),
            // 4. Evidence of a statement that counts is there, where it could not be written at once. A cut leaves it
            //    missing, which is told, and written again from the log by `gaprelay log rebuild`.
            Always(store_evidence),
            // 5. Room on the disk is kept for the next withdrawal, before anything else takes it. A cut leaves less
            //    of it.
            Checks(keep_reserve),
            // 6. What the server saw becomes entries of the access log, whose head the import log holds. A cut leaves
            //    the lines in the journal, and the former head, which the log grew from.
            Checks(take_evidence),
            // 7. Each channel shows the newest approved release of each of its feeds. A cut leaves the former set
            //    there.
            ShowsNew(channels::update_channels),
            // 8. And the repository for TUF clients shows what the channels do. A cut leaves the former one there.
            ShowsNew(update_tree),
            // 9. Where it cannot, what no longer stands leaves it all the same.
            Always(cut_tree),
            // 10. What that took of the room is kept again.
            Checks(keep_reserve),
        ],
    )
}

/// Does between the bundles of an import what cannot wait for its end: judges what officers handed in, and takes out of
/// the channels what no longer stands. It shows nothing new, so that each bundle of the import is compared with what
/// agents had before it.
pub fn settle_between(keeper: &mut Keeper) -> SettleReport {
    run(keeper, &[Always(inbox::judge_items), Always(channels::drop_fallen), Always(cut_tree), Checks(keep_reserve)])
}

fn run(keeper: &mut Keeper, steps: &[SettleStep]) -> SettleReport {
    let (mut settled, mut is_damaged) = (SettleReport::default(), false);
    for step in steps {
        // What could not be written to the log or the trust file may stand there all the same: the next opening finds
        // out.
        if keeper.has_failed() {
            break;
        }
        match step {
            ShowsNew(_) if is_damaged => {}
            Always(step) | ShowsNew(step) => step(keeper, &mut settled),
            Checks(step) => {
                let checked = step(keeper, &mut settled);
                is_damaged |= checked.is_err();
                settled.note(checked);
            }
        }
    }
    for fault in std::mem::take(&mut keeper.put_off) {
        settled.note(Err(fault));
    }
    settled
}

fn store_evidence(keeper: &mut Keeper, settled: &mut SettleReport) {
    for fault in keeper.store_evidence() {
        settled.note(Err(fault));
    }
}

fn keep_reserve(keeper: &mut Keeper, settled: &mut SettleReport) -> Result<(), Fault> {
    let mut kept = keeper.state.keep_reserve(&keeper.trust);
    if kept.as_ref().is_err_and(is_full) {
        // No new tree can be made on a disk that is full, and what comes first there may end this run.
        cut_tree(keeper, settled);
        kept = keeper.state.keep_reserve(&keeper.trust);
    }
    match kept {
        // Where it cannot be kept for another cause, that is told, and stops nothing.
        Err(fault) if !is_full(&fault) => keeper.put_off.push(fault),
        kept => kept?,
    }
    Ok(())
}

fn take_evidence(keeper: &mut Keeper, settled: &mut SettleReport) -> Result<(), Fault> {
    evidence::collect(keeper).map(|evidence| settled.evidence = evidence)
}

fn cut_tree(keeper: &mut Keeper, settled: &mut SettleReport) {
    let cut = tuf::take_out_fallen(keeper);
    let cut = cut.map(|cut| settled.published.extend(cut.map(|version| (CHANNEL.to_owned(), version))));
    settled.note(cut);
}

fn update_tree(keeper: &mut Keeper, settled: &mut SettleReport) {
    match tuf::update_tree(keeper) {
        Ok(Some(version)) => settled.published.push((CHANNEL.to_owned(), version)),
        Ok(None) => {}
        // Agents keep what they have; it is told at each run until it is mended.
        Err(Error::Refused(refusal)) => settled.stuck.push((CHANNEL.to_owned(), refusal)),
        Err(Error::Fault(fault)) => settled.note(Err(fault)),
    }
}

/// Appends, unless a cut run appended exactly these as its last act.
fn append_once(keeper: &mut Keeper, events: Vec<Event>) -> Result<(), Fault> {
    let last = keeper.log.last().map(|entry| &entry.event);
    if last.is_some() && last == events.last() { Ok(()) } else { keeper.append(events) }
}
