//! Command line of the relay: its subcommands, and every line that they print.

pub(crate) mod agents;
pub(crate) mod approve;
pub(crate) mod args;
pub(crate) mod args_import;
pub(crate) mod args_keyring;
pub(crate) mod args_log;
pub(crate) mod args_policy;
pub(crate) mod args_tuf;
pub(crate) mod console;
pub(crate) mod directive;
pub(crate) mod doctor;
pub(crate) mod examples;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod json;
pub(crate) mod keyring;
pub(crate) mod log;
pub(crate) mod maintain;
pub(crate) mod operator;
pub(crate) mod policy;
pub(crate) mod policy_explain;
pub(crate) mod receipt;
pub(crate) mod refusals;
pub(crate) mod repair;
pub(crate) mod review;
pub(crate) mod selftest;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod sinkhole;
pub(crate) mod tuf;
pub(crate) mod verify;
pub(crate) mod witness;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;

use crate::keeper::Keeper;
use crate::processes::attended;
use crate::processes::sockets::{Expected, Sockets};
use crate::processes::worker::{self, Worker};
use crate::publish::Examples;
use crate::rights::ProcessRole;
use crate::state::State;
use args::{Command, RelayArgs};
use args_keyring::RelayKeyringCommand;
use args_log::{LogCommand, WitnessCommand};
use base::error::IoContext as _;
use base::{Error, Fault, Timestamp, clock};
use sandbox::Grants;
use terminal::Ended;
use terminal::help::{Group, overview};

/// Commands, grouped by the people who need them.
pub const GROUPS: &[Group] = &[
    ("Operators", &["import", "status"]),
    ("Officers", &["releases", "show", "approve", "directive", "refusals", "agents", "repair"]),
    (
        "Administrators",
        &[
            "init",
            "check-config",
            "policy",
            "keyring",
            "tuf",
            "doctor",
            "deployment",
            "selftest",
            "fsck",
            "gc",
            "settle",
        ],
    ),
    ("Auditors", &["log"]),
    ("Services", &["up", "serve", "review", "sinkhole"]),
    ("Help", &["help", "explain", "kinds", "completions", "man"]),
];

/// Runs the command line of the relay.
pub fn relay() -> ExitCode {
    if std::env::args_os().len() < 2 {
        terminal::say(overview::<RelayArgs>("gaprelay", GROUPS).trim_end());
        return ExitCode::from(2);
    }
    let relay = RelayArgs::parse();
    terminal::diagnostics::start(relay.log);
    let sockets = Sockets::take(expected(&relay.command)).map_err(Error::from);
    terminal::exit(sockets.and_then(|sockets| run(relay, sockets)))
}

/// The descriptors that a command expects of the process that started it.
fn expected(command: &Command) -> Expected<'_> {
    match command {
        Command::Sinkhole(args) if !args.pipes.is_empty() => Expected::Pipes(&args.pipes),
        Command::Serve(_) | Command::Sinkhole(_) | Command::Review(_) => Expected::Sockets,
        Command::Up(_) => Expected::NoSockets,
        Command::Import(import) if import.keeper.supervised.is_some() => Expected::Pipes(&import.keeper.pipes),
        Command::Worker { worker: Worker::Attempt { .. } } => Expected::Anything,
        _ => Expected::Nothing,
    }
}

