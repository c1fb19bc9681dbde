//! What an officer signs counts once, at one relay, and within its time.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base::clock::now;

use super::support::*;

const MANY: &[u8] = b"44d88612fea8a8f36de82e1278abb02f:68:A\n44d88612fea8a8f36de82e1278abb02e:68:B\n44d88612fea8a8f36de82e1278abb02d:68:C\n";
const FEW: &[u8] = b"44d88612fea8a8f36de82e1278abb02f:68:A\n";

/// Signs a text, hands it in at the state of `command`, and gives what came of it.
fn hand_in(mut command: Command, dir: &Path, key: &Key, text: &str) -> Ran {
    let path = dir.join("signed.txt");
    fs::write(&path, text).unwrap();
    fs::write(dir.join("signed.txt.minisig"), key.sign(text.as_bytes(), "x")).unwrap();
    run(command.arg("--json").arg("--signature").arg(dir.join("signed.txt.minisig")))
}

fn refused_for(ran: &Ran) -> String {
    let refused = &serde_json::from_str::<serde_json::Value>(&ran.out).unwrap()["refused"][0]["reason"];
    refused.as_str().unwrap_or_default().to_owned()
}

/// Two relays with one keyring, and the same bundle on both: what was signed for one counts there alone.
#[test]
fn a_statement_for_another_relay_does_not_count() {
    let world = World::new();
    let other = world.path("other");
    let there = |args: &[&str]| {
        let mut command = Command::new(RELAY);
        command.env("GAPRELAY_STATE", &other).args(args);
        command
    };
    let config = world.path("other.toml");
    fs::write(&config, CONFIG.replace("relay = \"test\"", "relay = \"other\"")).unwrap();
    let ring = world.path("keyring.toml");
    let init = ["init", "--keyring", ring.to_str().unwrap(), "--config", config.to_str().unwrap()];
    run(&mut there(&init)).expect(0);
    let bundle = world.bundle("feed", 1, ONE);
    let import = ["import", "--operator", "operator", "--json", bundle.to_str().unwrap()];
    world.relay(&import).expect(0);
    run(&mut there(&import)).expect(0);
    for decision in ["approve", "withdraw"] {
        let args = ["approve", "feed/1", "--officer", "officer", "--reason", "x", "--decision", decision];
        let text = world.relay(&args).expect(0).out;
        let ran = hand_in(there(&["approve", "feed/1"]), world.dir.path(), &world.officer, &text);
        assert_eq!(refused_for(&ran), "statement-foreign", "{decision}");
        hand_in(world.command(&["approve", "feed/1"]), world.dir.path(), &world.officer, &text).expect(0);
    }
}

