//! Stock clients, unmodified, against a running relay.

use std::fs;
use std::io::Read as _;
use std::process::Command;

use super::support::*;

#[test]
fn stock_minisign_and_ours_agree() {
    if !has("minisign") {
        return;
    }
    let world = World::new();
    let path = |name: &str| world.path(name).to_str().unwrap().to_owned();
    minisign_keys(world.dir.path(), &["m"]);
    fs::create_dir(world.path("vendor")).unwrap();
    fs::write(world.path("vendor/a.hdb"), HASHES).unwrap();
    let make =
        |out: &str, sign: &[&str]| run(build(&world.path("vendor"), "auto", 1, &world.path(out)).args(sign)).expect(0);
    // Ours signs, stock verifies, trusted comment and all.
    make("ours", &["--sign", &path("m.key")]);
    let manifest = path("ours/manifest.json");
    let ran = run(Command::new("minisign").args(["-V", "-p", &path("m.pub"), "-m", &manifest])).expect(0);
    assert!(ran.out.contains("gaprelay-bundle/1 feed=auto version=1"), "{}", ran.out);
    // Stock signs by the very command we print, and ours takes it.
    let told = make("theirs", &[]);
    let line = told.err.lines().find(|l| l.contains("minisign -S")).unwrap();
    let command = line.trim_start_matches("  next: ").replace("YOUR.key", &path("m.key")).replace("YOURNAME", "me");
    run(Command::new("sh").args(["-c", &command])).expect(0);
    let key = format!("name=c,role=custodian,public={},publisher=example,origin=CH", path("m.pub"));
    let ring = path("ring.toml");
    let new_ring = |root: &str| {
        run(pack()
            .args(["keyring", "new", "--root", root, "--key", &key, "--out", &ring])
            .args(["--require", "role=custodian,signers=1"]))
    };
    new_ring(&path("m.pub")).expect(3);
    new_ring(&Key::new().base64()).expect(0);
    for bundle in ["ours", "theirs"] {
        let ran = run(pack().args(["check", &path(bundle), "--keyring", &ring])).expect(0);
        assert!(ran.out.contains("the relay would take it; 1 cleared"), "{}", ran.out);
    }
    // Legacy signing is refused, with its own reason.
    let legacy = path("theirs/manifest.json");
    run(Command::new("minisign").args([
        "-S",
        "-l",
        "-s",
        &path("m.key"),
        "-m",
        &legacy,
        "-x",
        &format!("{legacy}.me.minisig"),
        "-t",
        "gaprelay-bundle/1 feed=auto version=1",
    ]))
    .expect(0);
    let ran = run(pack().args(["check", &path("theirs"), "--keyring", &ring])).expect(3);
    assert!(ran.err.contains("[signature-legacy]"), "{}", ran.err);
}

/// Runs a command on a terminal of its own and types `password` until it ends.
fn typing(password: &str, command: &str) -> Ran {
    let typed = format!("(while sleep 0.5; do echo {password}; done) | script -qec \"{command}\" /dev/null");
    run(Command::new("sh").args(["-c", &typed]))
}

#[test]
fn a_key_with_a_password_signs_and_a_wrong_one_leaves_nothing() {
    if !has("minisign") || !has("script") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let make = format!("printf 'pw\\npw\\n' | minisign -G -f -p {} -s {}", path("k.pub"), path("k.key"));
    run(Command::new("sh").args(["-c", &make])).expect(0);
    fs::create_dir(path("vendor")).unwrap();
    fs::write(path("vendor/a.hdb"), HASHES).unwrap();
    let build = format!(
        "{} build {} --feed auto --version 1 --publisher example --origin CH --sign {} --out {}",
        pack_binary().display(),
        path("vendor"),
        path("k.key"),
        path("made")
    );
    let ran = typing("wrong", &build).expect(2);
    assert!(ran.out.contains("Wrong password"), "{}", ran.out);
    assert!(!folder.path().join("made").exists(), "half a bundle was left");
    typing("pw", &build).expect(0);
    let manifest = path("made/manifest.json");
    run(Command::new("minisign").args(["-V", "-p", &path("k.pub"), "-m", &manifest])).expect(0);
}

