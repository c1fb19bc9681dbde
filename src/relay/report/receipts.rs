//! Receipts of what the import log says.

use crate::log::search::{SearchQuery, newest, search};
use crate::log::{Entry, Event};
use crate::state::State;
use base::Fault;
use bundle::ReleaseId;
use tlog::check::read_vkey;
use tlog::compare::receipt;
use tlog::receipt::Receipt;
use tlog::stored::read_checkpoint;

/// The number of the entry that says that a release was imported; none if the log does not say so.
fn import_of(state: &State, id: &ReleaseId) -> Result<Option<u64>, Fault> {
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

/// The proof that a release was imported; none if the log does not say so.
pub fn of_import(state: &State, id: &ReleaseId) -> Result<Option<Receipt>, Fault> {
    let folder = state.import_log();
    let vkey = read_vkey(&folder)?;
    import_of(state, id)?.map_or(Ok(None), |number| receipt(&folder, &vkey, number))
}

/// The entry of the medium that brought a release: the newest that was opened before its import.
pub fn medium_of(state: &State, id: &ReleaseId) -> Result<Option<Entry>, Fault> {
    let folder = state.import_log();
    let Some(before) = import_of(state, id)? else { return Ok(None) };
    let wanted = SearchQuery { before: Some(before), words: vec![Event::needle("medium-opened")], from: 0 };
    Ok(search(&folder, &read_vkey(&folder)?, &wanted, 1)?.hits.pop().map(|hit| hit.entry))
}

/// The bounded receipt of the import log as it is now.
pub fn bounded(state: &State) -> Result<String, Fault> {
    let folder = state.import_log();
    Ok(tlog::receipt::paper(&read_checkpoint(&folder, &read_vkey(&folder)?)?))
}
