//! Clients of the manual's page `agents` that the other tests do not drive: stock clients that come by TLS with
//! certificates, and the script that checks a channel end to end.

use std::fs;
use std::process::Command;

use super::support::*;

/// A relay that answers by TLS, with certificates for it and for an agent.
fn world(required: bool) -> World {
    let world = World::new();
    let ours = Certificates::new();
    ours.issue(&world, "relay", &["localhost", "127.0.0.1"]);
    ours.issue(&world, "agent", &["agent-7.example"]);
    fs::write(world.path("ca.pem"), ours.ca.pem()).unwrap();
    let file = |name: &str| world.path(name).display().to_string();
    let tls = format!(
        "listen = [\"127.0.0.1:0\"]\ntls_certificate = \"{}\"\ntls_key = \"{}\"\nclient_authorities = \"{}\"\nclient_certificate_required = {required}",
        file("relay.pem"),
        file("relay.key"),
        file("ca.pem"),
    );
    let config = CONFIG.replace("listen = [\"127.0.0.1:0\"]", &tls);
    fs::write(world.state().join("config.toml"), config).unwrap();
    world.publish("feed", 1, &[("a.hdb", HASHES, "clamav-hashes"), ("site.rules", RULES, "suricata-rules")]);
    world
}

fn port(server: &Server) -> &str {
    server.address.rsplit(':').next().unwrap()
}

#[test]
fn wget_comes_with_a_certificate() {
    if !has("wget") {
        return;
    }
    let world = world(true);
    let server = Server::start(&world, "serve");
    let file = |name: &str| world.path(name).display().to_string();
    let wget = |more: &[String]| {
        let mut command = Command::new("wget");
        command.args(["-q", "--tries=1", "-O", "-"]).arg(format!("--ca-certificate={}", file("ca.pem"))).args(more);
        run(command.arg(format!("https://localhost:{}/c/a.hdb", port(&server))))
    };
    let own = [format!("--certificate={}", file("agent.pem")), format!("--private-key={}", file("agent.key"))];
    assert_eq!(wget(&own).expect(0).out.as_bytes(), HASHES);
    assert_ne!(wget(&[]).code, Some(0), "without a certificate of its own");
}

#[test]
fn freshclam_comes_with_a_certificate() {
    if !has("freshclam") {
        return;
    }
    let world = world(true);
    let server = Server::start(&world, "serve");
    let file = |name: &str| world.path(name).display().to_string();
    let (conf, data) = (world.path("freshclam.conf"), world.path("clamav"));
    fs::create_dir(&data).unwrap();
    let who = if rustix::process::geteuid().is_root() { "DatabaseOwner root\n" } else { "" };
    let url = format!("https://localhost:{}/c", port(&server));
    let settings = format!("DatabaseMirror {url}\nDatabaseCustomURL {url}/a.hdb\nDNSDatabaseInfo no\n");
    let always = "MaxAttempts 1\nConnectTimeout 5\nTestDatabases no\n";
    fs::write(&conf, format!("DatabaseDirectory {}\n{who}{always}{settings}", data.display())).unwrap();
    let freshclam = |own: &[(&str, String)]| {
        let mut command = Command::new("freshclam");
        command.arg("--config-file").arg(&conf).args(["--stdout", "--update-db", "custom"]);
        command.env("CURL_CA_BUNDLE", file("ca.pem")).envs(own.iter().map(|(name, value)| (name, value)));
        let ran = run(&mut command);
        (fs::read(data.join("a.hdb")).ok(), format!("{}{}", ran.out, ran.err))
    };
    let (there, told) = freshclam(&[]);
    assert_eq!(there, None, "without a certificate of its own: {told}");
    let own = [("FRESHCLAM_CLIENT_CERT", file("agent.pem")), ("FRESHCLAM_CLIENT_KEY", file("agent.key"))];
    let (there, told) = freshclam(&own);
    assert_eq!(there.as_deref(), Some(HASHES), "{told}");
}

/// Suricata-update trusts the relay by the site's authority, and takes a file that curl fetched with a certificate.
#[test]
fn suricata_update_comes_by_tls() {
    if !has("suricata-update") || !has("curl") {
        return;
    }
    let world = world(false);
    let server = Server::start(&world, "serve");
    let file = |name: &str| world.path(name).display().to_string();
    let update = |url: &str, authority: Option<&str>, out: &str| {
        let mut command = Command::new("suricata-update");
        command.args(["--no-test", "--no-reload", "-f", "--suricata-version", "7.0.3", "--suricata-conf", "/dev/null"]);
        command.args(["--url", url, "--data-dir", &file(&format!("data-{out}")), "--output", &file(out)]);
        if let Some(authority) = authority {
            command.env("SSL_CERT_FILE", file(authority));
        }
        let ran = run(&mut command);
        format!("{}{}", ran.out, ran.err)
    };
    let url = format!("https://localhost:{}/c/site.rules", port(&server));
    let told = update(&url, Some("ca.pem"), "one");
    assert!(told.contains("total: 1"), "{told}");
    let told = update(&url, None, "two");
    assert!(told.contains("CERTIFICATE_VERIFY_FAILED") && told.contains("total: 0"), "{told}");
    let mut curl = Command::new("curl");
    curl.args(["-sSf", "--cacert", &file("ca.pem"), "--cert", &file("agent.pem"), "--key", &file("agent.key")]);
    run(curl.args(["-o", &file("local.rules"), &url])).expect(0);
    let told = update(&format!("file://{}", file("local.rules")), None, "three");
    assert!(told.contains("total: 1"), "{told}");
}