#[test]
fn a_statement_counts_within_its_time() {
    let world = World::new();
    world.import(&world.bundle("feed", 1, ONE)).expect(0);
    let order = ["approve", "feed/1", "--officer", "officer", "--reason", "x"];
    let text = world.relay(&[&order[..], &["--valid-for", "1s"]].concat()).expect(0).out;
    std::thread::sleep(Duration::from_millis(2100));
    let ran = hand_in(world.command(&["approve", "feed/1"]), world.dir.path(), &world.officer, &text);
    assert_eq!(refused_for(&ran), "statement-expired");
    // Nor before it was printed, nor for longer than may be asked for, nor in the form that had no time.
    let text = world.relay(&order).expect(0).out;
    let issued = text.lines().find(|line| line.starts_with("issued ")).unwrap();
    let until = text.lines().find(|line| line.starts_with("until ")).unwrap();
    let relay = "relay test/import/1\n";
    let later = text.replace(issued, "issued 2098-01-01T00:00:00Z").replace(until, "until 2098-01-02T00:00:00Z");
    let former = text.replace("approval/2", "approval/1").replace(relay, "");
    let former = former.replace(&format!("{issued}\n{until}\n"), "");
    for (text, reason) in [
        (later, "statement-clock"),
        (text.replace(until, "until 2098-01-02T00:00:00Z"), "statement-malformed"),
        (former, "statement-malformed"),
    ] {
        let ran = hand_in(world.command(&["approve", "feed/1"]), world.dir.path(), &world.officer, &text);
        assert_eq!(refused_for(&ran), reason, "{text}");
    }
    for span in ["32d", "0s", "soon"] {
        world.relay(&[&order[..], &["--valid-for", span]].concat()).expect(2);
    }
    assert!(world.relay(&["releases"]).out.contains("held"));
    hand_in(world.command(&["approve", "feed/1"]), world.dir.path(), &world.officer, &text).expect(0);
    // A directive has its time too.
    let order = ["directive", "deny-origin", "RU", "--officer", "officer", "--reason", "x", "--valid-for", "1s"];
    let text = world.relay(&order).expect(0).out;
    std::thread::sleep(Duration::from_millis(2100));
    let path = world.path("d.txt");
    fs::write(&path, &text).unwrap();
    fs::write(world.path("d.txt.minisig"), world.officer.sign(text.as_bytes(), "x")).unwrap();
    let ran = world.relay(&["directive", "hand-in", "--json", world.path("d.txt.minisig").to_str().unwrap()]);
    assert_eq!(refused_for(&ran), "statement-expired");
}

/// One statement may decide on several releases: on all of them, or on none.
#[test]
fn one_statement_decides_on_several_releases_or_none() {
    let world = World::new();
    for (feed, file) in [("feed", ("a.hdb", HASHES, "clamav-hashes")), ("two", ("b.hdb", HASHES, "clamav-hashes"))] {
        world.import(&world.bundle(feed, 1, &[file])).expect(0);
    }
    let both = ["approve", "feed/1", "two/1"];
    let print = |officer: &str| {
        let order = [&both[..], &["--officer", officer, "--reason", "x"]].concat();
        world.relay(&order).expect(0).out
    };
    let (first, second) = (print("officer"), print("second"));
    assert_eq!(first.matches("\nrelease ").count(), 2);
    // Handed in under another name than its releases.
    let ran = hand_in(world.command(&["approve", "feed/1"]), world.dir.path(), &world.officer, &first);
    assert!(ran.expect(3).err.contains("statement-unknown-release"));
    hand_in(world.command(&both), world.dir.path(), &world.officer, &first).expect(0);
    assert!(world.relay(&["show", "feed/1"]).out.contains("published in c"));
    assert!(world.relay(&["show", "two/1"]).out.contains("held (1 of 2 approvals)"));
    // Of a statement that does not hold for one of its releases nothing counts.
    world.decide("two/1", "second", &world.second, "refuse").expect(0);
    let ran = hand_in(world.command(&both), world.dir.path(), &world.second, &second);
    assert_eq!(refused_for(&ran), "statement-closed");
    let shown = world.relay(&["show", "feed/1", "--json"]).expect(0).json();
    assert_eq!(shown["statements"].as_array().unwrap().len(), 1);
    let args = [&both[..], &["--officer", "officer", "--reason", "x", "--decision", "withdraw"]].concat();
    let text = world.relay(&args).expect(0).out;
    // A bundle of lines about one release twice is none.
    let twice = text.replace("two/1", "feed/1");
    let ran = hand_in(world.command(&["approve", "feed/1"]), world.dir.path(), &world.officer, &twice);
    assert_eq!(refused_for(&ran), "statement-malformed");
    hand_in(world.command(&both), world.dir.path(), &world.officer, &text).expect(0);
    assert!(world.relay(&["show", "feed/1"]).out.contains("withdrawn"));
    world.fsck();
}

