//! Changes of a release, rule by rule, and the approvals it needs where it makes detection weaker.

use std::fmt::Write as _;

use serde_json::Value;

use super::support::*;

const FEEDS: &str = r#"
relay = "test"
[media]
writable = "tests import from plain folders"
[[policy]]
name = "p"
otherwise = "withhold"
[[policy.rule]]
name = "permitted"
reasons = ["rule-weakens-detection", "rule-acts-on-traffic"]
then = "permit"
why = "a test"
[[feed]]
name = "rules"
kinds = ["suricata-rules", "yara-source", "sha256-list", "clamav-allow"]
policy = "p"
[[feed]]
name = "asks"
kinds = ["suricata-rules"]
policy = "p"
suppress = { officers = 1, roles = ["evaluator"] }
[[feed]]
name = "auto"
kinds = ["suricata-rules", "sha256-list"]
policy = "p"
clean_without_approval = true
brake = 20
[[channel]]
name = "c"
feeds = ["rules", "asks", "auto"]
"#;

fn rule(action: &str, sid: u32, options: &str) -> String {
    format!("{action} tcp any any -> any {sid} (msg:\"rule {sid}\"; {options}sid:{sid}; rev:1;)\n")
}

fn items(world: &World, release: &str, more: &[&str]) -> Value {
    let args: Vec<&str> = ["show", release, "--diff", "--json"].iter().chain(more).copied().collect();
    world.relay(&args).expect(0).json()["items"].clone()
}

fn counts(items: &Value) -> Vec<(&str, u64)> {
    let groups = items["changes"].as_array().unwrap();
    groups.iter().map(|group| (group["change"].as_str().unwrap(), group["count"].as_u64().unwrap())).collect()
}

#[test]
fn each_change_is_told_and_what_is_weaker_first() {
    let world = World::with_config(FEEDS);
    let old = [
        rule("alert", 1, ""),
        rule("alert", 2, ""),
        rule("alert", 3, ""),
        rule("alert", 4, ""),
        rule("drop", 5, ""),
        rule("alert", 6, ""),
        format!("#{}", rule("alert", 7, "")),
        rule("alert", 8, ""),
    ]
    .concat();
    let new = [
        rule("alert", 1, ""),
        format!("# {}", rule("alert", 2, "")),
        rule("pass", 3, ""),
        rule("alert", 4, "noalert; "),
        rule("alert", 5, ""),
        rule("alert", 7, ""),
        rule("alert", 8, "nocase; "),
        rule("alert", 9, ""),
    ]
    .concat();
    let (yara, changed) =
        ("rule a { condition: true }\n", "rule a { condition: false }\nprivate rule b { condition: true }\n");
    let (list, moved) = (format!("{:064}\n{:064}\n", 1, 2), format!("{:064}\n", 2));
    let md5 = "44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test\n";
    world.publish(
        "rules",
        1,
        &[
            ("a.rules", old.as_bytes(), "suricata-rules"),
            ("b.yar", yara.as_bytes(), "yara-source"),
            ("c.txt", list.as_bytes(), "sha256-list"),
        ],
    );
    // One hash moves to another file, which is no change; one is gone.
    let folder = world.bundle(
        "rules",
        2,
        &[
            ("a.rules", new.as_bytes(), "suricata-rules"),
            ("b.yar", changed.as_bytes(), "yara-source"),
            ("d.txt", moved.as_bytes(), "sha256-list"),
            ("e.fp", md5.as_bytes(), "clamav-allow"),
        ],
    );
    world.import(&folder).expect(0);
    let told = items(&world, "rules/2", &[]);
    assert_eq!((&told["served"], &told["before"]), (&"rules/1".into(), &11.into()));
    let expected = [
        ("removed", 2),
        ("switched-off", 1),
        ("suppresses", 2),
        ("acts-no-more", 1),
        ("limited", 1),
        ("changed", 2),
        ("added", 2),
        ("switched-on", 1),
    ];
    assert_eq!(counts(&told), expected, "{told:#}");
    let removed = &told["changes"][0]["examples"];
    assert_eq!(removed[0]["old"], rule("alert", 6, "").trim(), "{removed}");
    assert_eq!(removed[0]["new"], Value::Null);
    assert_eq!(removed[1]["path"], "c.txt");
    let pass = &told["changes"][2]["examples"][0];
    assert_eq!((&pass["old"], &pass["new"]), (&rule("alert", 3, "").trim().into(), &rule("pass", 3, "").trim().into()));
    let words = world.relay(&["show", "rules/2", "--diff"]).expect(0).out;
    for line in [
        "compared with rules/1",
        "WEAKER  2 removed",
        "  - a.rules  alert tcp",
        "WEAKER  1 switched off",
        "+ e.fp  44d886",
    ] {
        assert!(words.contains(line), "{line}: {words}");
    }

    // It keeps others from detecting: one officer more is needed.
    let one = world.decide("rules/2", "officer", &world.officer, "approve").expect(0).json();
    assert_eq!(one["published"].as_object().map(serde_json::Map::len), Some(0), "{one}");
    let standing = world.relay(&["show", "rules/2", "--json"]).expect(0).json()["standing"].clone();
    assert_eq!((&standing["approvals"], &standing["needed"]), (&1.into(), &2.into()), "{standing}");
    world.decide("rules/2", "second", &world.second, "approve").expect(0);
    // Withdrawing it needs no more officers than any other release of the feed.
    let withdrawn = world.decide("rules/2", "officer", &world.officer, "withdraw").expect(0).json();
    assert!(withdrawn["published"].as_object().is_some_and(|published| published.len() == 1), "{withdrawn}");
}

