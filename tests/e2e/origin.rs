//! From whom what is taken, by the site's classification; and what is said of it in words.

use std::fs;

use serde_json::{Value, json};

use super::support::*;
use bundle::Role;

const FILES: &[File<'_>] = &[("a.hdb", HASHES, "clamav-hashes"), ("r.rules", RULES, "suricata-rules")];

fn rule(then: &str, more: &str) -> String {
    format!(
        "[[origin]]\nname = \"far\"\nat = \"secret\"\norigins = [\"RU\"]\nthen = \"{then}\"\nwhy = \"a test\"\nsource = \"a letter\"\n{more}\n"
    )
}

/// A relay with this rule, and beside the custodian (CH) one of origin RU; in the keyring's second version.
fn world_at(level: &str, rule: &str) -> (World, Key) {
    let config = CONFIG.replacen("relay = \"test\"\n", &format!("relay = \"test\"\nclassification = \"{level}\"\n"), 1);
    let world = World::with_config(&format!("{config}{rule}"));
    let far = Key::new();
    let mut ring = successor(&keyring(&world));
    let mut added = row("far", &far, Role::Vendor);
    (added.publisher, added.origin) = (Some("far-vendor".into()), Some("RU".into()));
    ring.keys.push(added);
    ring.thresholds[0].role = Role::Vendor;
    ring.thresholds[0].feeds = vec!["two".into()];
    let mut anyone = ring.thresholds[0].clone();
    (anyone.role, anyone.feeds) = (Role::Custodian, vec!["auto".into()]);
    let mut far_row = ring.thresholds[0].clone();
    far_row.feeds = vec!["feed".into()];
    ring.thresholds.extend([anyone, far_row]);
    world.import(&put_keyring(&world, &ring, &[&world.root])).expect(0);
    (world, far)
}

fn bring(world: &World, far: &Key, version: u64, evaluated: bool) -> Value {
    let folder = world.path("stick").join(format!("feed-{version}"));
    let payload = gzip(&tar(FILES));
    let mut manifest = manifest("feed", version, FILES, &payload);
    (manifest["publisher"], manifest["origin"]) = ("far-vendor".into(), "RU".into());
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let comment = comment("feed", version);
    let mut signatures = vec![("manifest.json.minisig", far.sign(&bytes, &comment))];
    if evaluated {
        signatures.push(("manifest.json.evaluator.minisig", world.evaluator.sign(&bytes, &comment)));
    }
    let _ = fs::remove_dir_all(&folder);
    write_bundle(&folder, &bytes, &payload, &signatures);
    world.import(&folder).json()["bundles"][0].clone()
}

fn verdicts(world: &World, version: u64) -> Vec<(String, Value, Value)> {
    let shown = world.relay(&["show", &format!("feed/{version}"), "--json"]).expect(0).json();
    let verdicts = shown["verdicts"].as_array().unwrap();
    let row = |v: &Value| (v["decision"].as_str().unwrap().to_owned(), v["reason"].clone(), v["rule"].clone());
    verdicts.iter().map(row).collect()
}

#[test]
fn an_origin_is_refused_from_a_level_on() {
    let (secret, far) = world_at("secret", &rule("refuse", ""));
    let before = secret.stored();
    let bundle = bring(&secret, &far, 1, true);
    assert_eq!(bundle["refused"]["reason"], "origin-refused");
    let detail = bundle["refused"]["detail"].as_str().unwrap();
    assert!(
        detail.contains("rule far refuses") && detail.contains("at secret") && detail.contains("a test"),
        "{detail}"
    );
    assert_eq!(secret.stored(), before);
    // Others bring as before; below the level so does this one.
    secret.import(&secret.bundle("auto", 1, &FILES[..1])).expect(0);
    let (lower, far) = world_at("confidential", &rule("refuse", ""));
    assert_eq!(bring(&lower, &far, 1, false)["outcome"], "imported");
    let (top, far) = world_at("top-secret", &rule("refuse", ""));
    assert_eq!(bring(&top, &far, 1, false)["refused"]["reason"], "origin-refused");

    // A bundle cannot claim another origin than its key's.
    let folder = secret.path("stick/feed-2");
    let payload = gzip(&tar(FILES));
    let mut manifest = manifest("feed", 2, FILES, &payload);
    manifest["publisher"] = "far-vendor".into();
    let bytes = serde_json::to_vec(&manifest).unwrap();
    write_bundle(&folder, &bytes, &payload, &[("manifest.json.minisig", far.sign(&bytes, &comment("feed", 2)))]);
    let ran = secret.import(&folder).expect(3).json();
    assert_ne!(ran["bundles"][0]["refused"]["reason"], Value::Null);
}

#[test]
fn some_kinds_are_withheld_or_only_patterns_pass() {
    let (world, far) = world_at("secret", &rule("refuse", "kinds = [\"suricata-rules\"]"));
    assert_eq!(bring(&world, &far, 1, false)["outcome"], "imported");
    let (passed, kept_back) = ("cleared".to_owned(), "withheld".to_owned());
    assert_eq!(
        verdicts(&world, 1),
        [(passed.clone(), Value::Null, Value::Null), (kept_back.clone(), json!("origin-refused"), json!("far"))]
    );
    let (world, far) = world_at("secret", &rule("inert", ""));
    assert_eq!(bring(&world, &far, 1, true)["outcome"], "imported");
    assert_eq!(
        verdicts(&world, 1),
        [(passed, Value::Null, Value::Null), (kept_back, json!("origin-not-inert"), json!("far"))]
    );
    world.fsck();
}

#[test]
fn what_a_second_publisher_or_an_evaluator_signed_as_well_passes() {
    let (world, far) = world_at("secret", &rule("agreement", ""));
    assert_eq!(bring(&world, &far, 1, false)["outcome"], "imported");
    let reasons = |version| verdicts(&world, version).into_iter().map(|(_, reason, _)| reason).collect::<Vec<_>>();
    assert_eq!(reasons(1), ["origin-not-agreed", "origin-not-agreed"]);
    // Another publisher brings one of the files, byte for byte.
    let (_, bytes, kind) = FILES[0];
    world.import(&world.bundle("auto", 1, &[("same.hdb", bytes, kind)])).expect(0);
    bring(&world, &far, 2, false);
    assert_eq!(reasons(2), [Value::Null, json!("origin-not-agreed")]);
    // An evaluator signs the bundle itself.
    bring(&world, &far, 3, true);
    assert_eq!(reasons(3), [Value::Null, Value::Null]);
    // What officers took back agrees with nothing any more.
    world.decide("auto/1", "officer", &world.officer, "withdraw").expect(0);
    bring(&world, &far, 4, false);
    assert_eq!(reasons(4), ["origin-not-agreed", "origin-not-agreed"]);
}

/// What officers took back, or denied, agrees with nothing.
#[test]
fn an_agreement_counts_only_while_it_stands() {
    let same: &[File<'_>] = &[("same.hdb", FILES[0].1, FILES[0].2)];
    for take_back in [
        &(|world: &World| world.decide("auto/1", "officer", &world.officer, "withdraw")) as &dyn Fn(&World) -> Ran,
        &|world| direct(world, "officer", &world.officer, &["deny-feed", "auto"]),
        &|world| direct(world, "officer", &world.officer, &["deny-key", &id(&world.custodian)]),
    ] {
        let (world, far) = world_at("secret", &rule("agreement", ""));
        world.import(&world.bundle("auto", 1, same)).expect(0);
        take_back(&world).expect(0);
        assert_eq!(bring(&world, &far, 1, false)["outcome"], "imported");
        assert_eq!(verdicts(&world, 1)[0].1, "origin-not-agreed");
    }
}

#[test]
fn who_may_bring_what_is_said_in_words() {
    let (world, _) = world_at("secret", &rule("refuse", ""));
    let said = world.relay(&["policy", "explain", "feed"]).expect(0).out;
    for words in [
        "Feed feed, on a network with classification secret.",
        "Keys that must sign a bundle: 1 different vendor key.",
        "publisher example, origin CH:\n  may bring all content that the feed may carry.",
        "publisher far-vendor, origin RU:\n  everything is refused: rule far: a test\n    a letter",
        "The feed may carry: clamav-hashes, clamav-cvd",
        "1 of these officers must approve it: officer, second. The person who imported it may not.",
        "A release that stops other content from detecting needs 2 of them.",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    let ran = world.relay(&["policy", "explain", "none"]).expect(3);
    assert!(ran.err.contains("feed-unknown"), "{}", ran.err);
    let example = world.relay(&["init", "--print-config"]).expect(0).out;
    assert!(example.contains("name = \"ncsc-2017\"") && example.contains("origins = [\"RU\"]"), "the shipped rule");
    for (bad, says) in [
        ("origins = [\"Russia\"]", "two capital letters"),
        ("", "it needs origins"),
        ("roles = [\"officer\"]", "vendor and custodian"),
    ] {
        let rule = format!("[[origin]]\nname = \"x\"\n{bad}\nthen = \"refuse\"\nwhy = \"y\"\n");
        fs::write(world.path("bad.toml"), format!("{CONFIG}{rule}")).unwrap();
        let ran = world.relay(&["check-config", world.path("bad.toml").to_str().unwrap()]).expect(2);
        assert!(ran.err.contains(says), "{}", ran.err);
    }
}
