//! Media as they come: one bundle or many, beside anything, failing, lying, hostile.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use base::Digest;
use serde_json::json;

use super::support::*;

fn reasons(ran: &Ran) -> Vec<String> {
    let report = ran.json();
    let of =
        |b: &serde_json::Value| b["refused"]["reason"].as_str().unwrap_or(b["outcome"].as_str().unwrap()).to_owned();
    report["bundles"].as_array().unwrap().iter().map(of).collect()
}

#[test]
fn a_bad_bundle_does_not_stop_a_good_one() {
    let world = World::new();
    let stick = world.path("stick");
    world.bundle("feed", 1, ONE);
    world.bundle("feed", 2, ONE);
    good(&stick.join("deep/er/auto"), &world.custodian, "auto", 7, ONE);
    let tampered = world.bundle("feed", 3, ONE);
    fs::write(tampered.join("payload.tar.gz"), b"x").unwrap();
    fs::create_dir(stick.join("holiday")).unwrap();
    fs::write(stick.join("holiday/beach.jpg"), b"\xff\xd8\xff").unwrap();
    // Not a bundle: a manifest of something else.
    fs::write(stick.join("holiday/manifest.json"), b"{}").unwrap();
    let medium = tree(&stick);
    let ran = world.import(&stick).expect(3);
    assert_eq!(reasons(&ran), ["imported", "imported", "imported", "payload-size"]);
    assert_eq!(tree(&stick), medium, "the medium was changed");
    assert_eq!(ran.json()["published"], json!({ "c": 1 }));
    let again = world.import(&stick);
    assert_eq!(reasons(&again), ["already-here", "already-here", "already-here", "payload-size"]);
    world.fsck();
    // Each bundle has exactly one intent and one outcome, each time.
    let log = world.log("import");
    let count = |kind: &str| log.iter().filter(|e| e["type"] == kind).count();
    assert_eq!(
        (count("import-started"), count("imported"), count("already-here"), count("import-refused")),
        (8, 3, 3, 2)
    );
}

#[test]
fn several_versions_of_one_feed_go_in_order() {
    let world = World::new();
    // Folder names sort the other way round.
    good(&world.path("stick/a"), &world.custodian, "feed", 3, ONE);
    good(&world.path("stick/b"), &world.custodian, "feed", 1, ONE);
    good(&world.path("stick/c"), &world.custodian, "feed", 2, ONE);
    let ran = world.import(&world.path("stick")).expect(0);
    let versions: Vec<_> = ran.json()["bundles"].as_array().unwrap().iter().map(|b| b["version"].clone()).collect();
    assert_eq!(versions, [json!(1), json!(2), json!(3)]);
}

#[test]
fn links_fifos_and_folders_are_not_read() {
    let world = World::new();
    let secret = world.path("secret");
    fs::write(&secret, b"{}").unwrap();
    // The device that gives zeros without end, as a node on the medium itself.
    let device = |p: &std::path::Path| drop(run(Command::new("mknod").arg(p).args(["c", "1", "5"])));
    for (name, hurt) in [
        ("manifest.json", (&|p: &std::path::Path| symlink(&secret, p).unwrap()) as &dyn Fn(&std::path::Path)),
        ("manifest.json", &|p| assert!(Command::new("mkfifo").arg(p).status().unwrap().success())),
        ("manifest.json", &|p| fs::create_dir(p).unwrap()),
        ("manifest.json", &|p| drop(std::os::unix::net::UnixListener::bind(p).unwrap())),
        ("manifest.json.minisig", &|p| symlink(&secret, p).unwrap()),
        ("manifest.json.minisig", &|p| assert!(Command::new("mkfifo").arg(p).status().unwrap().success())),
        ("payload.tar.gz", &|p| symlink("/dev/zero", p).unwrap()),
        ("payload.tar.gz", &|p| assert!(Command::new("mkfifo").arg(p).status().unwrap().success())),
        ("manifest.json", &device),
        ("manifest.json.minisig", &device),
        ("payload.tar.gz", &device),
    ] {
        let folder = world.bundle("feed", 1, ONE);
        fs::remove_file(folder.join(name)).unwrap();
        hurt(&folder.join(name));
        if folder.join(name).symlink_metadata().is_err() {
            skipped(&format!("a device node at {name}: only root may make one"));
            fs::remove_dir_all(&folder).unwrap();
            continue;
        }
        let before = world.stored();
        assert_eq!(reasons(&world.import(&world.path("stick")).expect(3)), ["medium-not-regular"], "{name}");
        assert_eq!(world.stored(), before);
        fs::remove_dir_all(&folder).unwrap();
    }
    // A bundle behind a linked folder is not found at all.
    good(&world.path("elsewhere"), &world.custodian, "feed", 1, ONE);
    symlink(world.path("elsewhere"), world.path("stick/link")).unwrap();
    let ran = world.relay(&["import", world.path("stick").to_str().unwrap()]).expect(3);
    assert!(ran.err.contains("[no-bundle]"), "{}", ran.err);
}

