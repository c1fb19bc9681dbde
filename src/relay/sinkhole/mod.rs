//! The DNS sinkhole: answers look-ups of the names in the config, refuses all others without asking
//! anybody, and records those that show something: a digest in the name, a vendor's endpoint. Two
//! kinds of process: the resolver reads look-ups and answers connections; for each UDP address a
//! [`forwarder`] carries packets, and cannot read them.

pub mod answer;
pub mod forwarder;
pub mod zones;

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram as StdDatagram;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixDatagram};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{error, info};

use crate::rights::ProcessRole;
use crate::state::State;
use answer::{Way, answer};
use base::error::IoContext as _;
use base::{Fault, clock};
use config::Config;
use config::dns::Dns;
use guard::Guard;
use sandbox::Grants;
use sandbox::report::SelfTest;
use serve::evidence::Evidence;
use serve::index::Index;
use serve::journal::{Attempt, Journal};
use serve::listener::watch_confinement;
use serve::seats::{SeatHolder, Seats};
use zones::Zones;

/// Time limit for a silent connection, and for an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time limit for a connection.
const LONGEST: Duration = Duration::from_mins(1);
/// Most connections at one time; beyond, one of who has most ends.
const CONNECTIONS: usize = 1024;
/// Most at one time from one address, of IPv6 the network; beyond, the one that was used longest ago ends.
const CONNECTIONS_EACH: usize = 16;
/// Interval at which the list of endpoints is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Sockets on which queries come in.
pub struct QuerySockets {
    /// Our ends of the pairs to the forwarders, each with the UDP address it stands at.
    pub forwarders: Vec<(SocketAddr, OwnedFd)>,
    /// For look-ups by TCP.
    pub listeners: Vec<StdListener>,
}

/// Resolver: the data from which every query is answered.
struct Resolver {
    zones: Zones,
    guard: ArcSwap<Guard>,
    evidence: Evidence,
    dns: Dns,
}

impl Resolver {
    /// The answer to a look-up from there, if there is to be one; records what it shows.
    fn look_up(&self, packet: &[u8], way: Way, from: SocketAddr, listener: SocketAddr) -> Option<Vec<u8>> {
        let looked = answer(packet, way, &self.zones, &self.guard.load());
        if let Some(noted) = looked.noted {
            self.evidence.record(Attempt {
                at: clock::now(),
                count: 1,
                label: noted.label.name,
                submission: noted.label.submission,
                agent: from.ip().to_canonical().to_string(),
                port: from.port(),
                listener: listener.to_string(),
                method: noted.asked,
                host: Some(noted.name).filter(|name| !name.is_empty()),
                bytes_received: packet.len() as u64,
                ..Attempt::default()
            });
        }
        looked.answer
    }
}

/// Confines this process for good, then answers until a stop is asked for (SIGTERM, SIGINT).
pub fn run(
    state: &State,
    config: &Config,
    zones: Zones,
    sockets: QuerySockets,
    proof: Option<SelfTest>,
) -> Result<(), Fault> {
    let failed = |source: io::Error| Fault::Io { operation: "answer look-ups on", path: "the network".into(), source };
    let journal = open_journal(state, config.serve.journal.0)?;
    let confined =
        sandbox::begin(ProcessRole::Sinkhole.rights(), &Grants { state: state.root(), medium: None }, &config.terms())?;
    let guard = Index::guard_of(state.published(), &config.plan(), clock::now()).or_else(|fault| {
        // Answers must not depend on the record: the list that ships does for now.
        error!(fault = %fault, "{fault}; only the list of endpoints that ships with the program is used");
        Guard::shipped()
    })?;
    let resolver = Arc::new(Resolver {
        zones,
        guard: ArcSwap::from_pointee(guard),
        evidence: Evidence::start(journal, proof)?,
        dns: config.dns.clone(),
    });
    follow(Arc::clone(&resolver), state.clone(), config.clone())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let ended = runtime.block_on(async {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate()).map_err(failed)?, signal(SignalKind::interrupt()).map_err(failed)?);
        let (gone, mut lost) = mpsc::channel(1);
        let (mut listeners, mut forwarders) = (Vec::new(), Vec::new());
        for listener in sockets.listeners {
            listener.set_nonblocking(true).map_err(failed)?;
            let address = listener.local_addr().map_err(failed)?;
            listeners.push((address, TcpListener::from_std(listener).map_err(failed)?));
        }
        for (address, fd) in sockets.forwarders {
            let pair = StdDatagram::from(fd);
            pair.set_nonblocking(true).map_err(failed)?;
            forwarders.push((address, UnixDatagram::from_std(pair).map_err(failed)?));
        }
        let held = confined.finish()?;
        info!(role = "sinkhole", "{held}");
        for (address, pair) in forwarders {
            info!(%address, "DNS queries are answered on {address} by UDP");
            let (resolver, gone) = (Arc::clone(&resolver), gone.clone());
            tokio::spawn(async move {
                let end = correspond(&resolver, &pair, address).await;
                // Whoever waits for it has stopped, or learns it from another forwarder.
                let _ = gone.try_send(end);
            });
        }
        for (address, listener) in listeners {
            info!(%address, "DNS queries are answered on {address} by TCP");
            tokio::spawn(accept(Arc::clone(&resolver), listener, address));
        }
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
            fault = watch_confinement(held.filter.is_some()) => Err(fault),
            Some(end) = lost.recv() => Err(failed(end)),
        }
    });
    resolver.evidence.flush();
    ended
}

