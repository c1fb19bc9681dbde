//! Who can write to the state folder, and has not the log's key: nothing is published that was not, nothing comes back,
//! and `fsck` finds it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::support::*;

/// Content of a release of `feed` that agents can tell from the others.
const THIRD: &[File<'_>] = &[("a.hdb", b"44d88612fea8a8f36de82e1278abb02d:68:Third\n", "clamav-hashes")];
const LARGE: usize = 300 << 10;

/// Releases of every standing: `feed/2` is shown, `feed/3` was shown and withdrawn, `feed/4` refused, `two/1` held with
/// one approval of two; `auto/1` has a blob.
fn world() -> World {
    let world = World::new();
    world.publish("feed", 1, ONE);
    world.publish("feed", 2, OTHER);
    world.publish("feed", 3, THIRD);
    fs::copy(world.state().join("channels/c/pointer"), world.path("third")).unwrap();
    fs::copy(world.state().join("trust/trust.json"), world.path("trust.json")).unwrap();
    world.decide("feed/3", "officer", &world.officer, "withdraw").expect(0);
    let fourth: &[File<'_>] = &[("a.hdb", b"44d88612fea8a8f36de82e1278abb02c:68:Fourth\n", "clamav-hashes")];
    world.import(&world.bundle("feed", 4, fourth)).expect(0);
    world.decide("feed/4", "officer", &world.officer, "refuse").expect(0);
    let list = digests(u32::try_from(LARGE / 65 + 1).unwrap());
    world.import(&world.bundle("auto", 1, &[("b.txt", &list, "sha256-list")])).expect(0);
    world.import(&world.bundle("two", 1, ONE)).expect(0);
    world.decide("two/1", "officer", &world.officer, "approve").expect(0);
    world.fsck();
    world
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names
}

/// The statement of this decision on a release: its file and its content.
fn statement(world: &World, release: &str, decision: &str) -> (PathBuf, Value) {
    let folder = world.state().join("releases").join(release).join("statements");
    let read = |path: PathBuf| (path.clone(), serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap());
    names(&folder).into_iter().map(read).find(|(_, it)| it["decision"] == decision).unwrap()
}

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, serde_json::to_vec(&value).unwrap()).unwrap();
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::write(path, bytes).unwrap();
}

type Tampering<'a> = (&'a str, &'a dyn Fn(&World));

/// What agents see of both channels, from a server that starts now; an empty text where it shows nothing.
fn served(world: &World) -> [String; 3] {
    let server = Server::start(world, "serve");
    ["/c/a.hdb", "/c/b.txt", "/two/a.hdb"].map(|path| run(Command::new("curl").args(["-sf", &server.url(path)])).out)
}

