//! Lines of the journals: which process writes which journal, and what it can know and may say there. A line that says
//! anything else was not written by this program: it is recorded as forged, under the name of the process.

use crate::log::entry::Event;
use crate::rights::ProcessRole;
use base::{Timestamp, quoted};
use sandbox::report::SelfTest;
use serve::journal::{Attempt, JournalLine, LONGEST_LINE, NAME, Pull};

/// Name of the sinkhole's journal in the access log's folder.
pub(crate) const SINKHOLE_NAME: &str = "journal-sinkhole";

/// Label of the entry that tells how many lines of a journal are beyond its budget.
pub(crate) const FLOOD: &str = "journal-flood";
/// Label of the entry for a line that cannot be read.
pub(crate) const DAMAGED: &str = "journal-damaged";
/// Label of the entry for a line that says what its process cannot know, or may not say.
pub(crate) const FORGED: &str = "journal-forged";

/// True for the label of an entry that the keeper makes of a journal, and that no process may write there.
pub(crate) fn is_of_keeper(label: &str) -> bool {
    [FLOOD, DAMAGED, FORGED].contains(&label)
}

/// Process that has a journal of its own, to which it alone can append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JournalWriter {
    /// Server: attempts and pulls of agents.
    Server,
    /// Resolver of the sinkhole: look-ups.
    Sinkhole,
}

/// Line as the keeper takes it.
pub(crate) enum TakenLine {
    /// Entry of the access log.
    Event(Box<Event>),
    /// Pull, which is no evidence.
    Pull(Pull),
}

impl JournalWriter {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::Server, Self::Sinkhole];

    /// Name of the journal in the access log's folder.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Server => NAME,
            Self::Sinkhole => SINKHOLE_NAME,
        }
    }

    /// Name of the process.
    pub(crate) fn name(self) -> &'static str {
        self.role().rights().name
    }

    /// Role of the process.
    pub(crate) fn role(self) -> ProcessRole {
        match self {
            Self::Server => ProcessRole::Server,
            Self::Sinkhole => ProcessRole::Sinkhole,
        }
    }

    /// Roles in its self-test: its own, and what starts with it.
    fn tested(self) -> &'static [ProcessRole] {
        match self {
            Self::Server => &[ProcessRole::Server],
            Self::Sinkhole => &[ProcessRole::Sinkhole, ProcessRole::UdpForwarder],
        }
    }

    /// True if the process can know this, and this program writes it.
    fn may_say(self, line: &JournalLine) -> bool {
        match line {
            JournalLine::Attempt(attempt) => {
                is_look_up(attempt) == (self == Self::Sinkhole) && !is_of_keeper(&attempt.label)
            }
            JournalLine::Pull(_) => self == Self::Server,
            JournalLine::SelfTest(result) => result.is_of(self.tested().iter().map(|role| role.rights().name)),
        }
    }

    /// Reads a line of the journal of this process, under the keeper's number, as the process's word and not dated
    /// ahead of `now`. What cannot be read, or is forged, is evidence too.
    pub(crate) fn read(self, line: &[u8], number: u64, now: Timestamp) -> TakenLine {
        match parse(line) {
            Some(read) if self.may_say(&read) => taken(read, Some(self), number, now),
            Some(_) => TakenLine::Event(self.not_believed(FORGED, line, number, now)),
            None => TakenLine::Event(self.not_believed(DAMAGED, line, number, now)),
        }
    }

    /// Entry that stands for a line.
    fn not_believed(self, label: &str, line: &[u8], number: u64, now: Timestamp) -> Box<Event> {
        let target = quoted(&String::from_utf8_lossy(line)).to_string();
        Box::new(Event::Attempt(Attempt { target, ..self.told(label, number, 1, now) }))
    }

    /// Entry that tells that so many lines are beyond the budget; `number` is that of the last of them.
    pub(crate) fn flood(self, beyond: u64, number: u64, now: Timestamp) -> Event {
        Event::Attempt(self.told(FLOOD, number, beyond, now))
    }

    fn told(self, label: &str, id: u64, count: u64, at: Timestamp) -> Attempt {
        Attempt { id, at, count, label: label.into(), by: Some(self.name().into()), ..Attempt::default() }
    }
}

/// Reads a line of the journal that server and sinkhole shared in an earlier version: its attempts are nobody's word.
pub(crate) fn read_shared(line: &[u8], number: u64, now: Timestamp) -> TakenLine {
    let writer = |read: &JournalLine| JournalWriter::ALL.into_iter().find(|writer| writer.may_say(read));
    match parse(line).and_then(|read| Some((writer(&read)?, read))) {
        Some((writer, read @ JournalLine::SelfTest(_))) => taken(read, Some(writer), number, now),
        Some((_, read)) => taken(read, None, number, now),
        None => JournalWriter::Server.read(line, number, now),
    }
}

fn parse(line: &[u8]) -> Option<JournalLine> {
    if line.len() <= LONGEST_LINE { serde_json::from_slice(line).ok() } else { None }
}

fn taken(read: JournalLine, writer: Option<JournalWriter>, id: u64, now: Timestamp) -> TakenLine {
    let by = writer.map(|writer| writer.name().to_owned());
    match read {
        JournalLine::Attempt(attempt) => {
            TakenLine::Event(Box::new(Event::Attempt(Attempt { id, at: attempt.at.min(now), by, ..*attempt })))
        }
        JournalLine::SelfTest(result) => {
            TakenLine::Event(Box::new(Event::SelfTest(SelfTest { id: Some(id), by, ..*result })))
        }
        JournalLine::Pull(pull) => TakenLine::Pull(Pull { id, pulled: pull.pulled.min(now), ..*pull }),
    }
}

/// True for an attempt of the form in which the sinkhole records a look-up: of HTTP and TLS it knows nothing. No
/// request has such a method, which has a space in it.
fn is_look_up(attempt: &Attempt) -> bool {
    let Attempt { certificate, claimed_certificate, sni, user_agent, declared_length, declared_type, .. } = attempt;
    attempt.method.starts_with("DNS ")
        && attempt.target.is_empty()
        && attempt.status == 0
        && claimed_certificate.is_none()
        && [certificate, sni, user_agent, declared_length, declared_type].into_iter().all(Option::is_none)
}
