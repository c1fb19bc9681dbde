//! `gaprelay serve`.

use std::net::{SocketAddr, TcpListener};

use rustix::process::Signal;

use super::args::Serve;
use super::sockets::Sockets;
use super::{Ended, selftest, tui};
use crate::base::error::IoContext as _;
use crate::base::{Error, Fault};
use crate::config::Config;
use crate::sandbox::Role;
use crate::sandbox::worker::end_with;
use crate::serve::tls::Tls;
use crate::serve::{Listeners, serve};
use crate::store::State;

/// Listens and serves until told to stop.
pub fn run(state: &State, args: &Serve, sockets: Sockets) -> Result<Ended, Error> {
    if let Some(supervisor) = args.supervised {
        // A server must not outlive its supervisor, however that ends.
        end_with(supervisor, Signal::TERM)?;
    }
    let config = state.config()?;
    // A cage that does not hold is no cage: then nothing is served.
    let proof = selftest::before(state.root(), &[Role::Server], &config)?;
    let tls = Tls::load(state, &config.serve)?;
    let all = |addresses: &[SocketAddr]| addresses.iter().map(bind).collect::<Result<Vec<_>, _>>();
    let (agents, tripwires) = if sockets.is_empty() {
        (all(&addresses(&config, args))?, all(&config.serve.tripwires)?)
    } else {
        sockets.listeners()?
    };
    let listeners = Listeners { agents, tripwires };
    // From inside, whatever the folders above allow to the server's user.
    std::env::set_current_dir(state.root()).during("enter", state.root())?;
    let inside = State::open(std::path::Path::new("."))?;
    serve(&inside, &config, listeners, tls.as_ref(), proof, &mut |told| tui::note(told))?;
    Ok(Ended::Well)
}

fn addresses(config: &Config, args: &Serve) -> Vec<SocketAddr> {
    if args.listen.is_empty() { config.serve.listen.clone() } else { args.listen.clone() }
}

fn bind(address: &SocketAddr) -> Result<TcpListener, Fault> {
    TcpListener::bind(address).during("listen on", std::path::Path::new(&address.to_string()))
}
