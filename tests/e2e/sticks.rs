//! Media that fail or lie while they are read, and the promise that each byte is read once.

use std::fs;

use super::support::*;

#[test]
fn a_lying_or_failing_stick_is_refused_and_another_copy_imports() {
    let world = World::new();
    let stick = shim(world.dir.path(), "stick");
    let folder = world.bundle("feed", 1, ONE);
    let name = |file: &str| fs::metadata(folder.join(file)).unwrap().len().to_string();
    let payload = name("payload.tar.gz");
    let before = world.stored();
    let mut refused = 0;
    for (file, how, at, reason) in [
        ("payload.tar.gz", "eio", "0", "medium-unreadable"),
        ("payload.tar.gz", "eio", "100", "medium-unreadable"),
        ("payload.tar.gz", "eio", &payload, "medium-unreadable"),
        ("payload.tar.gz", "end", "0", "medium-changed"),
        ("payload.tar.gz", "end", "100", "medium-changed"),
        ("payload.tar.gz", "more", "0", "medium-changed"),
        ("payload.tar.gz", "flip", "100", "payload-digest"),
        ("manifest.json", "eio", "0", "medium-unreadable"),
        ("manifest.json", "end", "100", "medium-changed"),
        ("manifest.json", "more", "0", "medium-changed"),
        ("manifest.json", "flip", "100", "signature-invalid"),
        ("manifest.json.minisig", "eio", "10", "medium-unreadable"),
        ("manifest.json.minisig", "end", "10", "medium-changed"),
    ] {
        let mut command = world.command(&["import", "--operator", "operator", "--json", folder.to_str().unwrap()]);
        command.env("LD_PRELOAD", &stick).env("STICK", world.path("stick"));
        let ran = run(command.env("STICK_FILE", file).env("STICK_HOW", how).env("STICK_AT", at)).expect(3);
        let report = ran.json();
        assert_eq!(report["bundles"][0]["refused"]["reason"], reason, "{file} {how} {at}: {}", ran.err);
        assert_eq!(world.stored(), before, "{file} {how} {at}");
        assert!(tree(&world.state().join("spool")).is_empty(), "{file} {how} {at}");
        refused += 1;
        let outcomes = world.log("import").iter().filter(|e| e["type"] == "import-refused").count();
        assert_eq!(outcomes, refused, "{file} {how} {at}");
    }
    world.import(&folder).expect(0);
    world.fsck();
}

#[test]
fn each_byte_is_read_off_the_medium_once() {
    let world = World::new();
    let lines: Vec<u8> = digests(20_000);
    let folder = world.bundle("feed", 1, &[("a.hdb", HASHES, "clamav-hashes"), ("l.txt", &lines, "sha256-list")]);
    fs::write(world.path("stick/unrelated.bin"), vec![0; 1 << 20]).unwrap();
    let mut command = world.command(&["import", "--operator", "operator", world.path("stick").to_str().unwrap()]);
    command.env("LD_PRELOAD", shim(world.dir.path(), "stick")).env("STICK", world.path("stick"));
    let told = run(command.env("STICK_COUNT", "1")).expect(0).err;
    // The reader's words, told by the process that started it.
    let words = |line: &str| line.split_once("read off the medium: ")?.1.parse::<u64>().ok();
    let read: u64 = told.lines().filter_map(words).sum();
    let wanted: u64 = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert_eq!(read, wanted, "the bundle once, and nothing of the unrelated file");
}
