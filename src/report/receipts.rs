//! Receipts of what the import log says.

use crate::audit::check::read_vkey;
use crate::audit::compare::receipt;
use crate::audit::receipt::Receipt;
use crate::audit::search::newest;
use crate::audit::{Event, log};
use crate::base::Fault;
use crate::store::{ReleaseId, State};

/// The proof that a release was imported; none if the log does not say so.
pub fn of_import(state: &State, id: &ReleaseId) -> Result<Option<Receipt>, Fault> {
    let folder = state.import_log();
    let vkey = read_vkey(&folder)?;
    let words = [Event::needle("imported"), format!(r#""feed":"{}""#, id.feed)];
    let found = newest(
        &folder,
        &vkey,
        &words,
        |entry| matches!(&entry.event, Event::Imported { feed, version, .. } if *feed == id.feed && *version == id.version),
    )?;
    found.map_or(Ok(None), |(number, _)| receipt(&folder, &vkey, number))
}

/// The bounded receipt of the import log as it is now.
pub fn bounded(state: &State) -> Result<String, Fault> {
    let folder = state.import_log();
    Ok(crate::audit::receipt::paper(&log::read_checkpoint(&folder, &read_vkey(&folder)?)?))
}
