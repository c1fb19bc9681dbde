//! `gaprelay status`, `releases` and `show`: read the state without a lock.

use crate::publish::changes::Example;
use crate::publish::{Examples, ItemChanges, item_changes};
use crate::report::numbers::{percent_change, thousands};
use crate::report::status::Status;
use crate::report::{changes, releases as rows, status as facts};
use crate::state::{State, Trust};
use base::limits::human;
use base::{Error, Timestamp, quoted};
use bundle::ReleaseId;
use inspect::Verdict;
use sandbox::Waiver;
use terminal::Ended;

/// Prints all releases and the state of each.
pub(crate) fn releases(state: &State, as_json: bool) -> Result<Ended, Error> {
    let rows = rows::rows(state, &state.config()?)?;
    if as_json {
        terminal::say_json(&rows);
        return Ok(Ended::Well);
    }
    if rows.is_empty() {
        terminal::note("no release was imported yet");
        terminal::hint("import a medium: gaprelay import PATH");
        return Ok(Ended::Well);
    }
    let table = rows.iter().map(|row| {
        let release = &row.release;
        vec![
            release.id().to_string(),
            release.label.clone(),
            release.issued.to_string(),
            release.imported.to_string(),
            release.operator.to_string(),
            release.counts.stripped.to_string(),
            release.counts.withheld.to_string(),
            row.outcome(),
        ]
    });
    terminal::table(
        &["release", "label", "issued", "imported", "by", "stripped", "withheld", "standing"],
        table.collect(),
    );
    Ok(Ended::Well)
}

/// Prints one release with every verdict.
pub(crate) fn show(state: &State, id: &ReleaseId, diff: Option<Examples>, as_json: bool) -> Result<Ended, Error> {
    let (trust, config) = (Trust::load(state)?, state.config()?);
    let mut shown = rows::release_details(state, &config, id)?;
    if let Some(wanted) = diff {
        shown.items = Some(item_changes((state, &trust), &config, &shown.row.release, wanted)?);
    }
    if as_json {
        terminal::say_json(&shown);
        return Ok(Ended::Well);
    }
    let rows::ReleaseDetails { row, statements, verdicts, items } = shown;
    let release = &row.release;
    let signers: Vec<_> =
        release.signers.iter().map(|s| format!("{} ({}, key {})", s.name, s.role, s.key_id)).collect();
    terminal::say(format_args!("{id}  {}", quoted(&release.label)));
    for (name, value) in [
        ("standing", row.outcome()),
        ("publisher", format!("{} ({})", release.publisher, release.origin)),
        ("signed by", signers.join(", ")),
        ("issued", format!("{}, expires {}", release.issued, release.expires)),
        ("imported", format!("{} by {}", release.imported, release.operator)),
        ("manifest", format!("sha256:{}", release.manifest)),
        ("verdicts", format!("sha256:{}", release.verdicts)),
    ] {
        terminal::say(format_args!("  {name:<10} {value}"));
    }
    row.warning().into_iter().for_each(terminal::note);
    for taken in &statements {
        let reason = taken.text.lines().last().unwrap_or_default();
        terminal::say(format_args!(
            "  {:<10} {} on {}: {}",
            taken.decision.word(),
            taken.officer,
            taken.taken,
            quoted(reason)
        ));
    }
    terminal::say("");
    let rows = verdicts.iter().map(|v| {
        let reason = v.why();
        vec![v.decision.word().into(), quoted(&v.path).to_string(), human(v.size).to_string(), kinds(v), reason]
    });
    terminal::table(&["verdict", "path", "size", "kind", "reason"], rows.collect());
    for (path, database) in verdicts.iter().filter_map(|verdict| Some((&verdict.path, verdict.database?))) {
        terminal::say(format_args!("{}: {}", quoted(path), database.words()));
    }
    if !release.counts.is_clean() {
        terminal::hint("to see what a reason code means: gaprelay explain CODE");
    }
    match &items {
        Some(items) => differences(items, &changes::file_changes((state, &trust), &config, release, &verdicts)?.weaker),
        None => terminal::hint(format_args!("to see what it changes, rule by rule: gaprelay show {id} --diff")),
    }
    Ok(Ended::Well)
}

/// Kind of an artifact in words: declared and recognised.
fn kinds(verdict: &Verdict) -> String {
    match verdict.shown.map(|kind| kind.to_string()) {
        Some(shown) if shown == verdict.declared => shown,
        Some(shown) => format!("declared \"{}\"; the bytes show \"{shown}\"", verdict.declared),
        None => format!("declared \"{}\"; the bytes show no known kind", verdict.declared),
    }
}

/// Numbers of items in words: `agents have 5,360; this release has 1,167 (−78 %)`.
fn numbers(before: u64, after: u64) -> String {
    let change = percent_change(before, after).map(|change| format!(" ({change})")).unwrap_or_default();
    format!("agents have {}; this release has {}{change}", thousands(before), thousands(after))
}

