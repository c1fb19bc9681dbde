//! The record of what was refused. The first attempt of a kind by an agent is a line at once; repeats are counted and
//! become one line a minute (module `minute`), so that a flood can neither fill the disk nor hide a needle. What is
//! to be counted is counted where it happens: no queue can be filled by one agent. Lines go into the journal on a
//! thread of its own: no request waits for the disk.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::journal::{Attempt, Journal};
use crate::minute::Minute;
use base::Fault;
use base::error::IoContext as _;
use sandbox::report::SelfTest;
use tracing::error;

/// Pause of the thread before it writes: what comes close together is written at once.
const REST: Duration = Duration::from_millis(20);
/// Pause of the thread after lines did not fit or could not be written.
const RETRY: Duration = Duration::from_secs(1);
/// Most lines of one write.
const LINES: usize = 64;

/// Evidence: takes attempts, and writes them to the journal.
pub struct Evidence {
    recorder: Arc<Recorder>,
    /// Attempts that are only part of a count, since too many agents came within a minute.
    pub dropped: AtomicU64,
}

/// Record of the present minute, and the journal that it is written to.
struct Recorder {
    minute: Mutex<Minute>,
    is_due: Condvar,
    journal: Mutex<Journal>,
}

impl Evidence {
    /// Starts the thread that writes into `journal`. `proof`: result of the self-test of this process, if that could
    /// run.
    pub fn start(mut journal: Journal, proof: Option<SelfTest>) -> Result<Self, Fault> {
        // What this process proved of itself is the first line it writes. What is published is served without it too.
        match proof.map(|proof| journal.append(&[proof])) {
            Some(Ok(true)) | None => {}
            Some(Ok(false)) => error!("the result of the isolation self-test is not recorded: the journal is full"),
            Some(Err(e)) => error!(fault = %e, "the result of the isolation self-test is not recorded: {e}"),
        }
        let minute = Mutex::new(Minute::new(Instant::now()));
        let recorder = Arc::new(Recorder { minute, is_due: Condvar::new(), journal: Mutex::new(journal) });
        let running = Arc::clone(&recorder);
        std::thread::Builder::new()
            .name("evidence".into())
            .spawn(move || running.run())
            .during("start", Path::new("a thread"))?;
        Ok(Self { recorder, dropped: AtomicU64::new(0) })
    }

    /// Records an attempt.
    pub fn record(&self, attempt: Attempt) {
        let mut minute = self.recorder.minute();
        if !minute.add(attempt) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        if minute.due.len() == 1 {
            self.recorder.is_due.notify_one();
        }
    }

    /// Puts all that was handed in on the disk.
    pub fn flush(&self) {
        self.recorder.write();
        self.recorder.minute().end(Instant::now());
        self.recorder.write();
    }
}

impl Recorder {
    fn run(&self) -> ! {
        loop {
            let minute = self.minute();
            let left = minute.left(Instant::now());
            let wait = self.is_due.wait_timeout_while(minute, left, |minute| minute.due.is_empty());
            drop(wait);
            std::thread::sleep(REST);
            if !self.turn(Instant::now()) {
                std::thread::sleep(RETRY);
            }
        }
    }

    /// Writes what is due, and ends the minute when it is over. False: not all could be written.
    fn turn(&self, now: Instant) -> bool {
        if !self.write() {
            // What was not written stays due, and the minute goes on: what comes is counted, and nothing grows.
            return false;
        }
        let mut minute = self.minute();
        if minute.left(now).is_zero() {
            minute.end(now);
        }
        true
    }

    fn minute(&self) -> MutexGuard<'_, Minute> {
        self.minute.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what is due. False: a part did not fit, or could not be written, and stays due. Agents keep being
    /// served: what is published must not depend on the record. A full journal is emptied by the next settle; a disk
    /// that fails is a fault it will name.
    fn write(&self) -> bool {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = std::mem::take(&mut self.minute().due);
        while !lines.is_empty() {
            let now = lines.get(..LINES).unwrap_or(&lines);
            let count = now.len();
            if !matches!(journal.append(now), Ok(true)) {
                let due = &mut self.minute().due;
                lines.append(due);
                *due = lines;
                return false;
            }
            lines.drain(..count);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::minute::MINUTE;

    fn recorder(folder: &Path, most: u64, begun: Instant) -> Recorder {
        let journal = Mutex::new(Journal::open(&folder.join("journal"), most).unwrap());
        Recorder { minute: Mutex::new(Minute::new(begun)), is_due: Condvar::new(), journal }
    }

    fn counts(folder: &Path) -> Vec<u64> {
        let text = std::fs::read_to_string(folder.join(crate::journal::NAME)).unwrap();
        let lines = text.lines().filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_str::<Attempt>(line).unwrap().count).collect()
    }

    #[test]
    fn a_flood_that_never_pauses_does_not_put_off_the_minutes_end() {
        let folder = tempfile::tempdir().unwrap();
        let now = Instant::now();
        let recorder = recorder(folder.path(), 1 << 20, now.checked_sub(MINUTE).unwrap());
        for turn in 0..3 {
            for _ in 0..1000 {
                recorder.minute().add(Attempt { count: 1, ..Attempt::default() });
            }
            assert!(recorder.turn(now + MINUTE * turn));
        }
        recorder.write();
        // The first at once, then what came until each minute was over.
        assert_eq!(counts(folder.path()), [1, 999, 1000, 1000]);
    }

    /// Lines that do not fit are written once there is room.
    #[test]
    fn a_full_journal_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let now = Instant::now();
        let recorder = recorder(folder.path(), 4096, now);
        for number in 0..100 {
            let agent = format!("10.0.0.{number}");
            recorder.minute().add(Attempt { count: 1, agent, ..Attempt::default() });
        }
        assert!(!recorder.turn(now) && !recorder.turn(now + MINUTE));
        recorder.minute().add(Attempt { count: 1, agent: "10.0.0.1".into(), ..Attempt::default() });
        *recorder.journal.lock().unwrap() = Journal::open(&folder.path().join("journal"), 1 << 20).unwrap();
        assert!(recorder.turn(now + MINUTE) && recorder.turn(now + MINUTE));
        assert_eq!(counts(folder.path()).iter().sum::<u64>(), 101);
    }
}
