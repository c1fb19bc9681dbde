//! The server's journal and the slot of the pages, against processes that were taken over: what they wrote stays,
//! what they say of others does not count, and they do not keep the keeper.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};

use super::support::*;

fn journal(world: &World) -> PathBuf {
    world.state().join("log/access/journal")
}

/// A line as the server writes it.
fn line(id: u64, label: &str) -> String {
    let attempt = json!({ "id": id, "at": "2026-01-01T00:00:00Z", "count": 1, "label": label, "submission": true,
        "agent": "10.0.0.1", "port": 1, "listener": "10.0.0.2:80", "method": "PUT", "target": "/x", "status": 405,
        "bytes_received": 9 });
    format!("{attempt}\n")
}

fn write(path: &PathBuf, text: &str) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Runs a command, which must end within a minute.
#[track_caller]
fn in_time(world: &World, args: &[&str]) -> Ran {
    let command = world.command(args);
    let mut limited = Command::new("timeout");
    limited.arg("60").arg(command.get_program()).args(command.get_args());
    run(limited.env("GAPRELAY_STATE", world.state()))
}

fn labels(world: &World) -> Vec<String> {
    world.attempts().iter().map(|attempt| attempt["label"].as_str().unwrap().to_owned()).collect()
}

/// Numbers that the server writes say nothing: what it wrote before one that it had used stays.
#[test]
fn a_number_that_is_used_again_hides_nothing() {
    let world = World::new();
    write(&journal(&world), &line(7, "one"));
    world.relay(&["settle"]).expect(0);
    write(&journal(&world), &format!("{}{}{}", line(8, "upload"), line(7, "two"), line(u64::MAX, "three")));
    world.relay(&["settle"]).expect(0);
    // Nor does a date from which on nothing else would be the newest.
    write(&journal(&world), &line(1, "four").replace("2026-01-01", "9999-01-01"));
    world.relay(&["settle"]).expect(0);
    assert_eq!(labels(&world), ["one", "upload", "two", "three", "four"]);
    assert_eq!(world.attempts().iter().map(|a| a["id"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let last = world.attempts().pop().unwrap();
    assert!(!last["at"].as_str().unwrap().starts_with("9999"), "{last}");
}

/// A lock that is held stops no command: what stands in the journal is taken, each line once, and others are not kept
/// from writing for want of room.
#[test]
fn a_lock_that_is_held_stops_nobody() {
    let config = CONFIG.replace("[serve]\n", "[serve]\njournal = \"4 KiB\"\n");
    let world = World::with_config(&config);
    let holder = File::open(journal(&world)).unwrap();
    let slot = File::open(world.state().join("inbox/slot")).unwrap();
    flock(&holder, FlockOperation::LockShared).unwrap();
    flock(&slot, FlockOperation::LockShared).unwrap();
    write(&world.state().join("inbox/slot"), "junk\n");
    for label in ["one", "two"] {
        write(&journal(&world), &line(1, label));
        let ran = in_time(&world, &["settle"]);
        assert!(matches!(ran.code, Some(0 | 3)), "{:?} {}", ran.code, ran.err);
        assert!(fs::metadata(journal(&world)).unwrap().len() > 0, "what may still be written is not cut off");
    }
    // A line that has no end yet is left alone.
    write(&journal(&world), line(1, "three").trim_end());
    in_time(&world, &["settle"]).expect(0);
    assert_eq!(labels(&world), ["one", "two"]);
    write(&journal(&world), "\n");
    write(&journal(&world), &line(1, "four").repeat(10));
    let ran = in_time(&world, &["settle"]).expect(0);
    assert!(ran.err.contains("a process holds the lock on "), "{}", ran.err);
    assert_eq!(fs::metadata(journal(&world)).unwrap().len(), 0);
    assert_eq!(labels(&world).len(), 13);
    let refused = world.log("import").iter().filter(|event| event["type"] == "statement-refused").count();
    assert_eq!(refused, 1, "a line of the slot was judged again");
}

/// A lock that somebody holds alone keeps neither a record from being written nor a server from starting.
#[test]
fn a_lock_that_is_held_alone_keeps_no_evidence_out() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    let holder = File::open(journal(&world)).unwrap();
    flock(&holder, FlockOperation::LockExclusive).unwrap();
    let server = Server::start(&world, "serve");
    assert_eq!(server.get("/c/a.hdb", "").status, 200);
    server.ask("POST", "/held", "");
    until("the attempt is in the journal", || fs::read_to_string(journal(&world)).unwrap().contains("/held"));
    in_time(&world, &["settle"]).expect(0);
    assert!(world.log("access").iter().any(|entry| entry["target"] == "/held"));
    assert_eq!(server.stop(), Some(0));
}

/// Whoever may open a file may hold a lock on it: other accounts, of the state's group too, can open none that is locked.
#[test]
fn no_other_account_can_open_what_processes_lock() {
    let world = World::new();
    let witness = world.path("witness");
    let in_state = |name: &str| world.state().join(name);
    let locked = [in_state("lock"), in_state("log/access/journal"), in_state("inbox/slot")];
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for path in &locked {
        assert_eq!(mode(path), 0o600, "{}", path.display());
        // As an earlier version made it.
        fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    }
    world.relay(&["settle"]).expect(0);
    for path in &locked {
        assert_eq!(mode(path), 0o600, "{}", path.display());
    }
    assert_eq!(Server::start(&world, "up").stop(), Some(0));
    assert_eq!(mode(&in_state("supervisor")), 0o600);
    // Of the witness, nobody gets into the folder.
    world.relay(&["log", "witness", "init", witness.to_str().unwrap(), "--name", "w.example/1"]).expect(0);
    assert_eq!((mode(&witness), mode(&witness.join("lock"))), (0o700, 0o600));
    fs::set_permissions(&witness, Permissions::from_mode(0o755)).unwrap();
    world.relay(&["log", "witness", "show", witness.to_str().unwrap()]).expect(0);
    assert_eq!(mode(&witness), 0o700);
}

/// A journal of any length is worked off, and what stands behind it is found.
#[test]
fn a_journal_of_any_length_stops_no_command() {
    let world = World::new();
    let file = OpenOptions::new().write(true).open(journal(&world)).unwrap();
    file.set_len(5 << 30).unwrap();
    write(&journal(&world), &format!("\n{}", line(1, "needle")));
    for _ in 0..10 {
        in_time(&world, &["settle"]).expect(0);
        if labels(&world).contains(&"needle".into()) {
            break;
        }
    }
    let found = labels(&world);
    assert!(found.contains(&"needle".into()) && found.len() <= 7, "{found:?}");
    assert_eq!(fs::metadata(journal(&world)).unwrap().len(), 0);
    // As many lines as fit, none of which can be read.
    write(&journal(&world), &"x\n".repeat(100_000));
    write(&journal(&world), &line(1, "behind"));
    let begun = Instant::now();
    in_time(&world, &["settle"]).expect(0);
    assert!(begun.elapsed() < Duration::from_secs(50));
    in_time(&world, &["settle"]).expect(0);
    let found = labels(&world);
    assert_eq!((found.last().unwrap().as_str(), found.len()), ("behind", world.attempts().len()));
    assert!(found.iter().filter(|label| *label == "journal-damaged").count() >= 100_000);
}

/// The taking in of the journal cut at every durable step: each line is an entry, once.
#[test]
fn a_journal_taken_in_and_cut_anywhere_is_taken_once() {
    let world = World::new();
    let many: Vec<String> = (0..300).map(|number| line(number % 3, &format!("label-{number}"))).collect();
    write(&journal(&world), &many.concat());
    let expected: Vec<String> = (0..300).map(|number| format!("label-{number}")).collect();
    let (library, saved) = (shim(world.dir.path(), "cuts"), world.path("saved"));
    copy(&world.state(), &saved);
    let mut command = world.command(&["settle"]);
    let counted = run(command.env("LD_PRELOAD", &library).env("CUT_COUNT", "1")).expect(0).err;
    let steps: usize = counted.lines().find_map(|l| l.strip_prefix("durable steps: ")?.parse().ok()).unwrap();
    assert!(steps > 10, "only {steps} steps");
    for how in ["kill", "after", "full", "error"] {
        for at in 1..=steps {
            copy(&saved, &world.state());
            let mut command = world.command(&["settle"]);
            run(command.env("LD_PRELOAD", &library).env("CUT_AT", at.to_string()).env("CUT_HOW", how));
            // The server goes on meanwhile, and writes what stood there before.
            write(&journal(&world), &line(0, "label-0"));
            world.relay(&["settle"]).expect(0);
            let mut found = labels(&world);
            assert_eq!(found.pop().as_deref(), Some("label-0"), "{how} at {at}");
            assert!(found == expected, "{how} at {at} of {steps}: {found:?}");
        }
    }
}

/// What the pages say of themselves is their word, of their own process alone; nobody's word stands in the relay's
/// place.
#[test]
fn a_self_test_counts_for_the_process_that_says_so() {
    let world = World::new();
    world.relay(&["selftest", "--short"]).expect(0);
    let held = json!({ "namespaces": true, "landlock_abi": 7 });
    let role = |name: &str| json!({ "role": name, "held": held, "attempts": 99, "stopped": 99, "not_here": 0 });
    let all = ["reader", "examiner", "keeper", "server", "sinkhole", "post", "review", "witness", "exporter"];
    let test = |roles: &[&str]| {
        let roles: Vec<Value> = roles.iter().map(|name| role(name)).collect();
        format!("{}\n", json!({ "full": true, "kernel": "Linux", "roles": roles }))
    };
    let tests =
        |log: &str| -> Vec<Value> { world.log(log).into_iter().filter(|event| event["type"] == "self-test").collect() };
    let slot = world.state().join("inbox/slot");
    for roles in [&all[..], &["keeper"], &["review", "review"], &[]] {
        write(&slot, &test(roles));
        world.relay(&["settle"]).expect(3);
        let last = world.log("import").pop().unwrap();
        assert_eq!((&last["type"], &last["reason"]), (&"statement-refused".into(), &"self-test-foreign".into()));
        assert_eq!(tests("import").len(), 1, "{roles:?}");
    }
    // Nor may it say whose word it is.
    write(&slot, &test(&["review"]).replace("}\n", ",\"by\":\"keeper\"}\n"));
    world.relay(&["settle"]).expect(0);
    assert_eq!(tests("import").pop().unwrap()["by"], "review");
    assert!(world.relay(&["log", "show"]).expect(0).out.contains("the process review says of itself: "));
    // The server's journal likewise.
    write(&journal(&world), &format!("{}{}{}", test(&all), test(&["review"]), test(&["server"])));
    world.relay(&["settle"]).expect(0);
    assert_eq!(labels(&world), ["journal-damaged", "journal-damaged"]);
    let told = tests("access");
    assert_eq!((told.len(), &told[0]["by"]), (1, &"server".into()), "{told:?}");
}
