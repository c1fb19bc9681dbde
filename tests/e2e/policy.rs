//! Policies: named rules, those that ship, one tried without importing, and the same before anything is signed.

use std::fs;
use std::process::Command;

use super::support::*;

const SITE: &str = r#"
relay = "test"
classification = "confidential"
[media]
writable = "tests import from plain folders"
[[policy]]
name = "ids"
otherwise = "strip"
[[policy.rule]]
name = "no-lua"
reasons = ["rule-runs-code"]
then = "refuse"
why = "Lua is off here."
[[policy.rule]]
name = "in-line"
reasons = ["rule-acts-on-traffic"]
kinds = ["suricata-rules"]
then = "permit"
why = "The sensors are in line."
[[feed]]
name = "plain"
kinds = ["suricata-rules", "yara-source", "sha256-list"]
[[feed]]
name = "ids"
kinds = ["suricata-rules"]
policy = "ids"
[[feed]]
name = "blind"
kinds = ["sha256-list"]
opaque = { digests = ["DIGEST"], roles = ["evaluator"] }
[[channel]]
name = "c"
feeds = ["plain", "ids", "blind"]
"#;

fn site() -> String {
    SITE.replace("DIGEST", &"0".repeat(64))
}

fn rule(action: &str, sid: u32, option: &str) -> String {
    format!("{action} tcp any any -> any any (msg:\"x\"; {option}sid:{sid}; rev:1;)\n")
}

