//! Accepts connections, within the limits, and hands each to its own task.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rustix::net::sockopt::{set_socket_send_buffer_size, set_tcp_nodelay};
use rustls::server::Acceptor;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_rustls::LazyConfigAcceptor;
use tracing::{debug, info};

use super::checked_stream::{AnsweredItems, CheckedStream};
use super::connection::{self, Stop, TimeLimits};
use super::connection_limit::ConnectionPlace;
use super::peer::{Peer, attempt};
use super::request::{LocalNames, is_own};
use super::settings::Settings;
use super::tls::{REFUSED, Tls, client_name};
use super::tripwire::trip;
use super::{Listeners, Server};
use base::{Fault, quoted};
use guard::Label;
use sandbox::{PartlyConfined, probe};

/// Answer to one connection too many: not 429, which makes freshclam sleep.
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 35\r\n\
    Retry-After: 30\r\nConnection: close\r\n\r\nToo many connections, try later on\n";

/// Bytes of an answer that the kernel holds for one connection; it takes twice as much for its own
/// needs. Small enough to stay in the processor's cache between being written and being read, large
/// enough for 10 Gbit/s at 0.2 ms.
const SEND_BUFFER: usize = 128 << 10;

/// Interval between two probes of the confinement.
const PROBE: Duration = Duration::from_mins(1);

/// Serves on `listeners` until SIGTERM or SIGINT, then waits for what is under way.
pub fn run(
    service: &Arc<Server>,
    settings: &Settings,
    tls: Option<&Arc<Tls>>,
    listeners: Listeners,
    confined: PartlyConfined,
) -> Result<(), Fault> {
    let failed = |source| Fault::Io { operation: "serve on", path: "the network".into(), source };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let (stop, stopped) = watch::channel(false);
        let mut entrances = Vec::new();
        let limits = TimeLimits { head: settings.header_timeout.0, stall: settings.stall_timeout.0 };
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate()).map_err(failed)?, signal(SignalKind::interrupt()).map_err(failed)?);
        let Listeners { agents, tripwires } = listeners;
        let kinds = agents.into_iter().map(|l| (l, false)).chain(tripwires.into_iter().map(|l| (l, true)));
        for (listener, tripwire) in kinds {
            listener.set_nonblocking(true).map_err(failed)?;
            // What is accepted has the listener's options: small answers leave at once, and a slow
            // reader holds little of the kernel's memory.
            set_tcp_nodelay(&listener, true).map_err(|e| failed(e.into()))?;
            set_socket_send_buffer_size(&listener, SEND_BUFFER).map_err(|e| failed(e.into()))?;
            let listener = TcpListener::from_std(listener).map_err(failed)?;
            let entrance = ListenerContext {
                service: Arc::clone(service),
                tls: tls.cloned().filter(|_| !tripwire),
                tripwire,
                limits,
                stop: stopped.clone(),
            };
            entrances.push((listener, entrance));
        }
        // All that needs a socket or a descriptor of its own is there; from here on none is made.
        let held = confined.finish()?;
        info!(role = "server", "{held}");
        for (listener, entrance) in entrances {
            // The line that scripts wait for; the port may have been chosen by the system.
            let address = listener.local_addr().map_err(failed)?;
            match (entrance.tripwire, entrance.tls.is_some()) {
                (true, _) => info!(%address, "tripwire on {address}"),
                (false, true) => info!(%address, tls = true, "serving on https://{address}"),
                (false, false) => info!(%address, tls = false, "serving on http://{address}"),
            }
            tokio::spawn(accept(listener, entrance));
        }
        tokio::select! {
            _ = terminate.recv() => {},
            _ = interrupt.recv() => {},
            fault = watch_confinement(held.filter.is_some()) => return Err(fault),
        }
        info!("stopping: no new connections; downloads under way may finish");
        // Receivers live in the tasks; if none is left there is nothing to stop.
        let _ = stop.send(true);
        let end = tokio::time::Instant::now() + settings.grace.0;
        while service.limit.open() > 0 && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    })
}

/// Probes the confinement again and again; ends with the fault if it no longer holds.
pub async fn watch_confinement(filtered: bool) -> Fault {
    let mut timer = tokio::time::interval(PROBE);
    loop {
        timer.tick().await;
        // A site that does without the filter has said so, and why.
        if let Some(fault) = filtered.then(probe).and_then(Result::err) {
            return fault;
        }
    }
}

#[derive(Clone)]
struct ListenerContext {
    service: Arc<Server>,
    tls: Option<Arc<Tls>>,
    tripwire: bool,
    limits: TimeLimits,
    stop: watch::Receiver<bool>,
}

