//! Recognition of what came on a connection and was not answered: a head that never ended or cannot be read, another
//! protocol, a request on a port where nothing is served or beyond the limits. In scope: the record of it, by what the
//! bytes show (method, name, server name of TLS). Reads leniently, since whom the bytes were meant for might; decides
//! nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use hyper::HeaderMap;
use hyper::header::{self, HeaderName, HeaderValue};

use super::Server;
use super::first_bytes::{Watched, alien, head_end};
use super::peer::{Peer, attempt, sni_of};
use super::request::{LocalNames, is_own, missing, single_slashes, without_port};
use crate::journal::Attempt;
use guard::{Guard, Label, ShownRequest};

/// Longest line of no protocol that is told, in bytes: a SHA-512 in hex fits.
const LINE: usize = 160;
/// Methods by which a line is a request, whatever stands behind its target.
const METHODS: &[&str] =
    &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PROPFIND", "MKCOL", "SEARCH"];

/// End of a connection of which something was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Connection to a port on which nothing is served.
    Tripwire,
    /// A request could not be read: the status of the answer.
    Malformed(u16),
    /// End, or loss of the seat, before a request was whole or answered.
    Unanswered,
    /// No seat was free.
    TurnedAway,
    /// Something else than TLS came to a port with TLS.
    NotTls,
}

impl Ending {
    /// Label of what shows nothing itself.
    fn label(self) -> Label {
        match self {
            Self::Tripwire => Label::new("tripwire", true),
            Self::Malformed(_) => Label::new("malformed-request", false),
            Self::Unanswered | Self::TurnedAway => Label::new("unanswered-request", false),
            Self::NotTls => Label::new("not-tls", false),
        }
    }

    fn status(self) -> u16 {
        match self {
            Self::Malformed(status) => status,
            Self::TurnedAway => 503,
            Self::Tripwire | Self::Unanswered | Self::NotTls => 0,
        }
    }
}

/// Recorder of what a connection left unanswered: when the connection ends, in whatever way, it records the request
/// that was refused, or else what was not answered.
pub(crate) struct UnansweredRecorder<'a> {
    pub service: &'a Server,
    pub peer: &'a Peer,
    pub watched: &'a Watched,
    /// Ending, as far as is known yet.
    pub ending: Ending,
    /// True where the bytes are those of a port with TLS.
    pub is_tls: bool,
}

impl Drop for UnansweredRecorder<'_> {
    fn drop(&mut self) {
        let attempt = self.watched.take_refused().or_else(|| {
            let place = LocalNames { names: Arc::clone(&self.service.names), local: self.peer.listener.ip() };
            let index = self.service.index.load();
            let bytes = self.watched.unanswered();
            let (peer, ending, is_tls) = (self.peer, self.ending, self.is_tls);
            let shown = Shown { peer, place: &place, guard: &index.guard, ending, is_tls }.attempt(&bytes);
            self.service.counts.refused.fetch_add(u64::from(shown.is_some()), Relaxed);
            shown
        });
        if let Some(attempt) = attempt {
            self.service.evidence.record(Attempt { bytes_received: self.watched.received(), ..attempt });
        }
    }
}

/// True if enough came to name what it is.
pub(crate) fn is_enough(bytes: &[u8]) -> bool {
    let first = without_empty_lines(bytes);
    match alien(first) {
        Some("tls-on-plain-port") => sni_of(first).is_some(),
        Some("socks") => first.len() > 1,
        Some("http2") => true,
        _ if !is_text(first) => !first.is_empty(),
        _ if is_http(first) => head_end(first).is_some(),
        _ => first.contains(&b'\n'),
    }
}

/// Surroundings of the bytes.
struct Shown<'a> {
    peer: &'a Peer,
    place: &'a LocalNames,
    guard: &'a Guard,
    ending: Ending,
    is_tls: bool,
}

