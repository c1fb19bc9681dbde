//! TLS 1.2 and 1.3, agents' certificates, and names asked for that are not ours.

use std::fs;
use std::process::Command;

use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;

use super::support::*;

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
    world.publish("feed", 1, ONE);
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
    let upload = ["-sS", "-d", "x=y", "-H", "Host: www.virustotal.com", &server.url("/plain-upload")];
    assert_ne!(run(Command::new("curl").args(upload)).code, Some(0));
    server.stop();
    world.relay(&["settle"]).expect(0);
    let log = world.attempts();
    assert!(log.iter().any(|a| a["label"] == "upload" && a["certificate"] == "agent-7.example"), "{log:#?}");
    assert!(log.iter().any(|a| a["label"] == "virustotal" && a["sni"] == "www.virustotal.com"), "{log:#?}");
    let plain = |label: &str, target: &str| log.iter().find(|a| a["label"] == label && a["target"] == target);
    assert!(plain("not-tls", "/c/a.hdb").is_some_and(|a| a["submission"] == false), "{log:#?}");
    let sent = plain("virustotal", "/plain-upload").unwrap_or_else(|| panic!("{log:#?}"));
    assert!(sent["submission"] == true && sent["method"] == "POST" && sent["host"] == "www.virustotal.com", "{sent:#}");
    // Whose certificate was not verified is told as what it is: a claim.
    let refused = log.iter().find(|a| a["label"] == "certificate-refused").unwrap_or_else(|| panic!("{log:#?}"));
    assert!(refused["certificate"].is_null(), "{refused:#}");
    assert_eq!(refused["claimed_certificate"]["name"], "stranger.example", "{refused:#}");
    assert_eq!(refused["claimed_certificate"]["sha256"].as_str().map(str::len), Some(64), "{refused:#}");
}

/// A certificate that anybody can make with another agent's name in it is no evidence against that agent.
#[test]
fn a_certificate_that_is_not_proven_is_a_claim() {
    if !has("curl") {
        return;
    }
    let world = world(false);
    Certificates::new().issue(&world, "fake", &["agent-7.example"]);
    let server = Server::start(&world, "serve");
    let show = |name: &str, args: &[&str]| {
        let (cert, key) = (world.path(&format!("{name}.pem")), world.path(&format!("{name}.key")));
        let shown = ["--cert", cert.to_str().unwrap(), "--key", key.to_str().unwrap()];
        curl(&world, &server, "localhost", &[&shown[..], args].concat())
    };
    assert_ne!(show("fake", &[]).code, Some(0));
    show("agent", &["-X", "POST"]).expect(0);
    server.stop();
    world.relay(&["settle"]).expect(0);
    let log = world.attempts();
    let named: Vec<_> = log.iter().filter(|a| a["certificate"] == "agent-7.example").map(|a| &a["label"]).collect();
    assert_eq!(named, ["upload"], "{log:#?}");
    let claim = log.iter().find(|a| a["label"] == "certificate-refused").unwrap_or_else(|| panic!("{log:#?}"));
    assert_eq!(claim["claimed_certificate"]["name"], "agent-7.example", "{claim:#}");
    assert_eq!(claim["claimed_certificate"]["sha256"].as_str().map(str::len), Some(64), "{claim:#}");
    let told = world.relay(&["log", "show", "--log", "access"]).expect(0).out;
    assert!(told.contains("claimed to be agent-7.example by an unverified certificate"), "{told}");
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
    world.publish("feed", 1, ONE);
    let server = Server::start(&world, "serve");
    fs::write(world.path("ca.pem"), Certificates::new().ca.pem()).unwrap();
    assert_ne!(curl(&world, &server, "www.clamav.net", &[]).code, Some(0));
    assert_ne!(curl(&world, &server, "localhost", &[]).code, Some(0));
    server.stop();
    world.relay(&["settle"]).expect(0);
    let log = world.attempts();
    let is_told = |label: &str, name: &str| {
        log.iter().any(|a| a["label"] == label && a["sni"] == name && a["method"] == "TLS" && a["submission"] == true)
    };
    assert!(is_told("clamav-submit", "www.clamav.net") && is_told("tls-on-plain-port", "localhost"), "{log:#?}");
}