/// A text is printed for an officer of the keyring alone.
#[test]
fn nothing_is_printed_for_somebody_whom_the_keyring_does_not_know() {
    let world = World::new();
    world.import(&world.bundle("feed", 1, ONE)).expect(0);
    for args in [
        &["approve", "feed/1", "--officer", "oficer", "--reason", "x"][..],
        &["approve", "feed/1", "--officer", "custodian", "--reason", "x"],
        &["directive", "deny-origin", "RU", "--officer", "oficer", "--reason", "x"],
        &["repair", "--officer", "oficer", "--reason", "x"],
    ] {
        let ran = world.relay(args).expect(2);
        assert!(ran.err.contains("officer, second") && ran.out.is_empty(), "{}{}", ran.out, ran.err);
    }
}

/// An approval that takes everything, or more than the brake, says so in what is signed, and again when it is handed
/// in.
#[test]
fn an_approval_that_takes_much_says_so() {
    let world = World::new();
    world.publish("feed", 1, &[("a.hdb", MANY, "clamav-hashes")]);
    world.import(&world.bundle("feed", 2, &[("a.hdb", FEW, "clamav-hashes")])).expect(0);
    let order = ["approve", "feed/2", "--officer", "officer", "--reason", "x"];
    let ran = world.relay(&order).expect(0);
    let effect = "effect removes 2 of 3 rules, signatures and indicators; the brake of the feed is 10 %\n";
    assert!(ran.out.contains(effect) && ran.err.contains("ATTENTION"), "{}{}", ran.out, ran.err);
    let silent = ran.out.replace(effect, "");
    let refused = hand_in(world.command(&["approve", "feed/2"]), world.dir.path(), &world.officer, &silent);
    assert_eq!(refused_for(&refused), "statement-changes");
    let taken = hand_in(world.command(&["approve", "feed/2"]), world.dir.path(), &world.officer, &ran.out).expect(0);
    assert!(taken.json()["taken"][0]["effect"].as_str().unwrap().starts_with("removes 2 of 3"));
    // What a small change takes needs no line.
    let more = [MANY, FEW].concat();
    world.import(&world.bundle("feed", 3, &[("a.hdb", &more, "clamav-hashes")])).expect(0);
    let order = ["approve", "feed/3", "--officer", "officer", "--reason", "x"];
    assert!(!world.relay(&order).expect(0).out.contains("\neffect "));
}

/// Nobody imports under a name that people would take for an officer's; an officer who imports decides on nothing of
/// it, however the name is written.
#[test]
fn an_operator_passes_for_no_officer() {
    let world = World::new();
    let bundle = world.bundle("feed", 1, ONE);
    let import = |name: &str| world.relay(&["import", "--operator", name, bundle.to_str().unwrap()]);
    for alike in ["0fficer", "\u{43e}fficer", "off icer", "officer.", "of\u{200b}ficer"] {
        let ran = import(alike).expect(2);
        assert!(ran.err.contains("the name of the operator") || ran.err.contains("looks like"), "{alike}: {}", ran.err);
    }
    assert!(!world.state().join("releases/feed").exists());
    import(" Officer ").expect(0);
    assert_eq!(statement_refused(world.decide("feed/1", "officer", &world.officer, "approve")), "statement-own-import");
}

/// What one officer has looked at is not what another has, once something else was published between the two: they are
/// no quorum together.
#[test]
fn approvals_of_different_changes_are_no_quorum() {
    let world = World::new();
    let approve = |version: u64, name: &str, key: &Key| {
        world.decide(&format!("two/{version}"), name, key, "approve").expect(0);
    };
    let lines = |count: u32| -> Vec<u8> {
        (0..count).flat_map(|n| format!("44d88612fea8a8f36de82e1278ab{n:04x}:68:T{n}\n").into_bytes()).collect()
    };
    for (version, count) in [(1, 10), (2, 1000), (3, 11)] {
        world.import(&world.bundle("two", version, &[("a.hdb", &lines(count), "clamav-hashes")])).expect(0);
        if version == 1 {
            approve(1, "officer", &world.officer);
            approve(1, "second", &world.second);
        }
    }
    approve(3, "officer", &world.officer);
    approve(2, "officer", &world.officer);
    approve(2, "second", &world.second);
    approve(3, "second", &world.second);
    assert!(world.relay(&["show", "two/3"]).out.contains("held (1 of 2 approvals)"));
    assert!(world.relay(&["show", "two/2"]).out.contains("published in two"));
}

