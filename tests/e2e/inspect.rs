//! Rules that do more than detect: withheld with reason and line, permitted where a feed says so, and real engines
//! that show what each trick is worth.

use std::fs;
use std::process::Command;

use super::support::*;

const RULES_FEED: &str = r#"
relay = "test"
[media]
writable = "tests import from plain folders"
[[policy]]
name = "ips"
otherwise = "withhold"
[[policy.rule]]
name = "permitted"
reasons = ["rule-acts-on-traffic", "rule-weakens-detection"]
then = "permit"
why = "a test"
[[feed]]
name = "rules"
kinds = ["suricata-rules", "yara-source"]
[[feed]]
name = "ips"
kinds = ["suricata-rules", "yara-source"]
policy = "ips"
[[channel]]
name = "c"
feeds = ["rules", "ips"]
"#;

const OFF: &str = "global private rule off { condition: false }\n";
const EICAR: &str = "rule eicar { strings: $a = \"EICAR-STANDARD\" condition: $a }\n";

fn rule(options: &str) -> String {
    format!("# made for a test\n\nalert tcp any any -> any any (msg:\"x\"; {options} sid:1; rev:1;)\n")
}

/// Each trick in a file of its own: its name, its text, and the reason and the line that it is withheld for.
fn tricks() -> Vec<(&'static str, String, &'static str, u64)> {
    vec![
        ("a-lua.rules", rule("lua:evil.lua;"), "rule-runs-code", 3),
        ("b-luaxform.rules", rule("luaxform:evil.lua;"), "rule-runs-code", 3),
        ("c-dataset-save.rules", rule("dataset:set,seen,type string,save out.lst;"), "rule-uses-files", 3),
        ("d-filestore.rules", rule("filestore;"), "rule-uses-files", 3),
        ("e-pass.rules", rule("").replace("alert", "pass"), "rule-weakens-detection", 3),
        ("f-config.rules", rule("config: logging disable;").replace("alert", "config"), "rule-weakens-detection", 3),
        ("g-bypass.rules", rule("bypass;"), "rule-weakens-detection", 3),
        ("h-drop.rules", rule("").replace("alert", "drop"), "rule-acts-on-traffic", 3),
        ("i-duplicate.rules", rule("") + &rule(""), "rule-duplicate", 6),
        ("ii-keyword.rules", rule("exfiltrate:x;"), "rule-keyword", 3),
        ("iii-costly.rules", rule("pcre:\"/^(a+)+$/\";"), "rule-costly", 3),
        ("j-continued.rules", rule("lu\\\na:evil.lua;"), "rule-syntax", 3),
        ("jj-swallowed.rules", rule("").replace("test\n", "test \\\n"), "rule-syntax", 1),
        ("k-escape.rules", rule("content:\"a\\\\;\"; lua:evil.lua;"), "rule-syntax", 3),
        ("l-after.rules", rule("").replace(";)", ";) alert tcp any any -> any any (sid:2;)"), "rule-syntax", 3),
        ("m-long.rules", rule("") + &rule(&format!("content:\"{}\";", "A".repeat(70_000))), "rule-too-long", 6),
        (
            "mm-hidden.rules",
            rule("") + &format!("#{}pass ip any any -> any any (sid:9;)\n", "x".repeat(8_190)),
            "rule-too-long",
            4,
        ),
        ("n-bidi.rules", rule("content:\"\u{202e}\";"), "text-control", 3),
        ("o-global.yar", format!("{EICAR}{OFF}"), "rule-weakens-detection", 2),
        ("p-include.yar", format!("{EICAR}include \"/etc/passwd\"\n"), "rule-uses-files", 2),
        ("q-console.yar", format!("import \"console\"\n{EICAR}"), "rule-module", 1),
        ("r-twice.yar", format!("{EICAR}{EICAR}"), "rule-duplicate", 2),
        ("s-broken.yar", format!("{EICAR}rule b {{ condition: }}\n"), "rule-syntax", 2),
        (
            "t-deep.yar",
            format!("rule d {{ condition: {}true{} }}\n", "(".repeat(20_000), ")".repeat(20_000)),
            "rule-syntax",
            1,
        ),
    ]
}