/// Each kind of tampering is found by `fsck`, publishes nothing, and brings nothing back.
#[test]
#[expect(clippy::too_many_lines, reason = "a row for each kind of tampering")]
fn whoever_can_write_to_the_state_publishes_nothing() {
    let world = world();
    let saved = world.path("saved");
    copy(&world.state(), &saved);
    let before = served(&world);
    assert!(before[0].contains("Other") && before[1].len() > LARGE && before[2].is_empty(), "{before:?}");
    let release = |id: &str, file: &str| world.state().join("releases").join(id).join(file);
    let pointer = world.state().join("channels/c/pointer");
    let forged = |world: &World, text: &str| {
        // The signature of one approval, under the text of another.
        let (_, mut other) = statement(world, "feed/2", "approve");
        let (_, first) = statement(world, "two/1", "approve");
        other["text"] = text.replace("OWN", first["text"].as_str().unwrap()).into();
        other["officer"] = "second".into();
        other["key"] = "00".repeat(32).into();
        write(&release("two/1", "statements/forged.json"), other.to_string());
    };
    let rows: &[Tampering<'_>] = &[
        ("an approval with the signature of another", &|world| forged(world, "OWN")),
        ("an approval moved to another release", &|world| {
            let (path, _) = statement(world, "feed/2", "approve");
            fs::copy(path, release("two/1", "statements/moved.json")).unwrap();
        }),
        ("the text of a statement replaced", &|world| {
            let (path, _) = statement(world, "feed/2", "approve");
            edit(&path, |it| it["text"] = it["text"].as_str().unwrap().replace("test", "best").into());
        }),
        ("an approval removed", &|world| fs::remove_file(statement(world, "feed/2", "approve").0).unwrap()),
        ("a withdrawal removed", &|world| fs::remove_file(statement(world, "feed/3", "withdraw").0).unwrap()),
        ("all statements on a withdrawn release but its approval removed", &|world| {
            let (path, kept) = statement(world, "feed/3", "approve");
            fs::remove_dir_all(path.parent().unwrap()).unwrap();
            fs::create_dir(path.parent().unwrap()).unwrap();
            write(&path, kept.to_string());
        }),
        ("a refusal removed", &|world| fs::remove_file(statement(world, "feed/4", "refuse").0).unwrap()),
        ("items emptied", &|_| {
            write(&release("feed/2", "items"), b"");
            write(&release("feed/2", "items.json"), b"[]");
        }),
        ("an item changed", &|_| flip(&release("two/1", "items"))),
        ("verdicts changed", &|_| {
            edit(&release("two/1", "verdicts.json"), |it| it[0]["decision"] = "withheld".into());
        }),
        ("the importing operator changed", &|_| {
            edit(&release("two/1", "release.json"), |it| it["operator"]["name"] = "nobody".into());
        }),
        ("the loss of a release set to nothing", &|_| {
            edit(&release("two/1", "release.json"), |it| it["loss"]["of"] = 0.into());
        }),
        ("a manifest changed", &|_| flip(&release("feed/2", "manifest.json"))),
        ("a manifest's signature changed", &|_| flip(&release("feed/2", "manifest.json.minisig"))),
        ("a manifest's signature removed", &|_| {
            fs::remove_file(release("feed/2", "manifest.json.minisig")).unwrap();
        }),
        ("a pack's index changed", &|_| {
            edit(&release("two/1", "pack.json"), |it| it[0]["offset"] = 1.into());
        }),
        ("a release's record removed", &|_| fs::remove_file(release("feed/1", "digests.json")).unwrap()),
        ("a release's record made up", &|_| {
            edit(&release("two/1", "digests.json"), |it| it["items"] = "00".repeat(32).into());
        }),
        ("the newest approved release removed", &|world| {
            fs::remove_dir_all(world.state().join("releases/feed/2")).unwrap();
        }),
        ("a pointer removed", &|_| fs::remove_file(&pointer).unwrap()),
        ("a channel removed", &|world| fs::remove_dir_all(world.state().join("channels/c")).unwrap()),
        ("a pointer changed", &|_| flip(&pointer)),
        ("a former pointer put back, to what was withdrawn", &|world| {
            fs::copy(world.path("third"), &pointer).unwrap();
        }),
        ("a former pointer put back under a log that was cut", &|world| {
            fs::copy(world.path("third"), &pointer).unwrap();
            fs::remove_file(world.state().join("log/import/checkpoint")).unwrap();
        }),
        ("a former trust state put back", &|world| {
            fs::copy(world.path("trust.json"), world.state().join("trust/trust.json")).unwrap();
        }),
        ("a set changed", &|world| {
            flip(&world.state().join("channels/c/5.json"));
        }),
        ("the shown set changed", &|world| flip(&world.state().join("channels/c/6.json"))),
        ("a set made up", &|world| {
            edit(&world.state().join("channels/c/5.json"), |it| it["files"] = Value::Array(Vec::new()));
        }),
        ("the trust state without a withdrawal", &|world| {
            edit(&world.state().join("trust/trust.json"), |it| {
                it["releases"]["feed"]["3"]["statements"].as_array_mut().unwrap().pop().unwrap();
            });
        }),
        ("the trust state with another key's signature", &|world| {
            edit(&world.state().join("trust/trust.json"), |it| {
                it["signature"] = "AAAA".into();
            });
        }),
        ("the key beside the log replaced", &|world| {
            let other = World::new();
            fs::copy(other.state().join("log/import/vkey"), world.state().join("log/import/vkey")).unwrap();
        }),
        ("the log's secret key replaced", &|world| {
            let other = World::new();
            fs::copy(other.state().join("log/import.key"), world.state().join("log/import.key")).unwrap();
        }),
        ("the keyring changed", &|world| flip(&world.state().join("keyring/1.toml"))),
    ];
    let mut wrong = Vec::new();
    for (what, tamper) in rows {
        copy(&saved, &world.state());
        tamper(&world);
        let found = world.relay(&["fsck"]);
        if found.code != Some(4) {
            wrong.push(format!("{what}: not found\n{}", found.out));
        }
        let shown = served(&world);
        let settled = world.relay(&["settle"]);
        let later = served(&world);
        for (now, was) in shown.iter().chain(&later).zip(before.iter().chain(&before)) {
            if !now.is_empty() && now != was {
                wrong.push(format!("{what}: agents get {now:.200}\n{}{}", settled.out, settled.err));
            }
        }
        for line in world.relay(&["releases"]).out.lines() {
            let is_shown = line.contains("published") && !line.contains("feed/2") && !line.contains("auto/1");
            if is_shown {
                wrong.push(format!("{what}: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What follows from the log is made anew by one command, and nothing else is.
#[test]
fn statements_are_made_anew_from_the_log() {
    let world = world();
    let before = served(&world);
    for decision in ["approve", "withdraw"] {
        fs::remove_file(statement(&world, "feed/3", decision).0).unwrap();
    }
    edit(&statement(&world, "feed/2", "approve").0, |it| it["text"] = "x".into());
    let stray = names(&world.state().join("releases/feed/2/statements")).remove(0);
    world.relay(&["settle"]).expect(4);
    let ran = world.relay(&["log", "rebuild"]).expect(0);
    assert!(ran.out.contains("feed/2") && ran.out.contains("feed/3"), "{}", ran.out);
    if world.relay(&["fsck"]).code != Some(0) {
        // The changed one lies under another name than what was written again.
        fs::remove_file(stray).unwrap();
    }
    world.fsck();
    world.relay(&["settle"]).expect(0);
    assert_eq!(served(&world), before);
    assert!(world.relay(&["show", "feed/3"]).out.contains("withdrawn"));
}

/// A server that was given the log's key shows nothing of a log that somebody made with another.
#[test]
fn a_server_with_the_logs_key_shows_no_other_log() {
    let world = world();
    let key = fs::read_to_string(world.state().join("log/import/vkey")).unwrap();
    let other = World::new();
    other.publish("feed", 1, ONE);
    let start = |world: &World| {
        Server::launch(&mut world.command(&["serve", "--listen", "127.0.0.1:0", "--log-key", key.trim()]))
    };
    assert!(start(&world).get("/c/a.hdb", "").body.contains("Other"));
    assert_eq!(start(&other).get("/c/a.hdb", "").status, 503);
    let ran = other.relay(&["serve", "--log-key", "nothing"]).expect(2);
    assert!(ran.err.contains("--log-key"), "{}", ran.err);
}

/// A server that runs never goes back to what was withdrawn, and keeps what it has when the pointer is taken away.
#[test]
fn a_running_server_does_not_go_back() {
    let world = world();
    let server = Server::start(&world, "serve");
    let pointer = world.state().join("channels/c/pointer");
    let right = fs::read(&pointer).unwrap();
    let log = world.path("log");
    copy(&world.state().join("log"), &log);
    let faults = || {
        let numbers = server.get("/-/metrics", "").body;
        let line = numbers.lines().find(|line| line.starts_with("gaprelay_load_faults")).unwrap().to_owned();
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    for put in [Some(world.path("third")), None] {
        let before = faults();
        match put {
            Some(third) => drop(fs::copy(third, &pointer).unwrap()),
            None => fs::remove_file(&pointer).unwrap(),
        }
        until("the server looks at the pointer", || faults() > before);
        assert!(server.get("/c/a.hdb", "").body.contains("Other"));
        fs::write(&pointer, &right).unwrap();
    }
    // What is published after that is shown.
    world.relay(&["settle"]).expect(0);
    let fifth: &[File<'_>] = &[("a.hdb", b"44d88612fea8a8f36de82e1278abb02a:68:Fifth\n", "clamav-hashes")];
    world.publish("feed", 5, fifth);
    until("the next set is served", || server.get("/c/a.hdb", "").body.contains("Fifth"));
}

/// The trust file in the former format, which nobody had to sign.
fn make_former(world: &World, change: impl FnOnce(&mut Value)) {
    edit(&world.state().join("trust/trust.json"), |it| {
        for key in ["signature", "keyrings", "releases", "channels"] {
            it.as_object_mut().unwrap().remove(key);
        }
        it["format"] = "gaprelay-trust/1".into();
        change(it);
    });
}

/// A release that was withdrawn or refused stays so, also once it was removed as no longer needed; and no trust file in
/// the former format is taken by a relay whose log is of the present one.
#[test]
fn what_was_closed_and_collected_does_not_come_back() {
    let world = World::with_config(&format!("{CONFIG}\n[publish]\nkeep_sets = 2\n"));
    let list = |count| digests(count);
    world.import(&world.bundle("auto", 1, &[("b.txt", &list(1), "sha256-list")])).expect(0);
    world.decide("auto/1", "officer", &world.officer, "withdraw").expect(0);
    world.import(&world.bundle("two", 1, ONE)).expect(0);
    world.decide("two/1", "officer", &world.officer, "refuse").expect(0);
    let saved = world.path("saved");
    copy(&world.state().join("releases"), &saved);
    for (feed, files, decision) in
        [("auto", &[("b.txt", &*list(2), "sha256-list")][..], "withdraw"), ("two", OTHER, "refuse")]
    {
        world.import(&world.bundle(feed, 2, files)).expect(0);
        world.decide(&format!("{feed}/2"), "officer", &world.officer, decision).expect(0);
    }
    for version in 1..5 {
        let text = format!("44d88612fea8a8f36de82e1278abb0{version:02x}:68:Name\n");
        world.publish("feed", version, &[("a.hdb", text.as_bytes(), "clamav-hashes")]);
    }
    world.relay(&["gc", "--yes"]).expect(0);
    world.fsck();
    let before = served(&world);
    for id in ["auto/1", "two/1"] {
        assert!(!world.state().join("releases").join(id).exists(), "{id} is no longer needed");
        copy(&saved.join(id), &world.state().join("releases").join(id));
    }
    let right = world.path("trust.json");
    fs::copy(world.state().join("trust/trust.json"), &right).unwrap();
    make_former(&world, |_| {});
    let ran = world.relay(&["settle"]).expect(4);
    assert!(ran.err.contains("somebody put it there"), "{}", ran.err);
    assert_ne!(world.relay(&["fsck"]).code, Some(0));
    assert_eq!(served(&world), before);
    // Two officers who have the trust state made again bring neither back.
    fs::remove_file(world.state().join("trust/trust.json")).unwrap();
    repair(&world, &[("officer", &world.officer), ("second", &world.second)], &[]).expect(0);
    world.relay(&["settle"]).expect(0);
    assert_eq!(served(&world), before);
    let trust: Value = serde_json::from_slice(&fs::read(world.state().join("trust/trust.json")).unwrap()).unwrap();
    for (feed, decision) in [("auto", "withdraw"), ("two", "refuse")] {
        let history = &trust["releases"][feed]["1"];
        assert_eq!(history["collected"], true, "{feed}");
        assert_eq!(history["statements"][0]["decision"], decision);
    }
    assert_eq!(world.log("import").iter().filter(|event| event["type"] == "recorded").count(), 0);
    world.fsck();
}

/// A former copy of the trust file beside a log whose newest entries were overwritten tells no reader what is no longer
/// so.
#[test]
fn readers_prove_what_the_log_tells_behind_the_trust_file() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    world.publish("feed", 2, OTHER);
    let trust = world.state().join("trust/trust.json");
    let former = fs::read(&trust).unwrap();
    let known = serde_json::from_slice::<Value>(&former).unwrap()["entries"].as_u64().unwrap();
    world.decide("feed/2", "officer", &world.officer, "withdraw").expect(0);
    let bundle = names(&world.state().join("log/import/tile/entries/000.p")).pop().unwrap();
    let (bytes, mut rest, mut harmless) = (fs::read(&bundle).unwrap(), 0, Vec::new());
    for number in 0.. {
        let Some(length) = bytes.get(rest..rest + 2) else { break };
        let end = rest + 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
        let entry: Value = serde_json::from_slice(&bytes[rest + 2..end]).unwrap();
        let event = json!({ "type": "interrupted", "intent": 0 });
        let made_up = serde_json::to_vec(&json!({ "time": entry["time"], "event": event })).unwrap();
        let text = if number < known { &bytes[rest + 2..end] } else { &made_up };
        harmless.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        harmless.extend_from_slice(text);
        rest = end;
    }
    fs::write(bundle, harmless).unwrap();
    fs::write(&trust, former).unwrap();
    let args: &[&[&str]] = &[&["status"], &["releases"], &["show", "feed/2"], &["agents"], &["keyring", "show"]];
    for args in args {
        let ran = world.relay(args);
        assert_ne!(ran.code, Some(0), "{args:?}: {}", ran.out);
        assert!(ran.err.contains("do not match the signed head"), "{args:?}: {}{}", ran.out, ran.err);
    }
}

/// Hands in `officer`'s decision, killed at the first step after which `is_it` says so of the state; the state before
/// stays where it is not so at any step.
fn cut_when(world: &World, release: &str, decision: &str, is_it: impl Fn(&World) -> bool) {
    let args = ["approve", release, "--officer", "officer", "--reason", "test", "--decision", decision];
    let printed = world.relay(&args).expect(0).out;
    let statement = world.path("statement.txt");
    fs::write(&statement, &printed).unwrap();
    let signature = world.path("statement.txt.minisig");
    fs::write(&signature, world.officer.sign(printed.as_bytes(), "x")).unwrap();
    let (library, saved) = (shim(world.dir.path(), "cuts"), world.path("before-the-cut"));
    copy(&world.state(), &saved);
    for at in 1.. {
        copy(&saved, &world.state());
        let mut command = world.command(&["approve", release, "--signature", signature.to_str().unwrap()]);
        command.env("LD_PRELOAD", &library).env("CUT_AT", at.to_string()).env("CUT_HOW", "kill");
        assert_ne!(run(&mut command).code, Some(0), "no such step among {at}");
        if is_it(world) {
            return;
        }
    }
}

/// A switch that was announced and never happened is one that no pointer proves; and a server goes to what the log says
/// now, whatever it showed before.
#[test]
fn an_interrupted_publication_is_not_put_in_force() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    world.import(&world.bundle("feed", 2, OTHER)).expect(0);
    let (pointer, set) = (world.state().join("channels/c/pointer"), world.state().join("channels/c/2.json"));
    let right = fs::read(&pointer).unwrap();
    cut_when(&world, "feed/2", "approve", |world| {
        let is_announced = world.log("import").last().unwrap()["type"] == "publish-started";
        is_announced && fs::read(&pointer).unwrap() == right
    });
    let number = world.log("import").len() - 1;
    let announced = fs::read(&set).unwrap();
    let server = Server::start(&world, "serve");
    // The officer withdraws what was about to be shown.
    world.decide("feed/2", "officer", &world.officer, "withdraw").expect(0);
    assert_eq!(world.log("import")[number + 1], json!({ "type": "interrupted", "intent": number }));
    world.fsck();
    let receipt = world.relay(&["log", "prove", &number.to_string()]).expect(0).out;
    let put = || {
        fs::write(&set, &announced).unwrap();
        fs::write(&pointer, &receipt).unwrap();
    };
    put();
    for args in ["status", "fsck"] {
        let ran = world.relay(&[args]).expect(4);
        assert!(ran.err.contains("pointer"), "{args}: {}", ran.err);
    }
    let started = Server::start(&world, "serve");
    assert_eq!(started.get("/c/a.hdb", "").status, 503);
    until("the server looks at the pointer", || {
        let numbers = server.get("/-/metrics", "").body;
        numbers.lines().any(|line| line.starts_with("gaprelay_load_faults") && !line.ends_with(" 0"))
    });
    assert_eq!(server.get("/c/a.hdb", "").body.as_bytes(), HASHES);
    world.relay(&["settle"]).expect(0);
    until("the right set is served", || started.get("/c/a.hdb", "").body.as_bytes() == HASHES);
    world.relay(&["status"]).expect(0);
    // What is published next is shown by both.
    world.publish("feed", 3, THIRD);
    for server in [&server, &started] {
        until("the next set is served", || server.get("/c/a.hdb", "").body.contains("Third"));
    }
}

/// Where what was withdrawn is still shown, each command says both.
#[test]
fn what_is_withdrawn_and_still_shown_is_a_fault() {
    let world = World::new();
    world.publish("feed", 1, ONE);
    world.publish("feed", 2, OTHER);
    cut_when(&world, "feed/2", "withdraw", |world| {
        let rows = world.relay(&["releases", "--json"]).expect(0).json();
        rows.as_array().unwrap().iter().any(|row| row["standing"]["standing"] == "withdrawn")
    });
    let ran = world.relay(&["status"]).expect(4);
    assert!(ran.err.contains("still shows release feed/2, which is withdrawn"), "{}", ran.err);
    let out = world.relay(&["releases"]).expect(0).out;
    assert!(out.contains("withdrawn, and still published in c"), "{out}");
    // The statement that was cut off counts already.
    world.relay(&["settle"]).expect(3);
    world.relay(&["status"]).expect(0);
    assert!(!world.relay(&["releases"]).expect(0).out.contains("still"));
}

/// Nobody has signed the config. So that it was changed stands in the log before it decides, and that it was changed
/// back.
#[test]
fn a_changed_config_is_an_entry_of_the_log_before_it_decides() {
    let world = World::new();
    let path = world.state().join("config.toml");
    let (former, digest) =
        (fs::read_to_string(&path).unwrap(), |text: &str| base::Digest::of(text.as_bytes()).to_string());
    assert_eq!(world.log("import")[0]["config"], digest(&former));
    world.import(&world.bundle("feed", 1, &[("a.hdb", HASHES, "clamav-hashes")])).expect(0);
    let laxer = former.replacen("[[feed]]", "[[feed]]\nclean_without_approval = true", 1);
    fs::write(&path, &laxer).unwrap();
    for _ in 0..2 {
        world.relay(&["settle"]).expect(0);
    }
    assert_eq!(published(&world, "c"), ["feed/1"], "who may write to it decides");
    let log = world.log("import");
    let at = |kind: &str| log.iter().position(|event| event["type"] == kind).unwrap();
    assert_eq!(log[at("config-changed")]["config"], digest(&laxer));
    assert!(at("config-changed") < at("publish-started"), "{log:#?}");
    let status = world.relay(&["status", "--json"]).expect(0).json();
    assert_eq!(status["config"], serde_json::json!({ "sha256": digest(&laxer), "entry": at("config-changed") }));
    fs::write(&path, &former).unwrap();
    world.relay(&["settle"]).expect(0);
    let log = world.log("import");
    let changes: Vec<_> =
        log.iter().filter(|event| event["type"] == "config-changed").map(|it| &it["config"]).collect();
    assert_eq!(changes, [&digest(&laxer), &digest(&former)]);
    world.relay(&["log", "verify"]).expect(0);
    world.fsck();
}
