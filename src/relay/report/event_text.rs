//! Sentences for the entries of the logs: `log show`, the pages, and the messages of an export.

use crate::log::Event;
use crate::log::journal_line::{DAMAGED, FORGED, is_of_keeper};
use inspect::Counts;
use sandbox::report::SelfTest;
use serve::journal::Attempt;

/// Sentence for an entry, without a full stop. Everything that somebody outside wrote is escaped in it.
pub(crate) fn event_text(event: &Event) -> String {
    match event {
        Event::Initialised { relay, keyring_version, .. } => {
            format!("relay {relay} initialised with keyring version {keyring_version}")
        }
        Event::ConfigChanged { config } => {
            format!("a changed config.toml is in force from here on: sha256:{config}")
        }
        Event::MediumOpened { medium, mount, disk, writable, operator } => {
            let disk = disk.as_ref().map(|disk| format!("disk {disk} read-only in the kernel"));
            let writable = writable.as_ref().map(|why| format!("WRITABLE, allowed by the config: {why}"));
            let mount = Some(mount.clone()).filter(|mount| !mount.is_empty());
            let facts: Vec<String> = [mount, disk, writable].into_iter().flatten().collect();
            let facts = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join("; ")) };
            format!("{operator} opened medium {medium}{facts}")
        }
        Event::MediumRead { bundles, unrelated, unchanged } => {
            let changed =
                if *unchanged { "" } else { "; the medium was REMOVED TOO EARLY OR CHANGED while it was read" };
            format!(
                "medium read: {}, {} not part of a bundle{changed}",
                plural(*bundles, "bundle", "bundles"),
                plural(*unrelated, "file or folder", "files and folders")
            )
        }
        Event::MediumRefused { reason, detail } => format!("medium refused: {detail} [{reason}]"),
        Event::ImportStarted { bundle, .. } => format!("import of {bundle} started"),
        Event::Imported { feed, version, counts, after_interruption, .. } => {
            let Counts { cleared, stripped, withheld } = counts;
            let after = after_interruption_text(*after_interruption);
            format!("imported {feed}/{version}: {cleared} cleared, {stripped} stripped, {withheld} withheld{after}")
        }
        Event::Recorded { feed, version, record, .. } => {
            format!("record of {feed}/{version}, imported by an earlier version of gaprelay: sha256:{record}")
        }
        Event::Collected { releases } => format!("removed as no longer needed: {}", releases.join(", ")),
        Event::KeyringReplaced { version, signers, revoked, epochs, after_interruption, .. } => {
            let listed = |what: &str, list: &[String]| match list {
                [] => String::new(),
                list => format!("; {what}: {}", list.join(", ")),
            };
            let (revoked, epochs) = (listed("revoked keys", revoked), listed("new epochs", epochs));
            let after = after_interruption_text(*after_interruption);
            format!(
                "keyring version {version} is now in force, signed by {}{revoked}{epochs}{after}",
                signers.join(", ")
            )
        }
        Event::Repaired { officers, .. } => {
            let names: Vec<_> = officers.iter().map(|repairer| repairer.officer.as_str()).collect();
            format!("trust state rebuilt from this log, ordered by {}", names.join(" and "))
        }
        Event::Directive { order, officer, clock: Some(time), .. } => {
            format!("directive of {officer}: {order}; the clock may go back to {time} or later")
        }
        Event::Directive { order, officer, .. } => format!("directive of {officer}: {order}"),
        Event::AlreadyHere { feed, version, .. } => format!("{feed}/{version} was already imported; nothing changed"),
        Event::ImportRefused { reason, detail, .. } => format!("import refused: {detail} [{reason}]"),
        Event::ImportFailed { fault } => format!("import failed: {fault}"),
        Event::Statement { feed, version, decision, officer, .. } => {
            format!("statement of {officer}: {decision} {feed}/{version}")
        }
        Event::StatementRefused { reason, detail, .. } => {
            format!("signed statement or directive refused: {detail} [{reason}]")
        }
        Event::PublishStarted { channel, generation, releases, .. } => {
            let releases = if releases.is_empty() { "no release".to_owned() } else { releases.join(", ") };
            format!("publishing set {generation} in channel {channel} started: {releases}")
        }
        Event::Published { channel, generation, .. } => {
            format!("channel {channel} now shows set {generation}")
        }
        Event::PublishRefused { channel, reason, detail } => {
            format!("channel {channel} does not show all that is due: {detail} [{reason}]")
        }
        Event::SelfTest(result) => self_test_text(result),
        Event::Cosigned { size, witnesses, quorum } => {
            let met = if *quorum { "the quorum is met" } else { "the quorum is not met yet" };
            format!("witnesses {} cosigned the first {size} entries: {met}", witnesses.join(", "))
        }
        Event::CosignatureRefused { reason, detail } => format!("cosignature refused: {detail} [{reason}]"),
        Event::Anchored { log, size, .. } => format!("head of log {log} with {size} entries recorded in this log"),
        Event::Interrupted { intent } => {
            format!("the operation of entry {intent} was interrupted and did not take effect")
        }
        Event::Attempt(Attempt { label, by: Some(by), target, count, .. }) if is_of_keeper(label) => {
            match label.as_str() {
                FORGED => format!(
                    "the process {by} wrote a line into its journal that it never writes, and may have been taken over [{label}]: {target}"
                ),
                DAMAGED => format!("a line in the journal of the process {by} cannot be read [{label}]: {target}"),
                _ => format!("{count} more lines in the journal of the process {by} are only counted [{label}]"),
            }
        }
        Event::Attempt(attempt) => attempt_text(attempt),
    }
}

fn attempt_text(a: &Attempt) -> String {
    let what = if a.submission { "tried to send" } else { "asked" };
    let host = a.host.as_ref().or(a.sni.as_ref()).map_or(String::new(), |host| format!(" at {host}"));
    let times = if a.count > 1 { format!(", {} times", a.count) } else { String::new() };
    let claimed = a
        .claimed_certificate
        .as_ref()
        .map_or(String::new(), |it| format!(", claimed to be {} by an unverified certificate", it.name));
    let Attempt { agent, label, method, target, status, .. } = a;
    format!("{agent} {what} [{label}]: {method} {target}{host}, answered {status}{times}{claimed}")
}

fn self_test_text(result: &SelfTest) -> String {
    let SelfTest { full, kernel, roles, without, exposed, findings, by, .. } = result;
    let form = if *full { "full" } else { "short" };
    let word = by.as_ref().map_or(String::new(), |role| format!("the process {role} says of itself: "));
    let names: Vec<_> = roles.iter().map(|part| part.role.clone()).collect();
    let tried: u64 = roles.iter().map(|part| part.attempts).sum();
    let without: Vec<_> =
        without.iter().map(|waiver| format!("; the layer {} is waived: {}", waiver.layer, waiver.reason)).collect();
    let exposed = match exposed.len() {
        0 => String::new(),
        n => format!("; {n} succeeded because of that waiver"),
    };
    let found = match findings.len() {
        0 => "no finding".to_owned(),
        n => format!("{n} FINDINGS (a forbidden act succeeded, or a needed one failed): {}", findings.join(", ")),
    };
    format!(
        "{word}{form} self-test of {} on {kernel}, {tried} forbidden acts tried: {found}{}{exposed}",
        names.join(", "),
        without.concat()
    )
}

/// Note on an entry that was written at the next start, since the process ended before it could write it.
fn after_interruption_text(after_interruption: bool) -> &'static str {
    if after_interruption { " (recorded after an interruption, complete)" } else { "" }
}

fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
