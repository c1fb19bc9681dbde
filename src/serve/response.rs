//! Answers: a file whole or in part, validators (RFC 9110, sections 8.8, 13 and 14), and short plain
//! words for everything else.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::index::ServedItem;
use super::range::{WantedRange, wanted};
use base::Timestamp;

/// The body of every answer: bytes that are all there before the first is sent.
pub(crate) type Body = Full<Bytes>;

const FRESHNESS: HeaderName = HeaderName::from_static("gaprelay-freshness");

/// Result of a request's conditions for a file.
#[derive(Debug, PartialEq, Eq)]
enum Condition {
    Send,
    NotModified,
    Failed,
}

/// A file, as the request's conditions and range ask for it. `head` leaves the body out.
pub(crate) fn file(item: &Arc<ServedItem>, headers: &HeaderMap, head: bool, now: Timestamp) -> Response<Body> {
    // A date ahead of our clock is not shown and not compared: it must never pass Date.
    let dated = item.modified <= now;
    let (status, range) = match condition(item, headers, dated) {
        Condition::NotModified => (StatusCode::NOT_MODIFIED, None),
        Condition::Failed => {
            return text(StatusCode::PRECONDITION_FAILED, "the file has changed\n");
        }
        Condition::Send => match part(item, headers, head, dated) {
            WantedRange::Whole => (StatusCode::OK, None),
            WantedRange::Part(first, last) => (StatusCode::PARTIAL_CONTENT, Some((first, last))),
            WantedRange::Nothing => (StatusCode::RANGE_NOT_SATISFIABLE, None),
        },
    };
    let length = item.bytes.len() as u64;
    let body = match (status, range) {
        (StatusCode::NOT_MODIFIED | StatusCode::RANGE_NOT_SATISFIABLE, _) => Bytes::new(),
        (_, Some((first, last))) => slice(&item.bytes, first, last),
        _ => item.bytes.clone(),
    };
    let body_length = body.len();
    let mut response = Response::new(if head { Body::default() } else { Body::new(body) });
    *response.status_mut() = status;
    let out = response.headers_mut();
    out.reserve(8);
    out.insert(header::ETAG, item.etag.clone());
    if dated {
        out.insert(header::LAST_MODIFIED, item.last_modified.clone());
    }
    out.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if item.immutable {
        out.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=31536000, immutable"));
    }
    if let Some(feed) = &item.feed {
        out.insert(FRESHNESS, HeaderValue::from_static(feed.freshness()));
    }
    if status == StatusCode::NOT_MODIFIED {
        return response;
    }
    out.insert(header::CONTENT_TYPE, item.content_type.clone());
    out.insert(header::CONTENT_LENGTH, HeaderValue::from(body_length));
    let said = match (status, range) {
        (StatusCode::RANGE_NOT_SATISFIABLE, _) => Some(format!("bytes */{length}")),
        (_, Some((first, last))) => Some(format!("bytes {first}-{last}/{length}")),
        _ => None,
    };
    if let Some(value) = said.and_then(|said| HeaderValue::try_from(said).ok()) {
        out.insert(header::CONTENT_RANGE, value);
    }
    response
}

fn slice(bytes: &Bytes, first: u64, last: u64) -> Bytes {
    match (usize::try_from(first), usize::try_from(last)) {
        (Ok(first), Ok(last)) if first <= last && last < bytes.len() => bytes.slice(first..=last),
        _ => Bytes::new(),
    }
}

