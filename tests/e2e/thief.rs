//! Who can write to the state folder while the relay works, and has no key: one keeper at a time all the same, nothing
//! outside of the folder is reached through it, and what is put there is found.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::support::*;

/// `feed/2` and `auto/1` are shown in one channel.
fn world() -> World {
    let world = World::new();
    world.publish("feed", 1, ONE);
    world.publish("feed", 2, OTHER);
    let list = digests(5000);
    world.import(&world.bundle("auto", 1, &[("b.txt", &list, "sha256-list")])).expect(0);
    world.fsck();
    world
}

/// The processes that this one has started, and those that they have.
fn below(pid: u32) -> Vec<Pid> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    let lists = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default());
    let lists: Vec<String> = lists.collect();
    let pids = lists.iter().flat_map(|list| list.split_whitespace()).map(|pid| pid.parse::<u32>().unwrap());
    pids.flat_map(|pid| [vec![Pid::from_raw(pid.cast_signed()).unwrap()], below(pid)].concat()).collect()
}

/// While a keeper works, no other begins, whatever is done to the files of the state.
#[test]
fn no_file_of_the_state_lets_two_keepers_in() {
    let world = world();
    let printed =
        world.relay(&["approve", "feed/2", "--officer", "officer", "--reason", "bad", "--decision", "withdraw"]);
    let statement = printed.expect(0).out;
    fs::write(world.path("w"), &statement).unwrap();
    fs::write(world.path("w.minisig"), world.officer.sign(statement.as_bytes(), "statement")).unwrap();
    let list = digests(400_000);
    let large = world.bundle("auto", 2, &[("b.txt", &list, "sha256-list")]);
    let head = || fs::read(world.state().join("log/import/checkpoint")).unwrap();
    let before = head();
    let mut import = world.command(&["import", large.to_str().unwrap(), "--operator", "a.operator"]);
    let mut import = import.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // As soon as it has logged anything it stands still, in the middle of its work.
    while head() == before {
        sleep(Duration::from_millis(5));
    }
    let workers = below(import.id());
    let signal = |signal| workers.iter().for_each(|pid| kill_process(*pid, signal).unwrap_or_default());
    signal(Signal::STOP);
    assert!(import.try_wait().unwrap().is_none(), "the import is over already");
    let stopped = head();
    // Everything that can be replaced is.
    for name in ["lock", "config.toml"] {
        let path = world.state().join(name);
        let text = fs::read(&path).unwrap_or_default();
        let _ = fs::remove_file(&path);
        fs::write(&path, text).unwrap();
    }
    for name in ["progress", "inbox", "trust"] {
        let (path, aside) = (world.state().join(name), world.path("aside"));
        fs::rename(&path, &aside).unwrap();
        copy(&aside, &path);
        fs::remove_dir_all(aside).unwrap();
    }
    let signature = world.path("w.minisig");
    let mut second = world.command(&["approve", "feed/2", "--signature", signature.to_str().unwrap()]);
    let mut second = second.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let ended = second.wait().unwrap();
    assert!(ended.success() && head() != stopped);
    signal(Signal::CONT);
    // The first one finds out before it writes to the log again: there are no two histories.
    assert_eq!(import.wait().unwrap().code(), Some(4));
    world.relay(&["log", "verify"]).expect(0);
    world.relay(&["settle"]).expect(0);
    assert!(world.relay(&["show", "feed/2"]).out.contains("withdrawn"));
    world.fsck();
}

/// No link in the place of a folder of the state leads a command anywhere else.
#[test]
fn a_link_in_the_place_of_a_folder_reaches_nothing() {
    let world = world();
    let saved = world.path("saved");
    copy(&world.state(), &saved);
    let outside = world.path("outside");
    for name in [
        "keyring",
        "trust",
        "spool",
        "blobs",
        "blobs/sha256",
        "releases",
        "channels",
        "inbox",
        "log",
        "log/import",
        "log/access",
        "progress",
        "tuf",
        "tls",
    ] {
        copy(&saved, &world.state());
        let _ = fs::remove_dir_all(&outside);
        let place = world.state().join(name);
        // Everything goes on working behind the link, beside what is somebody else's.
        fs::rename(&place, &outside).unwrap();
        for theirs in ["photos/2023/summer/picture", ".new-thing/file", "9/9.json", "2023.json", "aa/file"] {
            fs::create_dir_all(outside.join(theirs).parent().unwrap()).unwrap();
            fs::write(outside.join(theirs), b"precious").unwrap();
        }
        symlink(&outside, &place).unwrap();
        let before = tree(&outside);
        for command in [&["settle"][..], &["gc", "--yes"], &["fsck"], &["log", "rebuild"]] {
            let ran = world.relay(command);
            assert_eq!(ran.code, Some(4), "{name}: {command:?}: {}{}", ran.out, ran.err);
            assert!(ran.err.contains(name), "{name}: {command:?}: {}", ran.err);
        }
        assert_eq!(before, tree(&outside), "{name}");
    }
}

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, serde_json::to_vec(&value).unwrap()).unwrap();
}

