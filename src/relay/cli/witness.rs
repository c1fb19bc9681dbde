//! `gaprelay log witness`: on the relay, requests out and cosigned heads in; on an officer's machine, the memory.

use std::net::TcpListener;
use std::path::Path;

use super::args_log::WitnessCommand;
use super::verify::{read, read_key};
use super::{approve, here};
use crate::rights::ProcessRole;
use crate::settle::{CosignedNote, hand_in_cosigned};
use crate::state::State;
use crate::witness::{No, WitnessState, call};
use base::error::IoContext as _;
use base::{Error, Fault, Reason, Refusal, Timestamp};
use sandbox::{Grants, Terms, begin, enter};
use terminal::Ended;
use tlog::check::read_vkey;
use tlog::compare::growth;
use tlog::cosigned::kept;
use tlog::policy::WitnessPolicy;
use tlog::receipt::Growth;

/// Does what the arguments say.
pub fn run(root: &Path, now: Timestamp, command: &WitnessCommand) -> Result<Ended, Error> {
    match command {
        WitnessCommand::Request { old } => request(&State::open(root)?, *old),
        WitnessCommand::HandIn { file, json } => {
            let note = read(file)?;
            let mut keeper = here(root, now)?;
            hand_in_cosigned(&keeper.state, CosignedNote { at: now, cosigned: note })?;
            approve::settle_now(&mut keeper, *json)
        }
        WitnessCommand::Policy => {
            let state = State::open(root)?;
            terminal::say(policy(&state)?.to_text(&read_vkey(&state.import_log())?.to_text()).trim_end());
            Ok(Ended::Well)
        }
        WitnessCommand::Init { dir, name } => {
            terminal::say(WitnessState::create(dir, name)?.vkey());
            terminal::hint("give this key to the relay's officers: it belongs into witness.policy of config.toml");
            terminal::hint(format_args!(
                "gaprelay log witness know {} --log-key VKEY, for each relay; keep the folder as one",
                dir.display()
            ));
            Ok(Ended::Well)
        }
        WitnessCommand::Know { dir, log_key } => {
            let key = read_key(log_key)?;
            WitnessState::open(dir)?.know(&key)?;
            terminal::say(format_args!("{} is known now", key.name()));
            Ok(Ended::Well)
        }
        WitnessCommand::Sign { dir, request } => sign(dir, &read(request)?, now),
        WitnessCommand::Serve { dir, listen } => {
            let memory = WitnessState::open(dir)?;
            let listener = TcpListener::bind(listen).during("listen on", Path::new(&listen.to_string()))?;
            std::env::set_current_dir(dir).during("enter", dir)?;
            let confined = begin(
                ProcessRole::Witness.rights(),
                &Grants { state: Path::new("."), medium: None },
                &Terms::default(),
            )?;
            call::open(memory.inside(), listener, confined)?;
            Ok(Ended::Well)
        }
        WitnessCommand::Show { dir } => {
            let memory = WitnessState::open(dir)?;
            terminal::say(memory.vkey());
            for (key, head) in memory.logs()? {
                match head {
                    Some(head) => terminal::say(format_args!("{}: {} entries seen", key.name(), head.size)),
                    None => terminal::say(format_args!("{}: nothing signed yet", key.name())),
                }
            }
            Ok(Ended::Well)
        }
    }
}

fn policy(state: &State) -> Result<WitnessPolicy, Fault> {
    let witness = state.config()?.witness;
    witness.map(|witness| witness.policy).ok_or_else(|| {
        Fault::Config("the config names no witness: add [witness] with their policy to config.toml".into())
    })
}

fn request(state: &State, old: Option<u64>) -> Result<Ended, Error> {
    let (folder, policy) = (state.import_log(), policy(state)?);
    let vkey = read_vkey(&folder)?;
    let newest = kept(&folder, &vkey, &policy)?.first().map_or(0, |cosigned| cosigned.head.size);
    let old = old.unwrap_or(newest);
    let Some(growth) = growth(&folder, &vkey, old)? else {
        let wrong = format!("the log has fewer than {old} entries; if a witness saw that many, it was cut or restored");
        return Err(Fault::damaged(folder.to_string_lossy(), wrong).into());
    };
    terminal::say(growth.to_text().trim_end());
    Ok(Ended::Well)
}

/// The form for files: the answer is the whole head with the new signature under it, for the relay and for
/// whoever keeps a copy.
fn sign(dir: &Path, asked: &str, now: Timestamp) -> Result<Ended, Error> {
    let memory = WitnessState::open(dir)?;
    std::env::set_current_dir(dir).during("enter", dir)?;
    enter(ProcessRole::Witness.rights(), &Grants { state: Path::new("."), medium: None }, &Terms::default())?;
    match memory.inside().answer(asked, now)? {
        Ok(line) => {
            let note = Growth::parse(asked).map(|growth| growth.note).unwrap_or_default();
            terminal::say(format_args!("{note}{}", line.trim_end()));
            Ok(Ended::Well)
        }
        Err(no) => Err(refusal(&no).into()),
    }
}

fn refusal(no: &No) -> Refusal {
    let (reason, detail) = match no {
        No::Malformed => (Reason::CosignatureMalformed, "this is not a request of `log witness request`".to_owned()),
        No::UnknownLog => (Reason::WitnessUnknownLog, "this log is not known here".to_owned()),
        No::Unsigned => (Reason::WitnessUnsigned, "the head is not signed by the log's key".to_owned()),
        No::Conflict(size) => {
            (Reason::WitnessConflict, format!("the head signed last has {size} entries: --old {size}"))
        }
        No::Forked(size) => (Reason::WitnessForked, format!("of its {size} entries some are others than those signed")),
        No::Inconsistent => (Reason::WitnessInconsistent, "it did not grow from the head signed last".to_owned()),
    };
    Refusal::new(reason, detail)
}
