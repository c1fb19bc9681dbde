//! Receipts of what the import log says.

use crate::audit::check::read_vkey;
use crate::audit::compare::receipt;
use crate::audit::receipt::Receipt;
use crate::audit::search::{Wanted, newest, search};
use crate::audit::{Entry, Event, log};
use crate::base::Fault;
use crate::store::{ReleaseId, State};

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
    let wanted = Wanted { before: Some(before), words: vec![Event::needle("medium-opened")], from: 0 };
    Ok(search(&folder, &read_vkey(&folder)?, &wanted, 1)?.hits.pop().map(|hit| hit.entry))
}

/// The bounded receipt of the import log as it is now.
pub fn bounded(state: &State) -> Result<String, Fault> {
    let folder = state.import_log();
    Ok(crate::audit::receipt::paper(&log::read_checkpoint(&folder, &read_vkey(&folder)?)?))
}
