//! What the relay says of itself below `/-/`: health, metrics, and the import log's tiles.

use std::fmt::Write as _;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};

use super::Service;
use super::response::{Body, text};
use crate::audit::tiles;
use crate::base::durable;

/// The answer for a path below `/-/` that is not in the index, if there is one.
pub fn answer(service: &Service, path: &str) -> Option<Response<Body>> {
    match path {
        "/-/health" => Some(health(service)),
        "/-/metrics" => Some(text(StatusCode::OK, &metrics(service))),
        _ => log(service, path.strip_prefix("/-/log/import/")?),
    }
}

fn health(service: &Service) -> Response<Body> {
    let index = service.index.load();
    if !index.is_ready() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "nothing is published yet\n");
    }
    let mut words = String::from("ok\n");
    for feed in &index.feeds {
        // Writing to a string cannot fail.
        let _ = writeln!(words, "{} {} {}", feed.name, feed.version, feed.freshness());
    }
    text(StatusCode::OK, &words)
}

/// Prometheus text format 0.0.4.
fn metrics(service: &Service) -> String {
    let counts = &service.counts;
    let mut out = String::new();
    let numbers = [
        ("connections_total", "counter", "Connections accepted.", counts.connections.load(Relaxed)),
        ("connections_open", "gauge", "Connections open now.", service.room.open()),
        (
            "connections_turned_away_total",
            "counter",
            "Connections beyond the limits.",
            counts.turned_away.load(Relaxed),
        ),
        ("requests_total", "counter", "Requests answered.", counts.requests.load(Relaxed)),
        ("requests_refused_total", "counter", "Requests refused and recorded.", counts.refused.load(Relaxed)),
        ("requests_missing_total", "counter", "Requests for what is not there.", counts.missing.load(Relaxed)),
        ("body_bytes_total", "counter", "Bytes of bodies handed to the network.", counts.bytes.load(Relaxed)),
        (
            "load_faults_total",
            "counter",
            "Times a published set could not be loaded.",
            counts.load_faults.load(Relaxed),
        ),
        (
            "evidence_dropped_total",
            "counter",
            "Attempts that were only counted.",
            service.evidence.dropped.load(Relaxed),
        ),
    ];
    for (name, kind, help, value) in numbers {
        let _ = writeln!(out, "# HELP gaprelay_{name} {help}\n# TYPE gaprelay_{name} {kind}\ngaprelay_{name} {value}");
    }
    let index = service.index.load();
    let _ = writeln!(out, "# HELP gaprelay_feed_version The version served.\n# TYPE gaprelay_feed_version gauge");
    for feed in &index.feeds {
        let labels = format!("feed=\"{}\",freshness=\"{}\"", feed.name, feed.freshness());
        let _ = writeln!(out, "gaprelay_feed_version{{{labels}}} {}", feed.version);
    }
    out
}

/// Checkpoint, public key and tiles of the import log. Only paths of the one form that the log
/// itself writes are looked at, so no request names a file.
fn log(service: &Service, path: &str) -> Option<Response<Body>> {
    let tile = tiles::is_path(path);
    if !tile && !matches!(path, "checkpoint" | "vkey") {
        return None;
    }
    let bytes = durable::read(&service.state.import_log().join(path), tiles::LONGEST).ok()?;
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
