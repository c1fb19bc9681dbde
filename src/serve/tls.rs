//! TLS 1.2 and 1.3 with optional client certificates, from files in PEM.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme};
use tokio::sync::watch;

use base::error::IoContext as _;
use base::quoted::quoted_os;
use base::{Digest, Fault, quoted};

use super::settings::Settings;
use crate::journal::ClaimedCertificate;

/// Rule for certificates of agents, by these authorities.
#[derive(Clone, Copy)]
pub enum Clients<'a> {
    /// Nobody is asked for one.
    Anybody,
    /// Agents with a certificate are known by it; those without one are taken too.
    Known(&'a Path),
    /// Agents without a certificate are turned away.
    Required(&'a Path),
}

/// TLS settings, read once; made anew when the list of revoked certificates changes.
pub struct Tls {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: Option<(Arc<RootCertStore>, bool)>,
    /// The list of revoked certificates, and when it was last written.
    revocations: Option<(PathBuf, Mutex<Option<SystemTime>>)>,
    /// Settings with which connections are accepted now.
    current: ArcSwap<ServerConfig>,
    /// Tells those that were accepted with another that they were.
    changes: watch::Sender<()>,
}

impl Tls {
    /// Reads what the config names; `None` if the listeners are plain. Fault: a file is not what it should be.
    pub fn load(folder: &Path, serve: &Settings) -> Result<Option<Arc<Self>>, Fault> {
        let (Some(certificate), Some(key)) = (&serve.tls_certificate, &serve.tls_key) else {
            return Ok(None);
        };
        let clients = match &serve.client_authorities {
            None => Clients::Anybody,
            Some(path) if serve.client_certificate_required => Clients::Required(path),
            Some(path) => Clients::Known(path),
        };
        Self::read(folder, (certificate, key), clients, serve.client_revocations.as_deref()).map(Some)
    }

    /// Reads a certificate's chain and its key, the clients' authorities, and the list of revoked certificates of this
    /// name in `folder`. Fault: a file is not what it should be.
    pub fn read(
        folder: &Path,
        (certificate, key): (&Path, &Path),
        clients: Clients<'_>,
        revocations: Option<&str>,
    ) -> Result<Arc<Self>, Fault> {
        // Whoever serves works in another folder: a path relative to where it was started would lead nowhere.
        let folder = std::path::absolute(folder).during("find", folder)?;
        let revocations = revocations.map(|name| folder.join(name));
        let chain = certificates(certificate)?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|e| unusable(key, "private key", &e))?;
        let roots = match clients {
            Clients::Anybody => None,
            Clients::Known(path) | Clients::Required(path) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(path)? {
                    let wrong =
                        |e| format!("{} holds a certificate that is not one of an authority: {e}", quoted_os(path));
                    roots.add(authority).map_err(|e| Fault::Config(wrong(e)))?;
                }
                Some((Arc::new(roots), matches!(clients, Clients::Required(_))))
            }
        };
        let (listed, written) = match &revocations {
            Some(path) => (revoked(path)?, Mutex::new(modified(path))),
            None => (Vec::new(), Mutex::new(None)),
        };
        let current = make(&chain, &key, roots.as_ref(), listed)?;
        let revocations = revocations.map(|path| (path, written));
        let (current, (changes, _)) = (ArcSwap::new(current), watch::channel(()));
        Ok(Arc::new(Self { chain, key, roots, revocations, current, changes }))
    }

    /// Reads the list of revoked certificates again, if it was written since. Fault: it is not one; then what was known
    /// before holds.
    pub fn follow(&self) -> Result<(), Fault> {
        let Some((path, written)) = &self.revocations else { return Ok(()) };
        let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
        let now = modified(path);
        if *written == now {
            return Ok(());
        }
        let made = make(&self.chain, &self.key, self.roots.as_ref(), revoked(path)?)?;
        self.current.store(made);
        *written = now;
        self.changes.send_replace(());
        Ok(())
    }

    /// Settings for a connection, and the signal that they are no longer the current ones: an agent that was let in may
    /// have been revoked, and is to come in anew.
    pub fn accept(&self) -> (Arc<ServerConfig>, watch::Receiver<()>) {
        let changes = self.changes.subscribe();
        (self.current.load_full(), changes)
    }
}

