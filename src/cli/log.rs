//! `gaprelay log show` and `verify`.

use std::path::{Path, PathBuf};

use data_encoding::BASE64;

use super::args::{LogShow, WhichLog};
use super::{Ended, json, tui};
use crate::audit::Entry;
use crate::audit::check::{Finding, check, read_vkey};
use crate::audit::log;
use crate::audit::note::Verifier;
use crate::base::quoted::printable;
use crate::base::{Error, Fault};
use crate::report;
use crate::store::State;

/// Prints entries. They are read under the signed head; `verify` proves them.
pub fn show(state: &State, args: &LogShow) -> Result<Ended, Error> {
    let folder = match args.log {
        WhichLog::Import => state.import_log(),
        WhichLog::Access => state.access_log(),
    };
    let mut any = false;
    log::each(&folder, &read_vkey(&folder)?, args.last, |number, entry| {
        print(number, entry, args.json);
        any = true;
    })?;
    if !any {
        tui::note("the log has no entry yet");
    }
    Ok(Ended::Well)
}

fn print(number: u64, entry: Entry, as_json: bool) {
    if as_json {
        tui::say(serde_json::to_string(&json::LogLine { number, entry }).unwrap_or_default());
    } else {
        tui::say(format_args!("{number:>6}  {}  {}", entry.time, printable(&report::words(&entry.event))));
    }
}

/// Checks logs from their bytes alone: the state's, or a copy against a key from elsewhere.
pub fn verify(
    root: &Path,
    which: Option<WhichLog>,
    copy: Option<(PathBuf, String)>,
    as_json: bool,
) -> Result<Ended, Error> {
    let mut logs: Vec<(PathBuf, Verifier)> = Vec::new();
    if let Some((folder, key)) = copy {
        let key =
            Verifier::parse(&key).ok_or_else(|| Fault::Config("the key is not of the form name+hash+base64".into()))?;
        logs.push((folder, key));
    } else {
        let state = State::open(root)?;
        for (name, folder) in [(WhichLog::Import, state.import_log()), (WhichLog::Access, state.access_log())] {
            if which.is_none_or(|which| which == name) {
                let vkey = read_vkey(&folder)?;
                logs.push((folder, vkey));
            }
        }
    }
    let mut ended = Ended::Well;
    let mut found = Vec::new();
    for (folder, vkey) in logs {
        let finding = check(&folder, &vkey, |_, _| {})?;
        let log = folder.to_string_lossy().into_owned();
        let mut verified = json::Verified {
            log,
            origin: vkey.name().to_owned(),
            whole: true,
            size: None,
            root: None,
            bad_entry: None,
            detail: None,
        };
        match finding {
            Finding::Whole { size, root } => {
                verified.size = Some(size);
                verified.root = Some(BASE64.encode(&root));
            }
            Finding::Bad { entry, detail } => {
                ended = Ended::Damaged;
                verified.whole = false;
                verified.bad_entry = entry;
                verified.detail = Some(detail);
            }
        }
        if !as_json {
            tell(&verified);
        }
        found.push(verified);
    }
    if as_json {
        tui::say_json(&found);
    }
    Ok(ended)
}

fn tell(verified: &json::Verified) {
    if let (Some(size), Some(root)) = (verified.size, &verified.root) {
        tui::say(format_args!("{}: {size} entries, all as the signed head promises; root {root}", verified.origin));
    } else {
        let entry = verified.bad_entry.map_or(String::new(), |entry| format!("entry {entry}: "));
        tui::note(format_args!(
            "{}: DAMAGED: {entry}{}",
            verified.origin,
            verified.detail.as_deref().unwrap_or_default()
        ));
        tui::hint("keep this machine as it is, and compare with a copy of the log or a kept checkpoint");
    }
}
