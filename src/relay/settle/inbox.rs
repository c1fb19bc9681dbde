//! Judges each item of the inbox, statements and cosigned heads alike: a refused item is logged and reported, and
//! changed nothing.

use std::path::Path;

use super::pages::PagesBudget;
use super::submission::{CosignedNote, InboxItem, SubmittedStatement, is_item, is_of_pages, read_line};
use super::{SettleReport, append_once, directive, has_inbox_items, statement};
use crate::keeper::Keeper;
use crate::log::Event;
use crate::rights::{ProcessRole, SLOT};
use base::error::IoContext as _;
use base::{Digest, Error, Fault, Reason, Refusal, Timestamp, durable, quoted};
use bundle::directive::Directive;
use sandbox::report::SelfTest;
use tlog::check::read_vkey;
use tlog::cosigned;

/// Longest item that is read, in bytes: as long as all that the pages may submit.
const LONGEST_ITEM: u64 = SLOT;

/// Judges all that was submitted: an item lies in the inbox before it is out of the slot, and is in the log before it
/// is out of the inbox. A cut anywhere leaves it there, and the next run takes it; what is in the log already is not
/// appended again.
pub(super) fn judge_items(keeper: &mut Keeper, report: &mut SettleReport) {
    if has_inbox_items(&keeper.state) {
        keeper.state.use_reserve();
    }
    let mut pages = PagesBudget::open(keeper);
    report.note(pages.take_slot(keeper));
    let names = durable::names(&keeper.state.inbox()).unwrap_or_else(|fault| {
        report.note(Err(fault));
        Vec::new()
    });
    for name in names.into_iter().filter(|name| is_item(name)) {
        if keeper.has_failed() {
            break;
        }
        let budget = is_of_pages(&name).then_some(&mut pages);
        // Going on is safe: an item that caused a fault of ours stays in the inbox, and changed nothing.
        let judged = Judging { keeper, report, budget }.judge_item(&name);
        report.note(judged);
    }
    let closed = pages.close(keeper, report);
    report.note(closed);
}

/// Judging of one item: whom it changes, and what it may cause to be recorded if it came from the pages.
struct Judging<'a> {
    keeper: &'a mut Keeper,
    report: &'a mut SettleReport,
    budget: Option<&'a mut PagesBudget>,
}

/// Reads an item. What nobody of ours wrote is judged as a line of the slot would be. Refusal: `statement-malformed`,
/// where it is no file, or longer than an item can be.
fn read_item(path: &Path, name: &str, now: Timestamp) -> Result<InboxItem, Error> {
    let meta = std::fs::symlink_metadata(path).during("read", path)?;
    let wrong = if !meta.is_file() {
        "is not a regular file".to_owned()
    } else if meta.len() > LONGEST_ITEM {
        format!("has {} bytes, and at most {LONGEST_ITEM} are read", meta.len())
    } else {
        return Ok(read_line(&durable::read(path, LONGEST_ITEM)?, now));
    };
    let detail = format!("\"{}\" in the inbox {wrong}, so the relay did not put it there", quoted(name));
    Err(Error::refused(Reason::StatementMalformed, detail))
}

/// Logs and reports that a statement does not count for one of its releases.
pub(super) fn record_refusal(
    keeper: &mut Keeper,
    refusal: Refusal,
    text: &[u8],
    report: &mut SettleReport,
) -> Result<(), Fault> {
    let Refusal { reason, detail } = refusal.clone();
    append_once(keeper, vec![Event::StatementRefused { reason, detail, statement: Digest::of(text) }])?;
    report.refused.push(refusal);
    Ok(())
}

