//! Agents: who pulled what and when, who is behind, who will not follow a step back. What the server says of
//! them; nothing proves it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::log::pulls::{Agents, Pulled};
use crate::state::State;
use base::{Fault, Timestamp};

/// An agent that did not come for this long is silent.
const SILENT: Duration = Duration::from_hours(24);

/// `agents --json`: one for each agent, program and feed; those that need somebody first.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AgentRow {
    /// The agent's address.
    pub agent: String,
    /// Name in its certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Its program, escaped.
    pub program: String,
    /// The feed.
    pub feed: String,
    /// How it stands.
    pub standing: AgentStanding,
    /// Whether it did not come for 24 hours.
    pub silent: bool,
    /// The version that it has, as far as the server can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has: Option<u64>,
    /// The version that is published now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<u64>,
    /// When it came first.
    pub first: Timestamp,
    /// When it came last.
    pub last: Timestamp,
    /// How often it came.
    pub count: u64,
    /// What it asked for last.
    pub path: String,
}

/// How an agent stands to what is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AgentStanding {
    /// It has newer content than is published now, of a kind whose client never goes back.
    WillNotFollow,
    /// It has older content than is published now.
    Behind,
    /// It has newer content than is published now, and takes the older when it comes again.
    Ahead,
    /// It asked, and never got a file whole.
    Incomplete,
    /// Nothing of the feed is published now.
    Withdrawn,
    /// It has what is published now.
    Current,
}

impl AgentStanding {
    /// In a few words.
    pub fn word(self) -> &'static str {
        match self {
            Self::WillNotFollow => "will not follow",
            Self::Behind => "behind",
            Self::Ahead => "ahead",
            Self::Incomplete => "incomplete",
            Self::Withdrawn => "withdrawn",
            Self::Current => "current",
        }
    }

    /// What to do about it.
    pub fn next(self) -> &'static str {
        match self {
            Self::WillNotFollow => {
                "Publish the content that it should have under a higher version: freshclam never takes a database of a lower one."
            }
            Self::Behind => {
                "It takes the published version when it comes next; if it does not come, look at its timer and its log."
            }
            Self::Ahead => "It takes the older content when it comes next.",
            Self::Incomplete => "Look at its log: it asks, and gets no file to the end.",
            Self::Withdrawn => "It keeps what it has until something is published again.",
            Self::Current => "Nothing.",
        }
    }
}

/// All agents.
pub fn rows(state: &State, now: Timestamp) -> Result<Vec<AgentRow>, Fault> {
    let published = published(state)?;
    let mut rows = Vec::new();
    for agent in Agents::load(&state.access_log())?.agents {
        for (feed, pulled) in agent.feeds {
            let version = published.get(&feed).copied();
            rows.push(AgentRow {
                agent: agent.agent.clone(),
                certificate: agent.certificate.clone(),
                program: agent.program.clone(),
                standing: standing(&pulled, version),
                silent: pulled.last.age(now) > SILENT,
                has: pulled.has,
                published: version,
                first: pulled.first,
                last: pulled.last,
                count: pulled.count,
                path: pulled.path,
                feed,
            });
        }
    }
    let calm = |row: &AgentRow| (row.standing, !row.silent);
    rows.sort_by(|a, b| calm(a).cmp(&calm(b)).then(b.last.cmp(&a.last)).then_with(|| a.agent.cmp(&b.agent)));
    Ok(rows)
}

/// The version of each feed that the channels show; the lowest where they differ.
fn published(state: &State) -> Result<BTreeMap<String, u64>, Fault> {
    let mut published = BTreeMap::new();
    for channel in state.channels()? {
        for member in state.members(&channel)? {
            let version = published.entry(member.feed).or_insert(member.version);
            *version = member.version.min(*version);
        }
    }
    Ok(published)
}

fn standing(pulled: &Pulled, published: Option<u64>) -> AgentStanding {
    let Some(published) = published else { return AgentStanding::Withdrawn };
    // freshclam compares the versions in the databases' headers (R4, R16); others take what they are given.
    let never_back = std::path::Path::new(&pulled.path).extension().is_some_and(|end| end == "cvd" || end == "cdiff");
    match pulled.has {
        None => AgentStanding::Incomplete,
        Some(_) if never_back && pulled.highest.is_some_and(|highest| highest > published) => {
            AgentStanding::WillNotFollow
        }
        Some(has) if has > published => AgentStanding::Ahead,
        Some(has) if has < published => AgentStanding::Behind,
        Some(_) => AgentStanding::Current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_standing() {
        let pulled = |has: Option<u64>, highest: Option<u64>, path: &str| Pulled {
            has,
            highest,
            path: path.into(),
            ..Pulled::default()
        };
        for (has, highest, path, published, expected) in [
            (Some(3), Some(3), "/c/a.rules", Some(3), AgentStanding::Current),
            (Some(2), Some(2), "/c/a.rules", Some(3), AgentStanding::Behind),
            (Some(4), Some(4), "/c/a.rules", Some(3), AgentStanding::Ahead),
            (Some(3), Some(4), "/c/a.rules", Some(3), AgentStanding::Current),
            (Some(4), Some(4), "/c/a.cvd", Some(3), AgentStanding::WillNotFollow),
            (None, None, "/c/a.cvd", Some(3), AgentStanding::Incomplete),
            (Some(4), Some(4), "/c/a.cvd", None, AgentStanding::Withdrawn),
        ] {
            assert_eq!(standing(&pulled(has, highest, path), published), expected);
        }
    }
}