#[test]
fn names_cannot_write_to_the_terminal() {
    let world = World::new();
    let folder = world.path("stick").join("a\x1b]0;x\x07\x1b[31mAPPROVED\u{202e}");
    good(&folder, &Key::new(), "feed", 1, ONE);
    let ran = world.relay(&["import", world.path("stick").to_str().unwrap()]).expect(3);
    for text in [&ran.out, &ran.err] {
        assert!(!text.contains('\x1b') && !text.contains('\u{202e}') && !text.contains('\x07'), "{text:?}");
    }
    assert!(ran.err.contains("[signature-unknown-key]"), "{}", ran.err);
    let shown = world.relay(&["log", "show"]).expect(0);
    assert!(!shown.out.contains('\x1b'), "{:?}", shown.out);
}

#[test]
fn thousands_of_files_are_counted_not_read() {
    let limits = "\n[limits]\nmedium_entries = 500\n";
    let world = World::with_config(&format!("{CONFIG}{limits}"));
    for i in 0..600 {
        fs::write(world.path("stick").join(format!("{i}.txt")), b"x").unwrap();
    }
    assert_eq!(reasons(&world.import(&world.path("stick")).expect(3)), ["medium-entry-limit"]);
    let outcome = world.log("import").pop().unwrap();
    assert_eq!(outcome["type"], "import-refused");
    let folder = world.path("own");
    good(&folder, &world.custodian, "feed", 1, ONE);
    world.import(&folder).expect(0);
}

