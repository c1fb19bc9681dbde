//! The keeper's side of inspection: it feeds the examiner, takes each answer for a stranger's, and decides. In scope:
//! policy, verdicts, leaving lines out, what is kept. Out of scope: any format.

pub mod decide;
pub mod examination;
mod plausible;
pub mod policy;
pub mod strip;
pub mod verdict;

use super::cut::Cut;
use base::Fault;
use bundle::Artifact;
use verdict::Verdict;

/// Takes the bytes of each artifact, and then its verdict: what is withheld must not be kept.
pub trait Keep {
    /// The next artifact begins.
    fn begin(&mut self, artifact: &Artifact) -> Result<(), Fault>;
    /// More of its bytes.
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Fault>;
    /// More of its items, as whole records.
    fn items(&mut self, records: &[u8]) -> Result<(), Fault>;
    /// It ended; `verdict` says whether its bytes may be kept. Where something is stripped, [`strip::strip`] puts what
    /// is left where [`Keep::stripped`] finds it.
    fn end(&mut self, verdict: &mut Verdict, cuts: &[Cut]) -> Result<(), Fault>;
    /// What is left of the artifact at `path` that is stripped: a file of its own.
    fn stripped(&self, path: &str) -> std::path::PathBuf;
}
