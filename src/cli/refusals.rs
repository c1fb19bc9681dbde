//! `gaprelay refusals`: who tried to send something out, and how to turn it off.

use std::collections::{BTreeMap, BTreeSet};

use super::args::{By, Refusals};
use super::{Ended, json, tui};
use crate::audit::check::read_vkey;
use crate::audit::entry::Attempt;
use crate::audit::{Event, log};
use crate::base::{Error, Timestamp, clock};
use crate::guard::Guard;
use crate::serve::index::Index;
use crate::store::State;

/// A line in the making: attempts alike, the newest kept.
struct Line {
    newest: Attempt,
    first: Timestamp,
    count: u64,
    agents: BTreeSet<String>,
}

/// Puts the access log's attempts together and shows them.
pub fn run(state: &State, args: &Refusals) -> Result<Ended, Error> {
    let mut lines: BTreeMap<(String, String), Line> = BTreeMap::new();
    let folder = state.access_log();
    log::each(&folder, &read_vkey(&folder)?, None, |_, entry| {
        let Event::Attempt(attempt) = entry.event else { return };
        if attempt.submission || !args.submissions {
            add(&mut lines, args.by, attempt);
        }
    })?;
    let guard = Index::guard_of(state, &state.config()?, clock::now())?;
    let mut rows: Vec<json::Refusals> =
        lines.into_iter().map(|((group, _), line)| row(args.by, group, line, &guard)).collect();
    match args.by {
        By::Day => rows.sort_by(|a, b| b.day.cmp(&a.day).then(b.count.cmp(&a.count))),
        By::Agent | By::Product => rows.sort_by_key(|row| std::cmp::Reverse(row.count)),
    }
    if args.json {
        tui::say_json(&rows);
    } else {
        show(args.by, &rows);
    }
    Ok(Ended::Well)
}

fn add(lines: &mut BTreeMap<(String, String), Line>, by: By, attempt: Attempt) {
    let group = match by {
        By::Agent => attempt.agent.clone(),
        By::Product => String::new(),
        By::Day => attempt.at.to_string().chars().take("2026-01-01".len()).collect(),
    };
    let line = lines.entry((group, attempt.label.clone())).or_insert_with(|| Line {
        first: attempt.at,
        count: 0,
        agents: BTreeSet::new(),
        newest: attempt.clone(),
    });
    line.count += attempt.count;
    line.first = line.first.min(attempt.at);
    line.agents.insert(attempt.agent.clone());
    if attempt.at >= line.newest.at {
        line.newest = attempt;
    }
}

fn row(by: By, group: String, line: Line, guard: &Guard) -> json::Refusals {
    let newest = line.newest;
    let about = guard.about(&newest.label);
    let unknown = "This program does not know the label; a newer one wrote it.";
    json::Refusals {
        agent: (by == By::Agent).then(|| group.clone()),
        day: (by == By::Day).then_some(group),
        submission: newest.submission,
        count: line.count,
        agents: line.agents.len() as u64,
        first: line.first,
        last: newest.at,
        request: format!("{} {}", newest.method, newest.target).trim().to_owned(),
        name: newest.host.or(newest.sni),
        user_agent: newest.user_agent,
        meaning: about.map_or(unknown, |e| &e.meaning).to_owned(),
        remedy: about.map_or("Look at the entry with `gaprelay log show --log access`.", |e| &e.remedy).to_owned(),
        label: newest.label,
    }
}

fn show(by: By, rows: &[json::Refusals]) {
    if rows.is_empty() {
        tui::note("the record holds no such attempt; what came in the last seconds is recorded with the next settle");
        return;
    }
    let head = match by {
        By::Agent => "agent",
        By::Product => "agents",
        By::Day => "day",
    };
    let cells = rows.iter().map(|row| {
        let first = row.agent.clone().or_else(|| row.day.clone()).unwrap_or_else(|| row.agents.to_string());
        let sends = if row.submission { "yes" } else { "no" };
        let mut request = row.request.clone();
        for (word, said) in [("at", &row.name), ("by", &row.user_agent)] {
            request.extend(said.iter().map(|said| format!(" {word} {said}")));
        }
        vec![first, row.label.clone(), sends.into(), row.count.to_string(), row.last.to_string(), request]
    });
    tui::table(&[head, "what", "sends", "times", "last", "last request"], cells.collect());
    let mut told = BTreeSet::new();
    for row in rows.iter().filter(|row| told.insert(&row.label)) {
        tui::say(format_args!("\n{}: {}", row.label, row.meaning));
        tui::say(format_args!("  what to do: {}", row.remedy));
    }
}
