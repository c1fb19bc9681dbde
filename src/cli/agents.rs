//! `gaprelay agents`: who pulled what and when, and who is behind.

use std::collections::BTreeSet;

use super::{Ended, tui};
use crate::base::{Error, clock};
use crate::report::agents::{AgentRow, AgentStanding, rows};
use crate::store::State;

/// Shows them.
pub fn run(state: &State, json: bool) -> Result<Ended, Error> {
    let rows = rows(state, clock::now())?;
    if json {
        tui::say_json(&rows);
        return Ok(Ended::Well);
    }
    if rows.is_empty() {
        tui::note("no agent has pulled anything; what came in the last seconds is known with the next settle");
        return Ok(Ended::Well);
    }
    tui::table(
        &["agent", "program", "feed", "has", "published", "standing", "last", "times"],
        rows.iter().map(cells).collect(),
    );
    let mut told = BTreeSet::new();
    for row in rows.iter().filter(|row| row.standing != AgentStanding::Current && told.insert(row.standing)) {
        tui::say(format_args!("\n{}: {}", row.standing.word(), row.standing.next()));
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
