//! Officers who deny officers: one alone takes what lets content pass, and never what takes it back.

use super::support::*;
use bundle::keyring::Role;

/// Feeds with one officer each; `feed/1` is shown and `feed/2` waits.
fn world() -> World {
    let world = World::new();
    world.publish("feed", 1, ONE);
    world.import(&world.bundle("feed", 2, OTHER)).expect(0);
    world
}

/// The same, with a third officer in its keyring.
fn world_of_three() -> (World, Key) {
    let (world, third) = (world(), Key::new());
    let mut ring = successor(&keyring(&world));
    ring.keys.push(row("third", &third, Role::Officer));
    world.import(&put_keyring(&world, &ring, &[&world.root])).expect(0);
    (world, third)
}

fn deny(world: &World, officer: &str, key: &Key, denied: &Key) -> Ran {
    direct(world, officer, key, &["deny-key", &id(denied)])
}

/// A rogue officer denies all others: nobody lets anything pass any more once the rogue is denied in turn, and what is
/// shown is withdrawn by each of them.
#[test]
fn one_officer_who_denies_all_others_ends_no_withdrawal() {
    let world = world();
    deny(&world, "second", &world.second, &world.officer).expect(0);
    let waive = ["waive", &base::Digest::of(b"").to_string(), "--until", "2099-01-01T00:00:00Z"];
    let approve = |name: &str, key: &Key| world.decide("feed/2", name, key, "approve");
    assert_eq!(statement_refused(approve("officer", &world.officer)), "key-denied");
    assert_eq!(statement_refused(direct(&world, "officer", &world.officer, &waive)), "key-denied");
    deny(&world, "officer", &world.officer, &world.second).expect(0);
    assert_eq!(statement_refused(approve("second", &world.second)), "key-denied");
    assert_eq!(statement_refused(direct(&world, "second", &world.second, &waive)), "key-denied");
    world.decide("feed/2", "officer", &world.officer, "refuse").expect(0);
    world.import(&world.bundle("two", 1, ONE)).expect(0);
    for (name, key) in [("officer", &world.officer), ("second", &world.second)] {
        world.decide("two/1", name, key, "withdraw").expect(0);
    }
    assert!(world.relay(&["show", "two/1"]).out.contains("withdrawn"), "both count for a withdrawal that takes two");
    assert_eq!(published(&world, "c"), ["feed/1"]);
    direct(&world, "officer", &world.officer, &["withdraw-key", &id(&world.custodian)]).expect(0);
    assert!(published(&world, "c").is_empty());
    world.fsck();
}

/// Two officers close the key of a third altogether: two persons, each with a key of their own.
#[test]
fn two_officers_close_the_key_of_another_altogether() {
    let (world, third) = world_of_three();
    deny(&world, "officer", &world.officer, &world.second).expect(0);
    // The denied officer's own word is that of one more, and never enough alone.
    deny(&world, "second", &world.second, &third).expect(0);
    deny(&world, "third", &third, &third).expect(0);
    let withdraw = |name: &str, key: &Key| world.decide("feed/1", name, key, "withdraw");
    assert_eq!(statement_refused(withdraw("third", &third)), "key-denied");
    deny(&world, "officer", &world.officer, &third).expect(0);
    withdraw("second", &world.second).expect(0);
    // What the closed key denied stays denied, and its second voice is none.
    assert_eq!(statement_refused(deny(&world, "third", &third, &world.second)), "key-denied");
    world.fsck();
}

/// One person with two keys closes nobody's key, nor does the person whose key it is.
#[test]
fn one_person_with_two_keys_closes_no_key() {
    let (world, spare) = (World::new(), Key::new());
    world.publish("feed", 1, ONE);
    world.import(&world.bundle("two", 1, ONE)).expect(0);
    let mut ring = successor(&keyring(&world));
    ring.keys.push(row("second", &spare, Role::Officer));
    world.import(&put_keyring(&world, &ring, &[&world.root])).expect(0);
    for key in [&spare, &world.second] {
        deny(&world, "second", key, &world.officer).expect(0);
        deny(&world, "second", key, &world.second).expect(0);
    }
    for (name, key) in [("officer", &world.officer), ("second", &world.second)] {
        assert_eq!(statement_refused(world.decide("two/1", name, key, "approve")), "key-denied");
    }
    world.decide("feed/1", "officer", &world.officer, "withdraw").expect(0);
    world.decide("two/1", "second", &world.second, "withdraw").expect(0);
}

