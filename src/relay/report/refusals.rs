//! Refused requests of agents, grouped by agent, product or day.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use base::Timestamp;
use guard::Guard;
use serve::journal::Attempt;

/// Most groups of a tally. Of days the oldest is left out for a new one; agents and labels beyond that are one group.
const GROUPS: usize = 10_000;
/// Most labels of a day; more are one.
const LABELS: usize = 200;
/// Most agents that a tally tells apart, over all its groups.
const AGENTS: usize = 200_000;
/// Longest text of an attempt that a tally keeps, in characters.
const LONGEST: usize = 300;
/// Name and label of the group of those that are not told apart.
const OTHERS: (&str, &str) = ("(others)", "flood");

/// Row of `refusals --json`: the most attempts first, those that each process recorded in turn; with `--by day` the
/// newest day first.
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
    /// Process of the relay whose word this is: the server, or the sinkhole; none for entries of earlier versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Number of attempts.
    pub count: u64,
    /// Number of agents that made them; at least so many, where a tally has more agents than it tells apart.
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

/// Groups and counts attempts: those that each process of the relay recorded apart, so that one that was taken over
/// hides nothing that another recorded.
pub(crate) struct Tally {
    by: GroupBy,
    writers: BTreeMap<Option<String>, WriterTally>,
}

/// Attempts that one process recorded.
struct WriterTally {
    by: GroupBy,
    groups: BTreeMap<(String, String), AttemptGroup>,
    /// Agents in all groups.
    agents: usize,
}

impl Tally {
    /// Tally without attempts.
    pub(crate) fn new(by: GroupBy) -> Self {
        Self { by, writers: BTreeMap::new() }
    }

    /// Counts an attempt.
    pub(crate) fn add(&mut self, attempt: Attempt) {
        // The keeper alone says who recorded it, and knows two who do.
        let none = || WriterTally { by: self.by, groups: BTreeMap::new(), agents: 0 };
        self.writers.entry(attempt.by.clone()).or_insert_with(none).add(attempt);
    }

    /// Groups of all processes.
    fn groups(&self) -> impl Iterator<Item = (Option<&String>, &str, &AttemptGroup)> {
        let all = self.writers.iter().flat_map(|(by, tally)| tally.groups.iter().map(move |group| (by, group)));
        all.map(|(by, ((group, _), attempts))| (by.as_ref(), group.as_str(), attempts))
    }

    /// Number of attempts on each of the last days, the oldest first; for a tally by day.
    pub(crate) fn days(&self, now: Timestamp, days: u64) -> Vec<(String, u64)> {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for (_, group, attempts) in self.groups() {
            let count = counts.entry(group).or_default();
            *count = count.saturating_add(attempts.count);
        }
        let day = |back: u64| day(Timestamp::from_secs(now.secs().saturating_sub(back * 86_400)));
        (0..days).rev().map(day).map(|day| (day.clone(), counts.get(day.as_str()).copied().unwrap_or(0))).collect()
    }

    /// Agents that tried to send something out; for a tally by agent.
    pub(crate) fn senders(&self) -> BTreeSet<String> {
        let sent = self.groups().filter(|(_, _, attempts)| attempts.newest.submission);
        sent.map(|(_, agent, _)| agent.to_owned()).collect()
    }

    /// Rows, explained by `guard`: the most attempts first, those of each process in turn; or the newest day first.
    pub(crate) fn rows(&self, guard: &Guard) -> Vec<RefusalRow> {
        let row = |(by, group, attempts): (Option<&String>, &str, &AttemptGroup)| {
            row(self.by, (by.cloned(), group.to_owned()), attempts, guard)
        };
        let mut rows: Vec<_> = self.groups().map(row).collect();
        match self.by {
            GroupBy::Day => rows.sort_by(|a, b| b.day.cmp(&a.day).then(b.count.cmp(&a.count))),
            GroupBy::Agent | GroupBy::Product => {
                rows.sort_by_key(|row| std::cmp::Reverse(row.count));
                in_turn(&mut rows);
            }
        }
        rows
    }
}

/// Puts the rows of each process in turn, in their order: who looks at the first of them sees some of each, whatever
/// counts another one wrote.
fn in_turn(rows: &mut [RefusalRow]) {
    let mut places: BTreeMap<Option<String>, usize> = BTreeMap::new();
    let mut place = |row: &RefusalRow| {
        let place = places.entry(row.by.clone()).or_default();
        *place += 1;
        *place
    };
    // Each row is asked once, in the order of the rows.
    rows.sort_by_cached_key(|row| place(row));
}

impl WriterTally {
    /// Counts an attempt. What a tally keeps is bounded, however many agents there seem to be, and whatever a process
    /// that was taken over wrote of them.
    fn add(&mut self, attempt: Attempt) {
        let mut attempt = clipped(attempt);
        let group = match self.by {
            GroupBy::Agent => attempt.agent.clone(),
            GroupBy::Product => String::new(),
            GroupBy::Day => day(attempt.at),
        };
        let mut key = (group, attempt.label.clone());
        if !self.groups.contains_key(&key) && self.is_full_for(&key.0) {
            if self.by != GroupBy::Day {
                OTHERS.0.clone_into(&mut key.0);
            }
            OTHERS.1.clone_into(&mut key.1);
            OTHERS.1.clone_into(&mut attempt.label);
        }
        if self.by == GroupBy::Day && self.groups.len() > GROUPS {
            self.groups.pop_first();
        }
        let attempts = self.groups.entry(key).or_insert_with(|| AttemptGroup {
            first: attempt.at,
            count: 0,
            agents: BTreeSet::new(),
            newest: attempt.clone(),
        });
        attempts.count = attempts.count.saturating_add(attempt.count);
        attempts.first = attempts.first.min(attempt.at);
        if self.agents < AGENTS && attempts.agents.insert(attempt.agent.clone()) {
            self.agents += 1;
        }
        if attempt.at >= attempts.newest.at {
            attempts.newest = attempt;
        }
    }

