//! The journals of server and sinkhole and the slot of the pages, against processes that were taken over: what they
//! wrote stays, what they say of others does not count, and they do not keep the keeper.

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

fn sinkhole_journal(world: &World) -> PathBuf {
    world.state().join("log/access/journal-sinkhole")
}

/// A line as the sinkhole writes it.
fn look_up(agent: &str, name: &str) -> String {
    let attempt = json!({ "id": 1, "at": "2026-01-01T00:00:00Z", "count": 1, "label": "dns-foreign", "submission": false,
        "agent": agent, "port": 1, "listener": "10.0.0.2:53", "method": "DNS A", "target": "", "host": name, "status": 0,
        "bytes_received": 9 });
    format!("{attempt}\n")
}

/// A self-test of these roles, as a process writes its own.
fn self_test(roles: &[&str]) -> String {
    let role = |name: &&str| json!({ "role": name, "held": { "namespaces": true, "landlock_abi": 7 }, "attempts": 99, "stopped": 99, "not_here": 0 });
    let roles: Vec<Value> = roles.iter().map(role).collect();
    format!("{}\n", json!({ "full": true, "kernel": "Linux", "roles": roles }))
}

/// A line for a pull of an agent.
fn pull(agent: &str) -> String {
    let pull = json!({ "id": 1, "pulled": "2026-01-01T00:00:00Z", "count": 1, "agent": agent, "program": "curl",
        "feed": "feed", "version": 9, "path": "/c/a.hdb", "whole": true });
    format!("{pull}\n")
}

/// Labels of the entries that this process of the relay caused.
fn labels_by(world: &World, by: &str) -> Vec<String> {
    let attempts = world.attempts().into_iter().filter(|attempt| attempt["by"] == by);
    attempts.map(|attempt| attempt["label"].as_str().unwrap().to_owned()).collect()
}

/// The self-tests in the access log: whose word, and of which roles.
fn told_tests(world: &World) -> Vec<(String, usize)> {
    let tests = world.log("access").into_iter().filter(|event| event["type"] == "self-test");
    tests.map(|it| (it["by"].as_str().unwrap().to_owned(), it["roles"].as_array().unwrap().len())).collect()
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

/// Whoever may open a file may hold a lock on it: other accounts, of the state's group too, can open none that is
/// locked.
#[test]
fn no_other_account_can_open_what_processes_lock() {
    let world = World::new();
    let witness = world.path("witness");
    let in_state = |name: &str| world.state().join(name);
    let locked = [in_state("lock"), journal(&world), sinkhole_journal(&world), in_state("inbox/slot")];
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
    // As many lines as fit, none of which can be read: a share of them is stored, and the rest counted.
    write(&journal(&world), &"x\n".repeat(100_000));
    write(&journal(&world), &line(1, "behind"));
    let begun = Instant::now();
    in_time(&world, &["settle"]).expect(0);
    assert!(begun.elapsed() < Duration::from_secs(50));
    assert!(labels(&world).contains(&"behind".into()));
    let stored = labels(&world).iter().filter(|label| *label == "journal-damaged").count();
    assert!((100..2000).contains(&stored), "{stored}");
    assert_eq!(counted(&world, "journal-flood") + stored as u64, 100_000 + found.len() as u64 - 1);
}

/// Number of attempts that entries of this label count.
fn counted(world: &World, label: &str) -> u64 {
    let attempts = world.attempts().into_iter().filter(|attempt| attempt["label"] == label);
    attempts.map(|attempt| attempt["count"].as_u64().unwrap()).sum()
}

/// Bytes of all files below a folder of the state.
fn size_of(world: &World, folder: &str) -> u64 {
    let (mut folders, mut bytes) = (vec![world.state().join(folder)], 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let meta = entry.metadata().unwrap();
            if meta.is_dir() { folders.push(entry.path()) } else { bytes += meta.len() }
        }
    }
    bytes
}

/// Runs a command at a later time.
fn later(world: &World, by: &str, args: &[&str]) -> Ran {
    let command = world.command(args);
    let mut late = Command::new("faketime");
    late.args(["-f", by]).arg(command.get_program()).args(command.get_args());
    run(late.env("GAPRELAY_STATE", world.state()))
}

