//! Budget of the items that come from the officers' pages through their slot: the process that writes there may have
//! been taken over. What an officer signed is taken, however much else lies there; what does not count is recorded
//! within a budget, and beyond it counted.

use std::collections::HashSet;

use super::SettleReport;
use super::submission::{InboxItem, read_line, store_of_pages};
use crate::keeper::Keeper;
use crate::log::Event;
use crate::log::budget::{Budget, SpentFile};
use crate::log::taken::{FileLimits, TakenFile};
use crate::rights::SLOT;
use base::{Digest, Fault, Reason, Refusal};
use bundle::directive::Directive;
use bundle::statement::Statement;

/// Budget of entries about what does not count, of which an ordinary day has a few.
const BUDGET: Budget = Budget { hour: 256 << 10, day: 1 << 20, all: 64 << 20, share: 64 << 10, reserve: 64 << 10 };
/// Items of a run that go into the inbox whatever they are; of more only what an officer signed.
const ITEMS: usize = 64;

/// Pages' budget, open for one run.
pub(super) struct PagesBudget {
    record: SpentFile,
    /// Number of things beyond the budget of an earlier hour, to be told.
    late: Option<u64>,
}

impl PagesBudget {
    /// Opens it.
    pub(super) fn open(keeper: &Keeper) -> Self {
        let mut record = SpentFile::beside(&keeper.state.slot());
        let late = record.spent.begin(keeper.now);
        Self { record, late }
    }

    /// Moves lines of the slot into the inbox. Stopping is safe: lines leave the slot only after all of them are in the
    /// inbox or counted, where the same line is one item.
    pub(super) fn take_slot(&mut self, keeper: &Keeper) -> Result<(), Fault> {
        let limits = FileLimits { piece: usize::try_from(SLOT).unwrap_or(usize::MAX), full: SLOT };
        let (mut items, mut signed) = (0, HashSet::new());
        TakenFile::open(&keeper.state.slot(), limits, 0)?.take(|lines, _| {
            for line in lines {
                let item = read_line(line, keeper.now);
                items += 1;
                if items <= ITEMS || signed_text(keeper, &item).is_some_and(|text| signed.insert(text)) {
                    store_of_pages(&keeper.state, &item)?;
                } else {
                    self.record.spent.count();
                }
            }
            Ok(0)
        })?;
        Ok(())
    }

    /// True if the log takes this entry, for a source such as the reason of a refusal; else it is counted.
    pub(super) fn allows(&mut self, source: &str, event: &Event) -> bool {
        let bytes = serde_json::to_vec(event).map_or(0, |bytes| bytes.len() as u64);
        self.record.spent.allows(&BUDGET, source, bytes)
    }

    /// Tells what is beyond the budget, and keeps what was spent.
    pub(super) fn close(mut self, keeper: &mut Keeper, report: &mut SettleReport) -> Result<(), Fault> {
        for beyond in [self.late, self.record.spent.tell()].into_iter().flatten() {
            let detail = format!(
                "{beyond} items from the officers' pages do not count, and are only counted: there are too many"
            );
            let (reason, statement) = (Reason::InboxFlood, Digest::of(detail.as_bytes()));
            keeper.append(vec![Event::StatementRefused { reason, detail: detail.clone(), statement }])?;
            report.refused.push(Refusal::new(reason, detail));
        }
        self.record.save()
    }
}

/// Digest of the text of a statement or directive that an officer of the keyring signed.
fn signed_text(keeper: &Keeper, item: &InboxItem) -> Option<Digest> {
    let InboxItem::Statement(submitted) = item else { return None };
    let (text, signature) = (&submitted.text, &submitted.signature);
    let verified = if Directive::is_one(text) {
        Directive::parse(text).and_then(|it| it.verify(text, signature, &keeper.keyring, keeper.now))
    } else {
        Statement::parse(text).and_then(|it| it.verify(text, signature, &keeper.keyring, keeper.now))
    };
    verified.is_ok().then(|| Digest::of(text))
}
