//! Journals of the server and the sinkhole: their lines become entries of the access log, or pulls. Each process has a
//! journal that it alone can append to, and a budget of its own: one that was taken over speaks for no other, and
//! neither uses up nor buries what another recorded.

use std::path::Path;

use super::budget::{Budget, SpentFile};
use super::entry::Event;
use super::journal_line::{JournalWriter, TakenLine, read_shared};
use super::pulls::Agents;
use super::taken::{FileLimits, TakenFile, begin, has_record};
use crate::log::writer::Log;
use tracing::warn;

use base::{Fault, Timestamp};

/// Bytes of a journal that are taken at once.
const PIECE: usize = 1 << 20;

/// Budget of each journal: an ordinary day's entries are a few thousand, of half a kilobyte each.
const BUDGET: Budget = Budget { hour: 4 << 20, day: 32 << 20, all: 4 << 30, share: 128 << 10, reserve: 256 << 10 };

/// Result of taking the journals in.
#[derive(Debug, Default)]
pub struct Drained {
    /// Number of attempts.
    pub attempts: usize,
    /// Journals that could not be opened, of which nothing was taken.
    pub faults: Vec<Fault>,
}

/// Turns the lines of all journals into entries of `log`, each within its budget, and records the downloads of agents.
/// `full`: bytes at which a journal is full for who appends. Fault: the log could not be written, or a journal not
/// read.
///
/// Stopping is safe: the lines of a piece that a cut left half in the log are known by the numbers that the keeper
/// gives.
pub fn drain(folder: &Path, log: &mut Log, now: Timestamp, full: u64) -> Result<Drained, Fault> {
    // Until the sinkhole's journal is begun, the server's may hold lines of an earlier version's sinkhole, which shared
    // it.
    let own = folder.join(JournalWriter::Sinkhole.file());
    let is_shared = !has_record(&own);
    let writers = if is_shared { &[JournalWriter::Server][..] } else { &JournalWriter::ALL };
    let (mut drained, mut journals) = (Drained::default(), Vec::new());
    // All are opened before the log grows: its newest entry says of which one a cut run took lines.
    for writer in writers {
        match RoleJournal::open(*writer, is_shared, (folder, full), log) {
            Ok(journal) => journals.push(journal),
            Err(fault) => drained.faults.push(fault),
        }
    }
    for journal in journals {
        let (attempts, is_all) = journal.take(folder, log, now)?;
        drained.attempts += attempts;
        if is_shared && is_all {
            begin(&own, log.size())?;
        }
    }
    Ok(drained)
}

/// Makes the records of a new state, in which no two processes ever shared a journal.
pub(crate) fn create(folder: &Path) -> Result<(), Fault> {
    begin(&folder.join(JournalWriter::Sinkhole.file()), 0)
}

/// Journal of one process, open to be taken.
struct RoleJournal {
    writer: JournalWriter,
    /// True if an earlier version's sinkhole wrote to it too.
    is_shared: bool,
    file: TakenFile,
    record: SpentFile,
    /// Number of the last line that a cut run took; 0 where none was cut.
    newest: u64,
}

impl RoleJournal {
    fn open(writer: JournalWriter, is_shared: bool, (folder, full): (&Path, u64), log: &Log) -> Result<Self, Fault> {
        let path = folder.join(writer.file());
        let file = TakenFile::open(&path, FileLimits { piece: PIECE, full }, log.size())?;
        let last = log.last().filter(|_| file.was_cut(log.size())).map(|entry| &entry.event);
        let newest = last.filter(|event| is_shared || is_of(event, writer)).map_or(0, number_of);
        Ok(Self { writer, is_shared, file, record: SpentFile::beside(&path), newest })
    }

    /// Takes the lines. Gives the number of attempts, and whether nothing whole is left.
    fn take(self, folder: &Path, log: &mut Log, now: Timestamp) -> Result<(usize, bool), Fault> {
        let Self { writer, is_shared, file, mut record, newest } = self;
        if let Some(beyond) = record.spent.begin(now).filter(|_| file.lines() > newest) {
            log.append(now, vec![flood(writer, beyond, file.lines(), now)])?;
        }
        let mut count = 0;
        let is_all = file.take(|lines, first| {
            let (mut events, mut pulls) = (Vec::new(), Vec::new());
            for (line, number) in lines.iter().zip(first..) {
                let taken = if is_shared { read_shared(line, number, now) } else { writer.read(line, number, now) };
                let event = match taken {
                    TakenLine::Event(event) => *event,
                    TakenLine::Pull(pull) => {
                        pulls.push(pull);
                        continue;
                    }
                };
                let bytes = serde_json::to_vec(&event).map_or(0, |bytes| bytes.len() as u64);
                if record.spent.allows(&BUDGET, &source(&event), bytes) {
                    events.push(event);
                }
            }
            let last = (first + lines.len() as u64).saturating_sub(1);
            events.extend(record.spent.tell().map(|beyond| flood(writer, beyond, last, now)));
            events.retain(|event| number_of(event) > newest);
            count += events.iter().filter(|event| matches!(event, Event::Attempt(_))).count();
            log.append(now, events)?;
            record.save()?;
            Agents::record(folder, pulls)?;
            Ok(log.size())
        })?;
        record.save()?;
        Ok((count, is_all))
    }
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

/// Entry that tells how many lines of a process are beyond the budget, which is told here too.
fn flood(writer: JournalWriter, beyond: u64, number: u64, now: Timestamp) -> Event {
    let name = writer.name();
    warn!(
        count = beyond,
        "{beyond} lines of the {name}'s journal are counted in the access log and not stored: there are more than fit an \
         hour, a day or all time. Look at the entries before with `gaprelay refusals`: one agent floods the relay, or the \
         {name} was taken over"
    );
    writer.flood(beyond, number, now)
}

/// True if the event came from the journal of this process; those of earlier versions came from the server's.
fn is_of(event: &Event, writer: JournalWriter) -> bool {
    let by = match event {
        Event::Attempt(attempt) => attempt.by.as_deref(),
        Event::SelfTest(result) => result.by.as_deref(),
        _ => return false,
    };
    by.unwrap_or(JournalWriter::Server.name()) == writer.name()
}

/// Number that the keeper gave the line of an event.
fn number_of(event: &Event) -> u64 {
    match event {
        Event::Attempt(attempt) => attempt.id,
        Event::SelfTest(result) => result.id.unwrap_or_default(),
        _ => 0,
    }
}
