//! Decision on a request: the one function that decides between serving and refusing.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Method, Request, StatusCode, Version};

use guard::{Guard, Label, ShownRequest, is_git_push};

/// Names and address of the relay to which a request came.
#[derive(Clone, Debug)]
pub struct LocalNames {
    /// Host names the relay is called by, lower case, without ports.
    pub names: Arc<[String]>,
    /// The address the connection came to, which is one of them.
    pub local: IpAddr,
}

/// Decision on a request.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub enum RequestDecision<'a> {
    /// Look the decoded path up. A label is recorded all the same: the files behind a push are
    /// served like any others.
    Serve(Cow<'a, str>, Option<Label>),
    /// Answer with this status, close, and record.
    Refuse(StatusCode, Label),
}

/// Decides. The numbers are those of the requirements list: what agents need, what is refused.
pub fn decide<'a, B>(request: &'a Request<B>, place: &LocalNames, guard: &Guard) -> RequestDecision<'a> {
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    let count = |name: HeaderName| headers.get_all(name).iter().count();
    let text = |name: HeaderName| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let host = headers.get(header::HOST).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let asked = uri.authority().map(|a| Cow::Borrowed(a.as_str())).or(host);
    let foreign = asked.as_deref().map(without_port).filter(|name| !is_own(name, place));
    let shown_path = single_slashes(uri.path().into());
    let ask = ShownRequest {
        method: method.as_str(),
        foreign,
        path: &shown_path,
        query: uri.query().unwrap_or_default(),
        content_type: text(header::CONTENT_TYPE),
    };
    let label = || guard.label(ask, |name| headers.contains_key(name));

    // R26: shapes that two readers could take for two requests.
    let both = headers.contains_key(header::CONTENT_LENGTH) && headers.contains_key(header::TRANSFER_ENCODING);
    if both || count(header::CONTENT_LENGTH) > 1 || count(header::HOST) > 1 || count(header::TRANSFER_ENCODING) > 1 {
        return RequestDecision::Refuse(StatusCode::BAD_REQUEST, Label::new("smuggling", true));
    }
    // R20: nothing but GET and HEAD.
    if *method != Method::GET && *method != Method::HEAD {
        return RequestDecision::Refuse(StatusCode::METHOD_NOT_ALLOWED, label());
    }
    // R21: a name that is not ours is never forwarded to.
    if foreign.is_some() {
        return RequestDecision::Refuse(StatusCode::MISDIRECTED_REQUEST, label());
    }
    // R12: a body has no place in a download; a declared length of zero is none.
    let length = text(header::CONTENT_LENGTH);
    let body = headers.contains_key(header::TRANSFER_ENCODING)
        || (headers.contains_key(header::CONTENT_LENGTH) && !length.bytes().all(|b| b == b'0'));
    if body {
        return RequestDecision::Refuse(StatusCode::BAD_REQUEST, label());
    }
    // R11: only HTTP/1.0 may leave out the host (RFC 9112, section 3.2).
    if !headers.contains_key(header::HOST) && request.version() >= Version::HTTP_11 {
        return RequestDecision::Refuse(StatusCode::BAD_REQUEST, Label::new("no-host", false));
    }
    // R9, R10: the query does not choose the file; the path is decoded once. Several slashes are one.
    let Some(path) = decode(uri.path()).map(single_slashes) else {
        return RequestDecision::Refuse(StatusCode::BAD_REQUEST, Label::new("path-encoding", false));
    };
    // R22: files are served whatever headers come along; only what is not there is looked at for
    // the paths of submission clients (see `missing`).
    let push = is_git_push(ask.query).then(|| Label::new("git-push", true));
    RequestDecision::Serve(path, push)
}

/// The label of a GET for something that is not there, if only a submission client asks for it.
pub fn missing(path: &str, headers: &HeaderMap, guard: &Guard) -> Option<Label> {
    guard.path(path).or_else(|| guard.header(|name| headers.contains_key(name)))
}

/// The name without its port, and an IPv6 address without its brackets.
pub fn without_port(authority: &str) -> &str {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if let Some(inside) = host.strip_prefix('[') {
        return inside.split(']').next().unwrap_or(inside);
    }
    host.rsplit_once(':').map_or(
        host,
        |(name, port)| {
            if port.bytes().all(|b| b.is_ascii_digit()) { name } else { host }
        },
    )
}

/// True if the relay has this name.
pub fn is_own(name: &str, place: &LocalNames) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical() == place.local.to_canonical())
        || place.names.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Path with one slash where several stand: stock clients join a base that ends in a slash with a path that begins with
