//! Appends that were cut, and entries that somebody left where one would leave its own.
#![expect(clippy::disallowed_methods, reason = "whoever tampers with a log writes as they like")]

use std::fs;
use std::path::Path;

use super::check::LogFinding;
use super::note::NoteSigner;
use super::tampering::{SIZE, Tampered, files, head_of};
use super::{pending, tiles};

/// Remains of a cut are no finding: partial files that longer ones replaced, entries without a head, files in the
/// making.
#[test]
fn what_a_cut_leaves_is_well() {
    let log = Tampered::new(SIZE);
    for older in [1, 88, 255, 256, 257, 300, 512, 513, 599] {
        for (file, bytes) in files(&log.signer, older).into_iter().filter(|(file, _)| file.starts_with("tile")) {
            log.write(file, bytes);
        }
        log.expect_well(&format!("what {older} entries left"));
    }
    // An append to 601, to 768, to 1600 entries, cut after each of its files: bundles, full tiles, partial tiles.
    for newer in [601, 767, 768, 769, 1_600] {
        let mut left: Vec<_> =
            files(&log.signer, newer).into_iter().filter(|(file, _)| file.starts_with("tile")).collect();
        left.sort_by_key(|(file, _)| (!file.starts_with("tile/entries"), file.to_string_lossy().contains(".p/")));
        for cut in 0..=left.len() {
            let head = head_of(&log.signer, newer);
            pending::write(&log.folder(), &log.signer, &head).unwrap();
            for (file, bytes) in &left[..cut] {
                log.write(file, bytes);
            }
            log.expect_well(&format!("{cut} files of an append to {newer}"));
        }
    }
    for (file, bytes) in [("tile/0/.new-003", "x"), ("tile/entries/002.p/.new-89", ""), ("tile/1/.new-000", "")] {
        log.write(file, bytes);
    }
    for folder in ["tile/0/002.p", "tile/entries/000.p", "tile/0/000.p"] {
        fs::create_dir_all(log.path(folder)).unwrap();
    }
    log.expect_well("files in the making");
    let empty = Tampered::new(0);
    assert!(matches!(empty.finding(), LogFinding::Whole { size: 0, .. }));
    empty.write("tile/0/000.p/1", "x");
    assert!(matches!(empty.finding(), LogFinding::Files { count: 1, .. }));
}

/// Entries beyond the head that the log's key did not announce are somebody else's, however well they go on.
#[test]
fn entries_that_nobody_announced_are_found() {
    let log = Tampered::new(SIZE);
    let other = NoteSigner::generate("test/1").unwrap();
    let announced = |signer: &NoteSigner, size: u64| {
        pending::write(&log.folder(), signer, &head_of(&log.signer, size)).unwrap();
    };
    for (what, announce) in [
        ("nothing", (&log.signer, 0)),
        ("the head that is signed", (&log.signer, SIZE)),
        ("fewer", (&log.signer, 605)),
        ("another key", (&other, 610)),
    ] {
        for newer in [610, 768, 1_100] {
            for (file, bytes) in files(&log.signer, newer).iter().filter(|(file, _)| file.starts_with("tile/entries")) {
                log.write(file, bytes);
            }
            announced(announce.0, announce.1);
            log.expect(false, &format!("{what} announced, {newer} there"));
        }
    }
    // Others than those announced; and a checkpoint in place of an announcement.
    let mut made_up = files(&log.signer, 609)[Path::new("tile/entries/002.p/97")].clone();
    tiles::push(&mut made_up, b"{\"number\":4711}").unwrap();
    announced(&log.signer, 610);
    log.write("tile/entries/002.p/98", &made_up);
    log.expect(false, "other entries than announced");
    log.write("tile/entries/002.p/98", &files(&log.signer, 610)[Path::new("tile/entries/002.p/98")]);
    log.write("pending", &files(&log.signer, 610)[Path::new("checkpoint")]);
    log.expect(false, "a checkpoint announced");
    log.write("pending", "x");
    log.expect(true, "an announcement that was changed, and no entries");
    announced(&log.signer, SIZE);
    let note = fs::read_to_string(log.path("pending")).unwrap();
    assert_eq!(log.verifier().head(&note), None, "it passes for no checkpoint");
}
