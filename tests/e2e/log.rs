//! The logs against someone who edits, cuts, forks and restores them; and other people's checkers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base::{Fault, Timestamp};
use gaprelay::log::{Event, Log};
use tlog::check::{LogFinding, check, read_vkey};

use super::support::*;

fn event(i: u64) -> Event {
    Event::MediumRead { bundles: i, unrelated: 7, unchanged: true }
}

/// A log of `size` entries, appended in batches of every length.
fn make(folder: &Path, size: u64) {
    Log::create(folder, "test/import/1").unwrap();
    let mut log = Log::open(folder).unwrap();
    let (mut next, mut batch) = (0, 1);
    while next < size {
        let end = (next + batch).min(size);
        log.append(Timestamp::from_secs(next), (next..end).map(event).collect()).unwrap();
        next = end;
        batch = batch * 3 % 301 + 1;
        // Opening again in between must not matter.
        if batch % 2 == 0 {
            log = Log::open(folder).unwrap();
        }
    }
    assert_eq!(log.size(), size);
}

fn finding(folder: &Path) -> LogFinding {
    check(folder, &read_vkey(folder).unwrap(), |_, _, _| {}).unwrap()
}

fn whole(folder: &Path) -> u64 {
    match finding(folder) {
        LogFinding::Whole { size, .. } => size,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_changed_log_is_found_and_the_entry_named() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("log");
    make(&folder, 600);
    assert_eq!(whole(&folder), 600);
    let bundle = folder.join("tile/entries/001");
    let good = fs::read(&bundle).unwrap();
    let text = String::from_utf8_lossy(&good).into_owned();
    let at = text.find("\"bundles\":300,").unwrap();
    let mut edited = good.clone();
    edited[at + 10] = b'4';
    fs::write(&bundle, &edited).unwrap();
    assert!(matches!(finding(&folder), LogFinding::Bad { entry: Some(300), .. }), "{:?}", finding(&folder));
    // The entry and its tile both changed: the root still tells.
    let tile = folder.join("tile/0/001");
    let hashes = fs::read(&tile).unwrap();
    let mut forged = hashes.clone();
    let start = tlog::tiles::entries(&edited).unwrap()[300 - 256].to_vec();
    forged[44 * 32..45 * 32].copy_from_slice(&tlog::tree::leaf(&start));
    fs::write(&tile, &forged).unwrap();
    assert!(matches!(finding(&folder), LogFinding::Bad { entry: None, .. }), "{:?}", finding(&folder));
    fs::write(&tile, &hashes).unwrap();
    fs::write(&bundle, &good).unwrap();
    // Cut, reordered, gone.
    fs::write(&bundle, &good[..good.len() - 1]).unwrap();
    assert!(matches!(finding(&folder), LogFinding::Bad { entry: Some(256), .. }));
    fs::remove_file(&bundle).unwrap();
    assert!(matches!(finding(&folder), LogFinding::Bad { entry: Some(256), .. }));
    fs::write(&bundle, &good).unwrap();
    fs::write(folder.join("checkpoint"), "x").unwrap();
    assert!(matches!(finding(&folder), LogFinding::Bad { entry: None, .. }));
    assert!(matches!(Log::open(&folder), Err(Fault::Damaged { .. })));
}

/// Each file of a log cut at every byte: the log is whole, or its damage is named; what can be derived is.
#[test]
fn cut_at_every_byte() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("log");
    make(&folder, 260);
    for path in ["tile/entries/001.p/4", "checkpoint"] {
        let path = folder.join(path);
        let good = fs::read(&path).unwrap();
        for length in 0..good.len() {
            fs::write(&path, &good[..length]).unwrap();
            let opened = Log::open(&folder);
            assert!(matches!(opened, Err(Fault::Damaged { .. })), "{} at {length}", path.display());
            assert!(matches!(finding(&folder), LogFinding::Bad { .. }), "{} at {length}", path.display());
        }
        fs::write(&path, &good).unwrap();
        assert_eq!(whole(&folder), 260);
    }
    // An old bundle is not needed to go on; that it is not whole is found, and the entry named.
    let bundle = folder.join("tile/entries/000");
    let good = fs::read(&bundle).unwrap();
    for length in 0..good.len() {
        fs::write(&bundle, &good[..length]).unwrap();
        assert!(matches!(finding(&folder), LogFinding::Bad { entry: Some(0..=255), .. }), "{length}");
    }
    fs::write(&bundle, &good).unwrap();
    // Hashes of old entries are not needed to go on either; that they are not whole is found.
    let tile = folder.join("tile/0/000");
    let good = fs::read(&tile).unwrap();
    for length in (0..good.len()).step_by(8) {
        fs::write(&tile, &good[..length]).unwrap();
        assert!(matches!(finding(&folder), LogFinding::Files { size: 260, count: 1, .. }), "{length}");
        assert_eq!(Log::open(&folder).unwrap().size(), 260);
    }
    fs::write(&tile, &good).unwrap();
    // The keys: without the public one nothing is believed, without the secret one nothing is appended.
    let (public, secret) = (folder.join("vkey"), folder.with_extension("key"));
    for (path, is_public) in [(public, true), (secret, false)] {
        let good = fs::read(&path).unwrap();
        // The last byte is a line end.
        for length in 0..good.len() - 1 {
            fs::write(&path, &good[..length]).unwrap();
            if is_public {
                assert!(matches!(read_vkey(&folder), Err(Fault::Damaged { .. })), "{length}");
            } else {
                assert!(matches!(Log::open(&folder), Err(Fault::Damaged { .. })), "{length}");
            }
        }
        fs::write(&path, &good).unwrap();
    }
    // Tiles at the edge are not synced, so that a cut can take them: they are derived, and written again.
    for path in ["tile/0/001.p/4", "tile/1/000.p/1"] {
        let good = fs::read(folder.join(path)).unwrap();
        for length in 0..good.len() {
            fs::write(folder.join(path), &good[..length]).unwrap();
            assert!(matches!(finding(&folder), LogFinding::Files { .. }), "{path} at {length}");
            assert_eq!(Log::open(&folder).unwrap().size(), 260);
            assert_eq!(whole(&folder), 260);
        }
        fs::remove_file(folder.join(path)).unwrap();
        assert_eq!(Log::open(&folder).unwrap().size(), 260);
        assert_eq!(whole(&folder), 260);
    }
    let mut log = Log::open(&folder).unwrap();
    log.append(Timestamp::from_secs(1), vec![event(1)]).unwrap();
    assert_eq!(whole(&folder), 261);
}

