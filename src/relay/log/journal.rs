//! Journal of the server: its lines become entries of the access log, or pulls, and then it is emptied.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::entry::Event;
use super::pulls::Agents;
use crate::log::writer::Log;
use crate::rights::ProcessRole;
use base::error::IoContext as _;
use base::{Fault, Timestamp, durable};
use serve::journal::{Attempt, LONGEST_LINE, Line, NAME};

/// Turns the journal's lines into entries of `log`, records the downloads of agents, then empties the journal. Returns
/// the number of attempts.
///
/// Stopping is safe: a cut before the journal is empty leaves lines that are in the log already, and the newest entry says
/// which.
pub fn drain(folder: &Path, log: &mut Log, now: Timestamp) -> Result<usize, Fault> {
    let mut count = 0;
    drain_lines(&folder.join(NAME), |lines| {
        let (mut events, mut pulls) = (Vec::new(), Vec::new());
        for line in lines {
            match read_line(line) {
                Line::Attempt(attempt) => events.push(Event::Attempt(*attempt)),
                Line::SelfTest(result) => events.push(Event::SelfTest(*result)),
                Line::Pull(pull) => pulls.push(*pull),
            }
        }
        let newest = log.last().and_then(|entry| number_of(&entry.event));
        if let Some(known) = events.iter().position(|event| newest.is_some() && number_of(event) == newest) {
            events.drain(..=known);
        }
        count = events.iter().filter(|event| matches!(event, Event::Attempt(_))).count();
        log.append(now, events)?;
        Agents::record(folder, pulls)
    })?;
    Ok(count)
}

/// Passes the lines of a journal to `take`, under its lock. The journal is emptied only after `take` succeeded: where it fails, every line is still there.
pub fn drain_lines(path: &Path, take: impl FnOnce(Vec<&[u8]>) -> Result<(), Fault>) -> Result<(), Fault> {
    let mut file = durable::open_append(path)?;
    if file.metadata().during("read", path)?.len() == 0 {
        return Ok(());
    }
    flock(&file, FlockOperation::LockExclusive).map_err(Into::into).during("lock", path)?;
    let mut bytes = Vec::new();
    File::open(path).and_then(|mut f| f.read_to_end(&mut bytes)).during("read", path)?;
    take(bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()).collect())?;
    file.set_len(0).during("empty", path)?;
    file.flush().during("empty", path)
}

/// Number that the server gave the event.
fn number_of(event: &Event) -> Option<u64> {
    match event {
        Event::Attempt(attempt) => Some(attempt.id).filter(|id| *id != 0),
        Event::SelfTest(result) => result.id,
        _ => None,
    }
}

/// Reads a line as the server wrote it; a line that cannot be read is evidence too.
fn read_line(line: &[u8]) -> Line {
    let read = if line.len() <= LONGEST_LINE { serde_json::from_slice(line).ok() } else { None };
    // A self-test of a role that the relay does not have was not written by the relay.
    let is_role = |name: &str| ProcessRole::ALL.iter().any(|role| role.rights().name == name);
    let read = read.filter(|line| match line {
        Line::SelfTest(test) => test.roles.iter().all(|tested| is_role(&tested.role)),
        Line::Attempt(_) | Line::Pull(_) => true,
    });
    read.unwrap_or_else(|| {
        Line::Attempt(Box::new(Attempt {
            count: 1,
            label: "journal-damaged".into(),
            target: base::quoted(&String::from_utf8_lossy(line)).to_string(),
            ..Attempt::default()
        }))
    })
}
