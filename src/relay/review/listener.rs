//! Listeners of the pages: Unix sockets, where the kernel names the account, and TLS, where a certificate names the
//! person.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::{IpAddr, TcpListener as StdTcp};
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
use tokio_rustls::TlsAcceptor;
use tracing::info;

use super::ReviewContext;
use super::layout::{NoticeLink, notice};
use super::readers::ReaderIdentity;
use super::request::PageRequest;
use super::response::PageResponse;
use super::route::answer;
use base::Fault;
use sandbox::PartlyConfined;
use serve::listener::watch_confinement;
use serve::seats::{Seat, Seats, network};
use serve::tls::{Tls, client_name};

/// Most connections of readers that one listener serves at a time, and most of one reader.
const READER_LIMIT: usize = 256;
const EACH_READER: usize = 16;
/// The same for strangers, who have seats of their own.
const STRANGER_LIMIT: usize = 64;
const EACH_STRANGER: usize = 8;
/// Time limit for the head of a request, and for the body of a form.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Time limit for a TLS handshake: until it is done, an unknown person holds one of the connections.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time between two checks for a new list of revoked certificates.
const REVOCATION_CHECK: Duration = Duration::from_millis(500);
/// Longest body of a form in bytes: a statement, a signature, and what the form adds.
const BODY_LIMIT: usize = 64 << 10;

/// Sockets on which the pages are served; nothing else is ever bound.
pub(crate) struct ReviewListeners {
    /// Unix sockets: the kernel names the account.
    pub unix: Vec<StdUnix>,
    /// TCP sockets, each with its TLS settings: a certificate names the person.
    pub tls: Vec<(StdTcp, Arc<Tls>)>,
}

/// Socket that accepts connections.
#[derive(Clone)]
enum ReviewListener {
    Unix(Arc<UnixListener>),
    Tls(Arc<TcpListener>, Arc<Tls>),
}

/// Serves the pages until SIGTERM or SIGINT.
pub(crate) fn serve(
    context: &Arc<ReviewContext>,
    listeners: ReviewListeners,
    confined: PartlyConfined,
) -> Result<(), Fault> {
    let failed = |source| Fault::Io { operation: "serve the officers' pages on", path: "the socket".into(), source };
    // A page may take long, a search in the log for example: with two threads another page need not wait.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate()).map_err(failed)?, signal(SignalKind::interrupt()).map_err(failed)?);
        let mut accepting = Vec::new();
        for listener in listeners.unix {
            listener.set_nonblocking(true).map_err(failed)?;
            accepting.push(ReviewListener::Unix(Arc::new(UnixListener::from_std(listener).map_err(failed)?)));
        }
        for (listener, tls) in listeners.tls {
            listener.set_nonblocking(true).map_err(failed)?;
            let listener = TcpListener::from_std(listener).map_err(failed)?;
            tokio::spawn(follow_revocations(Arc::clone(&tls)));
            accepting.push(ReviewListener::Tls(Arc::new(listener), tls));
        }
        let held = confined.finish()?;
        info!(role = "review", "{held}");
        for listener in accepting {
            let place = listener.address_text();
            info!("{place}");
            // A limit for each listener: a crowd on one must not block the others.
            tokio::spawn(accept(listener, Arc::clone(context), ReviewSeats::new()));
        }
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
            fault = watch_confinement(held.filter.is_some()) => Err(fault),
        }
    })
}

impl ReviewListener {
    fn address_text(&self) -> String {
        match self {
            Self::Unix(listener) => {
                let path =
                    listener.local_addr().ok().and_then(|at| at.as_pathname().map(|path| path.display().to_string()));
                format!("pages on the socket {}", path.unwrap_or_default())
            }
            Self::Tls(listener, _) => {
                let address = listener.local_addr().map(|address| address.to_string());
                format!("pages on https://{}", address.unwrap_or_default())
            }
        }
    }

    /// Accepts the next connection, and gives the future that serves it.
    async fn next_connection(
        &self,
        context: &Arc<ReviewContext>,
        seats: &Arc<ReviewSeats>,
    ) -> std::io::Result<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let (context, seats) = (Arc::clone(context), Arc::clone(seats));
        match self {
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let identity = ReaderIdentity::Account(stream.peer_cred()?.uid());
                let seat = seats.take(&context, &identity).ok_or(ErrorKind::ResourceBusy)?;
                Ok(Box::pin(serve_seated(seat, stream, identity, context, std::future::pending())))
            }
            Self::Tls(listener, tls) => {
                let (stream, caller) = listener.accept().await?;
                let (config, mut changes) = tls.accept();
                let handshake = TlsAcceptor::from(config).accept(stream);
                let seat = seats.strangers.take(Holder::Network(network(caller.ip())), EACH_STRANGER);
                let seat = seat.ok_or(ErrorKind::ResourceBusy)?;
                Ok(Box::pin(async move {
                    let mut greeted = None;
                    seat.hold(async { greeted = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await.ok() }).await;
                    // No certificate of the right authority, or too slow: the connection ends here.
                    let Some(Ok(stream)) = greeted else { return };
                    let Some(name) =
                        stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).map(client_name)
                    else {
                        return;
                    };
                    drop(seat);
                    let identity = ReaderIdentity::Certificate(name);
                    let Some(seat) = seats.take(&context, &identity) else { return };
                    serve_seated(seat, stream, identity, context, async move { _ = changes.changed().await }).await;
                }))
            }
        }
    }
}

