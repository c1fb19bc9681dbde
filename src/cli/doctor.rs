//! `gaprelay doctor`, and the files it compares with.

use std::path::Path;

use super::{Ended, args, json, tui};
use crate::audit::Log;
use crate::base::{Error, Fault, clock};
use crate::deployment;
use crate::doctor::{Finding, Health, Patient, examine};
use crate::store::State;

/// Looks, and says what to do. Failed: something breaks what the relay promises.
pub fn run(state: &State, args: &args::Doctor) -> Result<Ended, Error> {
    let config = state.config()?;
    let newest = Log::open(&state.import_log())?.floor();
    let host = args.host.clone().unwrap_or_else(|| "/".into());
    let patient = Patient { host, state: state.root(), config: &config, newest, now: clock::now() };
    let findings = examine(&patient);
    let worst = findings.iter().map(|finding| finding.health).max();
    if args.json {
        tui::say_json(&json::Doctor { findings });
    } else {
        show(&findings);
    }
    Ok(if worst == Some(Health::Bad) { Ended::Failed } else { Ended::Well })
}

fn show(findings: &[Finding]) {
    let word = |health| match health {
        Health::Good => "good",
        Health::Unseen => "not seen",
        Health::Weak => "weak",
        Health::Bad => "BAD",
    };
    let row =
        |finding: &Finding| vec![finding.check.to_owned(), word(finding.health).to_owned(), finding.found.clone()];
    tui::table(&["check", "state", "found"], findings.iter().map(row).collect());
    for finding in findings {
        if let Some(next) = &finding.next {
            tui::say(format_args!("\n{}: {}\n  what to do: {next}", finding.check, finding.found));
        }
    }
}

/// Writes the files that make a host a relay.
pub fn deployment(out: &Path) -> Result<Ended, Error> {
    if !out.is_dir() {
        return Err(Fault::Config(format!("{} is no folder", out.display())).into());
    }
    let count = deployment::write(out)?;
    tui::say(format_args!("wrote {count} files into {}", out.display()));
    tui::hint(
        "read them, then: systemd-sysusers, systemd-tmpfiles --create, nft -f gaprelay.nft, systemctl daemon-reload",
    );
    Ok(Ended::Well)
}
