//! Accepts connections, on Unix sockets, where the kernel says who is there, and by TLS, where a certificate does,
//! and answers each request.

use std::convert::Infallible;
use std::net::TcpListener as StdTcp;
use std::os::unix::net::UnixListener as StdUnix;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tracing::info;

use super::Desk;
use super::frame::{Answer, Next, notice};
use super::readers::Who;
use super::route::{Asked, answer};
use base::Fault;
use sandbox::PartlyConfined;
use serve::listener::watch_cage;
use serve::tls::{Tls, client_name};

/// Connections at one time by one door; more wait.
const ROOM: usize = 64;
/// How long a request's head, or what is handed in, may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a TLS handshake may take: until it is done, a seat is taken by nobody knows whom.
const GREETING: Duration = Duration::from_secs(10);
/// How often the list of revoked certificates is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Most bytes that are handed in: a statement, a signature, and what a form adds.
const LONGEST: usize = 64 << 10;

/// What the pages are shown on; nothing else is ever bound.
pub struct Doors {
    /// Unix sockets: the kernel names the account.
    pub unix: Vec<StdUnix>,
    /// TCP sockets, with what TLS needs: a certificate names the person.
    pub tls: Vec<(StdTcp, Arc<Tls>)>,
}

/// A way in.
#[derive(Clone)]
enum Door {
    Unix(Arc<UnixListener>),
    Tls(Arc<TcpListener>, Arc<Tls>),
}

/// Shows the pages until SIGTERM or SIGINT.
pub fn open(desk: &Arc<Desk>, listeners: Doors, confined: PartlyConfined) -> Result<(), Fault> {
    let failed = |source| Fault::Io { operation: "show the pages on", path: "the socket".into(), source };
    // A page may take long, a search say: two make sure that another is not kept waiting.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate()).map_err(failed)?, signal(SignalKind::interrupt()).map_err(failed)?);
        let mut doors = Vec::new();
        for listener in listeners.unix {
            listener.set_nonblocking(true).map_err(failed)?;
            doors.push(Door::Unix(Arc::new(UnixListener::from_std(listener).map_err(failed)?)));
        }
        for (listener, tls) in listeners.tls {
            listener.set_nonblocking(true).map_err(failed)?;
            let listener = TcpListener::from_std(listener).map_err(failed)?;
            tokio::spawn(follow(Arc::clone(&tls)));
            doors.push(Door::Tls(Arc::new(listener), tls));
        }
        let held = confined.finish()?;
        info!(role = "review", "{held}");
        for door in doors {
            let place = door.place();
            info!("{place}");
            // A room for each: a crowd at one door must not close the others.
            let room = Arc::new(Semaphore::new(ROOM));
            tokio::spawn(accept(door, Arc::clone(desk), room));
        }
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
            fault = watch_cage(held.filter.is_some()) => Err(fault),
        }
    })
}

impl Door {
    fn place(&self) -> String {
        match self {
            Self::Unix(door) => {
                let path =
                    door.local_addr().ok().and_then(|at| at.as_pathname().map(|path| path.display().to_string()));
                format!("pages on the socket {}", path.unwrap_or_default())
            }
            Self::Tls(door, _) => {
                let address = door.local_addr().map(|address| address.to_string());
                format!("pages on https://{}", address.unwrap_or_default())
            }
        }
    }

    /// Waits for the next one to knock, and gives what there is to do for them.
    async fn next(&self, desk: &Arc<Desk>) -> std::io::Result<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let desk = Arc::clone(desk);
        match self {
            Self::Unix(door) => {
                let (stream, _) = door.accept().await?;
                let uid = stream.peer_cred()?.uid();
                Ok(Box::pin(converse(stream, Who::Account(uid), desk, std::future::pending())))
            }
            Self::Tls(door, tls) => {
                let (stream, _) = door.accept().await?;
                let (config, mut changes) = tls.accept();
                let hello = TlsAcceptor::from(config).accept(stream);
                Ok(Box::pin(async move {
                    // Who has no certificate of the right authority, or takes too long, gets no further.
                    let Ok(Ok(stream)) = tokio::time::timeout(GREETING, hello).await else { return };
                    let Some(name) =
                        stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).map(client_name)
                    else {
                        return;
                    };
                    converse(stream, Who::Certificate(name), desk, async move { _ = changes.changed().await }).await;
                }))
            }
        }
    }
}

/// Reads the list of revoked certificates again when it changes. One that is damaged changes nothing.
async fn follow(tls: Arc<Tls>) {
    let mut timer = tokio::time::interval(LOOK);
    loop {
        timer.tick().await;
        let tls = Arc::clone(&tls);
        let _ = tokio::task::spawn_blocking(move || tls.follow()).await;
    }
}

async fn accept(door: Door, desk: Arc<Desk>, room: Arc<Semaphore>) {
    loop {
        let Ok(seat) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok(conversation) = door.next(&desk).await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        tokio::spawn(async move {
            conversation.await;
            drop(seat);
        });
    }
}

/// Answers on one connection until it ends, or until it is `over`, after the answer that is under way.
async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    who: Who,
    desk: Arc<Desk>,
    over: impl Future<Output = ()>,
) {
    let service = service_fn(move |request| {
        let (desk, who) = (Arc::clone(&desk), who.clone());
        async move { Ok::<_, Infallible>(receive(request, who, desk).await.into_response()) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(32 << 10);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // However a connection ends, there is nobody to tell.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = over => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn receive(request: Request<Incoming>, who: Who, desk: Arc<Desk>) -> Answer {
    let (head, body) = request.into_parts();
    let handed_in = if head.method == Method::POST {
        match tokio::time::timeout(PATIENCE, Limited::new(body, LONGEST).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            _ => {
                return notice(
                    413,
                    "That is too long",
                    "A statement has at most 4096 bytes, a signature less.",
                    Next::Back,
                );
            }
        }
    } else {
        Bytes::new()
    };
    let asked = Asked { head, handed_in, who };
    let made = tokio::task::spawn_blocking(move || answer(&desk, &asked)).await;
    made.unwrap_or_else(|_| notice(500, "This page could not be made", "It is a fault of the program.", Next::Today))
}

impl Answer {
    fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers() {
            response = response.header(name, value);
        }
        response.body(Full::new(Bytes::from(self.body))).unwrap_or_default()
    }
}