/// Seats of one listener: whoever is no reader, or has not shown yet who they are, takes none of a reader.
struct ReviewSeats {
    readers: Arc<Seats<Holder>>,
    strangers: Arc<Seats<Holder>>,
}

/// Holder of a seat.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Holder {
    Person(ReaderIdentity),
    /// Network of somebody who has not shown a certificate yet.
    Network(IpAddr),
}

impl ReviewSeats {
    fn new() -> Arc<Self> {
        Arc::new(Self { readers: Seats::new(READER_LIMIT), strangers: Seats::new(STRANGER_LIMIT) })
    }

    /// Takes a seat for the person at the other end: there is always one that can be given up.
    fn take(&self, context: &ReviewContext, identity: &ReaderIdentity) -> Option<Seat<Holder>> {
        let holder = Holder::Person(identity.clone());
        match context.readers.find(identity) {
            Some(_) => self.readers.take(holder, EACH_READER),
            None => self.strangers.take(holder, EACH_STRANGER),
        }
    }
}

/// Reads the list of revoked certificates again when it changes. A damaged list changes nothing.
async fn follow_revocations(tls: Arc<Tls>) {
    let mut timer = tokio::time::interval(REVOCATION_CHECK);
    loop {
        timer.tick().await;
        let tls = Arc::clone(&tls);
        let _ = tokio::task::spawn_blocking(move || tls.follow()).await;
    }
}

async fn accept(listener: ReviewListener, context: Arc<ReviewContext>, seats: Arc<ReviewSeats>) {
    loop {
        match listener.next_connection(&context, &seats).await {
            Ok(connection) => drop(tokio::spawn(connection)),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Answers on one connection until it ends, or another one gets its seat.
async fn serve_seated<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    seat: Seat<Holder>,
    stream: S,
    sender: ReaderIdentity,
    context: Arc<ReviewContext>,
    close: impl Future<Output = ()>,
) {
    let seat = Arc::new(seat);
    seat.hold(serve_connection(Arc::clone(&seat), stream, sender, context, close)).await;
}

/// Answers on one connection until it ends. When `close` is done, the answer under way is finished first.
async fn serve_connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    seat: Arc<Seat<Holder>>,
    stream: S,
    sender: ReaderIdentity,
    context: Arc<ReviewContext>,
    close: impl Future<Output = ()>,
) {
    let service = service_fn(move |request| {
        seat.note_use();
        let (context, sender) = (Arc::clone(&context), sender.clone());
        async move { Ok::<_, Infallible>(respond(request, sender, context).await.into_http()) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(REQUEST_TIMEOUT).max_buf_size(32 << 10);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // An error of the connection is dropped: nobody is left to receive it.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = close => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn respond(request: Request<Incoming>, sender: ReaderIdentity, context: Arc<ReviewContext>) -> PageResponse {
    let (head, body) = request.into_parts();
    let body = if head.method == Method::POST {
        match tokio::time::timeout(REQUEST_TIMEOUT, Limited::new(body, BODY_LIMIT).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_)) => {
                let text = "The form is longer than 64 KiB, or the connection ended before the form was complete. \
                            Nothing was handed in. A statement has at most 16,384 bytes and a signature file four \
                            lines: check that you chose the right file.";
                return notice(413, "The form is too long or incomplete", text, NoticeLink::Back);
            }
            Err(_) => {
                let text = "The form did not arrive within 30 seconds. Nothing was handed in. Try again.";
                return notice(413, "The form took too long to arrive", text, NoticeLink::Back);
            }
        }
    } else {
        Bytes::new()
    };
    let request = PageRequest { head, body, sender };
    let made = tokio::task::spawn_blocking(move || answer(&context, &request)).await;
    made.unwrap_or_else(|_| {
        let text = "The program made an error while it built this page. Nothing was changed. Report it to the \
                    administrator of this relay; the commands of gaprelay show the same facts.";
        notice(500, "This page could not be made", text, NoticeLink::Today)
    })
}

impl PageResponse {
    fn into_http(self) -> Response<Full<Bytes>> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers() {
            response = response.header(name, value);
        }
        response.body(Full::new(Bytes::from(self.body))).unwrap_or_default()
    }
}
