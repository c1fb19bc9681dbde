//! `gaprelay doctor` and `deployment`.

use std::path::Path;

use super::{args, json};
use crate::doctor::{ExaminedHost, Health, HostFinding, deployment, examine};
use crate::log::search::{SearchQuery, search};
use crate::state::State;
use base::quoted::quoted_os;
use base::{Error, Fault, Timestamp, clock};
use terminal::Ended;
use tlog::check::read_vkey;

/// Checks the host and prints what to correct. Failed: a finding breaks a promise of the relay.
pub(crate) fn run(state: &State, args: &args::DoctorArgs) -> Result<Ended, Error> {
    let config = state.config()?;
    let mut newest = Timestamp::from_secs(0);
    for folder in [state.import_log(), state.access_log()] {
        let last = search(&folder, &read_vkey(&folder)?, &SearchQuery::default(), 1)?.hits.pop();
        newest = newest.max(last.map(|hit| hit.entry.time).unwrap_or_default());
    }
    let host = args.host.clone().unwrap_or_else(|| "/".into());
    let patient = ExaminedHost { host, state: state.root(), config: &config, newest, now: clock::now() };
    let findings = examine(&patient);
    let worst = findings.iter().map(|finding| finding.health).max();
    if args.json {
        terminal::say_json(&json::DoctorJson { findings });
    } else {
        show(&findings);
    }
    Ok(if worst == Some(Health::Bad) { Ended::Failed } else { Ended::Well })
}

fn show(findings: &[HostFinding]) {
    let word = |health| match health {
        Health::Good => "good",
        Health::Unseen => "not seen",
        Health::Weak => "weak",
        Health::Bad => "BAD",
    };
    let row =
        |finding: &HostFinding| vec![finding.check.to_owned(), word(finding.health).to_owned(), finding.found.clone()];
    terminal::table(&["check", "state", "found"], findings.iter().map(row).collect());
    let wrong: Vec<&HostFinding> = findings.iter().filter(|finding| finding.next.is_some()).collect();
    // Findings with the same remedy are printed together.
    for alike in wrong.chunk_by(|one, other| one.check == other.check && one.next == other.next) {
        let found: Vec<&str> = alike.iter().map(|finding| finding.found.as_str()).collect();
        let Some(HostFinding { check, next: Some(next), .. }) = alike.first() else { continue };
        terminal::say(format_args!("\n{check}: {}\n  what to do: {next}", found.join("; ")));
    }
}

/// Writes the files that a host needs to be a relay.
pub(crate) fn deployment(out: &Path) -> Result<Ended, Error> {
    if !out.is_dir() {
        let (wrong, next) = if out.exists() {
            (format!("{} is not a folder", quoted_os(out)), "Name a folder to write into.".to_owned())
        } else {
            (format!("there is no folder {}", quoted_os(out)), format!("Make it first: mkdir -p {}", quoted_os(out)))
        };
        return Err(Fault::usage(wrong, next).into());
    }
    let count = deployment::write(out)?;
    terminal::say(format_args!("wrote {count} files into {}", out.display()));
    terminal::hint(
        "read the files and copy them into place, then run: systemd-sysusers, systemd-tmpfiles --create, nft -f gaprelay.nft, systemctl daemon-reload",
    );
    Ok(Ended::Well)
}
