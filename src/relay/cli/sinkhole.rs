//! `gaprelay sinkhole`: DNS server for the names in the config. This process supervises: it reads nothing from the
//! network, and is not confined. It starts the UDP forwarders and the resolver, which end with it: the kernel lets no
//! confined process end another, not even by its own end.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::Signal;
use tokio::process::Child;

use super::{args, selftest};
use crate::processes::signals::StopSignals;
use crate::processes::sockets::{LookUps, Sockets};
use crate::processes::stderr::StderrRelay;
use crate::rights::ProcessRole;
use crate::sinkhole::zones::Zones;
use crate::sinkhole::{QuerySockets, forwarder, run as answer};
use crate::state::State;
use base::error::IoContext as _;
use base::{Error, Fault};
use config::Config;
use sandbox::worker::{end_with, our_id, ourselves, start_awaited};
use terminal::Ended;
use terminal::diagnostics::LogArgs;
use terminal::relayed::{ServiceLines, Speaker};

/// Answers DNS queries until the process is stopped: as the supervisor, or, with sockets of one, as its resolver.
pub(crate) fn run(state: &State, args: &args::SinkholeArgs, log: LogArgs, sockets: Sockets) -> Result<Ended, Error> {
    if let Some(supervisor) = args.supervised {
        end_with(supervisor, Signal::KILL)?;
    }
    let config = state.config()?;
    if !args.pipes.is_empty() {
        return resolve(state, &config, args, sockets);
    }
    if sockets.is_empty() && config.dns.listen.is_empty() {
        return Err(Fault::Config(
            "the sinkhole has no address: set dns.listen in config.toml, for example dns.listen = [\"10.0.0.5:53\"]"
                .into(),
        )
        .into());
    }
    let look_ups = if sockets.is_empty() { bind_all(&config)? } else { sockets.look_ups()? };
    supervise(state.root(), log, look_ups)
}

/// Starts a UDP forwarder for each UDP socket, and the resolver, and waits for that. A signal to this process stops the
/// resolver in order; the forwarders end after it, however it ended.
fn supervise(root: &Path, log: LogArgs, (packets, listeners): LookUps) -> Result<Ended, Error> {
    let resolver = Path::new("the resolver");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().during("wait for", resolver)?;
    let stderr = StderrRelay::default();
    let ended = runtime.block_on(async {
        let mut signals = StopSignals::listen().during("wait for", resolver)?;
        let (mut forwarders, mut addresses, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for (address, socket) in packets {
            let (forwarder, end) = start_forwarder(root, socket, &stderr)?;
            forwarders.push(forwarder);
            addresses.push(address.to_string());
            ends.push(end);
        }
        ends.extend(listeners.into_iter().map(OwnedFd::from));
        let mut command = ourselves(root);
        command.args(log.to_args()).args(["sinkhole", "--supervised", &our_id()]);
        let mut numbers = Vec::new();
        for end in &ends {
            // No other process is started from here on that would get them too.
            fcntl_setfd(end, FdFlags::empty()).map_err(Into::into).during("pass on", Path::new("a socket"))?;
            numbers.push(end.as_raw_fd().to_string());
        }
        command.args(["--pipes", &numbers.join(",")]);
        if !addresses.is_empty() {
            command.args(["--forwarders", &addresses.join(",")]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        stderr.attach(&mut command, Speaker::Service(Arc::new(ServiceLines::new("sinkhole"))))?;
        let mut child = start_awaited(command)?;
        drop(ends);
        let ended = signals.wait_for(&mut child, "sinkhole").await;
        for forwarder in &mut forwarders {
            // One that cannot be ended now ends with this process.
            let _ = forwarder.kill().await;
        }
        ended
    });
    // All of them are gone, or end with this process; what they said last is shown.
    stderr.finish();
    ended
}

/// Starts a UDP forwarder with the socket; returns it, and the resolver's end of the pair of sockets.
fn start_forwarder(root: &Path, socket: OwnedFd, stderr: &StderrRelay) -> Result<(Child, OwnedFd), Fault> {
    let (end, theirs) = forwarder::pair().during("make", Path::new("a pair of sockets"))?;
    let mut command = ourselves(root);
    command.args(["worker", "post", "--supervisor", &our_id()]).stdin(Stdio::from(socket)).stdout(Stdio::from(theirs));
    stderr.attach(&mut command, Speaker::Worker("UDP forwarder"))?;
    Ok((start_awaited(command)?, end))
}

/// Answers, on the sockets that the supervisor passed: the ends of the pairs to the UDP forwarders, then the listeners.
fn resolve(state: &State, config: &Config, args: &args::SinkholeArgs, sockets: Sockets) -> Result<Ended, Error> {
    let zones = Zones::load(&config.dns, state.root())?;
    let proof = selftest::before(state.root(), &[ProcessRole::Sinkhole, ProcessRole::UdpForwarder], config)?;
    let mut passed = sockets.pipes();
    let listeners = passed.split_off(passed.len().min(args.forwarders.len())).into_iter().map(TcpListener::from);
    let sockets = QuerySockets {
        forwarders: args.forwarders.iter().copied().zip(passed).collect(),
        listeners: listeners.collect(),
    };
    std::env::set_current_dir(state.root()).during("enter", state.root())?;
    let inside = State::open(Path::new("."))?;
    answer(&inside, config, zones, sockets, proof)?;
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
