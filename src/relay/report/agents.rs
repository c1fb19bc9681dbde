//! Agents: the last pull of each, and its version against the published one. From the server's own record, which
//! nothing proves.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::log::pulls::{Agents, Pulled};
use crate::state::{State, Trust};
use base::{Fault, Timestamp};

/// Time without a request after which an agent is silent.
const SILENT: Duration = Duration::from_hours(24);

/// Row of `agents --json`: an agent, a program and a feed; those that need attention first.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct AgentRow {
    /// Address of the agent.
    pub agent: String,
    /// Name in its certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Program of the agent, escaped.
    pub program: String,
    /// Feed.
    pub feed: String,
    /// Standing of the agent.
    pub standing: AgentStanding,
    /// True if the agent sent no request for 24 hours.
    pub silent: bool,
    /// Version that the agent has, as far as the server can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has: Option<u64>,
    /// Version that is published now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<u64>,
    /// Time of the first request.
    pub first: Timestamp,
    /// Time of the last request.
    pub last: Timestamp,
    /// Number of requests.
    pub count: u64,
    /// Path of the last request.
    pub path: String,
}

/// Standing of an agent: its version against the published one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AgentStanding {
    /// Newer content than is published now, of a kind whose client never goes back.
    WillNotFollow,
    /// Older content than is published now.
    Behind,
    /// Newer content than is published now; the agent takes the older content at its next pull.
    Ahead,
    /// Requests, and no file received completely.
    Incomplete,
    /// No release of the feed is published now.
    Withdrawn,
    /// Content that is published now.
    Current,
}

impl AgentStanding {
    /// Word for the standing.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::WillNotFollow => "will not follow",
            Self::Behind => "behind",
            Self::Ahead => "ahead",
            Self::Incomplete => "incomplete",
            Self::Withdrawn => "withdrawn",
            Self::Current => "current",
        }
    }

    /// Next step, in a sentence.
    pub(crate) fn next(self) -> &'static str {
        match self {
            Self::WillNotFollow => {
                "The agent has a newer database than the published one and keeps it: freshclam never takes a lower version. Bring the wanted content under a higher version and publish that."
            }
            Self::Behind => {
                "The agent has older content. It takes the published version at its next request. If it sends none, check the timer and the log of its update program."
            }
            Self::Ahead => {
                "The agent has newer content than is published. It takes the published, older content at its next request. Nothing needs to be done."
            }
            Self::Incomplete => {
                "The agent sends requests but never received a complete file. Read the log of its update program, and check the network between the agent and this relay."
            }
            Self::Withdrawn => {
                "No release of this feed is published now. The agent keeps its content until the next release is published."
            }
            Self::Current => "The agent has the published version. Nothing needs to be done.",
        }
    }
}

/// Rows of all agents.
pub(crate) fn rows(state: &State, now: Timestamp) -> Result<Vec<AgentRow>, Fault> {
    let published = published(state)?;
    let mut rows = Vec::new();
    for agent in Agents::load(&state.access_log())?.agents {
        for (feed, pulled) in agent.feeds {
            let version = published.get(&feed).copied();
            rows.push(AgentRow {
                agent: agent.address.clone(),
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
    let urgency = |row: &AgentRow| (row.standing, !row.silent);
    rows.sort_by(|a, b| urgency(a).cmp(&urgency(b)).then(b.last.cmp(&a.last)).then_with(|| a.agent.cmp(&b.agent)));
    Ok(rows)
}

/// Version of each feed that the channels show; the lowest if they differ.
fn published(state: &State) -> Result<BTreeMap<String, u64>, Fault> {
    let (mut published, trust) = (BTreeMap::new(), Trust::load(state)?);
    for channel in state.channels()? {
        for member in state.members(&trust, &channel)? {
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
