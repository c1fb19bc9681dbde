//! Evidence that outsiders keep of the logs: receipts, proofs, bounded receipts; against logs that were cut, forked and
//! restored, and by other people's programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::support::*;

/// A relay with two imports; the log has grown between what is kept and what it is now.
fn grown_world() -> (World, PathBuf, PathBuf, String) {
    let world = World::new();
    let first = world.relay(&["import", world.bundle("auto", 1, ONE).to_str().unwrap(), "--operator", "o", "--json"]);
    let first = first.expect(0).json();
    let (paper, signed) = (world.dir.path().join("paper.txt"), world.dir.path().join("kept"));
    fs::write(&paper, first["receipt"].as_str().unwrap()).unwrap();
    fs::copy(world.state().join("log/import/checkpoint"), &signed).unwrap();
    let vkey = fs::read_to_string(world.state().join("log/import/vkey")).unwrap();
    world.relay(&["import", world.bundle("auto", 2, ONE).to_str().unwrap(), "--operator", "o"]).expect(0);
    (world, paper, signed, vkey.trim().to_owned())
}

fn against(world: &World, kept: &Path, status: i32) -> (String, String) {
    let ran = world.relay(&["log", "verify", "--against", kept.to_str().unwrap(), "--json"]).expect(status).json();
    let told: Vec<&Value> =
        ran.as_array().unwrap().iter().flat_map(|log| log["against"].as_array().into_iter().flatten()).collect();
    let words = world.relay(&["log", "verify", "--against", kept.to_str().unwrap()]).expect(status);
    (told.first().map_or(String::new(), |told| told["verdict"].as_str().unwrap().to_owned()), words.out + &words.err)
}

#[test]
fn a_kept_head_tells_a_grown_log_from_one_that_was_cut_forked_or_restored() {
    let (world, paper, signed, _) = grown_world();
    let now = world.relay(&["log", "receipt"]).expect(0).out;
    assert_eq!(now.lines().count(), 6, "{now}");
    let newest = world.dir.path().join("newest.txt");
    fs::write(&newest, &now).unwrap();
    for kept in [&paper, &signed] {
        let (verdict, words) = against(&world, kept, 0);
        assert_eq!(verdict, "grown", "{words}");
        assert!(words.contains("has grown since; its first"), "{words}");
    }
    assert_eq!(against(&world, &newest, 0).0, "same");

    // A slip of the pen is not a fork.
    let slip = world.dir.path().join("slip.txt");
    let text = fs::read_to_string(&paper).unwrap();
    let at = text.find("root  ").unwrap() + 6;
    let mut wrong = text.clone().into_bytes();
    wrong[at] = if wrong[at] == b'0' { b'1' } else { b'0' };
    fs::write(&slip, wrong).unwrap();
    let ran = world.relay(&["log", "verify", "--against", slip.to_str().unwrap()]).expect(2);
    assert!(ran.err.contains("check word of the receipt does not match"), "{}", ran.err);

    // An old copy, restored: whole in itself.
    let state = world.state();
    let (log, copy) = (state.join("log"), world.dir.path().join("backup"));
    let (trust, copied) = (state.join("trust/trust.json"), world.dir.path().join("trust.json"));
    let copy_to = |from: &Path, to: &Path| run(Command::new("cp").arg("-a").arg(from).arg(to)).expect(0);
    copy_to(&log, &copy);
    copy_to(&trust, &copied);
    let bundle = world.bundle("auto", 3, ONE);
    world.relay(&["import", bundle.to_str().unwrap(), "--operator", "o"]).expect(0);
    let after = world.dir.path().join("after.txt");
    fs::write(&after, world.relay(&["log", "receipt"]).expect(0).out).unwrap();
    copy_to(&log, &world.dir.path().join("true"));
    fs::remove_dir_all(&log).unwrap();
    copy_to(&copy, &log);
    // Without the trust state of then the relay itself would find out.
    copy_to(&copied, &trust);
    world.relay(&["log", "verify"]).expect(0);
    let (verdict, words) = against(&world, &after, 4);
    assert_eq!(verdict, "shorter", "{words}");
    assert!(words.contains("an old copy was restored"), "{words}");
    // And grown again, past the point: another history, signed by the right key.
    for version in 4..7 {
        let bundle = world.bundle("auto", version, ONE);
        world.relay(&["import", bundle.to_str().unwrap(), "--operator", "other"]).expect(0);
    }
    world.relay(&["log", "verify"]).expect(0);
    let (verdict, words) = against(&world, &after, 4);
    assert_eq!(verdict, "forked", "{words}");
    assert_eq!(against(&world, &paper, 0).0, "grown");

    // A key from elsewhere counts; one that fits no log here is not passed over.
    let key = |name: &str| fs::read_to_string(name).unwrap().trim().to_owned();
    let stranger = World::new();
    let wrong = key(stranger.state().join("log/import/vkey").to_str().unwrap());
    assert!(world.relay(&["log", "verify", "--log-key", &wrong]).expect(4).err.contains("not signed by the log's key"));
    let witness = key(world.state().join("log/access/vkey").to_str().unwrap());
    let ran = world.relay(&["log", "verify", "--log", "import", "--log-key", &witness]).expect(2);
    assert!(ran.err.contains("--log chooses the other log"), "{}", ran.err);
    // The head of another log.
    let other = World::new();
    fs::write(&slip, other.relay(&["log", "receipt"]).expect(0).out.replace("import/1", "import/2")).unwrap();
    world.relay(&["log", "verify", "--against", slip.to_str().unwrap()]).expect(2);
    fs::copy(other.state().join("log/import/checkpoint"), &slip).unwrap();
    let ran = world.relay(&["log", "verify", "--against", slip.to_str().unwrap()]).expect(2);
    assert!(ran.err.contains("not signed by the key of the log"), "{}", ran.err);
}