/// Entries that are durable but not promised yet are completed, not written over.
#[test]
fn an_append_that_was_cut_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("log");
    make(&folder, 250);
    let checkpoint = fs::read(folder.join("checkpoint")).unwrap();
    let before = fs::read(folder.join("tile/entries/000.p/250")).unwrap();
    let mut log = Log::open(&folder).unwrap();
    log.append(Timestamp::from_secs(1), (0..20).map(event).collect()).unwrap();
    let after = tree(&folder);
    // As if the power had gone before the head was signed.
    fs::write(folder.join("checkpoint"), &checkpoint).unwrap();
    fs::create_dir_all(folder.join("tile/entries/000.p")).unwrap();
    fs::write(folder.join("tile/entries/000.p/250"), &before).unwrap();
    assert_eq!(Log::open(&folder).unwrap().size(), 270);
    assert_eq!(whole(&folder), 270);
    let names = |tree: std::collections::BTreeMap<String, String>| {
        tree.into_keys().filter(|k| !k.contains(".p")).collect::<Vec<_>>()
    };
    assert_eq!(names(tree(&folder)), names(after));
}

/// Every file of a log changed, then an append: it is refused and nothing is written, or what it signs is the log of
/// before with one more entry, and every entry of before is where it was.
#[test]
fn an_append_to_a_damaged_log_signs_nothing_wrong_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (kept, folder) = (dir.path().join("kept"), dir.path().join("log"));
    let entries = |folder: &Path| {
        let mut entries = Vec::new();
        let found = check(folder, &read_vkey(folder).unwrap(), |_, bytes, _| entries.push(bytes.to_vec())).unwrap();
        (found, entries)
    };
    let (mut refused, mut appended) = (0, 0);
    for size in [600, 512, 255] {
        let _ = fs::remove_dir_all(&kept);
        make(&kept, size);
        let former = entries(&kept).1;
        let paths: Vec<PathBuf> = tree(&kept).into_keys().map(PathBuf::from).filter(|path| path.is_file()).collect();
        for file in paths.iter().map(|path| path.strip_prefix(&kept).unwrap()) {
            let good = fs::read(kept.join(file)).unwrap();
            let mut changes = vec![Vec::new(), good[..good.len() / 2].to_vec(), [&good[..], &good[..]].concat()];
            for at in [0, good.len() / 3, good.len() / 2, good.len() - 2] {
                let mut flipped = good.clone();
                flipped[at] ^= 1;
                changes.push(flipped);
            }
            for bytes in changes {
                let _ = fs::remove_dir_all(&folder);
                copy(&kept, &folder);
                fs::copy(kept.with_extension("key"), folder.with_extension("key")).unwrap();
                fs::write(folder.join(file), bytes).unwrap();
                let before = tree(&folder);
                let appended_to =
                    Log::open(&folder).and_then(|mut log| log.append(Timestamp::from_secs(9_999), vec![event(9_999)]));
                match appended_to {
                    Err(Fault::Damaged { .. }) => {
                        assert_eq!(tree(&folder), before, "{}", file.display());
                        refused += 1;
                    }
                    Err(fault) => panic!("{}: {fault}", file.display()),
                    Ok(()) => {
                        // What was changed is put back, if it is still needed; hashes are made anew.
                        if folder.join(file).exists() && !file.ends_with("checkpoint") {
                            fs::write(folder.join(file), &good).unwrap();
                        }
                        tlog::rebuild::rebuild(&folder, &read_vkey(&kept).unwrap()).unwrap();
                        let (found, now) = entries(&folder);
                        assert!(matches!(found, LogFinding::Whole { .. }), "{}: {found:?}", file.display());
                        assert_eq!(now[..now.len() - 1], former, "{}", file.display());
                        appended += 1;
                    }
                }
            }
        }
    }
    assert!(refused > 30 && appended > 30, "{refused} {appended}");
}