#[test]
fn an_approval_is_of_what_would_change_now() {
    let world = World::with_config(FEEDS);
    let first = rule("alert", 1, "");
    world.publish("rules", 1, &[("a.rules", first.as_bytes(), "suricata-rules")]);
    let second = rule("alert", 1, "") + &rule("alert", 2, "");
    let third = rule("alert", 1, "") + &rule("alert", 3, "");
    for (version, text) in [(2, &second), (3, &third)] {
        world.import(&world.bundle("rules", version, &[("a.rules", text.as_bytes(), "suricata-rules")])).expect(0);
    }
    let printed = world
        .relay(&["approve", "rules/3", "--officer", "officer", "--reason", "test", "--decision", "approve"])
        .expect(0)
        .out;
    world.decide("rules/2", "officer", &world.officer, "approve").expect(0);
    // Signed when nothing was lost by it; now a rule would be.
    let signature = world.officer.sign(printed.as_bytes(), "statement");
    let ran = world.hand_in("rules/3", &printed, &signature).expect(3);
    assert!(ran.out.contains("statement-changes") || ran.err.contains("statement-changes"), "{}{}", ran.out, ran.err);
    assert_eq!(counts(&items(&world, "rules/3", &[])), [("removed", 1), ("added", 1)]);
    world.decide("rules/3", "officer", &world.officer, "approve").expect(0);
}

#[test]
fn what_takes_too_much_away_waits_for_an_officer() {
    let world = World::with_config(FEEDS);
    let rules = |count: u32| (1..=count).map(|sid| rule("alert", sid, "")).collect::<String>();
    let import = |version: u64, text: &str| {
        let bundle = world.bundle("auto", version, &[("a.rules", text.as_bytes(), "suricata-rules")]);
        world.import(&bundle).expect(0).json()["bundles"][0]["published"].clone()
    };
    assert_eq!(import(1, &rules(10)), true);
    assert_eq!(import(2, &rules(8)), true, "20 % is what the feed accepts");
    assert_eq!(import(3, &rules(6)), false, "a quarter is more");
    let off: String = rules(8)
        .lines()
        .enumerate()
        .map(|(n, line)| if n < 2 { format!("#{line}\n") } else { format!("{line}\n") })
        .collect();
    assert_eq!(import(4, &off), false, "switched off is gone");
    assert_eq!(import(5, &(rules(8) + &rule("pass", 99, ""))), false, "nothing suppresses without an officer");
    assert_eq!(import(6, &rules(9)), true);
    let loss = &world.relay(&["show", "auto/3", "--json"]).expect(0).json()["release"]["loss"];
    assert_eq!((&loss["lost"], &loss["of"]), (&2.into(), &8.into()));
}

