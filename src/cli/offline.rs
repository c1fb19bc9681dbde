//! Help that needs no network: reason codes, completions, man pages.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Ended, tui};
use crate::base::error::IoContext as _;
use crate::base::{Error, Fault, Reason, quoted};

/// Explains one code, or lists all.
pub fn explain(code: Option<&str>) -> Result<Ended, Error> {
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
pub fn completions<C: CommandFactory>(shell: Shell, name: &str) -> Result<Ended, Error> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut C::command(), name, &mut out);
    tui::say(String::from_utf8_lossy(&out).trim_end());
    Ok(Ended::Well)
}

/// Writes a man page for the command and one for each subcommand.
pub fn man<C: CommandFactory>(out: &Path) -> Result<Ended, Error> {
    clap_mangen::generate_to(C::command(), out).during("write", out)?;
    Ok(Ended::Well)
}
