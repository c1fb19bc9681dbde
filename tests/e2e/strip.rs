//! Lines that may not pass are left out, where a feed says so: what is left is served, and real engines take it and
//! find what they found before, but for what was taken out.

use std::fs;
use std::path::Path;
use std::process::Command;

use base::Digest;

use super::support::*;

const STRIP_FEED: &str = r#"
relay = "test"
[media]
writable = "tests import from plain folders"
[[policy]]
name = "strip"
otherwise = "strip"
[[policy]]
name = "refuse"
otherwise = "refuse"
[[feed]]
name = "strip"
kinds = ["suricata-rules", "rules-archive", "yara-source", "clamav-hashes", "clamav-bodies", "clamav-logical", "sha256-list", "md5-list", "sigma-yaml"]
policy = "strip"
[[feed]]
name = "refuse"
kinds = ["suricata-rules", "sha256-list"]
policy = "refuse"
[[channel]]
name = "c"
feeds = ["strip", "refuse"]
"#;

const LUA: &str = "alert tcp any any -> any any (msg:\"x\"; lua:evil.lua; sid:2; rev:1;)\n";
const PASS: &str = "pass tcp any any -> any any (msg:\"x\"; sid:3; rev:1;)\n";
const GOOD: &str = "# a comment\nalert tcp any any -> any 4444 (msg:\"one\"; sid:1; rev:1;)\n";
const LAST: &str = "alert tcp any any -> any 5555 (msg:\"last\"; sid:4; rev:1;)";
const EICAR: &str = "rule eicar {\n  strings: $a = \"EICAR-STANDARD\"\n  condition: $a\n}\n";
const OFF: &str = "global private rule off {\n  condition: false\n}\n";
const NEEDS: &str = "rule needs { condition: off }\n";
const SAMPLE: &str = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*";

fn verdict<'a>(shown: &'a serde_json::Value, path: &str) -> &'a serde_json::Value {
    shown["verdicts"].as_array().unwrap().iter().find(|verdict| verdict["path"] == path).unwrap()
}