/// An engine that loads both takes one of them, and no word says which.
#[test]
fn a_rule_in_two_files_waits_for_an_officer() {
    let world = World::with_config(FEEDS);
    let import = |version: u64, files: &[File<'_>]| {
        world.import(&world.bundle("auto", version, files)).expect(0).json()["bundles"][0]["published"].clone()
    };
    let (one, two) = (rule("alert", 1, "") + &rule("alert", 2, ""), rule("alert", 3, ""));
    let files = |two: &str| -> bool {
        let version = two.len() as u64;
        let files: &[File<'_>] =
            &[("a.rules", one.as_bytes(), "suricata-rules"), ("b.rules", two.as_bytes(), "suricata-rules")];
        import(version, files) == true
    };
    assert!(files(&two));
    let off = format!("{two}#{}", rule("alert", 2, ""));
    assert!(files(&off), "what is written down only is in nobody's way");
    let again = format!("{off}{}", rule("alert", 2, "content:\"never\"; "));
    assert!(!files(&again));
    let id = format!("auto/{}", again.len());
    let words = world.relay(&["show", &id, "--diff"]).expect(0).out;
    assert!(words.contains("WEAKER  1 rule is in this release twice or more: an engine uses one copy"), "{words}");
    assert_eq!(world.relay(&["show", &id, "--json"]).expect(0).json()["release"]["loss"]["twice"], 1);
}

#[test]
fn what_suppresses_needs_the_signers_that_the_feed_names() {
    let world = World::with_config(FEEDS);
    let text = rule("alert", 1, "") + &rule("pass", 2, "");
    let files: &[File<'_>] = &[("a.rules", text.as_bytes(), "suricata-rules")];
    let import = |version: u64, sign: bool| {
        let folder = world.path("stick").join(format!("asks-{version}"));
        let manifest = good(&folder, &world.custodian, "asks", version, files);
        if sign {
            let signature = world.evaluator.sign(&manifest, &comment("asks", version));
            std::fs::write(folder.join("manifest.json.evaluator.minisig"), signature).unwrap();
        }
        world.import(&folder).expect(0);
        world.relay(&["show", &format!("asks/{version}"), "--json"]).expect(0).json()["verdicts"][0]["decision"].clone()
    };
    assert_eq!(import(1, false), "withheld");
    assert_eq!(import(2, true), "cleared");
}

/// Sets as large as real ones: each change is found, within the worker's memory limit.
#[test]
fn large_sets_are_compared() {
    let world = World::with_config(FEEDS);
    let list = |from: u32, to: u32| {
        (from..to).fold(String::new(), |mut text, n| {
            writeln!(text, "{n:064x}").unwrap();
            text
        })
    };
    let rules = |from: u32, to: u32| (from..to).map(|sid| rule("alert", sid, "")).collect::<String>();
    let (old, new) = (list(0, 600_000), list(10, 700_000));
    let (was, is) = (rules(1, 50_000), rules(5, 50_001));
    world.publish(
        "auto",
        1,
        &[("a.txt", old.as_bytes(), "sha256-list"), ("b.rules", was.as_bytes(), "suricata-rules")],
    );
    world
        .import(&world.bundle(
            "auto",
            2,
            &[("a.txt", new.as_bytes(), "sha256-list"), ("b.rules", is.as_bytes(), "suricata-rules")],
        ))
        .expect(0);
    let released = world.relay(&["show", "auto/2", "--json"]).expect(0).json();
    assert_eq!(released["release"]["loss"]["lost"], 14, "{released}");
}
