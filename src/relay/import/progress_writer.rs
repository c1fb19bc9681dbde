//! Writer of an import's progress, for the review pages, the metrics and the console.

use crate::import::{ImportOutcome, ProgressEvent};
use crate::state::State;
use crate::state::progress::{self, BundleState, ProgressFile, ProgressStep};
use base::{Operator, clock};

/// Writes the progress of an import for the review pages, the metrics and the console.
pub(crate) struct ProgressWriter {
    file: ProgressFile,
    progress: progress::Progress,
}

impl Drop for ProgressWriter {
    /// Marks the import as ended, however it ended.
    fn drop(&mut self) {
        self.step(ProgressStep::Ended);
    }
}

impl ProgressWriter {
    /// Begins the progress record of an import.
    pub(crate) fn begin(state: &State, operator: &Operator) -> Self {
        let now = clock::now();
        let progress =
            progress::Progress { begun: now, updated: now, operator: operator.to_string(), ..Default::default() };
        let mut file = ProgressFile::open(state);
        file.write(&progress, false);
        Self { file, progress }
    }

    /// Records the step that is done now.
    pub(crate) fn step(&mut self, step: ProgressStep) {
        self.progress.step = step;
        self.write(false);
    }

    fn write(&mut self, is_deferrable: bool) {
        self.progress.updated = clock::now();
        self.file.write(&self.progress, is_deferrable);
    }

    fn begin_bundle(&mut self, step: ProgressStep, bundle: &str, total: u64) {
        let state = if step == ProgressStep::Reading { BundleState::Reading } else { BundleState::Inspecting };
        if let Some(bundle) = self.progress.bundle_mut(bundle) {
            bundle.state = state;
        }
        (self.progress.bundle, self.progress.bytes, self.progress.total) = (Some(bundle.to_owned()), 0, total);
        self.step(step);
    }

    /// Records a progress event.
    pub(crate) fn show(&mut self, progress: &ProgressEvent<'_>) {
        match progress {
            ProgressEvent::Surveyed(survey) => {
                self.progress.found += survey.bundles().len() as u64;
                self.write(false);
            }
            ProgressEvent::Reading(bundle, size) => self.begin_bundle(ProgressStep::Reading, bundle, *size),
            ProgressEvent::Unpacking(bundle, size) => self.begin_bundle(ProgressStep::Inspecting, bundle, *size),
            ProgressEvent::Bytes(bytes) => {
                self.progress.bytes += bytes;
                self.write(true);
            }
            ProgressEvent::MediaDone => {
                self.progress.medium_free = true;
                self.write(false);
            }
            ProgressEvent::Judged(judged) => {
                if let Some(bundle) = self.progress.bundle_mut(&judged.bundle) {
                    bundle.release = judged.release.as_ref().map(|(feed, version)| format!("{feed}/{version}"));
                    (bundle.state, bundle.reason) = match &judged.outcome {
                        ImportOutcome::Imported(_) | ImportOutcome::KeyringReplaced(_) => (BundleState::Imported, None),
                        ImportOutcome::AlreadyHere => (BundleState::AlreadyHere, None),
                        ImportOutcome::Refused(refusal) => (BundleState::Refused, Some(refusal.reason)),
                        ImportOutcome::Failed(_) => (BundleState::Failed, None),
                    };
                }
                self.write(false);
            }
            ProgressEvent::Mounted(_) | ProgressEvent::Unchanged(_) => {}
        }
    }
}
