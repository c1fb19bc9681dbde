//! `gaprelay agents`: which agent pulled what and when, and which are behind.

use std::collections::BTreeSet;

use crate::report::agents::{AgentRow, AgentStanding, rows};
use crate::state::State;
use base::{Error, clock};
use terminal::Ended;

/// Prints a row for each agent and feed.
pub(crate) fn run(state: &State, json: bool) -> Result<Ended, Error> {
    let rows = rows(state, clock::now())?;
    if json {
        terminal::say_json(&rows);
        return Ok(Ended::Well);
    }
    if rows.is_empty() {
        terminal::note(
            "no agent has pulled anything yet; pulls of the last seconds appear here after the next `gaprelay settle`",
        );
        return Ok(Ended::Well);
    }
    terminal::table(
        &["agent", "program", "feed", "has", "published", "standing", "last", "times"],
        rows.iter().map(cells).collect(),
    );
    let mut explained = BTreeSet::new();
    for row in rows.iter().filter(|row| row.standing != AgentStanding::Current && explained.insert(row.standing)) {
        terminal::say(format_args!("\n{}: {}", row.standing.word(), row.standing.next()));
    }
    Ok(Ended::Well)
}

fn cells(row: &AgentRow) -> Vec<String> {
    let version = |version: Option<u64>| version.map_or("-".into(), |version| version.to_string());
    let name = row.certificate.as_ref().map_or_else(|| row.agent.clone(), |name| format!("{} ({name})", row.agent));
    let silent = if row.silent { ", silent" } else { "" };
    vec![
        name,
        row.program.clone(),
        row.feed.clone(),
        version(row.has),
        version(row.published),
        format!("{}{silent}", row.standing.word()),
        row.last.to_string(),
        row.count.to_string(),
    ]
}
