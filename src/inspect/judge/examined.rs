//! The last step of inspection: every artifact has its one verdict. What is stored as a release is this and nothing
//! else.

use std::fs::File;

use super::Keep;
use super::examination::Examination;
use super::examiners::Examiners;
use super::policy::InspectionTerms;
use super::verdict::Verdict;
use base::{Error, Fault, Limits};
use bundle::{Artifact, Verified};
use media::{Spooled, Step};

/// A verified bundle of which every artifact has exactly one verdict, with what was kept of it. Made by [`examine`]
/// alone.
pub struct Examined<K> {
    spooled: Spooled,
    kept: K,
    verdicts: Vec<Verdict>,
}

/// Examines a bundle: what its payload carries, and what it leaves out, which `held` opens. An examiner is started for
/// it; what is stripped is examined by another one, as if it had come in so. Refusals: `gzip-*`, `entry-*`,
/// `archive-*`, `bundle-time-limit`; those of `held`; what the policy refuses a release for.
pub fn examine<K: Keep>(
    spooled: Spooled,
    terms: InspectionTerms<'_>,
    examiners: &mut dyn Examiners,
    mut keep: K,
    held: &mut dyn FnMut(&Artifact) -> Result<File, Error>,
    limits: &Limits,
    step: Step<'_>,
) -> Result<Examined<K>, Error> {
    let mut examination = Examination::begin(examiners, terms, &mut keep, limits)?;
    examination.unpack(&spooled, step)?;
    for artifact in spooled.verified().manifest().artifacts.iter().filter(|artifact| !artifact.carried) {
        examination.look(artifact, &held(artifact)?)?;
    }
    let mut verdicts: Vec<Verdict> = examination.finish()?.into_iter().collect::<Result<_, _>>()?;
    verdicts.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
    if !is_complete(&spooled.verified().manifest().artifacts, &verdicts) {
        return Err(Fault::Internal("an artifact has no verdict, or more than one").into());
    }
    Ok(Examined { spooled, kept: keep, verdicts })
}

/// Completeness check: each artifact has exactly one verdict, in the manifest's order, which is strict.
fn is_complete(artifacts: &[Artifact], verdicts: &[Verdict]) -> bool {
    let is_of = |artifact: &Artifact, verdict: &Verdict| {
        (&artifact.path, artifact.sha256, artifact.size) == (&verdict.path, verdict.sha256, verdict.size)
    };
    artifacts.len() == verdicts.len() && artifacts.iter().zip(verdicts).all(|(a, v)| is_of(a, v))
}

impl<K> Examined<K> {
    /// The bundle that was examined.
    pub fn verified(&self) -> &Verified {
        self.spooled.verified()
    }

    /// One for each artifact, in the manifest's order.
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// The bundle, what was kept of it, and its verdicts. It cannot be put together again.
    pub fn into_parts(self) -> (Spooled, K, Vec<Verdict>) {
        (self.spooled, self.kept, self.verdicts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Finding;
    use base::{Digest, Reason};

    fn artifact(path: &str, text: &str) -> Artifact {
        let (path, sha256) = (path.to_owned(), Digest::of(text.as_bytes()));
        Artifact { path, size: text.len() as u64, sha256, kind: "sha256-list".into(), carried: true }
    }

    fn verdict(artifact: &Artifact) -> Verdict {
        let (kind, flaws) = (Err(Reason::KindUnknown), Vec::new());
        Verdict::cleared(artifact, &Finding { kind, line: None, database: None, md5: None, members: Vec::new(), flaws })
    }

    #[test]
    fn each_artifact_has_exactly_one_verdict() {
        let artifacts = [artifact("a", "one"), artifact("b", "two"), artifact("c", "six")];
        let [a, b, c] = artifacts.each_ref().map(verdict);
        let complete = |verdicts: &[&Verdict]| {
            let verdicts: Vec<Verdict> = verdicts.iter().map(|verdict| (*verdict).clone()).collect();
            is_complete(&artifacts, &verdicts)
        };
        assert!(complete(&[&a, &b, &c]));
        for wrong in [&[][..], &[&a, &b], &[&a, &b, &b], &[&a, &b, &c, &c], &[&a, &c, &b], &[&a, &a, &c]] {
            assert!(!complete(wrong), "{wrong:?}");
        }
        // Of other bytes at the same path, or of as many others.
        let other = artifact("b", "six");
        assert!(!complete(&[&a, &verdict(&other), &c]));
        assert!(!complete(&[&a, &verdict(&Artifact { size: 4, ..artifacts[1].clone() }), &c]));
    }
}
