//! The `add-checkpoint` call (C2SP tlog-witness), for sites that allow it inside. One small request, one small
//! answer; nothing else is known here.

use std::convert::Infallible;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use super::{No, WitnessState};
use base::{Fault, clock};
use sandbox::PartlyConfined;
use serve::listener::watch_confinement;
use serve::seats::{SeatHolder, Seats};
use tlog::receipt::LONGEST;

/// Most connections at a time, and most from one address.
const CONNECTION_LIMIT: usize = 64;
const ADDRESS_LIMIT: usize = 8;
/// Time limit for a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers until SIGTERM or SIGINT.
pub(crate) fn open(memory: WitnessState, listener: StdListener, confined: PartlyConfined) -> Result<(), Fault> {
    let failed = |source| Fault::Io { operation: "answer on", path: "the network".into(), source };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(failed)?;
    let memory = Arc::new(memory);
    runtime.block_on(async {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate()).map_err(failed)?, signal(SignalKind::interrupt()).map_err(failed)?);
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        let held = confined.finish()?;
        info!(role = "witness", "{held}");
        let address = listener.local_addr().map_err(failed)?;
        info!(%address, "serving on http://{address}");
        let seats = Seats::new(CONNECTION_LIMIT);
        let accept = async {
            loop {
                let Ok((stream, caller)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let memory = Arc::clone(&memory);
                // Nobody here is at work for long: a seat can always be given up.
                let Some(seat) = seats.take(SeatHolder::at(caller.ip()), ADDRESS_LIMIT) else { continue };
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let memory = Arc::clone(&memory);
                        async move { Ok::<_, Infallible>(receive(request, memory).await) }
                    });
                    let mut builder = http1::Builder::new();
                    builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false);
                    // However a connection ends, there is nobody to tell.
                    let answered = builder.serve_connection(TokioIo::new(stream), service);
                    seat.hold(async { _ = answered.await }).await;
                });
            }
        };
        tokio::select! {
            () = accept => Ok(()),
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
            fault = watch_confinement(held.filter.is_some()) => Err(fault),
        }
    })
}

async fn receive(request: Request<Incoming>, memory: Arc<WitnessState>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    if head.uri.path() != "/add-checkpoint" {
        return answer(404, "text/plain", "this witness answers /add-checkpoint only\n".into());
    }
    if head.method != Method::POST {
        return answer(405, "text/plain", "add-checkpoint takes its body by POST only\n".into());
    }
    let most = usize::try_from(LONGEST).unwrap_or(usize::MAX);
    let body = match tokio::time::timeout(PATIENCE, Limited::new(body, most).collect()).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            let why = format!("the body is longer than {most} bytes, or did not arrive whole\n");
            return answer(400, "text/plain", why);
        }
        Err(_) => {
            let why = format!("the body did not arrive within {} seconds\n", PATIENCE.as_secs());
            return answer(400, "text/plain", why);
        }
    };
    let body = String::from_utf8(body.to_bytes().to_vec()).unwrap_or_default();
    let judged = tokio::task::spawn_blocking(move || memory.answer(&body, clock::now())).await;
    match judged {
        Ok(Ok(Ok(line))) => answer(200, "text/plain; charset=utf-8", line),
        Ok(Ok(Err(No::Conflict(size) | No::Forked(size)))) => answer(409, "text/x.tlog.size", format!("{size}\n")),
        Ok(Ok(Err(No::Malformed))) => answer(400, "text/plain", "the body is not a request of add-checkpoint\n".into()),
        Ok(Ok(Err(No::UnknownLog))) => answer(404, "text/plain", "this witness does not know this log\n".into()),
        Ok(Ok(Err(No::Unsigned))) => answer(403, "text/plain", "the head is not signed by the log's key\n".into()),
        Ok(Ok(Err(No::Inconsistent))) => {
            answer(422, "text/plain", "the log did not grow from the head that this witness signed last\n".into())
        }
        Ok(Err(_)) | Err(_) => answer(500, "text/plain", "this witness cannot read or write its own records\n".into()),
    }
}

fn answer(status: u16, kind: &str, body: String) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("content-type", kind).header("cache-control", "no-store");
    response.body(Full::new(Bytes::from(body))).unwrap_or_default()
}
