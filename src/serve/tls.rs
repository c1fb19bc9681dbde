//! TLS 1.2 and 1.3 with optional client certificates, from files in PEM.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::base::{Digest, Fault, quoted};
use crate::config;

/// Whether who connects must have a certificate of these authorities.
#[derive(Clone, Copy)]
pub enum Clients<'a> {
    /// Nobody is asked for one.
    Anybody,
    /// Who has one is known by it.
    Known(&'a Path),
    /// Who has none is turned away.
    Required(&'a Path),
}

/// The TLS side of the server's config; `None` if the listeners are plain.
pub fn load(serve: &config::Serve) -> Result<Option<Arc<ServerConfig>>, Fault> {
    let (Some(certificate), Some(key)) = (&serve.tls_certificate, &serve.tls_key) else {
        return Ok(None);
    };
    let clients = match &serve.client_authorities {
        None => Clients::Anybody,
        Some(path) if serve.client_certificate_required => Clients::Required(path),
        Some(path) => Clients::Known(path),
    };
    server(certificate, key, clients).map(Some)
}

/// TLS 1.2 and 1.3 for HTTP/1.1. Fault: a file is not what it should be.
pub fn server(certificate: &Path, key: &Path, clients: Clients<'_>) -> Result<Arc<ServerConfig>, Fault> {
    let wrong = |path: &Path, e: &dyn std::fmt::Display| Fault::Config(format!("{}: {e}", path.display()));
    let chain = certificates(certificate)?;
    let key_der = PrivateKeyDer::from_pem_file(key).map_err(|e| wrong(key, &e))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|_| Fault::Internal("TLS 1.2 and 1.3 are not there"))?;
    let builder = match clients {
        Clients::Anybody => builder.with_no_client_auth(),
        Clients::Known(path) | Clients::Required(path) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(path)? {
                roots.add(authority).map_err(|e| wrong(path, &e))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let required = matches!(clients, Clients::Required(_));
            let verifier = if required { verifier } else { verifier.allow_unauthenticated() };
            builder.with_client_cert_verifier(verifier.build().map_err(|e| wrong(path, &e))?)
        }
    };
    let mut tls = builder.with_single_cert(chain, key_der).map_err(|e| wrong(certificate, &e))?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(tls))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let wrong = |e: &dyn std::fmt::Display| Fault::Config(format!("{}: {e}", path.display()));
    let chain: Vec<_> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|e| wrong(&e))?;
    if chain.is_empty() { Err(wrong(&"it holds no certificate")) } else { Ok(chain) }
}

/// A name for the record out of a client's verified certificate: its first DNS name, or its digest
/// where it has none.
pub fn client_name(certificate: &CertificateDer<'_>) -> String {
    let parsed = webpki::EndEntityCert::try_from(certificate).ok();
    let name = parsed.and_then(|cert| cert.valid_dns_names().next().map(|name| quoted(name).to_string()));
    name.unwrap_or_else(|| format!("sha256:{}", Digest::of(certificate)))
}