#[test]
fn a_thin_bundle_takes_what_is_held() {
    let world = World::new();
    // One artifact for the pack, one for a blob.
    let large: Vec<u8> = digests(9000);
    let first: &[File<'_>] = &[("a.hdb", HASHES, "clamav-hashes"), ("l.txt", &large, "sha256-list")];
    let base = world.bundle("auto", 1, first);
    world.import(&base).expect(0);

    let vendor = world.path("vendor");
    fs::create_dir(&vendor).unwrap();
    fs::write(vendor.join("a.hdb"), HASHES).unwrap();
    fs::write(vendor.join("l.txt"), &large).unwrap();
    fs::write(vendor.join("n.rules"), RULES).unwrap();
    let out = world.path("thin");
    run(build(&vendor, "auto", 2, &out).arg("--base").arg(base.join("manifest.json"))).expect(0);
    assert!(fs::metadata(out.join("payload.tar.gz")).unwrap().len() < 1000);
    world.sign(&out, "auto", 2);
    let bytes = fs::read(out.join("manifest.json")).unwrap();

    // A relay that lacks the base lists exactly what is missing.
    let other = World::new();
    fs::write(out.join("manifest.json.other.minisig"), other.custodian.sign(&bytes, &comment("auto", 2))).unwrap();
    let ran = other.import(&out).expect(3);
    let detail = ran.json()["bundles"][0]["refused"]["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("a.hdb") && detail.contains("l.txt") && !detail.contains("n.rules"), "{detail}");

    let ran = world.import(&out).expect(0);
    assert_eq!(ran.json()["bundles"][0]["counts"], json!({ "cleared": 3, "stripped": 0, "withheld": 0 }));
    assert_eq!(ran.json()["published"], json!({ "c": 2 }));
    world.fsck();
}

/// What a thin bundle leaves out comes from its own feed's releases, or from feeds that all of its readers may read:
/// never by digest from a feed that others may not see, nor from a release that officers refused.
#[test]
fn a_thin_bundle_takes_nothing_that_its_readers_may_not_have() {
    let tls = "[serve]\ntls_certificate = \"a.pem\"\ntls_key = \"a.key\"\nclient_authorities = \"ca.pem\"";
    let config = CONFIG.replace("[serve]", tls).replace(
        "name = \"two\"\nfeeds = [\"two\"]",
        "name = \"two\"\nfeeds = [\"two\"]\ncertificates = [\"lab.example\"]",
    );
    let world = World::with_config(&config);
    let large: Vec<u8> = digests(9000);
    let kind = "clamav-hashes";
    let secret: &[File<'_>] = &[("s.hdb", HASHES, kind)];
    let thin = |feed: &str, version: u64, files: &[File<'_>]| {
        let folder = world.path("stick").join(format!("thin-{feed}-{version}"));
        let payload = gzip(&tar(&[]));
        let mut manifest = manifest(feed, version, files, &payload);
        manifest["artifacts"].as_array_mut().unwrap().iter_mut().for_each(|it| it["carried"] = false.into());
        let bytes = serde_json::to_vec(&manifest).unwrap();
        let signature = world.custodian.sign(&bytes, &comment(feed, version));
        write_bundle(&folder, &bytes, &payload, &[("manifest.json.minisig", signature)]);
        folder
    };
    // A restricted channel's file, for everybody.
    world.import(&world.bundle("two", 1, secret)).expect(0);
    assert_eq!(refused(world.import(&thin("auto", 1, secret))), "blob-missing");
    assert_eq!(refused(world.import(&thin("feed", 1, secret))), "blob-missing");
    // What everybody may read, for some: small and large.
    let open: &[File<'_>] = &[("l.txt", &large, "sha256-list"), ("o.rules", RULES, "suricata-rules")];
    world.publish("feed", 2, open);
    let same: &[File<'_>] = &[("m.txt", &large, "sha256-list"), ("p.rules", RULES, "suricata-rules")];
    world.import(&thin("auto", 2, same)).expect(0);
    // What was refused stays so.
    let refused_ones: &[File<'_>] = &[("r.txt", &digests(9001), "sha256-list")];
    world.import(&world.bundle("feed", 3, refused_ones)).expect(0);
    world.decide("feed/3", "officer", &world.officer, "refuse").expect(0);
    assert_eq!(refused(world.import(&thin("feed", 4, refused_ones))), "blob-missing");
    world.fsck();
}

/// A further folder with the manifest of a bundle that is in the spool, without its payload or with another: it neither
/// empties nor replaces the bytes that were verified.
#[test]
fn a_copy_of_a_bundle_that_is_pending_is_already_here() {
    let world = World::new();
    let stick = world.path("stick");
    let first = good(&stick.join("a"), &world.custodian, "auto", 1, ONE);
    for copy in ["b", "c", "d"] {
        good(&stick.join(copy), &world.custodian, "auto", 1, ONE);
        assert_eq!(fs::read(stick.join(copy).join("manifest.json")).unwrap(), first);
    }
    fs::remove_file(stick.join("b/payload.tar.gz")).unwrap();
    let length = fs::metadata(stick.join("c/payload.tar.gz")).unwrap().len();
    fs::write(stick.join("c/payload.tar.gz"), vec![0; usize::try_from(length).unwrap()]).unwrap();
    good(&stick.join("unrelated"), &world.custodian, "feed", 1, OTHER);
    // And once more on a second medium, in the same call.
    let other = world.path("other");
    good(&other.join("a"), &world.custodian, "auto", 1, ONE);
    fs::write(other.join("a/payload.tar.gz"), b"x").unwrap();
    let paths = [stick.to_str().unwrap(), other.to_str().unwrap()];
    let ran = world.relay(&[&["import", "--json"], &paths[..]].concat()).expect(0);
    let mut outcomes = reasons(&ran);
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["already-here", "already-here", "already-here", "already-here", "imported", "imported"]);
    world.fsck();
    assert!(fs::read_dir(world.state().join("spool")).unwrap().next().is_none());
    // A copy of what is refused is refused for the same.
    fs::remove_dir_all(&stick).unwrap();
    let broken: &[File<'_>] = &[("x.hdb", HASHES, "clamav-hashes")];
    for copy in ["a", "b"] {
        let folder = stick.join(copy);
        let payload = gzip(&tar(OTHER));
        let bytes = serde_json::to_vec(&manifest("auto", 2, broken, &payload)).unwrap();
        let signature = world.custodian.sign(&bytes, &comment("auto", 2));
        write_bundle(&folder, &bytes, &payload, &[("manifest.json.minisig", signature)]);
    }
    let both = reasons(&world.import(&stick).expect(3));
    assert!(both[0] == both[1] && both[0].starts_with("entry-"), "{both:?}");
}

#[test]
fn every_artifact_gets_one_verdict_and_a_reason() {
    let world = World::new();
    let zip: &[u8] = b"PK\x03\x04 and more";
    let files: &[File<'_>] = &[
        ("a.hdb", HASHES, "clamav-hashes"),
        ("b.hdb", b"\x7fELF\x02\x01\x01", "clamav-hashes"),
        ("c.hdb", b"MZ\x90\0", "clamav-hashes"),
        ("d.hdb", b"#!/bin/sh\n", "clamav-hashes"),
        ("e.rules", zip, "suricata-rules"),
        ("f.rules", b"%PDF-1.7\n", "suricata-rules"),
        ("g.rules", b"<html><body>502</body></html>\n", "suricata-rules"),
        ("h.hdb", b"", "clamav-hashes"),
        ("i.hdb", HASHES, "suricata-rules"),
        ("j.ndb", b"Name:0:*:deadbeef\n", "clamav-bodies"),
        ("k.hdb", b"44d88612fea8a8f36de82e1278abb02f:68:E\x1b[2Jicar\n", "clamav-hashes"),
        ("l.hdb", b"\n44d88612fea8a8f36de82e1278abb02f:68:E\xffcar\n", "clamav-hashes"),
        ("m.bin", b"who knows", "unknown"),
        ("n.yac", b"YARA\0\0\0", "yara-source"),
        ("o.rules", RULES, "suricata-rules"),
    ];
    let ran = world.import(&world.bundle("feed", 1, files)).expect(0);
    assert_eq!(ran.json()["bundles"][0]["counts"], json!({ "cleared": 2, "stripped": 0, "withheld": 13 }));
    let shown = world.relay(&["show", "feed/1", "--json"]).expect(0).json();
    let verdicts: Vec<String> = shown["verdicts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| {
            format!(
                "{} {} {}",
                v["path"].as_str().unwrap(),
                v["reason"].as_str().unwrap_or("cleared"),
                v["line"].as_u64().unwrap_or(0)
            )
        })
        .collect();
    assert_eq!(
        verdicts,
        [
            "a.hdb cleared 0",
            "b.hdb kind-executable 0",
            "c.hdb kind-executable 0",
            "d.hdb kind-script 0",
            "e.rules kind-archive 0",
            "f.rules kind-document 0",
            "g.rules kind-document 0",
            "h.hdb content-empty 0",
            "i.hdb kind-mismatch 0",
            "j.ndb kind-not-allowed 0",
            "k.hdb text-control 1",
            "l.hdb text-encoding 2",
            "m.bin kind-unknown 0",
            "n.yac kind-compiled 0",
            "o.rules cleared 0",
        ]
    );
    // What was withheld is nowhere in the state.
    let held = walk(&world.state()).into_iter().any(|bytes| bytes.windows(zip.len()).any(|w| w == zip));
    assert!(!held, "withheld bytes were kept");
    world.fsck();
}

fn walk(folder: &std::path::Path) -> Vec<Vec<u8>> {
    tree(folder).into_keys().filter_map(|path| fs::read(path).ok()).collect()
}

#[test]
fn two_imports_at_once_wait_for_each_other() {
    let world = World::new();
    let folders: Vec<_> = (1..=6).map(|v| world.bundle("feed", v, ONE)).collect();
    let children: Vec<_> = folders
        .iter()
        .map(|folder| world.command(&["import", "--operator", "o", folder.to_str().unwrap()]).output())
        .map(|output| output.unwrap().status.code())
        .collect();
    assert!(children.iter().all(|code| matches!(code, Some(0 | 3))), "{children:?}");
    let parallel = World::new();
    let folders: Vec<_> = (1..=4).map(|v| parallel.bundle("auto", v, ONE)).collect();
    let running: Vec<_> = folders
        .iter()
        .map(|folder| {
            parallel
                .command(&["import", "--json", "--operator", "o", folder.to_str().unwrap()])
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in running {
        let output = child.wait_with_output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    }
    // Whatever the order was, intents and outcomes alternate.
    let log = parallel.log("import");
    let mut open = false;
    for entry in log.iter().filter(|e| e["type"] != "initialised") {
        let kind = entry["type"].as_str().unwrap();
        let intent = matches!(kind, "medium-opened" | "import-started" | "publish-started");
        assert_eq!(intent, !open, "{kind} in {log:#?}");
        open = intent;
    }
    parallel.fsck();
}

#[test]
fn a_manifest_too_large_for_a_relay_is_refused_where_it_is_made() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("vendor")).unwrap();
    fs::write(folder.path().join("vendor/a.hdb"), HASHES).unwrap();
    let mut plan = pack::BuildPlan {
        folder: folder.path().join("vendor"),
        out: folder.path().join("made"),
        feed: "feed".into(),
        version: 1,
        label: "one".into(),
        publisher: "example".into(),
        origin: "CH".into(),
        issued: "2026-01-01T00:00:00Z".parse().unwrap(),
        expires: "2099-01-01T00:00:00Z".parse().unwrap(),
        base: vec![],
        policy: config::policy::shipped_for(config::Classification::Secret).unwrap(),
        kinds: inspect::Kind::ALL.to_vec(),
        strip: None,
        tuf: None,
        keep_unrecognised: false,
        sign: None,
        limits: base::Limits::default(),
    };
    plan.limits.manifest = base::limits::Bytes(300);
    match pack::build(&plan) {
        Err(base::Error::Refused(refusal)) => assert_eq!(refusal.reason.code(), "manifest-too-large"),
        other => panic!("{:?}", other.map(|made| made.manifest)),
    }
    assert!(!plan.out.exists(), "half a bundle was left");
    plan.limits.manifest = base::limits::Bytes(1000);
    pack::build(&plan).unwrap();
}

#[test]
fn more_large_files_than_a_process_may_open() {
    let world = World::new();
    let contents: Vec<(String, Vec<u8>)> = (0..60_u32)
        .map(|i| (format!("l{i:02}.txt"), format!("{}\n", Digest::of(&i.to_be_bytes())).repeat(4200).into_bytes()))
        .collect();
    let files: Vec<File<'_>> = contents.iter().map(|(n, b)| (n.as_str(), b.as_slice(), "sha256-list")).collect();
    let folder = world.bundle("auto", 1, &files);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 40; exec \"$0\" import --operator operator \"$1\"", RELAY]).arg(folder);
    run(limited.env("GAPRELAY_STATE", world.state())).expect(0);
    assert!(contents[0].1.len() > 256 << 10, "each is a blob of its own");
    world.fsck();
}

#[test]
fn the_clock_may_not_run_behind() {
    if !has("faketime") {
        return;
    }
    let world = World::new();
    world.import(&world.bundle("feed", 1, ONE)).expect(0);
    let folder = world.bundle("feed", 2, ONE);
    let before = world.stored();
    let mut command = Command::new("faketime");
    command
        .arg("2026-03-01 00:00:00")
        .arg(RELAY)
        .env("GAPRELAY_STATE", world.state())
        .args(["import", folder.to_str().unwrap()]);
    let ran = run(&mut command).expect(1);
    assert!(ran.err.contains("the clock says 2026-03-01"), "{}", ran.err);
    assert_eq!(world.stored(), before);
    world.import(&folder).expect(0);
}

#[test]
fn a_full_disk_is_told_before_anything_is_copied() {
    let world = World::new();
    let mut huge = manifest("feed", 1, ONE, b"x");
    huge["artifacts"][0]["size"] = json!(7_u64 << 30);
    huge["payload"]["size"] = json!(7_u64 << 50);
    let config = fs::read_to_string(world.state().join("config.toml")).unwrap();
    let limits = "[limits]\nartifact = \"8 GiB\"\npayload = \"100000 TiB\"\n";
    fs::write(world.state().join("config.toml"), format!("{config}{limits}")).unwrap();
    let bytes = serde_json::to_vec(&huge).unwrap();
    let signature = world.custodian.sign(&bytes, &comment("feed", 1));
    let folder = world.path("stick/huge");
    write_bundle(&folder, &bytes, b"x", &[("manifest.json.minisig", signature)]);
    let ran = world.import(&folder).expect(1);
    assert!(ran.json()["bundles"][0]["fault"].as_str().unwrap().starts_with("not enough free space"), "{}", ran.out);
    assert_eq!(world.log("import").last().unwrap()["type"], "import-failed");
}

#[test]
fn the_binaries_are_what_they_claim() {
    // The relay holds no code that signs bundles.
    let relay = fs::read(RELAY).unwrap();
    let packer = fs::read(pack_binary()).unwrap();
    let holds = |binary: &[u8], text: &[u8]| binary.windows(text.len()).any(|w| w == text);
    let mark = b"Wrong password for that key";
    assert!(holds(&packer, mark) && !holds(&relay, mark), "minisign's signing code is in the relay");
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(Command::new(RELAY).args(["completions", shell])).expect(0).out.contains("gaprelay"));
    }
    let example = run(Command::new(RELAY).args(["init", "--print-config"])).expect(0).out;
    assert!(config::Config::parse(&example).is_ok() && example.contains("limits"));
    run(Command::new(RELAY).args(["init"])).expect(2);
    let dir = tempfile::tempdir().unwrap();
    run(Command::new(RELAY).args(["man", dir.path().to_str().unwrap()])).expect(0);
    run(pack().args(["man", dir.path().to_str().unwrap()])).expect(0);
    assert!(fs::read_to_string(dir.path().join("gaprelay-import.1")).unwrap().contains("medium"));
    let explained = run(Command::new(RELAY).args(["explain", "version-rollback"])).expect(0);
    assert!(explained.out.contains("next:"), "{}", explained.out);
    run(Command::new(RELAY).args(["explain", "nonsense"])).expect(2);
    run(Command::new(RELAY).args(["--state", "/nonexistent", "status"])).expect(2);
}

/// Output of `--json` follows the schemas in `schemas/`.
#[test]
fn json_outputs_fit_their_schemas() {
    let world = World::new();
    let folder = world.path("schemas");
    let schemas = TOP.join("schemas");
    let fits = |name: &str, value: &serde_json::Value| {
        let schema = serde_json::from_slice(&fs::read(schemas.join(format!("{name}.json"))).unwrap()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let faults: Vec<_> = validator.iter_errors(value).map(|e| e.to_string()).collect();
        assert!(faults.is_empty(), "{name}: {faults:?} in {value:#}");
    };
    good(&folder.join("bad"), &Key::new(), "feed", 1, ONE);
    world.bundle("feed", 1, &[("a.hdb", HASHES, "clamav-hashes"), ("x.hdb", b"MZ", "clamav-hashes")]);
    world.bundle("auto", 1, &[("b.hdb", HASHES, "clamav-hashes")]);
    let both = [folder.to_str().unwrap(), world.path("stick").to_str().unwrap()].map(str::to_owned);
    let imported = world.relay(&["import", "--json", "--operator", "o", &both[0], &both[1]]).expect(3).json();
    assert_eq!(imported["bundles"].as_array().unwrap().len(), 3);
    fits("json-import", &imported);
    fits("json-settle", &world.decide("feed/1", "officer", &world.officer, "approve").expect(0).json());
    for (name, args) in [
        ("json-status", vec!["status"]),
        ("json-selftest", vec!["selftest"]),
        ("json-releases", vec!["releases"]),
        ("json-show", vec!["show", "feed/1"]),
        ("json-settle", vec!["settle"]),
        ("json-log-verify", vec!["log", "verify"]),
        ("json-refusals", vec!["refusals"]),
        ("json-fsck", vec!["fsck"]),
        ("json-gc", vec!["gc"]),
        ("json-keyring-show", vec!["keyring", "show"]),
    ] {
        fits(name, &world.relay(&[&args[..], &["--json"]].concat()).expect(0).json());
    }
    for line in world.relay(&["log", "show", "--json"]).expect(0).out.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        fits("json-log-show", &line);
        fits("log-entry", &line["entry"]);
    }
    let state = |path: &str| serde_json::from_slice(&fs::read(world.state().join(path)).unwrap()).unwrap();
    // Under its signature.
    let mut trust: serde_json::Value = state("trust/trust.json");
    assert!(trust.as_object_mut().unwrap().remove("signature").is_some());
    fits("trust", &trust);
    fits("release", &state("releases/feed/1/release.json"));
    fits("verdicts", &state("releases/feed/1/verdicts.json"));
    fits("pack", &state("releases/feed/1/pack.json"));
    fits("set", &state("channels/c/2.json"));
    let statements = fs::read_dir(world.state().join("releases/feed/1/statements")).unwrap();
    let paths: Vec<_> = statements.map(|entry| entry.unwrap().path()).collect();
    fits("statement-taken", &serde_json::from_slice(&fs::read(&paths[0]).unwrap()).unwrap());
}