fn run(relay: RelayArgs, sockets: Sockets) -> Result<Ended, Error> {
    if let Some(service) = started_by_hand(&relay.command)
        && sockets.is_empty()
        && attended::holds_terminal()
    {
        return attended::attend(service);
    }
    let root = &relay.state;
    let now = clock::now();
    match relay.command {
        Command::Init(init) => maintain::init(root, &init),
        Command::Import(import) => import::run(root, now, &import, sockets),
        Command::Approve(approve) => approve::run(root, now, &approve),
        Command::Settle(settle) => approve::settle(root, &settle),
        Command::Status { json } => show::status(&State::open(root)?, now, json),
        Command::Releases { json } => show::releases(&State::open(root)?, json),
        Command::Show { release, diff, full, json } => {
            let wanted = diff.then_some(if full { Examples::All } else { Examples::Few });
            show::show(&State::open(root)?, &release, wanted, json)
        }
        Command::Policy { command } => policy::run(root, &command),
        Command::Serve(serve) => serve::run(&State::open(root)?, &serve, sockets),
        Command::Review(args) => review::run(&State::open(root)?, &args, sockets),
        Command::Sinkhole(args) => sinkhole::run(&State::open(root)?, &args, relay.log, sockets),
        Command::Up(args) => console::up(root, &args, relay.log),
        Command::Log { command } => match command {
            LogCommand::Show(show) => log::show(&State::open(root)?, &show),
            LogCommand::Verify(verify) => verify::run(root, &verify),
            LogCommand::Rebuild(args) => log::rebuild(&enter_confinement(root)?, &args),
            LogCommand::Prove(prove) => log::prove(&State::open(root)?, &prove),
            LogCommand::Export(export) => export::run(&State::open(root)?, &export),
            LogCommand::Witness { command } => witness::run(root, now, &command),
            LogCommand::Receipt(receipt) => log::receipt(&State::open(root)?, &receipt),
        },
        Command::Agents { json } => agents::run(&State::open(root)?, json),
        Command::Refusals(refusals) => refusals::run(&State::open(root)?, &refusals),
        Command::Selftest(args) => selftest::run(root, now, &args),
        Command::Doctor(args) => doctor::run(&State::open(root)?, &args),
        Command::Deployment { out } => doctor::deployment(&out),
        Command::Keyring { command: RelayKeyringCommand::Show { json } } => keyring::show(&State::open(root)?, json),
        Command::Tuf { command } => tuf::run(root, now, &command),
        Command::Repair(args) => repair::run(root, now, &args),
        Command::Directive { command } => directive::run(root, now, &command),
        Command::CheckConfig { file } => maintain::check_config(root, file.as_deref()),
        Command::Fsck { json } => Ok(maintain::fsck(&State::open(root)?, json)),
        Command::Gc { yes, json } => maintain::gc(&mut here(root, now)?, yes, json),
        Command::Offline(offline) => terminal::offline::run::<RelayArgs>(&offline, "gaprelay", GROUPS),
        Command::Worker { worker } => worker::run(root, &worker),
    }
}

/// Name of the service that this command is, where no supervisor started it. The sinkhole has a supervisor of its own.
fn started_by_hand(command: &Command) -> Option<&'static str> {
    match command {
        Command::Serve(serve) => serve.supervised.is_none().then_some("server"),
        Command::Review(review) => review.supervised.is_none().then_some("review"),
        Command::Settle(settle) => (settle.watch && settle.supervised.is_none()).then_some("keeper"),
        Command::Log { command: LogCommand::Witness { command: WitnessCommand::Serve { supervised, .. } } } => {
            supervised.is_none().then_some("witness")
        }
        _ => None,
    }
}

/// Confines this process as the keeper, for good, and opens the state from inside, so that the permissions of the
/// folders above do not matter.
fn enter_confinement(root: &Path) -> Result<State, Fault> {
    let state = State::open(root)?;
    state.close_locks();
    let terms = state.config()?.terms();
    std::env::set_current_dir(root).during("enter", root)?;
    let inside = Path::new(".");
    sandbox::enter(ProcessRole::Keeper.rights(), &Grants { state: inside, medium: None }, &terms)?;
    State::open(inside)
}

/// Confines this process as the keeper, and opens the state for changes.
fn here(root: &Path, now: Timestamp) -> Result<Keeper, Fault> {
    Keeper::open(enter_confinement(root)?, now, wait)
}

fn wait() {
    terminal::note("another gaprelay process is changing this state folder; waiting until it has finished");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_stands_in_one_group() {
        assert_eq!(terminal::help::ungrouped::<RelayArgs>(GROUPS), Vec::<String>::new());
    }
}