/// Who has approved other changes than those of today, or with a key that counts no longer, approves again; and nobody
/// says the same twice.
#[test]
fn an_officer_approves_again_what_the_former_approval_does_not_cover() {
    let (world, spare) = (World::new(), Key::new());
    let approve = |version: u64, name: &str, key: &Key| world.decide(&format!("two/{version}"), name, key, "approve");
    let stands = |version: u64| world.relay(&["show", &format!("two/{version}")]).out;
    let lines = |count: u32| -> Vec<u8> {
        (0..count).flat_map(|n| format!("44d88612fea8a8f36de82e1278ab{n:04x}:68:T{n}\n").into_bytes()).collect()
    };
    for (version, count) in [(1, 10), (2, 12), (3, 14)] {
        world.import(&world.bundle("two", version, &[("a.hdb", &lines(count), "clamav-hashes")])).expect(0);
        if version < 3 {
            approve(version, "officer", &world.officer).expect(0);
        }
    }
    assert_eq!(statement_refused(approve(2, "officer", &world.officer)), "statement-repeated");
    approve(1, "second", &world.second).expect(0);
    // The second release is compared with the first now, and with nothing before.
    approve(2, "second", &world.second).expect(0);
    assert!(stands(2).contains("held (1 of 2 approvals)"), "{}", stands(2));
    approve(2, "officer", &world.officer).expect(0);
    assert!(stands(2).contains("published in two"), "{}", stands(2));
    assert_eq!(statement_refused(approve(2, "officer", &world.officer)), "statement-repeated");

    // An officer whose key is revoked approves with the key that came in its place.
    approve(3, "officer", &world.officer).expect(0);
    let mut ring = successor(&keyring(&world));
    let reason = "lost".to_owned();
    ring.revoked.push(bundle::keyring::Revoked { public: world.officer.base64(), on: now(), reason });
    ring.keys.retain(|key| key.name != "officer");
    ring.keys.push(row("officer", &spare, bundle::keyring::Role::Officer));
    world.import(&put_keyring(&world, &ring, &[&world.root])).expect(0);
    approve(3, "officer", &spare).expect(0);
    assert_eq!(statement_refused(approve(3, "officer", &spare)), "statement-repeated");
    approve(3, "second", &world.second).expect(0);
    assert!(stands(3).contains("published in two"), "{}", stands(3));
    world.fsck();
}

/// A release that did not go back when it was imported does so once another was published after it: an approval alone
/// does not let it pass.
#[test]
fn content_goes_back_by_no_order_of_imports_without_a_ticket() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    world.import(&world.bundle("feed", 2, OTHER)).expect(0);
    world.import(&world.bundle("feed", 3, ONE)).expect(0);
    world.decide("feed/2", "officer", &world.officer, "approve").expect(0);
    let args = ["approve", "feed/3", "--officer", "officer", "--reason", "x"];
    let ran = world.relay(&args).expect(3);
    assert!(ran.err.contains("[statement-ticket]"), "{}", ran.err);
    assert!(world.relay(&["show", "feed/2"]).out.contains("published in c"));
}