fn make(
    chain: &[CertificateDer<'static>],
    key: &PrivateKeyDer<'static>,
    roots: Option<&(Arc<RootCertStore>, bool)>,
    revoked: Vec<CertificateRevocationListDer<'static>>,
) -> Result<Arc<ServerConfig>, Fault> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|_| Fault::Internal("TLS 1.2 and 1.3 are not there"))?;
    let builder = match roots {
        None => builder.with_no_client_auth(),
        Some((roots, required)) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider);
            let verifier = if *required { verifier } else { verifier.allow_unauthenticated() };
            // A list that ran out still says who was revoked: it must not shut out everybody.
            let verifier = verifier.with_crls(revoked).only_check_end_entity_revocation();
            let wrong = |e| format!("client_authorities, or the lists of client_revocations, cannot be used: {e}");
            let inner = verifier.build().map_err(|e| Fault::Config(wrong(e)))?;
            builder.with_client_cert_verifier(Arc::new(Naming { inner }))
        }
    };
    let wrong = |e| format!("tls_certificate and tls_key cannot be used together: {e}");
    let mut tls = builder.with_single_cert(chain.to_vec(), key.clone_key()).map_err(|e| Fault::Config(wrong(e)))?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(tls))
}

tokio::task_local! {
    /// The certificate that was shown in the handshake of this task. Until the handshake is done, it proves nothing.
    pub(crate) static SHOWN: RefCell<Option<ClaimedCertificate>>;
}

/// Remembers which certificate was shown: the error of a handshake that fails for it does not say.
#[derive(Debug)]
struct Naming {
    inner: Arc<dyn ClientCertVerifier>,
}

impl ClientCertVerifier for Naming {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let shown = ClaimedCertificate { name: client_name(end_entity), sha256: Digest::of(end_entity) };
        // Where nobody asks, nobody is told.
        let _ = SHOWN.try_with(|it| *it.borrow_mut() = Some(shown));
        self.inner.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|meta| meta.modified()).ok()
}

/// Fault of a file that the config names, which is to hold `what` in PEM.
fn unusable(path: &Path, what: &str, error: &pem::Error) -> Fault {
    let path = quoted_os(path);
    Fault::Config(match error {
        pem::Error::Io(e) => format!("cannot read {path}, which is to hold a {what}: {e}"),
        pem::Error::NoItemsFound => format!("{path} holds no {what} in PEM"),
        _ => format!("{path} is not whole: its PEM text cannot be read"),
    })
}

fn revoked(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, Fault> {
    let wrong = |e: pem::Error| unusable(path, "revocation list", &e);
    let lists: Vec<_> = CertificateRevocationListDer::pem_file_iter(path).and_then(Iterator::collect).map_err(wrong)?;
    if lists.is_empty() { Err(wrong(pem::Error::NoItemsFound)) } else { Ok(lists) }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let wrong = |e: pem::Error| unusable(path, "certificate", &e);
    let chain: Vec<_> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(wrong)?;
    if chain.is_empty() { Err(wrong(pem::Error::NoItemsFound)) } else { Ok(chain) }
}

/// A name for the record out of a client's certificate: its first DNS name, or its digest
/// where it has none.
pub fn client_name(certificate: &CertificateDer<'_>) -> String {
    let parsed = webpki::EndEntityCert::try_from(certificate).ok();
    let name = parsed.and_then(|cert| cert.valid_dns_names().next().map(|name| quoted(name).to_string()));
    name.unwrap_or_else(|| format!("sha256:{}", Digest::of(certificate)))
}
