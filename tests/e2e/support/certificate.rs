//! Certificates for relays, agents and readers, and a client that shows one and stays.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::world::World;

/// An authority and what it issues.
pub(crate) struct Certificates {
    pub(crate) ca: CertifiedIssuer<'static, KeyPair>,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { ca: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    pub(crate) fn issue(&self, world: &World, name: &str, hosts: &[&str]) {
        self.issue_numbered(world, name, hosts, None);
    }

    /// One that can be revoked by its number.
    pub(crate) fn issue_numbered(&self, world: &World, name: &str, hosts: &[&str], serial: Option<u64>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(hosts.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = serial.map(Into::into);
        params.use_authority_key_identifier_extension = serial.is_some();
        let certificate = params.signed_by(&key, &self.ca).unwrap();
        fs::write(world.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(world.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

/// A connection that stays open, made by openssl.
pub(crate) struct Open {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Open {
    pub(crate) fn new(world: &World, who: &str, port: &str) -> Self {
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{port}"), "-CAfile"]);
        openssl.arg(world.path("ca.pem")).arg("-cert").arg(world.path(&format!("{who}.pem")));
        openssl.arg("-key").arg(world.path(&format!("{who}.key"))).stderr(Stdio::null());
        let mut child = openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, answers }
    }

    /// The first line of the answer to HEAD; `None`: the connection is over.
    pub(crate) fn head(&mut self, host: &str, path: &str) -> Option<String> {
        let mut stdin = self.child.stdin.as_ref()?;
        write!(stdin, "HEAD {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").ok()?;
        let head: Vec<String> =
            self.answers.by_ref().lines().map_while(|line| line.ok().filter(|line| !line.is_empty())).collect();
        head.into_iter().next()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Puts a list of revoked certificates where the relay reads it.
pub(crate) fn revoke(world: &World, ca: &Certificates, serials: &[u64]) {
    use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber, date_time_ymd};
    let revoked = |serial: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: date_time_ymd(2026, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 1),
        // It has run out: it still says who was revoked, and shuts out nobody else.
        next_update: date_time_ymd(2026, 1, 2),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let text = params.signed_by(&ca.ca).unwrap().pem().unwrap();
    let path = world.state().join("tls/revoked.pem");
    fs::write(path.with_extension("new"), text).unwrap();
    fs::rename(path.with_extension("new"), path).unwrap();
}
