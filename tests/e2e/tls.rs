//! TLS 1.2 and 1.3, agents' certificates, and names asked for that are not ours.

use std::fs;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::serve::Server;
use super::support::*;

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
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(hosts.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.ca).unwrap();
        fs::write(world.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(world.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

fn world(required: bool) -> World {
    let world = World::new();
    let ours = Certificates::new();
    ours.issue(&world, "relay", &["relay.example", "127.0.0.1", "localhost"]);
    ours.issue(&world, "agent", &["agent-7.example"]);
    Certificates::new().issue(&world, "stranger", &["stranger.example"]);
    fs::write(world.path("ca.pem"), ours.ca.pem()).unwrap();
    let tls = format!(
        "listen = [\"127.0.0.1:0\"]\nnames = [\"relay.example\", \"localhost\"]\ntls_certificate = \"{}\"\ntls_key = \"{}\"\nclient_authorities = \"{}\"\nclient_certificate_required = {required}",
        world.path("relay.pem").display(),
        world.path("relay.key").display(),
        world.path("ca.pem").display(),
    );
    let config = CONFIG.replace("listen = [\"127.0.0.1:0\"]", &tls);
    fs::write(world.state().join("config.toml"), config).unwrap();
    world.publish("feed", 1, &[("a.hdb", HASHES, "clamav-hashes")]);
    world
}

fn curl(world: &World, server: &Server, host: &str, args: &[&str]) -> Ran {
    let (address, port) = server.address.rsplit_once(':').unwrap();
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "10", "--cacert"]).arg(world.path("ca.pem"));
    command.args(["--resolve", &format!("{host}:{port}:{address}")]).args(args);
    run(command.arg(format!("https://{host}:{port}/c/a.hdb")))
}

#[test]
fn both_versions_and_optional_certificates() {
    if !has("curl") {
        return;
    }
    let world = world(false);
    let server = Server::start(&world, "serve");
    for version in [["--tlsv1.2", "--tls-max", "1.2"], ["--tlsv1.3", "--tls-max", "1.3"]] {
        assert_eq!(curl(&world, &server, "relay.example", &version).expect(0).out.as_bytes(), HASHES);
    }
    assert_ne!(curl(&world, &server, "relay.example", &["--tls-max", "1.1"]).code, Some(0));
    // A known agent's name is in the record; a stranger's certificate is turned away.
    let key = |name: &str| (world.path(&format!("{name}.pem")), world.path(&format!("{name}.key")));
    let (cert, secret) = key("agent");
    let known = ["--cert", cert.to_str().unwrap(), "--key", secret.to_str().unwrap()];
    curl(&world, &server, "localhost", &known).expect(0);
    curl(&world, &server, "localhost", &[&known[..], &["-X", "POST"]].concat()).expect(0);
    let (cert, secret) = key("stranger");
    let ran =
        curl(&world, &server, "localhost", &["--cert", cert.to_str().unwrap(), "--key", secret.to_str().unwrap()]);
    assert_ne!(ran.code, Some(0));
    // A foreign name is all that a client that trusts nobody shows.
    assert_ne!(curl(&world, &server, "www.virustotal.com", &[]).code, Some(0));
    // Plain HTTP on the TLS port.
    assert_ne!(run(Command::new("curl").args(["-sS", &server.url("/c/a.hdb")])).code, Some(0));
    server.stop();
    world.relay(&["settle"]).expect(0);
    let log = world.attempts();
    assert!(log.iter().any(|a| a["label"] == "upload" && a["certificate"] == "agent-7.example"), "{log:#?}");
    assert!(log.iter().any(|a| a["label"] == "virustotal" && a["sni"] == "www.virustotal.com"), "{log:#?}");
    assert!(log.iter().any(|a| a["label"] == "not-tls"), "{log:#?}");
}

#[test]
fn a_required_certificate_is_required() {
    if !has("curl") {
        return;
    }
    let world = world(true);
    let server = Server::start(&world, "serve");
    assert_ne!(curl(&world, &server, "relay.example", &[]).code, Some(0));
    let (cert, key) = (world.path("agent.pem"), world.path("agent.key"));
    let ran =
        curl(&world, &server, "relay.example", &["--cert", cert.to_str().unwrap(), "--key", key.to_str().unwrap()]);
    assert_eq!(ran.expect(0).out.as_bytes(), HASHES);
}

#[test]
fn tls_on_a_plain_port_shows_its_name() {
    if !has("curl") {
        return;
    }
    let world = World::new();
    world.publish("feed", 1, &[("a.hdb", HASHES, "clamav-hashes")]);
    let server = Server::start(&world, "serve");
    fs::write(world.path("ca.pem"), Certificates::new().ca.pem()).unwrap();
    assert_ne!(curl(&world, &server, "www.clamav.net", &[]).code, Some(0));
    server.stop();
    world.relay(&["settle"]).expect(0);
    let log = world.attempts();
    assert!(log.iter().any(|a| a["label"] == "tls-on-plain-port" && a["sni"] == "www.clamav.net"), "{log:#?}");
}