/// Of a denial of several releases what is closed already is passed over: it keeps nothing that is shown.
#[test]
fn a_closed_release_keeps_no_other_from_being_withdrawn() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    world.import(&world.bundle("auto", 1, &[("b.hdb", HASHES, "clamav-hashes")])).expect(0);
    let both = ["approve", "feed/1", "auto/1"];
    let args = [&both[..], &["--officer", "second", "--reason", "x", "--decision", "withdraw"]].concat();
    let text = world.relay(&args).expect(0).out;
    world.decide("feed/1", "officer", &world.officer, "withdraw").expect(0);
    let taken = hand_in(world.command(&both), world.dir.path(), &world.second, &text).expect(0).json()["taken"].clone();
    assert_eq!((taken.as_array().unwrap().len(), &taken[0]["release"]), (1, &"auto/1".into()));
    // And nothing is said in a denial but what it denies.
    world.import(&world.bundle("feed", 2, OTHER)).expect(0);
    let args = ["approve", "feed/2", "--officer", "officer", "--reason", "x", "--decision", "withdraw"];
    let text = world.relay(&args).expect(0).out.replace("decision ", "effect is safe\ndecision ");
    let ran = hand_in(world.command(&["approve", "feed/2"]), world.dir.path(), &world.officer, &text);
    assert_eq!(refused_for(&ran), "statement-malformed");
}

/// What would not count is not printed: the command says so, with the reason for which it is refused when it is handed
/// in. `decide` and `direct` compare the two.
#[test]
fn nothing_is_printed_that_would_be_refused() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    for decision in ["refuse", "approve"] {
        world.import(&world.bundle("feed", 2, OTHER)).expect(0);
        let refused = statement_refused(world.decide("feed/1", "officer", &world.officer, decision));
        assert_eq!(refused, if decision == "refuse" { "statement-published" } else { "statement-repeated" });
    }
    // Of content that does not go back there is no downgrade ticket.
    let ticket = "downgrade incident 7 until 2098-01-01T00:00:00Z";
    let text = world.statement("feed/2", "officer", ticket);
    let refused = hand_in(world.command(&["approve", "feed/2"]), world.dir.path(), &world.officer, &text);
    let args = ["approve", "feed/2", "--officer", "officer", "--reason", "x", "--decision", "downgrade"];
    let printed = world.relay(&[&args[..], &["--incident", "7", "--until", "2098-01-01T00:00:00Z"]].concat());
    same_refusal(&printed, &refused);
    assert_eq!(refused_for(&refused), "statement-ticket");
    world.decide("feed/2", "officer", &world.officer, "refuse").expect(0);
    for decision in ["approve", "refuse"] {
        let refused = statement_refused(world.decide("feed/2", "second", &world.second, decision));
        assert_eq!(refused, "statement-closed", "{decision}");
    }
    // An officer who imported, one with no right, one of other feeds, one who is denied.
    let third = world.bundle("feed", 3, &[("c.hdb", HASHES, "clamav-hashes")]);
    world.relay(&["import", "--operator", "officer", third.to_str().unwrap()]).expect(0);
    let refused = statement_refused(world.decide("feed/3", "officer", &world.officer, "approve"));
    assert_eq!(refused, "statement-own-import");
    let mut ring = successor(&keyring(&world));
    for key in ring.keys.iter_mut().filter(|key| key.name == "second") {
        key.feeds = vec!["auto".into()];
    }
    world.import(&put_keyring(&world, &ring, &[&world.root])).expect(0);
    assert_eq!(statement_refused(world.decide("feed/3", "second", &world.second, "approve")), "statement-signer");
    let deny = |order: &[&str]| statement_refused(direct(&world, "second", &world.second, order));
    assert_eq!(deny(&["deny-feed", "feed"]), "statement-signer");
    assert_eq!(deny(&["deny-key", &id(&world.custodian)]), "statement-signer");
    assert_eq!(deny(&["withdraw-key", &id(&world.custodian)]), "statement-signer");
    ring.version += 1;
    for key in ring.keys.iter_mut().filter(|key| key.name == "second") {
        (key.feeds, key.may) = (vec!["*".into()], Some(vec![bundle::Right::Deny]));
    }
    world.import(&put_keyring(&world, &ring, &[&world.root])).expect(0);
    assert_eq!(statement_refused(world.decide("feed/3", "second", &world.second, "approve")), "statement-right");
    let clock = now().to_string();
    let refused = direct(&world, "second", &world.second, &["clock", &clock]);
    assert_eq!(statement_refused(refused), "statement-right");
    world.relay(&["repair", "--officer", "second", "--reason", "x"]).expect(3);
    let ran = world.relay(&["repair", "--officer", "officer", "--reason", "x"]).expect(3);
    assert!(ran.err.contains("[repair-not-needed]"), "{}", ran.err);
    let refused = direct(&world, "officer", &world.officer, &["clock", "2026-01-01T00:00:00Z"]);
    assert_eq!(statement_refused(refused), "statement-clock");
    direct(&world, "officer", &world.officer, &["deny-feed", "two"]).expect(0);
    let again = direct(&world, "officer", &world.officer, &["deny-feed", "two"]);
    assert_eq!(statement_refused(again), "statement-repeated");
    direct(&world, "second", &world.second, &["deny-key", &id(&world.officer)]).expect(0);
    world.import(&world.bundle("auto", 1, &[("d.rules", RULES, "suricata-rules")])).expect(0);
    let refused = statement_refused(world.decide("auto/1", "officer", &world.officer, "approve"));
    assert_eq!(refused, "key-denied");
}

