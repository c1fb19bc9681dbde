//! `gaprelay log witness`: requests and cosigned heads on the relay; the witness itself on the machine of an officer.

use std::net::TcpListener;
use std::path::Path;

use rustix::process::Signal;

use super::args_log::WitnessCommand;
use super::verify::{read, read_key};
use super::{approve, here};
use crate::rights::ProcessRole;
use crate::settle::{CosignedNote, hand_in_cosigned};
use crate::state::State;
use crate::witness::{No, WitnessState, call};
use base::error::IoContext as _;
use base::{Error, Fault, Reason, Refusal, Timestamp};
use sandbox::worker::end_with;
use sandbox::{Grants, Terms, begin, enter};
use terminal::Ended;
use tlog::check::read_vkey;
use tlog::compare::growth;
use tlog::cosigned::kept;
use tlog::policy::WitnessPolicy;
use tlog::receipt::Growth;

/// Runs a subcommand of `log witness`.
pub(crate) fn run(root: &Path, now: Timestamp, command: &WitnessCommand) -> Result<Ended, Error> {
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
            terminal::hint("give this key to the officers of the relay, who add it to witness.policy in config.toml");
            terminal::hint(format_args!(
                "for each relay: gaprelay log witness know {} --log-key VKEY. Never copy or restore a part of this folder: it records what was signed",
                dir.display()
            ));
            Ok(Ended::Well)
        }
        WitnessCommand::Know { dir, log_key } => {
            let key = read_key(log_key)?;
            WitnessState::open(dir)?.know(&key)?;
            terminal::say(format_args!("this witness now accepts requests about {}", key.name()));
            Ok(Ended::Well)
        }
        WitnessCommand::Sign { dir, request } => sign(dir, &read(request)?, now),
        WitnessCommand::Serve { dir, listen, supervised } => {
            if let Some(supervisor) = supervised {
                end_with(*supervisor, Signal::KILL)?;
            }
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
                    Some(head) => terminal::say(format_args!("{}: signed a head of {} entries", key.name(), head.size)),
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
        Fault::Config("config.toml names no witness: add a section [witness] with the policy of your witnesses".into())
    })
}

fn request(state: &State, old: Option<u64>) -> Result<Ended, Error> {
    let (folder, policy) = (state.import_log(), policy(state)?);
    let vkey = read_vkey(&folder)?;
    let newest = kept(&folder, &vkey, &policy)?.first().map_or(0, |cosigned| cosigned.head.size);
    let old = old.unwrap_or(newest);
    let Some(growth) = growth(&folder, &vkey, old)? else {
        let wrong = format!(
            "the log has fewer than {old} entries; if a witness has signed that many, the log was cut, or an old copy was restored"
        );
        return Err(Fault::damaged(folder.to_string_lossy(), wrong).into());
    };
    terminal::say(growth.to_text().trim_end());
    Ok(Ended::Well)
}

/// Signs a request from a file. The answer is the whole head with the new signature below it, for the relay and for
/// people who keep a copy.
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
        No::Malformed => (
            Reason::CosignatureMalformed,
            "the file is not a request that `gaprelay log witness request` printed".to_owned(),
        ),
        No::UnknownLog => (Reason::WitnessUnknownLog, "this witness does not know the log of the request".to_owned()),
        No::Unsigned => {
            (Reason::WitnessUnsigned, "the head in the request is not signed by the key of the log".to_owned())
        }
        No::Conflict(size) => (
            Reason::WitnessConflict,
            format!(
                "the request does not begin at the head that this witness signed last, which has {size} entries: make it with --old {size}"
            ),
        ),
        No::Forked(size) => (
            Reason::WitnessForked,
            format!(
                "the head has {size} entries, as many as the head that this witness signed last, but the entries are not the same"
            ),
        ),
        No::Inconsistent => (
            Reason::WitnessInconsistent,
            "the head does not continue the head that this witness signed last".to_owned(),
        ),
    };
    Refusal::new(reason, detail)
}