impl Shown<'_> {
    /// Attempt that these bytes are. `None`: nothing came, or a whole download that was not meant for anybody else.
    fn attempt(&self, bytes: &[u8]) -> Option<Attempt> {
        let first = without_empty_lines(bytes);
        let is_tripwire = self.ending == Ending::Tripwire;
        if first.is_empty() && !is_tripwire {
            return None;
        }
        match alien(first) {
            Some("tls-on-plain-port") => self.tls(first),
            Some(protocol @ "socks") => Some(self.bare(&Label::new(protocol, true), "SOCKS", "")),
            Some(protocol) if !is_tripwire && self.ending != Ending::NotTls => {
                Some(self.bare(&Label::new(protocol, true), protocol, ""))
            }
            Some(protocol) if protocol == "http2" || !is_text(first) => {
                Some(self.bare(&self.ending.label(), protocol, ""))
            }
            _ if is_http(first) => self.request(first),
            _ => {
                let line = first.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
                // A short plain line is a command or a look-up; anything else could be part of a sample.
                let command = line.len() <= LINE && line.iter().all(|b| (0x20..0x7f).contains(b));
                let protocol = if line.is_empty() { "nothing said" } else { "text" };
                let told = if command { str::from_utf8(line).unwrap_or_default() } else { "" };
                Some(self.bare(&self.ending.label(), protocol, told))
            }
        }
    }

    fn bare(&self, label: &Label, protocol: &str, line: &str) -> Attempt {
        attempt(self.peer, label, protocol, line, &HeaderMap::new(), self.ending.status())
    }

    /// A greeting of TLS: by the name it asks for.
    fn tls(&self, first: &[u8]) -> Option<Attempt> {
        let sni = sni_of(first);
        let foreign = sni.as_deref().filter(|name| !is_own(name, self.place));
        let known = foreign.and_then(|name| self.guard.host(name));
        let label = match (self.ending, self.is_tls) {
            // Where TLS is spoken a greeting is what is expected.
            (Ending::TurnedAway, true) => known.or_else(|| foreign.map(|_| Label::new("foreign-name", false)))?,
            (Ending::Tripwire, _) | (_, true) => known.unwrap_or_else(|| self.ending.label()),
            (_, false) => known.unwrap_or_else(|| Label::new("tls-on-plain-port", true)),
        };
        Some(Attempt { sni: sni.clone(), ..self.bare(&label, "TLS", "") })
    }

    /// A request, or the beginning of one: by the name it asks for, then by path, headers and shape.
    fn request(&self, first: &[u8]) -> Option<Attempt> {
        let head = Head::read(first);
        let (method, target) = (head.method.as_str(), head.target.as_str());
        let text = |name: HeaderName| head.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let (authority, path) = match target.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or((Some(rest), "/"), |at| {
                let (authority, path) = rest.split_at(at);
                (Some(authority), path)
            }),
            None if method == "CONNECT" => (Some(target), ""),
            None => (None, target),
        };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let path = single_slashes(path.into());
        // Of several names the one that is known counts: no other can hide it.
        let hosts = head.headers.get_all(header::HOST).iter().filter_map(|host| host.to_str().ok());
        let asked: Vec<&str> = authority.into_iter().chain(hosts).collect();
        let foreign = || asked.iter().copied().filter(|name| !is_own(without_port(name), self.place));
        let known = foreign().find(|name| self.guard.host(without_port(name)).is_some()).or_else(|| foreign().next());
        let host = known.or_else(|| asked.first().copied()).map(|name| base::quoted(name).to_string());
        let known = known.map(without_port);
        let has_length = !text(header::CONTENT_LENGTH).bytes().all(|b| b == b'0');
        let has_body = has_length || head.headers.contains_key(header::TRANSFER_ENCODING);
        let is_download = matches!(method, "GET" | "HEAD") && known.is_none() && !has_body;
        let ask = ShownRequest { method, foreign: known, path: &path, query, content_type: text(header::CONTENT_TYPE) };
        let endpoint =
            known.and_then(|name| self.guard.host(name)).or_else(|| missing(&path, &head.headers, self.guard));
        let label = endpoint.or_else(|| match self.ending {
            Ending::Tripwire => (method == "CONNECT").then(|| Label::new("proxy-connect", true)),
            _ => (!is_download).then(|| self.guard.label(ask, |name| head.headers.contains_key(name))),
        });
        let may_be_ordinary = matches!(self.ending, Ending::Unanswered | Ending::TurnedAway);
        if label.is_none() && may_be_ordinary && head_end(first).is_some() {
            return None;
        }
        let label = label.unwrap_or_else(|| self.ending.label());
        let attempt = attempt(self.peer, &label, method, target, &head.headers, self.ending.status());
        Some(Attempt { host, ..attempt })
    }
}

/// Head of a request, as far as it came.
struct Head {
    method: String,
    target: String,
    headers: HeaderMap,
}

impl Head {
    /// Reads what is there: lines that are no headers are left out, and characters that no header may have are
    /// replaced.
    fn read(first: &[u8]) -> Self {
        let first = head_end(first).and_then(|end| first.get(..end)).unwrap_or(first);
        let mut lines = first.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let line = String::from_utf8_lossy(lines.next().unwrap_or_default());
        let mut words = line.split_ascii_whitespace();
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (method, target) = (word().to_ascii_uppercase(), word());
        let mut headers = HeaderMap::new();
        for line in lines {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (name, value) = line.split_at(colon);
            let value = value.get(1..).unwrap_or_default().trim_ascii().iter();
            let value: Vec<u8> = value.map(|byte| if (0x20..0x7f).contains(byte) { *byte } else { b'?' }).collect();
            let (Ok(name), Ok(value)) = (HeaderName::try_from(name.trim_ascii()), HeaderValue::try_from(value)) else {
                continue;
            };
            // Full: there are more than anybody could look at.
            let _ = headers.try_append(name, value);
        }
        Self { method, target, headers }
    }
}

fn without_empty_lines(bytes: &[u8]) -> &[u8] {
    let begin = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
    bytes.get(begin..).unwrap_or_default()
}

/// True if the bytes begin as lines of text do.
fn is_text(first: &[u8]) -> bool {
    first.first().is_some_and(u8::is_ascii_graphic)
}

/// True if the bytes begin as a request does: a method, and a target behind it.
fn is_http(first: &[u8]) -> bool {
    let line = first.split(|b| *b == b'\n').next().unwrap_or_default();
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let method = words.next().unwrap_or_default();
    let target = words.next().and_then(|target| target.first()).copied().unwrap_or_default();
    let is_target = matches!(target, b'/' | b'*') || target.is_ascii_alphanumeric();
    let is_known = METHODS.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(method));
    let has_version = line.trim_ascii_end().ends_with(b"HTTP/1.1") || line.trim_ascii_end().ends_with(b"HTTP/1.0");
    let is_method = method.len() > 2 && method.iter().all(u8::is_ascii_uppercase);
    is_target && (is_known || is_method && (has_version || !first.contains(&b'\n')))
}
