//! Power cuts and full disks: the import, the approval and the settling are cut at every durable step
//! in four ways; what is left is the old or the new state, and a plain rerun finishes the work.

use std::fs;
use std::path::Path;
use std::process::Command;

use base::clock::now;
use serde_json::{Value, json};

use super::clock::ran_ahead;
use super::support::*;

/// State, reduced to what is accepted, published and stored, by digest; without times and generations of names.
fn essence(state: &Path) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for part in ["releases", "blobs", "keyring", "trust", "inbox", "channels", "spool"] {
        for (path, what) in tree(&state.join(part)) {
            let path = path.strip_prefix(state.to_str().unwrap()).unwrap().to_owned();
            // What was spent of a budget counts what a cut run did, too.
            if path.contains(".spent") {
                continue;
            }
            // Records carry the time of the run; their presence is what counts.
            let timed = ["release.json", ".json"].iter().any(|end| path.ends_with(end))
                || path.ends_with("pointer")
                || path.contains("/statements/");
            let digest = if timed { String::new() } else { what.rsplit(' ').next().unwrap_or_default().to_owned() };
            if !path.ends_with("/statements") || !digest.is_empty() {
                found.push((path, digest));
            }
        }
    }
    found.sort();
    found
}

fn outcomes(world: &World) -> (usize, usize) {
    let log = world.log("import");
    let intent =
        |e: &&Value| matches!(e["type"].as_str().unwrap(), "medium-opened" | "import-started" | "publish-started");
    let outcome = |e: &&Value| {
        matches!(
            e["type"].as_str().unwrap(),
            "medium-read"
                | "medium-refused"
                | "imported"
                | "keyring-replaced"
                | "already-here"
                | "import-refused"
                | "import-failed"
                | "published"
                | "interrupted"
        )
    };
    (log.iter().filter(intent).count(), log.iter().filter(outcome).count())
}

/// Cuts `args` at every step in each way, on a fresh copy of the state each time, and reruns it.
fn cut_everywhere(world: &World, args: &[&str]) {
    let library = shim(world.dir.path(), "cuts");
    let saved = world.path("saved");
    copy(&world.state(), &saved);
    let mut command = world.command(args);
    let ran = run(command.env("LD_PRELOAD", &library).env("CUT_COUNT", "1")).expect(0);
    let steps: usize = ran.err.lines().find_map(|l| l.strip_prefix("durable steps: ")?.parse().ok()).unwrap();
    assert!(steps > 10, "only {steps} steps: {}", ran.err);
    let done = essence(&world.state());
    for how in ["kill", "after", "full", "error"] {
        for at in 1..=steps {
            copy(&saved, &world.state());
            let mut command = world.command(args);
            let cut = run(command.env("LD_PRELOAD", &library).env("CUT_AT", at.to_string()).env("CUT_HOW", how));
            let place = format!("{how} at {at} of {steps}: {} {}", cut.err, cut.out);
            assert_ne!(cut.code, None, "{place}");
            assert!(!cut.err.contains("panicked"), "{place}");
            // What agents see is one whole set, whatever was cut.
            let looked = world.relay(&["log", "verify"]);
            assert_eq!(looked.code, Some(0), "{place}\n{}", looked.err);
            // The inbox holds what an approval handed in; a settle finishes it where the rerun
            // finds it taken already.
            let again = world.relay(args);
            assert!(matches!(again.code, Some(0 | 3)), "{place}\nthen: {} {}", again.err, again.out);
            world.relay(&["settle"]).expect(0);
            assert_eq!(essence(&world.state()), done, "{place}");
            let (intents, outcomes) = outcomes(world);
            assert_eq!(intents, outcomes, "{place}\n{:#?}", world.log("import"));
            world.fsck();
        }
    }
    println!("{steps} steps, each cut in four ways");
}