/// What was approved already is taken back by a withdrawal, with as many officers as that takes; one who refuses it
/// alone, or signed that while it waited, is told so, and what waits is refused all the same.
#[test]
fn what_is_published_is_withdrawn_and_not_refused() {
    let world = World::new();
    world.import(&world.bundle("two", 1, &[("a.hdb", HASHES, "clamav-hashes")])).expect(0);
    world.import(&world.bundle("feed", 1, &[("b.hdb", HASHES, "clamav-hashes")])).expect(0);
    let both = ["approve", "two/1", "feed/1"];
    let args = [&both[..], &["--officer", "second", "--reason", "x", "--decision", "refuse"]].concat();
    let text = world.relay(&args).expect(0).out;
    for (name, key) in [("officer", &world.officer), ("second", &world.second)] {
        world.decide("two/1", name, key, "approve").expect(0);
    }
    let ran = hand_in(world.command(&both), world.dir.path(), &world.second, &text).expect(3);
    assert_eq!(refused_for(&ran), "statement-published");
    assert_eq!(ran.json()["taken"][0]["release"], "feed/1");
    assert!(world.relay(&["show", "two/1"]).out.contains("published in two"));
    assert!(world.relay(&["show", "feed/1"]).out.contains("refused"));
    assert_eq!(world.log("import").last().unwrap()["reason"], "statement-published");
    let told = world.relay(&["explain", "statement-published"]).expect(0).out;
    assert!(told.contains("--decision withdraw"), "{told}");
    world.fsck();
}

/// A withdrawal of all that a key did is of what it did by now, whatever was there when the text was printed.
#[test]
fn a_withdrawal_by_key_is_of_what_came_since_it_was_printed() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    let key = id(&world.officer);
    let print = || {
        let args = ["directive", "withdraw-key", &key, "--officer", "second", "--reason", "stolen"];
        world.relay(&args).expect(0).out
    };
    let text = print();
    // Approved by the thief meanwhile, so that the list is another.
    world.publish("feed", 2, OTHER);
    let done = hand_in_directive(&world, &text, &world.second).expect(0).json();
    let taken: Vec<_> = done["taken"].as_array().unwrap().iter().map(|it| it["release"].as_str().unwrap()).collect();
    assert_eq!(taken, ["feed/1", "feed/2"]);
    assert_eq!(world.relay(&["status", "--json"]).json()["channels"][0]["releases"], serde_json::json!([]));
    world.fsck();
}

