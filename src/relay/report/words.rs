//! Entries of the logs in sentences.

use crate::log::Event;
use inspect::Counts;
use sandbox::report::SelfTest;

/// An entry in a sentence.
pub fn words(event: &Event) -> String {
    match event {
        Event::Initialised { relay, keyring_version, .. } => {
            format!("relay {relay} made, keyring {keyring_version}")
        }
        Event::MediumOpened { medium, mount, disk, writable, operator } => {
            let disk = disk.as_ref().map(|disk| format!("disk {disk} set read-only"));
            let writable = writable.as_ref().map(|why| format!("WRITABLE: {why}"));
            let mount = Some(mount.clone()).filter(|mount| !mount.is_empty());
            let how: Vec<String> = [mount, disk, writable].into_iter().flatten().collect();
            let how = if how.is_empty() { String::new() } else { format!(" ({})", how.join("; ")) };
            format!("{operator} opens medium {medium}{how}")
        }
        Event::MediumRead { bundles, unrelated, unchanged } => {
            let changed = if *unchanged { "" } else { "; its tree was NOT shown to be unchanged" };
            format!("medium read: {bundles} bundles, {unrelated} other files and folders{changed}")
        }
        Event::MediumRefused { reason, detail } => format!("medium refused: {detail} [{reason}]"),
        Event::ImportStarted { bundle, .. } => format!("import of {bundle} begins"),
        Event::Imported { feed, version, counts, after_interruption, .. } => {
            let after = if *after_interruption { " (found complete after a cut)" } else { "" };
            let Counts { cleared, stripped, withheld } = counts;
            format!("imported {feed}/{version}: {cleared} cleared, {stripped} stripped, {withheld} withheld{after}")
        }
        Event::KeyringReplaced { version, signers, revoked, epochs, after_interruption, .. } => {
            let after = if *after_interruption { " (found complete after a cut)" } else { "" };
            let some = |what: &str, list: &[String]| match list {
                [] => String::new(),
                list => format!("; {what} {}", list.join(", ")),
            };
            let (revoked, epochs) = (some("revoked:", revoked), some("epochs:", epochs));
            format!("keyring {version} is in force, signed by {}{revoked}{epochs}{after}", signers.join(", "))
        }
        Event::Repaired { officers, .. } => {
            let names: Vec<_> = officers.iter().map(|repairer| repairer.officer.as_str()).collect();
            format!("{} had the trust state made anew from this log", names.join(" and "))
        }
        Event::Directive { order, officer, clock: Some(time), .. } => {
            format!("{officer} orders: {order}; the clock is turned back to {time} or later")
        }
        Event::Directive { order, officer, .. } => format!("{officer} orders: {order}"),
        Event::AlreadyHere { feed, version, .. } => format!("{feed}/{version} was here already"),
        Event::ImportRefused { reason, detail, .. } => format!("refused: {detail} [{reason}]"),
        Event::ImportFailed { fault } => format!("import failed: {fault}"),
        Event::Statement { feed, version, decision, officer, .. } => {
            format!("{officer}: {decision} {feed}/{version}")
        }
        Event::StatementRefused { reason, detail, .. } => {
            format!("statement refused: {detail} [{reason}]")
        }
        Event::PublishStarted { channel, generation, releases, .. } => {
            format!("channel {channel} goes to set {generation}: {}", releases.join(", "))
        }
        Event::Published { channel, generation, .. } => {
            format!("channel {channel} shows set {generation}")
        }
        Event::PublishRefused { channel, reason, detail } => {
            format!("channel {channel} stays: {detail} [{reason}]")
        }
        Event::SelfTest(SelfTest { full, kernel, roles, without, exposed, findings, .. }) => {
            let form = if *full { "full" } else { "short" };
            let names: Vec<_> = roles.iter().map(|part| part.role.clone()).collect();
            let tried: u64 = roles.iter().map(|part| part.attempts).sum();
            let without: Vec<_> = without.iter().map(|w| format!("; without {}: {}", w.layer, w.reason)).collect();
            let exposed = match exposed.len() {
                0 => String::new(),
                n => format!("; {n} got through for want of it"),
            };
            let found = match findings.len() {
                0 => "nothing got through".to_owned(),
                n => format!("{n} FINDINGS: {}", findings.join(", ")),
            };
            format!(
                "{form} self-test of {} on {kernel}, {tried} attempts: {found}{}{exposed}",
                names.join(", "),
                without.concat()
            )
        }
        Event::Cosigned { size, witnesses, quorum } => {
            let met = if *quorum { "the quorum is met" } else { "not yet the quorum" };
            format!("{} cosigned the first {size} entries: {met}", witnesses.join(", "))
        }
        Event::CosignatureRefused { reason, detail } => format!("cosignature refused: {detail} [{reason}]"),
        Event::Anchored { log, size, .. } => format!("{log} has {size} entries, bound to this log"),
        Event::Interrupted { intent } => {
            format!("what entry {intent} intended was cut off and did not happen")
        }
        Event::Attempt(a) => {
            let what = if a.submission { "tried to send" } else { "asked" };
            let host = a.host.as_ref().or(a.sni.as_ref()).map_or(String::new(), |host| format!(" at {host}"));
            let times = if a.count > 1 { format!(", {} times", a.count) } else { String::new() };
            format!("{} {what} [{}]: {} {}{host}, answered {}{times}", a.agent, a.label, a.method, a.target, a.status)
        }
    }
}
