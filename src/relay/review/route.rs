//! From a request to a page: who asks, by which name, for what.

use std::net::{IpAddr, SocketAddr};

use form_urlencoded::parse;
use hyper::body::Bytes;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};

use super::frame::{Answer, ICON, Next, STYLE, notice};
use super::readers::{Reader, Who};
use super::{Desk, hand_in, pages};
use base::{Error, Fault};
use bundle::ReleaseId;
use config::review::Review;

/// A request.
pub struct Asked {
    /// Its head.
    pub head: Parts,
    /// Its body, if it hands something in.
    pub handed_in: Bytes,
    /// Who is at the other end.
    pub who: Who,
}

impl Asked {
    /// The path, which always begins with a slash.
    pub fn path(&self) -> &str {
        self.head.uri.path()
    }

    /// A field of the query; empty if there is none.
    pub fn field(&self, name: &str) -> String {
        let query = self.head.uri.query().unwrap_or_default();
        parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
    }
}

/// Answers a request. Nothing of the state is shown before it is known who asks.
pub fn answer(desk: &Desk, asked: &Asked) -> Answer {
    if !is_ours(&desk.config.review, &asked.head.headers) {
        let text = "These pages are shown as localhost, or by a name that the config lists under review.names.";
        return notice(421, "Not this name", text, Next::Today);
    }
    if asked.path() == "/style.css" {
        return Answer::of("text/css; charset=utf-8", STYLE);
    }
    if asked.path() == "/icon.svg" {
        return Answer::of("image/svg+xml", ICON);
    }
    let Some(reader) = desk.readers.of(&asked.who) else {
        let text = format!(
            "The config names no reader with {}. Whoever keeps this relay can add one: [[review.reader]] with user or certificate, and role.",
            asked.who
        );
        return notice(403, "These pages are not for you", &text, Next::Today);
    };
    let made = match asked.head.method {
        Method::GET | Method::HEAD => show(desk, reader, asked),
        Method::POST if !comes_from_us(&asked.head.headers) => {
            let text = "What is handed in must come from a page of this relay. Open it there, and hand in again.";
            return notice(403, "Handed in from elsewhere", text, Next::Today);
        }
        Method::POST => hand_in::receive(desk, reader, asked),
        _ => return notice(405, "Not possible here", "Pages are read, and signed statements handed in.", Next::Today),
    };
    made.unwrap_or_else(|error| match error {
        Error::Refused(refusal) => notice(404, "Not shown", &refusal.to_string(), Next::Today),
        Error::Fault(fault @ Fault::Damaged { .. }) => {
            let text = format!("{fault}. Run gaprelay fsck and gaprelay log verify on the relay.");
            notice(500, "The state is damaged", &text, Next::Today)
        }
        Error::Fault(fault) => notice(500, "This page could not be made", &fault.to_string(), Next::Today),
    })
}

fn show(desk: &Desk, reader: &Reader, asked: &Asked) -> Result<Answer, Error> {
    let path = asked.path();
    if let Some(id) = path.strip_prefix("/imports/") {
        if let Some(id) = id.strip_suffix("/receipt").and_then(release) {
            return pages::release::proof(desk, &id);
        }
        let (id, what) = id.split_once("/statement").map_or((id, None), |(id, rest)| (id, Some(rest)));
        return match (release(id), what) {
            (Some(id), None) => pages::release::page(desk, reader, asked, &id),
            (Some(id), Some(".txt")) => pages::release::statement(desk, asked, &id),
            _ => Ok(missing()),
        };
    }
    if let Some(digest) = path.strip_prefix("/handed-in/") {
        return hand_in::outcome(desk, reader, asked, digest);
    }
    if path == "/log/export" && reader.sees_evidence() {
        return pages::log::export(desk, asked).map(|file| file.unwrap_or_else(missing));
    }
    if let Some(entry) = path.strip_prefix("/log/").filter(|_| reader.sees_evidence()) {
        return pages::log::proof(desk, entry).map(|proof| proof.unwrap_or_else(missing));
    }
    match path {
        "/" => pages::today::page(desk, reader),
        "/imports" => pages::imports::page(desk, reader),
        "/refusals" if reader.sees_evidence() => pages::refusals::page(desk, reader),
        "/agents" if reader.sees_evidence() => pages::agents::page(desk, reader),
        "/log" if reader.sees_evidence() => pages::log::page(desk, reader, asked),
        "/keys" if reader.sees_evidence() => pages::keys::page(desk, reader),
        "/witnesses" if reader.sees_evidence() => pages::witnesses::page(desk, reader, asked),
        "/witnesses/request.txt" if reader.sees_evidence() => {
            pages::witnesses::request(desk, asked).map(|request| request.unwrap_or_else(missing))
        }
        "/refusals" | "/agents" | "/log" | "/keys" | "/witnesses" => {
            Ok(notice(403, "Not for this role", "Officers and auditors see this page; operators do not.", Next::Today))
        }
        _ => Ok(missing()),
    }
}

fn missing() -> Answer {
    notice(404, "There is no such page", "The menu has them all.", Next::Today)
}

/// `FEED/VERSION` as a path has it.
pub fn release(path: &str) -> Option<ReleaseId> {
    path.parse().ok()
}

/// Whether the browser calls us by a name of ours: one that leads here by a trick of DNS does not.
fn is_ours(review: &Review, headers: &HeaderMap) -> bool {
    let Some(host) = headers.get("host").and_then(|host| host.to_str().ok()) else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let listens = |address: &SocketAddr| match address.ip() {
        IpAddr::V4(ip) => ip.to_string() == name,
        IpAddr::V6(ip) => format!("[{ip}]") == name,
    };
    let names = ["localhost", "127.0.0.1", "[::1]"].into_iter().chain(review.names.iter().map(String::as_str));
    names.into_iter().any(|own| own.eq_ignore_ascii_case(name)) || review.listen.iter().any(listens)
}

/// Whether a form of ours was sent, and not one of another site in the same browser.
fn comes_from_us(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let site = text("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none");
    let origin = text("origin").and_then(|origin| Some(origin.split_once("://")?.1));
    site && (headers.get("origin").is_none() || origin == text("host"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_by_our_names_and_from_our_pages() {
        let listen = vec!["10.0.0.2:8443".parse().unwrap(), "[fd00::2]:8443".parse().unwrap()];
        let names = Review { names: vec!["relay.site.example".to_owned()], listen, ..Review::default() };
        for host in [
            "localhost",
            "localhost:8443",
            "127.0.0.1:1",
            "[::1]:80",
            "[::1]",
            "RELAY.site.example:80",
            "10.0.0.2:8443",
            "[fd00::2]:1",
        ] {
            assert!(is_ours(&names, &headers(&[("host", host)])), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "localhost:evil", "", "::1", "evil:80"] {
            assert!(!is_ours(&names, &headers(&[("host", host)])), "{host}");
        }
        assert!(!is_ours(&names, &headers(&[])));
        for good in [
            &[("host", "localhost:1")][..],
            &[("host", "localhost:1"), ("origin", "http://localhost:1"), ("sec-fetch-site", "same-origin")],
        ] {
            assert!(comes_from_us(&headers(good)), "{good:?}");
        }
        for bad in [
            &[("host", "localhost:1"), ("origin", "http://localhost:2")][..],
            &[("host", "localhost:1"), ("origin", "null")],
            &[("host", "localhost:1"), ("sec-fetch-site", "cross-site")],
            &[("host", "localhost:1"), ("sec-fetch-site", "same-site")],
        ] {
            assert!(!comes_from_us(&headers(bad)), "{bad:?}");
        }
    }
}
