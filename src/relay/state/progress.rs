//! How far an import is, for who looks on: the pages, the metrics, the console. One small file, written in place
//! and never synced: nobody decides by it, a cut may leave any of it, and a failure to write it stops nothing.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::State;
use base::{Fault, Reason, Timestamp, durable};

/// Between two writings while bytes go by.
const PAUSE: Duration = Duration::from_millis(200);
/// What was not written to for so long does not run any more.
const STILL: Duration = Duration::from_mins(2);
/// Most bundles that are named.
const NAMED: usize = 200;
/// Longest file that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// How far an import is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// When it began.
    pub begun: Timestamp,
    /// When this was written.
    pub updated: Timestamp,
    /// Who imports, escaped.
    pub operator: String,
    /// What is done now.
    pub step: ImportStep,
    /// The bundle it is done with, escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<String>,
    /// Bytes of the step that are done.
    pub bytes: u64,
    /// Bytes of the step.
    pub total: u64,
    /// Whether the medium may be removed.
    pub medium_free: bool,
    /// Bundles found.
    pub found: u64,
    /// The bundles, the first 200.
    pub bundles: Vec<BundleProgress>,
}

/// What is done now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ImportStep {
    /// The medium is searched.
    #[default]
    Searching,
    /// A payload is read off the medium.
    Reading,
    /// A payload is unpacked and inspected.
    Inspecting,
    /// What is due is published.
    Settling,
    /// It is over.
    Ended,
}

impl ImportStep {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Searching => "searching the medium",
            Self::Reading => "reading",
            Self::Inspecting => "inspecting",
            Self::Settling => "publishing what is due",
            Self::Ended => "done",
        }
    }
}

/// One bundle of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BundleProgress {
    /// Its folder, escaped.
    pub name: String,
    /// The release, as FEED/VERSION, once it can be believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// How it stands.
    pub state: BundleState,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// How a bundle stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum BundleState {
    /// Its turn has not come.
    Waiting,
    /// It is being read.
    Reading,
    /// It is being unpacked and inspected.
    Inspecting,
    /// It is a release now.
    Imported,
    /// It was here before.
    AlreadyHere,
    /// It is not acceptable.
    Refused,
    /// We could not do our work.
    Failed,
}

impl BundleState {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Reading => "reading",
            Self::Inspecting => "inspecting",
            Self::Imported => "imported",
            Self::AlreadyHere => "already here",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

impl Progress {
    /// Whether it goes on at `now`, as far as can be told: one that was cut stands still.
    pub fn is_running(&self, now: Timestamp) -> bool {
        self.step != ImportStep::Ended && self.updated.age(now) < STILL
    }

    /// How much of the step is done, in hundredths.
    pub fn percent(&self) -> u64 {
        self.bytes.saturating_mul(100).checked_div(self.total).unwrap_or_default().min(100)
    }

    /// The bundle of this name, or a new one.
    pub fn bundle_mut(&mut self, name: &str) -> Option<&mut BundleProgress> {
        let place = self.bundles.iter().position(|bundle| bundle.name == name);
        if place.is_none() && self.bundles.len() < NAMED {
            let state = BundleState::Waiting;
            self.bundles.push(BundleProgress { name: name.to_owned(), release: None, state, reason: None });
            return self.bundles.last_mut();
        }
        self.bundles.get_mut(place?)
    }
}

/// Where progress is shown.
pub struct ProgressFile {
    file: Option<File>,
    /// Bytes of the file that are in use.
    length: usize,
    written: Option<Instant>,
}

impl ProgressFile {
    /// Opens it. One that cannot be had shows nothing.
    pub fn open(state: &State) -> Self {
        Self { file: durable::create(&state.progress_path(), 0o644).ok(), length: 0, written: None }
    }

    /// Shows `progress`; with `is_deferrable`, only if the last time is a while ago.
    pub fn write(&mut self, progress: &Progress, is_deferrable: bool) {
        let rested = self.written.is_none_or(|written| written.elapsed() >= PAUSE);
        let Some(file) = self.file.as_ref().filter(|_| rested || !is_deferrable) else { return };
        let Ok(mut bytes) = serde_json::to_vec(progress) else { return };
        // What was longer before ends in blanks, which JSON allows.
        let length = bytes.len();
        bytes.resize(self.length.max(length), b' ');
        self.length = bytes.len();
        self.written = Some(Instant::now());
        // Whoever looks on sees less; the import goes on.
        let _ = file.write_all_at(&bytes, 0);
    }
}

/// What was shown last; none before the first import. Fault: it cannot be read, or is being written just now.
pub fn read(state: &State) -> Result<Option<Progress>, Fault> {
    let path = state.progress_path();
    if !path.exists() {
        return Ok(None);
    }
    let bytes = durable::read(&path, LONGEST)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|_| Fault::damaged(path.to_string_lossy(), "it cannot be read"))
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