/// one.
pub(crate) fn single_slashes(path: Cow<'_, str>) -> Cow<'_, str> {
    if !path.contains("//") {
        return path;
    }
    let mut single = path.into_owned();
    let mut before = None;
    single.retain(|character| before.replace(character) != Some('/') || character != '/');
    Cow::Owned(single)
}

/// Percent-decodes a path once (RFC 3986, section 2.1); `None` if it is not UTF-8 then, or broken.
fn decode(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (hex, after) = rest.split_first_chunk::<2>()?;
        let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let [high, low] = *hex;
        bytes.push(digit(high)? << 4 | digit(low)?);
        rest = after;
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide_on(method: &str, uri: &str, headers: &[(&str, &str)]) -> RequestDecision<'static> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        // HTTP/1.0 unless there is a host, or an upload, which is refused as one with or without it.
        let new = method == "POST" || headers.iter().any(|(name, _)| *name == "host");
        let request = request.version(if new { Version::HTTP_11 } else { Version::HTTP_10 }).body(()).unwrap();
        let place = LocalNames { names: ["relay.example".into()].into(), local: IpAddr::from([127, 0, 0, 1]) };
        match decide(&request, &place, &Guard::shipped().unwrap()) {
            RequestDecision::Serve(path, label) => RequestDecision::Serve(path.into_owned().into(), label),
            RequestDecision::Refuse(status, label) => RequestDecision::Refuse(status, label),
        }
    }

    fn refused(decision: RequestDecision<'_>) -> (u16, String) {
        match decision {
            RequestDecision::Refuse(status, label) => (status.as_u16(), label.name),
            RequestDecision::Serve(path, _) => (200, path.into_owned()),
        }
    }

    #[test]
    fn served() {
        for (uri, headers, path) in [
            ("/c/a.cvd", vec![("host", "relay.example:8080")], "/c/a.cvd"),
            ("/c/a.cvd", vec![("host", "127.0.0.1")], "/c/a.cvd"),
            ("/c/a.cvd", vec![], "/c/a.cvd"),
            ("http://RELAY.example/c/a.cvd", vec![("host", "other")], "/c/a.cvd"),
            ("/c/a%20b+c%25.cvd?version=7", vec![], "/c/a b+c%.cvd"),
            ("//c///a%2f/b.cvd", vec![], "/c/a/b.cvd"),
            ("/c//../%2e%2e//a", vec![], "/c/../../a"),
            ("/c/a.cvd", vec![("content-length", "0")], "/c/a.cvd"),
            ("/c/a.cvd", vec![("upgrade", "h2c"), ("connection", "Upgrade")], "/c/a.cvd"),
        ] {
            assert_eq!(refused(decide_on("GET", uri, &headers)), (200, path.to_owned()), "{uri} {headers:?}");
        }
        let push = decide_on("GET", "/info/refs?service=git-receive-pack", &[]);
        assert_eq!(push, RequestDecision::Serve("/info/refs".into(), Some(Label::new("git-push", true))));
    }

    #[test]
    fn not_served() {
        let multipart = ("content-type", "multipart/form-data; boundary=x");
        for (method, uri, headers, status, label) in [
            ("POST", "/x", vec![multipart], 405, "form-upload"),
            ("PUT", "/x", vec![], 405, "upload"),
            ("PROPFIND", "/x", vec![], 405, "webdav"),
            ("DELETE", "/x", vec![], 405, "method"),
            ("CONNECT", "www.clamav.net:443", vec![], 405, "clamav-submit"),
            ("CONNECT", "relay.example:443", vec![], 405, "proxy-connect"),
            ("GET", "http://www.virustotal.com/x", vec![], 421, "virustotal"),
            ("GET", "/daily.cvd", vec![("host", "database.clamav.net")], 421, "clamav-update"),
            ("GET", "/x", vec![("host", "127.0.0.2")], 421, "foreign-name"),
            ("GET", "/x", vec![("content-length", "5")], 400, "request-body"),
            ("GET", "/x", vec![("transfer-encoding", "chunked")], 400, "request-body"),
            ("GET", "/x", vec![("transfer-encoding", "chunked"), ("content-length", "5")], 400, "smuggling"),
            ("GET", "/x", vec![("content-length", "5"), ("content-length", "6")], 400, "smuggling"),
            ("GET", "/x", vec![("host", "relay.example"), ("host", "evil")], 400, "smuggling"),
            ("GET", "/%zz", vec![], 400, "path-encoding"),
            ("GET", "/%ff", vec![], 400, "path-encoding"),
        ] {
            let decision = refused(decide_on(method, uri, &headers));
            assert_eq!(decision, (status, label.to_owned()), "{method} {uri} {headers:?}");
        }
    }
}