/// Entries beyond the signed head are promised where a cut append left them, and only as they go on where the head
/// ends.
#[test]
fn entries_without_a_head_that_do_not_go_on_are_not_promised() {
    let dir = tempfile::tempdir().unwrap();
    let (other, folder) = (dir.path().join("other"), dir.path().join("log"));
    make(&folder, 250);
    Log::create(&other, "test/import/1").unwrap();
    let events = (0..256).map(|i| event(i + 1_000)).collect();
    Log::open(&other).unwrap().append(Timestamp::from_secs(1), events).unwrap();
    let foreign = fs::read(other.join("tile/entries/000")).unwrap();
    let own = fs::read(folder.join("tile/entries/000.p/250")).unwrap();
    let (mut unread, mut empty) = (own.clone(), own.clone());
    tlog::tiles::push(&mut unread, b"no entry").unwrap();
    tlog::tiles::push(&mut empty, b"").unwrap();
    for (name, bytes) in [
        ("000", &foreign),
        ("000", &own),
        ("000", &Vec::new()),
        ("000.p/251", &own),
        ("000.p/251", &unread),
        ("000.p/251", &empty),
        ("000.p/252", &foreign),
        ("000.p/255", &[&own[..], &own[..]].concat()),
    ] {
        let path = folder.join("tile/entries").join(name);
        fs::write(&path, bytes).unwrap();
        let before = tree(&folder);
        let opened = Log::open(&folder).map(|log| log.size());
        assert!(matches!(opened, Err(Fault::Damaged { .. })), "{name}: {opened:?}");
        assert_eq!(tree(&folder), before, "{name}");
        fs::remove_file(path).unwrap();
        assert_eq!(Log::open(&folder).unwrap().size(), 250);
    }
}