/// A server that was taken over writes as much as it can: the log takes no more than its budget and says how much there
/// was, and what stood before, beside and after the flood is on record.
#[test]
fn a_taken_over_server_fills_no_disk_and_hides_nothing() {
    let world = World::new();
    let of = |agent: &str, label: &str| line(1, label).replace("10.0.0.1", agent);
    write(&journal(&world), &of("10.9.0.1", "before"));
    in_time(&world, &["settle"]).expect(0);
    // In the name of one agent: another beside it is seen.
    write(&journal(&world), &of("10.0.0.1", "noise").repeat(20_000));
    write(&journal(&world), &of("10.9.0.2", "beside"));
    let ran = in_time(&world, &["settle"]).expect(0);
    assert!(ran.err.contains("lines of the server's journal are counted"), "{}", ran.err);
    // In the names of as many as it likes, run after run.
    let mut lines = 20_000;
    for run in 0..3_u32 {
        let flood: String = (0..60_000_u32)
            .map(|number| of(&format!("10.{}.{}.{}", run + 1, number / 256, number % 256), "many"))
            .collect();
        lines += 60_000;
        write(&journal(&world), &flood);
        in_time(&world, &["settle"]).expect(0);
    }
    let size = size_of(&world, "log/access");
    assert!(size < 6 << 20, "{size} bytes were stored");
    if !has("faketime") {
        skipped("another time needs faketime");
        return;
    }
    write(&journal(&world), &of("10.9.0.3", "after"));
    later(&world, "+90m", &["settle"]).expect(0);
    let found = labels(&world);
    for needle in ["before", "beside", "after"] {
        assert_eq!(found.iter().filter(|label| *label == needle).count(), 1, "{needle}");
    }
    let stored = found.iter().filter(|label| ["noise", "many"].contains(&label.as_str())).count() as u64;
    assert_eq!(counted(&world, "journal-flood") + stored, lines, "each line is stored or counted");
    assert!(size_of(&world, "log/access") < 6 << 20);
    // The record of downloads is bounded likewise.
    let long = "x".repeat(1000);
    let pull = |number: u32| {
        json!({ "id": 1, "pulled": "2026-01-01T00:00:00Z", "count": 1, "agent": format!("{number}{long}"),
            "program": long, "feed": format!("{number}{long}"), "version": 1, "path": long, "whole": true })
    };
    for turn in 0..4 {
        let pulls: String = (0..4000).map(|number| format!("{}\n", pull(turn * 4000 + number))).collect();
        write(&journal(&world), &pulls);
        in_time(&world, &["settle"]).expect(0);
    }
    assert!(size_of(&world, "log/access") < (6 << 20) + (32 << 20));
}

/// Officers' pages that were taken over hand in as much as they can: what does not count fills no log, and what an
/// officer signed counts, wherever it stands.
#[test]
fn taken_over_pages_fill_no_log_and_stop_no_officer() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    let slot = world.state().join("inbox/slot");
    let item = |text: &str, signature: &str| {
        let line = json!({ "at": "2026-01-01T00:00:00Z", "text": text.as_bytes(), "signature": signature.as_bytes() });
        format!("{line}\n")
    };
    let before = size_of(&world, "log/import");
    for run in 0..3 {
        let flood: String = (0..20_000).map(|number| item(&format!("junk {run} {number}"), "")).collect();
        write(&slot, &flood);
        let begun = Instant::now();
        let ran = in_time(&world, &["settle"]);
        assert_eq!(ran.code, Some(3), "{}", ran.err);
        assert!(begun.elapsed() < Duration::from_secs(30));
        assert!(run > 0 || ran.err.contains("[inbox-flood]"), "{}", ran.err);
    }
    let refused = |world: &World| world.log("import").iter().filter(|e| e["type"] == "statement-refused").count();
    assert!(size_of(&world, "log/import") - before < 1 << 20, "{} entries", refused(&world));
    // Behind such a flood an officer's withdrawal is handed in.
    let args = ["approve", "feed/1", "--officer", "officer", "--reason", "bad", "--decision", "withdraw"];
    let text = world.relay(&args).expect(0).out;
    let signature = world.officer.sign(text.as_bytes(), "x");
    write(&slot, &(0..20_000).map(|number| item(&format!("junk {number}"), "")).collect::<String>());
    write(&slot, &item(&text, &signature));
    in_time(&world, &["settle"]);
    assert!(world.log("import").iter().any(|event| event["decision"] == "withdraw"), "the withdrawal is gone");
    // Handed in again and again, in ever new forms: it is refused, and that is recorded within bounds.
    let entries = refused(&world);
    for run in 0..3 {
        let again = |number| {
            item(&text, &signature.replacen("untrusted comment: ", &format!("untrusted comment: {run}{number}"), 1))
        };
        write(&slot, &(0..600).map(again).collect::<String>());
        in_time(&world, &["settle"]);
    }
    assert!(refused(&world) - entries < 300, "{} entries", refused(&world) - entries);
    if has("faketime") {
        later(&world, "+90m", &["settle"]);
        let last = world.log("import").pop().unwrap();
        assert_eq!(last["reason"], "inbox-flood", "{last}");
    }
}

