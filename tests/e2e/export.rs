//! The logs told to collectors: lines that other people's checkers believe, none lost and none invented, by a
//! process that can reach nothing else.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use sha2::Digest as _;

use super::support::*;

/// A log with every kind of entry that a site meets in its first days.
fn busy() -> World {
    let world = World::new();
    world.publish("feed", 1, ONE);
    let script: &[u8] = b"#!/bin/sh\n";
    let files: &[File<'_>] = &[
        ("a.hdb", HASHES, "clamav-hashes"),
        ("b=|c].hdb", script, "clamav-hashes"),
        ("d.hdb", script, "clamav-hashes"),
    ];
    let folder = world.bundle("feed", 2, files);
    world.import(&folder).expect(0);
    world.import(&folder).expect(0);
    fs::write(folder.join("manifest.json.minisig"), "junk\n").unwrap();
    world.import(&folder).expect(3);
    world.hand_in("feed/2", "no statement\n", "no signature\n");
    let mut empty = world.command(&["import", "--operator", "o"]);
    run(empty.arg(world.path("nowhere"))).expect(3);
    let server = Server::start(&world, "serve");
    for hostile in ["x|y=z\\", "\"]; \u{202e}", &"A".repeat(7000)] {
        let mut command = Command::new("curl");
        run(command.args(["-s", "-A", hostile, "-F", "sample=x", &server.url("/upload?a=b|c]\"")]));
    }
    drop(server);
    world.relay(&["selftest", "--short"]).expect(0);
    world.relay(&["settle"]).expect(0);
    world
}