#[test]
fn receipts_are_checked_without_the_log() {
    let (world, _, signed, vkey) = grown_world();
    let receipt = world.dir.path().join("receipt");
    let text = world.relay(&["log", "receipt", "auto/1"]).expect(0).out;
    fs::write(&receipt, &text).unwrap();
    let verify = |file: &Path, key: &str| {
        run(Command::new(RELAY).args(["log", "verify", "--receipt"]).arg(file).args(["--log-key", key, "--json"]))
    };
    let proven = verify(&receipt, &vkey).expect(0).json();
    assert_eq!(proven["entry"]["event"]["type"], "imported");
    assert_eq!((&proven["entry"]["event"]["version"], &proven["proven"]), (&1.into(), &true.into()));
    // The key may be given as its file; the entry and the words of another receipt are refused.
    verify(&receipt, world.state().join("log/import/vkey").to_str().unwrap()).expect(0);
    let other = fs::read_to_string(World::new().state().join("log/import/vkey")).unwrap();
    assert_eq!(verify(&receipt, other.trim()).expect(4).json()["proven"], false);
    let index = proven["number"].as_u64().unwrap();
    fs::write(&receipt, text.replace(&format!("\nindex {index}\n"), &format!("\nindex {}\n", index - 1))).unwrap();
    verify(&receipt, &vkey).expect(4);
    fs::write(&receipt, text.replace("tlog-proof@v1", "tlog-proof@v2")).unwrap();
    assert!(verify(&receipt, &vkey).expect(2).err.contains("not the receipt of an import"));
    world.relay(&["log", "receipt", "auto/9"]).expect(3);
    world.relay(&["log", "prove", "9999"]).expect(2);

    // Any entry, of any log; and every one of this log's.
    let size = world.log("import").len();
    for entry in 0..size {
        fs::write(&receipt, world.relay(&["log", "prove", &entry.to_string()]).expect(0).out).unwrap();
        verify(&receipt, &vkey).expect(0);
    }

    // Two kept checkpoints and what proves that one grew from the other.
    let old = fs::read_to_string(&signed).unwrap().lines().nth(1).unwrap().to_owned();
    let proof = world.dir.path().join("proof");
    fs::write(&proof, world.relay(&["log", "prove", "--grown-from", &old]).expect(0).out).unwrap();
    let grown = |against: &Path| {
        let mut command = Command::new(RELAY);
        command.args(["log", "verify", "--grown"]).arg(&proof).arg("--against").arg(against).args(["--log-key", &vkey]);
        run(&mut command)
    };
    assert!(grown(&signed).expect(0).out.contains("has grown"));
    let text = fs::read_to_string(&proof).unwrap();
    let line = text.lines().nth(1).unwrap();
    fs::write(&proof, text.replace(line, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")).unwrap();
    assert!(grown(&signed).expect(4).err.contains("FORKED"));
    fs::write(&proof, &text).unwrap();

    // The same by programs that are not ours.
    fs::write(&receipt, world.relay(&["log", "receipt", "auto/1"]).expect(0).out).unwrap();
    let Some(mut command) = go(world.dir.path()) else { return };
    let ran = run(command.arg("receipt").arg(&receipt).arg(&vkey)).expect(0);
    assert!(ran.out.contains(r#""feed":"auto","version":1"#), "{}", ran.out);
    let ran = run(go(world.dir.path()).unwrap().arg("grown").arg(&signed).arg(&proof).arg(&vkey)).expect(0);
    assert!(ran.out.contains(&format!("grew from {old}")), "{}", ran.out);
    fs::write(&proof, text.replace(line, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")).unwrap();
    let ran = run(go(world.dir.path()).unwrap().arg("grown").arg(&signed).arg(&proof).arg(&vkey));
    assert_ne!(ran.code, Some(0), "{}", ran.out);
}

#[test]
fn entries_since_a_moment_are_found_without_reading_the_rest() {
    let (world, _, _, _) = grown_world();
    let all = world.relay(&["log", "show", "--json"]).expect(0).out;
    let day = world.relay(&["log", "show", "--since", "2020-01-01", "--json"]).expect(0).out;
    assert_eq!(all, day);
    let ran = world.relay(&["log", "show", "--since", "2250-01-01T00:00:00Z"]).expect(0);
    assert!(ran.out.is_empty() && ran.err.contains("no entry of the log matches"), "{} {}", ran.out, ran.err);
    world.relay(&["log", "show", "--since", "yesterday"]).expect(2);
}

/// The access log is bound to the import log: one restored without the other is found, by the settle that
/// comes next and by whoever verifies.
#[test]
fn an_access_log_that_was_restored_alone_is_found() {
    let world = World::new();
    let server = Server::start(&world, "serve");
    let send = || {
        run(Command::new("curl")
            .args(["-s", "-o", "/dev/null", "-F", "file=@/etc/hostname"])
            .arg(server.url("/api/v3/files")))
        .expect(0);
        std::thread::sleep(std::time::Duration::from_millis(300));
        world.relay(&["settle"]).expect(0);
    };
    send();
    let copy = world.dir.path().join("backup");
    let log = world.state().join("log/access");
    run(Command::new("cp").arg("-a").arg(&log).arg(&copy)).expect(0);
    let anchors = || world.log("import").iter().filter(|e| e["type"] == "anchored").count();
    assert_eq!(anchors(), 1);
    world.relay(&["settle"]).expect(0);
    assert_eq!(anchors(), 1, "nothing new, nothing bound");
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    run(Command::new("curl").args(["-s", "-o", "/dev/null", "-X", "PUT"]).arg(server.url("/other"))).expect(0);
    std::thread::sleep(std::time::Duration::from_millis(300));
    world.relay(&["settle"]).expect(0);
    assert_eq!(anchors(), 2);
    world.relay(&["log", "verify"]).expect(0);
    for part in ["tile", "checkpoint"] {
        run(Command::new("rm").arg("-r").arg(log.join(part))).expect(0);
        run(Command::new("cp").arg("-a").arg(copy.join(part)).arg(log.join(part))).expect(0);
    }
    let ran = world.relay(&["log", "verify"]).expect(4);
    assert!(ran.err.contains("of the import log: SHORTER"), "{}", ran.err);
    let ran = world.relay(&["settle"]).expect(4);
    assert!(ran.err.contains("shorter than the import log says"), "{}", ran.err);
}

/// `pymerkle`, from the Python package index: none of our code.
#[test]
fn pymerkle_agrees() {
    let Some(python) = python_with("pymerkle") else { return };
    let (world, _, signed, _) = grown_world();
    let log = world.state().join("log/import");
    let check = |kept: &Path| {
        let script = TOP.join("tests/e2e/checker.py");
        run(Command::new(&python).arg(script).arg(&log).arg(kept))
    };
    let ran = check(&signed).expect(0);
    assert!(ran.out.contains("entries have the root") && ran.out.contains("as they were kept"), "{}", ran.out);
    let other = World::new();
    assert!(check(&other.state().join("log/import/checkpoint")).err.contains("not those that were kept"));
}

/// An access log that was replaced whole, by one of another name with a key of its own: the import log says whose head
/// it has on record.
#[test]
fn an_access_log_of_another_name_is_found() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    let server = Server::start(&world, "serve");
    server.ask("POST", "/x", "");
    assert_eq!(server.stop(), Some(0));
    world.relay(&["settle"]).expect(0);
    world.relay(&["log", "verify"]).expect(0);
    world.fsck();
    let other = World::with_config(&CONFIG.replace("relay = \"test\"", "relay = \"other\""));
    fs::remove_dir_all(world.state().join("log/access")).unwrap();
    copy(&other.state().join("log/access"), &world.state().join("log/access"));
    let ran = world.relay(&["log", "verify"]).expect(4);
    assert!(ran.err.contains("the access log was replaced"), "{}", ran.err);
    let ran = world.relay(&["fsck"]).expect(4);
    assert!(ran.err.contains("it was replaced"), "{}", ran.err);
}