async fn accept(listener: TcpListener, mut entrance: ListenerContext) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = entrance.stop.changed() => return,
        };
        let Ok((stream, agent)) = accepted else {
            // Out of descriptors, say: what is open ends sooner or later.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        entrance.service.counts.connections.fetch_add(1, Relaxed);
        let Some(permit) = entrance.service.limit.admit(agent.ip()) else {
            entrance.service.counts.turned_away.fetch_add(1, Relaxed);
            debug!(agent = %agent.ip(), "a connection from {} was closed: too many connections are open", agent.ip());
            turn_away(stream, entrance.tls.is_some() || entrance.tripwire);
            continue;
        };
        if permit.has_ended_other {
            entrance.service.counts.turned_away.fetch_add(1, Relaxed);
            debug!(agent = %agent.ip(), "{} got the place of an agent with more: too many connections are open", agent.ip());
        }
        let entrance = entrance.clone();
        tokio::spawn(async move {
            let place = Arc::clone(&permit.place);
            if entrance.tripwire {
                let names = Arc::clone(&entrance.service.names);
                Box::pin(trip(entrance.service, stream, agent, names, &place)).await;
            } else {
                greet(stream, agent, entrance, place).await;
            }
            drop(permit);
        });
    }
}

/// Answers that there are too many connections, without waiting for anything.
fn turn_away(mut stream: TcpStream, tls: bool) {
    if !tls {
        tokio::spawn(async move {
            let _ = tokio::time::timeout(Duration::from_secs(1), stream.write_all(BUSY)).await;
        });
    }
}

/// Speaks TLS if the listener does, and hands the stream on.
async fn greet(stream: TcpStream, agent: SocketAddr, entrance: ListenerContext, place: Arc<ConnectionPlace>) {
    let Ok(listener) = stream.local_addr() else { return };
    let peer = Peer { agent, listener, sni: None, certificate: None };
    let answered = AnsweredItems::new();
    let stream = CheckedStream::new(stream, Arc::clone(&answered));
    let ListenerContext { service, tls, limits, stop, .. } = entrance;
    match tls {
        None => {
            let stop = Stop { server: stop, accepted: None, place };
            connection::run(service, stream, (peer, answered), limits, stop).await;
        }
        // Boxed: the larger half would make every plain connection as large.
        Some(tls) => {
            let stop = Stop { server: stop, accepted: None, place };
            Box::pin(greet_tls(service, stream, (peer, answered), tls, limits, stop)).await;
        }
    }
}

/// Result of work that is done in time, and before another connection gets this one's place.
async fn in_time<T>(limit: Duration, place: &ConnectionPlace, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = tokio::time::timeout(limit, work) => done.ok(),
        () = place.lost() => None,
    }
}

async fn greet_tls(
    service: Arc<Server>,
    stream: CheckedStream<TcpStream>,
    (mut peer, answered): (Peer, Arc<AnsweredItems>),
    tls: Arc<Tls>,
    limits: TimeLimits,
    mut stop: Stop,
) {
    let agent = peer.agent;
    let hello = in_time(limits.head, &stop.place, LazyConfigAcceptor::new(Acceptor::default(), stream)).await;
    let start = match hello {
        Some(Ok(start)) => start,
        Some(Err(_)) => {
            let label = Label::new("not-tls", false);
            return service.evidence.record(attempt(&peer, &label, "", "", &hyper::HeaderMap::new(), 0));
        }
        None => {
            debug!(agent = %agent.ip(), "a connection from {} was closed: no TLS greeting came in time", agent.ip());
            return;
        }
    };
    // The name is recorded here, where it is all that will ever be seen of a client that aborts on
    // our certificate.
    peer.sni = start.client_hello().server_name().map(|name| quoted(name).to_string());
    let place = LocalNames { names: Arc::clone(&service.names), local: peer.listener.ip() };
    if let Some(foreign) = peer.sni.clone().filter(|name| !is_own(name, &place)) {
        let label = service.index.load().guard.host(&foreign).unwrap_or_else(|| Label::new("foreign-name", false));
        service.counts.refused.fetch_add(1, Relaxed);
        return service.evidence.record(attempt(&peer, &label, "", "", &hyper::HeaderMap::new(), 0));
    }
    let (config, changes) = tls.accept();
    let handshake = in_time(limits.head, &stop.place, start.into_stream(config));
    let (handshake, refused) = REFUSED
        .scope(RefCell::default(), async {
            let handshake = handshake.await;
            (handshake, REFUSED.with(RefCell::take))
        })
        .await;
    let Some(Ok(stream)) = handshake else {
        if refused.is_some() {
            peer.certificate = refused;
            service.counts.refused.fetch_add(1, Relaxed);
            let label = Label::new("certificate-refused", false);
            service.evidence.record(attempt(&peer, &label, "", "", &hyper::HeaderMap::new(), 0));
        }
        debug!(agent = %agent.ip(), "a connection from {} was closed: its TLS handshake failed", agent.ip());
        return;
    };
    peer.certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).map(client_name);
    stop.accepted = Some(changes);
    Box::pin(connection::run(service, stream, (peer, answered), limits, stop)).await;
}