/// The taking in of the journal cut at every durable step: each line is an entry, once.
#[test]
fn a_journal_taken_in_and_cut_anywhere_is_taken_once() {
    let world = World::new();
    let many: Vec<String> = (0..300).map(|number| line(number % 3, &format!("label-{number}"))).collect();
    write(&journal(&world), &many.concat());
    let look_ups: String = (0..5).map(|number| look_up("10.0.0.9", &format!("{number}.example"))).collect();
    write(&sinkhole_journal(&world), &look_ups);
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
            let cut = run(command.env("LD_PRELOAD", &library).env("CUT_AT", at.to_string()).env("CUT_HOW", how));
            assert!(!cut.err.contains("internal fault"), "{how} at {at}: {}", cut.err);
            // The server goes on meanwhile, and writes what stood there before.
            write(&journal(&world), &line(0, "label-0"));
            world.relay(&["settle"]).expect(0);
            let mut found = labels_by(&world, "server");
            assert_eq!(found.pop().as_deref(), Some("label-0"), "{how} at {at}");
            assert_eq!(labels_by(&world, "sinkhole").len(), 5, "{how} at {at}");
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
    let all = ["reader", "examiner", "keeper", "server", "sinkhole", "post", "review", "witness", "exporter"];
    let test = self_test;
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
    assert_eq!(labels(&world), ["journal-forged", "journal-forged"]);
    let told = tests("access");
    assert_eq!((told.len(), &told[0]["by"]), (1, &"server".into()), "{told:?}");
}

/// A sinkhole that was taken over writes what only the server can know: nothing of it counts, each line is on record as
/// forged under the sinkhole's name, and the server's evidence, its self-test and its budget are as they were.
#[test]
fn a_taken_over_sinkhole_speaks_for_nobody_else() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    let own = sinkhole_journal(&world);
    // What it may say.
    write(&own, &format!("{}{}", self_test(&["sinkhole", "post"]), look_up("10.0.0.9", "x.example")));
    world.relay(&["settle"]).expect(0);
    assert_eq!(
        (labels_by(&world, "sinkhole"), told_tests(&world)),
        (vec!["dns-foreign".into()], vec![("sinkhole".into(), 2)])
    );
    // What it may not: a pull, a request with a certificate's name, the server's self-test and that of all, entries
    // that the keeper makes, and any of it in the form of a look-up.
    let named = line(1, "upload").replace("\"port\"", "\"certificate\":\"lab.example\",\"port\"");
    let dressed = look_up("10.0.0.9", "x").replace("\"port\"", "\"certificate\":\"lab.example\",\"port\"");
    let by_server = look_up("10.0.0.9", "y.example").replace("\"port\"", "\"by\":\"server\",\"port\"");
    let forged = [
        pull("10.0.0.1"),
        line(1, "upload"),
        named,
        dressed,
        self_test(&["server"]),
        self_test(&["reader", "examiner", "keeper", "server", "sinkhole", "post", "review", "witness", "exporter"]),
        look_up("10.0.0.9", "x").replace("dns-foreign", "journal-flood"),
        look_up("10.0.0.9", "x").replace("dns-foreign", "journal-forged"),
    ];
    write(&own, &forged.concat());
    write(&own, &by_server);
    world.relay(&["settle"]).expect(0);
    let found = labels_by(&world, "sinkhole");
    assert_eq!(found.iter().filter(|label| *label == "journal-forged").count(), forged.len(), "{found:?}");
    assert_eq!((found.len(), found.last().map(String::as_str)), (1 + forged.len() + 1, Some("dns-foreign")));
    assert_eq!(labels_by(&world, "server"), [""; 0], "it said whose word it is");
    assert_eq!(told_tests(&world).len(), 1);
    assert!(!world.relay(&["agents", "--json"]).expect(0).out.contains("10.0.0.1"), "a pull was forged");
    let shown = world.relay(&["log", "show", "--log", "access"]).expect(0).out;
    assert!(
        shown.contains("the process sinkhole wrote a line into its journal that it never writes, and may have been taken over [journal-forged]"),
        "{shown}"
    );
    // It writes as much as it can: the server beside it has its whole hour, and its row.
    let flood: String = (0..60_000_u32).map(|n| look_up(&format!("10.7.{}.{}", n / 256, n % 256), "x")).collect();
    write(&own, &flood);
    let ours: String = (0..1000_u32)
        .map(|n| line(1, "upload").replace("10.0.0.1", &format!("10.8.{}.{}", n / 256, n % 256)))
        .collect();
    write(&journal(&world), &ours);
    in_time(&world, &["settle"]).expect(0);
    assert_eq!(labels_by(&world, "server"), vec!["upload"; 1000]);
    assert!(labels_by(&world, "sinkhole").contains(&"journal-flood".into()));
    let rows = world.relay(&["refusals", "--json"]).json();
    let of = |agent: &str| rows.as_array().unwrap().iter().find(|row| row["agent"] == agent).cloned().unwrap();
    assert_eq!((&of("10.8.0.1")["by"], &of("10.8.0.1")["count"]), (&"server".into(), &1.into()));
}

