//! Refused requests of agents, grouped by agent, product or day.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use base::Timestamp;
use guard::Guard;
use serve::journal::Attempt;

/// Row of `refusals --json`: the most attempts first; with `--by day` the newest day first.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RefusalRow {
    /// Address of the agent, with `--by agent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Day in UTC, with `--by day`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    /// Label of the attempts: the vendor's product, or the shape of the request.
    pub label: String,
    /// True if the agent tried to send something out.
    pub submission: bool,
    /// Number of attempts.
    pub count: u64,
    /// Number of agents that made them.
    pub agents: u64,
    /// Time of the first attempt.
    pub first: Timestamp,
    /// Time at which the newest entry about them began.
    pub last: Timestamp,
    /// Method and target of the newest attempt, escaped.
    pub request: String,
    /// Server name in the newest attempt: Host, else the name in TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// User-Agent of the newest attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Meaning of such an attempt, in a sentence.
    pub meaning: String,
    /// Remedy on the agent's side, in a sentence.
    pub remedy: String,
}

/// Grouping of attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum GroupBy {
    /// Attempts of a kind by an agent.
    Agent,
    /// Attempts of a kind by all agents: a product, or a shape of request.
    Product,
    /// Attempts of a kind on a day (UTC).
    Day,
}

/// Attempts of one kind in one group, with the newest.
struct AttemptGroup {
    newest: Attempt,
    first: Timestamp,
    count: u64,
    agents: BTreeSet<String>,
}

/// Groups and counts attempts.
pub(crate) struct Tally {
    by: GroupBy,
    groups: BTreeMap<(String, String), AttemptGroup>,
}

impl Tally {
    /// Tally without attempts.
    pub(crate) fn new(by: GroupBy) -> Self {
        Self { by, groups: BTreeMap::new() }
    }

    /// Counts an attempt.
    pub(crate) fn add(&mut self, attempt: Attempt) {
        let group = match self.by {
            GroupBy::Agent => attempt.agent.clone(),
            GroupBy::Product => String::new(),
            GroupBy::Day => day(attempt.at),
        };
        let attempts = self.groups.entry((group, attempt.label.clone())).or_insert_with(|| AttemptGroup {
            first: attempt.at,
            count: 0,
            agents: BTreeSet::new(),
            newest: attempt.clone(),
        });
        attempts.count += attempt.count;
        attempts.first = attempts.first.min(attempt.at);
        attempts.agents.insert(attempt.agent.clone());
        if attempt.at >= attempts.newest.at {
            attempts.newest = attempt;
        }
    }

    /// Number of attempts on each of the last days, the oldest first; for a tally by day.
    pub(crate) fn days(&self, now: Timestamp, days: u64) -> Vec<(String, u64)> {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for ((group, _), attempts) in &self.groups {
            *counts.entry(group).or_default() += attempts.count;
        }
        let day = |back: u64| day(Timestamp::from_secs(now.secs().saturating_sub(back * 86_400)));
        (0..days).rev().map(day).map(|day| (day.clone(), counts.get(day.as_str()).copied().unwrap_or(0))).collect()
    }

    /// Agents that tried to send something out; for a tally by agent.
    pub(crate) fn senders(&self) -> BTreeSet<String> {
        let sent = self.groups.iter().filter(|(_, attempts)| attempts.newest.submission);
        sent.map(|((agent, _), _)| agent.clone()).collect()
    }

    /// Rows, explained by `guard`: the most attempts first, or the newest day first.
    pub(crate) fn rows(&self, guard: &Guard) -> Vec<RefusalRow> {
        let mut rows: Vec<_> =
            self.groups.iter().map(|((group, _), attempts)| row(self.by, group.clone(), attempts, guard)).collect();
        match self.by {
            GroupBy::Day => rows.sort_by(|a, b| b.day.cmp(&a.day).then(b.count.cmp(&a.count))),
            GroupBy::Agent | GroupBy::Product => rows.sort_by_key(|row| std::cmp::Reverse(row.count)),
        }
        rows
    }
}

/// Day in UTC, such as `2026-01-01`.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take("2026-01-01".len()).collect()
}

fn row(by: GroupBy, group: String, attempts: &AttemptGroup, guard: &Guard) -> RefusalRow {
    let newest = attempts.newest.clone();
    let about = guard.about(&newest.label);
    let unknown = "This version of gaprelay does not know the label of these requests: another version, or another list of endpoints, gave it.";
    RefusalRow {
        agent: (by == GroupBy::Agent).then(|| group.clone()),
        day: (by == GroupBy::Day).then_some(group),
        submission: newest.submission,
        count: attempts.count,
        agents: attempts.agents.len() as u64,
        first: attempts.first,
        last: newest.at,
        request: format!("{} {}", newest.method, newest.target).trim().to_owned(),
        name: newest.host.or(newest.sni),
        user_agent: newest.user_agent,
        meaning: about.map_or(unknown, |e| &e.meaning).to_owned(),
        remedy: about.map_or("Read the entry: gaprelay log show --log access.", |e| &e.remedy).to_owned(),
        label: newest.label,
    }
}
