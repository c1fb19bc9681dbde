//! How far an import is, written down for who looks on from elsewhere: the pages, the metrics, the kiosk.

use crate::import::{Outcome, Progress};
use crate::state::State;
use crate::state::progress::{self, Board, BundleState, Step};
use base::{Operator, clock};

/// The same for who looks on from elsewhere: the pages, the metrics, the kiosk.
pub struct LookedAt {
    board: Board,
    progress: progress::Progress,
}

impl Drop for LookedAt {
    /// However it ends.
    fn drop(&mut self) {
        self.step(Step::Ended);
    }
}

impl LookedAt {
    /// From the beginning on.
    pub fn begin(state: &State, operator: &Operator) -> Self {
        let now = clock::now();
        let progress =
            progress::Progress { begun: now, updated: now, operator: operator.to_string(), ..Default::default() };
        let mut board = Board::open(state);
        board.show(&progress, false);
        Self { board, progress }
    }

    /// What is done now.
    pub fn step(&mut self, step: Step) {
        self.progress.step = step;
        self.write(false);
    }

    fn write(&mut self, now_or_later: bool) {
        self.progress.updated = clock::now();
        self.board.show(&self.progress, now_or_later);
    }

    fn turn(&mut self, step: Step, bundle: &str, total: u64) {
        let state = if step == Step::Reading { BundleState::Reading } else { BundleState::Inspecting };
        if let Some(bundle) = self.progress.bundle_mut(bundle) {
            bundle.state = state;
        }
        (self.progress.bundle, self.progress.bytes, self.progress.total) = (Some(bundle.to_owned()), 0, total);
        self.step(step);
    }

    /// Takes what the import tells.
    pub fn show(&mut self, progress: &Progress<'_>) {
        match progress {
            Progress::Surveyed(survey) => {
                self.progress.found += survey.bundles().len() as u64;
                self.write(false);
            }
            Progress::Reading(bundle, size) => self.turn(Step::Reading, bundle, *size),
            Progress::Unpacking(bundle, size) => self.turn(Step::Inspecting, bundle, *size),
            Progress::Bytes(bytes) => {
                self.progress.bytes += bytes;
                self.write(true);
            }
            Progress::MediaDone => {
                self.progress.medium_free = true;
                self.write(false);
            }
            Progress::Judged(judged) => {
                if let Some(bundle) = self.progress.bundle_mut(&judged.bundle) {
                    bundle.release = judged.release.as_ref().map(|(feed, version)| format!("{feed}/{version}"));
                    (bundle.state, bundle.reason) = match &judged.outcome {
                        Outcome::Imported(_) | Outcome::KeyringReplaced(_) => (BundleState::Imported, None),
                        Outcome::AlreadyHere => (BundleState::AlreadyHere, None),
                        Outcome::Refused(refusal) => (BundleState::Refused, Some(refusal.reason)),
                        Outcome::Failed(_) => (BundleState::Failed, None),
                    };
                }
                self.write(false);
            }
            Progress::Mounted(_) | Progress::Unchanged(_) => {}
        }
    }
}
