//! Settings of the server: the `[serve]` table of a config.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use base::limits::Bytes;
use base::span::Span;
use serde::Deserialize;

/// Settings of the server for agents.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Addresses to listen on, as `IP:PORT`. Default `127.0.0.1:8080`. `--listen` replaces them.
    pub listen: Vec<SocketAddr>,
    /// Addresses on which nothing is served and every connection is recorded: where vendors' agents and
    /// proxies' clients knock, such as 80, 443, 3128, 8080, 1080, 21. None by default.
    pub tripwires: Vec<SocketAddr>,
    /// Host names and addresses that agents call the relay by. The address a connection came to is
    /// one always; any other is a foreign name, refused and recorded. Ports are ignored.
    pub names: Vec<String>,
    /// Certificate chain in PEM. With `tls_key`, all listeners speak TLS 1.2 and 1.3 only.
    pub tls_certificate: Option<PathBuf>,
    /// Private key in PEM.
    pub tls_key: Option<PathBuf>,
    /// Certificates of the authorities that issue agents' certificates, in PEM.
    pub client_authorities: Option<PathBuf>,
    /// Revocation lists of those authorities in PEM: the name of a file in the state's `tls` folder. It is read again
    /// when it changes, while the server runs; a certificate on it, or of an authority without a list, is turned away.
    pub client_revocations: Option<String>,
    /// True: an agent without a certificate is turned away. Default false.
    pub client_certificate_required: bool,
    /// Path of a list of vendors' endpoints (kind `gaprelay-endpoints`) in the channels, as
    /// `CHANNEL/PATH`: it is added to the one that ships with the program. Only that one, if left out.
    pub endpoints: Option<String>,
    /// Most connections at one time. Default 4096; who has most gives way to who has fewer, others get 503.
    pub connections: u64,
    /// Most connections at one time of one agent: by the name in its certificate, else by its address, of IPv6 the
    /// network (/64). Default 256; beyond, its own idle ones end, and if none is idle it gets 503.
    pub connections_per_address: u64,
    /// Time limit for a request's head, and for an idle connection. Default 30 s.
    pub header_timeout: Span,
    /// Time limit for an answer that stands still because the agent does not read. Default 60 s.
    pub stall_timeout: Span,
    /// Time that downloads may go on after a stop was asked for. Default 20 s.
    pub grace: Span,
    /// Most bytes of evidence kept before the keeper has taken it into the log. Default 64 MiB, at most 1 GiB.
    pub journal: Bytes,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 8080)],
            tripwires: Vec::new(),
            names: vec!["localhost".into()],
            tls_certificate: None,
            tls_key: None,
            client_authorities: None,
            client_revocations: None,
            client_certificate_required: false,
            endpoints: None,
            connections: 4096,
            connections_per_address: 256,
            header_timeout: Span(Duration::from_secs(30)),
            stall_timeout: Span(Duration::from_mins(1)),
            grace: Span(Duration::from_secs(20)),
            journal: Bytes(64 << 20),
        }
    }
}
