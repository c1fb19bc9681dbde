//! Tampering with a log, as by somebody who can write to its folder: every file of it changed in every way that such
//! people, disks and cut copies change files. All of it is found, and what follows from the entries is made anew.
#![expect(clippy::disallowed_methods, reason = "whoever tampers with a log writes as they like")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::check::{LogFinding, check};
use super::note::{Checkpoint, NoteSigner, Verifier};
use super::rebuild::rebuild;
use super::tiles;
use super::tree::{Edge, WIDTH, leaf};

pub(crate) const SIZE: u64 = 600;

fn entry(number: u64) -> Vec<u8> {
    format!("{{\"number\":{number}}}").into_bytes()
}

/// Files of a log of `size` entries, by their path, made without the code that is tested.
pub(crate) fn files(signer: &NoteSigner, size: u64) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let (mut edge, mut full, mut bundle) = (Edge::default(), Vec::new(), Vec::new());
    for number in 0..size {
        tiles::push(&mut bundle, &entry(number)).unwrap();
        edge.push(leaf(&entry(number)), &mut full);
        let width = usize::try_from(number % 256).unwrap() + 1;
        if width == WIDTH || number + 1 == size {
            files.insert(tiles::bundle_path(number / 256, width).into(), std::mem::take(&mut bundle));
        }
    }
    for tile in full.into_iter().chain(edge.partial()) {
        let path = tiles::tile_path(tile.level, tile.index, tile.hashes.len());
        files.insert(path.into(), tile.hashes.as_flattened().to_vec());
    }
    let head = Checkpoint { origin: "test/1".into(), size, root: edge.root() };
    files.insert("checkpoint".into(), signer.sign(&head.to_text()).into_bytes());
    files.insert("vkey".into(), format!("{}\n", signer.verifier().to_text()).into_bytes());
    files
}

pub(crate) fn head_of(signer: &NoteSigner, size: u64) -> Checkpoint {
    let note = files(signer, size).remove(Path::new("checkpoint")).unwrap();
    signer.verifier().head(str::from_utf8(&note).unwrap()).unwrap()
}

pub(crate) struct Tampered {
    dir: tempfile::TempDir,
    pub(crate) signer: NoteSigner,
    good: BTreeMap<PathBuf, Vec<u8>>,
}

impl Tampered {
    pub(crate) fn new(size: u64) -> Self {
        // In memory where there is such a place: what is made anew is synced each time.
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let signer = NoteSigner::generate("test/1").unwrap();
        let good = files(&signer, size);
        let tampered = Self { dir, signer, good };
        tampered.restore();
        tampered
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    pub(crate) fn path(&self, file: impl AsRef<Path>) -> PathBuf {
        self.folder().join(file)
    }

    pub(crate) fn write(&self, file: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn restore(&self) {
        let _ = fs::remove_dir_all(self.folder());
        for (file, bytes) in &self.good {
            self.write(file, bytes);
        }
    }

    /// Every file and folder below the log's, links and pipes by their kind.
    fn tree(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn into(folder: &Path, tree: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    into(&entry.path(), tree);
                }
                let bytes = if kind.is_file() { fs::read(entry.path()).unwrap() } else { format!("{kind:?}").into() };
                tree.insert(entry.path(), bytes);
            }
        }
        let mut tree = BTreeMap::new();
        into(&self.folder(), &mut tree);
        tree
    }

    pub(crate) fn verifier(&self) -> Verifier {
        self.signer.verifier()
    }

    pub(crate) fn finding(&self) -> LogFinding {
        check(&self.folder(), &self.verifier(), |_, _, _| {}).unwrap()
    }

    /// Holds that what was done is found; it is mended if it `follows` from entries, head and key, and else nothing is
    /// changed.
    pub(crate) fn expect(&self, follows: bool, what: &str) {
        let (finding, before) = (self.finding(), self.tree());
        assert!(!matches!(finding, LogFinding::Whole { .. }), "not found: {what}");
        assert_eq!(matches!(finding, LogFinding::Files { .. }), follows, "{what}: {finding:?}");
        let mended = rebuild(&self.folder(), &self.verifier());
        assert_eq!(mended.is_ok(), follows, "{what}: {mended:?}");
        if follows {
            assert!(matches!(self.finding(), LogFinding::Whole { .. }), "{what}");
            for (file, bytes) in &self.good {
                assert_eq!(&fs::read(self.path(file)).unwrap(), bytes, "{what}: {}", file.display());
            }
        } else {
            assert_eq!(self.tree(), before, "{what}");
        }
        self.restore();
    }

    /// Holds that what was done is as a cut leaves it, and no finding.
    pub(crate) fn expect_well(&self, what: &str) {
        let finding = self.finding();
        assert!(matches!(finding, LogFinding::Whole { size, .. } if size == SIZE), "{what}: {finding:?}");
        self.restore();
    }
}