#[test]
fn an_import_cut_anywhere_is_the_old_or_the_new_state() {
    let world = World::new();
    let large: Vec<u8> = digests(5000);
    let files: &[File<'_>] = &[("a.hdb", HASHES, "clamav-hashes"), ("l.txt", &large, "sha256-list")];
    let folder = world.bundle("auto", 1, files);
    cut_everywhere(&world, &["import", "--operator", "operator", folder.to_str().unwrap()]);
}

#[test]
fn a_new_keyring_cut_anywhere_is_the_old_or_the_new_one() {
    let world = World::new();
    let next = successor(&keyring(&world));
    put_keyring(&world, &next, &[&world.root]);
    let stick = world.path("stick");
    cut_everywhere(&world, &["import", "--operator", "operator", stick.to_str().unwrap()]);
    assert_eq!(world.relay(&["status", "--json"]).expect(0).json()["keyring"], 2);
}

/// A disk that loses the trust state in the moment of the cut: after the repair every intent has an outcome all the
/// same.
#[test]
fn a_new_keyring_cut_anywhere_and_repaired_leaves_nothing_open() {
    let world = World::new();
    let next = successor(&keyring(&world));
    put_keyring(&world, &next, &[&world.root]);
    let stick = world.path("stick");
    let args = ["import", "--operator", "operator", stick.to_str().unwrap()];
    let (library, saved) = (shim(world.dir.path(), "cuts"), world.path("saved"));
    copy(&world.state(), &saved);
    for at in 1.. {
        copy(&saved, &world.state());
        let mut command = world.command(&args);
        let cut = run(command.env("LD_PRELOAD", &library).env("CUT_AT", at.to_string()).env("CUT_HOW", "kill"));
        if cut.code == Some(0) {
            assert!(at > 10, "only {at} steps");
            break;
        }
        fs::write(world.state().join("trust/trust.json"), b"lost").unwrap();
        repair(&world, &[("officer", &world.officer), ("second", &world.second)], &[]).expect(0);
        world.relay(&args).expect(0);
        let (intents, outcomes) = outcomes(&world);
        assert_eq!(intents, outcomes, "at {at}\n{:#?}", world.log("import"));
        world.fsck();
    }
}

#[test]
fn a_directive_cut_anywhere_counts_once_or_not_yet() {
    let world = World::new();
    let printed =
        world.relay(&["directive", "deny-origin", "RU", "--officer", "officer", "--reason", "law"]).expect(0).out;
    let signature = world.sign_text(&printed, &world.officer);
    cut_everywhere(&world, &["directive", "hand-in", signature.to_str().unwrap()]);
    assert_eq!(world.log("import").iter().filter(|event| event["type"] == "directive").count(), 1);
}

/// A directive that a cut left in the log alone counts, whatever is logged behind it before it is judged again.
#[test]
fn a_directive_cut_before_an_import_that_fails_leaves_nothing_to_repair() {
    let world = World::new();
    let printed =
        world.relay(&["directive", "deny-origin", "RU", "--officer", "officer", "--reason", "law"]).expect(0).out;
    let signature = world.sign_text(&printed, &world.officer);
    let (library, saved) = (shim(world.dir.path(), "cuts"), world.path("saved"));
    let stick = world.bundle("auto", 1, ONE);
    copy(&world.state(), &saved);
    let cut = |args: &[&str], at: u32| {
        let mut command = world.command(args);
        run(command.env("LD_PRELOAD", &library).env("CUT_AT", at.to_string()).env("CUT_HOW", "kill"))
    };
    let hand_in = ["directive", "hand-in", signature.to_str().unwrap()];
    let import = ["import", "--operator", "operator", stick.to_str().unwrap()];
    let torn = world.path("torn");
    let mut tried = 0;
    for at in 1.. {
        copy(&saved, &world.state());
        if cut(&hand_in, at).code == Some(0) {
            break;
        }
        if world.log("import").last().unwrap()["type"] != "directive" {
            continue;
        }
        copy(&world.state(), &torn);
        for step in (1..).step_by(5) {
            copy(&torn, &world.state());
            if cut(&import, step).code == Some(0) {
                break;
            }
            tried += 1;
            world.relay(&["settle"]);
            world.relay(&["settle"]).expect(0);
            assert!(world.relay(&["status", "--json"]).expect(0).out.contains("\"faults\": []"));
        }
    }
    assert!(tried > 5, "only {tried} cuts");
    world.fsck();
}

/// A withdrawal of all that a key brought in, cut anywhere, is finished by the next run: all of it, once each.
#[test]
fn a_withdrawal_by_key_cut_anywhere_is_finished() {
    let world = World::new();
    for version in 1..=3 {
        world.publish("feed", version, ONE);
    }
    let key = id(&world.custodian);
    let args = ["directive", "withdraw-key", &key, "--officer", "officer", "--reason", "stolen"];
    let printed = world.relay(&args).expect(0).out;
    let signature = world.sign_text(&printed, &world.officer);
    cut_everywhere(&world, &["directive", "hand-in", signature.to_str().unwrap()]);
    let log = world.log("import");
    assert_eq!(log.iter().filter(|event| event["decision"] == "withdraw").count(), 3, "{log:#?}");
    for version in 1..=3 {
        let shown = world.relay(&["show", &format!("feed/{version}"), "--json"]).expect(0).json();
        assert_eq!(shown["standing"]["standing"], "withdrawn", "{version}");
    }
}

/// The word of the second officer turns the clock back or not yet, and a former copy of the trust state is found.
#[test]
fn a_clock_turned_back_cut_anywhere_is_turned_back_once_or_not_yet() {
    if !has("faketime") {
        return;
    }
    let world = ran_ahead();
    let time = now().to_string();
    direct(&world, "officer", &world.officer, &["clock-back", &time]).expect(0);
    let order = ["directive", "clock-back", &time, "--officer", "second", "--reason", "battery"];
    let printed = world.relay(&order).expect(0).out;
    let signature = world.sign_text(&printed, &world.second);
    let trust = world.state().join("trust/trust.json");
    let before = fs::read(&trust).unwrap();
    cut_everywhere(&world, &["directive", "hand-in", signature.to_str().unwrap()]);
    assert_eq!(world.log("import").iter().filter(|event| !event["clock"].is_null()).count(), 1);
    let third = world.bundle("feed", 3, ONE);
    world.import(&third).expect(0);
    fs::write(&trust, before).unwrap();
    assert!(world.relay(&["settle"]).expect(4).err.contains("an older copy was put back"));
}

#[test]
fn an_approval_cut_anywhere_is_the_old_or_the_new_state() {
    let world = World::new();
    world.import(&world.bundle("feed", 1, ONE)).expect(0);
    let printed = world.relay(&["approve", "feed/1", "--officer", "officer", "--reason", "ok"]).expect(0).out;
    let signature = world.sign_text(&printed, &world.officer);
    cut_everywhere(&world, &["approve", "feed/1", "--signature", signature.to_str().unwrap()]);
}

#[test]
fn a_statement_through_the_slot_cut_anywhere_is_the_old_or_the_new_state() {
    let world = World::new();
    world.import(&world.bundle("feed", 1, ONE)).expect(0);
    let text = world.relay(&["approve", "feed/1", "--officer", "officer", "--reason", "ok"]).expect(0).out;
    let signature = world.officer.sign(text.as_bytes(), "timestamp:1");
    let line = json!({ "at": "2026-01-01T00:00:00Z", "text": text.as_bytes(), "signature": signature.as_bytes() });
    fs::write(world.state().join("inbox/slot"), format!("{line}\n")).unwrap();
    cut_everywhere(&world, &["settle"]);
    assert_eq!(fs::metadata(world.state().join("inbox/slot")).unwrap().len(), 0);
    assert!(world.relay(&["status"]).out.contains("feed/1"));
}

#[test]
fn a_cosigned_head_cut_anywhere_is_the_old_or_the_new_state() {
    let desk = tempfile::tempdir().unwrap();
    let dir = desk.path().join("desk");
    let witness = |args: &[&str]| {
        let mut command = Command::new(RELAY);
        run(command.args(["log", "witness", args[0], dir.to_str().unwrap()]).args(&args[1..])).expect(0).out
    };
    let vkey = witness(&["init", "--name", "desk.example/witness"]);
    let policy = format!("\n[witness]\npolicy = \"\"\"\nwitness desk {vkey}quorum desk\n\"\"\"\n");
    let world = World::with_config(&format!("{CONFIG}{policy}"));
    witness(&["know", "--log-key", world.state().join("log/import/vkey").to_str().unwrap()]);
    let (asked, signed) = (world.path("asked"), world.path("signed"));
    fs::write(&asked, world.relay(&["log", "witness", "request"]).expect(0).out).unwrap();
    fs::write(&signed, witness(&["sign", asked.to_str().unwrap()])).unwrap();
    cut_everywhere(&world, &["log", "witness", "hand-in", signed.to_str().unwrap()]);
    assert!(world.relay(&["status"]).expect(0).out.contains("witnessed: desk"));
}

/// Hashes made anew: cut anywhere, an entry, the head and what was right are as before, and the next run finishes.
#[test]
fn hashes_made_anew_cut_anywhere_are_finished_by_the_next_run() {
    let world = World::new();
    world.relay(&["import", world.bundle("auto", 1, ONE).to_str().unwrap(), "--operator", "o"]).expect(0);
    let log = world.state().join("log/import");
    let right = tree(&log).into_keys().collect::<Vec<_>>();
    fs::remove_dir_all(log.join("tile/0")).unwrap();
    fs::write(log.join("tile/0"), "a file in the place of a folder").unwrap();
    fs::create_dir_all(log.join("tile/7/x001")).unwrap();
    let entries = log.join(format!("tile/entries/000.p/{}", world.log("import").len()));
    let kept = [fs::read(&entries).unwrap(), fs::read(log.join("checkpoint")).unwrap()];
    let (library, saved) = (shim(world.dir.path(), "cuts"), world.path("saved"));
    copy(&world.state(), &saved);
    for how in ["kill", "after", "full", "error"] {
        for at in 1.. {
            copy(&saved, &world.state());
            let mut command = world.command(&["log", "rebuild"]);
            let cut = run(command.env("LD_PRELOAD", &library).env("CUT_AT", at.to_string()).env("CUT_HOW", how));
            // A step that failed may be one that nothing rests on.
            if cut.code == Some(0) && !cut.err.contains("a durable step failed") {
                assert!(at > 3, "only {at} steps");
                break;
            }
            assert!(!cut.err.contains("panicked"), "{how} at {at}: {}", cut.err);
            world.relay(&["log", "rebuild"]).expect(0);
            world.relay(&["log", "verify"]).expect(0);
            assert_eq!(tree(&log).into_keys().collect::<Vec<_>>(), right, "{how} at {at}");
            assert_eq!([fs::read(&entries).unwrap(), fs::read(log.join("checkpoint")).unwrap()], kept);
        }
    }
}
