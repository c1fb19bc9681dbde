//! Pulls of agents, counted while they are answered and written to the journal once a second at most, once a minute for
//! each agent and feed: no request waits for the disk, and no agent can fill it.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::header::{self, HeaderMap};
use hyper::{Method, StatusCode};

use super::Server;
use super::freshness::FeedState;
use super::peer::Peer;
use super::seats::SeatHolder;
use crate::journal::{Journal, Pull};
use base::error::IoContext as _;
use base::{Fault, Timestamp, quoted};

/// Agents, programs and feeds told apart within a minute; more are not recorded.
const KINDS: usize = 4096;
/// The same of one agent, or network without certificates: whatever addresses it has, it leaves room for others.
const KINDS_EACH: usize = KINDS / 4;
/// From so many on, programs are not told apart any more: their names are the agents' to choose.
const CROWD: usize = KINDS / 2;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
/// Longest program name, in characters.
const PROGRAM: usize = 40;

/// The pulls of this minute, and where they are told.
pub struct Pulls {
    hasher: RandomState,
    seen: Mutex<Seen>,
    out: Mutex<Journal>,
    /// Pulls that were not recorded, since too many agents came within a minute.
    pub dropped: AtomicU64,
}

/// Pulls by agent, program and feed, and how many kinds of them each agent has.
#[derive(Default)]
struct Seen {
    pulls: HashMap<u64, SeenPulls>,
    holders: HashMap<SeatHolder, usize>,
}

/// Pulls of one agent and feed.
struct SeenPulls {
    holder: SeatHolder,
    pull: Pull,
    told: Option<Instant>,
}

/// Answer that was given.
pub struct Answered<'a> {
    /// Agent that asked.
    pub peer: &'a Peer,
    /// With these headers.
    pub headers: &'a HeaderMap,
    /// By this method.
    pub method: &'a Method,
    /// For this path.
    pub path: &'a str,
    /// Of this feed.
    pub feed: &'a Arc<FeedState>,
    /// With this status.
    pub status: StatusCode,
    /// True if the body was the file as a whole.
    pub whole: bool,
    /// True for a file that the relay made beside an artifact: its digest, say.
    pub is_side_file: bool,
    /// When.
    pub now: Timestamp,
}

impl Pulls {
    /// None yet; they will be told to `journal`.
    pub fn new(journal: Journal) -> Self {
        let (seen, out) = (Mutex::default(), Mutex::new(journal));
        Self { hasher: RandomState::new(), seen, out, dropped: AtomicU64::new(0) }
    }

    /// Counts an answer.
    pub fn record(&self, answered: &Answered<'_>) {
        let Answered { peer, headers, path, feed, .. } = answered;
        let full = matches!(answered.status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) && answered.whole;
        let has = (answered.status == StatusCode::NOT_MODIFIED || full) && !answered.is_side_file;
        let answers = [StatusCode::OK, StatusCode::PARTIAL_CONTENT, StatusCode::NOT_MODIFIED];
        if answered.method != Method::GET || !answers.contains(&answered.status) {
            return;
        }
        let program = headers.get(header::USER_AGENT).map(|value| program(value.as_bytes())).unwrap_or_default();
        let key = |program| self.hasher.hash_one((peer.agent.ip(), &peer.certificate, program, &feed.name));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut program, mut key) = (program, key(program));
        let holder = SeatHolder::of(peer.certificate.as_deref(), peer.agent.ip());
        let Seen { pulls, holders } = &mut *seen;
        let kinds = holders.get(&holder).copied().unwrap_or_default();
        if (pulls.len() >= CROWD || kinds >= KINDS_EACH / 2) && !pulls.contains_key(&key) {
            program = b"(many)";
            key = self.hasher.hash_one((peer.agent.ip(), &peer.certificate, program, &feed.name));
        }
        if (pulls.len() >= KINDS || kinds >= KINDS_EACH) && !pulls.contains_key(&key) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let SeenPulls { pull, .. } = pulls.entry(key).or_insert_with(|| {
            holders.insert(holder.clone(), kinds + 1);
            SeenPulls {
                holder,
                pull: Pull {
                    id: 0,
                    pulled: answered.now,
                    count: 0,
                    agent: peer.agent.ip().to_canonical().to_string(),
                    certificate: peer.certificate.clone(),
                    program: quoted(&String::from_utf8_lossy(program)).to_string().chars().take(PROGRAM).collect(),
                    feed: feed.name.clone(),
                    version: feed.version,
                    path: String::new(),
                    whole: false,
                },
                told: None,
            }
        });
        pull.count += 1;
        pull.pulled = answered.now;
        if pull.count == 1 || pull.version != feed.version {
            pull.path = quoted(path).to_string();
            pull.whole = false;
        }
        pull.version = feed.version;
        pull.whole |= has;
    }

    /// Pulls that are due to be written; with `all`, all that were not written yet.
    fn due(&self, all: bool) -> Vec<Pull> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        let Seen { pulls, holders } = &mut *seen;
        holders.clear();
        pulls.retain(|_, SeenPulls { holder, pull, told }| {
            let rested = told.is_none_or(|told| told.elapsed() >= MINUTE);
            if pull.count > 0 && (rested || all) {
                due.push(pull.clone());
                pull.count = 0;
                *told = Some(Instant::now());
            } else if rested {
                // Whoever did not come for a minute is told at once when they come again.
                return false;
            }
            *holders.entry(holder.clone()).or_default() += 1;
            true
        });
        due
    }

    /// Tells what is due; with `all`, whatever was not told yet.
    pub fn tell(&self, all: bool) {
        let due = self.due(all);
        if due.is_empty() {
            return;
        }
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // A full journal is emptied by the next settle; what is served must not depend on it.
        let _ = out.append(&due);
    }
}

/// The name of a program in a User-Agent: what stands before its version.
fn program(agent: &[u8]) -> &[u8] {
    let end = agent.iter().position(|b| matches!(b, b'/' | b' ' | b'(' | b';')).unwrap_or(agent.len());
    agent.get(..end).unwrap_or_default()
}

/// Tells on a thread of its own, for as long as this process lives.
pub(crate) fn follow(service: Arc<Server>) -> Result<(), Fault> {
    let run = move || {
        loop {
            std::thread::sleep(SECOND);
            service.pulls.tell(false);
        }
    };
    let started = std::thread::Builder::new().name("pulls".into()).spawn(run);
    started.map(drop).during("start", Path::new("a thread"))
}
