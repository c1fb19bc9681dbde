//! Content that others wrote, and what it is made to look like: nothing is refused by mistake, each verdict has its
//! reason, and engines take what passes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::support::*;

const FEEDS: &str = r#"
relay = "test"
[media]
writable = "tests import from plain folders"
[[policy]]
name = "strip"
otherwise = "strip"
[[policy]]
name = "bytecode"
[[policy.rule]]
name = "programs"
reasons = ["rule-bytecode"]
then = "permit"
why = "a test"
[[feed]]
name = "clamav"
kinds = ["clamav-cvd", "clamav-sign", "clamav-cdiff"]
[[feed]]
name = "bytecode"
kinds = ["clamav-cvd"]
policy = "bytecode"
[[feed]]
name = "rules"
kinds = ["rules-archive", "suricata-rules", "suricata-config", "sid-map", "sigma-yaml", "stix-json", "misp-json"]
policy = "strip"
[[channel]]
name = "c"
feeds = ["clamav", "bytecode", "rules"]
"#;

fn verdicts(world: &World, feed: &str, version: u64, files: &[File<'_>]) -> Vec<Value> {
    world.import(&world.bundle(feed, version, files)).expect(0);
    let shown = world.relay(&["show", &format!("{feed}/{version}"), "--json"]).expect(0).json();
    shown["verdicts"].as_array().unwrap().clone()
}

#[test]
fn vendor_databases_pass_whole_and_changed_ones_do_not() {
    let Some(data) = testdata() else { return };
    let world = World::with_config(FEEDS);
    let read = |name: &str| fs::read(data.join(name)).unwrap();
    for version in 1..=6 {
        let (cvd, sign) = (read(&format!("test-{version}.cvd")), read(&format!("test-{version}.cvd.sign")));
        let signed = format!("test-{version}.cvd.sign");
        let all =
            verdicts(&world, "clamav", version, &[(&signed, &sign, "clamav-sign"), ("test.cvd", &cvd, "clamav-cvd")]);
        assert_eq!(all[1]["decision"], "cleared", "{all:?}");
        assert_eq!(
            (&all[1]["database"]["is_vendor_signed"], &all[1]["database"]["version"]),
            (&true.into(), &version.into())
        );
        if version == 5 {
            world.decide("clamav/5", "officer", &world.officer, "approve").expect(0);
        }
    }
    // What the newer one has more, by signature, though it is packed.
    let items = world.relay(&["show", "clamav/6", "--diff", "--json"]).expect(0).json()["items"].clone();
    let added = items["changes"].as_array().unwrap().iter().find(|group| group["change"] == "added").unwrap();
    assert!(added["count"].as_u64().unwrap() >= 1, "{items:#}");
    // The vendor's older one is as well signed: it is told, and never goes without an officer.
    world.decide("clamav/6", "officer", &world.officer, "approve").expect(0);
    let older = verdicts(&world, "clamav", 11, &[("test.cvd", &read("test-3.cvd"), "clamav-cvd")]);
    assert_eq!(older[0]["decision"], "cleared");
    let words = world.relay(&["show", "clamav/11", "--diff"]).expect(0).out;
    assert!(words.contains("WEAKER  test.cvd goes back to an older version of the database"), "{words}");
    assert!(words.contains("test.cvd: database 3 of ") && words.contains("has its vendor's signature"), "{words}");
    let loss = world.relay(&["show", "clamav/11", "--json"]).expect(0).json()["release"]["loss"].clone();
    assert_eq!(loss["older"], 1, "{loss}");
    // A byte anywhere: in the header, in the packed part, at the end.
    let good = read("test-6.cvd");
    for (version, at) in [(12, 30), (13, 600), (14, good.len() - 3)] {
        let mut changed = good.clone();
        changed[at] ^= 1;
        let all = verdicts(&world, "clamav", version, &[("test.cvd", &changed, "clamav-cvd")]);
        assert_eq!(
            (&all[0]["decision"], &all[0]["reason"]),
            (&"withheld".into(), &"archive-form".into()),
            "{at}: {all:?}"
        );
    }
    // Increments are read too: all of the vendor's pass, and one that was changed does not.
    for version in 2..=6 {
        let name = format!("test-{version}.cdiff");
        let diff = read(&name);
        let all = verdicts(&world, "clamav", 20 + 2 * version, &[(&name, &diff, "clamav-cdiff")]);
        assert_eq!((&all[0]["decision"], &all[0]["reason"]), (&"cleared".into(), &Value::Null), "{all:?}");
        let head = format!("ClamAV-Diff:{version}:1:");
        let shorter = [head.as_bytes(), diff.splitn(4, |b| *b == b':').nth(3).unwrap()].concat();
        let all = verdicts(&world, "clamav", 21 + 2 * version, &[(&name, &shorter, "clamav-cdiff")]);
        assert_eq!((&all[0]["decision"], &all[0]["reason"]), (&"withheld".into(), &"archive-form".into()), "{all:?}");
    }
    // Its signature and increments do not stay behind.
    let mut changed = good.clone();
    changed[600] ^= 1;
    let (sign, diff) = (read("test-6.cvd.sign"), read("test-6.cdiff"));
    let files: &[File<'_>] = &[
        ("test-6.cdiff", &diff, "clamav-cdiff"),
        ("test-6.cvd.sign", &sign, "clamav-sign"),
        ("test.cvd", &changed, "clamav-cvd"),
    ];
    verdicts(&world, "clamav", 40, files);
    world.decide("clamav/40", "officer", &world.officer, "approve").expect(0);
    let server = Server::start(&world, "serve");
    for path in ["/c/test.cvd", "/c/test-6.cvd.sign", "/c/test-6.cdiff"] {
        assert_eq!(server.get(path, "").status, 404, "{path}");
    }
    server.stop();
}

#[test]
fn containers_hold_what_they_list_and_no_programs() {
    let world = World::with_config(FEEDS);
    let same = |info: String| info;
    let hdb: (&str, &[u8]) = ("test.hdb", HASHES);
    let tries: [(&str, Vec<u8>, &str, &str); 6] = [
        ("good", cvd(&[hdb], same), "", ""),
        ("bytecode", cvd(&[hdb, ("1.cbc", b"ClamBCafhg")], same), "rule-bytecode", "1.cbc"),
        ("foreign", cvd(&[hdb, ("run.sh", b"#!/bin/sh\n")], same), "archive-member", "run.sh"),
        (
            "unlisted",
            cvd(&[hdb, ("test.ndb", b"x")], |info| info.replace("test.ndb:", "test.zdb:")),
            "archive-form",
            "a file that the .info file lists is missing, or has another size or digest",
        ),
        (
            "digest",
            cvd(&[hdb], |info| info.replace(":7:3:90:", ":8:3:90:")),
            "archive-form",
            "the .info file in the database is of another database",
        ),
        (
            "more",
            cvd(&[hdb, ("test.ndb", b"x")], |info| {
                info.lines().filter(|line| !line.starts_with("test.ndb")).map(|line| format!("{line}\n")).collect()
            }),
            "archive-form",
            "the database holds a file that its .info file does not list",
        ),
    ];
    for (version, (name, bytes, reason, member)) in tries.iter().enumerate() {
        let version = version as u64 + 1;
        let all = verdicts(&world, "clamav", version, &[("test.cvd", bytes, "clamav-cvd")]);
        let expected = if reason.is_empty() { Value::Null } else { (*reason).into() };
        assert_eq!(all[0]["reason"], expected, "{name}: {all:?}");
        assert_eq!(all[0]["member"].as_str().unwrap_or_default(), *member, "{name}");
        assert_eq!(all[0]["database"]["is_vendor_signed"], false, "{name}: anybody can make one");
    }
    // A site may take programs from its vendor, in a feed of their own.
    let all = verdicts(&world, "bytecode", 1, &[("bytecode.cvd", &tries[1].1, "clamav-cvd")]);
    assert_eq!(all[0]["decision"], "cleared", "{all:?}");
}

#[test]
fn archives_of_rules_pass_and_suricata_update_takes_them() {
    let world = World::with_config(FEEDS);
    let class = b"config classification: trojan-activity,A Network Trojan was detected,1\n";
    let map = b"1 || test || url,example.org\n";
    let good: Vec<File<'_>> = vec![
        ("rules/LICENSE", b"free\n", ""),
        ("rules/classification.config", class, ""),
        ("rules/sid-msg.map", map, ""),
        ("rules/site.rules", RULES, ""),
    ];
    let mut bad = good.clone();
    let lua = [RULES, b"alert tcp any any -> any any (lua:x.lua; sid:2;)\n"].concat();
    bad[3].1 = &lua;
    let (good, bad) = (gzip(&tar(&good)), gzip(&tar(&bad)));
    let foreign = gzip(&tar(&[("threshold.config", b"suppress gen_id 1, sig_id 1, track by_src, ip 10.0.0.1\n", "")]));
    let all = verdicts(
        &world,
        "rules",
        1,
        &[
            ("bad.rules.tar.gz", &bad, "rules-archive"),
            ("good.rules.tar.gz", &good, "rules-archive"),
            ("not.tar.gz", b"\x1f\x8bnot", "rules-archive"),
            ("threshold.tar.gz", &foreign, "rules-archive"),
        ],
    );
    let told: Vec<_> = all
        .iter()
        .map(|v| {
            (v["decision"].as_str().unwrap(), v["reason"].as_str().unwrap_or(""), v["member"].as_str().unwrap_or(""))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("stripped", "rule-runs-code", "rules/site.rules"),
            ("cleared", "", ""),
            ("withheld", "archive-form", "the gzip data is damaged, or is not gzip"),
            // The feed may not carry thresholds, packed or not.
            ("withheld", "kind-not-allowed", "a file of kind suricata-threshold"),
        ]
    );
    let words = world.relay(&["show", "rules/1"]).expect(0).out;
    assert!(words.contains("rule-runs-code, rules/site.rules, line 2"), "{words}");
    if !has("suricata-update") {
        return;
    }
    world.decide("rules/1", "officer", &world.officer, "approve").expect(0);
    let server = Server::start(&world, "serve");
    let ran = suricata_update(&world, &server.url("/c/good.rules.tar.gz"));
    server.stop();
    let merged = fs::read_to_string(world.path("suricata/rules/suricata.rules")).unwrap_or_default();
    assert!(merged.contains("sid:1;"), "{}{}", ran.out, ran.err);
}

