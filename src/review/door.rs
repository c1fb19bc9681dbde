//! Accepts connections on Unix sockets, asks the kernel who is there, and answers each request.

use std::convert::Infallible;
use std::os::unix::net::UnixListener as StdListener;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

use super::Desk;
use super::frame::{Answer, Next, notice};
use super::route::{Asked, answer};
use crate::base::Fault;
use crate::sandbox::Halfway;
use crate::serve::listener::watch_cage;

/// Connections at one time; more wait.
const ROOM: usize = 64;
/// How long a request's head, or what is handed in, may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most bytes that are handed in: a statement, a signature, and what a form adds.
const LONGEST: usize = 64 << 10;

/// Shows the pages on `listeners` until SIGTERM or SIGINT.
pub fn open(
    desk: &Arc<Desk>,
    listeners: Vec<StdListener>,
    halfway: Halfway,
    told: &mut dyn FnMut(&str),
) -> Result<(), Fault> {
    let failed = |source| Fault::Io { operation: "show the pages on", path: "the socket".into(), source };
    // A page may take long, a search say: two make sure that another is not kept waiting.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate()).map_err(failed)?, signal(SignalKind::interrupt()).map_err(failed)?);
        let mut doors = Vec::new();
        for listener in listeners {
            listener.set_nonblocking(true).map_err(failed)?;
            doors.push(UnixListener::from_std(listener).map_err(failed)?);
        }
        let held = halfway.finish()?;
        told(&held.to_string());
        let room = Arc::new(Semaphore::new(ROOM));
        for door in doors {
            let path =
                door.local_addr().ok().and_then(|address| address.as_pathname().map(|p| p.display().to_string()));
            told(&format!("pages on the socket {}", path.unwrap_or_default()));
            tokio::spawn(accept(door, Arc::clone(desk), Arc::clone(&room)));
        }
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
            fault = watch_cage(held.filter.is_some()) => Err(fault),
        }
    })
}

async fn accept(door: UnixListener, desk: Arc<Desk>, room: Arc<Semaphore>) {
    loop {
        let Ok(seat) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = door.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let desk = Arc::clone(&desk);
        tokio::spawn(async move {
            greet(stream, desk).await;
            drop(seat);
        });
    }
}

async fn greet(stream: UnixStream, desk: Arc<Desk>) {
    let Ok(peer) = stream.peer_cred() else { return };
    let uid = peer.uid();
    let service = service_fn(move |request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(receive(request, uid, desk).await.into_response()) }
    });
    // However a connection ends, there is nobody to tell.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(32 << 10)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn receive(request: Request<Incoming>, uid: u32, desk: Arc<Desk>) -> Answer {
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
    let asked = Asked { head, handed_in, uid };
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