fn kind(name: &str) -> &'static str {
    if name.contains(".rules") { "suricata-rules" } else { "yara-source" }
}

#[test]
fn each_trick_is_withheld_for_its_reason_and_line() {
    let world = World::with_config(RULES_FEED);
    let tricks = tricks();
    let good = rule("flow:established; content:\"lua\"; noalert;");
    let mut files: Vec<File<'_>> = tricks.iter().map(|(name, text, ..)| (*name, text.as_bytes(), kind(name))).collect();
    files.push(("y.rules", good.as_bytes(), "suricata-rules"));
    files.push(("z.yar", EICAR.as_bytes(), "yara-source"));
    let bundle = world.bundle("rules", 1, &files);
    world.import(&bundle).expect(0);
    let shown = world.relay(&["show", "rules/1", "--json"]).expect(0).json();
    let verdicts = shown["verdicts"].as_array().unwrap();
    assert_eq!(verdicts.len(), tricks.len() + 2);
    for (verdict, (name, _, reason, line)) in verdicts.iter().zip(&tricks) {
        assert_eq!(verdict["path"], *name);
        assert_eq!((&verdict["decision"], &verdict["reason"]), (&"withheld".into(), &(*reason).into()), "{name}");
        assert_eq!(verdict["line"], *line, "{name}: {verdict}");
    }
    for verdict in &verdicts[tricks.len()..] {
        assert_eq!(
            (&verdict["decision"], &verdict["reason"]),
            (&"cleared".into(), &serde_json::Value::Null),
            "{verdict}"
        );
    }
    // Nothing of what was withheld is kept, or served.
    world.decide("rules/1", "officer", &world.officer, "approve").expect(0);
    let stored = world.stored();
    for (name, text, ..) in &tricks {
        let digest = base::Digest::of(text.as_bytes()).to_string();
        assert!(!stored.values().any(|what| what.contains(&digest)), "{name}");
    }
    let words = world.relay(&["show", "rules/1"]).expect(0).out;
    assert!(words.contains("rule-runs-code") && words.contains("line 3"), "{words}");
    // The connected side says the same before anything is signed.
    let ring = world.path("keyring.toml");
    let mut check = pack();
    let said = run(check.arg("check").arg(&bundle).arg("--keyring").arg(&ring));
    assert!(said.out.contains("rule-weakens-detection") && said.out.contains("line 2"), "{}{}", said.out, said.err);
}

#[test]
fn a_feed_permits_what_its_config_names_and_nothing_else() {
    let world = World::with_config(RULES_FEED);
    let drop = rule("").replace("alert", "drop");
    let both = format!("{drop}{}", rule("lua:evil.lua;").replace("sid:1", "sid:2"));
    let files: &[File<'_>] = &[
        ("a.rules", drop.as_bytes(), "suricata-rules"),
        ("b.yar", OFF.as_bytes(), "yara-source"),
        ("c.rules", both.as_bytes(), "suricata-rules"),
    ];
    world.import(&world.bundle("ips", 1, files)).expect(0);
    let shown = world.relay(&["show", "ips/1", "--json"]).expect(0).json();
    let said: Vec<_> = shown["verdicts"].as_array().unwrap().iter().map(|v| (&v["decision"], &v["reason"])).collect();
    let cleared = "cleared".into();
    let none = serde_json::Value::Null;
    // What is permitted does not hide what is not, in a line after it.
    let code = ("withheld".into(), "rule-runs-code".into());
    assert_eq!(said, [(&cleared, &none), (&cleared, &none), (&code.0, &code.1)]);
    assert_eq!(shown["verdicts"][2]["line"], 6);
    for wrong in ["rule-runs-code", "kind-executable", "version-rollback"] {
        fs::write(world.path("c.toml"), RULES_FEED.replace("rule-acts-on-traffic", wrong)).unwrap();
        let ran = world.relay(&["check-config", world.path("c.toml").to_str().unwrap()]).expect(2);
        assert!(ran.err.contains(&format!("{wrong} cannot be permitted")), "{}", ran.err);
    }
}

