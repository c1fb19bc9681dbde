//! The record of what was refused. The first attempt of a kind by an agent is a line at once;
//! repeats are counted and become one line a minute, so that a flood can neither fill the disk nor
//! hide a needle. Lines go into the journal on a thread of its own: no request waits for the disk.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crate::journal::{Attempt, Journal};
use base::Fault;
use base::error::IoContext as _;
use guard::FOREIGN_LOOK_UP;
use sandbox::report::SelfTest;

/// Attempts waiting for the thread; more are only counted.
const WAITING: usize = 4096;
/// Pause of the thread before it looks again; far less than what fills the queue.
const REST: Duration = Duration::from_millis(20);
/// Kinds of attempts told apart within a minute; more count as one.
const KINDS: usize = 1024;
const MINUTE: Duration = Duration::from_mins(1);

enum EvidenceMessage {
    Attempt(Box<Attempt>),
    Flush(SyncSender<()>),
}

/// Evidence: takes attempts, and writes them to the journal.
pub struct Evidence {
    sender: SyncSender<EvidenceMessage>,
    /// Attempts that could not be recorded one by one.
    pub dropped: AtomicU64,
}

/// Key by which attempts are alike: agent, label, name asked for, method and path.
type AttemptKey = (String, String, Option<String>, String);

struct Recorder {
    journal: Journal,
    next: u64,
    minute: Instant,
    /// Attempts of this minute: the newest one, and how many came after the line already written.
    seen: HashMap<AttemptKey, (Attempt, u64)>,
}

impl Evidence {
    /// Starts the thread that writes into `journal`.
    pub fn start(mut journal: Journal, proof: SelfTest) -> Result<Self, Fault> {
        let mut id = [0; 8];
        getrandom::fill(&mut id).map_err(Into::into).during("read randomness from", Path::new("the kernel"))?;
        // Unlike the numbers of any former run, and below 2^53 with room to count.
        let next = u64::from_le_bytes(id) >> 12;
        // What the server proved of itself is the first line it writes.
        let proof = SelfTest { id: Some(next), ..proof };
        journal.append(&[proof]).during("write to", Path::new(crate::journal::NAME))?;
        let (sender, receiver) = sync_channel(WAITING);
        let recorder = Recorder { journal, next, minute: Instant::now(), seen: HashMap::new() };
        std::thread::Builder::new()
            .name("evidence".into())
            .spawn(move || recorder.run(&receiver))
            .during("start", Path::new("a thread"))?;
        Ok(Self { sender, dropped: AtomicU64::new(0) })
    }

    /// Records an attempt.
    pub fn record(&self, attempt: Attempt) {
        if self.sender.try_send(EvidenceMessage::Attempt(Box::new(attempt))).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all that was handed in is on the disk.
    pub fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.sender.send(EvidenceMessage::Flush(done)).is_ok() {
            // The thread answers or is gone; either way there is nothing more to wait for.
            let _ = wait.recv();
        }
    }
}

impl Recorder {
    fn run(mut self, receiver: &Receiver<EvidenceMessage>) {
        loop {
            let left = MINUTE.saturating_sub(self.minute.elapsed());
            match receiver.recv_timeout(left) {
                Ok(message) => self.handle(message),
                Err(RecvTimeoutError::Timeout) => self.end_minute(),
                Err(RecvTimeoutError::Disconnected) => return self.end_minute(),
            }
            // What comes close together wakes this thread once: waking costs more than recording.
            std::thread::sleep(REST);
            receiver.try_iter().take(WAITING).for_each(|message| self.handle(message));
            // A flood that never pauses must not put the minute's end off.
            if self.minute.elapsed() >= MINUTE {
                self.end_minute();
            }
        }
    }

    fn handle(&mut self, message: EvidenceMessage) {
        match message {
            EvidenceMessage::Attempt(attempt) => self.take(*attempt),
            EvidenceMessage::Flush(done) => {
                self.end_minute();
                // Whoever asked may have gone.
                let _ = done.send(());
            }
        }
    }

    fn take(&mut self, mut attempt: Attempt) {
        let path = attempt.target.split('?').next().unwrap_or_default();
        let asked = format!("{} {path}", attempt.method);
        let mut kind =
            (attempt.agent.clone(), attempt.label.clone(), attempt.host.clone().or(attempt.sni.clone()), asked);
        if attempt.label == FOREIGN_LOOK_UP {
            // What one agent asks for in a minute is told together.
            kind = (attempt.agent.clone(), attempt.label.clone(), None, String::new());
        }
        if self.seen.len() >= KINDS && !self.seen.contains_key(&kind) {
            kind = (String::new(), "flood".into(), None, String::new());
            attempt.label = "flood".into();
        }
        if let Some((newest, count)) = self.seen.get_mut(&kind) {
            *newest = attempt;
            *count += 1;
            return;
        }
        self.write(&mut [attempt.clone()]);
        self.seen.insert(kind, (attempt, 0));
    }

    /// Writes what came after the first of each kind; those that went on are known for one more minute.
    fn end_minute(&mut self) {
        self.minute = Instant::now();
        let mut lines: Vec<Attempt> = Vec::new();
        self.seen.retain(|_, (attempt, count)| {
            if *count > 0 {
                attempt.count = std::mem::take(count);
                lines.push(attempt.clone());
                return true;
            }
            false
        });
        self.write(&mut lines);
    }

    fn write(&mut self, lines: &mut [Attempt]) {
        if lines.is_empty() {
            return;
        }
        for line in &mut *lines {
            self.next += 1;
            line.id = self.next;
        }
        // A full journal is emptied by the next settle; a disk that fails is a fault it will name.
        // Until then agents keep being served: what is published must not depend on the record.
        let _ = self.journal.append(lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_that_never_pauses_does_not_put_off_the_minutes_end() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal"), 1 << 20).unwrap();
        let (sender, receiver) = sync_channel(2 * WAITING);
        for _ in 0..2 * WAITING {
            sender.send(EvidenceMessage::Attempt(Box::new(Attempt { count: 1, ..Attempt::default() }))).unwrap();
        }
        drop(sender);
        let long_ago = Instant::now().checked_sub(MINUTE).unwrap();
        Recorder { journal, next: 0, minute: long_ago, seen: HashMap::new() }.run(&receiver);
        let text = std::fs::read_to_string(folder.path().join(crate::journal::NAME)).unwrap();
        let counts: Vec<u64> = text.lines().map(|line| serde_json::from_str::<Attempt>(line).unwrap().count).collect();
        // The first at once, then what came until the minute was over, then the rest.
        assert_eq!(counts, [1, WAITING as u64, WAITING as u64 - 1]);
    }
}
