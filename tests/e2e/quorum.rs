//! Officers are counted as persons: a person with two keys is one, in whatever they sign.

use std::fs;

use super::support::*;

/// A relay whose officer has two keys.
fn one_person() -> World {
    World::with(CONFIG, "officer")
}

#[test]
fn one_person_with_two_keys_is_no_quorum() {
    let world = one_person();
    world.import(&world.bundle("two", 1, ONE)).expect(0);
    world.decide("two/1", "officer", &world.officer, "approve").expect(0);
    let again = world.decide("two/1", "officer", &world.second, "approve");
    assert_eq!(statement_refused(again), "statement-repeated");
    let shown = world.relay(&["show", "two/1", "--json"]).expect(0).json();
    assert_eq!(shown["standing"], serde_json::json!({ "standing": "held", "approvals": 1, "needed": 2 }), "{shown}");
}

#[test]
fn one_person_with_two_keys_waives_alone_nothing_that_takes_two() {
    let world = one_person();
    let folder = world.path("stick/expired");
    let payload = gzip(&tar(ONE));
    let mut manifest = manifest("two", 1, ONE, &payload);
    manifest["expires"] = "2026-01-02T00:00:00Z".into();
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let signature = world.custodian.sign(&bytes, &comment("two", 1));
    write_bundle(&folder, &bytes, &payload, &[("manifest.json.minisig", signature)]);
    let digest = base::Digest::of(&bytes).to_string();
    let waive = ["waive", &digest, "--until", "2099-01-01T00:00:00Z"];
    direct(&world, "officer", &world.officer, &waive).expect(0);
    direct(&world, "officer", &world.second, &waive).expect(0);
    assert_eq!(refused(world.import(&folder)), "bundle-expired");
}

#[test]
fn one_person_with_two_keys_turns_no_clock_back_and_repairs_nothing() {
    let world = one_person();
    if !has("faketime") {
        skipped("another time needs faketime");
        return;
    }
    world.import(&world.bundle("auto", 1, ONE)).expect(0);
    let served = world.path("trust");
    copy(&world.state().join("trust"), &served);
    at(&world, "2026-12-20 00:00:00", &["settle"]);
    world.import(&world.bundle("auto", 2, OTHER)).expect(0);
    // The trust file is put back: two officers have to say so.
    fs::copy(served.join("trust.json"), world.state().join("trust/trust.json")).unwrap();
    let ran = repair(&world, &[("officer", &world.officer)], &[]).expect(3);
    assert!(ran.err.contains("[repair-officers]"), "{}", ran.err);
    // Both signatures of one person, under two file names.
    let printed = world.relay(&["repair", "--officer", "officer", "--reason", "disk"]).expect(0).out;
    let mut args = vec!["repair".to_owned()];
    for (name, key) in [("one", &world.officer), ("two", &world.second)] {
        let path = world.path(&format!("{name}.txt"));
        fs::write(&path, &printed).unwrap();
        let signature = world.path(&format!("{name}.txt.minisig"));
        fs::write(&signature, key.sign(printed.as_bytes(), "x")).unwrap();
        args.extend(["--signature".into(), signature.to_str().unwrap().to_owned()]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let ran = world.relay(&args).expect(3);
    assert!(ran.err.contains("[repair-officers]"), "{}", ran.err);
}

/// An officer of some feeds denies nothing that reaches beyond them.
#[test]
fn an_officer_of_one_feed_denies_nothing_of_others() {
    let world = World::new();
    let mut ring = successor(&keyring(&world));
    ring.keys.iter_mut().filter(|key| key.name == "second").for_each(|key| key.feeds = vec!["auto".into()]);
    world.import(&put_keyring(&world, &ring, &[&world.root])).expect(0);
    let custodian = id(&world.custodian);
    let deny = |order: &[&str]| direct(&world, "second", &world.second, order);
    assert_eq!(statement_refused(deny(&["deny-key", &custodian])), "statement-signer");
    assert_eq!(statement_refused(deny(&["deny-origin", "CH"])), "statement-signer");
    assert_eq!(statement_refused(deny(&["deny-feed", "feed"])), "statement-signer");
    deny(&["deny-feed", "auto"]).expect(0);
    direct(&world, "officer", &world.officer, &["deny-key", &custodian]).expect(0);
}
