//! Ports on which nothing is served: whoever knocks there looks for a vendor, a proxy or a server that
//! this relay is not. The first bytes are looked at and told, nothing is answered, and the
//! connection ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{self, HeaderName, HeaderValue};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::Server;
use super::connection_limit::ConnectionPlace;
use super::first_bytes::alien;
use super::peer::{Peer, attempt, sni_of};
use super::request::{LocalNames, is_own, without_port};
use crate::journal::Attempt;
use guard::{Guard, Label};

/// Time limit for the first bytes: in some protocols the client waits for us to begin.
const TIME_LIMIT: Duration = Duration::from_secs(3);
/// Most bytes looked at.
const MOST: usize = 8 << 10;
/// Longest line that is told, in bytes: a SHA-512 in hex fits.
const LINE: usize = 160;
/// Most headers looked at.
const HEADERS: usize = 64;

/// Takes what a client says first, records it, and lets the connection end.
pub(crate) async fn trip(
    service: Arc<Server>,
    mut stream: TcpStream,
    agent: SocketAddr,
    names: Arc<[String]>,
    place: &ConnectionPlace,
) {
    let Ok(listener) = stream.local_addr() else { return };
    let mut first = Vec::with_capacity(1024);
    let listen = async {
        while first.len() < MOST && !is_enough(&first) {
            match stream.read_buf(&mut first).await {
                Ok(1..) => {}
                _ => break,
            }
        }
    };
    // Whoever says nothing, or loses the place to another, has knocked all the same.
    tokio::select! {
        _ = tokio::time::timeout(TIME_LIMIT, listen) => {}
        () = place.lost() => {}
    }
    let peer = Peer { agent, listener, sni: None, certificate: None };
    let place = LocalNames { names, local: listener.ip() };
    let mut attempt = describe(&first, &peer, &place, &service.index.load().guard);
    attempt.bytes_received = first.len() as u64;
    service.counts.refused.fetch_add(1, Relaxed);
    service.evidence.record(attempt);
}

/// Protocol that begins with these bytes, if it is neither HTTP nor lines of text.
fn protocol(first: &[u8]) -> Option<&'static str> {
    alien(first).filter(|_| !first.first().is_some_and(u8::is_ascii_graphic) || first.starts_with(b"PRI * "))
}

/// True if enough came to name the protocol.
fn is_enough(first: &[u8]) -> bool {
    match protocol(first) {
        Some("tls-on-plain-port") => sni_of(first).is_some(),
        Some("socks") => first.len() > 1,
        Some(_) => true,
        None if is_http(first) => first.windows(4).any(|end| end == b"\r\n\r\n"),
        None => first.contains(&b'\n'),
    }
}

/// True if the bytes begin as a request does: a method, and a target behind it.
fn is_http(first: &[u8]) -> bool {
    let line = first.split(|b| *b == b'\n').next().unwrap_or_default();
    let mut words = line.split(|b| *b == b' ');
    let method = words.next().unwrap_or_default();
    let target = words.next().and_then(|target| target.first()).copied().unwrap_or_default();
    method.len() > 2
        && method.iter().all(u8::is_ascii_uppercase)
        && (target == b'/' || target.is_ascii_alphanumeric())
        && (line.ends_with(b"HTTP/1.1\r") || line.ends_with(b"HTTP/1.0\r"))
}

fn describe(first: &[u8], peer: &Peer, place: &LocalNames, guard: &Guard) -> Attempt {
    let tripwire = || Label::new("tripwire", true);
    let bare = |label: &Label, protocol: &str, line: &str| attempt(peer, label, protocol, line, &HeaderMap::new(), 0);
    match protocol(first) {
        Some("tls-on-plain-port") => {
            let sni = sni_of(first);
            let label = sni.as_deref().and_then(|name| guard.host(name)).unwrap_or_else(tripwire);
            Attempt { sni, ..bare(&label, "TLS", "") }
        }
        Some("socks") => bare(&Label::new("socks", true), "SOCKS", ""),
        Some(protocol) => bare(&tripwire(), protocol, ""),
        None if is_http(first) => request(first, peer, place, guard).unwrap_or_else(|| bare(&tripwire(), "HTTP", "")),
        None => {
            let line = first.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
            // A short plain line is a command or a look-up; anything else could be part of a sample.
            let command = line.len() <= LINE && line.iter().all(|b| (0x20..0x7f).contains(b));
            let protocol = if line.is_empty() { "nothing said" } else { "text" };
            bare(&tripwire(), protocol, if command { str::from_utf8(line).unwrap_or_default() } else { "" })
        }
    }
}

/// A request: by the name it asks for, then by path and headers.
fn request(first: &[u8], peer: &Peer, place: &LocalNames, guard: &Guard) -> Option<Attempt> {
    let mut space = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Request::new(&mut space);
    // A head that is not whole tells what it has.
    parsed.parse(first).ok()?;
    let (method, target) = (parsed.method?, parsed.path?);
    let headers: HeaderMap = parsed
        .headers
        .iter()
        .filter(|header| !header.name.is_empty())
        .filter_map(|h| Some((HeaderName::try_from(h.name).ok()?, HeaderValue::from_bytes(h.value).ok()?)))
        .collect();
    let authority = target.split_once("://").map_or(target, |(_, rest)| rest.split('/').next().unwrap_or(rest));
    let asked = if method == "CONNECT" || target.contains("://") {
        Some(authority.to_owned())
    } else {
        headers.get(header::HOST).and_then(|host| host.to_str().ok()).map(str::to_owned)
    };
    let foreign = asked.as_deref().map(without_port).filter(|name| !is_own(name, place));
    let path =
        target.split_once("://").map_or(target, |(_, rest)| rest.find('/').map_or("/", |at| rest.split_at(at).1));
    let label = foreign
        .and_then(|name| guard.host(name))
        .or_else(|| guard.path(path))
        .or_else(|| guard.header(|name| headers.contains_key(name)))
        .or_else(|| (method == "CONNECT").then(|| Label::new("proxy-connect", true)))
        .unwrap_or_else(|| Label::new("tripwire", true));
    let mut attempt = attempt(peer, &label, method, target, &headers, 0);
    attempt.host = attempt.host.or_else(|| asked.map(|name| base::quoted(&name).to_string()));
    Some(attempt)
}
