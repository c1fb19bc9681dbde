//! Processes that the console starts: an import, and the relay itself. The console reads only their output, and never
//! a medium.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

use base::error::IoContext as _;
use base::quoted::printable;
use base::{Fault, Reason, Timestamp, clock};
use sandbox::worker::{our_id, ourselves, start};

/// Newest lines of a process's standard error that are kept.
const LINES: usize = 100;
/// Time limit for the relay to end in order.
const GRACE: Duration = Duration::from_secs(30);

/// Result of an import: what `import --json` prints, as much of it as is shown.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct ImportSummary {
    /// Each bundle.
    pub bundles: Vec<ShownBundle>,
    /// Channels that could not switch to a new set, and why.
    pub stuck: BTreeMap<String, ShownReason>,
    /// The bounded receipt.
    pub receipt: String,
}

/// One bundle.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ShownBundle {
    /// Folder, escaped.
    pub bundle: String,
    /// Feed; none while no signature was verified.
    pub feed: Option<String>,
    /// Version; none while no signature was verified.
    pub version: Option<u64>,
    /// `imported`, `already-here`, `refused` or `failed`.
    pub outcome: String,
    /// True if a channel shows it now.
    pub published: bool,
    /// State of the release; only of an imported one.
    pub standing: Option<ShownStanding>,
    /// Number of verdicts of each kind.
    pub counts: Option<inspect::Counts>,
    /// Reason of the refusal.
    pub refused: Option<ShownReason>,
    /// Fault, escaped.
    pub fault: Option<String>,
}

/// State of an imported release.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ShownStanding {
    /// `held`, `approved`, `refused` or `withdrawn`.
    pub standing: String,
}

/// Reason of a refusal.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ShownReason {
    /// The code.
    pub reason: Reason,
    /// The facts, escaped.
    pub detail: String,
    /// Next step.
    pub next: String,
}

/// Process that the console started, with its messages.
pub(crate) struct Job {
    /// When it was started.
    pub since: Timestamp,
    child: Child,
    out: Option<JoinHandle<String>>,
    err: Option<JoinHandle<()>>,
    said: Arc<Mutex<VecDeque<String>>>,
}

impl Job {
    /// Starts an import of `medium` by `operator`.
    pub(crate) fn import(state: &Path, medium: &Path, operator: &str) -> Result<Self, Fault> {
        let mut command = ourselves(state);
        command.args(["import", "--json", &format!("--operator={operator}"), "--"]).arg(medium);
        Self::begin(command)
    }

    /// Starts the relay: `up` with these arguments.
    pub(crate) fn relay(state: &Path, args: &[String]) -> Result<Self, Fault> {
        let mut command = ourselves(state);
        command.args(["up", "--supervised", &our_id()]).args(args);
        Self::begin(command)
    }

    fn begin(mut command: Command) -> Result<Self, Fault> {
        let mut child = start(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))?;
        let gone = || Fault::Internal("a process was started without pipes for its output");
        let (mut out, err) = (child.stdout.take().ok_or_else(gone)?, child.stderr.take().ok_or_else(gone)?);
        let said = Arc::new(Mutex::new(VecDeque::new()));
        let hears = Arc::clone(&said);
        // Both end with the process.
        let err = std::thread::spawn(move || {
            for line in BufReader::new(err).lines().map_while(Result::ok) {
                let mut said = hears.lock().unwrap_or_else(PoisonError::into_inner);
                if said.len() == LINES {
                    said.pop_front();
                }
                said.push_back(printable(line.trim_start_matches("gaprelay: ")));
            }
        });
        let out = std::thread::spawn(move || {
            let mut text = String::new();
            // Output that cannot be read counts as no output.
            let _ = out.read_to_string(&mut text);
            text
        });
        Ok(Self { since: clock::now(), child, out: Some(out), err: Some(err), said })
    }

    /// Exit status, once the process has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>, Fault> {
        self.child.try_wait().during("wait for", Path::new("the process that the console started"))
    }

    /// Output, once the process has ended. From then on `said` has its last line too.
    pub(crate) fn outcome(&mut self) -> Option<ImportSummary> {
        self.err.take()?.join().ok()?;
        let text = self.out.take()?.join().ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Newest lines on standard error, the newest last.
    pub(crate) fn said(&self, most: usize) -> Vec<String> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.iter().skip(said.len().saturating_sub(most)).cloned().collect()
    }

    /// Asks the process to end in order.
    pub(crate) fn stop(&self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

impl Drop for Job {
    /// Ends the process: it must not outlive the console.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.stop();
            let end = Instant::now() + GRACE;
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(50));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
