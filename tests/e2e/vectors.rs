//! One folder per flaw in `tests/vectors/`: what must be refused, why, and that nothing is left.
//!
//!     <flaw>/expect          the reason code
//!     <flaw>/bundle/         the bundle
//!     <flaw>/before/         a bundle that must be imported first, if there is one
//!     <flaw>/limits.toml     the `[limits]` to set, if there are any
//!
//! `GAPRELAY_BLESS=1` makes them all anew with fresh keys, from `make.rs`.

mod make;

use std::fs;
use std::path::{Path, PathBuf};

use super::support::*;

pub(crate) fn folder() -> PathBuf {
    TOP.join("tests/vectors")
}

/// A relay with the vectors' keyring.
fn world(vector: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let limits = fs::read_to_string(vector.join("limits.toml")).unwrap_or_default();
    let mut config = fs::read_to_string(folder().join("config.toml")).unwrap();
    config.push_str(&limits);
    fs::write(dir.path().join("config.toml"), config).unwrap();
    let (ring, config) = (folder().join("keyring.toml"), dir.path().join("config.toml"));
    relay(&dir, &["init", "--keyring", ring.to_str().unwrap(), "--config", config.to_str().unwrap()]).expect(0);
    dir
}

fn relay(dir: &tempfile::TempDir, args: &[&str]) -> Ran {
    run(std::process::Command::new(RELAY).env("GAPRELAY_STATE", dir.path().join("state")).args(args))
}

fn import(dir: &tempfile::TempDir, path: &Path) -> Ran {
    relay(dir, &["import", "--json", "--operator", "operator", path.to_str().unwrap()])
}

fn stored(dir: &tempfile::TempDir) -> Vec<(String, String)> {
    ["releases", "blobs", "channels", "trust", "inbox", "spool"]
        .iter()
        .flat_map(|p| tree(&dir.path().join("state").join(p)))
        .collect()
}

fn check(vector: &Path) {
    let name = vector.file_name().unwrap().to_string_lossy().into_owned();
    let expected = fs::read_to_string(vector.join("expect")).unwrap();
    let dir = world(vector);
    if vector.join("before").exists() {
        import(&dir, &vector.join("before")).expect(0);
    }
    let (before, medium) = (stored(&dir), tree(vector));
    let entries = log(&dir).len();

    let ran = import(&dir, &vector.join("bundle"));
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap_or_default();
    let reason = report["bundles"][0]["refused"]["reason"].as_str().unwrap_or_default().to_owned();
    assert_eq!((reason.as_str(), ran.code), (expected.trim(), Some(3)), "{name}\n{}\n{}", ran.out, ran.err);

    assert_eq!(stored(&dir), before, "{name}: something was stored");
    assert_eq!(tree(vector), medium, "{name}: the medium was changed");
    let new = log(&dir).split_off(entries);
    let outcomes: Vec<_> = new.iter().filter(|e| e["type"] == "import-refused").collect();
    assert_eq!(outcomes.len(), 1, "{name}: {new:?}");
    assert_eq!(outcomes[0]["reason"], expected.trim(), "{name}");
    assert!(new.iter().all(|e| e["type"] != "imported" && e["type"] != "published"), "{name}: {new:?}");

    if !vector.join("before").exists() && !vector.join("limits.toml").exists() {
        import(&dir, &folder().join("good/bundle")).expect(0);
    }
    relay(&dir, &["fsck"]).expect(0);
}

fn log(dir: &tempfile::TempDir) -> Vec<serde_json::Value> {
    let shown = relay(dir, &["log", "show", "--json"]).expect(0);
    shown
        .out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["entry"]["event"].clone())
        .collect()
}

#[test]
fn each_flaw_is_refused_for_its_own_reason() {
    if std::env::var_os("GAPRELAY_BLESS").is_some() {
        make::all(&folder());
    }
    let mut vectors: Vec<PathBuf> =
        fs::read_dir(folder()).unwrap().map(|e| e.unwrap().path()).filter(|p| p.join("expect").exists()).collect();
    vectors.sort();
    assert!(vectors.len() >= 100, "only {} vectors", vectors.len());
    // Each is independent of the others; two at a time keep two cores busy.
    let (left, right) = vectors.split_at(vectors.len() / 2);
    std::thread::scope(|scope| {
        scope.spawn(|| left.iter().for_each(|v| check(v)));
        scope.spawn(|| right.iter().for_each(|v| check(v)));
    });
    println!("{} vectors", vectors.len());
}
