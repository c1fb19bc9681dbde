//! Journal of the server: its lines become entries of the access log, or pulls.

use std::path::Path;

use super::entry::Event;
use super::pulls::Agents;
use super::taken::{FileLimits, TakenFile};
use crate::log::writer::Log;
use crate::rights::ProcessRole;
use base::{Fault, Timestamp};
use sandbox::report::SelfTest;
use serve::journal::{Attempt, JournalLine, LONGEST_LINE, NAME, Pull};

/// Bytes of the journal that are taken at once.
const PIECE: usize = 1 << 20;

/// Turns the journal's lines into entries of `log`, and records the downloads of agents. Returns the number of attempts.
/// `full`: bytes at which the journal is full for the server.
///
/// Stopping is safe: the lines of a piece that a cut left half in the log are known by the numbers that the keeper gives.
pub fn drain(folder: &Path, log: &mut Log, now: Timestamp, full: u64) -> Result<usize, Fault> {
    let journal = TakenFile::open(&folder.join(NAME), FileLimits { piece: PIECE, full }, log.size())?;
    let newest = log.last().filter(|_| journal.was_cut(log.size())).map_or(0, |entry| number_of(&entry.event));
    let mut count = 0;
    journal.take(|lines, first| {
        let (mut events, mut pulls) = (Vec::new(), Vec::new());
        for (line, number) in lines.iter().zip(first..) {
            match read_line(line, number, now) {
                JournalLine::Attempt(attempt) => events.push(Event::Attempt(*attempt)),
                JournalLine::SelfTest(result) => events.push(Event::SelfTest(*result)),
                JournalLine::Pull(pull) => pulls.push(*pull),
            }
        }
        events.retain(|event| number_of(event) > newest);
        count += events.iter().filter(|event| matches!(event, Event::Attempt(_))).count();
        log.append(now, events)?;
        Agents::record(folder, pulls)?;
        Ok(log.size())
    })?;
    Ok(count)
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
