//! Downloads of agents: lines of the server's journal put together into one small file beside the access log. This is
//! not a log: it proves nothing, it is only the server's word, and its oldest part is dropped. Attempts to send
//! something are recorded elsewhere ([`Attempt`](serve::journal::Attempt)).

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use base::{Fault, Timestamp, durable};
use serve::journal::Pull;

/// Name of the file in the access log's folder.
pub(crate) const NAME: &str = "agents.json";
/// Most agents that are recorded.
const AGENTS: usize = 10_000;
/// Most feeds that are recorded for one agent.
const FEEDS: usize = 64;
/// Longest file that is read, in bytes.
const LONGEST: u64 = 256 << 20;
/// Longest file that is written, in bytes: several times what 10,000 agents need that are honest.
const LARGEST: usize = 32 << 20;
/// Longest text of a download that is recorded, in bytes.
const LONGEST_TEXT: usize = 1024;

/// Agent: one program at one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Agent {
    /// Address of the agent.
    #[serde(rename = "agent")]
    pub address: String,
    /// Name in the agent's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Program of the agent.
    pub program: String,
    /// Downloads, by feed.
    pub feeds: BTreeMap<String, Pulled>,
}

/// Address, certificate and program: what tells an agent from others.
type AgentKey = (String, Option<String>, String);

impl Agent {
    fn key(&self) -> AgentKey {
        (self.address.clone(), self.certificate.clone(), self.program.clone())
    }
}

/// Downloads of a feed by an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Pulled {
    /// Time of the first download.
    pub first: Timestamp,
    /// Time of the last download.
    pub last: Timestamp,
    /// Number of downloads.
    pub count: u64,
    /// Version that was served the last time.
    pub version: u64,
    /// Version that the agent has, if it ever downloaded one completely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has: Option<u64>,
    /// Highest version that the agent ever had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub highest: Option<u64>,
    /// Path of the last download.
    pub path: String,
}

/// Record of all agents and their downloads.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Agents {
    /// Number of the last journal line that was recorded, as the keeper counts them.
    pub newest: u64,
    /// Agents, in no order.
    pub agents: Vec<Agent>,
}

impl Agents {
    /// Reads the record from the access log's folder; empty before the first download. Fault: it cannot be read.
    pub(crate) fn load(folder: &Path) -> Result<Self, Fault> {
        let path = folder.join(NAME);
        if !path.exists() {
            return Ok(Self::default());
        }
        let damaged = |_| {
            Fault::damaged(
                path.to_string_lossy(),
                "this record of agents' downloads cannot be read. It proves nothing: remove the file, and the relay starts a new record",
            )
        };
        serde_json::from_slice(&durable::read(&path, LONGEST)?).map_err(damaged)
    }

    /// Adds lines of the journal and writes the file. Lines that were recorded before a cut are known by the keeper's
    /// number of the last one; where the keeper has not counted that far, the number is not of this count.
    pub(crate) fn record(folder: &Path, mut pulls: Vec<Pull>) -> Result<(), Fault> {
        // Going on is safe: the record is not evidence, and a damaged one must not stop the keeper.
        let mut agents = Self::load(folder).unwrap_or_default();
        let highest = pulls.iter().map(|pull| pull.id).max().unwrap_or_default();
        if agents.newest <= highest {
            pulls.retain(|pull| pull.id > agents.newest);
        }
        pulls.retain(is_believable);
        if pulls.is_empty() {
            return Ok(());
        }
        let mut places: HashMap<_, _> =
            agents.agents.iter().enumerate().map(|(place, agent)| (agent.key(), place)).collect();
        for pull in pulls {
            agents.add(&mut places, pull);
        }
        let mut most = AGENTS;
        loop {
            agents.forget_oldest(most);
            let bytes = serde_json::to_vec(&agents)
                .map_err(|_| Fault::Internal("the record of agents' downloads cannot be written"))?;
            if bytes.len() <= LARGEST || agents.agents.is_empty() {
                return durable::replace_derived(&folder.join(NAME), &bytes);
            }
            most = agents.agents.len() / 2;
        }
    }