/// The bytes changed in every way, with its name.
fn changes(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut changes = Vec::new();
    for (at, bit) in
        [(0, 0), (1, 3), (bytes.len() / 3, 7), (bytes.len() / 2, 0), (bytes.len() - 2, 5), (bytes.len() - 1, 0)]
    {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 1 << bit;
        changes.push((format!("bit {bit} of byte {at} flipped"), flipped));
    }
    for length in [bytes.len() - 1, bytes.len() / 2, bytes.len().saturating_sub(32), 1, 0] {
        changes.push((format!("cut to {length}"), bytes[..length].to_vec()));
    }
    for more in [b"\0".as_slice(), b"\n", b"x", &[0; 32], bytes] {
        changes.push((format!("{} bytes appended", more.len()), [bytes, more].concat()));
    }
    changes.push(("zeroes".into(), vec![0; bytes.len()]));
    changes
}

#[test]
fn every_file_changed_in_every_way_is_found() {
    let log = Tampered::new(SIZE);
    assert!(matches!(log.finding(), LogFinding::Whole { size: SIZE, .. }));
    let mut count = 0;
    let follows = |file: &Path| file.starts_with("tile") && !file.starts_with("tile/entries");
    for (file, good) in &log.good {
        // Nobody would mend a key or a head by what they sign.
        let mut all = changes(good);
        for (other, bytes) in log.good.iter().filter(|(other, _)| *other != file) {
            all.push((format!("replaced by {}", other.display()), bytes.clone()));
        }
        for older in [1, 2, 255, 256, 257, 300, 511, 513, SIZE - 1] {
            // A head of 512 entries is what a cut leaves behind.
            let former = files(&log.signer, older);
            let of_edge = |(path, _): &(&PathBuf, &Vec<u8>)| {
                path.parent() == file.parent() || path.parent() == file.parent().and_then(Path::parent)
            };
            all.extend(
                former
                    .iter()
                    .filter(of_edge)
                    .map(|(path, bytes)| (format!("{} of {older}", path.display()), bytes.clone())),
            );
        }
        for (what, bytes) in all.into_iter().filter(|(_, bytes)| bytes != good) {
            log.write(file, bytes);
            log.expect(follows(file), &format!("{}: {what}", file.display()));
            count += 1;
        }
        let follows = follows(file);
        fs::remove_file(log.path(file)).unwrap();
        if file.as_os_str() == "vkey" {
            // The check itself may run on a copy without it, with a key from elsewhere.
            assert!(super::check::read_vkey(&log.folder()).is_err());
            log.expect_well("no vkey");
        } else {
            log.expect(follows, &format!("{} removed", file.display()));
        }
        fs::remove_file(log.path(file)).unwrap();
        fs::create_dir(log.path(file)).unwrap();
        log.expect(follows, &format!("{}: a folder", file.display()));
        fs::remove_file(log.path(file)).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, log.path(file), rustix::fs::Mode::RUSR).unwrap();
        log.expect(follows, &format!("{}: a pipe", file.display()));
        fs::rename(log.path(file), log.dir.path().join("elsewhere")).unwrap();
        symlink(log.dir.path().join("elsewhere"), log.path(file)).unwrap();
        if file.starts_with("tile") {
            log.expect(follows, &format!("{}: a link", file.display()));
        } else {
            log.expect_well("the same bytes behind a link");
        }
        count += 4;
    }
    println!("{count} kinds");
    assert!(count > 251, "{count}");
}

