//! `gaprelay refusals`: who tried to send something out, and how to turn it off.

use std::collections::BTreeSet;

use super::args::Refusals;
use crate::log::Event;
use crate::log::writer::each_from;
use crate::report::refusals::{self, GroupBy, Tally};
use crate::state::State;
use base::{Error, clock};
use serve::index::Index;
use terminal::Ended;
use tlog::check::read_vkey;

/// Puts the access log's attempts together and shows them.
pub fn run(state: &State, args: &Refusals) -> Result<Ended, Error> {
    let mut tally = Tally::new(args.by);
    let folder = state.access_log();
    each_from(&folder, &read_vkey(&folder)?, 0, |_, entry| {
        let Event::Attempt(attempt) = entry.event else { return };
        if attempt.submission || !args.submissions {
            tally.add(attempt);
        }
    })?;
    let guard = Index::guard_of(state.published(), &state.config()?.plan(), clock::now())?;
    let rows = tally.rows(&guard);
    if args.json {
        terminal::say_json(&rows);
    } else {
        show(args.by, &rows);
    }
    Ok(Ended::Well)
}

fn show(by: GroupBy, rows: &[refusals::RefusalRow]) {
    if rows.is_empty() {
        terminal::note(
            "the record holds no such attempt; what came in the last seconds is recorded with the next settle",
        );
        return;
    }
    let head = match by {
        GroupBy::Agent => "agent",
        GroupBy::Product => "agents",
        GroupBy::Day => "day",
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
    terminal::table(&[head, "what", "sends", "times", "last", "last request"], cells.collect());
    let mut told = BTreeSet::new();
    for row in rows.iter().filter(|row| told.insert(&row.label)) {
        terminal::say(format_args!("\n{}: {}", row.label, row.meaning));
        terminal::say(format_args!("  what to do: {}", row.remedy));
    }
}
