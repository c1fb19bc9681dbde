//! Accepts connections, within the limits, and hands each to its own task.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rustix::net::sockopt::{set_socket_send_buffer_size, set_tcp_nodelay};
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};
use tracing::{debug, info};

use super::checked_stream::{AnsweredItems, CheckedStream};
use super::connection::{self, Stop, TimeLimits};
use super::first_bytes::{FirstBytesTap, Watched};
use super::peer::{Peer, attempt};
use super::recognition::{Ending, UnansweredRecorder};
use super::request::{LocalNames, is_own};
use super::seats::{Seat, SeatHolder};
use super::settings::Settings;
use super::tls::{SHOWN, Tls, client_name};
use super::unserved::{self, listen_on};
use super::{Listeners, Server};
use base::{Fault, quoted};
use guard::Label;
use sandbox::{PartlyConfined, probe};

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
        while service.seats.count() > 0 && tokio::time::Instant::now() < end {
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
        admit(stream, agent, entrance.clone());
    }
}

/// Serves a connection on a seat of its agent; where none is free, or nothing is served, what comes is recorded.
fn admit(stream: TcpStream, agent: SocketAddr, entrance: ListenerContext) {
    let (service, holder) = (Arc::clone(&entrance.service), SeatHolder::at(agent.ip()));
    let (is_tls, is_tripwire) = (entrance.tls.is_some(), entrance.tripwire);
    let seat = if is_tripwire { None } else { service.seats.take(holder.clone(), service.seats_each) };
    if let Some(seat) = seat.map(Arc::new) {
        // Boxed: held beside the wait for the seat's end, it would take its room twice.
        let work = Box::pin(greet(stream, agent, entrance, Arc::clone(&seat)));
        tokio::spawn(async move { seat.hold(work).await });
        return;
    }
    let ending = if is_tripwire { Ending::Tripwire } else { Ending::TurnedAway };
    if ending == Ending::TurnedAway {
        service.counts.turned_away.fetch_add(1, Relaxed);
        debug!(agent = %agent.ip(), "a connection from {} was turned away: too many are open", agent.ip());
    }
    // None of these seats is ever at work: one can always be given up.
    let Some(seat) = service.unserved.take(holder, unserved::SEATS_EACH) else { return };
    let work = Box::pin(unserved::run(service, stream, agent, (ending, is_tls)));
    tokio::spawn(async move { seat.hold(work).await });
}

/// Speaks TLS if the listener does, and hands the stream on.
async fn greet(stream: TcpStream, agent: SocketAddr, entrance: ListenerContext, seat: Arc<Seat<SeatHolder>>) {
    let Ok(listener) = stream.local_addr() else { return };
    let peer = Peer { agent, listener, sni: None, certificate: None, claimed: None };
    let answered = AnsweredItems::new();
    let stream = CheckedStream::new(stream, Arc::clone(&answered));
    let ListenerContext { service, tls, limits, stop, .. } = entrance;
    match tls {
        None => {
            let stop = Stop { server: stop, accepted: None };
            connection::run(service, stream, (peer, answered), limits, stop, &seat.usage).await;
        }
        // Boxed: the larger half would make every plain connection as large.
        Some(tls) => Box::pin(greet_tls(service, stream, (peer, answered), tls, (limits, stop), &seat)).await,
    }
}

async fn greet_tls(
    service: Arc<Server>,
    stream: CheckedStream<TcpStream>,
    (mut peer, answered): (Peer, Arc<AnsweredItems>),
    tls: Arc<Tls>,
    (limits, stop): (TimeLimits, watch::Receiver<bool>),
    seat: &Seat<SeatHolder>,
) {
    let agent = peer.agent;
    let watched = Arc::new(Watched::begin(Arc::clone(&seat.usage)));
    let stream = FirstBytesTap::taking_all(stream, Arc::clone(&watched));
    let recorder = UnansweredRecorder {
        service: &service,
        peer: &peer,
        watched: &watched,
        ending: Ending::Unanswered,
        is_tls: true,
    };
    let Some(start) = hello(stream, recorder, limits.head).await else { return };
    // The name is recorded here, where it is all that will ever be seen of a client that aborts on
    // our certificate.
    peer.sni = start.client_hello().server_name().map(|name| quoted(name).to_string());
    let refuse = |peer: &Peer, label: &Label| {
        service.counts.refused.fetch_add(1, Relaxed);
        service.evidence.record(attempt(peer, label, "", "", &hyper::HeaderMap::new(), 0));
    };
    let place = LocalNames { names: Arc::clone(&service.names), local: peer.listener.ip() };
    if let Some(foreign) = peer.sni.as_deref().filter(|name| !is_own(name, &place)) {
        let label = service.index.load().guard.host(foreign).unwrap_or_else(|| Label::new("foreign-name", false));
        return refuse(&peer, &label);
    }
    let (config, changes) = tls.accept();
    let handshake = tokio::time::timeout(limits.head, start.into_stream(config));
    let (handshake, shown) = SHOWN
        .scope(RefCell::default(), async {
            let handshake = handshake.await;
            (handshake, SHOWN.with(RefCell::take))
        })
        .await;
    let Ok(Ok(stream)) = handshake else {
        peer.claimed = shown;
        if peer.claimed.is_some() {
            refuse(&peer, &Label::new("certificate-refused", false));
        }
        debug!(agent = %agent.ip(), "a connection from {} was closed: its TLS handshake failed", agent.ip());
        return;
    };
    peer.certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).map(client_name);
    let holder = peer.certificate.clone().map(SeatHolder::Certificate);
    if holder.is_some_and(|holder| !seat.pass_to(holder, service.seats_each)) {
        service.counts.turned_away.fetch_add(1, Relaxed);
        return;
    }
    let stop = Stop { server: stop, accepted: Some(changes) };
    Box::pin(connection::run(Arc::clone(&service), stream, (peer, answered), limits, stop, &seat.usage)).await;
}

/// Greeting of TLS, if one comes in time; what comes instead is recorded.
async fn hello<S: AsyncRead + AsyncWrite + Unpin>(
    stream: FirstBytesTap<S>,
    mut recorder: UnansweredRecorder<'_>,
    limit: Duration,
) -> Option<StartHandshake<FirstBytesTap<S>>> {
    let mut acceptor = LazyConfigAcceptor::new(Acceptor::default(), stream);
    match tokio::time::timeout(limit, &mut acceptor).await {
        Ok(Ok(start)) => {
            recorder.watched.forget();
            return Some(start);
        }
        Ok(Err(_)) => {
            recorder.ending = Ending::NotTls;
            if let Some(mut stream) = acceptor.take_io() {
                listen_on(&mut stream, recorder.watched).await;
            }
        }
        Err(_) => {
            let agent = recorder.peer.agent.ip();
            debug!(%agent, "a connection from {agent} was closed: no TLS greeting came in time");
        }
    }
    None
}
