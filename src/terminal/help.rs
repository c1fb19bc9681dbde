//! `help`: the commands in groups by who needs them, and the pages of the manual.

use std::fmt::Write as _;

use base::{Error, Fault, quoted};
use clap::CommandFactory;

use crate::manual::{PAGES, page};
use crate::{Ended, say};

/// Commands of one role: who they are for, and their names.
pub type Group = (&'static str, &'static [&'static str]);

/// Shows a topic's page; without one, the commands of `C` in groups, and the topics.
pub fn show<C: CommandFactory>(topic: Option<&str>, name: &str, groups: &[Group]) -> Result<Ended, Error> {
    let Some(topic) = topic else {
        say(overview::<C>(name, groups).trim_end());
        return Ok(Ended::Well);
    };
    let unknown = || {
        let topics: Vec<&str> = PAGES.iter().map(|page| page.topic).collect();
        let is_command = groups.iter().any(|(_, commands)| commands.contains(&topic));
        let next = if is_command {
            format!("For the command of this name: {name} {topic} --help")
        } else {
            format!("The pages are {}.", topics.join(", "))
        };
        Fault::usage(format!("the manual has no page \"{}\"", quoted(topic)), next)
    };
    say(page(topic).ok_or_else(unknown)?.text.trim_end());
    Ok(Ended::Well)
}

/// The commands in groups, and the topics.
pub fn overview<C: CommandFactory>(name: &str, groups: &[Group]) -> String {
    let command = C::command();
    let about = |sub: &str| command.find_subcommand(sub).and_then(|sub| sub.get_about()).map(ToString::to_string);
    let mut text = format!("{}\n", command.get_about().map(ToString::to_string).unwrap_or_default());
    for (who, commands) in groups {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{who}\n");
        for sub in *commands {
            let _ = writeln!(text, "  {sub:<14} {}", about(sub).unwrap_or_default());
        }
    }
    let _ = write!(text, "\nManual ({name} help TOPIC)\n");
    for page in PAGES {
        let _ = writeln!(text, "  {:<14} {}", page.topic, page.about);
    }
    let _ = write!(text, "\nOptions and an example of a command: {name} COMMAND --help\n");
    text
}

/// Visible commands of `C` that stand in no group, or in more than one; and names in groups that are no visible
/// command.
pub fn ungrouped<C: CommandFactory>(groups: &[Group]) -> Vec<String> {
    let command = C::command();
    let visible: Vec<&str> =
        command.get_subcommands().filter(|sub| !sub.is_hide_set()).map(clap::Command::get_name).collect();
    let grouped: Vec<&str> = groups.iter().flat_map(|(_, commands)| commands.iter().copied()).collect();
    let once = |name: &&str| grouped.iter().filter(|other| other == &name).count() == 1;
    let wrong = visible.iter().filter(|name| !once(name)).chain(grouped.iter().filter(|name| !visible.contains(name)));
    wrong.map(|name| (*name).to_owned()).collect()
}