#[test]
fn the_rule_that_decides_is_named() {
    let world = World::with_config(&site());
    let mixed = rule("alert", 1, "") + &rule("drop", 2, "") + "not a rule\n" + &rule("alert", 3, "bypass; ");
    let files: &[File<'_>] = &[("a.rules", mixed.as_bytes(), "suricata-rules")];
    let import = |feed: &str| {
        world.import(&world.bundle(feed, 1, files)).expect(0);
        world.relay(&["show", &format!("{feed}/1"), "--json"]).expect(0).json()["verdicts"][0].clone()
    };
    // By the policy of the level: what blinds is withheld whole, whatever else could be stripped.
    let plain = import("plain");
    assert_eq!(
        (&plain["decision"], &plain["reason"], &plain["line"]),
        (&"withheld".into(), &"rule-weakens-detection".into(), &4.into())
    );
    assert_eq!(plain["rule"], serde_json::Value::Null);
    // By the site's own: the drop stays, the other two go.
    let ids = import("ids");
    assert_eq!(ids["decision"], "stripped");
    let lines: Vec<_> = ids["stripped"]["dropped"].as_array().unwrap().iter().map(|d| d["line"].clone()).collect();
    assert_eq!(lines, [3, 4]);
    let lua = rule("alert", 1, "lua:x.lua; ");
    let bad = world.bundle("ids", 2, &[("a.rules", lua.as_bytes(), "suricata-rules")]);
    let refused = world.import(&bad).expect(3).json()["bundles"][0]["refused"].clone();
    assert_eq!(refused["reason"], "rule-runs-code");
    assert!(refused["detail"].as_str().unwrap().contains("line 1: policy ids, rule no-lua"), "{refused}");
    for wrong in [
        (
            "reasons = [\"rule-runs-code\"]\nthen = \"refuse\"",
            "reasons = [\"rule-runs-code\"]\nthen = \"permit\"",
            "cannot be permitted",
        ),
        ("name = \"ids\"\notherwise", "name = \"secret\"\notherwise", "has the name of a policy that ships"),
        ("policy = \"ids\"", "policy = \"idz\"", "there is no policy \"idz\""),
        ("why = \"Lua is off here.\"", "why = \"\"", "why must have 1 to 300 characters"),
        ("classification = \"confidential\"", "classification = \"cosmic\"", "is not a value of classification"),
    ] {
        let (from, to, said) = wrong;
        assert!(site().contains(from), "{from}");
        fs::write(world.path("c.toml"), site().replace(from, to)).unwrap();
        let ran = world.relay(&["check-config", world.path("c.toml").to_str().unwrap()]).expect(2);
        assert!(ran.err.contains(said), "{said}: {}", ran.err);
    }
}

#[test]
fn a_policy_is_tried_on_files_and_on_releases_without_importing() {
    let world = World::with_config(&site());
    let folder = world.path("vendor");
    fs::create_dir_all(folder.join("sub")).unwrap();
    fs::write(folder.join("a.rules"), rule("alert", 1, "") + &rule("pass", 2, "")).unwrap();
    fs::write(folder.join("sub/b.yar"), "rule a { condition: true }\n").unwrap();
    fs::write(folder.join("freshclam.conf"), "DatabaseMirror relay\nSubmitDetectionStats yes\n").unwrap();
    let before = world.stored();
    let test = |args: &[&str]| {
        let all: Vec<&str> = ["policy", "test", folder.to_str().unwrap()].iter().chain(args).copied().collect();
        world.relay(&all).expect(0)
    };
    let json = test(&["--policy", "restricted", "--json"]).json();
    let said: Vec<_> = json
        .as_array()
        .unwrap()
        .iter()
        .map(|v| (v["path"].as_str().unwrap(), v["decision"].as_str().unwrap()))
        .collect();
    assert_eq!(said, [("freshclam.conf", "withheld"), ("a.rules", "stripped"), ("sub/b.yar", "cleared")]);
    assert_eq!((&json[0]["reason"], &json[0]["line"]), (&"rule-submits".into(), &2.into()));
    let words = test(&["--policy", "top-secret"]);
    assert!(
        words.err.contains("rule no-attempt refuses the release") && words.err.contains("rule-submits"),
        "{}",
        words.err
    );
    assert!(words.err.contains("rule no-blinding"), "{}", words.err);
    let words = test(&[]).out;
    assert!(words.contains("under policy confidential") && words.contains("rule-weakens-detection: "), "{words}");
    // One that is not in the config yet.
    let own = world.path("own.toml");
    fs::write(&own, "name = \"own\"\n[[rule]]\nname = \"passes\"\nreasons = [\"rule-weakens-detection\"]\nthen = \"permit\"\nwhy = \"x\"\n").unwrap();
    let words = test(&["--file", own.to_str().unwrap()]).out;
    assert!(words.contains("under policy own") && words.contains("2 cleared, 0 stripped, 1 withheld"), "{words}");
    assert_eq!(world.stored(), before, "nothing is kept");
    // What is held already.
    let drop = rule("drop", 1, "") + &rule("alert", 2, "");
    world.publish("ids", 1, &[("a.rules", drop.as_bytes(), "suricata-rules")]);
    let json = world.relay(&["policy", "test", "ids/1", "--policy", "secret", "--json"]).expect(0).json();
    assert_eq!((&json[0]["decision"], &json[0]["reason"]), (&"withheld".into(), &"rule-acts-on-traffic".into()));
    let ran = world.relay(&["policy", "test", "ids/7"]);
    assert_ne!(ran.code, Some(0), "{}", ran.out);

    let shown = world.relay(&["policy", "show"]).expect(0).out;
    for name in ["unclassified", "restricted", "confidential", "secret", "top-secret", "ids"] {
        assert!(shown.contains(name), "{shown}");
    }
    let shown = world.relay(&["policy", "show", "ids"]).expect(0).out;
    assert!(shown.contains("Lua is off here.") && shown.contains("[no-lua]"), "{shown}");
    world.relay(&["policy", "show", "none"]).expect(2);
}

#[test]
fn the_connected_side_says_the_same_and_strips_before_it_signs() {
    let world = World::with_config(&site());
    let folder = world.path("vendor");
    fs::create_dir(&folder).unwrap();
    let good = rule("alert", 1, "") + &rule("drop", 2, "");
    fs::write(folder.join("a.rules"), format!("{good}{}", rule("alert", 3, "bypass; "))).unwrap();
    let key = world.path("custodian.key");
    fs::write(&key, world.custodian.secret.to_box(None).unwrap().to_string()).unwrap();
    let make = |version: u64, more: &[&str]| {
        let mut command = build(&folder, "ids", version, &world.path("stick").join(format!("ids-{version}")));
        run(command.arg("--config").arg(world.path("config.toml")).arg("--sign").arg(&key).args(more))
    };
    let said = make(1, &["--explain"]).expect(0);
    assert!(
        said.err.contains("\"a.rules\" will be stripped by the relay [rule-weakens-detection, line 3]"),
        "{}",
        said.err
    );
    assert!(said.out.contains("under policy ids:") && said.out.contains("1 stripped"), "{}", said.out);
    let said = make(2, &["--strip"]).expect(0);
    assert!(said.err.contains("\"a.rules\" was stripped"), "{}", said.err);
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(world.path("stick/ids-2/manifest.json")).unwrap()).unwrap();
    let digest = base::Digest::of(good.as_bytes()).to_string();
    assert_eq!(manifest["artifacts"][0]["sha256"], digest);
    // The relay has nothing left to do: what agents get is what was signed.
    world.import(&world.path("stick/ids-2")).expect(0);
    let shown = world.relay(&["show", "ids/2", "--json"]).expect(0).json();
    assert_eq!(shown["verdicts"][0]["decision"], "cleared", "{shown}");
    let said = make(3, &["--policy", "top-secret"]).expect(0);
    assert!(
        said.err.contains("the relay would refuse the release") && said.err.contains("no-blinding"),
        "{}",
        said.err
    );
}

