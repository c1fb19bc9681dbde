//! Routes: which page answers which request, for which reader.

use std::net::{IpAddr, SocketAddr};

use hyper::{HeaderMap, Method};

use super::layout::{ICON, NoticeLink, STYLE, notice};
use super::readers::PageReader;
use super::request::{PageRequest, release_in_path};
use super::response::PageResponse;
use super::{ReviewContext, hand_in, pages};
use base::{Error, Fault};
use config::review::ReviewConfig;

/// Answers a request. Nothing of the state is shown before the reader is known.
pub(crate) fn answer(context: &ReviewContext, request: &PageRequest) -> PageResponse {
    if !is_own_name(&context.config.review, &request.head.headers) {
        let text = "The address in the browser names another host. Open these pages as localhost, by an address of \
                    review.listen, or by a name that config.toml lists under review.names.";
        return notice(421, "Unknown host name", text, NoticeLink::Today);
    }
    if request.path() == "/style.css" {
        return PageResponse::new("text/css; charset=utf-8", STYLE);
    }
    if request.path() == "/icon.svg" {
        return PageResponse::new("image/svg+xml", ICON);
    }
    let Some(reader) = context.readers.find(&request.sender) else {
        let text = format!(
            "You are connected as {}, and config.toml gives no access to it. Ask the administrator of this relay to \
             add a [[review.reader]] with your user or certificate, and a role.",
            request.sender
        );
        return notice(403, "No access to these pages", &text, NoticeLink::Today);
    };
    let made = match request.head.method {
        Method::GET | Method::HEAD => show(context, reader, request),
        Method::POST if !is_own_form(&request.head.headers) => {
            let text = "The form was sent from another web site, so nothing was handed in. Open the release, Keys and \
                        policy or Witnesses on this relay, and hand in there.";
            return notice(403, "The form did not come from this relay", text, NoticeLink::Today);
        }
        Method::POST => hand_in::receive(context, reader, request),
        _ => {
            let text = "These pages answer GET, HEAD and POST only: they show facts and take signed texts.";
            return notice(405, "Method not allowed", text, NoticeLink::Today);
        }
    };
    made.unwrap_or_else(|error| match error {
        Error::Refused(refusal) => {
            let text = format!("{refusal}. {}", refusal.reason.next());
            notice(404, "This cannot be shown", &text, NoticeLink::Today)
        }
        Error::Fault(fault @ Fault::Damaged { .. }) => {
            let text = format!(
                "{fault}. On the relay, run gaprelay fsck, which names everything that is damaged, and gaprelay log \
                 verify, which checks both logs. What is already published keeps being served."
            );
            notice(500, "Data of the relay is damaged", &text, NoticeLink::Today)
        }
        Error::Fault(fault) => {
            let text = format!("{fault}. {}", fault.hint());
            notice(500, "This page could not be made", &text, NoticeLink::Today)
        }
    })
}

fn show(context: &ReviewContext, reader: &PageReader, request: &PageRequest) -> Result<PageResponse, Error> {
    let path = request.path();
    if let Some(id) = path.strip_prefix("/imports/") {
        if let Some(id) = id.strip_suffix("/receipt").and_then(release_in_path) {
            return pages::release::proof(context, &id);
        }
        let (id, file) = id.split_once("/statement").map_or((id, None), |(id, rest)| (id, Some(rest)));
        return match (release_in_path(id), file) {
            (Some(id), None) => pages::release::page(context, reader, request, &id),
            (Some(id), Some(".txt")) => pages::release::statement(context, request, &id),
            _ => Ok(missing()),
        };
    }
    if let Some(digest) = path.strip_prefix("/handed-in/") {
        return hand_in::outcome(context, reader, request, digest);
    }
    if let Some(topic) = path.strip_prefix("/manual/") {
        return Ok(pages::manual::topic(context, reader, topic).unwrap_or_else(missing));
    }
    if path == "/log/export" && reader.sees_evidence() {
        return pages::log::export(context, request).map(|file| file.unwrap_or_else(missing));
    }
    if let Some(entry) = path.strip_prefix("/log/").filter(|_| reader.sees_evidence()) {
        return pages::log::proof(context, entry).map(|proof| proof.unwrap_or_else(missing));
    }
    match path {
        "/" => pages::today::page(context, reader),
        "/imports" => pages::imports::page(context, reader),
        "/manual" => Ok(pages::manual::index(context, reader)),
        "/refusals" if reader.sees_evidence() => pages::refusals::page(context, reader),
        "/agents" if reader.sees_evidence() => pages::agents::page(context, reader),
        "/log" if reader.sees_evidence() => pages::log::page(context, reader, request),
        "/keys" if reader.sees_evidence() => pages::keys::page(context, reader),
        "/witnesses" if reader.sees_evidence() => pages::witnesses::page(context, reader, request),
        "/witnesses/request.txt" if reader.sees_evidence() => pages::witnesses::request_file(context, request),
        "/refusals" | "/agents" | "/log" | "/keys" | "/witnesses" => {
            let text = "Your role is operator. Only officers and auditors see this page.";
            Ok(notice(403, "Your role does not see this page", text, NoticeLink::Today))
        }
        _ => Ok(missing()),
    }
}

fn missing() -> PageResponse {
    let text = "This relay has no page at that address. Every page is in the menu of the page Today.";
    notice(404, "Page not found", text, NoticeLink::Today)
}

/// True if the browser calls this relay by a name of its own: a page that leads here by a trick of DNS does not.
fn is_own_name(review: &ReviewConfig, headers: &HeaderMap) -> bool {
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

/// True if a form of these pages was sent, and not one of another site in the same browser.
fn is_own_form(headers: &HeaderMap) -> bool {
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
    fn only_our_names_and_our_own_forms_are_accepted() {
        let listen = vec!["10.0.0.2:8443".parse().unwrap(), "[fd00::2]:8443".parse().unwrap()];
        let names = ReviewConfig { names: vec!["relay.site.example".to_owned()], listen, ..ReviewConfig::default() };
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
            assert!(is_own_name(&names, &headers(&[("host", host)])), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "localhost:evil", "", "::1", "evil:80"] {
            assert!(!is_own_name(&names, &headers(&[("host", host)])), "{host}");
        }
        assert!(!is_own_name(&names, &headers(&[])));
        for good in [
            &[("host", "localhost:1")][..],
            &[("host", "localhost:1"), ("origin", "http://localhost:1"), ("sec-fetch-site", "same-origin")],
        ] {
            assert!(is_own_form(&headers(good)), "{good:?}");
        }
        for bad in [
            &[("host", "localhost:1"), ("origin", "http://localhost:2")][..],
            &[("host", "localhost:1"), ("origin", "null")],
            &[("host", "localhost:1"), ("sec-fetch-site", "cross-site")],
            &[("host", "localhost:1"), ("sec-fetch-site", "same-site")],
        ] {
            assert!(!is_own_form(&headers(bad)), "{bad:?}");
        }
    }
}
