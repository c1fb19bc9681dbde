//! Pointer of a channel, or of the repository for TUF clients: the one small file by which agents see another set. It
//! is the receipt (C2SP tlog-proof) of the entry of the import log that announced the switch: the entry names the set,
//! the log's key has signed the head that the entry is under. Who can write to the state folder, but has not that key,
//! can keep a set from agents, and can show them none that the relay has not published.

use std::path::Path;

use serde::Deserialize;

use base::{Fault, durable};
use tlog::note::{Checkpoint, Verifier};
use tlog::receipt::{LONGEST, Receipt};
use tlog::tail::each_after;

use crate::set::CurrentSet;

/// Name of the file.
pub const NAME: &str = "pointer";
/// Name of the file in the state's first format, which proved nothing.
pub const FORMER: &str = "current";

/// Entry of the import log, as far as it is about sets.
#[derive(Debug, Deserialize)]
struct LogEntry {
    event: LogEvent,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum LogEvent {
    PublishStarted {
        channel: String,
        generation: u64,
        set: base::Digest,
    },
    Published {
        channel: String,
        generation: u64,
        set: base::Digest,
    },
    #[serde(other)]
    Other,
}

/// Pointer, proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// Set that it names.
    pub current: CurrentSet,
    /// Number of its entry.
    pub entry: u64,
    /// Head of the import log under which its entry is.
    head: Checkpoint,
    /// Head that the log had before its entry.
    before: Checkpoint,
}

impl Pointer {
    /// Reads the pointer of `channel`; none where there is no file. Fault: it is not one that the log's key vouches
    /// for.
    pub fn read(path: &Path, channel: &str, verifier: &Verifier) -> Result<Option<Self>, Fault> {
        if !path.exists() {
            let former = path.with_file_name(FORMER);
            return if former.exists() {
                Err(Fault::damaged(
                    former.to_string_lossy(),
                    "it is of the state's former format, which proves nothing. Bring the state to the present format: gaprelay settle",
                ))
            } else {
                Ok(None)
            };
        }
        let damaged = || {
            let what = "it is not a pointer to a set of this channel that the relay's log vouches for. `gaprelay settle` puts it right";
            Fault::damaged(path.to_string_lossy(), what)
        };
        let text = String::from_utf8(durable::read(path, LONGEST)?).map_err(|_| damaged())?;
        let receipt = Receipt::parse(&text).ok_or_else(damaged)?;
        let head = receipt.verify(verifier).ok_or_else(damaged)?;
        match serde_json::from_slice(&receipt.entry).map(|entry: LogEntry| entry.event) {
            Ok(LogEvent::PublishStarted { channel: of, generation, set }) if of == channel => {
                let (current, before) = (CurrentSet { generation, set }, receipt.before(&head));
                Ok(Some(Self { current, entry: receipt.index, head, before }))
            }
            _ => Err(damaged()),
        }
    }

    /// True if the import log in `folder`, whose head is `newest`, says that this is what agents see: the switch that
    /// it announces happened, or is under way, and there was no later one. An announced switch that was interrupted
    /// counts nothing: its receipt can be made by whoever reads the log. Every entry since the pointer's own is read,
    /// and proven to be under the head. Fault: the log is damaged, or older than the pointer.
    pub fn is_newest(&self, channel: &str, folder: &Path, newest: &Checkpoint) -> Result<bool, Fault> {
        let mut counts = true;
        let mut look = |number: u64, entry: &[u8]| {
            let published = match serde_json::from_slice(entry) {
                Ok(LogEntry { event: LogEvent::Published { channel: of, generation, set } }) if of == channel => {
                    Some(CurrentSet { generation, set })
                }
                _ => None,
            };
            if number == self.entry + 1 {
                counts = published == Some(self.current);
            } else if number > self.entry {
                counts &= published.is_none();
            }
            Ok(())
        };
        each_after(folder, &self.before, &self.head, &mut look)?;
        each_after(folder, &self.head, newest, &mut look)?;
        Ok(counts)
    }
}
