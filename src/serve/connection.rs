//! One connection from its first byte to its last: requests answered from the index, the refused one
//! recorded with what came, and the end made so that the other side can read the answer.

use std::convert::Infallible;
use std::future::{poll_fn, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::header::HeaderMap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::sync::watch;
use tracing::error;

use super::Server;
use super::checked_stream::AnsweredItems;
use super::content::Proof;
use super::first_bytes::{FirstBytesTap, Watched};
use super::index::{Index, ServedItem};
use super::peer::{Peer, attempt};
use super::pulls::Answered;
use super::recognition::{Ending, UnansweredRecorder};
use super::request::{LocalNames, RequestDecision, decide, missing};
use super::response::{self, Body};
use super::seats::SeatUse;
use super::unserved::listen_on;
use base::clock;
use guard::Label;

/// Limits in time and bytes on a refused body that is let run out, so that the other side gets to
/// read the answer. They are thrown away as they come.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 16 << 20;

/// Time limits of a connection.
#[derive(Clone, Copy)]
pub(crate) struct TimeLimits {
    /// For a request's head, and between requests.
    pub head: Duration,
    /// Time that an answer may wait to be taken.
    pub stall: Duration,
}

/// Signals that ask for a connection's end, after the answer that is under way.
#[derive(Clone)]
pub(crate) struct Stop {
    /// The server stops: it is true.
    pub server: watch::Receiver<bool>,
    /// Signal that the TLS settings which the connection was accepted with have changed.
    pub accepted: Option<watch::Receiver<()>>,
}

impl Stop {
    async fn asked(&mut self) {
        let Self { server, accepted } = self;
        let changed = async {
            match accepted {
                Some(accepted) => _ = accepted.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = server.changed() => {}
            () = changed => {}
        }
    }
}

/// Serves one connection until it ends, `stop` asks for its end, or it is too slow.
pub(crate) async fn run<S>(
    service: Arc<Server>,
    stream: S,
    (peer, items): (Peer, Arc<AnsweredItems>),
    limits: TimeLimits,
    mut stop: Stop,
    usage: &Arc<SeatUse>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let watched = Arc::new(Watched::begin(Arc::clone(usage)));
    // Whatever ends this connection, the loss of its seat included: what was not answered is recorded then.
    let mut recorder = UnansweredRecorder {
        service: &service,
        peer: &peer,
        watched: &watched,
        ending: Ending::Unanswered,
        is_tls: false,
    };
    let place = LocalNames { names: Arc::clone(&service.names), local: peer.listener.ip() };
    let io = TokioIo::new(FirstBytesTap::new(stream, Arc::clone(&watched)));
    let answerer = Answerer { service: &service, peer: &peer, place: &place, watched: &watched, items: &items };
    let answer = service_fn(move |request: Request<Incoming>| answerer.answer(request));
    let mut connection = http1::Builder::new().half_close(true).max_buf_size(16 << 10).serve_connection(io, answer);
    let mut stopping = *stop.server.borrow();
    if stopping {
        Pin::new(&mut connection).graceful_shutdown();
    }
    let ended = loop {
        let deadline = watched.deadline(limits.head, limits.stall);
        tokio::select! {
            ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break ended,
            () = tokio::time::sleep_until(deadline) => {
                if watched.deadline(limits.head, limits.stall) <= tokio::time::Instant::now() {
                    return;
                }
            }
            () = stop.asked(), if !stopping => {
                stopping = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    if let Some(item) = items.broken() {
        service.counts.unreadable.fetch_add(1, Relaxed);
        error!(
            digest = %item.digest(),
            agent = %peer.agent.ip(),
            "the file with SHA-256 {} was cut, or the disk does not give it: an answer to {} ended before its end. Run \
             gaprelay fsck, which says what is damaged",
            item.digest(),
            peer.agent.ip()
        );
    }
    if let Err(e) = &ended
        && e.is_parse()
    {
        recorder.ending = Ending::Malformed(if e.is_parse_too_large() { 431 } else { 400 });
    }
    let mut stream = connection.into_parts().io.into_inner();
    // The other side may be gone; there is nobody to tell.
    let _ = stream.shutdown().await;
    if watched.has_refused() {
        linger(&mut stream).await;
    } else if watched.shows(|bytes| !bytes.is_empty()) {
        listen_on(&mut stream, &watched).await;
    } else {
        // What came behind the last answer, without waiting for it.
        poll_fn(|cx| Poll::Ready(Pin::new(&mut stream).poll_read(cx, &mut ReadBuf::new(&mut [0; 4096])).is_ready()))
            .await;
    }
}

/// Lets what is still coming run out, for a moment.
async fn linger<S: AsyncRead + Unpin>(stream: &mut S) {
    // On the heap: an array would be a part of every connection for as long as it lives.
    let mut sink = vec![0; 4096];
    let mut left = LINGER_BYTES;
    let run_out = async {
        while let Ok(got @ 1..) = stream.read(&mut sink).await {
            left = left.saturating_sub(got as u64);
            if left == 0 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, run_out).await;
}

/// Answer in the making.
type Answering<'a> = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send + 'a>>;

/// Answers the requests of one connection.
#[derive(Clone, Copy)]
struct Answerer<'a> {
    service: &'a Server,
    peer: &'a Peer,
    place: &'a LocalNames,
    watched: &'a Watched,
    items: &'a AnsweredItems,
}

impl<'a> Answerer<'a> {
    fn answer(self, request: Request<Incoming>) -> Answering<'a> {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        self.service.counts.requests.fetch_add(1, Relaxed);
        self.watched.answer();
        // One set from beginning to end, whatever is published meanwhile.
        let index = self.service.index.load();
        let response = match decide(&request, self.place, &index.guard) {
            RequestDecision::Refuse(status, label) => self.refuse(status, &label, method, uri, headers),
            RequestDecision::Serve(path, label) => {
                if let Some(label) = label {
                    let target = uri.to_string();
                    self.service.evidence.record(attempt(self.peer, &label, method.as_str(), &target, headers, 200));
                }
                match self.find(&index, &path, &request) {
                    Some(item) => {
                        if let Some(response) = self.quickly(&item, &path, &request) {
                            response
                        } else {
                            let path = path.into_owned();
                            return Box::pin(async move { Ok(self.slowly(&item, &path, &request).await) });
                        }
                    }
                    None => self.no_file(&index, &path, method, uri, headers),
                }
            }
        };
        Box::pin(ready(Ok(response)))
    }

    /// File at the path, if it is for this agent.
    fn find(&self, index: &Index, path: &str, request: &Request<Incoming>) -> Option<Arc<ServedItem>> {
        let item = index.get(path)?;
        if !item.audience.has(self.peer.certificate.as_deref()) {
            let (label, target) = (Label::new("foreign-channel", false), request.uri().to_string());
            let method = request.method().as_str();
            self.service.evidence.record(attempt(self.peer, &label, method, &target, request.headers(), 404));
            return None;
        }
        Some(item)
    }

    /// Answer with a file whose proof needs no time; `None` if it does.
    fn quickly(&self, item: &Arc<ServedItem>, path: &str, request: &Request<Incoming>) -> Option<Response<Body>> {
        let proof = item.stored.as_ref().map_or(Some(Proof::Holds), |stored| stored.quick_proof())?;
        Some(self.proven(proof, item, path, request))
    }

    /// Answer with a file that is proven first, while others are answered.
    async fn slowly(&self, item: &Arc<ServedItem>, path: &str, request: &Request<Incoming>) -> Response<Body> {
        let proof = match &item.stored {
            Some(stored) => {
                // The agent waits for us, not we for it.
                let _working = self.watched.work();
                stored.proof().await
            }
            None => Proof::Holds,
        };
        self.proven(proof, item, path, request)
    }

    /// Sends a file if its bytes are those that were published; where they are not, it is told.
    fn proven(&self, proof: Proof, item: &Arc<ServedItem>, path: &str, request: &Request<Incoming>) -> Response<Body> {
        match proof {
            Proof::Holds => return self.file(item, path, request),
            Proof::Gone => self.service.is_outdated.store(true, Relaxed),
            Proof::Refuted => {
                if item.stored.as_ref().is_some_and(|stored| stored.is_news()) {
                    error!(
                        digest = %item.digest(),
                        agent = %self.peer.agent.ip(),
                        "the file with SHA-256 {} was changed on the disk after it was published, and was not sent to {}, nor \
                         is it to any agent until it is put right. To see what is damaged: gaprelay fsck",
                        item.digest(),
                        self.peer.agent.ip()
                    );
                }
            }
        }
        self.service.counts.unreadable.fetch_add(1, Relaxed);
        let mut response = response::text(StatusCode::SERVICE_UNAVAILABLE, "This file cannot be read now.\n");
        if request.method() == Method::HEAD {
            *response.body_mut() = Body::default();
        }
        response
    }

    fn file(&self, item: &Arc<ServedItem>, path: &str, request: &Request<Incoming>) -> Response<Body> {
        let now = clock::now();
        let (method, headers) = (request.method(), request.headers());
        self.items.note(item);
        let response = response::file(item, headers, *method == Method::HEAD, now);
        let bytes = response.body().size_hint().exact().unwrap_or_default();
        self.service.counts.bytes.fetch_add(bytes, Relaxed);
        if let Some(feed) = &item.feed {
            let whole = bytes == item.bytes.len() as u64;
            let status = response.status();
            let (peer, is_side_file) = (self.peer, item.is_side_file);
            self.service.pulls.record(&Answered {
                peer,
                headers,
                method,
                path,
                feed,
                status,
                whole,
                is_side_file,
                now,
            });
        }
        response
    }

    /// Answer where no file is for this agent: a page of the relay itself, or that there is nothing.
    fn no_file(&self, index: &Index, path: &str, method: &Method, uri: &Uri, headers: &HeaderMap) -> Response<Body> {
        let head = *method == Method::HEAD;
        if let Some(mut response) = crate::own::answer(self.service, path, self.peer.certificate.as_deref()) {
            if head {
                *response.body_mut() = Body::default();
            }
            return response;
        }
        if let Some(label) = missing(path, headers, &index.guard) {
            return self.refuse(StatusCode::NOT_FOUND, &label, method, uri, headers);
        }
        self.service.counts.missing.fetch_add(1, Relaxed);
        let mut response = if index.is_ready() {
            response::text(StatusCode::NOT_FOUND, "Not found.\n")
        } else {
            response::text(StatusCode::SERVICE_UNAVAILABLE, "Nothing is published yet.\n")
        };
        if head {
            *response.body_mut() = Body::default();
        }
        response
    }

    fn refuse(
        &self,
        status: StatusCode,
        label: &Label,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Response<Body> {
        self.service.counts.refused.fetch_add(1, Relaxed);
        let attempt = attempt(self.peer, label, method.as_str(), &uri.to_string(), headers, status.as_u16());
        // Recorded when the connection has ended, with the bytes that came; it ends with this answer.
        self.watched.refuse(attempt);
        response::refusal(status)
    }
}
