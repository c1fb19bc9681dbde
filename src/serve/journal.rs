//! Journal of a process: a file that this process can only append lines to, that no other one can open, and that the
//! keeper takes into the access log. A process that was broken into can neither sign nor take back: its descriptor
//! appends, and no system call that it may make takes that from it, writes elsewhere or cuts the file.
//!
//! A shared lock is held while lines are appended, and nothing else is done under it. The keeper alone may take the
//! lock exclusively, for the moment in which it empties the file. Neither waits for the other without a limit, nor for
//! a third who holds the lock.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::time::Duration;

use base::{Digest, Fault, Timestamp, durable};
use rustix::fs::{FlockOperation, flock};
use sandbox::report::SelfTest;
use serde::{Deserialize, Serialize};

use super::seats::SeatHolder;

/// Longest line the keeper believes, in bytes.
pub const LONGEST_LINE: usize = 16 << 10;
/// Most bytes of a journal, whatever the config says: the kernel lets no process that appends to one go beyond it.
pub const LARGEST: u64 = 1 << 30;
/// Name of the server's journal in the access log's folder.
pub const NAME: &str = "journal";

/// One line.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub enum JournalLine {
    /// Attempt to send something out or to reach someone else.
    Attempt(Box<Attempt>),
    /// Pull: no evidence, and no entry of the log.
    Pull(Box<Pull>),
    /// Result of the process's self-test before it began.
    SelfTest(Box<SelfTest>),
}

/// Number of tries to get the lock, and the pause between two.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(5);

/// End of the process that writes: one descriptor that can only append.
pub struct Journal {
    file: File,
    most: u64,
}

impl Journal {
    /// Opens the journal at `path`; it takes no more than `most` bytes until the keeper has emptied it.
    pub fn open(path: &Path, most: u64) -> Result<Self, Fault> {
        Ok(Self { file: durable::open_append(path)?, most })
    }

    /// Appends lines in one write and puts them on the disk. `false` if they do not fit, and nothing was written.
    pub fn append<T: Serialize>(&mut self, records: &[T]) -> std::io::Result<bool> {
        // A line that another process was cut in ends here, and takes none of these with it.
        let mut lines = vec![b'\n'];
        for record in records {
            serde_json::to_writer(&mut lines, record)?;
            lines.push(b'\n');
        }
        let is_locked = self.lock();
        let written = self.write(&lines);
        if is_locked {
            // The process ends with it at the latest, and the keeper does not wait for it without a limit.
            let _ = flock(&self.file, FlockOperation::Unlock);
        }
        if written? { self.file.sync_data().map(|()| true) } else { Ok(false) }
    }

    /// Takes the lock that keeps the keeper from emptying the file, and no other process from appending. False: it
    /// cannot be had. The keeper holds it for the moment between its last look at the file and the cut; who holds it
    /// for so long only keeps evidence from being written, and is not waited for: one write at the file's end needs no
    /// lock.
    fn lock(&self) -> bool {
        for _ in 0..TRIES {
            match flock(&self.file, FlockOperation::NonBlockingLockShared) {
                Ok(()) => return true,
                Err(e) if e.kind() == ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
                Err(_) => return false,
            }
        }
        false
    }

    fn write(&mut self, lines: &[u8]) -> std::io::Result<bool> {
        let room = self.file.metadata()?.len().saturating_add(lines.len() as u64) <= self.most;
        if room { self.file.write_all(lines).map(|()| true) } else { Ok(false) }
    }
}

/// A line of the journal: pulls alike, since the last such line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pull {
    /// Number of the line among all that the keeper took from the journal; 0 until then.
    pub id: u64,
    /// When the newest came.
    pub pulled: Timestamp,
    /// Number of pulls.
    pub count: u64,
    /// The agent's address.
    pub agent: String,
    /// Name in its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Program: the first word of its User-Agent, without the version; escaped.
    pub program: String,
    /// The feed.
    pub feed: String,
    /// The version that was served.
    pub version: u64,
    /// The newest path.
    pub path: String,
    /// True if the agent has that version now: one file was answered in whole, or the agent said that it has it.
    pub whole: bool,
}

/// Certificate that was shown, of which neither the chain nor the possession of its key is proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ClaimedCertificate {
    /// Name in it, which anybody can write into one.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
}

/// An attempt to send something out, or to use the relay for it. Never a byte of what was sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// Number of the line among all that the keeper took from the journal; 0 until then.
    pub id: u64,
    /// The process whose word this is, as the keeper says; none in entries of earlier versions, and in a line of a
    /// journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When the first of them came.
    pub at: Timestamp,
    /// Number of like attempts since the last such entry.
    pub count: u64,
    /// Label of the attempt, for instance `virustotal` or `generic-upload`.
    pub label: String,
    /// True if it tried to send something out; `false` for a misdirected update or a broken request.
    pub submission: bool,
    /// The agent's address.
    pub agent: String,
    /// Port of the first attempt.
    pub port: u16,
    /// Name in the agent's certificate, which was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Certificate that the agent showed and that was not verified: it proves nothing of who it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_certificate: Option<ClaimedCertificate>,
    /// The address it came to.
    pub listener: String,
    /// Server name asked for in TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// Method, escaped.
    pub method: String,
    /// Target with its query, escaped, credentials redacted.
    pub target: String,
    /// Host header, escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// User-Agent header, escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Content-Length or `chunked`, as declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_length: Option<String>,
    /// Content-Type, as declared, escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_type: Option<String>,
    /// The answer's status; 0 where the connection was closed without one.
    pub status: u16,
    /// Bytes that came on the connection, the request's head included.
    pub bytes_received: u64,
}

impl Attempt {
    /// Agent, as seats and budgets tell one from another; nothing where its address is none.
    pub fn holder(&self) -> Option<SeatHolder> {
        Some(SeatHolder::of(self.certificate.as_deref(), self.agent.parse().ok()?))
    }
}
