//! The keyring's life: successors, revocation, denials, epochs, waivers; and each attack on it with its answer.

use std::fs;
use std::process::Command;

use base::Timestamp;
use bundle::Keyring;
use bundle::keyring::{Epoch, Revoked, Right, Role};
use serde_json::Value;

use super::support::*;

fn revoke(ring: &mut Keyring, key: &Key) {
    let on: Timestamp = "2026-06-01T00:00:00Z".parse().unwrap();
    ring.revoked.push(Revoked { public: key.base64(), on, reason: "lost laptop".into() });
}

fn forced(world: &World) -> Value {
    world.relay(&["keyring", "show", "--json"]).expect(0).json()
}

/// Ten versions in one import: one of three root keys is lost at the beginning, and each version replaces one more; a
/// bundle beside them is signed by a key that the last one brings.
#[test]
fn ten_versions_with_a_lost_root_key_are_walked_in_one_import() {
    let world = World::new();
    // Version 2 goes over to three root keys, of which two sign. The third is lost at once.
    let mut roots = vec![Key::new(), Key::new(), Key::new()];
    let mut ring = successor(&keyring(&world));
    ring.root.keys = roots.iter().map(Key::base64).collect();
    ring.root.threshold = 2;
    put_keyring(&world, &ring, &[&world.root, &roots[0], &roots[1]]);
    roots.swap_remove(2);
    let newcomer = Key::new();
    while ring.version < 11 {
        let (kept, leaving, coming) = (&roots[0], &roots[1], Key::new());
        let mut next = successor(&ring);
        next.root.keys = vec![kept.base64(), coming.base64()];
        if next.version == 11 {
            next.keys.push(row("newcomer", &newcomer, Role::Custodian));
        }
        put_keyring(&world, &next, &[kept, leaving, &coming]);
        roots = vec![coming, roots.swap_remove(0)];
        ring = next;
    }
    good(&world.path("stick/feed-1"), &newcomer, "feed", 1, ONE);
    let report = world.import(&world.path("stick")).expect(0).json();
    let outcomes: Vec<&str> =
        report["bundles"].as_array().unwrap().iter().map(|b| b["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, [["keyring-replaced"; 10].as_slice(), &["imported"]].concat());
    assert_eq!(forced(&world)["keyring"]["version"], 11);
    let log = world.log("import");
    let replaced: Vec<u64> =
        log.iter().filter(|e| e["type"] == "keyring-replaced").map(|e| e["version"].as_u64().unwrap()).collect();
    assert_eq!(replaced, (2..=11).collect::<Vec<_>>());
    world.fsck();
    // All versions travel each time; those that were in force are known, and are not told of again.
    let before = world.log("import").len();
    let again = world.import(&world.path("stick")).expect(0).json();
    assert!(again["bundles"].as_array().unwrap().iter().all(|bundle| bundle["outcome"] == "already-here"));
    let since = &world.log("import")[before..];
    assert!(since.iter().all(|event| event["type"] != "keyring-replaced"), "{since:#?}");
    assert_eq!(since.iter().filter(|event| event["type"] == "import-started").count(), 1, "the bundle alone");
}

/// Each way to slip a keyring in, with its answer; none changes anything.
#[test]
fn a_keyring_that_does_not_follow_is_refused() {
    let world = World::new();
    let first = keyring(&world);
    let stranger = Key::new();
    let next = successor(&first);
    let text = toml::to_string(&next).unwrap();
    let (root, good) = (&world.root, keyring_comment(2));
    let before = world.stored();
    let try_it = |text: &str, signatures: &[String]| {
        let folder = world.path("stick/keyring");
        write_keyring(&folder, text, signatures);
        let reason = refused(world.import(&folder));
        assert_eq!(world.stored(), before, "{reason}");
        reason
    };
    let signed = |ring: &Keyring, keys: &[&Key]| {
        let text = toml::to_string(ring).unwrap();
        let signatures: Vec<String> =
            keys.iter().map(|key| key.sign(text.as_bytes(), &keyring_comment(ring.version))).collect();
        try_it(&text, &signatures)
    };

    // By whom.
    assert_eq!(signed(&next, &[&stranger]), "keyring-threshold");
    assert_eq!(signed(&next, &[&world.officer]), "keyring-threshold");
    let mut taken_over = next.clone();
    taken_over.root.keys = vec![stranger.base64()];
    assert_eq!(signed(&taken_over, &[&stranger]), "keyring-threshold", "the new root alone");
    assert_eq!(signed(&taken_over, &[root]), "keyring-threshold", "the old root alone");
    let mut two = next.clone();
    two.root.keys.push(stranger.base64());
    two.root.threshold = 2;
    assert_eq!(signed(&two, &[root, root]), "keyring-threshold", "one key twice is one");
    let mut revoked = next.clone();
    revoked.root.keys.push(stranger.base64());
    revoke(&mut revoked, root);
    assert_eq!(
        signed(&revoked, &[root]),
        "keyring-threshold",
        "a root key that the new one revokes counts for the old alone"
    );
    revoked.root.keys = vec![root.base64()];
    assert_eq!(signed(&revoked, &[root]), "keyring-malformed", "nobody could replace it any more");

    // What was signed.
    assert_eq!(
        try_it(&text.replace("version = 2", "version = 2 "), &[root.sign(text.as_bytes(), &good)]),
        "signature-invalid"
    );
    for foreign in ["gaprelay-bundle/1 feed=feed version=2", "gaprelay-keyring/1 version=3", ""] {
        assert_eq!(try_it(&text, &[root.sign(text.as_bytes(), foreign)]), "signature-foreign-statement", "{foreign}");
    }
    let garbage = "version = 2\n";
    assert_eq!(try_it(garbage, &[root.sign(garbage.as_bytes(), &good)]), "keyring-malformed");
    let legacy = root.sign(text.as_bytes(), &good).replacen("\nRU", "\nRW", 1);
    assert_eq!(try_it(&text, &[legacy]), "signature-legacy");
    let long = format!("{text}#{}\n", "x".repeat(1 << 20));
    assert_eq!(try_it(&long, &[root.sign(long.as_bytes(), &good)]), "keyring-too-large");

    // Which version.
    assert_eq!(signed(&successor(&next), &[root]), "keyring-gap");
    assert_eq!(signed(&Keyring { version: u64::MAX, ..next.clone() }, &[root]), "keyring-malformed");
    let mut other = first.clone();
    other.keys.pop();
    assert_eq!(signed(&other, &[root]), "keyring-equivocation");

    // Unsigned it is not even a bundle.
    write_keyring(&world.path("stick/keyring"), &text, &[]);
    let ran = world.import(&world.path("stick/keyring")).expect(3);
    assert!(ran.err.contains("no-bundle"), "{}", ran.err);
    assert_eq!(world.stored(), before);
    let refusals = world.log("import").iter().filter(|event| event["type"] == "import-refused").count();
    assert_eq!(refusals, 17, "each is in the log");
}

/// A medium full of keyrings, however large, costs no more memory than a few of them.
#[test]
fn a_medium_full_of_keyrings_is_read_within_bounds() {
    let world = World::new();
    let next = successor(&keyring(&world));
    let good = toml::to_string(&next).unwrap();
    let long = format!("{good}#{}\n", "x".repeat((1 << 20) - good.len() - 100));
    let signature = Key::new().sign(long.as_bytes(), &keyring_comment(2));
    for number in 0..70 {
        write_keyring(&world.path("stick").join(format!("junk-{number:02}")), &long, std::slice::from_ref(&signature));
    }
    let report = world.import(&world.path("stick")).expect(3).json();
    let reasons: Vec<&str> =
        report["bundles"].as_array().unwrap().iter().map(|b| b["refused"]["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons.iter().filter(|reason| **reason == "medium-entry-limit").count(), 6, "{reasons:?}");
    assert_eq!(reasons.iter().filter(|reason| **reason == "keyring-threshold").count(), 64, "{reasons:?}");
    assert_eq!(forced(&world)["keyring"]["version"], 1);
}

/// A revocation is final: a later keyring cannot leave it out.
#[test]
fn no_keyring_forgets() {
    let world = World::new();
    let mut second = successor(&keyring(&world));
    revoke(&mut second, &world.custodian);
    second.epochs.push(Epoch { feed: "feed".into(), number: 2, highest: 7 });
    second.lifted.push(base::Digest::of(b"a denial"));
    world.import(&put_keyring(&world, &second, &[&world.root])).expect(0);
    let third = successor(&second);
    let mut changed = third.clone();
    changed.epochs[0].highest = 8;
    let mut lower = third.clone();
    lower.epochs[0].number = 1;
    for forgetful in [
        Keyring { revoked: Vec::new(), ..third.clone() },
        Keyring { epochs: Vec::new(), ..third.clone() },
        Keyring { lifted: Vec::new(), ..third.clone() },
        changed,
        lower,
    ] {
        assert_eq!(refused(world.import(&put_keyring(&world, &forgetful, &[&world.root]))), "keyring-forgets");
    }
    // Back to one that was in force once, exactly as it was: known. Another one of that number: refused.
    let first = toml::to_string(&keyring(&world)).unwrap();
    write_keyring(&world.path("stick/old"), &first, &[world.root.sign(first.as_bytes(), &keyring_comment(1))]);
    assert_eq!(refused(world.import(&world.path("stick/old"))), "keyring-rollback");
    world.import(&put_keyring(&world, &third, &[&world.root])).expect(0);
    world.import(&put_keyring(&world, &second, &[&world.root])).expect(0);
    assert_eq!(forced(&world)["keyring"]["version"], 3);
}

/// Releases of a revoked key are listed, and withdrawn in one step; later bundles of that key are refused.
#[test]
fn what_a_revoked_key_brought_in_is_withdrawn_in_one_step() {
    let world = World::new();
    let other = Key::new();
    let mut second = successor(&keyring(&world));
    second.keys.push(row("other", &other, Role::Custodian));
    world.import(&put_keyring(&world, &second, &[&world.root])).expect(0);
    good(&world.path("stick/feed-1"), &other, "feed", 1, ONE);
    world.import(&world.path("stick/feed-1")).expect(0);
    world.decide("feed/1", "officer", &world.officer, "approve").expect(0);
    world.publish("feed", 2, OTHER);
    world.publish("auto", 1, &[("b.hdb", HASHES, "clamav-hashes")]);
    assert_eq!(forced(&world)["parts"], serde_json::json!([]));

    let mut third = successor(&second);
    revoke(&mut third, &world.custodian);
    world.import(&put_keyring(&world, &third, &[&world.root])).expect(0);
    let shown = forced(&world);
    let parts: Vec<_> =
        shown["parts"].as_array().unwrap().iter().map(|part| part["release"].as_str().unwrap()).collect();
    assert_eq!(parts, ["auto/1", "feed/2"]);
    let text = world.relay(&["keyring", "show"]).expect(0);
    let key = id(&world.custodian);
    assert!(text.err.contains(&format!("gaprelay directive withdraw-key {key}")), "{}", text.err);
    // What is served stays until somebody decides; what comes by that key does not come in.
    assert_eq!(refused(world.import(&world.bundle("feed", 3, ONE))), "key-revoked");

    let done = direct(&world, "officer", &world.officer, &["withdraw-key", &key]).expect(0).json();
    let taken: Vec<_> = done["taken"].as_array().unwrap().iter().map(|it| it["release"].as_str().unwrap()).collect();
    assert_eq!(taken, ["auto/1", "feed/2"]);
    let status = world.relay(&["status", "--json"]).expect(0).json();
    assert_eq!(status["channels"][0]["releases"][0]["version"], 1, "{status}");
    assert_eq!(status["channels"][0]["releases"].as_array().unwrap().len(), 1);
    assert_eq!(forced(&world)["parts"], serde_json::json!([]));
    // Said again there is nothing left to say it of.
    let again = world.relay(&["directive", "withdraw-key", &key, "--officer", "officer", "--reason", "x"]).expect(3);
    assert!(again.err.contains("statement-listing"), "{}", again.err);
    world.fsck();

    // An officer's key that is revoked: what was approved with it is listed too.
    let mut fourth = successor(&third);
    revoke(&mut fourth, &world.officer);
    world.import(&put_keyring(&world, &fourth, &[&world.root])).expect(0);
    let shown = forced(&world);
    assert_eq!((&shown["parts"][0]["release"], &shown["parts"][0]["part"]), (&"feed/1".into(), &"approved".into()));
    assert_eq!(statement_refused(world.decide("feed/1", "officer", &world.officer, "withdraw")), "key-revoked");
}

/// Officers tighten and never loosen: a denial counts at once, and only a keyring lifts it.
#[test]
fn officers_deny_and_only_the_root_lifts() {
    let world = World::new();
    world.import(&world.bundle("feed", 1, ONE)).expect(0);
    let (key, officer) = (id(&world.custodian), &world.officer);
    direct(&world, "officer", officer, &["deny-key", &key]).expect(0);
    assert_eq!(refused(world.import(&world.bundle("feed", 2, OTHER))), "key-denied");
    assert_eq!(forced(&world)["parts"][0]["release"], "feed/1", "what it brought in is listed");
    // The same order is the same whenever it is printed.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(statement_refused(direct(&world, "officer", officer, &["deny-key", &key])), "statement-repeated");
    let lift = |world: &World, ring: &Keyring| {
        let mut next = successor(ring);
        next.lifted = forced(world)["denied"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d["sha256"].as_str().unwrap().parse().unwrap())
            .collect();
        world.import(&put_keyring(world, &next, &[&world.root])).expect(0);
        next
    };
    let second = lift(&world, &keyring(&world));
    world.import(&world.bundle("feed", 2, OTHER)).expect(0);

    direct(&world, "second", &world.second, &["deny-feed", "auto"]).expect(0);
    assert_eq!(refused(world.import(&world.bundle("auto", 1, ONE))), "feed-denied");
    world.import(&world.bundle("feed", 3, ONE)).expect(0);
    direct(&world, "second", &world.second, &["deny-origin", "CH"]).expect(0);
    assert_eq!(refused(world.import(&world.bundle("feed", 4, ONE))), "origin-denied");
    lift(&world, &second);
    world.import(&world.bundle("auto", 1, ONE)).expect(0);

    // Denied officers let nothing pass any more; those who denied them are the root's to judge.
    direct(&world, "second", &world.second, &["deny-key", &id(officer)]).expect(0);
    let waive = ["waive", &base::Digest::of(b"").to_string(), "--until", "2099-01-01T00:00:00Z"];
    assert_eq!(statement_refused(direct(&world, "officer", officer, &waive)), "key-denied");
    direct(&world, "officer", officer, &["deny-origin", "FR"]).expect(0);
    let log = world.log("import");
    assert_eq!(log.iter().filter(|event| event["type"] == "directive").count(), 5);
    world.fsck();
}

/// Faults of a directive, each with its message; and what a key may sign is in the keyring.
#[test]
fn a_directive_counts_by_whom_where_and_for_what_it_was_signed() {
    let world = World::new();
    let printed =
        world.relay(&["directive", "deny-origin", "RU", "--officer", "officer", "--reason", "law"]).expect(0).out;
    let elsewhere = printed.replace("relay test/import/1", "relay other/import/1");
    assert_eq!(statement_refused(hand_in_directive(&world, &elsewhere, &world.officer)), "statement-foreign");
    assert_eq!(statement_refused(hand_in_directive(&world, &printed, &world.second)), "statement-signer");
    assert_eq!(statement_refused(hand_in_directive(&world, &printed, &world.custodian)), "statement-signer");
    assert_eq!(statement_refused(hand_in_directive(&world, &printed, &world.root)), "signature-unknown-key");
    assert_eq!(
        statement_refused(hand_in_directive(&world, &printed.replace("deny", "allow"), &world.officer)),
        "statement-malformed"
    );
    let mut ring = successor(&keyring(&world));
    for key in &mut ring.keys {
        if key.role == Role::Officer {
            key.may = Some(vec![Right::Approve]);
        }
    }
    world.import(&put_keyring(&world, &ring, &[&world.root])).expect(0);
    assert_eq!(statement_refused(hand_in_directive(&world, &printed, &world.officer)), "statement-right");
    world.publish("feed", 1, ONE);
    assert_eq!(statement_refused(world.decide("feed/1", "officer", &world.officer, "withdraw")), "statement-right");
    for key in &mut ring.keys {
        if key.role == Role::Officer {
            (key.may, key.feeds) = (Some(vec![Right::Deny]), vec!["other*".into()]);
        }
    }
    ring.version += 1;
    world.import(&put_keyring(&world, &ring, &[&world.root])).expect(0);
    let by_officer = |order: &[&str]| statement_refused(direct(&world, "officer", &world.officer, order));
    assert_eq!(by_officer(&["deny-feed", "feed"]), "statement-signer");
    assert_eq!(by_officer(&["withdraw-key", &id(&world.custodian)]), "statement-signer", "feed/1 is not theirs");
    let denied = statement_refused(hand_in_directive(&world, &printed, &world.officer));
    assert_eq!(denied, "statement-signer", "the key is for feeds that are not theirs");
    for bad in [
        &["directive", "deny-key", "abc"][..],
        &["directive", "deny-origin", "Russia"],
        &["directive", "deny-feed", "../x"],
    ] {
        let ran = world.relay(&[bad, &["--officer", "officer", "--reason", "x"]].concat()).expect(3);
        assert!(ran.err.contains("statement-malformed"), "{}", ran.err);
    }
}

/// A stolen key that signs a version far ahead would use up the numbers: it is refused, officers may waive it, and the
/// root can put the feed back.
#[test]
fn a_fast_forward_is_refused_waived_and_undone() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    let far = world.bundle("feed", 1 << 40, OTHER);
    assert_eq!(refused(world.import(&far)), "version-jump");
    let manifest = base::Digest::of(&fs::read(far.join("manifest.json")).unwrap()).to_string();
    direct(&world, "officer", &world.officer, &["waive", &manifest, "--until", "2099-01-01T00:00:00Z"]).expect(0);
    world.import(&far).expect(0);
    world.decide(&format!("feed/{}", 1_u64 << 40), "officer", &world.officer, "approve").expect(0);
    assert_eq!(refused(world.import(&world.bundle("feed", 2, OTHER))), "version-rollback", "the numbers are used up");

    let mut ring = successor(&keyring(&world));
    ring.epochs.push(Epoch { feed: "feed".into(), number: 1, highest: 1 });
    world.import(&put_keyring(&world, &ring, &[&world.root])).expect(0);
    let served = |world: &World| {
        world.relay(&["status", "--json"]).expect(0).json()["channels"][0]["releases"][0]["version"].clone()
    };
    assert_eq!(served(&world), 1, "what is void is not served any more");
    assert_eq!(refused(world.import(&far)), "version-void");
    let third: &[File<'_>] = &[("a.hdb", b"44d88612fea8a8f36de82e1278abb02d:68:Third\n", "clamav-hashes")];
    world.publish("feed", 2, third);
    assert_eq!(served(&world), 2);
    world.fsck();
    world.relay(&["gc", "--yes"]).expect(0);
    world.fsck();
    let log = world.log("import");
    let last = log.iter().rfind(|event| event["type"] == "keyring-replaced").unwrap();
    assert_eq!(last["epochs"], serde_json::json!(["feed 1 1"]));
}

/// An expired bundle comes in only where as many officers as the feed asks for have said so, of exactly this one, and
/// not for ever. No waiver helps against a rollback.
#[test]
fn expired_content_comes_in_by_waiver_alone() {
    let world = World::new();
    let expired = |feed: &str, version: u64| {
        let folder = world.path("stick").join(format!("{feed}-{version}"));
        let payload = gzip(&tar(ONE));
        let mut manifest = manifest(feed, version, ONE, &payload);
        manifest["expires"] = "2026-02-01T00:00:00Z".into();
        let bytes = serde_json::to_vec(&manifest).unwrap();
        let signature = world.custodian.sign(&bytes, &comment(feed, version));
        write_bundle(&folder, &bytes, &payload, &[("manifest.json.minisig", signature)]);
        (folder, base::Digest::of(&bytes).to_string())
    };
    let (folder, manifest) = expired("two", 5);
    assert_eq!(refused(world.import(&folder)), "bundle-expired");
    let waive = ["waive", &manifest, "--until", "2099-01-01T00:00:00Z"];
    direct(&world, "officer", &world.officer, &waive).expect(0);
    assert_eq!(refused(world.import(&folder)), "bundle-expired", "the feed asks for two officers");
    let over = direct(&world, "second", &world.second, &["waive", &manifest, "--until", "2026-03-01T00:00:00Z"]);
    assert_eq!(statement_refused(over), "statement-expired");
    assert_eq!(refused(world.import(&folder)), "bundle-expired", "one of the waivers is over");
    direct(&world, "second", &world.second, &waive).expect(0);
    let own = world.relay(&["import", "--operator", "second", "--json", folder.to_str().unwrap()]);
    assert_eq!(refused(own), "bundle-expired", "nobody waives what they import");
    world.import(&folder).expect(0);
    let (older, manifest) = expired("two", 4);
    let waive = ["waive", &manifest, "--until", "2099-01-01T00:00:00Z"];
    direct(&world, "officer", &world.officer, &waive).expect(0);
    direct(&world, "second", &world.second, &waive).expect(0);
    assert_eq!(refused(world.import(&older)), "version-rollback");
}

/// Damaged trust stops imports and approvals with a clear fault; what is published is served on.
#[test]
fn damaged_trust_stops_imports_and_keeps_serving() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    for damage in ["trust/trust.json", "keyring/1.toml"] {
        let path = world.state().join(damage);
        let good = fs::read(&path).unwrap();
        for bad in [None, Some(&b""[..]), Some(&good[..good.len() / 2])] {
            match bad {
                None => fs::remove_file(&path).unwrap(),
                Some(bytes) => fs::write(&path, bytes).unwrap(),
            }
            let ran = world.import(&world.bundle("feed", 2, OTHER)).expect(4);
            assert!(ran.err.contains(damage.rsplit('/').next().unwrap()), "{}", ran.err);
            world.relay(&["settle"]).expect(4);
            let server = Server::start(&world, "serve");
            let got = run(Command::new("curl").args(["-sf", &server.url("/c/a.hdb")])).expect(0);
            assert_eq!(got.out.as_bytes(), HASHES);
        }
        fs::write(&path, &good).unwrap();
        world.fsck();
    }
    world.import(&world.path("stick/feed-2")).expect(0);
}

/// The trust state comes back from the log, on the word of two officers, and is what it was: what was accepted, denied,
/// and made void.
#[test]
fn trust_is_repaired_from_the_log_by_two_officers() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    world.publish("feed", 2, OTHER);
    let mut ring = successor(&keyring(&world));
    ring.epochs.push(Epoch { feed: "feed".into(), number: 1, highest: 1 });
    let brought = put_keyring(&world, &ring, &[&world.root]).join("keyring.toml");
    world.import(&world.path("stick/keyring-2")).expect(0);
    direct(&world, "officer", &world.officer, &["deny-origin", "RU"]).expect(0);
    world.import(&world.bundle("feed", 3, ONE)).expect(0);
    world.fsck();
    let (trust, kept) = (world.state().join("trust/trust.json"), world.state().join("keyring/2.toml"));
    let before: Value = serde_json::from_slice(&fs::read(&trust).unwrap()).unwrap();
    let both = [("officer", &world.officer), ("second", &world.second)];
    let ran = repair(&world, &both, &[]).expect(3);
    assert!(ran.err.contains("repair-not-needed"), "{}", ran.err);

    fs::write(&trust, b"{}").unwrap();
    fs::write(&kept, b"").unwrap();
    let ran = repair(&world, &both, &[]).expect(3);
    assert!(ran.err.contains("repair-keyring"), "{}", ran.err);
    let wrong = world.path("keyring.toml");
    let ran = repair(&world, &both, &["--keyring", wrong.to_str().unwrap()]).expect(3);
    assert!(ran.err.contains("repair-keyring"), "{}", ran.err);
    let given = ["--keyring", brought.to_str().unwrap()];
    for (officers, reason) in [
        (&both[..1], "repair-officers"),
        (&[both[0], both[0]][..], "repair-officers"),
        (&[both[0], ("second", &world.officer)], "statement-signer"),
        (&[both[0], ("custodian", &world.custodian)], "statement-signer"),
    ] {
        let ran = repair(&world, officers, &given).expect(3);
        assert!(ran.err.contains(reason), "{reason}: {}", ran.err);
        assert_eq!(fs::read(&trust).unwrap(), b"{}");
    }
    repair(&world, &both, &given).expect(0);
    let after: Value = serde_json::from_slice(&fs::read(&trust).unwrap()).unwrap();
    for part in ["keyring", "feeds"] {
        assert_eq!(after[part], before[part], "{part}");
    }
    let text = |trust: &Value| trust["directives"][0]["text"].clone();
    assert_eq!(text(&after), text(&before));
    world.fsck();
    assert_eq!(world.log("import").last().unwrap()["type"], "repaired");
    assert_eq!(refused(world.import(&world.bundle("feed", 2, ONE))), "version-void");
    world.import(&world.bundle("feed", 4, OTHER)).expect(0);
    // A damaged log tells nothing that could be trusted.
    fs::write(&trust, b"{}").unwrap();
    let bundle = world.state().join("log/import/tile/entries").read_dir().unwrap().next().unwrap().unwrap().path();
    let bundle = bundle.read_dir().unwrap().next().unwrap().unwrap().path();
    let mut bad = fs::read(&bundle).unwrap();
    let at = bad.len() / 2;
    bad[at] ^= 1;
    fs::write(&bundle, bad).unwrap();
    let ran = world.relay(&["repair", "--officer", "officer", "--reason", "x"]);
    assert_eq!(ran.code, Some(4), "{}", ran.err);
}

/// A former copy of the trust state would let old content in again: it is told from the log, and stops the relay's
/// imports.
#[test]
fn a_former_copy_of_the_trust_state_is_found() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    let trust = world.state().join("trust/trust.json");
    let old = fs::read(&trust).unwrap();
    world.publish("feed", 2, OTHER);
    let now = fs::read(&trust).unwrap();
    fs::write(&trust, &old).unwrap();
    let ran = world.import(&world.bundle("feed", 2, ONE)).expect(4);
    assert!(ran.err.contains("it is older than the import log"), "{}", ran.err);
    let ran = world.relay(&["fsck"]).expect(4);
    assert!(ran.err.contains("it is older than the import log"), "{}", ran.err);
    fs::write(&trust, &now).unwrap();
    // And a former copy of the log, beside what is trusted now.
    let (log, saved) = (world.state().join("log/import"), world.path("log"));
    run(Command::new("cp").arg("-a").arg(&log).arg(&saved)).expect(0);
    world.publish("feed", 3, &[("a.hdb", b"44d88612fea8a8f36de82e1278abb02d:68:Third\n", "clamav-hashes")]);
    fs::remove_dir_all(&log).unwrap();
    run(Command::new("cp").arg("-a").arg(&saved).arg(&log)).expect(0);
    let ran = world.import(&world.bundle("feed", 4, OTHER)).expect(4);
    assert!(ran.err.contains("it is newer than the import log"), "{}", ran.err);
}

/// The ceremony with stock minisign: drafted, read aloud, signed on machines of their own, put together, checked, and
/// taken by the relay.
#[test]
fn the_ceremony_is_done_with_stock_minisign() {
    if !has("minisign") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let pack = |args: &[&str]| run(pack().args(args).current_dir(dir.path()));
    minisign_keys(dir.path(), &["root1", "root2", "root3", "custodian", "officer", "new"]);
    let made = pack(&[
        "keyring",
        "new",
        "--root",
        "root1.pub",
        "--root",
        "root2.pub",
        "--root",
        "root3.pub",
        "--root-threshold",
        "2",
        "--key",
        "name=custodian,role=custodian,public=custodian.pub,publisher=example,origin=CH",
        "--key",
        "name=officer,role=officer,public=officer.pub,may=approve+deny",
        "--require",
        "role=custodian,signers=1",
        "--out",
        "keyring.toml",
    ])
    .expect(0);
    let words = |text: &str| {
        let at = text.find("aloud:\n").unwrap();
        text[at + 7..].lines().take(4).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(words(&made.out).len(), 4);
    fs::write(dir.path().join("config.toml"), CONFIG).unwrap();
    let relay = |args: &[&str]| {
        run(Command::new(RELAY).args(args).env("GAPRELAY_STATE", path("state")).current_dir(dir.path()))
    };
    relay(&["init", "--keyring", "keyring.toml", "--config", "config.toml"]).expect(0);
    assert_eq!(words(&relay(&["keyring", "show"]).expect(0).out), words(&made.out), "both sides read the same aloud");

    let drafted = pack(&[
        "keyring",
        "draft",
        "keyring.toml",
        "--out",
        "keyring-2",
        "--add",
        "name=new,role=custodian,public=new.pub,publisher=example,origin=CH",
        "--revoke",
        "custodian=lost laptop",
        "--remove-root",
        "root3.pub",
        "--epoch",
        "feed=41",
    ])
    .expect(0);
    for line in
        ["custodian new (", "revoked: lost laptop", "feed feed begins epoch 1: versions above 41 are void", "taken out"]
    {
        assert!(drafted.out.contains(line), "{line}: {}", drafted.out);
    }
    assert!(drafted.err.contains("-t 'gaprelay-keyring/1 version=2'"), "{}", drafted.err);
    // Too few yet.
    let sign = |key: &str, document: &str, version: u64| {
        let out = path(&format!("{key}.{version}.minisig"));
        let (key, comment) = (path(&format!("{key}.key")), keyring_comment(version));
        run(Command::new("minisign").args(["-S", "-s", &key, "-m", &path(document), "-x", &out, "-t", &comment]))
            .expect(0);
        out
    };
    let (one, two) = (sign("root1", "keyring-2/keyring.toml", 2), sign("root2", "keyring-2/keyring.toml", 2));
    pack(&["keyring", "assemble", "keyring-2", "--former", "keyring.toml", &one]).expect(0);
    let few = pack(&["keyring", "check", "keyring-2", "--former", "keyring.toml"]).expect(3);
    assert!(few.err.contains("and 2 must") && few.err.contains("keyring-threshold"), "{}", few.err);
    let stranger = sign("officer", "keyring-2/keyring.toml", 2);
    let ran = pack(&["keyring", "assemble", "keyring-2", "--former", "keyring.toml", &stranger]).expect(3);
    assert!(ran.err.contains("not a root key of keyring 1 or 2"), "{}", ran.err);
    pack(&["keyring", "assemble", "keyring-2", "--former", "keyring.toml", &two]).expect(0);
    let checked = pack(&["keyring", "check", "keyring-2", "--former", "keyring.toml"]).expect(0);
    assert_eq!(words(&checked.out), words(&drafted.out));

    // A third on top of it; both go in at once.
    pack(&["keyring", "draft", "keyring-2", "--out", "keyring-3", "--remove", "officer"]).expect(0);
    let signatures = [sign("root1", "keyring-3/keyring.toml", 3), sign("root2", "keyring-3/keyring.toml", 3)];
    pack(&["keyring", "assemble", "keyring-3", "--former", "keyring-2", &signatures[0], &signatures[1]]).expect(0);
    let checked = pack(&["keyring", "check", "keyring-3", "keyring-2", "--former", "keyring.toml"]).expect(0);
    assert!(
        checked.out.contains("keyring 2, signed by") && checked.out.contains("keyring 3, signed by"),
        "{}",
        checked.out
    );
    fs::create_dir(dir.path().join("stick")).unwrap();
    for folder in ["keyring-2", "keyring-3"] {
        fs::rename(dir.path().join(folder), dir.path().join("stick").join(folder)).unwrap();
    }
    let taken = relay(&["import", "--operator", "op", "stick"]).expect(0);
    assert!(taken.err.contains("keyring version 3 is in force now"), "{}", taken.err);
    let shown = relay(&["keyring", "show"]).expect(0);
    assert_eq!(words(&shown.out), words(&pack(&["keyring", "show", "stick/keyring-3"]).expect(0).out));
    // What is kept checks with stock minisign alone, by anyone.
    let ran = run(Command::new("minisign")
        .args(["-V", "-p", &path("root1.pub"), "-m", &path("state/keyring/3.toml"), "-x"])
        .arg(
            fs::read_dir(dir.path().join("state/keyring"))
                .unwrap()
                .map(|e| e.unwrap().path())
                .find(|p| {
                    p.to_str().unwrap().contains("3.toml.") && fs::read(p).unwrap() == fs::read(&signatures[0]).unwrap()
                })
                .unwrap(),
        ));
    assert!(ran.expect(0).out.contains("gaprelay-keyring/1 version=3"));
}

/// A bundle that is in the spool is judged by the keyring that a later medium of the same import brings: what that
/// revokes, and the epoch that it sets, hold for it.
#[test]
fn a_keyring_of_a_later_medium_holds_for_what_was_read_before() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    let first = world.path("first");
    good(&first.join("feed-5000"), &world.custodian, "feed", 5000, OTHER);
    let mut ring = successor(&keyring(&world));
    revoke(&mut ring, &world.custodian);
    ring.epochs.push(Epoch { feed: "feed".into(), number: 1, highest: 100 });
    let coming = Key::new();
    ring.keys.push(row("newcomer", &coming, Role::Custodian));
    let second = put_keyring(&world, &ring, &[&world.root]);
    let paths = [first.to_str().unwrap(), second.to_str().unwrap()];
    let report = world.relay(&[&["import", "--json"], &paths[..]].concat()).expect(3).json();
    let told: Vec<&str> = report["bundles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| b["refused"]["reason"].as_str().unwrap_or(b["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(told, ["keyring-replaced", "key-revoked"], "{report}");
    // The feed goes on where the epoch says.
    good(&first.join("feed-101"), &coming, "feed", 101, OTHER);
    fs::remove_dir_all(first.join("feed-5000")).unwrap();
    world.import(&first).expect(0);
    world.fsck();
}
