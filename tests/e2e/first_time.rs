//! What agents get for the first time: nothing that is denied, nothing that a withdrawal uncovers, nothing that is
//! compared with what nobody gets.

use std::fs;

use bundle::keyring::Revoked;
use serde_json::{Value, json};

use super::support::*;

/// Standing of a release.
fn standing(world: &World, release: &str) -> Value {
    world.relay(&["show", release, "--json"]).expect(0).json()["standing"].clone()
}

/// A stick with these versions of the feed that publishes without an officer, each with more content.
fn bring_several(world: &World, versions: std::ops::RangeInclusive<u64>) {
    let stick = world.path(&format!("several-{}", versions.start()));
    for version in versions {
        let line = |version| format!("44d88612fea8a8f36de82e1278ab{version:04x}:68:X{version}\n");
        let own: String = (1..=version).map(line).collect();
        let files: &[File<'_>] = &[("a.hdb", HASHES, "clamav-hashes"), ("b.hdb", own.as_bytes(), "clamav-hashes")];
        good(&stick.join(version.to_string()), &world.custodian, "auto", version, files);
    }
    world.import(&stick).expect(0);
}

/// A stick brings several clean releases, of which only the newest is shown. When that is withdrawn, agents get what
/// they had before, and none of those between.
#[test]
fn a_withdrawal_shows_nothing_for_the_first_time() {
    let world = World::new();
    bring_several(&world, 1..=1);
    bring_several(&world, 2..=5);
    assert_eq!(published(&world, "c"), ["auto/5"]);
    world.decide("auto/5", "officer", &world.officer, "withdraw").expect(0);
    assert_eq!(published(&world, "c"), ["auto/1"]);
    assert_eq!(standing(&world, "auto/4"), json!({ "standing": "overtaken", "by": 5 }));
    let late = world.decide("auto/4", "officer", &world.officer, "approve");
    assert_eq!(statement_refused(late), "statement-closed");
    world.decide("auto/1", "officer", &world.officer, "withdraw").expect(0);
    assert!(published(&world, "c").is_empty());
    // A new version brings content back.
    bring_several(&world, 6..=6);
    assert_eq!(published(&world, "c"), ["auto/6"]);
    world.fsck();
}

/// Nor what is denied by then, or signed by a key that was revoked, although agents had it once.
#[test]
fn a_withdrawal_goes_back_to_nothing_that_is_denied() {
    let world = World::new();
    bring_several(&world, 1..=1);
    bring_several(&world, 2..=2);
    direct(&world, "second", &world.second, &["deny-feed", "auto"]).expect(0);
    // What is shown stays: that takes a withdrawal.
    assert_eq!(published(&world, "c"), ["auto/2"]);
    world.decide("auto/2", "officer", &world.officer, "withdraw").expect(0);
    assert!(published(&world, "c").is_empty());

    let world = World::new();
    bring_several(&world, 1..=1);
    bring_several(&world, 2..=2);
    let mut ring = successor(&keyring(&world));
    let revoked = Revoked { public: world.custodian.base64(), on: base::clock::now(), reason: "stolen".into() };
    ring.revoked.push(revoked);
    world.import(&put_keyring(&world, &ring, &[&world.root])).expect(0);
    assert_eq!(published(&world, "c"), ["auto/2"]);
    world.decide("auto/2", "officer", &world.officer, "withdraw").expect(0);
    assert!(published(&world, "c").is_empty());
    world.fsck();
}

/// A release waits for officers when its feed, its origin or its key is denied: it is shown no more, and it says so.
#[test]
fn what_is_denied_while_it_waits_is_not_published() {
    for (order, what, reason) in [
        ("deny-feed", Some("feed"), "feed-denied"),
        ("deny-origin", Some("CH"), "origin-denied"),
        ("deny-key", None, "key-denied"),
    ] {
        let world = World::new();
        world.import(&world.bundle("feed", 1, ONE)).expect(0);
        let (custodian, feed) = (id(&world.custodian), "feed/1");
        direct(&world, "second", &world.second, &[order, what.unwrap_or(&custodian)]).expect(0);
        assert_eq!(standing(&world, feed)["standing"], "denied");
        let told = world.relay(&["show", feed]).expect(0).out;
        assert!(told.contains("was denied here by"), "{told}");
        assert_eq!(statement_refused(world.decide(feed, "officer", &world.officer, "approve")), reason);
        assert!(published(&world, "c").is_empty(), "{order}");
        // It can still be closed.
        world.decide(feed, "officer", &world.officer, "refuse").expect(0);
    }
}

/// The denial goes in while an import reads the medium: it counts for all bundles of that import.
#[test]
fn what_is_denied_during_its_import_is_not_published() {
    let world = World::new();
    let printed =
        world.relay(&["directive", "deny-feed", "auto", "--officer", "officer", "--reason", "bad"]).expect(0).out;
    let signature = world.officer.sign(printed.as_bytes(), "x");
    let line = json!({ "at": "2026-01-01T00:00:00Z", "text": printed.as_bytes(), "signature": signature.as_bytes() });
    fs::write(world.state().join("inbox/slot"), format!("{line}\n")).unwrap();
    let stick = world.path("several");
    for version in 1..=2 {
        let files: &[File<'_>] = &[("own.hdb", HASHES, "clamav-hashes")];
        good(&stick.join(version.to_string()), &world.custodian, "auto", version, files);
    }
    let ran = world.import(&stick).expect(3).json();
    for bundle in [0, 1] {
        assert_eq!(ran["bundles"][bundle]["refused"]["reason"], "feed-denied", "{ran}");
    }
    assert!(published(&world, "c").is_empty());
}

/// An approval does not complete a quorum once its key is denied; what it let pass before stays.
#[test]
fn an_approval_by_a_denied_key_counts_for_nothing_new() {
    let world = World::new();
    world.import(&world.bundle("two", 1, ONE)).expect(0);
    world.decide("two/1", "officer", &world.officer, "approve").expect(0);
    world.publish("feed", 1, ONE);
    direct(&world, "second", &world.second, &["deny-key", &id(&world.officer)]).expect(0);
    world.decide("two/1", "second", &world.second, "approve").expect(0);
    assert_eq!(standing(&world, "two/1"), json!({ "standing": "held", "approvals": 1, "needed": 2 }));
    assert!(published(&world, "two").is_empty());
    assert_eq!(published(&world, "c"), ["feed/1"]);
}

/// A channel that the config has no more serves nobody: what it showed is not what a release is compared with.
#[test]
fn a_channel_of_former_times_blinds_no_brake() {
    let world = World::new();
    let line = |i: u32| format!("44d88612fea8a8f36de82e1278ab{i:04x}:68:X{i}\n");
    let bring = |version: u64, lines: &mut dyn Iterator<Item = u32>| {
        let text: String = lines.map(line).collect();
        let files: &[File<'_>] = &[("a.hdb", text.as_bytes(), "clamav-hashes")];
        world.import(&world.bundle("auto", version, files)).expect(0).json()["bundles"][0]["standing"]["standing"]
            .clone()
    };
    assert_eq!(bring(1, &mut (0..2)), "approved");
    let path = world.state().join("config.toml");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, config.replace("name = \"c\"", "name = \"new\"")).unwrap();
    world.relay(&["settle"]).expect(0);
    assert_eq!(bring(2, &mut (0..1000)), "approved");
    assert_eq!(bring(3, &mut (0..2).chain([6000])), "held");
    let printed = world.relay(&["approve", "auto/3", "--officer", "officer", "--reason", "x"]).expect(0).out;
    assert!(printed.contains("effect removes 998 of 1000 rules"), "{printed}");
}

/// A file that moves to another path is lost for whoever reads the former one.
#[test]
fn lost_files_are_a_loss() {
    let world = World::new();
    let bring = |version: u64, files: &[File<'_>]| {
        world.import(&world.bundle("auto", version, files)).expect(0).json()["bundles"][0]["standing"]["standing"]
            .clone()
    };
    assert_eq!(bring(1, ONE), "approved");
    assert_eq!(bring(2, &[("moved/a.hdb", HASHES, "clamav-hashes")]), "held");
    assert_eq!(published(&world, "c"), ["auto/1"]);
    let printed = world.relay(&["approve", "auto/2", "--officer", "officer", "--reason", "x"]).expect(0).out;
    assert!(printed.contains("effect removes 1 of 1 files; the brake of the feed is 10 %"), "{printed}");
    let shown = world.relay(&["show", "auto/2", "--diff", "--json"]).expect(0).json();
    assert_eq!(shown["items"]["files"], json!({ "of": 1, "count": 1, "paths": ["a.hdb"] }), "{shown}");
    world.decide("auto/2", "officer", &world.officer, "approve").expect(0);
    assert_eq!(published(&world, "c"), ["auto/2"]);
}