/// Every file that a Debian package ships to test scanners with is a program, an archive or a document.
#[test]
fn no_sample_passes() {
    let folder = Path::new("/usr/share/clamav-testfiles");
    if !folder.is_dir() {
        skipped("clamav-testfiles is not here");
        return;
    }
    let world = World::with_config(FEEDS);
    let ran = world
        .relay(&["policy", "test", folder.to_str().unwrap(), "--policy", "unclassified", "--json"])
        .expect(0)
        .json();
    let all = ran.as_array().unwrap();
    assert!(all.len() > 40, "{}", all.len());
    assert!(all.iter().all(|verdict| verdict["decision"] == "withheld"), "{ran:#}");
}

/// Rules and bundles that others wrote, as the Python package index has them.
fn others(part: &str) -> Option<PathBuf> {
    let folder = TOP.join("target/content").join(part);
    let found = folder.is_dir();
    if !found {
        skipped(&format!("{part} is not in target/content"));
    }
    found.then_some(folder)
}

fn tried(world: &World, folder: &Path, ending: &str) -> Vec<(String, String, String)> {
    let ran = world
        .relay(&["policy", "test", folder.to_str().unwrap(), "--policy", "confidential", "--json"])
        .expect(0)
        .json();
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let all = ran.as_array().unwrap().iter();
    all.map(|v| (text(&v["path"]), text(&v["decision"]), text(&v["reason"])))
        .filter(|(path, ..)| path.ends_with(ending))
        .collect()
}

