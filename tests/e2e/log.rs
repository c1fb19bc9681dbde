//! The logs against someone who edits, cuts, forks and restores them; and other people's checkers.

use std::fs;
use std::path::{Path, PathBuf};

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
        bad @ LogFinding::Bad { .. } => panic!("{bad:?}"),
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
    // Hashes of old entries name the first bad one, and nothing rests on them.
    let tile = folder.join("tile/0/000");
    let good = fs::read(&tile).unwrap();
    for length in 0..good.len() {
        fs::write(&tile, &good[..length]).unwrap();
        assert_eq!(whole(&folder), 260);
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
    // Tiles at the edge can be derived.
    for path in ["tile/0/001.p/4", "tile/1/000.p/1"] {
        let good = fs::read(folder.join(path)).unwrap();
        for length in 0..good.len() {
            fs::write(folder.join(path), &good[..length]).unwrap();
            assert_eq!(Log::open(&folder).unwrap().size(), 260);
        }
        fs::remove_file(folder.join(path)).unwrap();
        assert_eq!(Log::open(&folder).unwrap().size(), 260);
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
        let count = drain(&folder, &mut log, Timestamp::from_secs(1), 1 << 20).unwrap();
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
    gaprelay::log::writer::each_from(&folder, &read_vkey(&folder).unwrap(), 0, |_, entry| {
        if let Event::Attempt(attempt) = entry.event {
            found.push(attempt.label);
        }
    })
    .unwrap();
    assert_eq!(found, expected);
}
