//! Other end of a connection, and the record of what it attempted.

use std::net::SocketAddr;

use hyper::header::{self, HeaderMap, HeaderName};
use rustls::server::Acceptor;

use crate::journal::{Attempt, ClaimedCertificate};
use base::{clock, quoted};
use guard::Label;

/// Other end of a connection, and the address it came to.
#[derive(Clone)]
pub struct Peer {
    /// The agent's address.
    pub agent: SocketAddr,
    /// The address it came to.
    pub listener: SocketAddr,
    /// Server name asked for in TLS.
    pub sni: Option<String>,
    /// Name of its certificate, which was verified.
    pub certificate: Option<String>,
    /// Certificate that it showed, which was not.
    pub claimed: Option<ClaimedCertificate>,
}

/// Server name in the first bytes of a TLS client hello, if they are one.
pub fn sni_of(mut first: &[u8]) -> Option<String> {
    let mut acceptor = Acceptor::default();
    acceptor.read_tls(&mut first).ok()?;
    let accepted = acceptor.accept().ok()??;
    accepted.client_hello().server_name().map(|name| quoted(name).to_string())
}

/// Record of an attempt. Everything the other side wrote is escaped and cut; what may be a
/// credential is not kept.
pub fn attempt(peer: &Peer, label: &Label, method: &str, target: &str, headers: &HeaderMap, status: u16) -> Attempt {
    let said = |name: HeaderName| {
        let value = headers.get(name)?;
        Some(quoted(&String::from_utf8_lossy(value.as_bytes())).to_string())
    };
    let length = said(header::CONTENT_LENGTH);
    let chunked = headers.contains_key(header::TRANSFER_ENCODING).then(|| "chunked".to_owned());
    Attempt {
        id: 0,
        by: None,
        at: clock::now(),
        count: 1,
        label: label.name.clone(),
        submission: label.submission,
        agent: peer.agent.ip().to_canonical().to_string(),
        port: peer.agent.port(),
        certificate: peer.certificate.clone(),
        claimed_certificate: peer.claimed.clone(),
        listener: peer.listener.to_string(),
        sni: peer.sni.as_deref().map(|sni| quoted(sni).to_string()),
        method: quoted(method).to_string(),
        target: quoted(&redacted(target)).to_string(),
        host: said(header::HOST),
        user_agent: said(header::USER_AGENT),
        declared_length: length.or(chunked),
        declared_type: said(header::CONTENT_TYPE),
        status,
        bytes_received: 0,
    }
}

/// The target without what looks like a credential: user and password of an authority, and the
/// values of query parameters called key, token and the like.
fn redacted(target: &str) -> String {
    const SECRET: &[&str] = &["key", "token", "secret", "password", "passwd", "auth", "signature", "credential", "sig"];
    let (before, query) = match target.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (target, None),
    };
    let before = match before.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once('@')?))) {
        Some((scheme, (user, rest))) if !user.contains('/') => {
            format!("{scheme}://[redacted]@{rest}")
        }
        _ => before.to_owned(),
    };
    let Some(query) = query else { return before };
    let pairs: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if SECRET.iter().any(|word| name.to_ascii_lowercase().contains(word)) => {
                format!("{name}=[redacted]")
            }
            _ => pair.to_owned(),
        })
        .collect();
    format!("{before}?{}", pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use crate::peer::*;

    #[test]
    fn credentials_are_not_kept() {
        assert_eq!(redacted("/a?x=1&apikey=SECRET&Token=T"), "/a?x=1&apikey=[redacted]&Token=[redacted]");
        assert_eq!(redacted("http://u:p@host/a"), "http://[redacted]@host/a");
        assert_eq!(redacted("http://host/a@b"), "http://host/a@b");
    }
}
