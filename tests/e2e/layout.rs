//! What a compiler cannot say of the layout. Who may import whom is in each crate's manifest; here: which manifests may
//! name whom, that no file is two rooms, that only the keeper's side appends to a log, and that nothing goes out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use guard::{FOREIGN_LOOK_UP, Guard};
use serve::first_bytes::alien;

use super::support::{TOP, run};

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

/// Each crate, and those of ours that it may depend on.
const MAY_USE: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("tlog", &["base"]),
    ("sandbox", &["base"]),
    ("guard", &["base"]),
    ("bundle", &["base"]),
    ("media", &["base", "bundle"]),
    ("inspect", &["base", "bundle", "media", "guard"]),
    ("terminal", &["base", "inspect"]),
    ("serve", &["base", "sandbox", "tlog", "guard", "bundle"]),
    ("config", &["base", "bundle", "inspect", "tlog", "sandbox", "serve"]),
    ("pack", &["base", "terminal", "config", "inspect", "media", "bundle", "tlog"]),
    ("relay", &["base", "terminal", "tlog", "sandbox", "bundle", "guard", "media", "inspect", "config", "serve"]),
];

#[test]
fn crates_depend_only_on_those_before_them() {
    let folder = TOP.join("src");
    let mut found: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    found.sort();
    let mut known: Vec<&str> = MAY_USE.iter().map(|(name, _)| *name).collect();
    known.sort_unstable();
    assert_eq!(found, known, "a crate that is not in the list, or a folder that is no crate");
    for (name, may) in MAY_USE {
        let text = fs::read_to_string(folder.join(name).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = toml::from_str(&text).unwrap();
        for used in manifest["dependencies"].as_table().unwrap().keys() {
            let ours = known.contains(&used.as_str());
            assert!(!ours || may.contains(&used.as_str()), "{name} must not depend on {used}");
        }
    }
}

/// The names of the packages that a program is made of.
fn packages_of(program: &str) -> Vec<String> {
    let args = ["tree", "--offline", "--locked", "-p", program, "-e", "normal", "--prefix", "none", "--format", "{p}"];
    let told = run(Command::new(env!("CARGO")).args(args).current_dir(&*TOP)).expect(0);
    told.out.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn the_relay_has_no_code_that_signs_bundles() {
    let signs = |program: &str| packages_of(program).iter().any(|package| package == "minisign");
    assert!(!signs("gaprelay"), "the relay links minisign");
    // Else this test would find nothing anywhere.
    assert!(signs("gaprelay-pack"), "the packer does not link minisign");
}

/// Code that the compiler does not check stands in one file, `base/raw.rs`; every other crate cannot have any.
#[test]
fn one_room_has_unsafe_code() {
    for path in sources(&TOP.join("src")) {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(TOP.join("src")).unwrap().to_string_lossy().into_owned();
        let is_root = name.ends_with("/lib.rs") || name.ends_with("/main.rs");
        if is_root && !name.starts_with("base/") && name.matches('/').count() == 1 {
            assert!(text.contains("\n#![forbid(unsafe_code)]\n"), "{name}");
        }
        assert!(name == "base/raw.rs" || !text.contains("allow(unsafe_code"), "{name}");
    }
}

#[test]
fn no_file_is_two_rooms_and_nothing_goes_out() {
    let root = TOP.join("src");
    for path in sources(&root) {
        let text = fs::read_to_string(&path).unwrap();
        let below = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        let lines = text.lines().count();
        let tests = text.find("#[cfg(test)]\nmod tests").map_or(lines, |at| text[..at].lines().count());
        assert!(tests <= 400, "{below} has {tests} lines: probably two rooms");
        // Listeners for look-ups, and the local syslog socket of an export: opened before the role is confined.
        if ["relay/cli/export.rs", "relay/cli/sinkhole.rs", "relay/processes/sockets.rs"].contains(&below.as_str()) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let network = ["TcpStream::connect", "UdpSocket", "UnixDatagram::unbound", "UnixStream::connect"];
            let goes_out = network.iter().any(|word| line.contains(word));
            assert!(!goes_out, "{below}:{}: nothing goes out", number + 1);
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
        let may = [
            "relay/keeper.rs",
            "relay/import/",
            "relay/settle/",
            "relay/log/",
            "relay/state/migration.rs",
            "relay/cli/maintain.rs",
        ]
        .iter()
        .any(|m| below.starts_with(m));
        assert!(!appends || may, "{below} appends to the log");
    }
}

/// The name of the type that a line defines; associated types have no name of their own.
fn defined(line: &str) -> Option<&str> {
    let visible =
        line.trim_start().strip_prefix("pub").map_or(line.trim_start(), |rest| match rest.strip_prefix('(') {
            Some(scope) => scope.split_once(')').map_or(rest, |(_, rest)| rest),
            None => rest,
        });
    let (what, rest) = visible.trim_start().split_once(' ')?;
    let defines = ["struct", "enum", "trait", "union"].contains(&what) || (what == "type" && !line.starts_with(' '));
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    defines.then(|| &rest[..end])
}

#[test]
fn one_name_stands_for_one_type() {
    assert_eq!(defined("    pub(crate) struct Held<'a> {"), Some("Held"));
    let root = TOP.join("src");
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in sources(&root) {
        let below = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        for name in text.lines().filter_map(defined) {
            places.entry(name.to_owned()).or_default().push(below.clone());
        }
    }
    places.retain(|_, places| places.len() > 1);
    assert!(places.is_empty(), "{places:#?}");
}

/// Words with which nobody searches.
const NOT_SEARCHED: &[&str] = &[
    "What", "Who", "Whom", "Whose", "Whether", "How", "Where", "Which", "That", "Those", "It", "Its", "They", "Their",
];

#[test]
fn doc_comments_begin_with_what_a_reader_searches_for() {
    let root = TOP.join("src");
    let mut found = Vec::new();
    for path in sources(&root) {
        let text = fs::read_to_string(&path).unwrap();
        let mut before = "";
        for (number, line) in text.lines().enumerate() {
            let comment = |line: &str| {
                let line = line.trim_start();
                line.strip_prefix("/// ").or_else(|| line.strip_prefix("//! ")).map(str::to_owned)
            };
            let is_first = comment(before).is_none() && !before.trim_start().starts_with("//");
            before = line;
            let Some(text) = comment(line).filter(|_| is_first) else { continue };
            let word = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            if NOT_SEARCHED.contains(&word) {
                found.push(format!("{}:{}: {text}", path.strip_prefix(&root).unwrap().display(), number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{} of them:\n{}", found.len(), found.join("\n"));
}

/// Comments fit the width of the code, which rustfmt does not look after. Not meant are drawings, tables and what
/// stands in a fence.
#[test]
fn comments_are_as_narrow_as_the_code() {
    let mut found = Vec::new();
    for path in ["src", "tests", "benches"].iter().flat_map(|folder| sources(&TOP.join(folder))) {
        let mut is_fenced = false;
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            let line_start = line.trim_start();
            let Some(text) = line_start.strip_prefix("//").map(|text| text.trim_start_matches(['/', '!', ' '])) else {
                continue;
            };
            is_fenced ^= text.starts_with("```");
            let is_text = !is_fenced && !text.starts_with('|') && !text.contains("  ") && text.contains(' ');
            if is_text && line.chars().count() > 120 {
                found.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_label_is_explained_once() {
    let guard = Guard::shipped().unwrap();
    for endpoint in guard.endpoints() {
        assert_eq!(guard.endpoints().filter(|e| e.label == endpoint.label).count(), 1, "{}", endpoint.label);
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
