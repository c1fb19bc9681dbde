//! `gaprelay status`, `releases` and `show`: reading, under no lock.

use crate::publish::{Examples, ItemChanges, item_changes};
use crate::report::status::Status;
use crate::report::{changes, releases as rows, status as facts};
use crate::state::State;
use base::limits::human;
use base::{Error, Timestamp, quoted};
use bundle::ReleaseId;
use sandbox::Waiver;
use terminal::Ended;

/// All releases and where they stand.
pub fn releases(state: &State, as_json: bool) -> Result<Ended, Error> {
    let rows = rows::rows(state, &state.config()?)?;
    if as_json {
        terminal::say_json(&rows);
        return Ok(Ended::Well);
    }
    if rows.is_empty() {
        terminal::note("no release yet");
        terminal::hint("gaprelay import PATH");
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

/// One release with every verdict.
pub fn show(state: &State, id: &ReleaseId, diff: Option<Examples>, as_json: bool) -> Result<Ended, Error> {
    let mut shown = rows::release_details(state, &state.config()?, id)?;
    if let Some(wanted) = diff {
        shown.items = Some(item_changes(state, &shown.row.release, wanted)?);
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
        let shown = v.shown.map_or_else(|| "?".to_owned(), |kind| kind.to_string());
        let kind = if shown == v.declared { shown } else { format!("{} declared, {shown} shown", v.declared) };
        vec![v.decision.word().into(), quoted(&v.path).to_string(), human(v.size).to_string(), kind, reason]
    });
    terminal::table(&["verdict", "path", "size", "kind", "reason"], rows.collect());
    for (path, database) in verdicts.iter().filter_map(|verdict| Some((&verdict.path, verdict.database?))) {
        terminal::say(format_args!("{}: {}", quoted(path), database.words()));
    }
    if !release.counts.is_clean() {
        terminal::hint("what a reason means: gaprelay explain CODE");
    }
    match &items {
        Some(items) => differences(items, &changes::file_changes(state, release, &verdicts)?.weaker),
        None => terminal::hint(format_args!("what it changes, rule by rule: gaprelay show {id} --diff")),
    }
    Ok(Ended::Well)
}

/// What a release changes, what makes detection weaker first.
fn differences(items: &ItemChanges, weaker: &[String]) {
    terminal::say("");
    match &items.served {
        None => {
            terminal::say(format_args!("no other release of this feed is served: all {} items are new", items.after));
        }
        Some(served) => terminal::say(format_args!(
            "against {served}, which agents have now: {} items there, {} here",
            items.before, items.after
        )),
    }
    for words in weaker {
        terminal::say(format_args!("WEAKER  {words}"));
    }
    for group in &items.changes {
        let word = if group.change.is_weaker() { "WEAKER  " } else { "" };
        terminal::say(format_args!("{word}{} {}", group.count, group.change.words()));
        for example in &group.examples {
            let path = quoted(&example.path);
            for (sign, text) in [('-', &example.old), ('+', &example.new)] {
                if let Some(text) = text {
                    terminal::say(format_args!("  {sign} {path}  {}", quoted(text)));
                }
            }
        }
        let more = group.count.saturating_sub(group.examples.len() as u64);
        if more > 0 {
            terminal::hint(format_args!("and {more} more: --full"));
        }
    }
    if items.served.is_some() && items.weaker().next().is_none() && weaker.is_empty() {
        terminal::say("nothing that makes detection weaker was found");
    }
}

/// What is served, held and stale.
pub fn status(state: &State, now: Timestamp, as_json: bool) -> Result<Ended, Error> {
    let status = facts::status(state, &state.config()?, now)?;
    if as_json {
        terminal::say_json(&status);
    } else {
        print(&status);
    }
    Ok(if status.faults.is_empty() { Ended::Well } else { Ended::Damaged })
}

fn print(status: &Status) {
    terminal::say(format_args!("relay {}, keyring {}, {} now", status.relay, status.keyring, status.now));
    terminal::say(format_args!(
        "log: {} entries on imports, {} in the access log",
        status.import_entries, status.access_entries
    ));
    if let Some(witness) = &status.witness {
        let due = if witness.due { "WITNESSES ARE DUE: " } else { "witnessed: " };
        terminal::say(format_args!("{due}{witness}"));
        if witness.due {
            terminal::hint(
                "gaprelay log witness request makes what they sign; hand it in with gaprelay log witness hand-in FILE",
            );
        }
    }
    for Waiver { layer, reason } in &status.without {
        terminal::say(format_args!("CONFINEMENT: this site does without {layer}: {reason}"));
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
        terminal::say("no channel in the config");
    } else {
        terminal::table(&["channel", "set", "release", "freshness", "dates"], rows);
    }
    for id in &status.held {
        terminal::say(format_args!("held: {id}"));
    }
    if !status.held.is_empty() {
        terminal::hint("gaprelay show FEED/VERSION, then gaprelay approve FEED/VERSION");
    }
    for fault in &status.faults {
        terminal::note(format_args!("fault: {fault}"));
    }
    for next in &status.next {
        terminal::hint(next);
    }
}