/// Certificates decide which channels an agent sees; an agent whose certificate was revoked is turned away as soon as
/// the list says so, while the server runs, and both are in the record by name.
#[test]
fn certificates_open_channels_and_are_revoked_while_the_server_runs() {
    if !has("curl") {
        return;
    }
    let world = World::new();
    let ours = Certificates::new();
    ours.issue(&world, "relay", &["relay.example", "127.0.0.1", "localhost"]);
    for (name, serial) in [("lab", 7), ("office", 8)] {
        ours.issue_numbered(&world, name, &[&format!("{name}.example")], Some(serial));
    }
    fs::write(world.path("ca.pem"), ours.ca.pem()).unwrap();
    let tls = format!(
        "listen = [\"127.0.0.1:0\"]\ntls_certificate = \"{}\"\ntls_key = \"{}\"\nclient_authorities = \"{}\"\nclient_revocations = \"revoked.pem\"",
        world.path("relay.pem").display(),
        world.path("relay.key").display(),
        world.path("ca.pem").display(),
    );
    let config = CONFIG.replace("listen = [\"127.0.0.1:0\"]", &tls).replace(
        "name = \"c\"\nfeeds = [\"feed\", \"auto\"]",
        "name = \"c\"\nfeeds = [\"feed\"]\ncertificates = [\"lab.example\"]\n[[channel]]\nname = \"open\"\nfeeds = [\"auto\"]",
    );
    fs::write(world.state().join("config.toml"), config).unwrap();
    world.publish("feed", 1, &[("secret.hdb", HASHES, "clamav-hashes")]);
    world.publish("auto", 1, &[("b.hdb", b"44d88612fea8a8f36de82e1278abb02e:68:Other\n", "clamav-hashes")]);
    // Without the list it does not start: nobody could say who was revoked.
    let ran = world.relay(&["serve", "--listen", "127.0.0.1:0"]).expect(2);
    assert!(ran.err.contains("revoked.pem"), "{}", ran.err);
    revoke(&world, &ours, &[99]);
    let server = Server::start(&world, "serve");
    let port = server.address.rsplit(':').next().unwrap().to_owned();
    let get = |who: Option<&str>, path: &str| {
        let mut command = Command::new("curl");
        command.args(["-sSf", "--max-time", "10", "--cacert"]).arg(world.path("ca.pem"));
        if let Some(who) = who {
            command
                .arg("--cert")
                .arg(world.path(&format!("{who}.pem")))
                .arg("--key")
                .arg(world.path(&format!("{who}.key")));
        }
        run(command.arg(format!("https://localhost:{port}{path}")))
    };
    let digest = base::Digest::of(HASHES);
    let only = [
        "/c/secret.hdb".to_owned(),
        "/c/SHA256SUMS".into(),
        "/-/channels/c/release.json".into(),
        "/-/feeds/feed/manifest.json".into(),
        format!("/-/blobs/sha256/{digest}"),
    ];
    for path in &only {
        get(Some("lab"), path).expect(0);
        for who in [Some("office"), None] {
            let ran = get(who, path).expect(22);
            assert!(ran.err.contains("404"), "{path}: {}", ran.err);
        }
    }
    for who in [Some("lab"), Some("office"), None] {
        get(who, "/open/b.hdb").expect(0);
        // Nor does monitoring name what is not for it.
        for (path, open, secret) in
            [("/-/health", "auto 1", "feed 1"), ("/-/metrics", "feed=\"auto\"", "feed=\"feed\"")]
        {
            let said = get(who, path).expect(0).out;
            assert_eq!((said.contains(open), said.contains(secret)), (true, who == Some("lab")), "{path}: {said}");
        }
    }
    // The list changes, which ends what is open; a damaged one changes nothing.
    let mut open = has("openssl").then(|| Open::new(&world, "lab", &port));
    if let Some(open) = &mut open {
        assert_eq!(open.head("localhost", "/c/secret.hdb").as_deref(), Some("HTTP/1.1 200 OK"));
        assert_eq!(open.head("localhost", "/c/secret.hdb").as_deref(), Some("HTTP/1.1 200 OK"));
    }
    revoke(&world, &ours, &[7, 99]);
    let gone = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        get(Some("lab"), "/c/secret.hdb").code != Some(0)
    });
    assert!(gone, "revoked, and still served");
    assert_eq!(open.and_then(|mut open| open.head("localhost", "/c/secret.hdb")), None);
    get(Some("office"), "/open/b.hdb").expect(0);
    fs::write(world.state().join("tls/revoked.pem"), b"damaged").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(600));
    assert_ne!(get(Some("lab"), "/open/b.hdb").code, Some(0), "what was known holds");
    get(Some("office"), "/open/b.hdb").expect(0);
    server.stop();
    // A channel that is taken out of the config is there for nobody, not for everybody.
    let path = world.state().join("config.toml");
    let config = fs::read_to_string(&path).unwrap();
    let channel = "[[channel]]\nname = \"c\"\nfeeds = [\"feed\"]\ncertificates = [\"lab.example\"]\n";
    assert!(config.contains(channel), "{config}");
    fs::write(&path, config.replace(channel, "")).unwrap();
    revoke(&world, &ours, &[99]);
    let server = Server::start(&world, "serve");
    let port = server.address.rsplit(':').next().unwrap().to_owned();
    for path in &only {
        for who in ["lab", "office"] {
            let mut curl = Command::new("curl");
            curl.args(["-sSf", "--max-time", "10", "--cacert"]).arg(world.path("ca.pem"));
            curl.arg("--cert").arg(world.path(&format!("{who}.pem")));
            curl.arg("--key").arg(world.path(&format!("{who}.key")));
            run(curl.arg(format!("https://localhost:{port}{path}"))).expect(22);
        }
    }
    server.stop();
    world.relay(&["settle"]).expect(0);
    let log = world.attempts();
    let is_refused =
        |a: &Value| a["label"] == "certificate-refused" && a["claimed_certificate"]["name"] == "lab.example";
    assert!(log.iter().any(is_refused), "{log:#?}");
    assert!(log.iter().any(|a| a["label"] == "foreign-channel" && a["certificate"] == "office.example"), "{log:#?}");
    // The agents' page knows them by name.
    let agents = world.relay(&["agents", "--json"]).expect(0).json();
    assert!(agents.as_array().unwrap().iter().any(|agent| agent["certificate"] == "lab.example"), "{agents}");
}

/// The relay's own certificate ran out: agents may mind, the relay serves on, and starts again.
#[test]
fn an_expired_certificate_of_its_own_stops_nothing() {
    if !has("curl") {
        return;
    }
    let world = world(false);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["relay.example".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
    let ours = Certificates::new();
    let certificate = params.signed_by(&key, &ours.ca).unwrap();
    fs::write(world.path("relay.pem"), certificate.pem()).unwrap();
    fs::write(world.path("relay.key"), key.serialize_pem()).unwrap();
    let server = Server::start(&world, "serve");
    assert_eq!(curl(&world, &server, "relay.example", &["-k"]).expect(0).out.as_bytes(), HASHES);
}
