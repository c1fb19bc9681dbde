//! A year of daily bundles through the real binaries: a key change every month, missed weeks, clocks that jump, old
//! bundles offered again. It ends in the right set, with a log that can be checked.

use std::fs;
use std::process::Command;
use std::time::Instant;

use base::{Digest, Timestamp};
use bundle::Role;
use serde_json::Value;

use super::support::*;

/// 2026-01-01T06:00:00Z.
const BEGIN: u64 = 1_767_247_200;
const DAY: u64 = 86_400;

fn at(day: u64) -> Timestamp {
    Timestamp::from_secs(BEGIN + day * DAY)
}

/// A command at that moment.
fn relay(world: &World, time: Timestamp, args: &[&str]) -> Ran {
    let spoken = time.to_string().replace('T', " ").replace('Z', "");
    let mut command = Command::new("faketime");
    run(command
        .env("TZ", "UTC")
        .args(["-f", &format!("@{spoken}"), RELAY])
        .args(args)
        .env("GAPRELAY_STATE", world.state()))
}

/// The bundle of that number, made on that day.
fn bundle(world: &World, key: &Key, day: u64, made: u64) -> String {
    let text = format!("{}:68:Day-{day}\n", &Digest::of(&day.to_be_bytes()).to_string()[..32]);
    let files: &[File<'_>] = &[("a.hdb", text.as_bytes(), "clamav-hashes")];
    let folder = world.path("stick").join(format!("auto-{day}"));
    let payload = gzip(&tar(files));
    let mut manifest = manifest("auto", day, files, &payload);
    (manifest["issued"], manifest["expires"]) = (at(made).to_string().into(), at(made + 30).to_string().into());
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let signature = key.sign(&bytes, &comment("auto", day));
    write_bundle(&folder, &bytes, &payload, &[("manifest.json.minisig", signature)]);
    folder.to_str().unwrap().to_owned()
}

#[test]
fn a_year_of_daily_bundles_ends_in_the_right_set() {
    if !has("faketime") {
        return;
    }
    let begun = Instant::now();
    let config = CONFIG.replacen(
        "[[feed]]\nname = \"auto\"",
        "[[feed]]\nname = \"auto\"\nbrake = 100\nwarn_after = \"2d\"\nstale_after = \"10d\"",
        1,
    );
    let world = World::with(&config, "second");
    // It was made at the beginning of that year.
    fs::remove_dir_all(world.state()).unwrap();
    let (ring_file, config_file) = (world.path("keyring.toml"), world.path("config.toml"));
    let init = ["init", "--keyring", ring_file.to_str().unwrap(), "--config", config_file.to_str().unwrap()];
    relay(&world, at(0), &init).expect(0);
    let mut ring = keyring(&world);
    let mut keys = vec![Key::new()];
    let (mut accepted, mut refusals) = (Vec::new(), Vec::new());
    let import = |time: Timestamp, path: &str| relay(&world, time, &["import", "--operator", "op", "--json", path]);
    let reason = |ran: &Ran| ran.json()["bundles"][0]["refused"]["reason"].as_str().unwrap_or_default().to_owned();
    for day in 1..=365_u64 {
        // Every month the custodian's key is replaced, and the old one revoked.
        if day % 30 == 1 {
            let next = Key::new();
            let mut following = successor(&ring);
            let old: Vec<_> = following.keys.iter().filter(|key| key.role == Role::Custodian).cloned().collect();
            for key in old {
                following.revoked.push(bundle::keyring::Revoked {
                    public: key.public,
                    on: at(day),
                    reason: "monthly".into(),
                });
            }
            following.keys.retain(|key| key.role != Role::Custodian);
            following.keys.push(row(&format!("custodian-{day}"), &next, Role::Custodian));
            put_keyring(&world, &following, &[&world.root]);
            keys.push(next);
            ring = following;
            // All versions travel each time.
            let folders: Vec<String> = (2..=ring.version)
                .map(|version| world.path("stick").join(format!("keyring-{version}")).to_str().unwrap().to_owned())
                .collect();
            let args = ["import", "--operator", "op", "--json"].into_iter().chain(folders.iter().map(String::as_str));
            let report = relay(&world, at(day), &args.collect::<Vec<_>>()).expect(0).json();
            assert_eq!(report["bundles"].as_array().unwrap().last().unwrap()["outcome"], "keyring-replaced");
        }
        let key = keys.last().unwrap();
        match day {
            // Weeks in which nobody came.
            100..=107 | 200..=206 | 300..=320 => {
                if [107, 206, 320].contains(&day) {
                    let status = relay(&world, at(day), &["status", "--json"]).expect(0).json();
                    let freshness = &status["channels"][0]["releases"][0]["freshness"];
                    assert!(
                        ["ageing", "stale", "expired"].contains(&freshness.as_str().unwrap()),
                        "{day}: {freshness}"
                    );
                }
            }
            // A clock that lost its battery, and one that runs two years ahead: refused, and right the next moment.
            50 | 150 | 250 => {
                let path = bundle(&world, key, day, day);
                let ran = import(at(day - 30), &path).expect(1);
                assert!(ran.err.contains("the clock says"), "{}", ran.err);
                let ran = import(at(day + 800), &path).expect(1);
                assert!(ran.err.contains("no officer has confirmed so long a step"), "{}", ran.err);
                import(at(day), &path).expect(0);
                accepted.push(day);
            }
            // Offered beside the good one: an old bundle, another of its number, one by a key that was revoked, and one
            // that is past its expiry.
            75 | 175 | 275 => {
                let old = bundle(&world, key, day - 5, day - 5);
                let ran = import(at(day), &old).expect(0).json();
                refusals.push(ran["bundles"][0]["outcome"].as_str().unwrap().to_owned());
                let other = bundle(&world, key, day - 5, day);
                refusals.push(reason(&import(at(day), &other).expect(3)));
                let revoked = bundle(&world, &keys[keys.len() - 2], day, day);
                refusals.push(reason(&import(at(day), &revoked).expect(3)));
                let late = bundle(&world, key, day, day - 31);
                refusals.push(reason(&import(at(day), &late).expect(3)));
                import(at(day), &bundle(&world, key, day, day)).expect(0);
                accepted.push(day);
            }
            _ => {
                import(at(day), &bundle(&world, key, day, day)).expect(0);
                accepted.push(day);
            }
        }
    }
    assert_eq!(
        refusals,
        ["already-here", "version-equivocation", "signature-unknown-key", "bundle-expired"]
            .repeat(3)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    );
    let status = relay(&world, at(366), &["status", "--json"]).expect(0).json();
    assert_eq!(status["keyring"], ring.version);
    assert_eq!(status["channels"][0]["releases"][0]["version"], *accepted.last().unwrap());
    assert_eq!(status["channels"][0]["releases"][0]["freshness"], "fresh");
    let ran = relay(&world, at(366), &["log", "verify"]).expect(0);
    relay(&world, at(366), &["fsck"]).expect(0);
    let log = world.log("import");
    let imported: Vec<&Value> = log.iter().filter(|event| event["type"] == "imported").collect();
    assert_eq!(imported.len(), accepted.len());
    assert_eq!(log.iter().filter(|event| event["type"] == "keyring-replaced").count() as u64, ring.version - 1);
    assert_eq!(log.iter().filter(|event| event["type"] == "published").count(), accepted.len());
    println!(
        "{} bundles, {} keyrings, {} entries in {:?}: {}",
        accepted.len(),
        ring.version,
        log.len(),
        begun.elapsed(),
        ran.out.trim()
    );
}

/// What agents have stays in its channel, however many newer versions wait for officers: when the trust state is made
/// again from the log, and when an import is cut.
#[test]
fn what_is_shown_outlasts_any_number_of_held_versions() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    let bring = |version: u64| {
        let text = format!("{version:032x}:68:V-{version}\n");
        world.bundle("feed", version, &[("a.hdb", text.as_bytes(), "clamav-hashes")])
    };
    (2..=259).for_each(|version| drop(bring(version)));
    world.import(&world.path("stick")).expect(0);
    let is_shown = || published(&world, "c") == ["feed/1"];
    assert!(is_shown());
    fs::write(world.state().join("trust/trust.json"), b"lost").unwrap();
    repair(&world, &[("officer", &world.officer), ("second", &world.second)], &[]).expect(0);
    world.relay(&["settle"]).expect(0);
    assert!(is_shown(), "after the repair");
    world.fsck();
    let next = bring(260);
    let (library, saved) = (shim(world.dir.path(), "cuts"), world.path("saved"));
    copy(&world.state(), &saved);
    for at in (1..).step_by(7) {
        copy(&saved, &world.state());
        let mut import = world.command(&["import", "--operator", "operator", next.to_str().unwrap()]);
        let cut = run(import.env("LD_PRELOAD", &library).env("CUT_AT", at.to_string()).env("CUT_HOW", "kill"));
        world.relay(&["settle"]).expect(0);
        assert!(is_shown(), "cut at {at}");
        if cut.code == Some(0) {
            assert!(at > 20, "only {at} steps");
            break;
        }
    }
    world.fsck();
}
