//! Progress of an import, for the review pages, the metrics and the console. One small file, written in place
//! and never synced: nothing is decided by it, a cut may leave any part of it, and a failure to write it stops nothing.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::State;
use base::{Fault, Reason, Timestamp, durable};

/// Shortest time between two writes while bytes are read.
const PAUSE: Duration = Duration::from_millis(200);
/// Time without a write after which an import counts as ended.
const STILL: Duration = Duration::from_mins(2);
/// Most bundles that are listed.
const NAMED: usize = 200;
/// Longest file that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// Progress of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    /// Time when the import began.
    pub begun: Timestamp,
    /// Time when this file was written.
    pub updated: Timestamp,
    /// Name of the operator, escaped.
    pub operator: String,
    /// Step that is being done.
    pub step: ProgressStep,
    /// Bundle that the step works on, escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<String>,
    /// Bytes of the step that are done so far.
    pub bytes: u64,
    /// Bytes of the whole step.
    pub total: u64,
    /// True when the medium may be removed.
    pub medium_free: bool,
    /// Bundles found.
    pub found: u64,
    /// The bundles, the first 200.
    pub bundles: Vec<BundleProgress>,
}

/// Step of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ProgressStep {
    /// The medium is searched.
    #[default]
    Searching,
    /// A payload is read off the medium.
    Reading,
    /// A payload is unpacked and inspected.
    Inspecting,
    /// Approved releases are published.
    Settling,
    /// The import has ended.
    Ended,
}

impl ProgressStep {
    /// Text of the step.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Searching => "searching the medium",
            Self::Reading => "reading",
            Self::Inspecting => "inspecting",
            Self::Settling => "publishing approved releases",
            Self::Ended => "done",
        }
    }
}

/// Progress of one bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct BundleProgress {
    /// Folder of the bundle, escaped.
    pub name: String,
    /// Release, as FEED/VERSION, once its manifest is verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// State of the bundle.
    pub state: BundleState,
    /// Reason of a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// State of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BundleState {
    /// The bundle waits for its turn.
    Waiting,
    /// The payload is being read.
    Reading,
    /// The payload is being unpacked and inspected.
    Inspecting,
    /// The bundle is a release now.
    Imported,
    /// The same bundle was accepted before.
    AlreadyHere,
    /// The bundle was refused.
    Refused,
    /// The relay could not do its work.
    Failed,
}

impl BundleState {
    /// Text of the state.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Reading => "reading",
            Self::Inspecting => "inspecting",
            Self::Imported => "imported",
            Self::AlreadyHere => "already imported",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

impl Progress {
    /// True while the import runs at `now`, as far as the file shows: one that was interrupted is no longer written.
    pub(crate) fn is_running(&self, now: Timestamp) -> bool {
        self.step != ProgressStep::Ended && self.updated.age(now) < STILL
    }

    /// Share of the step that is done, in percent.
    pub(crate) fn percent(&self) -> u64 {
        self.bytes.saturating_mul(100).checked_div(self.total).unwrap_or_default().min(100)
    }

    /// Finds the bundle of this name, or adds one; none where the list is full.
    pub(crate) fn bundle_mut(&mut self, name: &str) -> Option<&mut BundleProgress> {
        let place = self.bundles.iter().position(|bundle| bundle.name == name);
        if place.is_none() && self.bundles.len() < NAMED {
            let state = BundleState::Waiting;
            self.bundles.push(BundleProgress { name: name.to_owned(), release: None, state, reason: None });
            return self.bundles.last_mut();
        }
        self.bundles.get_mut(place?)
    }
}

/// Writer of the progress file.
pub(crate) struct ProgressFile {
    file: Option<File>,
    /// Bytes of the file that are in use.
    length: usize,
    written: Option<Instant>,
}

impl ProgressFile {
    /// Opens the file. Where that fails, nothing is written.
    pub(crate) fn open(state: &State) -> Self {
        Self { file: durable::create(&state.progress_path(), 0o644).ok(), length: 0, written: None }
    }

    /// Writes `progress`; with `is_deferrable`, only if the last write was at least 200 ms ago.
    pub(crate) fn write(&mut self, progress: &Progress, is_deferrable: bool) {
        let rested = self.written.is_none_or(|written| written.elapsed() >= PAUSE);
        let Some(file) = self.file.as_ref().filter(|_| rested || !is_deferrable) else { return };
        let Ok(mut bytes) = serde_json::to_vec(progress) else { return };
        // Shorter text is padded with blanks, which JSON allows, to cover all of the longer text before.
        let length = bytes.len();
        bytes.resize(self.length.max(length), b' ');
        self.length = bytes.len();
        self.written = Some(Instant::now());
        // Going on is safe: a reader sees old progress, and the import does not depend on it.
        let _ = file.write_all_at(&bytes, 0);
    }
}

/// Reads the progress file; none before the first import. Fault: the file cannot be read, or is being written just now.
pub(crate) fn read(state: &State) -> Result<Option<Progress>, Fault> {
    let path = state.progress_path();
    if !path.exists() {
        return Ok(None);
    }
    let bytes = durable::read(&path, LONGEST)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|_| {
        Fault::damaged(path.to_string_lossy(), "it is not a progress record. It may be half written: try again")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shorter_ones_leave_nothing_of_longer_ones() {
        let folder = tempfile::tempdir().unwrap();
        durable::create_dir(&folder.path().join("progress")).unwrap();
        let state = State { published: crate::state::Published::new(folder.path()) };
        assert_eq!(read(&state).unwrap(), None);
        let mut file = ProgressFile::open(&state);
        assert_eq!(read(&state).unwrap(), None);
        let now = Timestamp::from_secs(1_000_000);
        let mut progress = Progress { updated: now, total: 1000, ..Progress::default() };
        for bundles in [3, 150, 500, 1] {
            progress.bundles.clear();
            for number in 0..bundles {
                if let Some(bundle) = progress.bundle_mut(&format!("bundle-{number}")) {
                    bundle.state = BundleState::Imported;
                }
            }
            assert!(progress.bundles.len() <= NAMED);
            progress.bytes += 250;
            file.write(&progress, false);
            assert_eq!(read(&state).unwrap().as_ref(), Some(&progress));
        }
        assert_eq!((progress.percent(), Progress::default().percent()), (100, 0));
        assert!(progress.is_running(now) && !progress.is_running(now.plus(STILL)));
        // Too soon: it is left for the next time.
        file.write(&Progress { bytes: 7, ..progress.clone() }, true);
        assert_eq!(read(&state).unwrap().as_ref(), Some(&progress));
    }
}