#[test]
fn yara_rules_of_others_pass_but_for_what_they_include() {
    let (Some(guarddog), Some(pdfalyzer)) = (others("guarddog/analyzer/sourcecode"), others("pdfalyzer/yara_rules"))
    else {
        return;
    };
    let world = World::with_config(FEEDS);
    let mut cleared = 0;
    for (folder, ending) in [(guarddog, ".yar"), (pdfalyzer, ".yara")] {
        for (path, decision, reason) in tried(&world, &folder, ending) {
            let text = fs::read_to_string(folder.join(&path)).unwrap();
            let includes = text.lines().any(|line| line.trim_start().starts_with("include "));
            let expected = if includes { ("withheld", "rule-uses-files") } else { ("cleared", "") };
            assert_eq!((decision.as_str(), reason.as_str()), expected, "{path}");
            if !includes && has("yara") {
                let ran = run(Command::new("yara").arg("-w").arg(folder.join(&path)).arg("/dev/null"));
                assert_eq!(ran.code, Some(0), "{path}: {}", ran.err);
                cleared += 1;
            }
        }
    }
    assert!(cleared > 50 || !has("yara"), "{cleared}");
}

#[test]
fn stix_bundles_of_others_pass() {
    let world = World::with_config(FEEDS);
    for part in ["stix2validator/schemas-2.0/examples", "stix2validator/schemas-2.1/examples"] {
        let Some(folder) = others(part) else { return };
        let all = tried(&world, &folder, ".json");
        assert!(all.len() >= 6, "{all:?}");
        for (path, decision, reason) in all {
            let whole = fs::read_to_string(folder.join(&path)).unwrap();
            let is_bundle = serde_json::from_str::<Value>(&whole).unwrap()["type"] == "bundle";
            let expected = if is_bundle { ("cleared", "") } else { ("withheld", "kind-unknown") };
            assert_eq!((decision.as_str(), reason.as_str()), expected, "{path}");
        }
    }
}