fn export(world: &World, args: &[&str]) -> String {
    world.relay(&[&["log", "export"], args].concat()).expect(0).out
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn sizes(world: &World) -> (usize, usize) {
    (world.log("import").len(), world.log("access").len())
}

#[test]
fn ocsf_lines_are_events_of_ocsf_and_hold_the_log() {
    let world = busy();
    let text = export(&world, &[]);
    let (imports, accesses) = sizes(&world);
    let schema: Value = serde_json::from_str(include_str!("../../schemas/ocsf.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let events = lines(&text);
    let of = |class: u64| events.iter().filter(|event| event["class_uid"] == class).count();
    assert_eq!(of(7002), 2, "each artifact that was kept back");
    assert_eq!(events.len(), imports + accesses + 2);
    for event in &events {
        let faults: Vec<String> = validator.iter_errors(event).map(|e| e.to_string()).collect();
        assert!(faults.is_empty(), "{faults:?}: {event}");
        // Whoever has a line and a proof needs nothing else of ours: the leaf is in it.
        let raw = event["raw_data"].as_str().unwrap();
        let leaf = sha2::Sha256::new().chain_update([0]).chain_update(raw).finalize();
        assert_eq!(event["unmapped"]["leaf_hash"], data_encoding::HEXLOWER.encode(&leaf));
        assert!(event["metadata"]["sequence"].as_u64() < event["unmapped"]["checkpoint_size"].as_u64());
    }
    for class in [1001, 1008, 2004, 3004, 6002, 6007, 7002] {
        assert!(of(class) > 0, "no event of class {class}");
    }
    let sent: Vec<&Value> = events.iter().filter(|event| event["metadata"]["event_code"] == "attempt").collect();
    assert!(
        sent.iter()
            .all(|event| event["is_alert"] == true && event["evidences"][0]["src_endpoint"]["ip"] == "127.0.0.1")
    );
    let refused = events.iter().find(|event| event["status_code"] == "signature-malformed").unwrap();
    assert_eq!(refused["class_uid"], 2004);
    // And by somebody else's reading of OCSF.
    let Some(python) = python_with("ocsf_json_schema") else { return };
    fs::write(world.path("events"), &text).unwrap();
    let script = TOP.join("tests/e2e/ocsf.py");
    let seen = run(Command::new(&python).arg(&script).arg(world.path("events"))).expect(0).out;
    assert!(seen.contains("2004=") && seen.contains("7002=2"), "{seen}");
    // The checker can fail.
    fs::write(world.path("events"), text.replacen("\"severity_id\":1", "\"severity_id\":77", 1)).unwrap();
    assert_ne!(run(Command::new(&python).arg(&script).arg(world.path("events"))).code, Some(0));
}

#[test]
fn every_form_is_checked_against_the_log_and_changes_are_named() {
    let world = busy();
    let (imports, accesses) = sizes(&world);
    let schema: Value = serde_json::from_str(include_str!("../../schemas/export-json.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (form, framed) in
        [("ocsf", false), ("cef", false), ("json", false), ("ocsf", true), ("cef", true), ("json", true)]
    {
        let args: &[&str] = if framed { &["--format", form, "--framed"] } else { &["--format", form] };
        let text = export(&world, args);
        let files = if form == "json" { 0 } else { 2 };
        assert_eq!(text.lines().count(), imports + accesses + files, "{form}");
        assert!(text.lines().all(|line| !line.contains(['\x1b', '\u{202e}'])));
        if framed {
            // RFC 5424, section 6: priority, version, time, host, program, process, kind, structured data.
            for line in text.lines() {
                let head: Vec<&str> = line.splitn(8, ' ').collect();
                assert!(head[0].starts_with("<1") && head[0].ends_with(">1"), "{line}");
                assert_eq!((head[2], head[3], head[4]), ("test", "gaprelay", "-"), "{line}");
                assert!(head[6] == "[entry@32473" && head[7].starts_with("log=\"test/"), "{line}");
            }
        } else if form == "json" {
            assert!(lines(&text).iter().all(|line| validator.is_valid(line)));
        }
        let check = |text: &str| {
            fs::write(world.path("lines"), text).unwrap();
            let path = world.path("lines");
            world.relay(&["log", "verify", "--json", "--export", path.to_str().unwrap()])
        };
        let good = check(&text).expect(0).json();
        assert_eq!(
            (good["lines"].as_u64(), &good["findings"]),
            (Some((imports + accesses + files) as u64), &Value::Array(vec![]))
        );
        // Cut at any line, and grown again: still as the log says, some of it twice.
        let all: Vec<&str> = text.lines().collect();
        let twice = [&all[..5], &all[3..]].concat().join("\n");
        assert_eq!(check(&twice).expect(0).json()["repeated"], 2, "{form}");
        // What somebody changed, left out, made up.
        for (changed, finding) in [
            (text.replacen("signature-malformed", "signature-missing", 1), "it differs from entry"),
            (format!("{text}<109>1 made up\n"), "this is not a line of a gaprelay export"),
            ([&all[..4], &all[6..]].concat().join("\n"), "entries 4 to 5 of"),
            (text.replace("test/access/1", "other/access/1"), "this relay has no log of that name"),
            // Cut at either end, or all of it.
            (all[1..].join("\n"), "entries 0 to 0 of test/import/1 are missing at the beginning"),
            (all[..all.len() - 1].join("\n"), "no entry of test/access/1 is in the file"),
            (all[..all.len() - 3].join("\n"), "are missing at the end"),
            (String::new(), "the file holds no line of an export"),
        ] {
            let found = check(&changed).expect(4).json();
            let mut named = found["findings"].as_array().unwrap().iter().map(|found| found.as_str().unwrap());
            assert!(named.any(|named| named.contains(finding)), "{form}: {found}");
        }
        for cut in [1, text.len() / 3, text.len() - 2] {
            let mut cut = cut;
            while !text.is_char_boundary(cut) || text.as_bytes()[cut - 1] == b'\n' || text.as_bytes()[cut] == b'\n' {
                cut += 1;
            }
            check(&text[..cut]).expect(4);
        }
    }
    // The log's own damage is told before any line is compared.
    let path = world.state().join("log/import/tile/entries");
    let bundle = fs::read_dir(path.join("000.p")).unwrap().next().unwrap().unwrap().path();
    let kept = fs::read(&bundle).unwrap();
    fs::write(&bundle, String::from_utf8_lossy(&kept).replace("feed", "fied")).unwrap();
    let lines = world.path("lines");
    world.relay(&["log", "verify", "--export", lines.to_str().unwrap()]).expect(4);
    fs::write(&bundle, kept).unwrap();
    // Release gone: its files cannot be compared, and that is said.
    fs::write(&lines, export(&world, &["--format", "cef"])).unwrap();
    fs::remove_file(world.state().join("releases/feed/2/verdicts.json")).unwrap();
    let ran = world.relay(&["log", "verify", "--export", lines.to_str().unwrap()]).expect(4);
    assert!(ran.err.contains("2 lines were not compared") && !ran.out.contains("all in agreement"), "{}", ran.err);
}

/// Lines about files that no entry has, or of which some are left out, and versions that never were: made up.
#[test]
fn made_up_files_and_versions_are_named() {
    let world = busy();
    let text = export(&world, &["--format", "cef"]);
    let check = |text: &str, args: &[&str]| {
        let path = world.path("lines");
        fs::write(&path, text).unwrap();
        world.relay(&[&["log", "verify", "--json", "--export", path.to_str().unwrap()], args].concat())
    };
    check(&text, &[]).expect(0);
    let all: Vec<&str> = text.lines().collect();
    // The first of two files of one import.
    let file = |line: &&str| {
        line.split_once("externalId=").is_some_and(|(_, id)| {
            id.split(' ').next().is_some_and(|id| id.split('/').count() == 5 && id.ends_with("/0"))
        })
    };
    let at = all.iter().position(file).unwrap();
    let more = all[at].replace("/0 ", "/7 ");
    let version = format!("CEF:0|gaprelay|gaprelay|{}|", env!("CARGO_PKG_VERSION"));
    assert!(text.contains(&version), "{text}");
    for (changed, finding) in [
        ([&all[..=at], &[more.as_str()], &all[at + 1..]].concat().join("\n"), "which has no such file"),
        ([&all[..at], &all[at + 1..]].concat().join("\n"), "lines about the files of entry"),
        (text.replacen(&version, "CEF:0|gaprelay|gaprelay|9.9.9|", 1), "version 9.9.9 of gaprelay"),
    ] {
        let found = check(&changed, &[]).expect(4).json();
        let mut named = found["findings"].as_array().unwrap().iter().map(|found| found.as_str().unwrap());
        assert!(named.any(|named| named.contains(finding)), "{finding}: {found}");
    }
    // One log alone, and a key of neither.
    let import: Vec<&str> = all.iter().copied().filter(|line| line.contains("test/import/1")).collect();
    check(&import.join("\n"), &[]).expect(4);
    check(&import.join("\n"), &["--log", "import"]).expect(0);
    let foreign = World::with_config(&CONFIG.replace("relay = \"test\"", "relay = \"other\""));
    let key = foreign.state().join("log/import/vkey");
    let ran = check(&text, &["--log-key", key.to_str().unwrap()]).expect(2);
    assert!(ran.err.contains("is for the log other/import/1"), "{}", ran.err);
}

/// An export that goes on.
struct Following(Child);

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn follow(world: &World, args: &[&str]) -> Following {
    let mut command = world.command(&[&["log", "export", "--follow", "--format", "json"], args].concat());
    Following(command.stderr(Stdio::null()).spawn().unwrap())
}

/// The entries told in whole lines, each once.
fn distinct(text: &str) -> Vec<(String, u64)> {
    // What is read while it is written may be cut anywhere.
    let whole = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let entries = whole.filter_map(|line| Some((line["log"].as_str()?.to_owned(), line["number"].as_u64()?)));
    entries.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

#[test]
fn a_file_grows_with_the_log_and_loses_nothing_at_a_restart() {
    let world = World::new();
    let (file, cursor) = (world.path("lines"), world.path("cursor"));
    let args = ["--out", file.to_str().unwrap(), "--cursor", cursor.to_str().unwrap()];
    let read = || fs::read_to_string(&file).unwrap_or_default();
    for version in 1..4 {
        let following = follow(&world, &args);
        world.import(&world.bundle("auto", version, ONE)).expect(0);
        let wanted = world.log("import").len();
        until("the file grows", || distinct(&read()).len() == wanted);
        // Killed, not stopped, at the worst of times.
        drop(following);
        world.relay(&["approve", &format!("auto/{version}"), "--officer", "officer", "--reason", "y"]).expect(0);
    }
    export(&world, &args);
    // Killed between a line and its place in the cursor, some come twice; none is lost.
    let told = distinct(&read());
    let expected: Vec<_> = (0..world.log("import").len() as u64).map(|n| ("test/import/1".to_owned(), n)).collect();
    assert_eq!(told, expected);
    world.relay(&["log", "verify", "--export", file.to_str().unwrap()]).expect(0);
    // A line that a cut left without its end is taken away, and told again.
    let whole = read();
    fs::write(&file, format!("{whole}{}", &whole[..40])).unwrap();
    world.relay(&["selftest", "--short"]).expect(0);
    export(&world, &args);
    assert_eq!(read().lines().count(), whole.lines().count() + 1);
    world.relay(&["log", "verify", "--export", file.to_str().unwrap()]).expect(0);
    // Without the cursor it begins anew; from a moment on, where one is given; from nowhere, if nothing is new.
    assert_eq!(export(&world, &["--log", "import"]).lines().count(), told.len() + 1);
    assert_eq!(export(&world, &["--since", "2099-01-01"]), "");
    assert_eq!(export(&world, &["--cursor", cursor.to_str().unwrap()]), "");
    // A log that was put back behind what was told is damage, not a fresh start.
    let kept = fs::read(&cursor).unwrap();
    let fresh = World::new();
    fs::write(fresh.path("cursor"), &kept).unwrap();
    let ran = fresh.relay(&["log", "export", "--cursor", fresh.path("cursor").to_str().unwrap()]).expect(4);
    assert!(ran.err.contains("were exported before"), "{}", ran.err);
}

#[test]
fn the_local_syslog_socket_gets_a_frame_for_each_line() {
    let world = busy();
    let socket = world.path("log.sock");
    let collector = UnixDatagram::bind(&socket).unwrap();
    collector.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let cursor = world.path("cursor");
    let args = ["--syslog", socket.to_str().unwrap(), "--cursor", cursor.to_str().unwrap()];
    let receive = |count: usize| -> Vec<String> {
        let mut buffer = vec![0; 1 << 18];
        let mut one = || {
            let length = collector.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        };
        (0..count).map(|_| one()).collect()
    };
    let (imports, accesses) = sizes(&world);
    let following = follow(&world, &args);
    let mut told = receive(imports + accesses);
    world.relay(&["selftest", "--short"]).expect(0);
    told.extend(receive(1));
    assert!(told.iter().all(|frame| frame.starts_with('<') && !frame.contains('\n')), "{told:?}");
    fs::write(world.path("frames"), told.join("\n")).unwrap();
    world.relay(&["log", "verify", "--export", world.path("frames").to_str().unwrap()]).expect(0);
    // What it holds is its cage: no capability, a filter, one thread.
    let status = fs::read_to_string(format!("/proc/{}/status", following.0.id())).unwrap();
    for line in ["Seccomp:\t2", "NoNewPrivs:\t1", "CapEff:\t0000000000000000", "Threads:\t1"] {
        assert!(status.contains(line), "{line}: {status}");
    }
    // A collector that goes away is a fault, and nothing is lost: the next run goes on.
    drop(following);
    drop(collector);
    world.relay(&["selftest", "--short"]).expect(0);
    let gone = world.relay(&[&["log", "export", "--format", "json"], &args[..]].concat()).expect(1);
    assert!(gone.err.contains("log.sock"), "{}", gone.err);
    fs::remove_file(&socket).unwrap();
    let collector = UnixDatagram::bind(&socket).unwrap();
    collector.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    world.relay(&[&["log", "export", "--format", "json"], &args[..]].concat()).expect(0);
    let mut buffer = vec![0; 1 << 18];
    let length = collector.recv(&mut buffer).unwrap();
    assert!(String::from_utf8_lossy(&buffer[..length]).contains(&format!("number=\"{}\"", imports + 1)));
}

#[test]
fn up_keeps_the_configured_export_running() {
    let world = World::new();
    let config = world.state().join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let wrong = "\n[export]\nformat = \"cef\"\ncursor = \"export-cursor\"\n";
    fs::write(&config, format!("{text}{wrong}")).unwrap();
    assert!(world.relay(&["check-config"]).expect(2).err.contains("a file or a syslog socket"));
    fs::write(&config, format!("{text}{wrong}file = \"export-lines\"\n")).unwrap();
    world.relay(&["check-config"]).expect(0);
    assert!(World::new().relay(&["log", "export", "--configured"]).expect(2).err.contains("[export]"));
    // What is asked for by hand goes where that says, whatever the config has.
    assert!(export(&world, &["--format", "json"]).starts_with("{\"log\":"));
    assert!(!world.state().join("export-cursor").exists());
    let server = Server::start(&world, "up");
    let file = world.state().join("export-lines");
    let shown = || fs::read_to_string(&file).unwrap_or_default();
    until("lines come", || shown().contains("|self-test|"));
    // If it ends it is started again.
    let exporter = || -> Option<PathBuf> {
        let processes = fs::read_dir("/proc").unwrap().filter_map(|e| Some(e.ok()?.path()));
        processes.into_iter().find(|process| {
            let line = fs::read(process.join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains("log export --configured") && line.contains(world.state().to_str().unwrap())
        })
    };
    let first = exporter().unwrap();
    let pid: i32 = first.file_name().unwrap().to_str().unwrap().parse().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL).unwrap();
    until("it is started again", || exporter().is_some_and(|again| again != first));
    world.import(&world.bundle("auto", 1, ONE)).expect(0);
    until("and goes on", || shown().contains("auto/1"));
    let verify = || world.relay(&["log", "verify", "--export", file.to_str().unwrap()]);
    until("to the end of the log", || verify().code == Some(0));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn hostile_code_inside_it_gets_nowhere() {
    let world = busy();
    let library = shim(world.dir.path(), "hostile");
    let ran = run(hostile(&mut world.command(&["log", "export", "--format", "json"]), &library, "exporter", "9"));
    assert!(got_through(&ran.err, "exporter").is_empty(), "{}", ran.err);
}