/// Names that no log of this size has, and others that hold what they should not.
#[test]
fn what_does_not_belong_to_the_log_is_found() {
    let log = Tampered::new(SIZE);
    let tile =
        |level: usize, index: u64, width: usize| log.good[Path::new(&tiles::tile_path(level, index, width))].clone();
    let bundle = |index: u64, width: usize| log.good[Path::new(&tiles::bundle_path(index, width))].clone();
    let other = &files(&log.signer, 900);
    let strays: Vec<(&str, Vec<u8>)> = vec![
        ("tile/x", vec![]),
        ("tile/0/0", vec![]),
        ("tile/0/000.p/256", tile(0, 0, 256)),
        ("tile/0/000.p/0", vec![]),
        ("tile/0/000.p/07", tile(0, 0, 256)[..7 * 32].to_vec()),
        ("tile/0/000.q", vec![]),
        ("tile/0/x000/000", tile(0, 0, 256)),
        ("tile/0/003", tile(0, 0, 256)),
        ("tile/0/002", other[Path::new("tile/0/002")].clone()),
        ("tile/0/002.p/89", other[Path::new("tile/0/002")][..89 * 32].to_vec()),
        ("tile/1/000", tile(0, 0, 256)),
        ("tile/1/000.p/3", vec![7; 96]),
        ("tile/2/000.p/1", vec![7; 32]),
        ("tile/8/000", vec![]),
        ("tile/entries/x", vec![]),
        ("tile/entries/00", vec![]),
        ("tile/.new-", vec![]),
        ("tile/0/.new-x", vec![]),
        // Former partial ones with other bytes.
        ("tile/0/000.p/7", vec![7; 7 * 32]),
        ("tile/0/000.p/7", tile(0, 0, 256)[..6 * 32].to_vec()),
        ("tile/0/000.p/7", tile(0, 0, 256)[..8 * 32].to_vec()),
        ("tile/0/000.p/7", vec![]),
        ("tile/0/002.p/87", tile(0, 1, 256)[..87 * 32].to_vec()),
        ("tile/1/000.p/1", tile(1, 0, 2)[32..].to_vec()),
        ("tile/entries/000.p/9", bundle(1, 256)),
        ("tile/entries/000.p/9", vec![]),
        ("tile/entries/002.p/87", bundle(2, 88)),
        ("tile/entries/002.p/87", files(&log.signer, 599)[Path::new("tile/entries/002.p/87")][..100].to_vec()),
    ];
    for (file, bytes) in strays {
        log.write(file, bytes);
        log.expect(true, file);
    }
    for folder in
        ["tile/3", "tile/0/x001", "tile/0/003.p", "tile/entries/x001", "tile/entries/003.p", "tile/9", "tile/a/b"]
    {
        fs::create_dir_all(log.path(folder)).unwrap();
        log.expect(true, folder);
    }
    // Folders behind links, a file or a link in the place of one.
    for (folder, follows) in [
        ("tile/0", true),
        ("tile/0/002.p", true),
        ("tile/1", true),
        ("tile/entries", false),
        ("tile/entries/002.p", false),
        ("tile", false),
    ] {
        fs::rename(log.path(folder), log.dir.path().join("moved")).unwrap();
        symlink(log.dir.path().join("moved"), log.path(folder)).unwrap();
        log.expect(follows, &format!("{folder}: a link"));
        fs::remove_dir_all(log.dir.path().join("moved")).unwrap();
        fs::remove_dir_all(log.path(folder)).unwrap();
        log.write(folder, "x");
        log.expect(follows, &format!("{folder}: a file"));
    }
    // Entries that stand beyond the head, and that nobody appended.
    for (file, bytes) in [
        ("tile/entries/003", bundle(0, 256)),
        ("tile/entries/002.p/89", bundle(2, 88)),
        ("tile/entries/002.p/89", bundle(1, 256)),
        ("tile/entries/002.p/89", other[Path::new("tile/entries/002")].clone()),
        ("tile/entries/002.p/89", vec![]),
        ("tile/entries/002", other[Path::new("tile/entries/001")].clone()),
        ("tile/entries/x001/000", bundle(0, 256)),
    ] {
        log.write(file, bytes);
        log.expect(false, file);
    }
}

/// Three levels, more findings than one finding names, and a log that grows while it is checked.
#[test]
fn a_large_log_is_made_anew_and_a_growing_one_is_no_finding() {
    const LARGE: u64 = 70_000;
    let log = Tampered::new(LARGE);
    assert!(matches!(log.finding(), LogFinding::Whole { size: LARGE, .. }));
    for level in 0..3 {
        fs::remove_dir_all(log.path(format!("tile/{level}"))).unwrap();
    }
    let LogFinding::Files { files: named, count, .. } = log.finding() else { panic!() };
    assert_eq!((named.len(), count), (277, 277));
    log.expect(true, "all tiles removed");
    for number in 0..2_000 {
        log.write(format!("tile/0/stray-{number}"), "");
    }
    let LogFinding::Files { files: named, count, .. } = log.finding() else { panic!() };
    assert_eq!((named.len(), count), (super::check::MOST, 2_000));
    log.expect(true, "many strays");
    // The keeper appends while entries are read: former partial files go.
    let small = Tampered::new(SIZE);
    let newer = Tampered {
        good: files(&small.signer, 700),
        dir: tempfile::tempdir().unwrap(),
        signer: NoteSigner::generate("other").unwrap(),
    };
    let mut last = 0;
    let finding = check(&small.folder(), &small.verifier(), |number, bytes, edge| {
        assert_eq!((bytes, edge.size()), (entry(number).as_slice(), number + 1));
        last = number;
        if number == 300 {
            fs::remove_dir_all(small.folder()).unwrap();
            for (file, bytes) in &newer.good {
                small.write(file, bytes);
            }
        }
    });
    assert!(matches!(finding, Ok(LogFinding::Whole { size: 700, .. })), "{finding:?}");
    assert_eq!(last, 699);
}
