//! Help that needs no network: reason codes, completions, man pages.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::args::Offline;
use super::{Ended, tui};
use crate::base::error::IoContext as _;
use crate::base::{Error, Fault, Reason, quoted};

/// Gives the help asked for of the command line `C`, whose binary has this name.
pub fn run<C: CommandFactory>(offline: &Offline, name: &str) -> Result<Ended, Error> {
    match offline {
        Offline::Explain { code } => explain(code.as_deref()),
        Offline::Completions { shell } => {
            completions::<C>(*shell, name);
            Ok(Ended::Well)
        }
        Offline::Man { out } => man::<C>(out),
    }
}

/// Explains one code, or lists all.
fn explain(code: Option<&str>) -> Result<Ended, Error> {
    let Some(code) = code else {
        for reason in Reason::ALL {
            tui::say(format_args!("{:<28} {}", reason.code(), reason.meaning()));
        }
        return Ok(Ended::Well);
    };
    let unknown =
        || Fault::Config(format!("there is no reason code \"{}\"; `gaprelay explain` lists them all", quoted(code)));
    let reason = Reason::from_code(code).ok_or_else(unknown)?;
    tui::say(format_args!("{}\n  {}\n  next: {}", reason.code(), reason.meaning(), reason.next()));
    Ok(Ended::Well)
}

/// Prints completions.
fn completions<C: CommandFactory>(shell: Shell, name: &str) {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut C::command(), name, &mut out);
    tui::say(String::from_utf8_lossy(&out).trim_end());
}

/// Writes a man page for the command and one for each subcommand.
fn man<C: CommandFactory>(out: &Path) -> Result<Ended, Error> {
    clap_mangen::generate_to(C::command(), out).during("write", out)?;
    Ok(Ended::Well)
}
