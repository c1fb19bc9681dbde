//! Waivers: the trust file keeps one for as long as it can do something, and the log for ever.

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use base::Digest;
use base::clock::now;

use super::support::*;

/// A bundle that is expired, and the digest of its manifest.
fn expired(world: &World, version: u64) -> (PathBuf, String) {
    let folder = world.path("stick").join(format!("expired-{version}"));
    let payload = gzip(&tar(ONE));
    let mut manifest = manifest("feed", version, ONE, &payload);
    manifest["expires"] = "2026-01-02T00:00:00Z".into();
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let signature = world.custodian.sign(&bytes, &comment("feed", version));
    write_bundle(&folder, &bytes, &payload, &[("manifest.json.minisig", signature)]);
    (folder, Digest::of(&bytes).to_string())
}

/// Number of directives in the trust file.
fn directives(world: &World) -> usize {
    let text = fs::read(world.state().join("trust/trust.json")).unwrap();
    let trust: serde_json::Value = serde_json::from_slice(&text).unwrap();
    trust["directives"].as_array().map_or(0, Vec::len)
}

#[test]
fn a_waiver_is_kept_no_longer_than_it_can_do_something() {
    let world = World::new();
    let (folder, manifest) = expired(&world, 1);
    let print = |manifest: &str, until: &str| {
        let order = ["directive", "waive", manifest, "--until", until, "--officer", "officer", "--reason", "x"];
        world.relay(&order).expect(0).out
    };
    let hand_in = |text: &str| hand_in_directive(&world, text, &world.officer);
    // One whose bundle came in.
    let text = print(&manifest, "2099-01-01T00:00:00Z");
    hand_in(&text).expect(0);
    assert_eq!(directives(&world), 1);
    assert_eq!(statement_refused(hand_in(&text)), "statement-repeated");
    world.import(&folder).expect(0);
    assert_eq!(directives(&world), 0);
    let waive = ["waive", &manifest, "--until", "2099-01-01T00:00:00Z"];
    assert_eq!(statement_refused(hand_in(&text)), "statement-repeated");
    assert_eq!(statement_refused(direct(&world, "second", &world.second, &waive)), "statement-repeated");
    world.fsck();
    // One that is over is dropped with the next directive; what counts on is kept.
    let (_, manifest) = expired(&world, 2);
    let soon = print(&manifest, &now().plus(Duration::from_secs(15)).to_string());
    hand_in(&soon).expect(0);
    hand_in(&print(&manifest, "2099-01-01T00:00:00Z")).expect(0);
    direct(&world, "officer", &world.officer, &["deny-feed", "auto"]).expect(0);
    assert_eq!(directives(&world), 3);
    sleep(Duration::from_secs(16));
    direct(&world, "second", &world.second, &["deny-feed", "two"]).expect(0);
    assert_eq!(directives(&world), 3);
    assert_eq!(statement_refused(hand_in(&soon)), "statement-expired");
    world.fsck();
    // The log tells the same.
    let before = world.relay(&["keyring", "show", "--json"]).expect(0).json()["denied"].clone();
    fs::write(world.state().join("trust/trust.json"), b"{}").unwrap();
    repair(&world, &[("officer", &world.officer), ("second", &world.second)], &[]).expect(0);
    assert_eq!(directives(&world), 3);
    assert_eq!(world.relay(&["keyring", "show", "--json"]).expect(0).json()["denied"], before);
    assert_eq!(world.log("import").iter().filter(|it| it["type"] == "directive").count(), 5);
    world.fsck();
    world.import(&expired(&world, 2).0).expect(0);
}
