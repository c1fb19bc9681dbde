//! Attempts of a minute: which become a line at once, and which are counted. Each agent has a budget of its own, so
//! that whatever one does, the attempts of another are on record; and each label has a line of its own within it, so
//! that an agent's noise does not hide its upload.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use crate::journal::Attempt;
use base::quoted::uncut_length;
use guard::FOREIGN_LOOK_UP;

/// Agents told apart within a minute; the attempts of more are counted together.
pub(crate) const AGENTS: usize = 2048;
/// Attempts of an agent that are told apart within a minute, beside the first of each label.
pub(crate) const VARIANTS: usize = 16;
/// Length of a minute.
pub(crate) const MINUTE: Duration = Duration::from_mins(1);
/// Label of the attempts of agents beyond those that are told apart.
const FLOOD: &str = "flood";

/// Attempts of this minute, and the lines that are to be written.
pub(crate) struct Minute {
    begun: Instant,
    hasher: RandomState,
    agents: HashMap<u64, AgentMinute>,
    /// Attempts of agents that are not told apart.
    others: Option<Repeats>,
    /// Lines that are to be written.
    pub(crate) due: Vec<Attempt>,
}

/// Attempts of one agent.
#[derive(Default)]
struct AgentMinute {
    /// By what they asked for: those that had a line.
    variants: HashMap<u64, Repeats>,
    /// By label: those beyond that.
    labels: HashMap<String, Repeats>,
}

/// Attempts since the last line about them.
#[derive(Default)]
struct Repeats {
    count: u64,
    /// The longest, and of those the newest.
    kept: Option<Box<Attempt>>,
    /// The largest length that one of them declared.
    declared: Option<String>,
}

impl Minute {
    /// A minute that begins at `now`, without attempts.
    pub(crate) fn new(now: Instant) -> Self {
        Self { begun: now, hasher: RandomState::new(), agents: HashMap::new(), others: None, due: Vec::new() }
    }

    /// Counts an attempt, or makes it a line that is due. False: its agent is not told apart from others.
    pub(crate) fn add(&mut self, mut attempt: Attempt) -> bool {
        let agent = agent_key(&attempt, &self.hasher);
        if self.agents.len() >= AGENTS && !self.agents.contains_key(&agent) {
            attempt.label = FLOOD.into();
            match &mut self.others {
                Some(others) => others.add(attempt),
                none => {
                    *none = Some(Repeats::default());
                    self.due.push(attempt);
                }
            }
            return false;
        }
        let variant = variant_key(&attempt, &self.hasher);
        self.due.extend(self.agents.entry(agent).or_default().add(variant, attempt));
        true
    }

    /// Time until the minute ends.
    pub(crate) fn left(&self, now: Instant) -> Duration {
        MINUTE.saturating_sub(now.saturating_duration_since(self.begun))
    }

    /// Makes lines of what was counted, and begins the next minute. What went on is known for that one, too.
    pub(crate) fn end(&mut self, now: Instant) {
        self.begun = now;
        let due = &mut self.due;
        self.agents.retain(|_, agent| {
            agent.variants.retain(|_, repeats| repeats.tell(due));
            agent.labels.retain(|_, repeats| repeats.tell(due));
            !agent.variants.is_empty() || !agent.labels.is_empty()
        });
        if self.others.as_mut().is_some_and(|others| !others.tell(due)) {
            self.others = None;
        }
    }
}

impl AgentMinute {
    /// Counts an attempt; gives it back if it is to be a line.
    fn add(&mut self, variant: u64, attempt: Attempt) -> Option<Attempt> {
        if let Some(repeats) = self.variants.get_mut(&variant) {
            repeats.add(attempt);
            return None;
        }
        match self.labels.get_mut(&attempt.label) {
            Some(repeats) if self.variants.len() >= VARIANTS => {
                repeats.add(attempt);
                return None;
            }
            Some(_) => {}
            None => _ = self.labels.insert(attempt.label.clone(), Repeats::default()),
        }
        self.variants.insert(variant, Repeats::default());
        Some(attempt)
    }
}

impl Repeats {
    fn add(&mut self, attempt: Attempt) {
        self.count += 1;
        if declared(attempt.declared_length.as_ref()) > declared(self.declared.as_ref()) {
            self.declared.clone_from(&attempt.declared_length);
        }
        if self.kept.as_ref().is_none_or(|kept| length(&attempt) >= length(kept)) {
            self.kept = Some(Box::new(attempt));
        }
    }

    /// Makes a line of them. False: there were none.
    fn tell(&mut self, due: &mut Vec<Attempt>) -> bool {
        let kept = self.kept.take();
        let Some(attempt) = kept else { return false };
        let (count, declared_length) = (std::mem::take(&mut self.count), self.declared.take());
        due.push(Attempt { count, declared_length, ..*attempt });
        true
    }
}

/// Length that was declared; one that is no number, such as of chunks without an end, is above all numbers.
fn declared(length: Option<&String>) -> Option<u64> {
    length.map(|length| length.parse().unwrap_or(u64::MAX))
}

