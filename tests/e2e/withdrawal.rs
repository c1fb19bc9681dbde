//! Withdrawal always wins: whatever else in the state folder is damaged, blocked or flooded, what an officer withdraws
//! leaves.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use super::support::*;

type Damage<'a> = (&'a str, &'a dyn Fn(&Path));

/// `feed/2` and `auto/1` are shown in one channel; `feed/1` was shown before.
fn world() -> World {
    let world = World::new();
    world.publish("feed", 1, ONE);
    world.publish("feed", 2, OTHER);
    world.import(&world.bundle("auto", 1, &[("b.txt", &digests(8), "sha256-list")])).expect(0);
    world.fsck();
    world
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Puts a folder with something in it in the place of a file.
fn folder(path: &Path) {
    let _ = fs::remove_file(path);
    fs::create_dir_all(path.join("x")).unwrap();
}

fn pipe(path: &Path) {
    let _ = fs::remove_file(path);
    run(Command::new("mkfifo").arg(path)).expect(0);
}

/// Puts a link that leads to itself in the place of a file or folder.
fn link_loop(path: &Path) {
    let _ = fs::remove_dir_all(path);
    let _ = fs::remove_file(path);
    symlink(path.file_name().unwrap(), path).unwrap();
}

fn unreadable_name(folder: &Path) {
    fs::write(folder.join(OsStr::from_bytes(b"\xff")), b"").unwrap();
}

/// An item of the inbox that is far longer than one may be, and valid.
fn long_item(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    file.write_all(br#"{"at":"2026-11-26T21:38:15Z","signature":[],"text":[0"#).unwrap();
    let block = b",0".repeat(1 << 20);
    (0..90).for_each(|_| file.write_all(&block).unwrap());
    file.write_all(b"]}").unwrap();
}

/// Each damage with a withdrawal behind it: a server that runs and one that starts both stop showing what was
/// withdrawn.
#[test]
fn a_withdrawal_wins_whatever_else_is_damaged() {
    let world = world();
    let (state, saved) = (world.state(), world.path("saved"));
    copy(&state, &saved);
    let printed =
        world.relay(&["approve", "feed/2", "--officer", "officer", "--reason", "bad", "--decision", "withdraw"]);
    let statement = printed.expect(0).out;
    let signature = world.officer.sign(statement.as_bytes(), "statement");
    let set = |state: &Path| {
        let trust = fs::read(state.join("trust/trust.json")).unwrap();
        let trust: serde_json::Value = serde_json::from_slice(&trust).unwrap();
        state.join(format!("channels/c/{}.json", trust["channels"]["c"]["generation"]))
    };
    let rows: &[Damage<'_>] = &[
        ("another release's release.json", &|s| flip(&s.join("releases/auto/1/release.json"))),
        ("another release's record", &|s| flip(&s.join("releases/auto/1/digests.json"))),
        ("another release's verdicts", &|s| flip(&s.join("releases/auto/1/verdicts.json"))),
        ("another release's pack index", &|s| flip(&s.join("releases/auto/1/pack.json"))),
        ("another release's manifest", &|s| flip(&s.join("releases/auto/1/manifest.json"))),
        ("another release is gone", &|s| fs::remove_dir_all(s.join("releases/auto/1")).unwrap()),
        ("another release's statements are a file", &|s| {
            let path = s.join("releases/auto/1/statements");
            fs::remove_dir_all(&path).unwrap();
            fs::write(path, b"").unwrap();
        }),
        ("the former release's record", &|s| flip(&s.join("releases/feed/1/digests.json"))),
        ("its own record", &|s| flip(&s.join("releases/feed/2/digests.json"))),
        ("it is gone itself", &|s| fs::remove_dir_all(s.join("releases/feed/2")).unwrap()),
        ("its statements are gone", &|s| fs::remove_dir_all(s.join("releases/feed/2/statements")).unwrap()),
        ("its statements are a file", &|s| {
            fs::remove_dir_all(s.join("releases/feed/2/statements")).unwrap();
            fs::write(s.join("releases/feed/2/statements"), b"").unwrap();
        }),
        ("its statements are a link loop", &|s| link_loop(&s.join("releases/feed/2/statements"))),
        ("its statements are a pipe", &|s| {
            fs::remove_dir_all(s.join("releases/feed/2/statements")).unwrap();
            pipe(&s.join("releases/feed/2/statements"));
        }),
        ("its folder is a link loop", &|s| link_loop(&s.join("releases/feed/2"))),
        ("its feed's folder is a link loop", &|s| link_loop(&s.join("releases/feed"))),
        ("all releases are a file", &|s| {
            fs::remove_dir_all(s.join("releases/feed")).unwrap();
            fs::write(s.join("releases/feed"), b"").unwrap();
        }),
        ("the shown set was changed", &|s| flip(&set(s))),
        ("the shown set is gone", &|s| fs::remove_file(set(s)).unwrap()),
        ("the shown set and another release", &|s| {
            fs::remove_file(set(s)).unwrap();
            flip(&s.join("releases/auto/1/verdicts.json"));
        }),
        ("the shown set is a link loop", &|s| link_loop(&set(s))),
        ("the pointer is a link loop", &|s| link_loop(&s.join("channels/c/pointer"))),
        ("the channel's folder is gone", &|s| fs::remove_dir_all(s.join("channels/c")).unwrap()),
        ("the channel's folder is a link loop", &|s| link_loop(&s.join("channels/c"))),
        ("the channel's folder is a pipe", &|s| {
            fs::remove_dir_all(s.join("channels/c")).unwrap();
            pipe(&s.join("channels/c"));
        }),
        ("the pointer is a folder", &|s| folder(&s.join("channels/c/pointer"))),
        ("the next pointer is a folder", &|s| folder(&s.join("channels/c/.new-pointer"))),
        ("what was told of a clash is a folder", &|s| folder(&s.join("channels/c/refused"))),
        ("what was told of a clash is a pipe", &|s| pipe(&s.join("channels/c/refused"))),
        ("the access log's head", &|s| flip(&s.join("log/access/checkpoint"))),
        ("the access log's key is gone", &|s| fs::remove_file(s.join("log/access.key")).unwrap()),
        ("the journal is a folder", &|s| folder(&s.join("log/access/journal"))),
        ("the journal is a pipe", &|s| pipe(&s.join("log/access/journal"))),
        ("the slot is a folder", &|s| folder(&s.join("inbox/slot"))),
        ("the slot is a pipe", &|s| pipe(&s.join("inbox/slot"))),
        ("nonsense in the inbox", &|s| fs::write(s.join("inbox/0.json"), b"{").unwrap()),
        ("a folder in the inbox", &|s| folder(&s.join("inbox/0.json"))),
        ("a pipe in the inbox", &|s| pipe(&s.join("inbox/0.json"))),
        ("a long item in the inbox", &|s| long_item(&s.join("inbox/0.json"))),
        ("a name in the state", &unreadable_name),
        ("a name in the spool", &|s| unreadable_name(&s.join("spool"))),
        ("a name in the inbox", &|s| unreadable_name(&s.join("inbox"))),
        ("a name beside the keyrings", &|s| unreadable_name(&s.join("keyring"))),
        ("a name in the channel", &|s| unreadable_name(&s.join("channels/c"))),
        ("a name in the log", &|s| unreadable_name(&s.join("log/import"))),
        ("the lock is a folder", &|s| folder(&s.join("lock"))),
    ];
    let mut wrong = Vec::new();
    for (what, damage) in rows {
        copy(&saved, &state);
        let server = Server::start(&world, "serve");
        assert!(server.get("/c/a.hdb", "").body.contains("Other"));
        damage(&state);
        let handed_in = world.hand_in("feed/2", &statement, &signature);
        let is_gone = || !server.get("/c/a.hdb", "").body.contains("Other");
        let left = (0..100).any(|_| {
            is_gone() || {
                sleep(Duration::from_millis(50));
                false
            }
        });
        let log = world.relay(&["releases"]);
        if !left || log.out.lines().any(|line| line.contains("feed/2") && line.contains("published")) {
            wrong.push(format!("{what}: it is still shown\n{}{}", handed_in.out, handed_in.err));
        }
        // Whatever is still damaged, the next command goes on.
        let settled = world.relay(&["settle"]);
        if settled.err.contains("feed/2/statements/.new-") {
            wrong.push(format!("{what}: {}", settled.err));
        }
        if what.ends_with("in the inbox") && (settled.code != Some(0) || state.join("inbox/0.json").exists()) {
            wrong.push(format!("{what}: not set aside: {}{}", settled.out, settled.err));
        }
        drop(server);
        // One whose journal cannot be written does not start.
        if !what.starts_with("the journal") && Server::start(&world, "serve").get("/c/a.hdb", "").body.contains("Other")
        {
            wrong.push(format!("{what}: a new server shows it"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What remains of a channel is served on, where another release of it cannot be read; once that is whole again, so is
/// the channel.
#[test]
fn the_rest_of_a_channel_stays() {
    let world = world();
    let verdicts = world.state().join("releases/auto/1/verdicts.json");
    let whole = fs::read(&verdicts).unwrap();
    flip(&verdicts);
    let server = Server::start(&world, "serve");
    let ran = world.decide("feed/2", "officer", &world.officer, "withdraw");
    assert_eq!(ran.code, Some(4), "{}{}", ran.out, ran.err);
    assert_eq!(ran.json()["taken"][0]["release"], "feed/2");
    assert!(ran.err.contains("releases/auto/1/verdicts.json"), "{}", ran.err);
    until("it leaves", || server.get("/c/a.hdb", "").status == 404);
    assert_eq!(server.get("/c/b.txt", "").body.as_bytes(), digests(8));
    let sums = server.get("/c/SHA256SUMS", "").body;
    assert!(sums.contains("b.txt") && !sums.contains("a.hdb"), "{sums}");
    fs::write(&verdicts, whole).unwrap();
    world.relay(&["settle"]).expect(0);
    // The release before it is the newest that stands.
    until("the former one is back", || server.get("/c/a.hdb", "").status == 200);
    world.fsck();
}

/// A denial can be printed of a release that is damaged, and all releases of a key can be withdrawn whatever is
/// damaged.
#[test]
fn what_is_damaged_can_be_withdrawn() {
    let world = world();
    let items = world.state().join("releases/feed/2/items");
    flip(&items);
    world.import(&world.bundle("two", 1, ONE)).expect(0);
    world.decide("auto/1", "officer", &world.officer, "withdraw").expect(0);
    flip(&world.state().join("releases/feed/2/digests.json"));
    let taken = world.decide("feed/2", "officer", &world.officer, "withdraw").json()["taken"].clone();
    assert_eq!(taken, json!([{"release": "feed/2", "decision": "withdraw", "officer": "officer"}]));
    fs::remove_dir_all(world.state().join("releases/feed/1")).unwrap();
    let key = id(&world.custodian);
    let ran = direct(&world, "officer", &world.officer, &["withdraw-key", &key]);
    let taken: Vec<String> =
        ran.json()["taken"].as_array().unwrap().iter().map(|it| it["release"].to_string()).collect();
    assert_eq!(taken, ["\"feed/1\"", "\"two/1\""], "{}{}", ran.out, ran.err);
    let listed = world.relay(&["status", "--json"]);
    assert!(!listed.out.contains("\"feed/"), "{}", listed.out);
}

/// A small disk of its own in the place of the state folder; it is taken away with the value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn under(world: &World) -> Self {
        let (state, saved) = (world.state(), world.path("saved"));
        copy(&state, &saved);
        let disk = Self(state.clone());
        let options = "size=48m,nr_inodes=4000,mode=750";
        run(Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(&state)).expect(0);
        run(Command::new("cp").arg("-a").arg(saved.join(".")).arg(&state)).expect(0);
        disk
    }

    /// Writes until the disk takes no more.
    fn fill(&self) {
        let mut file = fs::File::create(self.0.join("filler")).unwrap();
        for length in [1 << 20, 4096] {
            while file.write_all(&vec![1; length]).is_ok() {}
        }
    }

    /// Makes files until the disk takes no more.
    fn fill_names(&self) {
        fs::create_dir(self.0.join("fillers")).unwrap();
        (0..1 << 20).take_while(|number| fs::File::create(self.0.join(format!("fillers/{number}"))).is_ok()).count();
    }

    fn empty(&self) {
        let _ = fs::remove_file(self.0.join("filler"));
        let _ = fs::remove_dir_all(self.0.join("fillers"));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// On a disk that is full for all other work what an officer withdraws leaves, and what is withdrawn after it does,
/// too; so it is where a cut left an import open.
#[test]
fn a_withdrawal_wins_on_a_full_disk() {
    if !rustix::process::geteuid().is_root() {
        skipped("mounting needs root");
        return;
    }
    type Fill = fn(&SmallDisk);
    let fills: [(&str, Fill, bool); 3] = [
        ("bytes", SmallDisk::fill, false),
        ("names", SmallDisk::fill_names, false),
        ("bytes, and an import that was cut", SmallDisk::fill, true),
    ];
    for (what, fill, is_cut) in fills {
        let world = world();
        for version in 3..=8 {
            let text = format!("{version:032x}:68:V-{version}\n");
            world.publish("feed", version, &[("a.hdb", text.as_bytes(), "clamav-hashes")]);
        }
        let disk = SmallDisk::under(&world);
        world.relay(&["settle"]).expect(0);
        let server = Server::start(&world, "serve");
        let next = world.bundle("auto", 2, &[("b.txt", &digests(9), "sha256-list")]);
        if is_cut {
            let library = shim(world.dir.path(), "cuts");
            let mut import = world.command(&["import", "--operator", "operator", next.to_str().unwrap()]);
            run(import.env("LD_PRELOAD", &library).env("CUT_AT", "20").env("CUT_HOW", "kill"));
        }
        fill(&disk);
        assert_ne!(world.import(&next).code, Some(0), "{what}: the disk is not full");
        for version in (1..=8).rev() {
            let release = &format!("feed/{version}");
            let text = match version {
                1 => "Eicar".to_owned(),
                2 => "Other".to_owned(),
                _ => format!("V-{version}"),
            };
            let ran = world.decide(release, "officer", &world.officer, "withdraw");
            assert_eq!(ran.json()["taken"][0]["release"], release.as_str(), "{what}: {}{}", ran.out, ran.err);
            until(&format!("{what}: {release} leaves"), || !server.get("/c/a.hdb", "").body.contains(&text));
            let log = world.relay(&["releases"]).out;
            assert!(log.lines().any(|line| line.contains(release) && line.contains("withdrawn")), "{what}: {log}");
        }
        disk.empty();
        world.relay(&["settle"]).expect(0);
        world.import(&next).expect(0);
        assert!(server.get("/c/a.hdb", "").status == 404, "{what}");
        world.fsck();
        drop(server);
    }
}

/// What is withdrawn leaves a channel, too, that the config has not for now: it comes back without it. What such a
/// channel showed takes no room for ever.
#[test]
fn a_channel_that_left_the_config_comes_back_without_what_was_withdrawn() {
    let world = world();
    let config = world.state().join("config.toml");
    let whole = fs::read_to_string(&config).unwrap();
    let without = whole.replace("[[channel]]\nname = \"c\"\nfeeds = [\"feed\", \"auto\"]\n", "");
    assert!(without.len() < whole.len());
    fs::write(&config, &without).unwrap();
    world.decide("feed/2", "officer", &world.officer, "withdraw").expect(0);
    fs::write(&config, &whole).unwrap();
    let server = Server::start(&world, "serve");
    assert!(!server.get("/c/a.hdb", "").body.contains("Other"));
    assert_eq!(server.get("/c/b.txt", "").status, 200);
    drop(server);
    world.relay(&["settle"]).expect(0);
    fs::write(&config, &without).unwrap();
    world.import(&world.bundle("auto", 2, &[("b.txt", &digests(9), "sha256-list")])).expect(0);
    let removed = world.relay(&["gc", "--yes", "--json"]).expect(0).json();
    assert!(removed["releases"].as_array().unwrap().contains(&json!("auto/1")), "{removed}");
    world.fsck();
    fs::write(&config, &whole).unwrap();
    world.relay(&["settle"]).expect(0);
    assert!(published(&world, "c").contains(&"auto/2".to_owned()));
    world.fsck();
}
