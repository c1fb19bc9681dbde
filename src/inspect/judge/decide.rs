//! The verdict on an artifact, from what its bytes show and what its feed may carry.

use super::policy::{Action, Outcome, Terms};
use super::verdict::{Decision, Dropped, Stripped, Verdict};
use crate::cut::Cut;
use crate::finding::Finding;
use crate::flaw::{Flaw, cuts as cuts_of};
use base::{Digest, Reason, Refusal};
use bundle::Artifact;

impl Finding {
    /// The verdict on `artifact`, whose bytes show this, on these terms; and what to leave out, in order, where it is
    /// to be stripped. Refusal: the reason why the release is not to be taken at all.
    pub fn judge(self, artifact: &Artifact, terms: Terms<'_>) -> Result<(Verdict, Vec<Cut>), Refusal> {
        let opaque = if self.kind == Err(Reason::KindUnknown) { terms.opaque.rule(artifact.sha256) } else { None };
        let demanded = terms.demands.unfit(self.kind.ok(), &self.members, artifact.sha256);
        // A kind that is not one, not the declared one or not wanted comes before what the content does.
        let unfit = match self.kind {
            Err(_) if opaque.is_some() => demanded.map(|(reason, _)| (reason, None)),
            Err(reason) => Some((reason, self.line)),
            Ok(kind) if kind.name() != artifact.kind => Some((Reason::KindMismatch, None)),
            Ok(kind) if !terms.kinds.contains(&kind) => Some((Reason::KindNotAllowed, None)),
            // What may not come by itself may not come in an archive.
            Ok(_) if !self.members.iter().all(|kind| terms.kinds.contains(kind)) => {
                Some((Reason::KindNotAllowed, None))
            }
            Ok(_) => demanded.map(|(reason, _)| (reason, None)),
        };
        let kind = self.kind.ok();
        let outcome = match (unfit, kind) {
            (Some((reason, line)), _) if terms.decide(kind, reason).action == Action::Refuse => {
                return Err(terms.refusal(kind, reason, &artifact.path, line));
            }
            (Some((reason, line)), _) => Outcome::Withhold(reason, line, None),
            (None, Some(kind)) => terms.judge(kind, self.flaws, &artifact.path)?,
            (None, None) => Outcome::Clear,
        };
        let mut verdict = Verdict {
            decision: Decision::Cleared,
            path: artifact.path.clone(),
            size: artifact.size,
            sha256: artifact.sha256,
            declared: artifact.kind.clone(),
            shown: kind,
            reason: None,
            line: None,
            member: None,
            rule: None,
            stripped: None,
            database: self.database,
            md5: self.md5,
        };
        let mut cuts = Vec::new();
        match outcome {
            Outcome::Clear => {}
            Outcome::Withhold(reason, line, member) => {
                (verdict.decision, verdict.reason, verdict.line) = (Decision::Withheld, Some(reason), line);
                verdict.member = member;
            }
            Outcome::Strip(mut flaws) => {
                flaws.sort_by(|a, b| (&a.member, a.line, a.reason).cmp(&(&b.member, b.line, b.reason)));
                cuts = cuts_of(&flaws);
                if let Some(first) = flaws.first() {
                    (verdict.decision, verdict.reason) = (Decision::Stripped, Some(first.reason));
                    (verdict.line, verdict.member) = (Some(first.line), first.member.clone());
                }
                // What the new bytes are, is told by whoever makes them.
                let dropped = |flaw: Flaw| Dropped { line: flaw.line, reason: flaw.reason, member: flaw.member };
                let dropped = flaws.into_iter().map(dropped).collect();
                verdict.stripped = Some(Box::new(Stripped { size: 0, sha256: Digest([0; 32]), dropped }));
            }
        }
        let rule = verdict.reason.and_then(|reason| terms.decide(kind, reason).rule);
        let demand = demanded.filter(|(reason, _)| verdict.reason == Some(*reason)).map(|(_, rule)| rule);
        verdict.rule = demand.or(rule).or(opaque).map(str::to_owned);
        Ok((verdict, cuts))
    }
}
