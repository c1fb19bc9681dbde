//! The keeper's side of inspection: it feeds the examiner, takes each answer for a stranger's, and decides. In scope:
//! policy, verdicts, leaving lines out, what is kept. Out of scope: any format.

pub(crate) mod decide;
pub(crate) mod examination;
pub(crate) mod examined;
pub(crate) mod examiners;
pub(crate) mod judgement;
pub(crate) mod leave_out;
mod plausible;
pub(crate) mod policy;
pub(crate) mod strip;
pub(crate) mod verdict;

use base::Fault;
use bundle::Artifact;
use judgement::ProvenContent;

/// Takes the bytes of each artifact, and then its verdict: what is withheld must not be kept.
pub trait Keep {
    /// The next artifact begins.
    fn begin(&mut self, artifact: &Artifact) -> Result<(), Fault>;
    /// More of its bytes.
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Fault>;
    /// More of its items, as whole records.
    fn items(&mut self, records: &[u8]) -> Result<(), Fault>;
    /// Ends an artifact. What its verdict withholds must not be kept; of what it strips, [`ProvenContent::strip`]
    /// leaves out the lines, and what is left is handed over as an artifact by itself.
    fn end(&mut self, proven: ProvenContent<'_>) -> Result<(), Fault>;
}
