//! `gaprelay refusals`: who tried to send something out, and how to turn it off.

use std::collections::BTreeSet;

use super::args::Refusals;
use super::{Ended, tui};
use crate::audit::check::read_vkey;
use crate::audit::{Event, log};
use crate::base::{Error, clock};
use crate::report::refusals::{self, By, Tally};
use crate::serve::index::Index;
use crate::store::State;

/// Puts the access log's attempts together and shows them.
pub fn run(state: &State, args: &Refusals) -> Result<Ended, Error> {
    let mut tally = Tally::new(args.by);
    let folder = state.access_log();
    log::each_from(&folder, &read_vkey(&folder)?, 0, |_, entry| {
        let Event::Attempt(attempt) = entry.event else { return };
        if attempt.submission || !args.submissions {
            tally.add(attempt);
        }
    })?;
    let guard = Index::guard_of(state, &state.config()?, clock::now())?;
    let rows = tally.rows(&guard);
    if args.json {
        tui::say_json(&rows);
    } else {
        show(args.by, &rows);
    }
    Ok(Ended::Well)
}

fn show(by: By, rows: &[refusals::Refusals]) {
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
