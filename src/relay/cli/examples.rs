//! One example for each command, shown below its help and in its man page.

use clap::Command;

/// Examples: the words of a command, and a command line that works as typed.
const EXAMPLES: &[(&str, &str)] = &[
    ("init", "gaprelay init --keyring keyring.toml"),
    ("import", "gaprelay import /media/stick"),
    ("approve", "gaprelay approve clamav-daily/27412 --officer alice --reason \"checked, ticket 4711\""),
    ("settle", "gaprelay settle"),
    ("status", "gaprelay status"),
    ("releases", "gaprelay releases"),
    ("show", "gaprelay show clamav-daily/27412 --diff"),
    ("serve", "gaprelay serve --listen 10.0.0.5:8080"),
    ("sinkhole", "gaprelay sinkhole"),
    ("review", "gaprelay review --socket /run/gaprelay/review.sock"),
    ("up", "gaprelay up --prove 1h"),
    ("log", "gaprelay log show --last 20"),
    ("log show", "gaprelay log show --since 2026-11-24"),
    ("log verify", "gaprelay log verify --against receipt.txt"),
    ("log prove", "gaprelay log prove 4711 > entry-4711.proof"),
    ("log receipt", "gaprelay log receipt clamav-daily/27412 > clamav-daily-27412.receipt"),
    ("log export", "gaprelay log export --format ocsf --out events.jsonl --cursor events.cursor"),
    ("log witness", "gaprelay log witness request > request.txt"),
    ("log witness request", "gaprelay log witness request > request.txt"),
    ("log witness hand-in", "gaprelay log witness hand-in signed.txt"),
    ("log witness policy", "gaprelay log witness policy > witness-policy.txt"),
    ("log witness init", "gaprelay log witness init witness --name desk1.example/witness"),
    ("log witness know", "gaprelay log witness know witness --log-key relay.vkey"),
    ("log witness sign", "gaprelay log witness sign witness request.txt > signed.txt"),
    ("log witness serve", "gaprelay log witness serve witness --listen 127.0.0.1:8081"),
    ("log witness show", "gaprelay log witness show witness"),
    ("agents", "gaprelay agents"),
    ("refusals", "gaprelay refusals --by product --submissions"),
    ("selftest", "gaprelay selftest"),
    ("doctor", "gaprelay doctor"),
    ("deployment", "mkdir -p deployment && gaprelay deployment deployment"),
    ("keyring", "gaprelay keyring show"),
    ("keyring show", "gaprelay keyring show"),
    ("directive", "gaprelay directive hand-in directive.txt.minisig"),
    (
        "directive deny-key",
        "gaprelay directive deny-key 9C0E4BDAF9B7A0E1 --officer alice --reason \"key was stolen\" > directive.txt",
    ),
    (
        "directive deny-feed",
        "gaprelay directive deny-feed suricata-et --officer alice --reason \"false alarms\" > directive.txt",
    ),
    (
        "directive deny-origin",
        "gaprelay directive deny-origin US --officer alice --reason \"order 12 of the ministry\" > directive.txt",
    ),
    (
        "directive withdraw-key",
        "gaprelay directive withdraw-key 9C0E4BDAF9B7A0E1 --officer alice --reason \"key was stolen\" > directive.txt",
    ),
    (
        "directive waive",
        "gaprelay directive waive 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 --until 2026-12-01T00:00:00Z --officer alice --reason \"no newer bundle\" > directive.txt",
    ),
    (
        "directive clock",
        "gaprelay directive clock 2026-11-24T06:00:00Z --officer alice --reason \"after four months in storage\" > directive.txt",
    ),
    (
        "directive clock-back",
        "gaprelay directive clock-back 2026-11-24T06:00:00Z --officer alice --reason \"the clock ran ahead\" > directive.txt",
    ),
    ("directive hand-in", "gaprelay directive hand-in directive.txt.minisig"),
    ("tuf", "gaprelay tuf show"),
    ("tuf key", "gaprelay tuf key"),
    ("tuf show", "gaprelay tuf show"),
    ("repair", "gaprelay repair --officer alice --reason \"disk failure\" > repair.alice.txt"),
    ("check-config", "gaprelay check-config"),
    ("policy", "gaprelay policy show"),
    ("policy show", "gaprelay policy show secret"),
    ("policy explain", "gaprelay policy explain clamav-daily"),
    ("policy test", "gaprelay policy test ./rules --feed suricata-et"),
    ("fsck", "gaprelay fsck"),
    ("gc", "gaprelay gc --yes"),
    ("help", "gaprelay help operator"),
    ("explain", "gaprelay explain signature-threshold"),
    ("kinds", "gaprelay kinds suricata-rules"),
    ("completions", "gaprelay completions bash > gaprelay.bash"),
    ("man", "mkdir -p man && gaprelay man man"),
];

/// Adds its example to a command of the first level, and theirs to its subcommands.
pub fn add(command: Command) -> Command {
    let words = command.get_name().to_owned();
    add_below(command, &words)
}

fn add_below(command: Command, words: &str) -> Command {
    let command = command.mut_subcommands(|sub| {
        let words = format!("{words} {}", sub.get_name());
        add_below(sub, &words)
    });
    let Some((_, example)) = EXAMPLES.iter().find(|(of, _)| *of == words) else { return command };
    let example = format!("Example:\n  {example}");
    let text = match command.get_after_help() {
        Some(more) => format!("{more}\n\n{example}"),
        None => example,
    };
    command.after_help(text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::args::RelayArgs;

    /// Every visible command below this one, with its words.
    fn visible<'a>(command: &'a Command, words: &str, found: &mut Vec<(String, &'a Command)>) {
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            let words = format!("{words} {}", sub.get_name()).trim_start().to_owned();
            visible(sub, &words, found);
            found.push((words, sub));
        }
    }

    /// Words of the last command of a line, without a redirection; quoted words are one.
    fn split(line: &str) -> Vec<String> {
        let line = line.split("&& ").last().and_then(|line| line.split(" > ").next()).unwrap_or_default();
        let mut words = Vec::new();
        for (place, piece) in line.split('"').enumerate() {
            if place % 2 == 1 {
                words.push(piece.to_owned());
            } else {
                words.extend(piece.split_whitespace().map(str::to_owned));
            }
        }
        words
    }

    #[test]
    fn each_visible_command_has_an_example_that_works_as_typed() {
        let relay = RelayArgs::command();
        let mut commands = Vec::new();
        visible(&relay, "", &mut commands);
        for (words, command) in &commands {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let (_, example) = help.split_once("Example:\n").unwrap_or_else(|| panic!("`{words}` has no example"));
            let example = example.trim();
            assert!(example.contains(&format!("gaprelay {words}")), "{example}");
            RelayArgs::command()
                .try_get_matches_from(split(example))
                .unwrap_or_else(|e| panic!("`{words}` shows what does not work: {e}"));
        }
        for (words, _) in EXAMPLES {
            assert!(commands.iter().any(|(known, _)| known == words), "`{words}` is not a visible command");
        }
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
        let mut commands = Vec::new();
        visible(&relay, "", &mut commands);
        for (words, command) in commands {
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
