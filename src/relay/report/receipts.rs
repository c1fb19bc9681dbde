//! Receipts and proofs from the import log.

use crate::log::search::{SearchQuery, newest, search};
use crate::log::{Entry, Event};
use crate::state::State;
use base::Fault;
use bundle::ReleaseId;
use tlog::check::read_vkey;
use tlog::compare::receipt;
use tlog::receipt::Receipt;
use tlog::stored::read_checkpoint;

/// Number of the entry that records the import of a release; `None` if the log has none.
fn import_entry(state: &State, id: &ReleaseId) -> Result<Option<u64>, Fault> {
    let folder = state.import_log();
    let words = [Event::needle("imported"), format!(r#""feed":"{}""#, id.feed)];
    let found = newest(
        &folder,
        &read_vkey(&folder)?,
        &words,
        |entry| matches!(&entry.event, Event::Imported { feed, version, .. } if *feed == id.feed && *version == id.version),
    )?;
    Ok(found.map(|(number, _)| number))
}

/// Proof that a release was imported; `None` if the log has no such entry.
pub(crate) fn of_import(state: &State, id: &ReleaseId) -> Result<Option<Receipt>, Fault> {
    let folder = state.import_log();
    let vkey = read_vkey(&folder)?;
    import_entry(state, id)?.map_or(Ok(None), |number| receipt(&folder, &vkey, number))
}

/// Entry of the medium that brought a release: the newest medium opened before its import.
pub(crate) fn medium_of(state: &State, id: &ReleaseId) -> Result<Option<Entry>, Fault> {
    let folder = state.import_log();
    let Some(before) = import_entry(state, id)? else { return Ok(None) };
    let wanted = SearchQuery { before: Some(before), words: vec![Event::needle("medium-opened")], from: 0 };
    Ok(search(&folder, &read_vkey(&folder)?, &wanted, 1)?.hits.pop().map(|hit| hit.entry))
}

/// Bounded receipt: the head of the import log now, as a short text for paper.
pub(crate) fn bounded(state: &State) -> Result<String, Fault> {
    let folder = state.import_log();
    Ok(tlog::receipt::paper(&read_checkpoint(&folder, &read_vkey(&folder)?)?))
}
