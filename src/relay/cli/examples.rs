//! Example of each command, shown below its help and in its man page.

use clap::Command;

use terminal::examples::{self, CommandExample};

/// Examples, without the name of the program.
const EXAMPLES: &[CommandExample] = &[
    ("init", "init --keyring keyring.toml"),
    ("import", "import /media/stick"),
    ("approve", "approve clamav-daily/27412 --officer alice --reason \"checked, ticket 4711\""),
    ("settle", "settle"),
    ("status", "status"),
    ("releases", "releases"),
    ("show", "show clamav-daily/27412 --diff"),
    ("serve", "serve --listen 10.0.0.5:8080"),
    ("sinkhole", "sinkhole"),
    ("review", "review --socket /run/gaprelay/review.sock"),
    ("up", "up --prove 1h"),
    ("log", "log show --last 20"),
    ("log show", "log show --since 2026-11-24"),
    ("log verify", "log verify --against receipt.txt"),
    ("log rebuild", "log rebuild"),
    ("log prove", "log prove 4711 > entry-4711.proof"),
    ("log receipt", "log receipt clamav-daily/27412 > clamav-daily-27412.receipt"),
    ("log export", "log export --format ocsf --out events.jsonl --cursor events.cursor"),
    ("log witness", "log witness request > request.txt"),
    ("log witness request", "log witness request > request.txt"),
    ("log witness hand-in", "log witness hand-in signed.txt"),
    ("log witness policy", "log witness policy > witness-policy.txt"),
    ("log witness init", "log witness init witness --name desk1.example/witness"),
    ("log witness know", "log witness know witness --log-key relay.vkey"),
    ("log witness sign", "log witness sign witness request.txt > signed.txt"),
    ("log witness serve", "log witness serve witness --listen 127.0.0.1:8081"),
    ("log witness show", "log witness show witness"),
    ("agents", "agents"),
    ("refusals", "refusals --by product --submissions"),
    ("selftest", "selftest"),
    ("doctor", "doctor"),
    ("deployment", "deployment ."),
    ("keyring", "keyring show"),
    ("keyring show", "keyring show"),
    ("directive", "directive hand-in directive.txt.minisig"),
    (
        "directive deny-key",
        "directive deny-key 9C0E4BDAF9B7A0E1 --officer alice --reason \"key was stolen\" > directive.txt",
    ),
    (
        "directive deny-feed",
        "directive deny-feed suricata-et --officer alice --reason \"false alarms\" > directive.txt",
    ),
    (
        "directive deny-origin",
        "directive deny-origin US --officer alice --reason \"order 12 of the ministry\" > directive.txt",
    ),
    (
        "directive withdraw-key",
        "directive withdraw-key 9C0E4BDAF9B7A0E1 --officer alice --reason \"key was stolen\" > directive.txt",
    ),
    (
        "directive waive",
        "directive waive 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 --until 2026-12-01T00:00:00Z --officer alice --reason \"no newer bundle\" > directive.txt",
    ),
    (
        "directive clock",
        "directive clock 2026-11-24T06:00:00Z --officer alice --reason \"after four months in storage\" > directive.txt",
    ),
    (
        "directive clock-back",
        "directive clock-back 2026-11-24T06:00:00Z --officer alice --reason \"the clock ran ahead\" > directive.txt",
    ),
    ("directive hand-in", "directive hand-in directive.txt.minisig"),
    ("tuf", "tuf show"),
    ("tuf key", "tuf key"),
    ("tuf show", "tuf show"),
    ("repair", "repair --officer alice --reason \"disk failure\" > repair.alice.txt"),
    ("check-config", "check-config"),
    ("policy", "policy show"),
    ("policy show", "policy show secret"),
    ("policy explain", "policy explain clamav-daily"),
    ("policy test", "policy test ./rules --feed suricata-et"),
    ("fsck", "fsck"),
    ("gc", "gc --yes"),
];

/// Adds its example to a command of the first level, and theirs to its subcommands.
pub(crate) fn add(command: Command) -> Command {
    examples::add(command, "gaprelay", EXAMPLES)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory as _;
    use terminal::examples::visible;

    use super::*;
    use crate::cli::args::RelayArgs;

    #[test]
    fn each_visible_command_has_an_example_that_works_as_typed() {
        assert_eq!(examples::faults::<RelayArgs>("gaprelay", EXAMPLES), Vec::<String>::new());
    }

    #[test]
    fn no_text_names_a_hidden_command() {
        let relay = RelayArgs::command();
        let hidden: Vec<String> = relay
            .get_subcommands()
            .filter(|sub| sub.is_hide_set())
            .map(|sub| format!("gaprelay {}", sub.get_name()))
            .collect();
        assert!(!hidden.is_empty());
        for (words, command) in visible(&relay) {
            let help = command.clone().render_long_help().to_string();
            assert!(!hidden.iter().any(|hidden| help.contains(hidden)), "the help of `{words}` names a hidden command");
        }
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for entry in walkdir::WalkDir::new(sources) {
            let entry = entry.unwrap();
            if entry.path().extension().is_some_and(|ending| ending == "rs" || ending == "md") {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                let named = hidden.iter().find(|hidden| text.contains(hidden.as_str()));
                assert!(named.is_none(), "{} names `{}`", entry.path().display(), named.unwrap());
            }
        }
    }
}