/// Content that cannot be inspected passes by its digest or by a second signer; a program passes by neither.
#[test]
fn content_of_no_known_kind_passes_only_where_it_is_vouched_for() {
    let (named, other): (&[u8], &[u8]) = (b"\x01engine model v7\0", b"\x01engine model v8\0");
    let digest = base::Digest::of(named).to_string();
    let world = World::with_config(&SITE.replace("DIGEST", &digest));
    let files: &[File<'_>] =
        &[("a.bin", named, "unknown"), ("b.bin", other, "unknown"), ("c.bin", b"\x7fELF", "unknown")];
    let import = |version: u64, is_vouched: bool| {
        let folder = world.path("stick").join(format!("blind-{version}"));
        let manifest = good(&folder, &world.custodian, "blind", version, files);
        if is_vouched {
            let signature = world.evaluator.sign(&manifest, &comment("blind", version));
            fs::write(folder.join("manifest.json.evaluator.minisig"), signature).unwrap();
        }
        world.import(&folder).expect(0);
        let shown = world.relay(&["show", &format!("blind/{version}"), "--json"]).expect(0).json();
        let rules =
            shown["verdicts"].as_array().unwrap().iter().map(|v| v["rule"].as_str().unwrap_or("none").to_owned());
        (rules.collect::<Vec<_>>(), shown["release"]["counts"]["cleared"].as_u64().unwrap())
    };
    assert_eq!(import(1, false), (vec!["opaque-by-digest".into(), "none".into(), "none".into()], 1));
    assert_eq!(import(2, true), (vec!["opaque-by-digest".into(), "opaque-by-signer".into(), "none".into()], 2));
}

/// Folders for temporary files have names that nobody can make before: a local user who knows the process cannot have
/// another folder written to.
#[test]
fn temporary_folders_are_made_anew_and_private() {
    let world = World::new();
    let (files, others, temporary) = (world.path("files"), world.path("others"), world.path("temporary"));
    for folder in [&files, &others, &temporary] {
        fs::create_dir(folder).unwrap();
    }
    fs::write(files.join("a.rules"), RULES).unwrap();
    fs::write(others.join("whole"), "of somebody else").unwrap();
    let keyring = world.path("keyring.toml");
    let bundle = world.bundle("feed", 1, ONE);
    let strip = format!(
        "build {} --feed f --version 1 --publisher e --origin CH --strip --out {}/b",
        files.display(),
        files.display()
    );
    let check = format!("check {} --keyring {}", bundle.display(), keyring.display());
    for (program, args) in [
        (RELAY.to_owned(), format!("policy test {}", files.display())),
        (pack_binary().display().to_string(), strip),
        (pack_binary().display().to_string(), check),
    ] {
        // The shell's process becomes the program's.
        let names =
            ["policy", "strip", "pack"].map(|name| format!("ln -s {} $TMPDIR/gaprelay-{name}-$$", others.display()));
        let script = format!("{} && exec {program} {args}", names.join(" && "));
        let mut command = Command::new("sh");
        run(command.args(["-c", &script]).env("TMPDIR", &temporary).env("GAPRELAY_STATE", world.state())).expect(0);
        let left: Vec<String> = tree(&others).into_keys().collect();
        assert!(left.len() == 1 && left[0].ends_with("/whole"), "{program} {args}: {left:?}");
        assert_eq!(fs::read_to_string(others.join("whole")).unwrap(), "of somebody else");
        for entry in fs::read_dir(&temporary).unwrap() {
            let path = entry.unwrap().path();
            assert!(path.is_symlink(), "left behind: {}", path.display());
            fs::remove_file(path).unwrap();
        }
    }
}
