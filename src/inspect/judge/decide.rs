//! The judgement on an artifact, from what its bytes show and what its feed may carry.

use super::judgement::Judgement;
use super::policy::{Action, InspectionTerms, PolicyOutcome};
use super::verdict::{Stripped, Verdict, VerdictKind};
use crate::finding::Finding;
use crate::flaw::cuts as cuts_of;
use base::{Reason, Refusal};
use bundle::Artifact;

impl Finding {
    /// The judgement on `artifact`, whose bytes show this, on these terms. Refusal: the reason why the release is not
    /// to be taken at all.
    pub fn judge(self, artifact: &Artifact, terms: InspectionTerms<'_>) -> Result<Judgement, Refusal> {
        let opaque = if self.kind == Err(Reason::KindUnknown) { terms.opaque.rule(artifact.sha256) } else { None };
        let demanded = terms.demands.unfit(self.kind.ok(), &self.members, artifact.sha256);
        let foreign = self.members.iter().copied().find(|kind| !terms.kinds.contains(kind));
        let owner = terms.demands.name_owner(&artifact.path);
        // A name of another feed, a kind that is not one, not the declared one or not wanted comes before what the
        // content does.
        let unfit = match self.kind {
            _ if owner.is_some() => Some((Reason::PathClash, None)),
            Err(_) if opaque.is_some() => demanded.map(|(reason, _)| (reason, None)),
            Err(reason) => Some((reason, self.line)),
            Ok(kind) if kind.name() != artifact.kind => Some((Reason::KindMismatch, None)),
            Ok(kind) if !terms.kinds.contains(&kind) => Some((Reason::KindNotAllowed, None)),
            // What may not come by itself may not come in an archive.
            Ok(_) if foreign.is_some() => Some((Reason::KindNotAllowed, None)),
            Ok(_) => demanded.map(|(reason, _)| (reason, None)),
        };
        let (kind, mut verdict) = (self.kind.ok(), Verdict::cleared(artifact, &self));
        // Of an archive that the feed may carry: the kind of a file in it that the feed may not.
        let is_carried = kind.is_some_and(|kind| terms.kinds.contains(&kind));
        let inside = |reason: Reason| {
            let foreign = foreign.filter(|_| is_carried && reason == Reason::KindNotAllowed);
            let owner = owner.map(|feed| format!("a name of feed {feed}"));
            owner.or_else(|| foreign.map(|kind| format!("a file of kind {kind}")))
        };
        let outcome = match (unfit, kind) {
            (Some((reason, line)), _) if terms.decide(kind, reason).action == Action::Refuse => {
                return Err(terms.refusal(kind, reason, &artifact.path, line, inside(reason).as_deref()));
            }
            (Some((reason, line)), _) => PolicyOutcome::Withhold(reason, line, inside(reason)),
            (None, Some(kind)) => terms.judge(kind, self.flaws, &artifact.path)?,
            (None, None) => PolicyOutcome::Clear,
        };
        let mut cuts = Vec::new();
        match outcome {
            PolicyOutcome::Clear => {}
            PolicyOutcome::Withhold(reason, line, member) => {
                (verdict.decision, verdict.reason, verdict.line) = (VerdictKind::Withheld, Some(reason), line);
                verdict.member = member;
            }
            PolicyOutcome::Strip(mut flaws) => {
                flaws.sort_by(|a, b| (&a.member, a.line, a.reason).cmp(&(&b.member, b.line, b.reason)));
                cuts = cuts_of(&flaws);
                if let Some(first) = flaws.first() {
                    (verdict.decision, verdict.reason) = (VerdictKind::Stripped, Some(first.reason));
                    (verdict.line, verdict.member) = (Some(first.line), first.member.clone());
                }
                verdict.stripped = Some(Box::new(Stripped::without(flaws)));
            }
        }
        let rule = verdict.reason.and_then(|reason| terms.decide(kind, reason).rule);
        let demand = demanded.filter(|(reason, _)| verdict.reason == Some(*reason)).map(|(_, rule)| rule);
        verdict.rule = demand.or(rule).or(opaque).map(str::to_owned);
        Ok(Judgement::new(verdict, cuts))
    }
}
