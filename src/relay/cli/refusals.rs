//! `gaprelay refusals`: attempts of agents to send something out, and how to turn that off.

use std::collections::BTreeSet;

use super::args::RefusalsArgs;
use crate::log::Event;
use crate::log::reading::each_from;
use crate::report::refusals::{self, GroupBy, Tally};
use crate::state::State;
use base::{Error, clock};
use serve::index::Index;
use terminal::Ended;
use tlog::check::read_vkey;

/// Groups the attempts of the access log and prints a row for each group.
pub(crate) fn run(state: &State, args: &RefusalsArgs) -> Result<Ended, Error> {
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
            "no such attempt is on record; attempts of the last seconds appear here after the next `gaprelay settle`",
        );
        return;
    }
    let head = match by {
        GroupBy::Agent => "agent",
        GroupBy::Product => "agents",
        GroupBy::Day => "day",
    };
    let cells = rows.iter().map(|row| {
        let group = row.agent.clone().or_else(|| row.day.clone()).unwrap_or_else(|| row.agents.to_string());
        let sends = if row.submission { "yes" } else { "no" };
        let mut request = row.request.clone();
        for (word, text) in [("at", &row.name), ("by", &row.user_agent)] {
            request.extend(text.iter().map(|text| format!(" {word} {text}")));
        }
        vec![group, row.label.clone(), sends.into(), row.count.to_string(), row.last.to_string(), request]
    });
    terminal::table(&[head, "what", "sends", "times", "last", "last request"], cells.collect());
    let mut explained = BTreeSet::new();
    for row in rows.iter().filter(|row| explained.insert(&row.label)) {
        terminal::say(format_args!("\n{}: {}", row.label, row.meaning));
        terminal::say(format_args!("  what to do: {}", row.remedy));
    }
}
