//! Who tried to send something out, put together by agent, product or day.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use base::Timestamp;
use guard::Guard;
use serve::journal::Attempt;

/// `refusals --json`: one for each line, the most attempts first; with `--by day` the newest day first.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Refusals {
    /// The agent's address, with `--by agent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The day in UTC, with `--by day`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    /// What it was.
    pub label: String,
    /// Whether it tried to send something out.
    pub submission: bool,
    /// Attempts.
    pub count: u64,
    /// Agents that made them.
    pub agents: u64,
    /// The first.
    pub first: Timestamp,
    /// When the newest entry about them began.
    pub last: Timestamp,
    /// Method and target of the newest, escaped.
    pub request: String,
    /// Server name asked for in the newest: Host, else the name in TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its User-Agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// What that means.
    pub meaning: String,
    /// What to do on the agent's side.
    pub remedy: String,
}

/// How attempts are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// One agent's attempts of a kind.
    Agent,
    /// All attempts of a kind: a product, or a shape of request.
    Product,
    /// A day's attempts of a kind (UTC).
    Day,
}

/// A line in the making: attempts alike, the newest kept.
struct Line {
    newest: Attempt,
    first: Timestamp,
    count: u64,
    agents: BTreeSet<String>,
}

/// Puts attempts together.
pub struct Tally {
    by: By,
    lines: BTreeMap<(String, String), Line>,
}

impl Tally {
    /// An empty one.
    pub fn new(by: By) -> Self {
        Self { by, lines: BTreeMap::new() }
    }

    /// Counts one.
    pub fn add(&mut self, attempt: Attempt) {
        let group = match self.by {
            By::Agent => attempt.agent.clone(),
            By::Product => String::new(),
            By::Day => day(attempt.at),
        };
        let line = self.lines.entry((group, attempt.label.clone())).or_insert_with(|| Line {
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

    /// Attempts on each of the last days, the oldest first, of a tally by day.
    pub fn days(&self, now: Timestamp, days: u64) -> Vec<(String, u64)> {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for ((group, _), line) in &self.lines {
            *counts.entry(group).or_default() += line.count;
        }
        let day = |back: u64| day(Timestamp::from_secs(now.secs().saturating_sub(back * 86_400)));
        (0..days).rev().map(day).map(|day| (day.clone(), counts.get(day.as_str()).copied().unwrap_or(0))).collect()
    }

    /// The agents of a tally by agent that tried to send something out.
    pub fn senders(&self) -> BTreeSet<String> {
        let sent = self.lines.iter().filter(|(_, line)| line.newest.submission);
        sent.map(|((agent, _), _)| agent.clone()).collect()
    }

    /// The lines, explained by `guard`: the most attempts first, or the newest day first.
    pub fn rows(&self, guard: &Guard) -> Vec<Refusals> {
        let mut rows: Vec<_> =
            self.lines.iter().map(|((group, _), line)| row(self.by, group.clone(), line, guard)).collect();
        match self.by {
            By::Day => rows.sort_by(|a, b| b.day.cmp(&a.day).then(b.count.cmp(&a.count))),
            By::Agent | By::Product => rows.sort_by_key(|row| std::cmp::Reverse(row.count)),
        }
        rows
    }
}

/// Its day in UTC, as `2026-01-01`.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take("2026-01-01".len()).collect()
}

fn row(by: By, group: String, line: &Line, guard: &Guard) -> Refusals {
    let newest = line.newest.clone();
    let about = guard.about(&newest.label);
    let unknown = "This program does not know the label; a newer one wrote it.";
    Refusals {
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
