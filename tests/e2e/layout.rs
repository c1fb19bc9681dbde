//! Holds the `use crate::` lines to the way of the data: a station uses the ground, and the type
//! just before it; only the keeper's side appends to a log; the network is in one room.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use guard::{FOREIGN_LOOK_UP, Guard};
use serve::tap::alien;

use super::support::TOP;

/// Each module, and the modules of ours it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("base", &["base"]),
    ("verify", &["base", "verify"]),
    ("media", &["base", "media", "verify"]),
    ("unpack", &["base", "unpack", "verify"]),
    ("inspect", &["base", "guard", "inspect", "unpack", "media", "verify"]),
    ("audit", &["base", "audit", "inspect", "sandbox", "verify"]),
    ("config", &["base", "audit", "inspect", "sandbox", "verify"]),
    ("sandbox", &["base", "sandbox"]),
    ("store", &["base", "store", "inspect", "verify", "audit", "config", "publish"]),
    ("publish", &["base", "publish", "store", "inspect", "verify", "config"]),
    ("guard", &["base", "guard"]),
    ("serve", &["base", "serve", "guard", "publish", "store", "config", "audit", "sandbox"]),
    ("sinkhole", &["base", "sinkhole", "guard", "serve", "store", "config", "audit", "sandbox"]),
    ("deployment", &["base"]),
    ("doctor", &["base", "config", "deployment", "doctor", "media", "sandbox"]),
    ("console", &["base", "config", "console", "inspect", "media", "report", "sandbox", "store"]),
    ("keeper", &["base", "keeper", "audit", "config", "publish", "store", "verify"]),
    ("repair", &["base", "audit", "publish", "repair", "store", "verify"]),
    ("rotation", &["base", "audit", "keeper", "media", "rotation", "verify"]),
    ("thin", &["base", "inspect", "keeper", "store", "verify"]),
    (
        "import",
        &[
            "base", "import", "keeper", "rotation", "thin", "media", "verify", "unpack", "inspect", "store", "audit",
            "config",
        ],
    ),
    ("settle", &["base", "settle", "keeper", "publish", "store", "audit", "config", "verify"]),
    ("export", &["base", "export", "audit", "config", "inspect", "report", "store"]),
    (
        "report",
        &["base", "report", "audit", "config", "guard", "inspect", "publish", "sandbox", "serve", "store", "verify"],
    ),
    (
        "review",
        &[
            "base", "review", "export", "report", "audit", "config", "guard", "inspect", "publish", "sandbox", "serve",
            "settle", "store", "verify",
        ],
    ),
    ("witness", &["base", "witness", "audit", "sandbox", "serve"]),
    ("pack", &["base", "pack", "media", "verify", "unpack", "inspect", "config"]),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn stations_use_only_what_comes_before() {
    let root = TOP.join("src");
    for path in sources(&root) {
        let text = fs::read_to_string(&path).unwrap();
        let below = path.strip_prefix(&root).unwrap().to_string_lossy().replace(".rs", "");
        let module = below.split('/').next().unwrap();
        let lines = text.lines().count();
        let tests = text.find("#[cfg(test)]\nmod tests").map_or(lines, |at| text[..at].lines().count());
        assert!(tests <= 400, "{below} has {tests} lines: probably two rooms");
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else { continue };
        for (number, line) in text.lines().enumerate() {
            for (at, _) in line.match_indices("crate::") {
                let used: String = line[at + 7..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                if used.is_empty() || line.trim_start().starts_with("//") {
                    continue;
                }
                assert!(allowed.contains(&used.as_str()), "{below}:{}: {module} must not use {used}", number + 1);
            }
            let network = line.contains("TcpStream::connect")
                || line.contains("UdpSocket")
                || line.contains("UnixDatagram::unbound")
                || line.contains("UnixStream::connect");
            assert!(!network, "{below}:{}: nothing goes out", number + 1);
        }
    }
}

#[test]
fn only_the_keepers_side_appends_to_the_log() {
    let root = TOP.join("src");
    for path in sources(&root) {
        let below = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        let appends = text.contains("Log::open(")
            || text.contains("keeper.append(")
            || text.contains("log.append(")
            || text.contains(".turn_back(");
        let may = ["keeper.rs", "import.rs", "repair.rs", "rotation.rs", "settle/", "audit/", "cli/maintain.rs"]
            .iter()
            .any(|m| below.starts_with(m));
        assert!(!appends || may, "{below} appends to the log");
    }
}

#[test]
fn every_label_is_explained_once() {
    let guard = Guard::shipped().unwrap();
    for endpoint in guard.endpoints() {
        assert_eq!(guard.endpoints().iter().filter(|e| e.label == endpoint.label).count(), 1, "{}", endpoint.label);
        assert!(endpoint.meaning.ends_with('.') && endpoint.remedy.ends_with('.'), "{}", endpoint.label);
    }
    let mut used: BTreeSet<String> = (0..=255).filter_map(|first| alien(&[first])).map(str::to_owned).collect();
    used.extend(alien(b"PRI * HTTP/2.0").map(str::to_owned));
    for path in sources(&TOP.join("src")) {
        let text = fs::read_to_string(&path).unwrap();
        for before in ["Label::new(\"", "label: \"", "attempt.label = \""] {
            used.extend(text.split(before).skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned));
        }
    }
    used.insert(FOREIGN_LOOK_UP.into());
    assert!(used.len() > 15, "{used:?}");
    for label in used {
        assert!(guard.about(&label).is_some(), "{label} is not explained");
    }
}