/// The script of the manual's page `agents`, as it stands there but for its first line: it takes what is good, and
/// finds each change on the way.
#[test]
fn the_script_checks_a_channel_end_to_end() {
    if !has("minisign") || !has("curl") {
        return;
    }
    let page = fs::read_to_string(TOP.join("src/terminal/manual/agents.md")).unwrap();
    let lines: Vec<&str> = page
        .lines()
        .skip_while(|l| !l.starts_with("    RELAY="))
        .take_while(|l| l.starts_with("    "))
        .map(|l| &l[4..])
        .collect();
    assert!((5..=19).contains(&lines.len()), "a script of one screen, and its settings");
    let world = World::new();
    let files: &[File<'_>] = &[("a.hdb", HASHES, "clamav-hashes"), ("rules/r.rules", RULES, "suricata-rules")];
    world.publish("feed", 1, files);
    world.publish("auto", 1, &[("b.hdb", HASHES, "clamav-hashes")]);
    fs::write(world.path("custodian.pub"), format!("untrusted comment: x\n{}\n", world.custodian.base64())).unwrap();
    fs::write(world.path("stranger.pub"), format!("untrusted comment: x\n{}\n", Key::new().base64())).unwrap();
    let server = Server::start(&world, "serve");
    let mirror = world.path("mirror");
    for path in [
        "c/SHA256SUMS",
        "c/a.hdb",
        "c/rules/r.rules",
        "c/b.hdb",
        "-/feeds/feed/manifest.json",
        "-/feeds/auto/manifest.json",
        "-/feeds/feed/manifest.json.minisig",
        "-/feeds/auto/manifest.json.minisig",
    ] {
        run(Command::new("curl")
            .args(["-sSf", "--create-dirs", "-o"])
            .arg(mirror.join(path))
            .arg(server.url(&format!("/{path}"))))
        .expect(0);
    }
    let mut number = 0;
    let mut recipe = |relay: &str, key: &str| {
        number += 1;
        let folder = world.path(&format!("agent-{number}"));
        fs::create_dir(&folder).unwrap();
        let key = world.path(key);
        let settings = format!("RELAY={relay} CHANNEL=c FEEDS='feed auto' KEY={}", key.display());
        let script = format!("{settings}\n{}", lines[1..].join("\n"));
        let ran = run(Command::new("sh").args(["-c", &script]).current_dir(&folder));
        (ran, folder)
    };
    let (ran, folder) = recipe(&server.url(""), "custodian.pub");
    let ran = ran.expect(0);
    assert!(ran.out.contains("version=1") && ran.out.contains("rules/r.rules: OK"), "{}", ran.out);
    assert_eq!(fs::read(folder.join("files/a.hdb")).unwrap(), HASHES);
    assert_ne!(recipe(&server.url(""), "stranger.pub").0.code, Some(0));
    let here = format!("file://{}", mirror.display());
    recipe(&here, "custodian.pub").0.expect(0);
    // A hostile relay: other bytes; other bytes with a list to match; another feed's manifest.
    let forged = String::from_utf8_lossy(HASHES).replace("44d8", "44d9");
    fs::write(mirror.join("c/a.hdb"), &forged).unwrap();
    assert!(recipe(&here, "custodian.pub").0.expect(1).out.contains("a.hdb: FAILED"));
    let good = fs::read_to_string(mirror.join("c/SHA256SUMS")).unwrap();
    let one = good.lines().find_map(|line| line.strip_suffix("  a.hdb")).unwrap().to_owned();
    let told = run(Command::new("sha256sum").arg(mirror.join("c/a.hdb"))).expect(0).out;
    let other = told.split(' ').next().unwrap();
    fs::write(mirror.join("c/SHA256SUMS"), good.replacen(&one, other, 1)).unwrap();
    assert!(recipe(&here, "custodian.pub").0.expect(1).out.contains("NOT SIGNED"));
    // Names that lead out of the folder for files, with a digest that was signed; and the list itself as a file.
    for name in ["../a.hdb", "/tmp/a.hdb", "x/../../SHA256SUMS"] {
        fs::write(mirror.join("c/SHA256SUMS"), format!("{one}  {name}\n")).unwrap();
        assert!(recipe(&here, "custodian.pub").0.expect(1).out.contains("NOT A NAME"), "{name}");
    }
    fs::write(mirror.join("c/SHA256SUMS"), format!("{one}  SHA256SUMS\n")).unwrap();
    assert!(recipe(&here, "custodian.pub").0.expect(1).out.contains("SHA256SUMS: FAILED"));
    fs::write(mirror.join("c/SHA256SUMS"), &good).unwrap();
    fs::write(mirror.join("c/a.hdb"), HASHES).unwrap();
    for name in ["manifest.json", "manifest.json.minisig"] {
        fs::copy(mirror.join("-/feeds/auto").join(name), mirror.join("-/feeds/feed").join(name)).unwrap();
    }
    assert_ne!(recipe(&here, "custodian.pub").0.code, Some(0));
}
