//! `gaprelay serve`: serves published content to agents.

use std::net::{SocketAddr, TcpListener};

use rustix::process::Signal;

use super::args::Serve;
use super::{selftest, verify};
use crate::processes::sockets::Sockets;
use crate::rights::ProcessRole;
use crate::state::{State, progress};
use base::error::IoContext as _;
use base::{Error, Fault};
use config::Config;
use sandbox::Grants;
use sandbox::worker::end_with;
use serve::tls::Tls;
use serve::{Listeners, ServerResources, StepProgress, serve};
use terminal::Ended;

/// Listens and serves until the process is stopped.
pub(crate) fn run(state: &State, args: &Serve, sockets: Sockets) -> Result<Ended, Error> {
    if let Some(supervisor) = args.supervised {
        // A server must not outlive its supervisor, however that ends.
        end_with(supervisor, Signal::KILL)?;
    }
    let config = state.config()?;
    let log_key = args.log_key.as_deref().map(verify::read_key).transpose()?;
    // If the isolation self-test does not pass, nothing is served.
    let proof = selftest::before(state.root(), &[ProcessRole::Server], &config)?;
    let tls = Tls::load(&state.tls(), &config.serve)?;
    let all = |addresses: &[SocketAddr]| addresses.iter().map(bind).collect::<Result<Vec<_>, _>>();
    let (agents, tripwires) = if sockets.is_empty() {
        (all(&addresses(&config, args))?, all(&config.serve.tripwires)?)
    } else {
        sockets.listeners()?
    };
    let listeners = Listeners { agents, tripwires };
    // Opened from inside, so that the permissions of the folders above do not matter.
    std::env::set_current_dir(state.root()).during("enter", state.root())?;
    let inside = State::open(std::path::Path::new("."))?;
    if let Some(key) = log_key {
        inside.published().expect_log_key(key)?;
    }
    let (journal, shown) = (inside.access_journal(), inside.clone());
    let import = Box::new(move |now| {
        let running = progress::read(&shown).ok().flatten().filter(|progress| progress.is_running(now))?;
        Some(StepProgress { done: running.bytes, all: running.total })
    });
    let confine = || {
        let grants = Grants { state: inside.root(), medium: None };
        sandbox::begin(ProcessRole::Server.rights(), &grants, &config.terms())
    };
    let given = ServerResources { listeners, tls, proof, import };
    serve(inside.published(), &config.plan(), &journal, given, confine)?;
    Ok(Ended::Well)
}

/// Checks that the server could listen on its addresses now.
pub(super) fn check_addresses(config: &Config, args: &Serve) -> Result<(), Fault> {
    let all = [addresses(config, args), config.serve.tripwires.clone()].concat();
    all.iter().map(bind).collect::<Result<Vec<_>, _>>().map(drop)
}

fn addresses(config: &Config, args: &Serve) -> Vec<SocketAddr> {
    if args.listen.is_empty() { config.serve.listen.clone() } else { args.listen.clone() }
}

fn bind(address: &SocketAddr) -> Result<TcpListener, Fault> {
    TcpListener::bind(address).during("listen on", std::path::Path::new(&address.to_string()))
}