    /// Adds a line; `places` are those of the agents by their keys.
    fn add(&mut self, places: &mut HashMap<AgentKey, usize>, pull: Pull) {
        self.newest = pull.id;
        let agent =
            Agent { address: pull.agent, certificate: pull.certificate, program: pull.program, feeds: BTreeMap::new() };
        let place = *places.entry(agent.key()).or_insert_with(|| {
            self.agents.push(agent);
            self.agents.len() - 1
        });
        let Some(agent) = self.agents.get_mut(place) else { return };
        if agent.feeds.len() >= FEEDS && !agent.feeds.contains_key(&pull.feed) {
            return;
        }
        let pulled = agent.feeds.entry(pull.feed).or_insert_with(|| Pulled { first: pull.pulled, ..Pulled::default() });
        pulled.last = pulled.last.max(pull.pulled);
        pulled.count = pulled.count.saturating_add(pull.count);
        pulled.version = pull.version;
        pulled.path = pull.path;
        if pull.whole {
            pulled.has = Some(pull.version);
            pulled.highest = pulled.highest.max(pulled.has);
        }
    }

    /// Drops agents until so many are left: those whose last download is the oldest, of the network with the most. So
    /// no network, whatever addresses it has, makes the agents of others forgotten.
    fn forget_oldest(&mut self, most: usize) {
        if self.agents.len() <= most {
            return;
        }
        let last = |agent: &Agent| agent.feeds.values().map(|pulled| pulled.last).max();
        self.agents.sort_by_key(|agent| std::cmp::Reverse(last(agent)));
        let mut counts: HashMap<Network, usize> = HashMap::new();
        let mut rank = |agent: &Agent| {
            let newer = counts.entry(Network::of(agent)).or_default();
            *newer += 1;
            *newer
        };
        let mut ranked: Vec<_> = self.agents.drain(..).map(|agent| (rank(&agent), agent)).collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.truncate(most);
        self.agents = ranked.into_iter().map(|(_, agent)| agent).collect();
    }
}

/// Network of agents, none of whom can be told from the others with certainty.
#[derive(PartialEq, Eq, Hash)]
enum Network {
    /// Name in a verified certificate: an agent of its own.
    Certificate(String),
    /// The first bits of an address: 24 of IPv4, 64 of IPv6.
    V4(u32),
    V6(u128),
    /// Something that is no address.
    None,
}

impl Network {
    fn of(agent: &Agent) -> Self {
        match (&agent.certificate, agent.address.parse()) {
            (Some(name), _) => Self::Certificate(name.clone()),
            (None, Ok(IpAddr::V4(address))) => Self::V4(address.to_bits() >> 8),
            (None, Ok(IpAddr::V6(address))) => Self::V6(address.to_bits() >> 64),
            (None, Err(_)) => Self::None,
        }
    }
}