/// Digests of the files below a folder.
fn content(folder: &Path) -> Vec<(String, Option<String>)> {
    tree(folder).into_iter().map(|(path, what)| (path, what.split(' ').nth(2).map(str::to_owned))).collect()
}

/// An append that was cut between its bundles: no head over any of its entries was signed, and they are gone; the next
/// append takes their numbers. Beside an old checkpoint that was put back nothing is removed.
#[test]
fn an_append_cut_between_its_bundles_never_happened() {
    let dir = tempfile::tempdir().unwrap();
    let (kept, folder) = (dir.path().join("kept"), dir.path().join("log"));
    make(&kept, 250);
    let fresh = || {
        let _ = fs::remove_dir_all(&folder);
        copy(&kept, &folder);
        fs::copy(kept.with_extension("key"), folder.with_extension("key")).unwrap();
    };
    fresh();
    let mut log = Log::open(&folder).unwrap();
    log.append(Timestamp::from_secs(9_999), (1_000..2_000).map(event).collect()).unwrap();
    let after = dir.path().join("after");
    copy(&folder, &after);
    for last in 0..=3 {
        fresh();
        fs::copy(after.join("pending"), folder.join("pending")).unwrap();
        for index in 0..=last {
            let name = format!("tile/entries/00{index}");
            fs::copy(after.join(&name), folder.join(name)).unwrap();
        }
        assert_eq!(whole(&folder), 250, "a cut is no finding");
        let mut log = Log::open(&folder).unwrap();
        assert_eq!(log.size(), 250);
        log.append(Timestamp::from_secs(9_999), vec![event(1)]).unwrap();
        assert_eq!(whole(&folder), 251);
        assert_eq!(Log::open(&folder).unwrap().size(), 251);
    }
    // All bundles: the append is finished.
    fresh();
    fs::copy(after.join("pending"), folder.join("pending")).unwrap();
    copy(&after.join("tile/entries"), &folder.join("tile/entries"));
    fs::create_dir(folder.join("tile/entries/000.p")).unwrap();
    fs::copy(kept.join("tile/entries/000.p/250"), folder.join("tile/entries/000.p/250")).unwrap();
    assert_eq!(Log::open(&folder).unwrap().size(), 1_250);
    assert_eq!(fs::read(folder.join("checkpoint")).unwrap(), fs::read(after.join("checkpoint")).unwrap());
    // An old checkpoint, and the newest bundle gone.
    copy(&after, &folder);
    fs::copy(kept.join("checkpoint"), folder.join("checkpoint")).unwrap();
    fs::remove_dir_all(folder.join("tile/entries/004.p")).unwrap();
    let before = tree(&folder);
    assert!(matches!(Log::open(&folder), Err(Fault::Damaged { .. })));
    assert_eq!(tree(&folder), before);
}

/// Somebody who can write to the state folder, and has no key, adds an entry as a cut append would leave it: nothing
/// signs it, and every command that looks says so.
#[test]
fn entries_that_somebody_else_added_are_not_signed() {
    let world = World::new();
    let size = world.log("import").len();
    let folder = world.state().join("log/import");
    let bundles = folder.join("tile/entries/000.p");
    let mut bytes = fs::read(bundles.join(size.to_string())).unwrap();
    let made_up = gaprelay::log::Entry { time: Timestamp::from_secs(1), event: event(4_711) };
    tlog::tiles::push(&mut bytes, &serde_json::to_vec(&made_up).unwrap()).unwrap();
    fs::write(bundles.join((size + 1).to_string()), &bytes).unwrap();
    let before = content(&folder);
    for args in [&["log", "verify"][..], &["fsck"], &["settle"], &["log", "rebuild"]] {
        let ran = world.relay(args).expect(4);
        assert!(ran.err.contains("did not announce"), "{args:?}: {}", ran.err);
    }
    assert_eq!(content(&folder), before);
    assert_eq!(world.log("import").len(), size);
    fs::remove_file(bundles.join((size + 1).to_string())).unwrap();
    world.relay(&["settle"]).expect(0);
    world.relay(&["log", "verify"]).expect(0);
}

