//! `gaprelay sinkhole`: DNS server for the names in the config.

use std::io::PipeReader;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;

use super::{args, selftest};
use crate::processes::sockets::{LookUps, Sockets};
use crate::rights::ProcessRole;
use crate::sinkhole::zones::Zones;
use crate::sinkhole::{QuerySockets, forwarder, run as answer};
use crate::state::State;
use base::error::IoContext as _;
use base::{Error, Fault};
use config::Config;
use sandbox::worker::{end_with, our_id, ourselves, start};
use terminal::Ended;

/// Answers DNS queries until the process is stopped.
pub(crate) fn run(state: &State, args: &args::SinkholeArgs, sockets: Sockets) -> Result<Ended, Error> {
    if let Some(supervisor) = args.supervised {
        end_with(supervisor, Signal::KILL)?;
    }
    let config = state.config()?;
    if sockets.is_empty() && config.dns.listen.is_empty() {
        return Err(Fault::Config(
            "the sinkhole has no address: set dns.listen in config.toml, for example dns.listen = [\"10.0.0.5:53\"]"
                .into(),
        )
        .into());
    }
    let zones = Zones::load(&config.dns, state.root())?;
    let proof = selftest::before(state.root(), &[ProcessRole::Sinkhole, ProcessRole::UdpForwarder], &config)?;
    let (packets, listeners) = if sockets.is_empty() { bind_all(&config)? } else { sockets.look_ups()? };
    let mut sockets = QuerySockets { forwarders: Vec::new(), said: Vec::new(), listeners };
    for (address, socket) in packets {
        let (forwarder, said) = start_forwarder(state.root(), socket)?;
        sockets.forwarders.push((address, forwarder));
        sockets.said.push(said);
    }
    std::env::set_current_dir(state.root()).during("enter", state.root())?;
    let inside = State::open(Path::new("."))?;
    answer(&inside, &config, zones, sockets, proof)?;
    Ok(Ended::Well)
}

/// Checks that the sinkhole could listen on its addresses now.
pub(super) fn check_addresses(config: &Config) -> Result<(), Fault> {
    bind_all(config).map(drop)
}

fn bind_all(config: &Config) -> Result<LookUps, Fault> {
    let (mut packets, mut listeners) = (Vec::new(), Vec::new());
    for address in &config.dns.listen {
        let (socket, listener) = bind(*address.get_ref())?;
        packets.push((listener.local_addr().during("listen on", Path::new("the network"))?, socket));
        listeners.push(listener);
    }
    Ok((packets, listeners))
}

/// Binds UDP and TCP to the same port. A port that the system chose for UDP may be taken for TCP: then it tries again.
#[expect(clippy::disallowed_methods, reason = "the socket of the UDP forwarder, made before the forwarder is confined")]
fn bind(address: SocketAddr) -> Result<(OwnedFd, TcpListener), Fault> {
    let mut tries = if address.port() == 0 { 20 } else { 1 };
    loop {
        let both = UdpSocket::bind(address).and_then(|socket| {
            let listener = TcpListener::bind(socket.local_addr()?)?;
            Ok((socket.into(), listener))
        });
        tries -= 1;
        if both.is_ok() || tries == 0 {
            return both.during("listen on", Path::new(&address.to_string()));
        }
    }
}

/// Starts a UDP forwarder with the socket; returns our end of the pair of sockets, and of the pipe that is its standard
/// error. The forwarder ends with this process.
fn start_forwarder(root: &Path, socket: OwnedFd) -> Result<(OwnedFd, PipeReader), Fault> {
    let (said, says) = std::io::pipe().during("open", Path::new("a pipe for standard error"))?;
    let (ours, theirs) = forwarder::pair().during("make", Path::new("a pair of sockets"))?;
    let mut command = ourselves(root);
    command.args(["worker", "post", "--supervisor", &our_id()]);
    start(command.stdin(Stdio::from(socket)).stdout(Stdio::from(theirs)).stderr(says))?;
    Ok((ours, said))
}