/// Length of what was asked for: what carries more is kept. Of names that show nothing the newest is.
fn length(attempt: &Attempt) -> usize {
    let name = attempt.host.as_deref().map_or(0, uncut_length);
    if attempt.label == FOREIGN_LOOK_UP { 0 } else { uncut_length(&attempt.target) + name }
}

/// Key of an agent.
fn agent_key(attempt: &Attempt, hasher: &RandomState) -> u64 {
    hasher.hash_one(attempt.holder())
}

/// Key of what was asked for: label, name, method and target with its query. Names that show nothing are one.
fn variant_key(attempt: &Attempt, hasher: &RandomState) -> u64 {
    let Attempt { label, host, sni, method, target, .. } = attempt;
    if label == FOREIGN_LOOK_UP {
        return hasher.hash_one(label);
    }
    hasher.hash_one((label, host.as_ref().or(sni.as_ref()), method, target))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(agent: &str, label: &str, target: &str) -> Attempt {
        Attempt { count: 1, agent: agent.into(), label: label.into(), target: target.into(), ..Attempt::default() }
    }

    fn lines(minute: &mut Minute) -> Vec<(String, String, u64)> {
        minute.due.drain(..).map(|line| (line.agent, line.target, line.count)).collect()
    }

    /// The noise of one agent hides neither another's upload nor its own.
    #[test]
    fn a_flood_of_one_agent_hides_nothing() {
        let mut minute = Minute::new(Instant::now());
        for number in 0..10_000 {
            minute.add(attempt("10.0.0.1", "foreign-name", &format!("/{number}?q={number}")));
        }
        minute.add(attempt("10.0.0.1", "foreign-name", &format!("/{}", "x".repeat(100))));
        minute.add(attempt("10.0.0.1", "foreign-name", "/last"));
        minute.add(attempt("10.0.0.1", "upload", "/own"));
        minute.add(attempt("10.0.0.2", "upload", "/needle"));
        let told = lines(&mut minute);
        assert_eq!(told.len(), VARIANTS + 2, "{told:?}");
        assert!(told.contains(&("10.0.0.1".into(), "/own".into(), 1)) && told[0].1 == "/0?q=0", "{told:?}");
        assert!(told.contains(&("10.0.0.2".into(), "/needle".into(), 1)), "{told:?}");
        // What was only counted is told with the longest.
        minute.end(Instant::now());
        let rest = 10_002 - VARIANTS as u64;
        assert_eq!(lines(&mut minute), [("10.0.0.1".into(), format!("/{}", "x".repeat(100)), rest)]);
        minute.end(Instant::now());
        assert!(minute.due.is_empty() && minute.agents.is_empty());
    }

    /// Queries tell a look-up of one digest from that of another.
    #[test]
    fn what_differs_in_its_query_is_told_apart() {
        let mut minute = Minute::new(Instant::now());
        for target in ["/api?hash=a", "/api?hash=b", "/api?hash=a"] {
            minute.add(attempt("10.0.0.1", "virustotal", target));
        }
        minute.end(Instant::now());
        let told: Vec<_> = lines(&mut minute).into_iter().map(|(_, target, _)| target).collect();
        assert_eq!(told, ["/api?hash=a", "/api?hash=b", "/api?hash=a"]);
    }

    /// Addresses of one IPv6 network are one agent; with too many agents the others are counted in a line that says
    /// so.
    #[test]
    fn agents_are_bounded_and_their_addresses_too() {
        let mut minute = Minute::new(Instant::now());
        for host in 0..5000 {
            assert!(minute.add(attempt(&format!("2001:db8::{host:x}"), "upload", "/x")));
        }
        assert_eq!((minute.due.len(), minute.agents.len()), (1, 1));
        for agent in 1..AGENTS {
            assert!(minute.add(attempt(&format!("10.1.{}.{}", agent / 256, agent % 256), "upload", "/x")));
        }
        let before = minute.due.len();
        assert!(!minute.add(attempt("10.9.0.1", "upload", "/a")) && !minute.add(attempt("10.9.0.2", "upload", "/b")));
        assert_eq!((minute.due.len(), minute.due.last().unwrap().label.as_str()), (before + 1, "flood"));
        // Who is known goes on.
        assert!(minute.add(attempt("10.1.0.1", "virustotal", "/y")));
        minute.due.clear();
        minute.end(Instant::now());
        assert!(minute.due.iter().any(|line| (line.label.as_str(), line.count) == ("flood", 1)));
        assert!(minute.due.iter().any(|line| line.count == 4999));
    }

    /// Of what is only counted, the largest declared length is told, whatever is longest in words.
    #[test]
    fn a_large_upload_is_not_hidden_by_long_words() {
        let now = Instant::now();
        let mut minute = Minute::new(now);
        for number in 0..=VARIANTS {
            minute.add(attempt("10.0.0.7", "upload", &format!("/noise{number}{}", "y".repeat(150))));
        }
        let large = Attempt { declared_length: Some("5000000000".into()), ..attempt("10.0.0.7", "upload", "/n") };
        minute.add(large);
        minute.add(attempt("10.0.0.7", "upload", &format!("/last{}", "y".repeat(180))));
        minute.end(now);
        let told = minute.due.iter().filter_map(|line| line.declared_length.clone()).collect::<Vec<_>>();
        assert_eq!(told, ["5000000000"]);
    }
}