/// Nor does a release with damaged files keep the others, itself least of all: who signed and approved it is in the
/// log.
#[test]
fn a_damaged_release_keeps_nothing_from_being_withdrawn() {
    for hurt in ["release.json", "digests.json", "verdicts.json", "items"] {
        for by in ["key of the officer", "key of the custodian", "statement"] {
            let world = World::new();
            world.publish("feed", 1, &[("a.hdb", HASHES, "clamav-hashes")]);
            world.publish("auto", 1, &[("b.rules", RULES, "suricata-rules")]);
            fs::write(world.state().join("releases/feed/1").join(hurt), b"{}").unwrap();
            let key = if by.ends_with("officer") { id(&world.officer) } else { id(&world.custodian) };
            let printed = if by == "statement" {
                let args = ["approve", "feed/1", "--officer", "second", "--reason", "x", "--decision", "withdraw"];
                world.relay(&args).expect(0).out
            } else {
                world.relay(&["directive", "withdraw-key", &key, "--officer", "second", "--reason", "x"]).expect(0).out
            };
            let ran = match by {
                "statement" => world.hand_in("feed/1", &printed, &world.second.sign(printed.as_bytes(), "x")),
                _ => hand_in_directive(&world, &printed, &world.second),
            };
            assert!(ran.expect(0).json()["taken"][0]["release"].is_string(), "{hurt} {by}");
            let shown = world.relay(&["status", "--json"]).json()["channels"][0]["releases"].clone();
            let left: Vec<_> = shown.as_array().unwrap().iter().map(|it| it["feed"].as_str().unwrap()).collect();
            assert!(!left.contains(&"feed"), "{hurt} {by}: {shown}");
            assert!(by != "statement" || left == ["auto"], "{hurt}: {shown}");
        }
    }
}

/// The files of one release are damaged: another one of the channel, which is whole, is withdrawn all the same.
#[test]
fn a_damaged_neighbour_keeps_nothing_in_the_channel() {
    for hurt in ["release.json", "digests.json", "verdicts.json", "pack.json"] {
        let world = World::new();
        world.publish("feed", 1, &[("a.hdb", HASHES, "clamav-hashes")]);
        world.publish("auto", 1, &[("b.rules", RULES, "suricata-rules")]);
        let args = ["approve", "feed/1", "--officer", "second", "--reason", "x", "--decision", "withdraw"];
        let text = world.relay(&args).expect(0).out;
        fs::write(world.state().join("releases/auto/1").join(hurt), b"{}").unwrap();
        world.hand_in("feed/1", &text, &world.second.sign(text.as_bytes(), "x"));
        let shown = world.relay(&["status", "--json"]).json()["channels"][0]["releases"].clone();
        let left: Vec<_> = shown.as_array().unwrap().iter().map(|it| it["feed"].as_str().unwrap()).collect();
        assert_eq!(left, ["auto"], "{hurt}: {shown}");
    }
}

/// A command that is at work judges what is handed in meanwhile: it lies in the inbox before anybody waits.
#[test]
fn what_is_handed_in_does_not_wait_for_who_is_at_work() {
    let world = World::new();
    world.import(&world.bundle("feed", 1, ONE)).expect(0);
    let printed = world.relay(&["approve", "feed/1", "--officer", "officer", "--reason", "ok"]).expect(0).out;
    let signature = world.sign_text(&printed, &world.officer);
    let at_work = fs::File::open(world.state().join("lock")).unwrap();
    rustix::fs::flock(&at_work, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut command = world.command(&["approve", "feed/1", "--signature", signature.to_str().unwrap()]);
    let (daemon, _) = Daemon::start(&mut command, "waiting until it has finished");
    let items = || {
        fs::read_dir(world.state().join("inbox"))
            .unwrap()
            .filter(|it| it.as_ref().unwrap().path().extension().is_some_and(|end| end == "json"))
            .count()
    };
    assert_eq!(items(), 1);
    drop(at_work);
    assert_eq!(daemon.ended().0, Some(0));
    assert_eq!((items(), published(&world, "c")), (0, vec!["feed/1".to_owned()]));
}