/// Hashes of a relay's logs that were changed: both commands that look say so and name the one that helps; it makes
/// them anew, and programs of other people agree. Where an entry was changed it does nothing.
#[test]
fn hashes_are_made_anew_from_the_entries() {
    let world = World::new();
    for version in 1..4 {
        let bundle = world.bundle("auto", version, ONE);
        world.relay(&["import", bundle.to_str().unwrap(), "--operator", "o"]).expect(0);
    }
    let server = Server::start(&world, "serve");
    server.ask("POST", "/x", "");
    assert_eq!(server.stop(), Some(0));
    world.relay(&["settle"]).expect(0);
    let ran = world.relay(&["log", "rebuild"]).expect(0);
    assert!(ran.out.contains("nothing had to be made anew"), "{}", ran.out);
    let before = (content(&world.state().join("log/import")), content(&world.state().join("log/access")));
    let (size, attempts) = (world.log("import").len(), world.log("access").len());
    let (import, access) = (world.state().join("log/import"), world.state().join("log/access"));
    let tile = import.join(format!("tile/0/000.p/{size}"));
    let mut flipped = fs::read(&tile).unwrap();
    flipped[40] ^= 4;
    fs::write(&tile, &flipped).unwrap();
    fs::write(import.join("tile/0/\u{1b}[31m"), "x").unwrap();
    fs::remove_file(access.join(format!("tile/0/000.p/{attempts}"))).unwrap();
    let ran = world.relay(&["log", "verify"]).expect(4);
    for words in [
        &format!("tile/0/000.p/{size} was changed"),
        &format!("tile/0/000.p/{attempts} is missing"),
        "does not belong to the log",
        "gaprelay log rebuild",
    ] {
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
    }
    assert!(!ran.err.contains('\u{1b}'), "{}", ran.err);
    let told = world.relay(&["log", "verify", "--json"]).expect(4).json();
    assert_eq!((&told[0]["whole"], &told[0]["size"]), (&false.into(), &size.into()));
    assert_eq!(told[0]["files"].as_array().map(Vec::len), Some(2), "{told}");
    let ran = world.relay(&["fsck"]).expect(4);
    assert!(ran.err.matches("Have them made anew from the entries: gaprelay log rebuild").count() == 2, "{}", ran.err);
    if let Some(mut go) = go(world.dir.path()) {
        assert_ne!(run(go.arg(&import)).code, Some(0), "the changed hash is found by others too");
    }
    let ran = world.relay(&["log", "rebuild"]).expect(0);
    assert!(ran.out.contains(&format!("made anew: tile/0/000.p/{size}")), "{}", ran.out);
    assert!(ran.out.contains("removed: tile/0/\\u{1b}[31m"), "{}", ran.out);
    world.relay(&["log", "verify"]).expect(0);
    world.fsck();
    assert_eq!((content(&import), content(&access)), before);
    if let Some(mut go) = go(world.dir.path()) {
        run(go.arg(&import)).expect(0);
    }
    if let Some(python) = python_with("pymerkle") {
        let script = TOP.join("tests/e2e/checker.py");
        run(Command::new(&python).arg(script).arg(&import).arg(import.join("checkpoint"))).expect(0);
    }
    // An entry that was changed: its hash tells, and is not made to fit; the other log is mended all the same.
    let bundle = import.join(format!("tile/entries/000.p/{size}"));
    let mut edited = fs::read(&bundle).unwrap();
    let at = edited.windows(4).position(|w| w == b"auto").unwrap();
    edited[at] = b'A';
    fs::write(&bundle, edited).unwrap();
    fs::write(&tile, flipped).unwrap();
    fs::remove_file(access.join(format!("tile/0/000.p/{attempts}"))).unwrap();
    let before_import = content(&import);
    let ran = world.relay(&["log", "rebuild"]).expect(4);
    assert!(ran.err.contains("nothing was changed"), "{}", ran.err);
    assert_eq!((content(&import), content(&access)), (before_import, before.1));
}