/// Prints items as they stand in their artifacts, before and after.
fn print_examples(examples: &[Example]) {
    for example in examples {
        let path = quoted(&example.path);
        for (sign, text) in [('-', &example.old), ('+', &example.new)] {
            if let Some(text) = text {
                terminal::say(format_args!("  {sign} {path}  {}", quoted(text)));
            }
        }
    }
}

/// Prints the changes of a release, those that weaken detection first.
fn differences(items: &ItemChanges, weaker: &[String]) {
    terminal::say("");
    match &items.served {
        None => {
            terminal::say(format_args!(
                "agents have no release of this feed yet: all {} rules, signatures and indicators are new",
                thousands(items.after)
            ));
        }
        Some(served) => terminal::say(format_args!(
            "compared with {served}, which agents have now; rules, signatures and indicators: {}",
            numbers(items.before, items.after)
        )),
    }
    for words in weaker {
        terminal::say(format_args!("WEAKER  {words}"));
    }
    for shared in &items.shared {
        terminal::say(format_args!("WEAKER  {}", changes::shared_words(shared)));
        print_examples(&shared.examples);
    }
    for group in &items.changes {
        let word = if group.change.is_weaker() { "WEAKER  " } else { "" };
        terminal::say(format_args!("{word}{} {}", thousands(group.count), group.change.words()));
        print_examples(&group.examples);
        let more = group.count.saturating_sub(group.examples.len() as u64);
        if more > 0 {
            terminal::hint(format_args!("to see {} more of these changes, add --full", thousands(more)));
        }
    }
    if items.served.is_some() && items.weaker().next().is_none() && weaker.is_empty() {
        terminal::say("found no change that weakens detection");
    }
}

/// Prints which releases are served, held or stale.
pub(crate) fn status(state: &State, now: Timestamp, as_json: bool) -> Result<Ended, Error> {
    let status = facts::status(state, &state.config()?, now);
    if as_json {
        terminal::say_json(&status);
    } else {
        print(&status);
    }
    Ok(if status.faults.is_empty() { Ended::Well } else { Ended::Damaged })
}

fn print(status: &Status) {
    terminal::say(format_args!("relay {}, keyring version {}, time {}", status.relay, status.keyring, status.now));
    terminal::say(format_args!(
        "{} entries in the import log, {} in the access log",
        status.import_entries, status.access_entries
    ));
    if let Some(pin) = status.config {
        terminal::say(format_args!(
            "config.toml in force: sha256:{}, on record in entry {} of the import log",
            pin.sha256, pin.entry
        ));
    }
    if let Some(witness) = &status.witness {
        let due = if witness.due { "A WITNESS MUST SIGN THE LOG: " } else { "witnessed: " };
        terminal::say(format_args!("{due}{witness}"));
        if witness.due {
            terminal::hint(
                "make a request for the witness: gaprelay log witness request; hand in the answer: gaprelay log witness hand-in FILE",
            );
        }
    }
    for Waiver { layer, reason } in &status.without {
        terminal::say(format_args!(
            "ISOLATION WEAKENED: config.toml accepts that the layer {layer} is missing: {reason}"
        ));
    }
    terminal::say("");
    let mut rows = Vec::new();
    for channel in &status.channels {
        if channel.releases.is_empty() {
            rows.push(vec![
                channel.channel.clone(),
                channel.generation.to_string(),
                "-".into(),
                "nothing published".into(),
                String::new(),
            ]);
        }
        for m in &channel.releases {
            rows.push(vec![
                channel.channel.clone(),
                channel.generation.to_string(),
                format!("{}/{}", m.feed, m.version),
                m.freshness.into(),
                format!("issued {}, expires {}", m.issued, m.expires),
            ]);
        }
    }
    if rows.is_empty() {
        terminal::say("config.toml has no channels");
    } else {
        terminal::table(&["channel", "set", "release", "freshness", "dates"], rows);
    }
    for id in &status.held {
        terminal::say(format_args!("held for approval: {id}"));
    }
    if !status.held.is_empty() {
        terminal::hint(
            "an officer reviews each held release: gaprelay show FEED/VERSION --diff, then gaprelay approve FEED/VERSION",
        );
    }
    for fault in &status.faults {
        terminal::note(format_args!("fault: {fault}"));
    }
    for next in &status.next {
        terminal::hint(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_in_words() {
        assert_eq!(numbers(5360, 1167), "agents have 5,360; this release has 1,167 (−78 %)");
        assert_eq!(numbers(1000, 1500), "agents have 1,000; this release has 1,500 (+50 %)");
        assert_eq!(numbers(1000, 1001), "agents have 1,000; this release has 1,001 (up by less than 1 %)");
        assert_eq!(numbers(0, 7), "agents have 0; this release has 7");
    }
}
