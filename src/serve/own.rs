//! Pages of the relay itself: the index at `/`, and below `/-/` health, metrics, and the import log's tiles.

use std::collections::BTreeSet;

use bytes::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};

use super::response::{Body, text};
use super::{Server, metrics};
use base::durable;
use tlog::tiles;

/// The answer for `/`, or a path below `/-/` that is in no published set, if there is one; to an agent with this name
/// in its certificate, which is told of no feed but those of its channels.
pub(crate) fn answer(service: &Server, path: &str, certificate: Option<&str>) -> Option<Response<Body>> {
    match path {
        "/" => index(service),
        "/-/health" => Some(health(service, certificate)),
        "/-/metrics" => Some(numbers(service, certificate)),
        _ => log(service, path.strip_prefix("/-/log/import/")?),
    }
}

/// Text of the index at `/`: the program, and the channels that are open to all; nothing before the first publication.
fn index(service: &Server) -> Option<Response<Body>> {
    let index = service.index.load();
    let open = index.feeds.iter().filter(|feed| feed.audience.is_everybody());
    let channels: BTreeSet<String> = open.map(|feed| format!("  /{}/\n", feed.channel)).collect();
    let page = format!(
        "gaprelay: a one-way relay for updates of detection content.\n\
         It only sends files (GET, HEAD). Everything else is refused, and the attempt is recorded.\n\n\
         Channels that are open to all agents; each lists its files in CHANNEL/SHA256SUMS:\n{}\n\
         Health: /-/health   metrics: /-/metrics   import log: /-/log/import/checkpoint\n",
        channels.into_iter().collect::<String>()
    );
    index.is_ready().then(|| text(StatusCode::OK, &page))
}

fn health(service: &Server, certificate: Option<&str>) -> Response<Body> {
    let index = service.index.load();
    if !index.is_ready() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "nothing is published yet\n");
    }
    // Several channels may show a feed.
    let feeds = index.feeds.iter().filter(|feed| feed.audience.has(certificate));
    let lines: BTreeSet<String> =
        feeds.map(|feed| format!("{} {} {}\n", feed.name, feed.version, feed.freshness())).collect();
    text(StatusCode::OK, &format!("ok\n{}", lines.into_iter().collect::<String>()))
}

fn numbers(service: &Server, certificate: Option<&str>) -> Response<Body> {
    let mut response = text(StatusCode::OK, &metrics::show(service, certificate));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(metrics::TYPE));
    response
}

/// Checkpoint, public key and tiles of the import log. Only paths of the one form that the log
/// itself writes are looked at, so no request names a file.
fn log(service: &Server, path: &str) -> Option<Response<Body>> {
    let tile = tiles::is_path(path);
    if !tile && !matches!(path, "checkpoint" | "vkey") {
        return None;
    }
    let bytes = durable::read(&service.published.import_log().join(path), tiles::LONGEST).ok()?;
    let length = HeaderValue::from(bytes.len());
    let mut response = Response::new(Body::new(Bytes::from(bytes)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, length);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(if tile { "application/octet-stream" } else { "text/plain" }),
    );
    let cache = if tile { "max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    Some(response)
}