/// `--since` looks for a moment by halves: so time must not go back, whatever the clock does.
#[test]
fn time_does_not_go_back_in_a_log() {
    use gaprelay::log::search::first_since;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("log");
    Log::create(&folder, "test/import/1").unwrap();
    let mut log = Log::open(&folder).unwrap();
    for second in [10, 20, 15, 30, 30, 5, 40] {
        log.append(Timestamp::from_secs(second), (0..100).map(event).collect()).unwrap();
        log = Log::open(&folder).unwrap();
    }
    for (since, first) in [(0, 0), (10, 0), (11, 100), (20, 100), (21, 300), (30, 300), (31, 600), (41, 700)] {
        assert_eq!(first_since(&folder, 700, Timestamp::from_secs(since)).unwrap(), first, "{since}");
    }
}

/// Go's `sumdb/note` and `sumdb/tlog`, from Debian's packages: none of our code.
#[test]
fn go_agrees() {
    let dir = tempfile::tempdir().unwrap();
    if go(dir.path()).is_none() {
        return;
    }
    let folder = dir.path().join("log");
    make(&folder, 700);
    let verify = |folder: &PathBuf| run(go(dir.path()).unwrap().arg(folder));
    let ran = verify(&folder).expect(0);
    assert!(ran.out.contains("700 entries agree"), "{}", ran.out);
    let bundle = folder.join("tile/entries/002.p/188");
    let mut edited = fs::read(&bundle).unwrap();
    let at = edited.windows(13).position(|w| w == b"\"bundles\":600").unwrap();
    edited[at + 12] = b'1';
    fs::write(&bundle, edited).unwrap();
    let ran = verify(&folder);
    assert!(ran.err.contains("entry 600 altered"), "{} {}", ran.out, ran.err);
}

/// An entry that does not fit changes nothing, in memory either: those beside it are not in the log by the next append.
#[test]
fn an_entry_that_is_too_long_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("log");
    make(&folder, 3);
    let mut log = Log::open(&folder).unwrap();
    let (head, floor) = (log.head(), log.floor());
    let oversized = Event::ImportFailed { fault: "x".repeat(1 << 16) };
    let failed = log.append(Timestamp::from_secs(1 << 40), vec![event(90), oversized, event(91)]);
    assert!(matches!(failed, Err(Fault::Internal(_))));
    assert_eq!((log.head(), log.floor()), (head, floor));
    log.append(Timestamp::from_secs(1 << 31), vec![event(92)]).unwrap();
    assert_eq!(log.size(), 4);
    drop(log);
    assert!(matches!(check(&folder, &read_vkey(&folder).unwrap(), |_, _, _| ()).unwrap(), LogFinding::Whole { .. }));
}

#[test]
fn the_command_names_the_damage() {
    let world = World::new();
    let ran = world.relay(&["log", "verify", "--json"]).expect(0).json();
    assert_eq!((ran[0]["size"].as_u64(), ran[1]["size"].as_u64()), (Some(1), Some(0)));
    let path = world.state().join("log/import/tile/entries/000.p/1");
    let mut edited = fs::read(&path).unwrap();
    let at = edited.windows(4).position(|w| w == b"test").unwrap();
    edited[at + 3] = b'T';
    fs::write(&path, edited).unwrap();
    let ran = world.relay(&["log", "verify"]).expect(4);
    assert!(ran.err.contains("entry 0:"), "{}", ran.err);
}

