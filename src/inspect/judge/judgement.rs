//! The judgement on one artifact: its verdict, and the lines that are to be left out of it. Whoever holds the signed
//! bytes leaves them out, not the examiner: that one only says which lines, and lines that are not whole are refused.
//! So what it could do, taken over, is leave lines out: in formats in which each line is read by itself, that forges
//! nothing. An archive is the exception: the examiner makes the new one ([`rebuild`](mod@crate::rebuild)). Either way
//! what is left is judged by itself, by an examiner that never saw the rest.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::leave_out::leave_out;
use super::verdict::{Verdict, VerdictKind};
use crate::cut::{ByteSpan, Cut};
use crate::kind::Kind;
use base::error::IoContext as _;
use base::proven::{DigestReader, copy_proven};
use base::{Digest, Fault, durable};
use bundle::Artifact;

/// Text of the fault where the relay's own copy is not what was verified.
pub(super) const CHANGED: &str = "the private copy changed after it was verified: the disk fails, or somebody wrote to it. Nothing was stored. Import again, with another disk for the state if it happens again";

/// A verdict, and what is to be left out, in order. Made from a [`Finding`](crate::Finding) alone.
pub struct Judgement {
    verdict: Verdict,
    cuts: Vec<Cut>,
    /// Place of the bytes that are left of it.
    at: PathBuf,
}

impl Judgement {
    pub(super) fn new(verdict: Verdict, cuts: Vec<Cut>) -> Self {
        Self { verdict, cuts, at: PathBuf::new() }
    }

    /// The verdict, which is not the last word where something is to be stripped.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Parts to be left out.
    pub fn cuts(&self) -> &[Cut] {
        &self.cuts
    }

    /// True if stripping it means to make a new archive.
    pub fn is_rebuilt(&self) -> bool {
        self.verdict.stripped.is_some() && self.verdict.shown == Some(Kind::RulesArchive)
    }

    /// Leaves out what is to be left out: `from`, which has to be what was judged, without it, in a file at `to`. An
    /// archive is put there as it is: to make a new one, somebody has to look inside, and that is not for whoever keeps
    /// it.
    pub fn strip(&mut self, from: impl Read, to: &Path) -> Result<(), Fault> {
        let mut file = durable::create(to, 0o644)?;
        to.clone_into(&mut self.at);
        let changed = || Fault::damaged(to.to_string_lossy(), CHANGED);
        if self.is_rebuilt() {
            let is_it = copy_proven(from, &mut file, self.verdict.sha256).during("write", to)?;
            return if is_it { Ok(()) } else { Err(changed()) };
        }
        let lines: Vec<ByteSpan> = self.cuts.iter().map(|cut| cut.span).collect();
        let mut from = DigestReader::new(from);
        let left = leave_out(&mut from, &lines, file);
        if !from.ends_as(self.verdict.sha256).during("read", to)? {
            return Err(changed());
        }
        if left.as_ref().is_err_and(|e| e.kind() == ErrorKind::InvalidInput) {
            return Err(Fault::Worker {
                role: "examiner",
                what: "named parts to leave out that are not whole lines".into(),
            });
        }
        let (sha256, size) = left.during("write", to)?;
        self.left(sha256, size);
        Ok(())
    }

    /// Takes down what is left.
    pub fn left(&mut self, sha256: Digest, size: u64) {
        if let Some(stripped) = &mut self.verdict.stripped {
            (stripped.sha256, stripped.size) = (sha256, size);
        }
    }

    /// Withholds all of it, for what it has: nothing can be left of it.
    pub fn withhold(&mut self) {
        (self.verdict.decision, self.verdict.stripped) = (VerdictKind::Withheld, None);
    }

    /// Place where [`Self::strip`] has put the bytes that are left.
    pub fn at(&self) -> &Path {
        &self.at
    }

    /// Rest of a stripped artifact, as an artifact by itself.
    pub fn remains(&self) -> Option<Artifact> {
        let Verdict { path, declared, stripped, .. } = &self.verdict;
        let stripped = stripped.as_ref().filter(|_| self.verdict.decision == VerdictKind::Stripped)?;
        let (path, kind) = (path.clone(), declared.clone());
        Some(Artifact { path, size: stripped.size, sha256: stripped.sha256, kind, carried: true })
    }

    /// The last word, by the judgement on what is left: it must be clear.
    pub fn settle(mut self, remains: &Self) -> Verdict {
        if remains.verdict.decision == VerdictKind::Cleared {
            self.verdict.md5.clone_from(&remains.verdict.md5);
        } else {
            // Nothing is left of it, say: then it is withheld for what it had, or for what is left.
            self.withhold();
            self.verdict.reason = self.verdict.reason.or(remains.verdict.reason);
        }
        self.verdict
    }

    /// The last word, where nothing is stripped.
    pub fn into_verdict(self) -> Verdict {
        self.verdict
    }
}

/// A judgement on bytes that were handed over, and whose digest is the signed one. Made by the examination alone:
/// nobody else can have anything kept.
pub struct ProvenContent<'a>(&'a mut Judgement);

impl<'a> ProvenContent<'a> {
    pub(super) fn new(judgement: &'a mut Judgement) -> Self {
        Self(judgement)
    }

    /// Verdict, which says whether the bytes may be kept.
    pub fn verdict(&self) -> &Verdict {
        &self.0.verdict
    }

    /// As [`Judgement::strip`].
    pub fn strip(&mut self, from: impl Read, to: &Path) -> Result<(), Fault> {
        self.0.strip(from, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, ContentPolicy, Demands, InspectionTerms, Opaque};

    /// Lines to leave out were found in the signed bytes: in others they are nothing.
    #[test]
    fn nothing_is_left_out_of_other_bytes() {
        let text = b"alert tcp any any -> any any (sid:1;)\ndrop tcp any any -> any any (sid:2;)\n";
        let artifact = Artifact {
            path: "a.rules".into(),
            size: text.len() as u64,
            sha256: Digest::of(text),
            kind: "suricata-rules".into(),
            carried: true,
        };
        let policy =
            ContentPolicy { name: "p".into(), about: String::new(), rules: Vec::new(), otherwise: Action::Strip };
        let (kinds, opaque) = (Kind::ALL, Opaque::default());
        let terms = InspectionTerms { kinds, policy: &policy, may_suppress: true, opaque, demands: Demands::default() };
        let judged = || {
            let finding = crate::formats::inspect("a.rules", &mut &text[..], &mut |_| {}).unwrap();
            finding.judge(&artifact, terms).unwrap()
        };
        let folder = durable::temporary_folder().unwrap();
        let to = folder.path().join("left");
        let mut judgement = judged();
        assert_eq!(judgement.cuts().len(), 1, "one line is to be left out");
        judgement.strip(&text[..], &to).unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), text[..38]);
        let other = String::from_utf8_lossy(text).replace("sid:1", "sid:9");
        assert!(matches!(judged().strip(other.as_bytes(), &to), Err(Fault::Damaged { .. })));
    }
}