/// The engine itself: one file of two lines silences every rule that is loaded with it. That file is withheld, and
/// what is served detects.
#[test]
fn yara_shows_what_a_global_rule_is_worth() {
    if !has("yara") {
        return;
    }
    let world = World::with_config(RULES_FEED);
    let sample = world.path("sample");
    fs::write(&sample, "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*").unwrap();
    let (off, eicar) = (world.path("off.yar"), world.path("eicar.yar"));
    fs::write(&off, OFF).unwrap();
    fs::write(&eicar, EICAR).unwrap();
    let scan = |rules: &[&std::path::Path]| {
        let mut yara = Command::new("yara");
        run(yara.args(rules).arg(&sample)).expect(0).out
    };
    assert!(scan(&[&eicar]).starts_with("eicar "));
    assert_eq!(scan(&[&off, &eicar]), "", "silenced");
    let files: &[File<'_>] =
        &[("eicar.yar", EICAR.as_bytes(), "yara-source"), ("off.yar", OFF.as_bytes(), "yara-source")];
    world.publish("rules", 1, files);
    let server = Server::start(&world, "serve");
    assert_eq!(server.get("/c/off.yar", "").status, 404);
    let pulled = world.path("pulled.yar");
    fs::write(&pulled, server.get("/c/eicar.yar", "").body).unwrap();
    assert!(scan(&[&pulled]).starts_with("eicar "));
    server.stop();
}

/// The largest files that are read, one byte more, and what was made to cost a reader the most: all within the
/// cage's memory. How long it takes is the machine's matter here, so the bundle has all the time.
#[test]
fn large_and_dense_files_of_rules_are_read_within_the_cage() {
    const MOST: usize = 2 << 20;
    let world = World::with_config(&format!("{RULES_FEED}\n[limits]\ninspection = \"20m\"\n"));
    let fill = |begin: &str, one: &dyn Fn(usize) -> String, end: &str| {
        let mut text = begin.to_owned();
        let mut number = 0;
        while text.len() + 300 + end.len() < MOST {
            number += 1;
            text.push_str(&one(number));
        }
        text + end
    };
    let ordinary = |n: usize| {
        format!(
            "rule r{n} {{ meta: a = \"b\" strings: $a = {{ 6A 40 68 ?? }} $b = \"t{n}\" wide condition: $a and #b > 2 }}\n"
        )
    };
    let yara = fill("", &ordinary, "");
    let more = yara.clone() + &"// longer\n".repeat(40);
    let tiny = fill("", &|n| format!("rule r{n}{{condition:1}}\n"), "");
    let calls = fill("rule n { condition:\n", &|_| "a()or ".into(), "1 }\n");
    let list = fill("rule n { condition: for any i in (\n", &|_| "1,".into(), "1) : (true) }\n");
    let brackets = fill("rule n { condition:\n", &|_| "(1)or".into(), "1 }\n");
    let rules: String = (1..=50_000)
        .map(|sid| format!("alert http $HOME_NET any -> $EXTERNAL_NET any (msg:\"ET {sid}\"; flow:established,to_server; http.uri; content:\"/x{sid}\"; classtype:trojan-activity; sid:{sid}; rev:1;)\n"))
        .collect();
    let many: String = (1..=1_000_001).map(|sid| format!("log ip a a -> a a (sid:{sid};)\n")).collect();
    let yara_source = "yara-source";
    let files: &[File<'_>] = &[
        ("a.yar", yara.as_bytes(), yara_source),
        ("b.yar", more.as_bytes(), yara_source),
        ("c.rules", rules.as_bytes(), "suricata-rules"),
        ("d.yar", tiny.as_bytes(), yara_source),
        ("e.yar", calls.as_bytes(), yara_source),
        ("f.yar", list.as_bytes(), yara_source),
        ("g.yar", brackets.as_bytes(), yara_source),
        ("h.rules", many.as_bytes(), "suricata-rules"),
    ];
    world.import(&world.bundle("rules", 1, files)).expect(0);
    let shown = world.relay(&["show", "rules/1", "--json"]).expect(0).json();
    let verdicts = shown["verdicts"].as_array().unwrap();
    let reasons: Vec<&str> = verdicts.iter().map(|v| v["reason"].as_str().unwrap_or("")).collect();
    assert_eq!(reasons, ["", "rule-too-long", "", "", "", "", "rule-syntax", "rule-too-long"]);
}