#[test]
fn what_may_not_pass_is_left_out_and_the_rest_is_served() {
    let world = World::with_config(STRIP_FEED);
    let rules = format!("{GOOD}{LUA}{PASS}{LAST}");
    let vouches = format!("{}\n", md5_of(rules.as_bytes()));
    let all = format!("{LUA}{PASS}");
    let hash = |n: usize| format!("{n:064x}\n");
    let long: String = (0..5000).map(hash).collect();
    let list = format!("{long}not a hash\n{}", hash(5000));
    let sigma = "title: x\nlogsource: !!python/x {}\ndetection:\n  condition: s\n";
    let files: &[File<'_>] = &[
        ("a.rules", rules.as_bytes(), "suricata-rules"),
        ("a.rules.md5", vouches.as_bytes(), "md5-list"),
        ("all.rules", all.as_bytes(), "suricata-rules"),
        ("list.txt", list.as_bytes(), "sha256-list"),
        ("only.txt", b"0123\n", "sha256-list"),
        ("sigma.yml", sigma.as_bytes(), "sigma-yaml"),
        ("whole.rules", GOOD.as_bytes(), "suricata-rules"),
    ];
    let bundle = world.bundle("strip", 1, files);
    world.import(&bundle).expect(0);
    let shown = world.relay(&["show", "strip/1", "--json"]).expect(0).json();
    let left = format!("{GOOD}{LAST}");
    let stripped = verdict(&shown, "a.rules");
    assert_eq!(stripped["decision"], "stripped");
    assert_eq!((&stripped["reason"], &stripped["line"]), (&"rule-runs-code".into(), &3.into()));
    assert_eq!(stripped["sha256"], Digest::of(rules.as_bytes()).to_string(), "as the manifest has it");
    assert_eq!(
        stripped["stripped"],
        serde_json::json!({
            "size": left.len(), "sha256": Digest::of(left.as_bytes()).to_string(),
            "dropped": [{ "line": 3, "reason": "rule-runs-code" }, { "line": 4, "reason": "rule-weakens-detection" }],
        })
    );
    let large = list.replace("not a hash\n", "");
    assert_eq!(
        verdict(&shown, "list.txt")["stripped"]["dropped"],
        serde_json::json!([{ "line": 5001, "reason": "rule-syntax" }])
    );
    assert_eq!(verdict(&shown, "list.txt")["stripped"]["sha256"], Digest::of(large.as_bytes()).to_string());
    // Nothing is left of one; the other is not made of lines.
    for (path, reason) in [("all.rules", "rule-runs-code"), ("sigma.yml", "rule-syntax"), ("only.txt", "kind-unknown")]
    {
        assert_eq!(verdict(&shown, path)["decision"], "withheld", "{path}");
        assert_eq!(verdict(&shown, path)["reason"], reason, "{path}");
        assert_eq!(verdict(&shown, path)["stripped"], serde_json::Value::Null, "{path}");
    }
    let counts = &shown["release"]["counts"];
    assert_eq!((&counts["stripped"], &counts["withheld"]), (&2.into(), &3.into()), "{shown}");
    // What was there before the lines were left out is nowhere.
    let digest = Digest::of(list.as_bytes()).to_string();
    assert!(!world.stored().keys().any(|path| path.contains(&digest)));

    world.decide("strip/1", "officer", &world.officer, "approve").expect(0);
    world.fsck();
    let server = Server::start(&world, "serve");
    let get = |path: &str| server.get(path, "").body;
    assert_eq!(get("/c/a.rules"), left);
    assert_eq!(get("/c/a.rules.md5"), md5_of(left.as_bytes()));
    assert_eq!(get("/c/a.rules.sha256"), Digest::of(left.as_bytes()).to_string());
    assert_eq!(get("/c/list.txt"), large);
    assert_eq!(server.get("/c/all.rules", "").status, 404);
    let set: serde_json::Value = serde_json::from_str(&get("/-/channels/c/release.json")).unwrap();
    let file = set["files"].as_array().unwrap().iter().find(|file| file["path"] == "a.rules").unwrap();
    assert_eq!(file["stripped"]["sha256"], Digest::of(rules.as_bytes()).to_string());
    assert_eq!(file["stripped"]["dropped"][1]["line"], 4);
    server.stop();

    // A thin bundle cannot leave out what is not held as it was signed; what was cleared it can.
    let mut command = pack();
    let said = run(command
        .args(["check"])
        .arg(&bundle)
        .arg("--keyring")
        .arg(world.path("keyring.toml"))
        .arg("--config")
        .arg(world.path("config.toml")));
    let said = said.expect(0).out;
    assert!(said.contains("2 stripped") && said.contains("rule-runs-code, line 3 and 1 more"), "{said}");
    let words = world.relay(&["show", "strip/1"]).expect(0).out;
    assert!(words.contains("stripped") && words.contains("line 3 and 1 more"), "{words}");
    let exported = world.relay(&["log", "export", "--format", "ocsf"]).expect(0).out;
    assert!(exported.contains("\"Evict\"") && exported.contains("a.rules"), "{exported}");
}