/// Opens the sinkhole's journal. Only who owns the state can make it, where an earlier version did not.
fn open_journal(state: &State, most: u64) -> Result<Journal, Fault> {
    // Where it cannot be made, it cannot be opened either.
    let _ = state.make_sinkhole_journal();
    Journal::open(&state.sinkhole_journal(), most).map_err(|fault| match fault {
        Fault::Io { path, source, .. } if source.kind() == io::ErrorKind::PermissionDenied => Fault::usage(
            format!("the sinkhole cannot append to its journal {}: {source}", path.display()),
            "Install the units and gaprelay.tmpfiles.conf of this version (`gaprelay deployment DIR`), then run `gaprelay settle` and systemd-tmpfiles --create: server and sinkhole have a journal each.",
        ),
        fault => fault,
    })
}

/// Answers what a UDP forwarder brings, in its order; returns why that ended.
async fn correspond(resolver: &Resolver, pair: &UnixDatagram, address: SocketAddr) -> io::Error {
    let mut message = vec![0; forwarder::LARGEST + 64];
    loop {
        let length = match pair.recv(&mut message).await {
            Ok(0) => {
                let what = format!("the UDP forwarder for {address} ended");
                return io::Error::new(io::ErrorKind::UnexpectedEof, what);
            }
            Ok(length) => length,
            Err(e) => return e,
        };
        let Some(query) = forwarder::open(message.get(..length).unwrap_or_default()) else {
            let what = format!("the UDP forwarder for {address} sent a message that cannot be read");
            return io::Error::new(io::ErrorKind::InvalidData, what);
        };
        let looked = resolver.look_up(query.packet, Way::Udp, query.from, address);
        let Some(packet) = looked.filter(|_| query.ticket != 0) else { continue };
        if let Err(e) = pair.send(&[query.ticket.to_be_bytes().as_slice(), &packet].concat()).await {
            return e;
        }
    }
}

async fn accept(resolver: Arc<Resolver>, listener: TcpListener, address: SocketAddr) {
    let seats = Seats::new(CONNECTIONS);
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // No connection here is at work for long: a seat can always be given up, and who lost one will ask again.
        let Some(seat) = seats.take(SeatHolder::at(from.ip()), CONNECTIONS_EACH) else { continue };
        let resolver = Arc::clone(&resolver);
        tokio::spawn(async move {
            // A connection that breaks off has nothing to tell.
            let conversation = Box::pin(converse(&resolver, stream, from, address));
            seat.hold(async { _ = tokio::time::timeout(LONGEST, conversation).await }).await;
        });
    }
}

/// Look-ups with their lengths before them (RFC 1035, section 4.2.2).
async fn converse(resolver: &Resolver, mut stream: TcpStream, from: SocketAddr, address: SocketAddr) -> io::Result<()> {
    let mut packet = Vec::new();
    loop {
        let read = async {
            let length = stream.read_u16().await?;
            packet.resize(usize::from(length), 0);
            stream.read_exact(&mut packet).await
        };
        tokio::time::timeout(PATIENCE, read).await??;
        let Some(answer) = resolver.look_up(&packet, Way::Tcp, from, address) else { return Ok(()) };
        if !resolver.dns.is_agent(from.ip()) {
            return Ok(());
        }
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        let whole = [length.to_be_bytes().as_slice(), &answer].concat();
        tokio::time::timeout(PATIENCE, stream.write_all(&whole)).await??;
    }
}

/// Takes over a new list of endpoints soon after it was published.
fn follow(resolver: Arc<Resolver>, state: State, config: Config) -> Result<(), Fault> {
    let Some(channel) = config.serve.endpoints.as_ref().and_then(|path| Some(path.split_once('/')?.0.to_owned()))
    else {
        return Ok(());
    };
    let run = move || {
        let mut known = None;
        loop {
            std::thread::sleep(LOOK);
            let current = state.current(&channel).ok().flatten();
            if current.is_none() || current == known {
                continue;
            }
            // Else the former list does, until this one can be read.
            if let Ok(guard) = Index::guard_of(state.published(), &config.plan(), clock::now()) {
                resolver.guard.store(Arc::new(guard));
                known = current;
            }
        }
    };
    let started = std::thread::Builder::new().name("follow".into()).spawn(run);
    started.map(drop).during("start", Path::new("a thread"))
}