/// A server that was taken over writes what only the sinkhole can know.
#[test]
fn a_taken_over_server_speaks_for_nobody_else() {
    let world = World::new();
    let own = journal(&world);
    let forged = [
        look_up("10.0.0.9", "x.example"),
        self_test(&["sinkhole", "post"]),
        self_test(&["server", "sinkhole"]),
        line(1, "journal-damaged"),
        line(1, "journal-forged"),
    ];
    write(&own, &forged.concat());
    write(&own, &line(1, "upload").replace("\"port\"", "\"by\":\"sinkhole\",\"port\""));
    world.relay(&["settle"]).expect(0);
    let expected = [vec!["journal-forged"; forged.len()], vec!["upload"]].concat();
    assert_eq!(labels_by(&world, "server"), expected);
    assert_eq!((labels_by(&world, "sinkhole"), told_tests(&world)), (vec![], vec![]));
    // A journal that cannot be opened keeps no other from being taken.
    fs::remove_file(&own).unwrap();
    fs::create_dir(&own).unwrap();
    write(&sinkhole_journal(&world), &look_up("10.0.0.9", "needle.example"));
    world.relay(&["settle"]).expect(1);
    assert_eq!(labels_by(&world, "sinkhole"), ["dns-foreign"]);
    fs::remove_dir(&own).unwrap();
    world.relay(&["settle"]).expect(0);
    world.relay(&["log", "verify"]).expect(0);
}

/// Server and sinkhole shared one journal in an earlier version: what is left there is taken as what it is, without a
/// step by anybody; from then on the sinkhole has its own.
#[test]
fn a_journal_that_two_processes_shared_is_drained() {
    let world = World::new();
    let (shared, own) = (journal(&world), sinkhole_journal(&world));
    fs::remove_file(&own).unwrap();
    fs::remove_file(own.with_extension("taken")).unwrap();
    let lines = [line(1, "upload"), look_up("10.0.0.9", "x"), self_test(&["server"]), self_test(&["sinkhole", "post"])];
    write(&shared, &lines.concat());
    world.relay(&["settle"]).expect(0);
    assert_eq!(labels(&world), ["upload", "dns-foreign"]);
    assert_eq!(told_tests(&world), [("server".into(), 1), ("sinkhole".into(), 2)]);
    assert_eq!(fs::metadata(&own).unwrap().permissions().mode() & 0o777, 0o600);
    write(&shared, &look_up("10.0.0.9", "x"));
    write(&own, &look_up("10.0.0.9", "x"));
    world.relay(&["settle"]).expect(0);
    assert_eq!(labels_by(&world, "server"), ["journal-forged"]);
    assert_eq!(labels_by(&world, "sinkhole"), ["dns-foreign"]);
    assert!(world.relay(&["fsck"]).expect(0).err.is_empty());
}