/// An access log that was swapped or cut takes no evidence, which would be gone with it; and it keeps no withdrawal
/// from being followed, nor lets anything new be shown.
#[test]
fn a_swapped_access_log_takes_no_evidence_and_stops_no_withdrawal() {
    let world = World::new();
    let attempt = |label: &str| {
        let line = serde_json::json!({ "id": 1, "at": "2026-01-01T00:00:00Z", "count": 1, "label": label, "submission": true,
            "agent": "10.0.0.1", "port": 1, "listener": "10.0.0.2:80", "method": "PUT", "target": "/x", "status": 405,
            "bytes_received": 9 });
        fs::write(world.state().join("log/access/journal"), format!("{line}\n")).unwrap();
    };
    let (access, saved) = (world.state().join("log/access"), world.path("access"));
    copy(&access, &saved);
    world.publish("feed", 1, ONE);
    attempt("one");
    world.relay(&["settle"]).expect(0);
    let kept = world.path("kept");
    copy(&access, &kept);
    copy(&saved, &access);
    attempt("two");
    let ran = world.relay(&["settle"]).expect(4);
    assert!(ran.err.contains("shorter than the import log says"), "{}", ran.err);
    let journal = fs::read_to_string(access.join("journal")).unwrap();
    assert!(journal.contains("\"two\""), "the evidence went into a log that is not ours: {journal}");
    let args = ["approve", "feed/1", "--officer", "officer", "--reason", "bad", "--decision", "withdraw"];
    let text = world.relay(&args).expect(0).out;
    world.hand_in("feed/1", &text, &world.officer.sign(text.as_bytes(), "x"));
    let shown = world.relay(&["status", "--json"]).json();
    assert_eq!(shown["channels"][0]["releases"], serde_json::json!([]), "{shown}");
    // The log restored, the evidence is there.
    fs::copy(access.join("journal"), kept.join("journal")).unwrap();
    copy(&kept, &access);
    world.relay(&["settle"]).expect(0);
    let labels: Vec<_> = world.attempts().iter().map(|it| it["label"].as_str().unwrap().to_owned()).collect();
    assert_eq!(labels, ["one", "two"]);
}

/// The server's journal cut at every byte: what is whole becomes an entry, what is not is evidence too, and nothing
/// stops.
#[test]
fn a_journal_cut_at_every_byte_is_taken_in() {
    use gaprelay::log::journal::drain;
    use serve::journal::{Attempt, Journal};
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("log");
    Log::create(&folder, "test/access/1").unwrap();
    let mut log = Log::open(&folder).unwrap();
    let path = folder.join("journal");
    let attempt = |label: &str| Attempt { count: 1, label: label.into(), ..Attempt::default() };
    Journal::open(&path, 1 << 20).unwrap().append(&[attempt("one"), attempt("two")]).unwrap();
    // What is written ends a line that was cut before.
    let good = fs::read(&path).unwrap().strip_prefix(b"\n").unwrap().to_vec();
    let first = good.iter().position(|byte| *byte == b'\n').unwrap();
    let mut expected = Vec::new();
    for length in 0..=good.len() {
        fs::write(&path, &good[..length]).unwrap();
        let count = drain(&folder, &mut log, Timestamp::from_secs(1), 1 << 20).unwrap().attempts;
        let labels: &[&str] = match length {
            0 => &[],
            length if length < first => &["journal-damaged"],
            length if length < first + 2 => &["one"],
            length if length < good.len() - 1 => &["one", "journal-damaged"],
            _ => &["one", "two"],
        };
        assert_eq!(count, labels.len(), "{length}");
        expected.extend_from_slice(labels);
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    }
    let mut found = Vec::new();
    gaprelay::log::reading::each_from(&folder, &read_vkey(&folder).unwrap(), 0, |_, entry| {
        if let Event::Attempt(attempt) = entry.event {
            found.push(attempt.label);
        }
    })
    .unwrap();
    assert_eq!(found, expected);
}
