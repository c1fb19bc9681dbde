//! Holds `tests/attacks.toml` to the tests that exist, and the manual's page `attacks` to that file.
//! `GAPRELAY_BLESS=1 cargo test --test e2e attacks` writes the page anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::support::TOP;

/// Columns of a page.
pub(crate) const WIDTH: usize = 100;

const INTRODUCTION: &str = "\
# Known attacks

What somebody could try against the relay, what stops it, and the tests that show it. Three commands repeat a part of
this on a running relay:

    gaprelay selftest      # every forbidden act, tried from inside each process; it is logged
    gaprelay fsck          # every blob, record, pointer and log of the state; changes nothing
    gaprelay log verify    # both logs, from their bytes

A test is named `MODULE::NAME` for a function in `tests/e2e/MODULE.rs` (`*` stands for all of them), `vector::NAME` for a
folder in `tests/vectors`, `unit::NAME` for a unit test below `src`, and `fuzz::NAME` for a fuzz target in
`fuzz/fuzz_targets`. `scripts/test` runs them; what takes long, the fuzz targets among it, is in
`scripts/test --long`. What none of this stops: `gaprelay help limits`.
";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attacks {
    attack: Vec<Attack>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attack {
    group: String,
    #[serde(rename = "attack")]
    what: String,
    answer: String,
    tests: Vec<String>,
}

fn attacks() -> Vec<Attack> {
    let text = fs::read_to_string(TOP.join("tests/attacks.toml")).unwrap();
    toml::from_str::<Attacks>(&text).unwrap().attack
}

/// The names of the functions below an attribute `#[test]`.
fn tests_in(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if matches!(line, "#[test]" | "#[tokio::test]") {
            is_test = true;
        } else if let Some(rest) = line.strip_prefix("async fn ").or(line.strip_prefix("fn ")) {
            if is_test {
                found.push(rest.split('(').next().unwrap().to_owned());
            }
            is_test = false;
        }
    }
    found
}

/// Every file below a folder whose name ends so.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found
}

/// All tests there are.
struct Known {
    e2e: BTreeMap<String, Vec<String>>,
    unit: Vec<String>,
    vectors: Vec<String>,
    fuzz: Vec<String>,
}

impl Known {
    fn new() -> Self {
        let root: &Path = &TOP;
        let main = fs::read_to_string(root.join("tests/e2e/main.rs")).unwrap();
        let stems = |folder: &str, ending: &str| -> Vec<String> {
            let stem = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
            files(&root.join(folder), ending).into_iter().map(stem).collect()
        };
        let e2e = main.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';')).map(|module| {
            let text = fs::read_to_string(root.join(format!("tests/e2e/{module}.rs"))).unwrap();
            (module.to_owned(), tests_in(&text))
        });
        let vectors = fs::read_dir(root.join("tests/vectors")).unwrap().map(|entry| entry.unwrap());
        let vectors = vectors.filter(|entry| entry.path().join("expect").is_file());
        Self {
            e2e: e2e.collect(),
            unit: files(&root.join("src"), ".rs")
                .iter()
                .flat_map(|p| tests_in(&fs::read_to_string(p).unwrap()))
                .collect(),
            vectors: vectors.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect(),
            fuzz: stems("fuzz/fuzz_targets", ".rs"),
        }
    }

    /// Fault in the name of a test; none, if there is such a test.
    fn fault(&self, test: &str) -> Option<String> {
        let Some((place, name)) = test.split_once("::") else { return Some(format!("{test} names no place")) };
        let is_there = match place {
            "vector" => match name.strip_suffix('*') {
                Some(begin) => self.vectors.iter().any(|vector| vector.starts_with(begin)),
                None => self.vectors.iter().any(|vector| vector == name),
            },
            "fuzz" => self.fuzz.iter().any(|target| target == name),
            "unit" => match self.unit.iter().filter(|unit| *unit == name).count() {
                0 | 1 => self.unit.iter().any(|unit| unit == name),
                more => {
                    return Some(format!("{more} unit tests have the name {name}: give one of them a name of its own"));
                }
            },
            module => self
                .e2e
                .get(module)
                .is_some_and(|tests| (name == "*" && !tests.is_empty()) || tests.iter().any(|test| test == name)),
        };
        (!is_there).then(|| format!("there is no test {test}"))
    }
}

/// Lines of at most [`WIDTH`] columns.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().unwrap();
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= WIDTH {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n")
}

/// The page `attacks`.
fn page(attacks: &[Attack]) -> String {
    let mut page: Vec<String> = INTRODUCTION.trim_end().split("\n\n").map(rewrapped).collect();
    let mut group = "";
    for attack in attacks {
        if attack.group != group {
            group = &attack.group;
            page.push(format!("## {group}"));
        }
        let tests: Vec<String> = attack.tests.iter().map(|test| format!("`{test}`")).collect();
        page.push(wrapped(&format!("Attack: {}.", attack.what)));
        page.push(wrapped(&format!("Answer: {}", attack.answer)));
        page.push(wrapped(&format!("Tests: {}", tests.join(", "))));
    }
    page.join("\n\n") + "\n"
}

/// A paragraph with lines of the page's width; what is indented stays as it is.
fn rewrapped(paragraph: &str) -> String {
    if paragraph.starts_with("    ") { paragraph.to_owned() } else { wrapped(&paragraph.replace('\n', " ")) }
}

#[test]
fn each_test_that_is_named_exists() {
    let known = Known::new();
    let attacks = attacks();
    assert!(attacks.len() >= 55, "attacks are added, and none is dropped: {}", attacks.len());
    for attack in &attacks {
        assert!(!attack.tests.is_empty(), "no test shows that {} is stopped", attack.what);
        assert!(attack.answer.ends_with('.'), "{}", attack.answer);
    }
    let faults: Vec<String> = attacks.iter().flat_map(|a| &a.tests).filter_map(|test| known.fault(test)).collect();
    assert!(faults.is_empty(), "tests/attacks.toml: {}", faults.join("; "));
    // That the check can fail, for each form of a name.
    for wrong in [
        "cuts::no_such_test",
        "nowhere::*",
        "vector::no-such-*",
        "vector::config.toml",
        "unit::none",
        "fuzz::none",
        "x",
    ] {
        assert!(known.fault(wrong).is_some(), "{wrong} is taken for a test");
    }
}

#[test]
fn groups_stand_together() {
    let mut groups: Vec<String> = attacks().into_iter().map(|attack| attack.group).collect();
    groups.dedup();
    let mut single = groups.clone();
    single.sort();
    single.dedup();
    assert_eq!(groups.len(), single.len(), "a group of tests/attacks.toml stands in two places: {groups:?}");
}

#[test]
fn the_page_is_made_from_the_data() {
    let path = TOP.join("src/terminal/manual/attacks.md");
    let made = page(&attacks());
    if std::env::var_os("GAPRELAY_BLESS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "{} is not what tests/attacks.toml makes; GAPRELAY_BLESS=1 writes it anew", path.display());
}