impl Judging<'_> {
    fn judge_item(mut self, name: &str) -> Result<(), Fault> {
        let path = self.keeper.state.inbox().join(name);
        match read_item(&path, name, self.keeper.now) {
            Ok(InboxItem::Statement(statement)) => self.judge_statement(&statement)?,
            Ok(InboxItem::Cosigned(cosigned)) => self.judge_cosigned(&cosigned)?,
            Ok(InboxItem::Proof(proof)) => self.judge_self_test(*proof)?,
            Err(error) => {
                let statement = Digest::of(name.as_bytes());
                let event = |reason, detail| Event::StatementRefused { reason, detail, statement };
                self.record_refused(Err(error), event)?;
            }
        }
        durable::remove(&path)
    }

    /// True if the log takes this entry: always, but of the pages only within their budget.
    fn allows(&mut self, source: &str, event: &Event) -> bool {
        self.budget.as_mut().is_none_or(|budget| budget.allows(source, event))
    }

    /// Judges a statement or a directive. A refusal is reported and logged once.
    fn judge_statement(&mut self, submitted: &SubmittedStatement) -> Result<(), Fault> {
        let taken = if Directive::is_one(&submitted.text) {
            directive::accept(self.keeper, submitted, self.report)
        } else {
            statement::accept(self.keeper, submitted, self.report)
        };
        let statement = Digest::of(&submitted.text);
        self.record_refused(taken, |reason, detail| Event::StatementRefused { reason, detail, statement })
    }

    /// Judges the self-test that the pages wrote of themselves: it is their word, and of no other role.
    fn judge_self_test(&mut self, mut result: SelfTest) -> Result<(), Fault> {
        let own = ProcessRole::Review.rights().name;
        if result.is_of(std::iter::once(own)) {
            result.by = Some(own.to_owned());
            let event = Event::SelfTest(result);
            return if self.allows(own, &event) { append_once(self.keeper, vec![event]) } else { Ok(()) };
        }
        let detail = format!(
            "a self-test of {} roles came from the pages, which may say what their own process proved",
            result.roles.len()
        );
        let refused = Err(Error::refused(Reason::SelfTestForeign, detail));
        let statement = Digest::of(&serde_json::to_vec(&result).unwrap_or_default());
        self.record_refused(refused, |reason, detail| Event::StatementRefused { reason, detail, statement })
    }

    /// Logs and reports an inbox item that is refused; returns a fault of the relay.
    fn record_refused(
        &mut self,
        taken: Result<(), Error>,
        event: impl FnOnce(Reason, String) -> Event,
    ) -> Result<(), Fault> {
        match taken {
            Ok(()) => Ok(()),
            // Going on is safe: an item that is refused changed nothing.
            Err(Error::Refused(refusal)) => {
                let event = event(refusal.reason, refusal.detail.clone());
                if self.allows(refusal.reason.code(), &event) {
                    append_once(self.keeper, vec![event])?;
                    self.report.refused.push(refusal);
                }
                Ok(())
            }
            Err(Error::Fault(fault)) => Err(fault),
        }
    }

    /// Judges a cosigned head. Stopping is safe: it is in the log before it is kept, and a cut between the two makes
    /// the next run take it again.
    fn judge_cosigned(&mut self, submitted: &CosignedNote) -> Result<(), Fault> {
        let keeper = &*self.keeper;
        let folder = keeper.state.import_log();
        let vkey = read_vkey(&folder)?;
        let policy = keeper.config.witness.as_ref().map(|witness| witness.policy.clone()).unwrap_or_default();
        let latest = keeper.now.plus(keeper.config.clock.tolerance.0);
        let (head, witnesses) = match cosigned::judge(&folder, &vkey, &policy, &submitted.cosigned, latest) {
            Ok(judged) => judged,
            Err(error) => {
                return self.record_refused(Err(error), |reason, detail| Event::CosignatureRefused { reason, detail });
            }
        };
        let (size, quorum) = (head.head.size, head.is_met);
        let event = Event::Cosigned { size, witnesses: witnesses.clone(), quorum };
        // A head that is not taken now is handed in again: witnesses sign it again, or a newer one.
        if !self.allows(event.kind(), &event) {
            return Ok(());
        }
        self.report.cosigned.push((size, witnesses, quorum));
        append_once(self.keeper, vec![event])?;
        cosigned::keep(&folder, &vkey, &policy, &head)
    }
}
