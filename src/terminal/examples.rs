//! Examples of commands: one for each, shown below its help and in its man page.

use clap::{Command, CommandFactory};

/// Example of a command: its words, and a command line that works as typed, both without the name of the program.
pub type CommandExample = (&'static str, &'static str);

/// Examples of the commands that both programs have.
const SHARED: &[CommandExample] = &[
    ("help", "help operator"),
    ("explain", "explain signature-threshold"),
    ("kinds", "kinds suricata-rules"),
    ("completions", "completions bash > completions.bash"),
    ("man", "man /usr/local/share/man/man1"),
];

/// Adds its example to a command of the first level of `program`, and theirs to its subcommands.
pub fn add(command: Command, program: &str, examples: &[CommandExample]) -> Command {
    let words = command.get_name().to_owned();
    add_below(command, &words, program, examples)
}

fn add_below(command: Command, words: &str, program: &str, examples: &[CommandExample]) -> Command {
    let command = command.mut_subcommands(|sub| {
        let words = format!("{words} {}", sub.get_name());
        add_below(sub, &words, program, examples)
    });
    let Some((_, example)) = examples.iter().chain(SHARED).find(|(of, _)| *of == words) else { return command };
    let example = format!("Example:\n  {program} {example}");
    let text = match command.get_after_help() {
        Some(more) => format!("{more}\n\n{example}"),
        None => example,
    };
    command.after_help(text)
}

/// Every visible command below this one, with its words.
pub fn visible(command: &Command) -> Vec<(String, &Command)> {
    let mut found = Vec::new();
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let name = sub.get_name();
        found.extend(visible(sub).into_iter().map(|(words, below)| (format!("{name} {words}"), below)));
        found.push((name.to_owned(), sub));
    }
    found
}

/// Visible commands of `C` without an example, examples of another command or of none, and examples that `C` does not
/// take as they are typed; for tests.
pub fn faults<C: CommandFactory>(program: &str, examples: &[CommandExample]) -> Vec<String> {
    let command = C::command();
    let commands = visible(&command);
    let mut faults = Vec::new();
    for (words, command) in &commands {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let Some((_, example)) = help.split_once("Example:\n") else {
            faults.push(format!("`{words}` has no example"));
            continue;
        };
        if !example.trim().starts_with(&format!("{program} {words}")) {
            faults.push(format!("the example of `{words}` is of another command: {example}"));
        }
        if let Err(e) = C::command().try_get_matches_from(split(example)) {
            faults.push(format!("the example of `{words}` does not work: {e}"));
        }
    }
    let unknown = examples.iter().filter(|(of, _)| !commands.iter().any(|(words, _)| words == of));
    faults.extend(unknown.map(|(of, _)| format!("`{of}` is not a visible command")));
    faults
}

/// Words of a command line, without a redirection; what stands in double quotes is one.
fn split(line: &str) -> Vec<String> {
    let line = line.split(" > ").next().unwrap_or_default();
    let pieces = line.split('"').enumerate();
    let words = |(place, piece): (usize, &str)| -> Vec<String> {
        let is_quoted = place % 2 == 1;
        if is_quoted { vec![piece.to_owned()] } else { piece.split_whitespace().map(str::to_owned).collect() }
    };
    pieces.flat_map(words).collect()
}