/// What the relay says of an officer's key that one officer has denied, and then of one that two have.
#[test]
fn what_is_left_of_a_denied_key_is_told() {
    let uid = rustix::process::getuid().as_raw();
    let (world, third) =
        (World::with_config(&format!("{CONFIG}[[review.reader]]\nuser = \"{uid}\"\nrole = \"officer\"\n")), Key::new());
    let mut ring = successor(&keyring(&world));
    ring.keys.push(row("third", &third, Role::Officer));
    world.import(&put_keyring(&world, &ring, &[&world.root])).expect(0);
    world.publish("feed", 1, ONE);
    world.import(&world.bundle("feed", 2, OTHER)).expect(0);
    let (left, none) = (
        "its approvals do not count; it may still refuse and withdraw until a second officer denies it",
        "nothing that it signs counts",
    );
    let says = |args: &[&str]| world.relay(args).out;
    let refused = |release: &str, decision: &str| {
        let ran = world.decide(release, "officer", &world.officer, decision).json();
        ran["refused"][0]["detail"].as_str().unwrap_or_else(|| panic!("{ran}")).to_owned()
    };
    let pages = Pages::start(&world);

    let settled = deny_in_words(&world, "second", &world.second, &world.officer);
    assert!(settled.contains(left), "{settled}");
    for args in [&["keyring", "show"][..], &["keyring", "show", "--json"]] {
        assert!(says(args).contains(left), "{}", says(args));
    }
    assert!(says(&["keyring", "show"]).contains("may only refuse and withdraw"), "{}", says(&["keyring", "show"]));
    let page = pages.get("/keys");
    assert!(page.contains(left) && page.contains("may only refuse and withdraw"), "{page}");
    assert!(refused("feed/2", "approve").contains(left));
    let explained = says(&["policy", "explain", "feed"]);
    assert!(explained.contains("must approve it: second, third."), "{explained}");

    let settled = deny_in_words(&world, "third", &third, &world.officer);
    assert!(!settled.contains(left) && settled.contains(none), "{settled}");
    for shown in [says(&["keyring", "show"]), pages.get("/keys")] {
        assert!(!shown.contains("may still") && !shown.contains("may only refuse") && shown.contains(none), "{shown}");
    }
    let detail = refused("feed/1", "withdraw");
    assert!(detail.contains("by second on") && detail.contains("by third on"), "{detail}");
    // What others than officers sign counts no longer on the word of one.
    let settled = deny_in_words(&world, "second", &world.second, &world.custodian);
    assert!(!settled.contains(left) && settled.contains(none), "{settled}");
}

/// Denies a key, and gives what the relay says of it to who hands it in.
fn deny_in_words(world: &World, officer: &str, key: &Key, denied: &Key) -> String {
    let order = ["directive", "deny-key", &id(denied), "--officer", officer, "--reason", "test"];
    let printed = world.relay(&order).expect(0).out;
    let path = world.path("deny.txt");
    std::fs::write(&path, &printed).unwrap();
    std::fs::write(world.path("deny.txt.minisig"), key.sign(printed.as_bytes(), "x")).unwrap();
    let signature = world.path("deny.txt.minisig");
    world.relay(&["directive", "hand-in", signature.to_str().unwrap()]).expect(0).out
}

