//! `gaprelay serve`.

use std::net::{SocketAddr, TcpListener};

use super::args::Serve;
use super::{Ended, tui};
use crate::base::error::IoContext as _;
use crate::base::{Error, Fault};
use crate::config::Config;
use crate::serve::serve;
use crate::store::State;

/// Listens and serves until told to stop.
pub fn run(state: &State, args: &Serve) -> Result<Ended, Error> {
    if let Some(supervisor) = args.supervised {
        end_with(supervisor)?;
    }
    let config = state.config()?;
    let listeners = addresses(&config, args).iter().map(bind).collect::<Result<Vec<_>, _>>()?;
    let scheme = if config.serve.tls_key.is_some() { "https" } else { "http" };
    for listener in &listeners {
        // The line that scripts wait for; the port may have been chosen by the system.
        if let Ok(address) = listener.local_addr() {
            tui::note(format_args!("serving on {scheme}://{address}"));
        }
    }
    serve(state, &config, listeners, &mut |told| tui::note(told))?;
    Ok(Ended::Well)
}

/// A server must not outlive its supervisor, however that ends.
fn end_with(supervisor: i32) -> Result<(), Fault> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(|_| Fault::Internal("the supervisor cannot be watched"))?;
    // It may have ended before we asked.
    if getppid().is_none_or(|parent| parent.as_raw_nonzero().get() != supervisor) {
        return Err(Fault::Internal("the supervisor is gone"));
    }
    Ok(())
}

fn addresses(config: &Config, args: &Serve) -> Vec<SocketAddr> {
    if args.listen.is_empty() { config.serve.listen.clone() } else { args.listen.clone() }
}

fn bind(address: &SocketAddr) -> Result<TcpListener, Fault> {
    TcpListener::bind(address).during("listen on", std::path::Path::new(&address.to_string()))
}