    /// True if there is no room for another label of this group, or for another group.
    fn is_full_for(&self, group: &str) -> bool {
        match self.by {
            GroupBy::Agent | GroupBy::Product => self.groups.len() >= GROUPS,
            GroupBy::Day => {
                let of_day = self.groups.range((group.to_owned(), String::new())..);
                of_day.take_while(|((day, _), _)| day == group).count() >= LABELS
            }
        }
    }
}

/// The parts of an attempt that a row shows, none of them longer than an honest one is.
fn clipped(attempt: Attempt) -> Attempt {
    let clip = |text: String| if text.len() <= LONGEST { text } else { text.chars().take(LONGEST).collect() };
    Attempt {
        label: clip(attempt.label),
        agent: clip(attempt.agent),
        method: clip(attempt.method),
        target: clip(attempt.target),
        host: attempt.host.map(clip),
        sni: attempt.sni.map(clip),
        user_agent: attempt.user_agent.map(clip),
        at: attempt.at,
        count: attempt.count,
        submission: attempt.submission,
        ..Attempt::default()
    }
}

/// Day in UTC, such as `2026-01-01`.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take("2026-01-01".len()).collect()
}

fn row(by: GroupBy, (writer, group): (Option<String>, String), attempts: &AttemptGroup, guard: &Guard) -> RefusalRow {
    let newest = attempts.newest.clone();
    let about = guard.about(&newest.label);
    let unknown = "This version of gaprelay does not know the label of these requests: another version, or another list of endpoints, gave it.";
    RefusalRow {
        agent: (by == GroupBy::Agent).then(|| group.clone()),
        day: (by == GroupBy::Day).then_some(group),
        submission: newest.submission,
        by: writer,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(agent: String, label: &str, day: u64) -> Attempt {
        let at = Timestamp::from_secs(day * 86_400);
        Attempt { at, count: 1, agent, label: label.into(), submission: true, ..Attempt::default() }
    }

    /// Forged addresses and labels do not fill the memory of whoever counts them, and hide nobody who was there before.
    #[test]
    fn a_tally_is_bounded() {
        let (mut agents, mut products, mut days) =
            (Tally::new(GroupBy::Agent), Tally::new(GroupBy::Product), Tally::new(GroupBy::Day));
        agents.add(attempt("10.0.0.1".into(), "upload", 1));
        for number in 0..GROUPS as u64 + 500 {
            agents.add(attempt(format!("agent {number}"), "upload", 1));
            products.add(attempt("10.0.0.1".into(), &format!("label {number}"), 1));
            days.add(attempt("10.0.0.1".into(), "upload", number));
        }
        agents.add(attempt("10.0.0.1".into(), "upload", 2));
        let long = Attempt { target: "x".repeat(100_000), ..attempt("10.0.0.1".into(), "upload", 2) };
        agents.add(long);
        let guard = Guard::shipped().unwrap();
        let rows = agents.rows(&guard);
        assert_eq!(rows.len(), GROUPS + 1);
        assert_eq!((rows[0].agent.as_deref(), rows[0].count, rows[0].label.as_str()), (Some("(others)"), 501, "flood"));
        let known = rows.iter().find(|row| row.agent.as_deref() == Some("10.0.0.1")).unwrap();
        assert_eq!((known.count, known.request.len()), (3, LONGEST));
        assert_eq!(products.rows(&guard).iter().map(|row| row.count).sum::<u64>(), GROUPS as u64 + 500);
        let rows = days.rows(&guard);
        assert_eq!(rows.len(), GROUPS + 1);
        assert_eq!(rows[0].day, Some(day(Timestamp::from_secs((GROUPS as u64 + 499) * 86_400))), "the newest are kept");
        // Labels of one day do not push out the days before.
        let mut days = Tally::new(GroupBy::Day);
        days.add(attempt("10.0.0.1".into(), "upload", 1));
        for number in 0..GROUPS as u64 + 500 {
            days.add(attempt("10.0.0.1".into(), &format!("label {number}"), 2));
        }
        let rows = days.rows(&guard);
        assert_eq!((rows.len(), rows.last().unwrap().label.as_str()), (LABELS + 2, "upload"));
        // Nor does what one process records make another's into others.
        let by = |by: &str, agent: String| Attempt { by: Some(by.into()), ..attempt(agent, "upload", 1) };
        for number in 0..GROUPS + 500 {
            agents.add(by("sinkhole", format!("{number}")));
        }
        agents.add(Attempt { count: u64::MAX, ..by("server", "10.0.0.7".into()) });
        agents.add(by("server", "10.0.0.7".into()));
        let rows = agents.rows(&guard);
        let known = rows.iter().find(|row| row.agent.as_deref() == Some("10.0.0.7")).unwrap();
        assert_eq!((known.by.as_deref(), known.count), (Some("server"), u64::MAX));
        // Nor push it out of what is looked at first.
        let mut agents = Tally::new(GroupBy::Agent);
        for number in 0..1000 {
            agents.add(Attempt { count: 1 << 40, ..by("sinkhole", format!("{number}")) });
        }
        agents.add(by("server", "10.0.0.7".into()));
        assert!(agents.rows(&guard).iter().take(2).any(|row| row.agent.as_deref() == Some("10.0.0.7")));
    }
}