/// True if no text of the line is longer than those of agents are: a server that was taken over writes what it likes.
fn is_believable(pull: &Pull) -> bool {
    let Pull { agent, certificate, program, feed, path, .. } = pull;
    [agent, certificate.as_ref().unwrap_or(agent), program, feed, path].into_iter().all(|it| it.len() <= LONGEST_TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull(id: u64, agent: &str, version: u64, whole: bool) -> Pull {
        Pull {
            id,
            pulled: Timestamp::from_secs(1000 + id),
            count: 2,
            agent: agent.into(),
            certificate: None,
            program: "curl".into(),
            feed: "f".into(),
            version,
            path: "/c/a".into(),
            whole,
        }
    }

    #[test]
    fn lines_are_taken_once_and_the_highest_version_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let lines = vec![pull(7, "10.0.0.1", 3, true), pull(8, "10.0.0.1", 2, false), pull(9, "10.0.0.2", 2, true)];
        Agents::record(folder.path(), lines.clone()).unwrap();
        // A cut before the journal was emptied: the same lines again, and one more.
        Agents::record(folder.path(), [lines, vec![pull(10, "10.0.0.1", 2, true)]].concat()).unwrap();
        let agents = Agents::load(folder.path()).unwrap();
        assert_eq!((agents.newest, agents.agents.len()), (10, 2));
        let pulled = &agents.agents[0].feeds["f"];
        assert_eq!((pulled.count, pulled.version, pulled.has, pulled.highest), (6, 2, Some(2), Some(3)));
        assert_eq!((pulled.first.secs(), pulled.last.secs()), (1007, 1010));
    }

    #[test]
    fn those_seen_longest_ago_are_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let lines = (1..=AGENTS as u64 + 50).map(|id| pull(id, &format!("a{id}"), 1, true)).collect();
        Agents::record(folder.path(), lines).unwrap();
        let agents = Agents::load(folder.path()).unwrap();
        assert_eq!(agents.agents.len(), AGENTS);
        assert!(
            !agents.agents.iter().any(|agent| agent.address == "a1")
                && agents.agents.iter().any(|a| a.address == "a51")
        );
    }

    /// A server that was taken over writes texts as long as are believed; the file stays within bounds.
    #[test]
    fn the_record_is_bounded_in_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let long = "x".repeat(1000);
        let pulls = (1..=AGENTS as u64).map(|id| Pull {
            program: long.clone(),
            path: long.clone(),
            feed: format!("{long}{id}"),
            ..pull(id, &format!("{long}{id}"), 1, true)
        });
        Agents::record(folder.path(), pulls.collect()).unwrap();
        let length = std::fs::metadata(folder.path().join(NAME)).unwrap().len();
        assert!((1 << 20..=LARGEST as u64).contains(&length), "{length}");
        let agents = Agents::load(folder.path()).unwrap();
        assert!(agents.agents.iter().any(|agent| agent.address.ends_with("x10000")), "the newest stay");
    }

    /// A host that comes from ever new addresses has its own agents forgotten, and nobody else's.
    #[test]
    fn many_addresses_of_one_network_push_out_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let mut lines = vec![pull(1, "10.0.0.9", 1, true), pull(2, "2001:db8:1::9", 1, true)];
        lines.push(Pull { certificate: Some("lab.example".into()), ..pull(3, "2001:db8::9", 1, true) });
        lines.extend((4..8000).map(|id| pull(id, &format!("2001:db8::{id:x}"), 1, true)));
        lines.extend((8000..16_000).map(|id| pull(id, &format!("10.1.{}.{}", id % 32, id / 32 % 256), 1, true)));
        Agents::record(folder.path(), lines).unwrap();
        let agents = Agents::load(folder.path()).unwrap().agents;
        assert_eq!(agents.len(), AGENTS);
        for address in ["10.0.0.9", "2001:db8:1::9", "2001:db8::9"] {
            assert!(agents.iter().any(|agent| agent.address == address), "{address}");
        }
        let of = |begin: &str| agents.iter().filter(|agent| agent.address.starts_with(begin)).count();
        assert!(of("2001:db8::") < 2100 && of("10.1.") > 7900, "{} {}", of("2001:db8::"), of("10.1."));
    }

    /// Each text of a line is bounded, whichever a server that was taken over chooses.
    #[test]
    fn no_text_of_a_line_is_longer_than_those_of_agents() {
        let folder = tempfile::tempdir().unwrap();
        let (long, good) = ("x".repeat(LONGEST_TEXT + 1), pull(9, "10.0.0.9", 1, true));
        let lines = vec![
            Pull { certificate: Some(long.clone()), ..pull(1, "10.0.0.1", 1, true) },
            Pull { feed: long.clone(), ..pull(2, "10.0.0.2", 1, true) },
            Pull { path: long.clone(), ..pull(3, "10.0.0.3", 1, true) },
            Pull { program: long.clone(), ..pull(4, "10.0.0.4", 1, true) },
            pull(5, &long, 1, true),
            good,
        ];
        Agents::record(folder.path(), lines).unwrap();
        let agents = Agents::load(folder.path()).unwrap().agents;
        assert_eq!(agents.iter().map(|agent| agent.address.as_str()).collect::<Vec<_>>(), ["10.0.0.9"]);
    }
}
