//! What people type and read: the subcommands, and every line of output.

pub mod approve;
pub mod args;
pub mod import;
pub mod json;
pub mod log;
pub mod maintain;
pub mod offline;
pub mod pack;
pub mod refusals;
pub mod serve;
pub mod show;
pub mod tui;
pub mod up;

use std::process::ExitCode;

use clap::Parser as _;

use crate::base::{Error, Fault, Timestamp, clock};
use crate::keeper::Keeper;
use crate::store::State;
use args::{Command, LogCommand, Relay};

/// How a command ended, short of a fault: what it means for the exit status.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Done.
    Well,
    /// Something was refused: 3.
    Refused,
    /// Something of ours failed: 1.
    Failed,
    /// The log or the store is damaged: 4.
    Damaged,
}

/// The relay's command line.
pub fn relay() -> ExitCode {
    let relay = Relay::parse();
    tui::exit(run(relay))
}

/// The connected side's command line.
pub fn pack() -> ExitCode {
    tui::exit(pack::run(args::Pack::parse()))
}

fn run(relay: Relay) -> Result<Ended, Error> {
    let root = &relay.state;
    let now = clock::now();
    match relay.command {
        Command::Init(init) => maintain::init(root, &init),
        Command::Import(import) => import::run(&mut keeper(root, now)?, &import),
        Command::Approve(approve) => approve::run(root, now, &approve),
        Command::Settle { json } => approve::settle(&mut keeper(root, now)?, json),
        Command::Status { json } => show::status(&State::open(root)?, now, json),
        Command::Releases { json } => show::releases(&State::open(root)?, json),
        Command::Show { release, json } => show::show(&State::open(root)?, &release, json),
        Command::Serve(serve) => serve::run(&State::open(root)?, &serve),
        Command::Up(serve) => up::run(root, &serve),
        Command::Log { command } => match command {
            LogCommand::Show(show) => log::show(&State::open(root)?, &show),
            LogCommand::Verify { log, dir, key, json } => log::verify(root, log, dir.zip(key), json),
        },
        Command::Refusals(refusals) => refusals::run(&State::open(root)?, &refusals),
        Command::Keyring { json } => maintain::keyring(&State::open(root)?, json),
        Command::CheckConfig { file } => maintain::check_config(root, file.as_deref()),
        Command::Fsck { json } => maintain::fsck(&State::open(root)?, json),
        Command::Gc { yes, json } => maintain::gc(&keeper(root, now)?, yes, json),
        Command::Explain { code } => offline::explain(code.as_deref()),
        Command::Completions { shell } => offline::completions::<Relay>(shell, "gaprelay"),
        Command::Man { out } => offline::man::<Relay>(&out),
    }
}

/// The state, open for changes.
fn keeper(root: &std::path::Path, now: Timestamp) -> Result<Keeper, Fault> {
    Keeper::open(State::open(root)?, now, || tui::note("another gaprelay is at work on this state; waiting for it"))
}