/// Sigma rules pass if pySigma takes them; YAML that is made to deceive a reader does not.
#[test]
fn sigma_rules_that_pass_are_rules_to_pysigma() {
    let Some(python) = python_with("sigma.collection") else { return };
    let world = World::with_config(FEEDS);
    let good = "title: A rule\nid: 5013198f-3d4a-4d0c-8b6e-2f6c9d9e0a11\nstatus: test\nlogsource:\n  product: windows\n  category: process_creation\ndetection:\n  selection:\n    Image|endswith: '\\x.exe'\n    CommandLine|re: 'a+b'\n  condition: selection\n";
    let bomb = format!("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n{good}");
    let tag = good.replace("title: A", "title: !!python/object/apply:os.system [id] # A");
    let twice = good.replace("status: test", "title: another");
    let filter = good.replace("detection:", "filter:");
    let costly = good.replace("a+b", "(a+)+b");
    let all = verdicts(
        &world,
        "rules",
        1,
        &[
            ("a-good.yml", good.as_bytes(), "sigma-yaml"),
            ("b-bomb.yml", bomb.as_bytes(), "sigma-yaml"),
            ("c-tag.yml", tag.as_bytes(), "sigma-yaml"),
            ("d-twice.yml", twice.as_bytes(), "sigma-yaml"),
            ("e-filter.yml", filter.as_bytes(), "sigma-yaml"),
            ("f-costly.yml", costly.as_bytes(), "sigma-yaml"),
        ],
    );
    let reasons: Vec<_> = all.iter().map(|v| v["reason"].as_str().unwrap_or("")).collect();
    assert_eq!(reasons, ["", "rule-syntax", "rule-syntax", "rule-duplicate", "rule-weakens-detection", "rule-costly"]);
    let rule = world.path("good.yml");
    fs::write(&rule, good).unwrap();
    let read = "import sys; from sigma.collection import SigmaCollection as C; c = C.from_yaml(open(sys.argv[1]).read()); print(len(c.rules), c.errors)";
    assert_eq!(run(Command::new(python).args(["-c", read]).arg(&rule)).expect(0).out.trim(), "1 []");
}

/// Indicators that carry a file, or rules that do more than they say.
#[test]
fn indicators_carry_no_files_and_no_tricks() {
    let world = World::with_config(FEEDS);
    let stix = |object: &str| format!("{{\"type\":\"bundle\",\"id\":\"bundle--1\",\"objects\":[{object}]}}");
    let payload = stix("{\"type\":\"artifact\",\"id\":\"artifact--1\",\"payload_bin\":\"TVqQAA==\"}");
    let rule = stix(
        "{\"type\":\"indicator\",\"id\":\"indicator--1\",\"pattern_type\":\"suricata\",\"pattern\":\"alert ip any any -> any any (lua:x; sid:1;)\"}",
    );
    let misp = "{\"Event\":{\"info\":\"x\",\"Attribute\":[{\"type\":\"malware-sample\",\"value\":\"a|b\",\"data\":\"UEsDBA==\"}]}}";
    let all = verdicts(
        &world,
        "rules",
        1,
        &[
            ("a.json", payload.as_bytes(), "stix-json"),
            ("b.json", rule.as_bytes(), "stix-json"),
            ("c.json", misp.as_bytes(), "misp-json"),
            (
                "d.json",
                stix("{\"type\":\"url\",\"id\":\"url--1\",\"value\":\"http://a.example\"}").as_bytes(),
                "stix-json",
            ),
        ],
    );
    let reasons: Vec<_> = all.iter().map(|v| v["reason"].as_str().unwrap_or("")).collect();
    assert_eq!(reasons, ["rule-carries-file", "rule-runs-code", "rule-carries-file", ""]);
}