/// What is collected is told by the log, and not by sets that anybody could have written.
#[test]
fn no_forged_set_has_a_release_collected() {
    let world = world();
    let third: &[File<'_>] = &[("a.hdb", b"44d88612fea8a8f36de82e1278abb02d:68:Third\n", "clamav-hashes")];
    world.import(&world.bundle("feed", 3, third)).expect(0);
    world.decide("feed/3", "officer", &world.officer, "refuse").expect(0);
    let saved = world.path("saved");
    copy(&world.state(), &saved);
    let channel = world.state().join("channels/c");
    let sets = || fs::read_dir(&channel).unwrap().map(|it| it.unwrap().path());
    let sets = || sets().filter(|path| path.extension().is_some_and(|it| it == "json"));
    let forge = || {
        for path in sets() {
            edit(&path, |set| {
                set["releases"].as_array_mut().unwrap().retain(|it| it["feed"] != "feed");
                set["files"].as_array_mut().unwrap().retain(|it| it["feed"] != "feed");
            });
        }
    };
    let remove = || sets().for_each(|path| fs::remove_file(path).unwrap());
    let remove_all = || fs::remove_dir_all(&channel).unwrap();
    let ways: [(&str, &dyn Fn()); 3] = [("forged", &forge), ("removed", &remove), ("channel removed", &remove_all)];
    for (what, tamper) in ways {
        copy(&saved, &world.state());
        tamper();
        let ran = world.relay(&["gc", "--yes"]);
        assert_eq!(
            ran.code,
            if what == "channel removed" { Some(1) } else { Some(4) },
            "{what}: {}{}",
            ran.out,
            ran.err
        );
        assert!(world.state().join("releases/feed/2/pack").exists(), "{what}");
        assert!(!world.log("import").iter().any(|entry| entry["type"] == "collected"), "{what}");
    }
}

/// What somebody puts into the folders of the state is named by `fsck`.
#[test]
fn what_is_put_into_the_state_is_found() {
    let world = world();
    let saved = world.path("saved");
    copy(&world.state(), &saved);
    let (officer, state) = (&world.officer, world.state());
    let keyring = fs::read(state.join("keyring/1.toml")).unwrap();
    fs::write(world.path("sig"), officer.sign(&keyring, "gaprelay-keyring/1 version=1")).unwrap();
    let write = |path: &Path| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"x").unwrap();
    };
    for name in [
        "keyring/7.toml",
        "keyring/notes",
        "trust/other",
        "spool/precious",
        "blobs/other",
        "blobs/sha256/file",
        "blobs/sha256/zz/file",
        "releases/evil/7/manifest.json",
        "releases/feed/2/extra",
        "releases/feed/two/manifest.json",
        "channels/c/99.json",
        "channels/c/01.json",
        "channels/c/+1.json",
        "keyring/01.toml",
        "releases/feed/01/manifest.json",
        "blobs/sha256/AA/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "inbox/item.json",
        "log/access/journal-other",
        "tuf/01.json",
        "channels/c/notes",
        "channels/other/1.json",
        "inbox/notes",
        "log/other",
        "log/import/extra",
        "log/access/extra",
        "log/third/checkpoint",
        "progress/other",
        "tuf/other",
    ] {
        copy(&saved, &state);
        write(&state.join(name));
        let found = world.relay(&["fsck"]);
        let named = ["/", name].concat();
        let is_named = named.split('/').skip(1).any(|part| found.out.contains(part) || found.err.contains(part));
        assert!(found.code == Some(4) && is_named, "{name}: {}{}", found.out, found.err);
    }
    let pipe = |path: &Path| {
        let _ = fs::remove_file(path);
        run(Command::new("mkfifo").arg(path)).expect(0);
    };
    let folder = |name: &str| {
        let _ = fs::remove_file(state.join(name));
        fs::create_dir_all(state.join(name)).unwrap();
    };
    let rows: &[(&str, &dyn Fn())] = &[
        ("a signature of another on the keyring", &|| {
            fs::copy(world.path("sig"), state.join("keyring/1.toml.x.minisig")).unwrap();
        }),
        ("the journal is a folder", &|| folder("log/access/journal")),
        ("the slot is a folder", &|| folder("inbox/slot")),
        ("the slot is a pipe", &|| pipe(&state.join("inbox/slot"))),
        ("the access log's key is gone", &|| fs::remove_file(state.join("log/access.key")).unwrap()),
        ("a name that is no text", &|| fs::write(state.join("inbox").join(OsStr::from_bytes(b"\xff")), b"").unwrap()),
        ("a folder that is a link", &|| {
            fs::rename(state.join("releases/feed"), world.path("feed")).unwrap();
            symlink(world.path("feed"), state.join("releases/feed")).unwrap();
        }),
        ("a pipe among releases", &|| pipe(&state.join("releases/pipe"))),
    ];
    for (what, tamper) in rows {
        copy(&saved, &state);
        tamper();
        let found = world.relay(&["fsck"]);
        assert_eq!(found.code, Some(4), "{what}: {}{}", found.out, found.err);
    }
    // Nor is a config that is a pipe waited for.
    copy(&saved, &state);
    pipe(&state.join("config.toml"));
    let mut check = world.command(&["check-config"]).spawn().unwrap();
    until("the config is refused", || check.try_wait().unwrap().is_some());
}