/// RFC 9110, section 13.2.2: tags before dates, what must match before what must not.
fn condition(item: &ServedItem, headers: &HeaderMap, dated: bool) -> Condition {
    if headers.is_empty() {
        return Condition::Send;
    }
    let date = |name| {
        let value = headers.get(name)?.to_str().ok()?;
        let at = httpdate::parse_http_date(value).ok()?;
        Some(at.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    };
    if let Some(tags) = headers.get(header::IF_MATCH) {
        if !matches_tag(tags, item, Compare::Strong) {
            return Condition::Failed;
        }
    } else if date(header::IF_UNMODIFIED_SINCE).is_some_and(|since| !dated || item.modified.secs() > since) {
        return Condition::Failed;
    }
    if headers.contains_key(header::IF_NONE_MATCH) {
        let any = headers.get_all(header::IF_NONE_MATCH).iter().any(|tags| matches_tag(tags, item, Compare::Weak));
        return if any { Condition::NotModified } else { Condition::Send };
    }
    match date(header::IF_MODIFIED_SINCE) {
        Some(since) if dated && item.modified.secs() <= since => Condition::NotModified,
        _ => Condition::Send,
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Compare {
    Strong,
    Weak,
}

fn matches_tag(tags: &HeaderValue, item: &ServedItem, compare: Compare) -> bool {
    let (tags, own) = (tags.as_bytes(), item.etag.as_bytes());
    tags.trim_ascii() == b"*"
        || tags.split(|b| *b == b',').any(|tag| {
            let tag = tag.trim_ascii();
            let tag = if compare == Compare::Weak { tag.strip_prefix(b"W/").unwrap_or(tag) } else { tag };
            tag == own
        })
}

/// The range asked for; a HEAD, or an If-Range that does not hold, makes it the whole.
fn part(item: &ServedItem, headers: &HeaderMap, head: bool, dated: bool) -> WantedRange {
    let Some(range) = headers.get(header::RANGE).filter(|_| !head).and_then(|v| v.to_str().ok()) else {
        return WantedRange::Whole;
    };
    if let Some(validator) = headers.get(header::IF_RANGE) {
        let same = *validator == item.etag || (dated && *validator == item.last_modified);
        if !same {
            return WantedRange::Whole;
        }
    }
    wanted(range, item.bytes.len() as u64)
}

/// A short plain answer.
pub(crate) fn text(status: StatusCode, words: &str) -> Response<Body> {
    let mut response = Response::new(Body::new(Bytes::from(words.to_owned())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(words.len()));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
    }
    response
}

/// The answer to what is refused: the connection ends with it.
pub(crate) fn refusal(status: StatusCode) -> Response<Body> {
    let words = match status {
        StatusCode::METHOD_NOT_ALLOWED => "This relay only sends files (GET, HEAD). The attempt was recorded.\n",
        StatusCode::MISDIRECTED_REQUEST => "This relay answers only for its own names. The attempt was recorded.\n",
        StatusCode::NOT_FOUND => "Not found.\n",
        _ => "This request does not ask for a download. The attempt was recorded.\n",
    };
    let mut response = text(status, words);
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audience::Audience;
    use base::Digest;

    fn item() -> Arc<ServedItem> {
        Arc::new(ServedItem {
            stored: None,
            bytes: Bytes::from_static(b"0123456789"),
            etag: HeaderValue::try_from(format!("\"{}\"", Digest::of(b"x"))).unwrap(),
            modified: Timestamp::from_secs(1_000_000_000),
            last_modified: HeaderValue::from_static("Sun, 09 Sep 2001 01:46:40 GMT"),
            content_type: HeaderValue::from_static("application/octet-stream"),
            immutable: false,
            feed: None,
            is_side_file: false,
            audience: Audience::default(),
        })
    }

    fn get(headers: &[(HeaderName, &str)], now: u64) -> Response<Body> {
        let headers = headers.iter().map(|(n, v)| (n.clone(), v.parse().unwrap())).collect();
        file(&item(), &headers, false, Timestamp::from_secs(now))
    }

    const LATER: u64 = 1_000_000_100;

    #[test]
    fn conditions() {
        let tag = item().etag.to_str().unwrap().to_owned();
        let (since, none) = (header::IF_MODIFIED_SINCE, header::IF_NONE_MATCH);
        let same = "Sun, 09 Sep 2001 01:46:40 GMT";
        let before = "Sun, 09 Sep 2001 01:46:39 GMT";
        assert_eq!(get(&[(since.clone(), same)], LATER).status(), 304);
        assert_eq!(get(&[(since.clone(), before)], LATER).status(), 200);
        assert_eq!(get(&[(since.clone(), "yesterday")], LATER).status(), 200);
        // The tag wins over the date.
        assert_eq!(get(&[(none.clone(), "\"other\""), (since.clone(), same)], LATER).status(), 200);
        assert_eq!(get(&[(none.clone(), &tag), (since.clone(), before)], LATER).status(), 304);
        assert_eq!(get(&[(none, &format!("\"a\", W/{tag}"))], LATER).status(), 304);
        assert_eq!(get(&[(header::IF_MATCH, "\"other\"")], LATER).status(), 412);
        // Published ahead of our clock: no date is shown or compared.
        let early = get(&[(since, same)], 999_999_999);
        assert_eq!((early.status().as_u16(), early.headers().get(header::LAST_MODIFIED)), (200, None));
    }

    #[test]
    fn parts() {
        let range = |r| get(&[(header::RANGE, r)], LATER);
        let said = |r: &Response<Body>| r.headers().get(header::CONTENT_RANGE).map(|v| v.to_str().unwrap().to_owned());
        let part = range("bytes=2-3");
        assert_eq!((part.status().as_u16(), said(&part)), (206, Some("bytes 2-3/10".into())));
        assert_eq!(part.headers()[header::CONTENT_LENGTH], "2");
        let none = range("bytes=10-");
        assert_eq!((none.status().as_u16(), said(&none)), (416, Some("bytes */10".into())));
        let stale = get(&[(header::RANGE, "bytes=2-3"), (header::IF_RANGE, "\"old\"")], LATER);
        assert_eq!(stale.status(), 200);
        let dated = get(&[(header::RANGE, "bytes=2-3"), (header::IF_RANGE, "Sun, 09 Sep 2001 01:46:40 GMT")], LATER);
        assert_eq!(dated.status(), 206);
    }
}
