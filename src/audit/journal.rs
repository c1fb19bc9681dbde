//! The server's journal: it can only append lines to it; the keeper turns them into entries of the
//! access log and then empties it. A server that was broken into can neither sign nor take back.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use serde::{Deserialize, Serialize};

use super::entry::{Attempt, Event, SelfTest};
use super::log::Log;
use super::pulls::{Agents, Pull};
use crate::base::error::IoContext as _;
use crate::base::{Fault, Timestamp, durable};

/// Longest line the keeper believes, in bytes.
pub const LONGEST_LINE: usize = 16 << 10;
/// Name of the journal in the access log's folder.
pub const NAME: &str = "journal";

/// One line.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// What somebody attempted.
    Attempt(Box<Attempt>),
    /// What somebody pulled: no evidence, and no entry of the log.
    Pull(Box<Pull>),
    /// What the server proved of itself before it began.
    SelfTest(Box<SelfTest>),
}

/// The server's end: one descriptor that can only append.
pub struct Journal {
    file: File,
    most: u64,
}

impl Journal {
    /// Opens the journal at `path`; it takes no more than `most` bytes until the keeper has emptied it.
    pub fn open(path: &Path, most: u64) -> Result<Self, Fault> {
        Ok(Self { file: durable::open_append(path)?, most })
    }

    /// Appends lines and puts them on the disk. `false` if the journal is full and they were dropped.
    pub fn append<T: Serialize>(&mut self, records: &[T]) -> std::io::Result<bool> {
        let mut lines = Vec::new();
        for record in records {
            serde_json::to_writer(&mut lines, record)?;
            lines.push(b'\n');
        }
        flock(&self.file, FlockOperation::LockExclusive)?;
        let room = self.file.metadata()?.len().saturating_add(lines.len() as u64) <= self.most;
        let written = if room { self.file.write_all(&lines).and_then(|()| self.file.sync_data()) } else { Ok(()) };
        flock(&self.file, FlockOperation::Unlock)?;
        written.map(|()| room)
    }
}

/// Turns the journal's lines into entries of `log`, takes in who pulled what, then empties it. Gives how many
/// attempts there were.
///
/// A cut between the two leaves lines that are in the log already: the newest entry says which.
pub fn drain(folder: &Path, log: &mut Log, now: Timestamp) -> Result<usize, Fault> {
    let mut count = 0;
    empty(&folder.join(NAME), |lines| {
        let (mut events, mut pulls) = (Vec::new(), Vec::new());
        for line in lines {
            match read_line(line) {
                Line::Attempt(attempt) => events.push(Event::Attempt(*attempt)),
                Line::SelfTest(result) => events.push(Event::SelfTest(*result)),
                Line::Pull(pull) => pulls.push(*pull),
            }
        }
        let newest = log.last().and_then(|entry| number(&entry.event));
        if let Some(known) = events.iter().position(|event| newest.is_some() && number(event) == newest) {
            events.drain(..=known);
        }
        count = events.iter().filter(|event| matches!(event, Event::Attempt(_))).count();
        log.append(now, events)?;
        Agents::take(folder, pulls)
    })?;
    Ok(count)
}

/// Gives the lines of a journal to `take`, under its lock, and empties it once that is done.
pub fn empty(path: &Path, take: impl FnOnce(Vec<&[u8]>) -> Result<(), Fault>) -> Result<(), Fault> {
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

/// The number the server gave it.
fn number(event: &Event) -> Option<u64> {
    match event {
        Event::Attempt(attempt) => Some(attempt.id).filter(|id| *id != 0),
        Event::SelfTest(result) => result.id,
        _ => None,
    }
}

/// A line as the server wrote it; one that cannot be read is evidence too.
fn read_line(line: &[u8]) -> Line {
    let read = if line.len() <= LONGEST_LINE { serde_json::from_slice(line).ok() } else { None };
    read.unwrap_or_else(|| {
        Line::Attempt(Box::new(Attempt {
            count: 1,
            label: "journal-damaged".into(),
            target: crate::base::quoted(&String::from_utf8_lossy(line)).to_string(),
            ..Attempt::default()
        }))
    })
}
