//! Journal of the server: its lines become entries of the access log, or pulls.

use std::path::Path;

use super::budget::{Budget, SpentFile};
use super::entry::Event;
use super::pulls::Agents;
use super::taken::{FileLimits, TakenFile};
use crate::log::writer::Log;
use crate::rights::ProcessRole;
use tracing::warn;

use base::{Fault, Timestamp};
use sandbox::report::SelfTest;
use serve::journal::{Attempt, JournalLine, LONGEST_LINE, NAME, Pull};

/// Bytes of the journal that are taken at once.
const PIECE: usize = 1 << 20;

/// Budget of the servers' attempts: an ordinary day's entries are a few thousand, of half a kilobyte each.
const BUDGET: Budget = Budget { hour: 4 << 20, day: 32 << 20, all: 4 << 30, share: 128 << 10, reserve: 256 << 10 };
/// Label of the entry that tells how many lines are beyond the budget.
const FLOOD: &str = "journal-flood";

/// Turns the journal's lines into entries of `log`, within the budget, and records the downloads of agents. Returns the
/// number of attempts. `full`: bytes at which the journal is full for the server.
///
/// Stopping is safe: the lines of a piece that a cut left half in the log are known by the numbers that the keeper gives.
pub fn drain(folder: &Path, log: &mut Log, now: Timestamp, full: u64) -> Result<usize, Fault> {
    let journal = TakenFile::open(&folder.join(NAME), FileLimits { piece: PIECE, full }, log.size())?;
    let newest = log.last().filter(|_| journal.was_cut(log.size())).map_or(0, |entry| number_of(&entry.event));
    let (mut count, mut record) = (0, SpentFile::beside(&folder.join(NAME)));
    if let Some(beyond) = record.spent.begin(now).filter(|_| journal.lines() > newest) {
        log.append(now, vec![flood(beyond, journal.lines(), now)])?;
    }
    journal.take(|lines, first| {
        let (mut events, mut pulls) = (Vec::new(), Vec::new());
        for (line, number) in lines.iter().zip(first..) {
            let event = match read_line(line, number, now) {
                JournalLine::Attempt(attempt) => Event::Attempt(*attempt),
                JournalLine::SelfTest(result) => Event::SelfTest(*result),
                JournalLine::Pull(pull) => {
                    pulls.push(*pull);
                    continue;
                }
            };
            let bytes = serde_json::to_vec(&event).map_or(0, |bytes| bytes.len() as u64);
            if record.spent.allows(&BUDGET, &source(&event), bytes) {
                events.push(event);
            }
        }
        let last = (first + lines.len() as u64).saturating_sub(1);
        events.extend(record.spent.tell().map(|beyond| flood(beyond, last, now)));
        events.retain(|event| number_of(event) > newest);
        count += events.iter().filter(|event| matches!(event, Event::Attempt(_))).count();
        log.append(now, events)?;
        record.save()?;
        Agents::record(folder, pulls)?;
        Ok(log.size())
    })?;
    record.save()?;
    Ok(count)
}

/// Source of an event, for the budget: an agent's attempts of one label, and the self-tests of a process.
fn source(event: &Event) -> String {
    match event {
        Event::Attempt(attempt) => {
            format!("{:?} {}", attempt.holder(), attempt.label)
        }
        _ => event.kind().to_owned(),
    }
}

/// Entry that tells how many lines are beyond the budget; `number` is that of the last of them.
fn flood(beyond: u64, number: u64, now: Timestamp) -> Event {
    warn!(
        count = beyond,
        "{beyond} lines of the servers' journal are counted in the access log and not stored: there are more than fit an \
         hour, a day or all time. Look at the entries before with `gaprelay refusals`: one agent floods the relay, or a \
         server was taken over"
    );
    Event::Attempt(Attempt { id: number, at: now, count: beyond, label: FLOOD.into(), ..Attempt::default() })
}

/// Number that the keeper gave the line of an event.
fn number_of(event: &Event) -> u64 {
    match event {
        Event::Attempt(attempt) => attempt.id,
        Event::SelfTest(result) => result.id.unwrap_or_default(),
        _ => 0,
    }
}

/// Reads a line as the server wrote it, under the keeper's number, and not dated ahead of `now`; a line that cannot be read
/// is evidence too.
fn read_line(line: &[u8], number: u64, now: Timestamp) -> JournalLine {
    let read = if line.len() <= LONGEST_LINE { serde_json::from_slice(line).ok() } else { None };
    match read {
        Some(JournalLine::Attempt(attempt)) => {
            JournalLine::Attempt(Box::new(Attempt { id: number, at: attempt.at.min(now), ..*attempt }))
        }
        Some(JournalLine::Pull(pull)) => {
            JournalLine::Pull(Box::new(Pull { id: number, pulled: pull.pulled.min(now), ..*pull }))
        }
        Some(JournalLine::SelfTest(result)) if writer_of(&result).is_some() => {
            let by = writer_of(&result).map(|role| role.rights().name.to_owned());
            JournalLine::SelfTest(Box::new(SelfTest { id: Some(number), by, ..*result }))
        }
        // A self-test of another process was not written by one that says what it proved of itself.
        Some(JournalLine::SelfTest(_)) | None => JournalLine::Attempt(Box::new(Attempt {
            id: number,
            at: now,
            count: 1,
            label: "journal-damaged".into(),
            target: base::quoted(&String::from_utf8_lossy(line)).to_string(),
            ..Attempt::default()
        })),
    }
}

/// Role of the process that writes such a self-test into the journal, of itself and of what starts with it.
fn writer_of(result: &SelfTest) -> Option<ProcessRole> {
    use ProcessRole::{Server, Sinkhole, UdpForwarder};
    let tested = |roles: &[ProcessRole]| result.is_of(roles.iter().map(|role| role.rights().name));
    [(Server, &[Server][..]), (Sinkhole, &[Sinkhole, UdpForwarder])]
        .into_iter()
        .find_map(|(writer, roles)| tested(roles).then_some(writer))
}