/// A key whose id begins with a zero has one id, written with the zero or, as minisign prints it, without.
#[test]
fn an_id_that_begins_with_zero_is_named_in_both_forms() {
    let world = World::new();
    let zero = std::iter::repeat_with(Key::new).find(|key| id(key).starts_with('0')).unwrap();
    let (whole, short) = (id(&zero), id(&zero).trim_start_matches('0').to_owned());
    let mut ring = successor(&keyring(&world));
    ring.keys.push(row("zero", &zero, Role::Officer));
    world.import(&put_keyring(&world, &ring, &[&world.root])).expect(0);
    world.import(&world.bundle("feed", 1, ONE)).expect(0);
    world.decide("feed/1", "zero", &zero, "approve").expect(0);
    let by = ["--officer", "officer", "--reason", "x"];
    for order in ["deny-key", "withdraw-key"] {
        let print = |key: &str| world.relay(&[&["directive", order, key][..], &by].concat());
        let printed = print(&short).expect(0).out;
        assert!(printed.contains(&format!("{} {whole}", order.replace('-', " "))), "{printed}");
        assert_eq!(print(&short.to_lowercase()).expect(0).out.lines().nth(2), printed.lines().nth(2));
        for wrong in ["", "x", &format!("0{whole}"), "custodian", &id(&world.officer)[..15]] {
            assert!(print(wrong).expect(3).err.contains("key id"), "{wrong}");
        }
    }
    direct(&world, "officer", &world.officer, &["withdraw-key", &short]).expect(0);
    direct(&world, "officer", &world.officer, &["deny-key", &short]).expect(0);
    assert!(world.relay(&["show", "feed/1"]).out.contains("withdrawn"));
    assert!(world.relay(&["keyring", "show"]).expect(0).out.contains(&format!("key {whole} (")));
    assert_eq!(
        statement_refused(direct(&world, "officer", &world.officer, &["deny-key", &whole])),
        "statement-repeated"
    );
    // What is signed has one form.
    let text = directive("second", &["deny-key", &whole]).replace(&whole, &short);
    let ran = hand_in_directive(&world, &text, &world.second).expect(3).json();
    assert_eq!(ran["refused"][0]["reason"], "statement-malformed");
    assert!(ran["refused"][0]["detail"].as_str().unwrap().contains("leading zeros"), "{ran}");
}

/// Ways round a denial that was said once: what the key signed or waived before, the name of another officer, and the
/// help of an officer of one feed.
#[test]
fn there_is_no_way_round_a_denial_nor_to_a_second_one() {
    let (world, third) = world_of_three();
    let mut ring = successor(&keyring(&world));
    ring.version = 3;
    ring.keys.push(row("third", &third, Role::Officer));
    let limited = Key::new();
    ring.keys.push(bundle::keyring::Key { feeds: vec!["auto".into()], ..row("limited", &limited, Role::Officer) });
    world.import(&put_keyring(&world, &ring, &[&world.root])).expect(0);
    // Signed, waived and approved before the denial.
    let approval = world.relay(&["approve", "feed/2", "--officer", "second", "--reason", "x"]).expect(0).out;
    let folder = world.path("stick/late");
    let payload = gzip(&tar(ONE));
    let mut manifest = manifest("feed", 3, ONE, &payload);
    manifest["expires"] = "2026-01-02T00:00:00Z".into();
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let signature = world.custodian.sign(&bytes, &comment("feed", 3));
    write_bundle(&folder, &bytes, &payload, &[("manifest.json.minisig", signature)]);
    let waive = ["waive", &base::Digest::of(&bytes).to_string(), "--until", "2099-01-01T00:00:00Z"];
    direct(&world, "second", &world.second, &waive).expect(0);
    world.import(&world.bundle("two", 1, ONE)).expect(0);
    world.decide("two/1", "second", &world.second, "approve").expect(0);

    deny(&world, "officer", &world.officer, &world.second).expect(0);
    let late = world.hand_in("feed/2", &approval, &world.second.sign(approval.as_bytes(), "x"));
    assert_eq!(statement_refused(late), "key-denied");
    assert_eq!(refused(world.import(&folder)), "bundle-expired");
    world.decide("two/1", "third", &third, "approve").expect(0);
    assert!(world.relay(&["show", "two/1"]).out.contains("held (1 of 2 approvals)"));

    // The rogue denies the officer under another's name, with another's help, and once more in other words.
    deny(&world, "second", &world.second, &world.officer).expect(0);
    let as_third = directive("third", &["deny-key", &id(&world.officer)]);
    assert_eq!(statement_refused(hand_in_directive(&world, &as_third, &world.second)), "statement-signer");
    let order = ["deny-key", &id(&world.officer)];
    assert_eq!(statement_refused(direct(&world, "limited", &limited, &order)), "statement-signer");
    let again = directive("second", &order).replace("reason test", "reason again");
    assert_eq!(statement_refused(hand_in_directive(&world, &again, &world.second)), "statement-repeated");
    world.decide("feed/1", "officer", &world.officer, "withdraw").expect(0);
    assert!(published(&world, "c").is_empty());
    world.fsck();
}
