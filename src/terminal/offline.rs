//! Help that needs no network: reason codes, kinds of content, completions, man pages.

use std::path::{Path, PathBuf};

use clap::{CommandFactory, Subcommand};
use clap_complete::Shell;

use crate::help::{self, Group};
use crate::{Ended, kinds, manual};
use base::error::IoContext as _;
use base::{Error, Fault, Reason, quoted};

/// Commands of both programs that need no state.
#[derive(Debug, Subcommand)]
pub enum Offline {
    /// Show a page of the manual. Without a topic: list the commands by role, and the topics.
    Help {
        /// Topic, for example operator.
        topic: Option<String>,
    },
    /// Explain a reason code. Without a code: list all codes.
    Explain {
        /// Reason code, for example signature-threshold.
        code: Option<String>,
    },
    /// List the kinds of content, and show what a file of each looks like; or describe one kind.
    Kinds {
        /// Kind of content, for example suricata-rules.
        kind: Option<String>,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print a script that completes commands in a shell.
    Completions {
        /// Name of the shell.
        shell: Shell,
    },
    /// Write the man pages into a folder.
    Man {
        /// Existing folder to write into.
        out: PathBuf,
    },
}

/// Gives the help asked for of the command line `C`, whose binary has this name and whose commands stand in these
/// groups.
pub fn run<C: CommandFactory>(offline: &Offline, name: &str, groups: &[Group]) -> Result<Ended, Error> {
    match offline {
        Offline::Help { topic } => help::show::<C>(topic.as_deref(), name, groups),
        Offline::Explain { code } => explain(code.as_deref(), name),
        Offline::Kinds { kind, json } => kinds::show(kind.as_deref(), *json, name),
        Offline::Completions { shell } => {
            completions::<C>(*shell, name);
            Ok(Ended::Well)
        }
        Offline::Man { out } => man::<C>(out),
    }
}

/// Explains one code, or lists all, for the program of this name.
fn explain(code: Option<&str>, name: &str) -> Result<Ended, Error> {
    let Some(code) = code else {
        for reason in Reason::ALL {
            crate::say(format_args!("{:<28} {}", reason.code(), reason.meaning()));
        }
        return Ok(Ended::Well);
    };
    let unknown = || {
        let next = format!("Check the spelling: `{name} explain` lists all reason codes.");
        Fault::usage(format!("there is no reason code \"{}\"", quoted(code)), next)
    };
    let reason = Reason::from_code(code).ok_or_else(unknown)?;
    crate::say(format_args!("{}\n  {}\n  next: {}", reason.code(), reason.meaning(), reason.next()));
    Ok(Ended::Well)
}

/// Prints completions.
fn completions<C: CommandFactory>(shell: Shell, name: &str) {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut C::command(), name, &mut out);
    crate::say(String::from_utf8_lossy(&out).trim_end());
}

/// Writes a man page for the command and one for each subcommand, and the pages of the manual.
fn man<C: CommandFactory>(out: &Path) -> Result<Ended, Error> {
    clap_mangen::generate_to(C::command(), out).during("write", out)?;
    manual::write_man_pages(out)?;
    Ok(Ended::Well)
}
