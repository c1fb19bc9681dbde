//! Full-screen form of `gaprelay import` without a path, and of `gaprelay up --kiosk`.

use std::io::IsTerminal as _;
use std::path::Path;

use rustix::process::Signal;

use super::args::{Import, Up};
use crate::console::{Done, run as show};
use crate::processes::up::Supervisor;
use crate::state::State;
use base::{Error, Fault};
use config::Config;
use sandbox::worker::end_with;
use terminal::Ended;
use terminal::diagnostics::LogArgs;

/// Asks for the medium on the terminal. Fault: the process has no terminal.
pub(crate) fn import(root: &Path, args: &Import, operator: &str) -> Result<Ended, Error> {
    if args.json || !is_at_terminal() {
        let wrong = if args.json {
            "the command names no PATH, and with --json the relay does not ask for one"
        } else {
            "the command names no PATH, and without a terminal the relay cannot ask for one"
        };
        return Err(
            Fault::usage(wrong, "Name the folder where the medium is mounted: gaprelay import /media/stick").into()
        );
    }
    let state = State::open(root)?;
    let last = show(&state, &state.config()?, operator.to_owned(), None)?;
    Ok(last.map_or(Ended::Well, |done| print_last(&done)))
}

/// Runs all of the relay's services until SIGTERM or SIGINT, or as long as the screen of a kiosk is there.
pub(crate) fn up(root: &Path, args: &Up, log: LogArgs) -> Result<Ended, Error> {
    if let Some(console) = args.serve.supervised {
        end_with(console, Signal::TERM)?;
    }
    // A damaged state or config is a fault here, and not that of a server which is started again and again.
    let config = State::open(root)?.config()?;
    if args.kiosk {
        return kiosk(root, &config, args, log);
    }
    let server = args.serve.to_args();
    Supervisor { root, log, server: &server, selftest_every: args.prove.0 }.run(&config, || {
        super::serve::check_addresses(&config, &args.serve)?;
        super::sinkhole::check_addresses(&config)?;
        super::review::check_addresses(root, &config)
    })
}

/// Keeps the relay running under the screen.
fn kiosk(root: &Path, config: &Config, args: &Up, log: LogArgs) -> Result<Ended, Error> {
    if !is_at_terminal() {
        let wrong = "the console of --kiosk needs a terminal, and this process has none";
        let next = "Start it on a terminal; or run the relay without the console: gaprelay up";
        return Err(Fault::usage(wrong, next).into());
    }
    let mut up = vec!["--prove".to_owned(), String::from(args.prove)];
    up.extend(args.serve.to_args());
    up.extend(log.to_args());
    show(&State::open(root)?, config, String::new(), Some(up))?;
    Ok(Ended::Well)
}

fn is_at_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Prints the last receipt, which stays on the terminal after the screen is gone.
fn print_last(done: &Done) -> Ended {
    if let Some(outcome) = &done.outcome {
        terminal::say(outcome.receipt.trim_end());
    }
    done.said.iter().for_each(terminal::note);
    done.code.and_then(|code| u8::try_from(code).ok()).map_or(Ended::Failed, Ended::As)
}