#[test]
fn a_feed_may_refuse_a_whole_release() {
    let world = World::with_config(STRIP_FEED);
    let bad = format!("{GOOD}{LUA}");
    let files: &[File<'_>] = &[("a.rules", bad.as_bytes(), "suricata-rules")];
    let before = world.stored();
    let ran = world.import(&world.bundle("refuse", 1, files)).expect(3);
    let json = ran.json();
    assert_eq!(json["bundles"][0]["refused"]["reason"], "rule-runs-code", "{json}");
    assert!(json["bundles"][0]["refused"]["detail"].as_str().unwrap().starts_with("\"a.rules\", line 3"), "{json}");
    assert_eq!(world.stored(), before, "nothing is kept");
    // The same version, mended, is taken.
    fs::remove_dir_all(world.path("stick/refuse-1")).unwrap();
    world.publish("refuse", 1, &[("a.rules", GOOD.as_bytes(), "suricata-rules")]);
    let other: &[File<'_>] = &[("a.rules", b"MZ not rules", "suricata-rules")];
    let ran = world.import(&world.bundle("refuse", 2, other)).expect(3);
    assert_eq!(ran.json()["bundles"][0]["refused"]["reason"], "kind-executable");
}

/// Publishes one file, and gives the path of what an agent gets of it.
fn pulled(world: &World, name: &str, text: &str, kind: &str) -> std::path::PathBuf {
    world.publish("strip", 1, &[(name, text.as_bytes(), kind)]);
    let server = Server::start(world, "serve");
    let answer = server.get(&format!("/c/{name}"), "");
    server.stop();
    let path = world.path("pulled").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, answer.body).unwrap();
    path
}

fn md5_of(bytes: &[u8]) -> String {
    use md5::Digest as _;
    data_encoding::HEXLOWER.encode(&md5::Md5::digest(bytes))
}

#[test]
fn yara_takes_what_is_left() {
    if !has("yara") {
        return;
    }
    let world = World::with_config(STRIP_FEED);
    let all = format!("import \"console\"\n{EICAR}\n{OFF}{NEEDS}rule speaks {{ condition: console.log(\"x\") }}\n");
    let left = pulled(&world, "a.yar", &all, "yara-source");
    assert_eq!(fs::read_to_string(&left).unwrap(), format!("{EICAR}\n"));
    let scan = |rules: &Path| {
        let sample = world.path("sample");
        fs::write(&sample, SAMPLE).unwrap();
        run(Command::new("yara").arg(rules).arg(&sample)).expect(0).out
    };
    let before = world.path("before.yar");
    fs::write(&before, format!("{EICAR}{OFF}")).unwrap();
    assert_eq!(scan(&before), "", "silenced");
    assert!(scan(&left).starts_with("eicar "));
}

#[test]
fn clamscan_takes_what_is_left_and_finds_the_same() {
    if !has("clamscan") {
        return;
    }
    let hex = |text: &str| text.bytes().map(|b| format!("{b:02x}")).collect::<String>();
    let md5 = md5_of(SAMPLE.as_bytes());
    let eicar = hex("EICAR-STANDARD");
    for (name, kind, good, bad) in [
        ("a.hdb", "clamav-hashes", format!("{md5}:{}:Test.Hash", SAMPLE.len()), "0123:1:Short"),
        ("a.ndb", "clamav-bodies", format!("Test.Body:0:*:{eicar}"), "Broken:0:*:zz"),
        (
            "a.ldb",
            "clamav-logical",
            format!("Test.Logical;Engine:51-255,Target:0;0&1;{eicar};{}", hex("X5O")),
            "Cost;Target:0;0;0/(a+)+b/",
        ),
    ] {
        let world = World::with_config(STRIP_FEED);
        let text = format!("{good}\n{bad}\n");
        let left = pulled(&world, name, &text, kind);
        assert_eq!(fs::read_to_string(&left).unwrap(), format!("{good}\n"));
        let sample = world.path("sample");
        fs::write(&sample, SAMPLE).unwrap();
        let scan =
            |database: &Path| run(Command::new("clamscan").arg("-d").arg(database).arg("--no-summary").arg(&sample));
        let found = scan(&left);
        let expected = format!(
            "Test.{}",
            match name {
                "a.hdb" => "Hash",
                "a.ndb" => "Body",
                _ => "Logical",
            }
        );
        assert!(found.code == Some(1) && found.out.contains(&expected), "{name}: {}{}", found.out, found.err);
    }
}

/// suricata-update's own reader of rules finds the rules that are left, and none that was taken out.
#[test]
fn suricata_update_reads_what_is_left() {
    if !has("suricata-update") {
        return;
    }
    let world = World::with_config(STRIP_FEED);
    let left = pulled(&world, "a.rules", &format!("{GOOD}{LUA}{PASS}{LAST}\n"), "suricata-rules");
    let read = "import sys; sys.path.insert(0, '/usr/lib/python3/dist-packages'); from suricata.update import rule; print([r.sid for r in rule.parse_file(sys.argv[1]) if r.enabled])";
    let ran = run(Command::new("/usr/bin/python3").args(["-c", read]).arg(&left)).expect(0);
    assert_eq!(ran.out.trim(), "[1, 4]");
}

/// Lines go, and files of which no line can; what is left is a new archive, which stock tools read.
#[test]
fn an_archive_is_made_anew_without_what_may_not_pass() {
    let world = World::with_config(STRIP_FEED);
    let rules = format!("{GOOD}{LUA}{PASS}{LAST}\n");
    let sigma = b"title: x\nlogsource: !!python/x {}\ndetection:\n  condition: s\n";
    let old = gzip(&tar(&[
        ("./rules/site.rules", rules.as_bytes(), ""),
        ("rules/evil.lua", b"function init() end\n", ""),
        ("rules/sigma.yml", sigma, ""),
        ("rules/LICENSE", b"free\n", ""),
        ("freshclam", b"SubmitDetectionStats /etc/clamd.conf\n", ""),
        ("rules/late.rules", GOOD.replace("sid:1", "sid:9").as_bytes(), ""),
    ]));
    let all = gzip(&tar(&[("rules/evil.lua", b"function init() end\n", "")]));
    let cut = &old[..old.len() - 9];
    let files: &[File<'_>] = &[
        ("all.tar.gz", &all, "rules-archive"),
        ("cut.tar.gz", cut, "rules-archive"),
        ("site.rules.tar.gz", &old, "rules-archive"),
    ];
    world.import(&world.bundle("strip", 1, files)).expect(0);
    let shown = world.relay(&["show", "strip/1", "--json"]).expect(0).json();
    // What cannot be read for certain is not made anew.
    assert_eq!(verdict(&shown, "cut.tar.gz")["decision"], "withheld", "{shown:#}");
    let new = verdict(&shown, "site.rules.tar.gz");
    assert_eq!(new["decision"], "stripped", "{shown:#}");
    assert_eq!(
        new["stripped"]["dropped"],
        serde_json::json!([
            { "line": 1, "reason": "rule-submits", "member": "freshclam" },
            { "line": 1, "reason": "archive-member", "member": "rules/evil.lua" },
            { "line": 2, "reason": "rule-syntax", "member": "rules/sigma.yml" },
            { "line": 3, "reason": "rule-runs-code", "member": "rules/site.rules" },
            { "line": 4, "reason": "rule-weakens-detection", "member": "rules/site.rules" },
        ])
    );
    let words = world.relay(&["show", "strip/1"]).expect(0).out;
    assert!(words.contains("rule-submits, freshclam, line 1 and 4 more"), "{words}");
    world.decide("strip/1", "officer", &world.officer, "approve").expect(0);
    world.fsck();

    let server = Server::start(&world, "serve");
    let pulled = world.path("pulled.tar.gz");
    run(Command::new("curl").args(["-sf", "-o"]).arg(&pulled).arg(server.url("/c/site.rules.tar.gz"))).expect(0);
    let bytes = fs::read(&pulled).unwrap();
    assert_eq!(server.get("/c/site.rules.tar.gz.md5", "").body, md5_of(&bytes));
    assert_eq!(new["stripped"]["sha256"], Digest::of(&bytes).to_string());
    let listed = run(Command::new("tar").args(["--numeric-owner", "-tvzf"]).arg(&pulled)).expect(0).out;
    let names: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().last()).collect();
    assert_eq!(names, ["rules/site.rules", "rules/LICENSE", "rules/late.rules"], "{listed}");
    assert!(listed.lines().all(|line| line.starts_with("-rw-r--r-- 0/0")), "{listed}");
    let left = run(Command::new("tar").arg("-xzOf").arg(&pulled).arg("rules/site.rules")).expect(0).out;
    assert_eq!(left, format!("{GOOD}{LAST}\n"));
    if has("suricata-update") {
        let out = world.path("suricata");
        let ran = run(Command::new("suricata-update")
            .args(["--no-test", "--no-reload", "--force", "--suricata-version", "7.0.0"])
            .args(["--url", &server.url("/c/site.rules.tar.gz"), "-D"])
            .arg(&out)
            .arg("-o")
            .arg(out.join("rules")));
        let merged = fs::read_to_string(out.join("rules/suricata.rules")).unwrap_or_default();
        let sids: Vec<bool> = (1..=9).map(|sid| merged.contains(&format!("sid:{sid};"))).collect();
        assert_eq!(sids, [true, false, false, true, false, false, false, false, true], "{}{}", ran.out, ran.err);
    }
    server.stop();
}

