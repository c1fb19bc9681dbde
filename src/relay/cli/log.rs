//! `gaprelay log show`, `prove` and `receipt`.

use std::path::{Path, PathBuf};

use super::args_log::{LogProve, LogRebuild, LogReceipt, LogShow, WhichLog};
use super::{json, receipt as paper};
use crate::log::Entry;
use crate::log::reading::each_from;
use crate::log::search::first_since;
use crate::report;
use crate::report::receipts::of_import;
use crate::state::{State, Trust};
use base::quoted::{printable, quoted_os};
use base::{Error, Fault, Reason};
use terminal::Ended;
use tlog::check::read_vkey;
use tlog::compare::{growth, receipt as prove_entry};
use tlog::stored::read_checkpoint;

/// Folder of a log.
pub(crate) fn folder(state: &State, log: WhichLog) -> PathBuf {
    match log {
        WhichLog::Import => state.import_log(),
        WhichLog::Access => state.access_log(),
    }
}

/// Prints entries. They are read under the signed head; `log verify` proves them.
pub(crate) fn show(state: &State, args: &LogShow) -> Result<Ended, Error> {
    let folder = folder(state, args.log);
    let vkey = read_vkey(&folder)?;
    let size = read_checkpoint(&folder, &vkey)?.size;
    let first = match (args.since, args.last) {
        (Some(time), _) => first_since(&folder, size, time)?,
        (None, Some(last)) => size.saturating_sub(last),
        (None, None) => 0,
    };
    let mut any = false;
    each_from(&folder, &vkey, first, |number, entry| {
        print(number, entry, args.json);
        any = true;
    })?;
    if !any {
        terminal::note(if size == 0 { "the log has no entries yet" } else { "no entry of the log matches" });
    }
    Ok(Ended::Well)
}

fn print(number: u64, entry: Entry, as_json: bool) {
    if as_json {
        terminal::say(serde_json::to_string(&json::LogLine { number, entry }).unwrap_or_default());
    } else {
        terminal::say(line(number, &entry));
    }
}

/// Entry as a line of text.
pub(crate) fn line(number: u64, entry: &Entry) -> String {
    format!("{number:>6}  {}  {}", entry.time, printable(&report::event_text(&entry.event)))
}

/// Makes the stored hashes of the logs anew from their entries, and the files of officers' statements.
pub(crate) fn rebuild(state: &State, args: &LogRebuild) -> Result<Ended, Error> {
    let _lock = state.lock(super::wait)?;
    let wanted = |which: &WhichLog| args.log.is_none_or(|log| log == *which);
    let mut outcome = Ok(Ended::Well);
    for which in [WhichLog::Import, WhichLog::Access].into_iter().filter(wanted) {
        // A log that cannot be mended does not keep the other one from it.
        let statements = |()| if which == WhichLog::Import { rebuild_statements(state) } else { Ok(()) };
        if let Err(fault) = rebuild_one(&folder(state, which)).and_then(statements)
            && let Err(former) = std::mem::replace(&mut outcome, Err(Error::from(fault)))
        {
            terminal::note(former);
        }
    }
    outcome
}

fn rebuild_statements(state: &State) -> Result<(), Fault> {
    for id in state.rebuild_statements(&Trust::load(state)?)? {
        terminal::say(format_args!("made anew: the statements on release {id}"));
    }
    Ok(())
}

fn rebuild_one(folder: &Path) -> Result<(), Fault> {
    let vkey = read_vkey(folder)?;
    let rebuilt = tlog::rebuild::rebuild(folder, &vkey)?;
    let origin = vkey.name();
    for path in &rebuilt.written {
        terminal::say(format_args!("{origin}: made anew: {}", path.display()));
    }
    for path in &rebuilt.removed {
        terminal::say(format_args!("{origin}: removed: {}", quoted_os(path)));
    }
    let (count, size) = (rebuilt.written.len() + rebuilt.removed.len(), rebuilt.size);
    let done = if count == 0 { "nothing had to be made anew".to_owned() } else { format!("{count} files mended") };
    terminal::say(format_args!("{origin}: {size} entries, all as in the signed head; {done}"));
    Ok(())
}

/// Prints a proof that other people can check without this relay.
pub(crate) fn prove(state: &State, args: &LogProve) -> Result<Ended, Error> {
    let folder = folder(state, args.log);
    let vkey = read_vkey(&folder)?;
    let proof = match (args.entry, args.grown_from) {
        (Some(entry), _) => prove_entry(&folder, &vkey, entry)?.map(|receipt| receipt.to_text()),
        (None, old) => growth(&folder, &vkey, old.unwrap_or_default())?.map(|growth| growth.to_text()),
    };
    let wanted = args.entry.or(args.grown_from).unwrap_or_default();
    let Some(proof) = proof else {
        let size = read_checkpoint(&folder, &vkey)?.size;
        let wrong = match (args.entry, size.checked_sub(1)) {
            (Some(_), Some(last)) => format!("the log has no entry {wanted}: its entries are numbered 0 to {last}"),
            (Some(_), None) => format!("the log has no entry {wanted}: it is empty"),
            (None, _) => format!("the log never had {wanted} entries: it has {size} now"),
        };
        let next = "See the numbers of the newest entries: gaprelay log show --last 20. If the log was longer before, compare it with a kept receipt: gaprelay log verify --against FILE";
        return Err(Fault::usage(wrong, next).into());
    };
    terminal::say(proof.trim_end());
    Ok(Ended::Well)
}

/// Prints the receipt of the import of a release, or of the log as it is now.
pub(crate) fn receipt(state: &State, args: &LogReceipt) -> Result<Ended, Error> {
    let Some(id) = &args.release else {
        let folder = state.import_log();
        paper::show(&read_checkpoint(&folder, &read_vkey(&folder)?)?);
        return Ok(Ended::Well);
    };
    let Some(receipt) = of_import(state, id)? else {
        return Err(Error::refused(
            Reason::StatementUnknownRelease,
            format!("this relay has never imported a release {id}"),
        ));
    };
    terminal::say(receipt.to_text().trim_end());
    Ok(Ended::Well)
}
