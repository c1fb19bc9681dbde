//! Request heads: the decision never panics, and nothing but GET and HEAD is ever served.
#![no_main]

use std::net::IpAddr;

use guard::Guard;
use serve::request::{RequestDecision, LocalNames, decide, missing};
use serve::{range, first_bytes};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = first_bytes::alien(data);
    let mut lines = data.split(|b| *b == b'\n');
    let mut first = lines.next().unwrap_or_default().splitn(2, |b| *b == b' ');
    let Ok(method) = Method::from_bytes(first.next().unwrap_or_default()) else { return };
    let Ok(uri) = Uri::try_from(first.next().unwrap_or_default()) else { return };
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    for line in lines.take(20) {
        let mut parts = line.splitn(2, |b| *b == b':');
        let name = HeaderName::from_bytes(parts.next().unwrap_or_default());
        let value = HeaderValue::from_bytes(parts.next().unwrap_or_default());
        if let (Ok(name), Ok(value)) = (name, value) {
            let _ = range::wanted(value.to_str().unwrap_or_default(), data.len() as u64);
            request.headers_mut().append(name, value);
        }
    }
    let guard = Guard::shipped().unwrap();
    let place = LocalNames { names: ["relay.example".into()].into(), local: IpAddr::from([127, 0, 0, 1]) };
    if let RequestDecision::Serve(path, _) = decide(&request, &place, &guard) {
        assert!(request.method() == Method::GET || request.method() == Method::HEAD);
        let _ = missing(&path, request.headers(), &guard);
    }
});