/// As vendors make it, with another's program; and what is made of it, others read.
#[test]
fn a_zip_is_made_anew_too() {
    let world = World::with_config(STRIP_FEED);
    let make = "import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as z:
    z.writestr('rules/', '')
    z.writestr('rules/site.rules', sys.argv[2])
    z.writestr('rules/evil.lua', 'function init() end')
    z.writestr('rules/LICENSE', 'free')
";
    let path = world.path("made.zip");
    run(Command::new("python3").args(["-c", make]).arg(&path).arg(format!("{GOOD}{LUA}{LAST}\n"))).expect(0);
    let zip = fs::read(&path).unwrap();
    let mut two = zip.clone();
    let name = b"rules/site.rules";
    let at = two.windows(name.len()).position(|bytes| bytes == name).unwrap();
    two[at + 6..at + 10].copy_from_slice(b"evil");
    let files: &[File<'_>] = &[("site.zip", &zip, "rules-archive"), ("two-names.zip", &two, "rules-archive")];
    world.import(&world.bundle("strip", 1, files)).expect(0);
    let shown = world.relay(&["show", "strip/1", "--json"]).expect(0).json();
    let refused = verdict(&shown, "two-names.zip");
    assert_eq!(
        (&refused["reason"], &refused["member"]),
        (
            &"archive-form".into(),
            &"the two headers of a file in the zip archive differ: two programs could unpack two files".into()
        )
    );
    assert_eq!(verdict(&shown, "site.zip")["decision"], "stripped", "{shown:#}");
    world.decide("strip/1", "officer", &world.officer, "approve").expect(0);
    let server = Server::start(&world, "serve");
    let pulled = world.path("pulled.zip");
    run(Command::new("curl").args(["-sf", "-o"]).arg(&pulled).arg(server.url("/c/site.zip"))).expect(0);
    server.stop();
    let read = "import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as z:
    assert z.testzip() is None
    print([(i.filename, oct(i.external_attr >> 16)) for i in z.infolist()], z.read('rules/site.rules').decode(), end='')
";
    let ran = run(Command::new("python3").args(["-c", read]).arg(&pulled)).expect(0);
    let expected = format!("[('rules/site.rules', '0o100644'), ('rules/LICENSE', '0o100644')] {GOOD}{LAST}\n");
    assert_eq!(ran.out, expected);
}

/// The connected side makes the same archive, and then it is signed.
#[test]
fn the_connected_side_makes_the_same_archive() {
    let world = World::with_config(STRIP_FEED);
    let folder = world.path("content");
    fs::create_dir_all(&folder).unwrap();
    let old = gzip(&tar(&[("site.rules", format!("{GOOD}{LUA}").as_bytes(), ""), ("x.bin", b"\x7fELF", "")]));
    fs::write(folder.join("x.rules.tar.gz"), &old).unwrap();
    let tested = world.relay(&["policy", "test", folder.to_str().unwrap(), "--policy", "unclassified", "--json"]);
    let tested = tested.expect(0).json();
    assert_eq!(tested[0]["decision"], "stripped", "{tested:#}");
    let mut command = build(&folder, "strip", 1, &world.path("packed"));
    run(command.args(["--policy", "unclassified", "--strip"])).expect(0);
    let manifest = fs::read_to_string(world.path("packed/manifest.json")).unwrap();
    assert!(manifest.contains(tested[0]["stripped"]["sha256"].as_str().unwrap()), "{manifest}\n{tested:#}");
}
