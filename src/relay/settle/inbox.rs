//! Judges each item of the inbox, statements and cosigned heads alike: a refused item is logged and reported, and changed
//! nothing.

use std::path::Path;

use super::submission::{CosignedNote, InboxItem, SubmittedStatement, is_item, read_line, store};
use super::{SettleReport, append_once, directive, statement};
use crate::keeper::Keeper;
use crate::log::Event;
use crate::log::taken::{FileLimits, TakenFile};
use crate::rights::{ProcessRole, SLOT};
use crate::state::release::read_json;
use base::{Digest, Error, Fault, Reason, Refusal, durable};
use bundle::directive::Directive;
use sandbox::report::SelfTest;
use tlog::check::read_vkey;
use tlog::cosigned;

/// Judges all that was submitted: an item lies in the inbox before it is out of the slot, and is in the log before it is
/// out of the inbox. A cut anywhere leaves it there, and the next run takes it; what is in the log already is not
/// appended again.
pub(super) fn judge_items(keeper: &mut Keeper, report: &mut SettleReport) -> Result<(), Fault> {
    // Stopping is safe: lines leave the slot only after all of them are in the inbox, where the same line is one item.
    let limits = FileLimits { piece: usize::try_from(SLOT).unwrap_or(usize::MAX), full: SLOT };
    TakenFile::open(&keeper.state.slot(), limits, 0)?.take(|lines, _| {
        lines.iter().try_for_each(|line| store(&keeper.state, &read_line(line, keeper.now))).map(|()| 0)
    })?;
    let mut first = Ok(());
    for name in durable::names(&keeper.state.inbox())?.into_iter().filter(|name| is_item(name)) {
        // Going on is safe: an item that caused a fault of ours stays in the inbox, and changed nothing.
        first = first.and(judge_item(keeper, &keeper.state.inbox().join(&name), report));
    }
    first
}

fn judge_item(keeper: &mut Keeper, path: &Path, report: &mut SettleReport) -> Result<(), Fault> {
    match read_json(path)? {
        InboxItem::Statement(statement) => judge_statement(keeper, &statement, report)?,
        InboxItem::Cosigned(cosigned) => judge_cosigned(keeper, &cosigned, report)?,
        InboxItem::Proof(proof) => judge_self_test(keeper, *proof, report)?,
    }
    durable::remove(path)
}

/// Judges a statement or a directive. A refusal is reported and logged once.
fn judge_statement(
    keeper: &mut Keeper,
    submitted: &SubmittedStatement,
    report: &mut SettleReport,
) -> Result<(), Fault> {
    let taken = if Directive::is_one(&submitted.text) {
        directive::accept(keeper, submitted, report)
    } else {
        statement::accept(keeper, submitted, report)
    };
    let statement = Digest::of(&submitted.text);
    record_refused_item(keeper, taken, report, |reason, detail| Event::StatementRefused { reason, detail, statement })
}

/// Logs and reports that a statement does not count for one of its releases.
pub(super) fn record_refusal(
    keeper: &mut Keeper,
    refusal: Refusal,
    text: &[u8],
    report: &mut SettleReport,
) -> Result<(), Fault> {
    let statement = Digest::of(text);
    let event = |reason, detail| Event::StatementRefused { reason, detail, statement };
    record_refused_item(keeper, Err(refusal.into()), report, event)
}

/// Judges the self-test that the pages wrote of themselves: it is their word, and of no other role.
fn judge_self_test(keeper: &mut Keeper, mut result: SelfTest, report: &mut SettleReport) -> Result<(), Fault> {
    let own = ProcessRole::Review.rights().name;
    if result.is_of(std::iter::once(own)) {
        result.by = Some(own.to_owned());
        return append_once(keeper, vec![Event::SelfTest(result)]);
    }
    let detail = format!(
        "a self-test of {} roles came from the pages, which may say what their own process proved",
        result.roles.len()
    );
    let refused = Err(Error::refused(Reason::SelfTestForeign, detail));
    let statement = Digest::of(&serde_json::to_vec(&result).unwrap_or_default());
    record_refused_item(keeper, refused, report, |reason, detail| Event::StatementRefused { reason, detail, statement })
}

/// Logs and reports an inbox item that is refused; returns a fault of the relay.
fn record_refused_item(
    keeper: &mut Keeper,
    taken: Result<(), Error>,
    report: &mut SettleReport,
    event: impl FnOnce(Reason, String) -> Event,
) -> Result<(), Fault> {
    match taken {
        Ok(()) => Ok(()),
        // Going on is safe: an item that is refused changed nothing.
        Err(Error::Refused(refusal)) => {
            append_once(keeper, vec![event(refusal.reason, refusal.detail.clone())])?;
            report.refused.push(refusal);
            Ok(())
        }
        Err(Error::Fault(fault)) => Err(fault),
    }
}

/// Judges a cosigned head. Stopping is safe: it is in the log before it is kept, and a cut between the two makes the next
/// run take it again.
fn judge_cosigned(keeper: &mut Keeper, submitted: &CosignedNote, report: &mut SettleReport) -> Result<(), Fault> {
    let folder = keeper.state.import_log();
    let vkey = read_vkey(&folder)?;
    let policy = keeper.config.witness.as_ref().map(|witness| witness.policy.clone()).unwrap_or_default();
    let latest = keeper.now.plus(keeper.config.clock.tolerance.0);
    let (head, witnesses) = match cosigned::judge(&folder, &vkey, &policy, &submitted.cosigned, latest) {
        Ok(judged) => judged,
        Err(error) => {
            let event = |reason, detail| Event::CosignatureRefused { reason, detail };
            return record_refused_item(keeper, Err(error), report, event);
        }
    };
    let (size, quorum) = (head.head.size, head.is_met);
    report.cosigned.push((size, witnesses.clone(), quorum));
    append_once(keeper, vec![Event::Cosigned { size, witnesses, quorum }])?;
    cosigned::keep(&folder, &vkey, &policy, &head)
}
