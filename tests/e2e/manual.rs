//! Holds the manual's pages to the programs: each command, option, configuration and file that a page names is there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::attacks::WIDTH;
use super::support::*;

/// The pages, in the order of `gaprelay help`.
const PAGES: &[&str] = &[
    "operator",
    "officer",
    "admin",
    "custodian",
    "auditor",
    "agents",
    "content",
    "limits",
    "attacks",
    "backup",
    "glossary",
];

fn page(name: &str) -> String {
    let path = TOP.join(format!("src/terminal/manual/{name}.md"));
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A page's code: its indented and fenced lines, each with its number, without configurations; what is continued by a
/// backslash is one line. And its configurations.
struct Code {
    lines: Vec<(usize, String)>,
    configs: Vec<(usize, String)>,
}

impl Code {
    fn of(page: &str) -> Self {
        let (mut lines, mut configs) = (Vec::<(usize, String)>::new(), Vec::<(usize, String)>::new());
        let (mut fence, mut continues) = (None::<String>, false);
        for (number, line) in page.lines().enumerate() {
            let number = number + 1;
            match (&fence, line.strip_prefix("```")) {
                (None, Some(what)) => {
                    fence = Some(what.to_owned());
                    if what == "toml" {
                        configs.push((number, String::new()));
                    }
                }
                (Some(_), Some("")) => fence = None,
                (Some(what), _) if what == "toml" => {
                    let (_, config) = configs.last_mut().unwrap();
                    config.push_str(line);
                    config.push('\n');
                }
                (None, _) if !line.starts_with("    ") => {}
                _ => {
                    let text = line.trim();
                    let part = text.strip_suffix('\\').unwrap_or(text);
                    match lines.last_mut() {
                        Some((_, last)) if continues => last.push_str(part),
                        _ => lines.push((number, part.to_owned())),
                    }
                    continues = text.ends_with('\\');
                }
            }
        }
        assert_eq!(fence, None, "a fence that does not end");
        Self { lines, configs }
    }
}

/// Texts between single backquotes, outside of code.
fn spans(page: &str) -> Vec<String> {
    let mut prose = String::new();
    let mut fenced = false;
    for line in page.lines() {
        fenced ^= line.starts_with("```");
        if !fenced && !line.starts_with("```") && !line.starts_with("    ") {
            prose.push_str(line.trim());
            prose.push(' ');
        }
    }
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The words of a shell's line, to the first one that ends the command.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None::<char>);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(mark), _) if letter == mark => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, '#') if word.is_none() => break,
            (None, '>' | '|' | ';' | '&') => break,
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// Each command line of ours in a line of code.
fn ours(line: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for part in line.split("&&").flat_map(|part| part.split('|')) {
        let words = words(part);
        let is_ours = |word: &String| word == "gaprelay" || word == "gaprelay-pack";
        let begins = |at: usize| at == 0 || words[at - 1] == "sudo" || words[at - 1] == "--";
        if let Some(at) = (0..words.len()).find(|at| is_ours(&words[*at]) && begins(*at)) {
            found.push(words[at..].to_vec());
        }
    }
    found
}

/// Usage of a command, from its `--help`.
#[derive(Default)]
struct Help {
    subcommands: Vec<String>,
    /// Each option, and whether it takes a value.
    options: BTreeMap<String, bool>,
    takes_words: bool,
    /// Number of words that it needs.
    needs: usize,
}

impl Help {
    fn of(path: &[String]) -> Self {
        let (program, rest) = path.split_first().unwrap();
        let program = if program == "gaprelay" { Path::new(RELAY).to_owned() } else { pack_binary() };
        let text = run(Command::new(program).args(rest).arg("--help")).expect(0).out;
        let mut help = Self::default();
        let mut section = "";
        for line in text.lines() {
            let entry = line.trim();
            if let Some(usage) = line.strip_prefix("Usage: ") {
                let mut options = false;
                for word in usage.split(' ').skip(path.len()) {
                    help.needs += usize::from(word.starts_with('<') && !options && word != "<COMMAND>");
                    options = word.starts_with('-');
                }
            } else if line == entry && line.ends_with(':') {
                section = line;
            } else if section == "Commands:" && line.starts_with("  ") && !line.starts_with("   ") {
                help.subcommands.extend(entry.split(' ').next().map(str::to_owned));
            } else if section == "Arguments:" {
                help.takes_words = true;
            } else if section == "Options:" && entry.starts_with('-') {
                let names = entry.split("  ").next().unwrap();
                let value = names.contains('<') && !names.contains("[<");
                for name in names.split([' ', ',', '[']).filter(|name| name.starts_with('-')) {
                    help.options.insert(name.to_owned(), value);
                }
            }
        }
        help
    }
}

/// Fault in a command line, if there is one; `whole`: it is one to be typed, and not a mention.
fn fault(helps: &mut BTreeMap<Vec<String>, Help>, command: &[String], whole: bool) -> Option<String> {
    let mut path = vec![command[0].clone()];
    let mut given = command[1..].iter();
    let mut count = 0;
    while let Some(word) = given.next() {
        let help = helps.entry(path.clone()).or_insert_with(|| Help::of(&path));
        if path.len() == 1 && word == "help" {
            let topic = given.next();
            let known = topic.is_none_or(|topic| topic == "TOPIC" || PAGES.contains(&topic.as_str()));
            return (!known).then(|| format!("there is no page {topic:?}"));
        }
        if word.starts_with('-') && word != "-" {
            let name = word.split('=').next().unwrap();
            match help.options.get(name) {
                None => return Some(format!("{} has no option {name}", path.join(" "))),
                Some(true) if !word.contains('=') => drop(given.next()),
                Some(_) => {}
            }
        } else if help.subcommands.contains(word) {
            path.push(word.clone());
        } else if !help.subcommands.is_empty() {
            return Some(format!("{} has no command {word}", path.join(" ")));
        } else if !help.takes_words {
            return Some(format!("{} takes no {word}", path.join(" ")));
        } else {
            count += 1;
        }
    }
    let help = helps.entry(path.clone()).or_insert_with(|| Help::of(&path));
    (whole && count < help.needs).then(|| format!("{} needs {} words", path.join(" "), help.needs))
}

#[test]
fn pages_are_plain_and_open_with_three_commands() {
    let folder = TOP.join("src/terminal/manual");
    let mut there: Vec<String> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    there.retain(|name| !name.starts_with('.'));
    there.sort();
    let mut wanted: Vec<String> = PAGES.iter().map(|name| format!("{name}.md")).collect();
    wanted.sort();
    assert_eq!(there, wanted);
    for name in PAGES {
        let text = page(name);
        assert!(text.starts_with("# ") && text.ends_with('\n'), "{name}");
        for (number, line) in text.lines().enumerate() {
            let at = format!("{name}.md:{}", number + 1);
            assert!(line.chars().count() <= WIDTH, "{at} is wider than {WIDTH} columns");
            assert!(!line.contains('\t') && line.trim_end() == line, "{at} has blanks to no purpose");
            let is_code = line.starts_with("    ");
            for mark in ["](", "![", "<!--", "</", "<br", "http://www", "https://c2sp"] {
                assert!(is_code || !line.contains(mark), "{at}: {mark} is no plain text");
            }
        }
        let blocks: Vec<&str> = text.split("\n\n").collect();
        let first = blocks.iter().find(|block| block.starts_with("    ")).unwrap();
        let commands = Code::of(first).lines.len();
        assert!(commands >= 3, "{name} opens with {commands} commands");
        let before = text.split(first).next().unwrap();
        assert!(before.lines().count() <= 10 && !before.contains("\n## "), "{name}: the commands stand at the top");
        for row in text.lines().filter(|line| line.starts_with('|')) {
            assert!(row.ends_with('|'), "{name}: {row}");
        }
    }
}

#[test]
fn each_command_that_a_page_shows_exists() {
    let mut helps = BTreeMap::new();
    let (mut seen, mut faults) = (0, Vec::new());
    for name in PAGES {
        let text = page(name);
        for (number, line) in Code::of(&text).lines {
            for command in ours(&line) {
                seen += 1;
                faults.extend(fault(&mut helps, &command, true).map(|fault| format!("{name}.md:{number}: {fault}")));
            }
        }
        for span in spans(&text) {
            for command in ours(&span) {
                seen += 1;
                faults.extend(fault(&mut helps, &command, false).map(|fault| format!("{name}.md: `{span}`: {fault}")));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(seen > 150, "only {seen} commands were found");
    // That the check can fail.
    for wrong in [
        "gaprelay nonsense",
        "gaprelay log nonsense",
        "gaprelay status --nonsense",
        "gaprelay status word",
        "gaprelay show --diff",
        "gaprelay help nonsense",
        "gaprelay-pack build vendor --feet x",
    ] {
        assert!(fault(&mut helps, &ours(wrong)[0], true).is_some(), "{wrong} is taken for a command");
    }
}

#[test]
fn each_configuration_that_a_page_shows_is_taken() {
    let world = World::new();
    let mut count = 0;
    for name in PAGES {
        for (number, config) in Code::of(&page(name)).configs {
            let relay = if config.starts_with("relay = ") { "" } else { "relay = \"manual\"\n" };
            let path = world.path("shown.toml");
            fs::write(&path, format!("{relay}{config}")).unwrap();
            let ran = world.relay(&["check-config", path.to_str().unwrap()]);
            assert_eq!(ran.code, Some(0), "{name}.md:{number}: {}{}", ran.out, ran.err);
            count += 1;
        }
    }
    assert!(count >= 8, "only {count} configurations were found");
}

#[test]
fn each_file_and_kind_that_is_named_exists() {
    let root: &Path = &TOP;
    let ours = ["schemas/", "tests/", "scripts/", "src/", "benches/", "fuzz/"];
    let mut named = Vec::new();
    for name in PAGES {
        named.extend(spans(&page(name)));
    }
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    assert!(readme.lines().count() <= 200, "the README is a page, and the manual has the rest");
    let links: Vec<String> =
        readme.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect();
    assert!(links.len() > 20 && links.iter().all(|link| !link.contains("://")), "{links:?}");
    for path in named.iter().filter(|path| ours.iter().any(|begin| path.starts_with(begin))).chain(&links) {
        if path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b)) && !path.contains("MODULE") {
            let path = path.split('#').next().unwrap();
            assert!(root.join(path).exists(), "{path} is named, and does not exist");
        }
    }
    let kinds: Value = serde_json::from_slice(&fs::read(root.join("schemas/kinds.json")).unwrap()).unwrap();
    let content = page("content");
    for kind in kinds.as_array().unwrap() {
        let name = kind["name"].as_str().unwrap();
        assert!(content.contains(&format!("`{name}`")), "the page content does not name {name}");
    }
    let reasons: Value = serde_json::from_slice(&fs::read(root.join("schemas/reasons.json")).unwrap()).unwrap();
    let codes: Vec<&str> = reasons.as_array().unwrap().iter().map(|reason| reason["code"].as_str().unwrap()).collect();
    let begins = ["rule-", "signature-", "medium-", "statement-", "version-", "bundle-", "payload-", "key-", "kind-"];
    let is_code =
        |word: &&String| begins.iter().any(|begin| word.starts_with(begin)) && !word.contains([' ', '*', '.']);
    for word in named.iter().filter(is_code) {
        assert!(codes.contains(&word.as_str()), "{word} is no reason code");
    }
}

/// The way of the data is drawn once: the README shows what the crate's documentation shows.
#[test]
fn the_readme_draws_what_the_code_draws() {
    const BEGIN: &str = "medium → Surveyed";
    let root: &Path = &TOP;
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let drawn: Vec<&str> = readme
        .lines()
        .skip_while(|line| !line.trim().starts_with(BEGIN))
        .take(4)
        .map(|line| line.strip_prefix("    ").unwrap_or(line))
        .collect();
    assert!(drawn.len() == 4 && drawn[3].starts_with("Envelope: "), "{drawn:?}");
    let crate_docs = root.join("src/relay/lib.rs");
    if crate_docs.exists() {
        let text = fs::read_to_string(crate_docs).unwrap();
        let there: Vec<&str> = text
            .lines()
            .map(|line| line.trim_start_matches("//!").strip_prefix(' ').unwrap_or_default())
            .skip_while(|line| !line.starts_with(BEGIN))
            .take(4)
            .collect();
        assert_eq!(there, drawn);
    }
}

/// The pages are in both programs, in a terminal and as man pages; a plain call shows the commands by role.
#[test]
fn both_programs_show_the_manual() {
    let relay = |args: &[&str]| run(Command::new(RELAY).args(args));
    let page = relay(&["help", "operator"]).expect(0).out;
    let text = fs::read_to_string(TOP.join("src/terminal/manual/operator.md")).unwrap();
    assert_eq!(page, text);
    let custodian = run(pack().args(["help", "custodian"])).expect(0).out;
    assert!(custodian.contains("gaprelay-pack"), "{custodian}");
    let unknown = relay(&["help", "nonsense"]);
    assert_eq!(unknown.code, Some(2), "{}", unknown.err);
    assert!(
        unknown.err.contains("no page \"nonsense\"") && unknown.err.contains("operator, officer"),
        "{}",
        unknown.err
    );
    for (overview, role) in [(relay(&["help"]).expect(0), "Officers"), (relay(&[]).expect(2), "Operators")] {
        assert!(overview.out.contains(&format!("\n{role}\n")), "{}", overview.out);
        assert!(overview.out.contains("  import ") && !overview.out.contains("worker"), "{}", overview.out);
    }
    let dir = tempfile::tempdir().unwrap();
    relay(&["man", dir.path().to_str().unwrap()]).expect(0);
    for name in ["gaprelay.1", "gaprelay-import.1", "gaprelay-operator.7", "gaprelay-glossary.7"] {
        assert!(fs::read_to_string(dir.path().join(name)).unwrap().contains(".TH "), "{name}");
    }
}

/// `kinds` of both programs lists the kinds of the schema, in its order, each with names, a line of a file and an
/// engine.
#[test]
fn both_programs_list_the_kinds() {
    let schema: Value = serde_json::from_slice(&fs::read(TOP.join("schemas/kinds.json")).unwrap()).unwrap();
    let expected: Vec<&Value> = schema.as_array().unwrap().iter().map(|kind| &kind["name"]).collect();
    for program in [Command::new(env!("CARGO_BIN_EXE_gaprelay")), Command::new(pack_binary())] {
        let mut program = program;
        let output = program.args(["kinds", "--json"]).output().unwrap();
        let listed: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(listed.iter().map(|kind| &kind["kind"]).collect::<Vec<_>>(), expected);
        for kind in &listed {
            assert!(kind["files"].as_array().is_some_and(|files| !files.is_empty()), "{kind}");
            assert!(["looks_like", "engine", "part"].iter().all(|key| kind[key].as_str() != Some("")), "{kind}");
        }
    }
    let unknown = Command::new(env!("CARGO_BIN_EXE_gaprelay")).args(["kinds", "yara"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
}