/// GNU tar with ordinary flags, the `tar` crate and the packer make the one form we take.
#[test]
fn gnu_tar_makes_the_canonical_payload() {
    let dir = tempfile::tempdir().unwrap();
    let long = format!("{}/{}", "d".repeat(60), "n".repeat(90));
    let files: &[File<'_>] = &[("a.hdb", HASHES, ""), ("b/c.rules", RULES, ""), (&long, HASHES, "")];
    let (content, made) = (dir.path().join("content"), dir.path().join("made"));
    for (path, bytes, _) in files {
        fs::create_dir_all(content.join(path).parent().unwrap()).unwrap();
        fs::write(content.join(path), bytes).unwrap();
    }
    let mut gnu = Command::new("tar");
    gnu.args(["--format=ustar", "--owner=0", "--group=0", "--numeric-owner", "--mode=0644", "--mtime=@0", "-cf", "-"]);
    let theirs = gnu.args(files.iter().map(|(path, ..)| path)).current_dir(&content).output().unwrap();
    assert!(theirs.stdout == tar(files), "GNU tar differs: {}", String::from_utf8_lossy(&theirs.stderr));
    run(build(&content, "feed", 1, &made).arg("--keep-unrecognised")).expect(0);
    let mut ours = Vec::new();
    let payload = fs::File::open(made.join("payload.tar.gz")).unwrap();
    flate2::read::GzDecoder::new(payload).read_to_end(&mut ours).unwrap();
    assert!(theirs.stdout == ours, "the packer differs");
}

#[test]
fn curl_and_wget() {
    if !has("curl") || !has("wget") {
        return;
    }
    let world = World::new();
    let list: Vec<u8> = digests(30_000);
    world.publish("feed", 1, &[("a.hdb", HASHES, "clamav-hashes"), ("l.txt", &list, "sha256-list")]);
    let server = Server::start(&world, "serve");
    let out = world.path("out");
    let (url, out_text) = (server.url("/c/l.txt"), out.to_str().unwrap().to_owned());
    // wget resumes half a file; curl resumes too, and asks with a date and with --http2.
    fs::write(&out, &list[..1_000_000]).unwrap();
    run(Command::new("wget").args(["-q", "-c", "-O", &out_text, &url])).expect(0);
    assert!(fs::read(&out).unwrap() == list);
    fs::write(&out, &list[..500]).unwrap();
    run(Command::new("curl").args(["-sS", "-f", "-C", "-", "-o", &out_text, &url])).expect(0);
    assert!(fs::read(&out).unwrap() == list);
    let code =
        |args: &[&str]| run(Command::new("curl").args(["-sS", "-o", "/dev/null", "-w", "%{http_code}"]).args(args)).out;
    assert_eq!(code(&["-R", "-z", &out_text, &url]), "304");
    assert_eq!(code(&["--http2", &url]), "200");
    assert_eq!(code(&["-x", &server.url(""), &server.url("/c/a.hdb")]), "200");
    assert_eq!(code(&["-x", &server.url(""), "http://www.virustotal.com/"]), "421");
    assert_eq!(code(&["-T", &out_text, &server.url("/c/")]), "405");
    assert_eq!(code(&["-F", &format!("f=@{out_text}"), &url]), "405");
    server.stop();
    world.relay(&["settle"]).expect(0);
    let labels: Vec<_> = world.attempts().iter().map(|a| a["label"].as_str().unwrap().to_owned()).collect();
    assert_eq!(labels, ["virustotal", "upload", "form-upload"]);
}

#[test]
fn freshclam_takes_custom_databases_and_follows_a_change() {
    if !has("freshclam") {
        return;
    }
    let world = World::new();
    world.publish("feed", 1, &[("site.hdb", HASHES, "clamav-hashes")]);
    let server = Server::start(&world, "serve");
    let settings = format!("DatabaseMirror http://127.0.0.1:9\nDatabaseCustomURL {}", server.url("/c/site.hdb"));
    let local = world.path("clamav/site.hdb");
    let ran = freshclam(&world, "custom", &settings);
    assert_eq!(fs::read(&local).unwrap(), HASHES, "{}{}", ran.out, ran.err);
    let ran = freshclam(&world, "custom", &settings);
    assert!(ran.out.contains("up-to-date"), "{}{}", ran.out, ran.err);
    // Content made long ago and carried in now reaches an agent that loaded a moment ago (R4).
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let changed = b"44d88612fea8a8f36de82e1278abb02f:69:Eicar-Again\n";
    world.publish("feed", 2, &[("site.hdb", changed, "clamav-hashes")]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    let ran = freshclam(&world, "custom", &settings);
    assert_eq!(fs::read(&local).unwrap(), changed, "{}{}", ran.out, ran.err);
    server.stop();
    world.relay(&["settle"]).expect(0);
    assert!(world.attempts().is_empty(), "an ordinary update was taken for an attempt");
}

#[test]
fn freshclam_pulls_the_vendors_signed_databases() {
    let (Some(data), true) = (testdata(), has("freshclam")) else { return };
    let world = World::new();
    let publish = |version, increments| {
        let bundle = vendor_bundle(&world, &data, version, increments);
        let ran = world.import(&bundle).expect(0);
        assert_eq!(ran.json()["bundles"][0]["counts"]["withheld"], 0);
        world.decide(&format!("feed/{version}"), "officer", &world.officer, "approve").expect(0);
    };
    publish(1, 0..0);
    let server = Server::start(&world, "serve");
    let run_freshclam = |settings: &str| freshclam(&world, "test", settings);
    let version = || {
        let folder = world.path("clamav");
        ["test.cld", "test.cvd"]
            .iter()
            .find_map(|name| fs::read(folder.join(name)).ok())
            .map(|bytes| String::from_utf8_lossy(&bytes[..60]).split(':').nth(2).unwrap().to_owned())
    };
    let mirror = format!("PrivateMirror {}", server.url("/c"));
    let ran = run_freshclam(&mirror);
    assert_eq!(version().as_deref(), Some("1"), "{}{}", ran.out, ran.err);
    let ran = run_freshclam(&mirror);
    assert!(ran.out.contains("up-to-date"), "{}{}", ran.out, ran.err);
    // Increments: from version 1 to 4 by cdiff.
    publish(4, 2..5);
    std::thread::sleep(std::time::Duration::from_millis(500));
    let scripted = format!("DatabaseMirror {}\nScriptedUpdates yes", server.url("/c"));
    let ran = run_freshclam(&scripted);
    assert!(
        version().as_deref() == Some("4") && world.path("clamav/test.cld").exists(),
        "{:?} {}{}",
        version(),
        ran.out,
        ran.err
    );
    // R16: exactly one behind, and no increment was carried: the empty one makes it load the whole.
    publish(5, 0..0);
    std::thread::sleep(std::time::Duration::from_millis(500));
    let ran = run_freshclam(&scripted);
    assert_eq!(version().as_deref(), Some("5"), "{}{}", ran.out, ran.err);
    publish(6, 6..7);
    std::thread::sleep(std::time::Duration::from_millis(500));
    let ran = run_freshclam(&mirror);
    assert_eq!(version().as_deref(), Some("6"), "{}{}", ran.out, ran.err);
    server.stop();
    world.relay(&["settle"]).expect(0);
    assert!(world.attempts().is_empty(), "an ordinary update was taken for an attempt: {:?}", world.attempts());
}

#[test]
fn suricata_update_writes_the_rules() {
    if !has("suricata-update") {
        return;
    }
    let world = World::new();
    world.publish("feed", 1, &[("site.rules", RULES, "suricata-rules")]);
    let server = Server::start(&world, "serve");
    let update = || suricata_update(&world, &server.url("/c/site.rules"));
    let ran = update();
    assert!(ran.err.contains("total: 1") || ran.out.contains("total: 1"), "{}{}", ran.out, ran.err);
    let more = [RULES, b"alert udp any any -> any 53 (msg:\"more\"; sid:2; rev:1;)\n"].concat();
    world.publish("feed", 2, &[("site.rules", &more, "suricata-rules")]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    let ran = update();
    assert!(ran.err.contains("total: 2") || ran.out.contains("total: 2"), "{}{}", ran.out, ran.err);
    server.stop();
    world.relay(&["settle"]).expect(0);
    assert!(world.attempts().is_empty(), "an ordinary update was taken for an attempt");
}
