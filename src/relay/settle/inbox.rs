//! The inbox: what officers and witnesses hand in, and how each item is judged.

use serde::{Deserialize, Serialize};

use super::{SettleReport, append_once, directive, statement};
use crate::keeper::Keeper;
use crate::log::{Event, journal};
use crate::state::release::read_json;
use crate::state::{SLOT, State};
use base::{Digest, Error, Fault, Reason, Timestamp, durable};
use bundle::directive::Directive;
use sandbox::report::SelfTest;
use serve::journal::LONGEST_LINE;
use tlog::check::read_vkey;
use tlog::cosigned;

/// A statement as it lies in the inbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmittedStatement {
    /// When it was handed in.
    pub at: Timestamp,
    /// The statement's bytes, which need not be text.
    pub text: Vec<u8>,
    /// The signature file's bytes.
    pub signature: Vec<u8>,
}

/// What lies in the inbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum InboxItem {
    /// A statement.
    Statement(SubmittedStatement),
    /// A head with cosignatures of witnesses.
    Cosigned(CosignedNote),
    /// What the pages proved of themselves before they began.
    Proof(Box<SelfTest>),
}

/// A head with cosignatures of witnesses, as it was handed in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CosignedNote {
    /// When.
    pub at: Timestamp,
    /// The note.
    pub cosigned: String,
}

/// Puts a cosigned head into the inbox, durably; `settle` judges it.
pub fn hand_in_cosigned(state: &State, cosigned: CosignedNote) -> Result<(), Fault> {
    put(state, &InboxItem::Cosigned(cosigned))
}

/// Puts a statement into the inbox, durably; `settle` judges it.
pub fn hand_in(state: &State, handed_in: &SubmittedStatement) -> Result<(), Fault> {
    put(state, &InboxItem::Statement(handed_in.clone()))
}

/// The same item twice is one: its name is its digest, whenever it was handed in.
fn put(state: &State, item: &InboxItem) -> Result<(), Fault> {
    let bytes = serde_json::to_vec(item).map_err(|_| Fault::Internal("a statement cannot be written"))?;
    let name = match item {
        InboxItem::Statement(handed_in) => Digest::of(&[handed_in.text.as_slice(), &handed_in.signature].concat()),
        InboxItem::Cosigned(cosigned) => Digest::of(cosigned.cosigned.as_bytes()),
        InboxItem::Proof(_) => Digest::of(&bytes),
    };
    durable::replace(&state.inbox().join(format!("{name}.json")), &bytes)
}

/// A line of the slot. One that the pages would not have written is judged as a statement, and refused;
/// its beginning is enough for that, and what is longer than an entry may be must not stop the keeper.
fn read_line(line: &[u8], now: Timestamp) -> InboxItem {
    match serde_json::from_slice(line) {
        Ok(InboxItem::Statement(handed_in)) => InboxItem::Statement(handed_in),
        Ok(InboxItem::Cosigned(cosigned)) => InboxItem::Cosigned(cosigned),
        Ok(proof) if line.len() <= LONGEST_LINE => proof,
        _ => {
            let text = line.iter().copied().take(LONGEST_LINE).collect();
            InboxItem::Statement(SubmittedStatement { at: now, text, signature: Vec::new() })
        }
    }
}

/// Takes what was handed in: it lies in the inbox before it is out of the slot, and is in the log before it is out of the
/// inbox. Whatever is cut leaves it there, and the next run takes it; what is in the log already is not appended again.
pub(super) fn take(keeper: &mut Keeper, settled: &mut SettleReport) -> Result<(), Fault> {
    journal::empty(&keeper.state.slot(), |lines| {
        lines.into_iter().try_for_each(|line| put(&keeper.state, &read_line(line, keeper.now)))
    })?;
    for name in durable::names(&keeper.state.inbox())?.into_iter().filter(|name| name != SLOT) {
        let path = keeper.state.inbox().join(&name);
        match read_json(&path)? {
            InboxItem::Statement(handed_in) => take_statement(keeper, &handed_in, settled)?,
            InboxItem::Cosigned(cosigned) => take_cosigned(keeper, &cosigned, settled)?,
            InboxItem::Proof(proof) => append_once(keeper, vec![Event::SelfTest(*proof)])?,
        }
        durable::remove(&path)?;
    }
    Ok(())
}

/// Judges a statement or a directive. One that is refused is told, and logged, once.
fn take_statement(
    keeper: &mut Keeper,
    handed_in: &SubmittedStatement,
    settled: &mut SettleReport,
) -> Result<(), Fault> {
    let taken = if Directive::is_one(&handed_in.text) {
        directive::take(keeper, handed_in, settled)
    } else {
        statement::take(keeper, handed_in).map(|taken| settled.taken.push(taken))
    };
    let statement = Digest::of(&handed_in.text);
    record_refusal(keeper, taken, settled, |reason, detail| Event::StatementRefused { reason, detail, statement })
}

/// Writes a refusal down, and tells it; a fault of ours is given on.
fn record_refusal(
    keeper: &mut Keeper,
    taken: Result<(), Error>,
    settled: &mut SettleReport,
    event: impl FnOnce(Reason, String) -> Event,
) -> Result<(), Fault> {
    match taken {
        Ok(()) => Ok(()),
        Err(Error::Refused(refusal)) => {
            append_once(keeper, vec![event(refusal.reason, refusal.detail.clone())])?;
            settled.refused.push(refusal);
            Ok(())
        }
        Err(Error::Fault(fault)) => Err(fault),
    }
}

/// Judges a cosigned head. It is in the log before it is kept: a cut between the two makes the next run take it
/// again.
fn take_cosigned(keeper: &mut Keeper, handed_in: &CosignedNote, settled: &mut SettleReport) -> Result<(), Fault> {
    let folder = keeper.state.import_log();
    let vkey = read_vkey(&folder)?;
    let policy = keeper.config.witness.as_ref().map(|witness| witness.policy.clone()).unwrap_or_default();
    let (head, witnesses) = match cosigned::judge(&folder, &vkey, &policy, &handed_in.cosigned) {
        Ok(judged) => judged,
        Err(error) => {
            let event = |reason, detail| Event::CosignatureRefused { reason, detail };
            return record_refusal(keeper, Err(error), settled, event);
        }
    };
    let (size, quorum) = (head.head.size, head.is_met);
    settled.cosigned.push((size, witnesses.clone(), quorum));
    append_once(keeper, vec![Event::Cosigned { size, witnesses, quorum }])?;
    cosigned::keep(&folder, &vkey, &policy, &head)
}
