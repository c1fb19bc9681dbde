//! Content policies: named rules, of which the first that fits decides.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::flaw::{Flaw, PERMITTABLE, can_be_stripped};
use crate::kind::Kind;
use base::{Digest, Reason, Refusal, quoted};

/// Action of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Passes.
    Permit,
    /// Lines with the flaw, or files of an archive, are left out; where that is not possible, the artifact is withheld.
    Strip,
    /// The whole artifact is withheld.
    Withhold,
    /// The whole release is refused.
    Refuse,
}

impl Action {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Strip => "strip",
            Self::Withhold => "withhold",
            Self::Refuse => "refuse",
        }
    }
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name, which verdicts carry. 1 to 64 of `a-z 0-9 . _ -`.
    pub name: String,
    /// Reason codes that the rule is about.
    pub reasons: Vec<Reason>,
    /// Kinds of content that the rule is about; all kinds, if left out.
    #[serde(default)]
    pub kinds: Vec<Kind>,
    /// Action. `gaprelay policy show NAME` lists the reasons that may be permitted.
    pub then: Action,
    /// Why: one line of at most 300 characters, for officers and auditors.
    pub why: String,
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ContentPolicy {
    /// Name. A site's policy may not have the name of one that ships with the program.
    pub name: String,
    /// Purpose, in a sentence.
    #[serde(default)]
    pub about: String,
    /// Rules, of which the first that fits decides.
    #[serde(rename = "rule", default)]
    pub rules: Vec<Rule>,
    /// Action for reasons that no rule is about: `withhold`, `strip` or `refuse`. Default `withhold`.
    #[serde(default = "withhold")]
    pub otherwise: Action,
}

fn withhold() -> Action {
    Action::Withhold
}

/// Decision about a flaw, and the rule that made it; none where no rule is about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided<'a> {
    /// Action.
    pub action: Action,
    /// The rule's name.
    pub rule: Option<&'a str>,
}

impl ContentPolicy {
    /// Decides about content of this kind (none where it is of no kind that passes) that has this flaw.
    pub fn decide(&self, kind: Option<Kind>, reason: Reason) -> Decided<'_> {
        let fits = |rule: &&Rule| {
            rule.reasons.contains(&reason)
                && (rule.kinds.is_empty() || kind.is_some_and(|kind| rule.kinds.contains(&kind)))
        };
        let rule = self.rules.iter().find(fits);
        Decided { action: rule.map_or(self.otherwise, |rule| rule.then), rule: rule.map(|rule| rule.name.as_str()) }
    }

    /// Faults of the policy.
    pub fn problem(&self) -> Option<String> {
        let name = quoted(&self.name);
        if self.otherwise == Action::Permit {
            return Some(format!(
                "policy \"{name}\": otherwise = \"permit\" is not allowed, since every reason without a rule would pass; \
                 use withhold, strip or refuse"
            ));
        }
        let mut seen = BTreeSet::new();
        for rule in &self.rules {
            let wrong = |what: String| Some(format!("policy \"{name}\", rule \"{}\": {what}", quoted(&rule.name)));
            if !base::name::is_name(&rule.name) {
                return wrong(format!("the name must be {}", base::name::RULE));
            }
            if !seen.insert(&rule.name) {
                return wrong("two rules of the policy have this name".into());
            }
            if rule.reasons.is_empty() {
                return wrong("reasons is empty: name at least one reason code (gaprelay explain lists them)".into());
            }
            if !(1..=300).contains(&rule.why.trim().chars().count()) {
                return wrong("why must have 1 to 300 characters: say why the site wants this rule".into());
            }
            let cannot = |reason: &&Reason| match rule.then {
                Action::Permit => !PERMITTABLE.contains(reason),
                Action::Strip => !can_be_stripped(**reason),
                Action::Withhold | Action::Refuse => false,
            };
            if let Some(reason) = rule.reasons.iter().find(cannot) {
                let done = if rule.then == Action::Permit { "permitted" } else { "stripped" };
                return wrong(format!(
                    "{reason} cannot be {done}; use withhold or refuse. To read what the code means: gaprelay explain {reason}"
                ));
            }
        }
        None
    }
}

/// Terms on which a feed takes content.
#[derive(Clone, Copy, Debug)]
pub struct InspectionTerms<'a> {
    /// The kinds.
    pub kinds: &'a [Kind],
    /// Content policy.
    pub policy: &'a ContentPolicy,
    /// True if the required signers have signed, for content that keeps something else from detecting.
    pub may_suppress: bool,
    /// Content of no kind we know that passes all the same.
    pub opaque: Opaque<'a>,
    /// Demands of rules about origins.
    pub demands: Demands<'a>,
}

/// Demand of a rule about origins on a bundle's artifacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginDemand {
    /// None of these kinds.
    Without,
    /// Only what an engine compares and nothing else: see [`Kind::is_inert`].
    Inert,
    /// Only what a second publisher or an evaluator has signed as well, byte for byte.
    Agreement,
}

/// One such rule, as it holds for a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The rule's name, which verdicts carry.
    pub rule: String,
    /// The kinds it is about; all, if empty.
    pub kinds: Vec<Kind>,
    /// Demand.
    pub asked: OriginDemand,
}

/// Demands on a bundle's artifacts before they pass: of rules about origins, and that their names are its feed's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Demands<'a> {
    /// The rules that hold for it.
    pub rules: &'a [Demand],
    /// Digests that other publishers or evaluators have signed as well.
    pub agreed: Option<&'a BTreeSet<Digest>>,
    /// Artifacts whose names belong to other feeds that agents load together with this one, and to which.
    pub taken: Option<&'a BTreeMap<String, String>>,
}

impl Demands<'_> {
    /// The other feed to which the name of this artifact belongs.
    pub fn name_owner(&self, path: &str) -> Option<&str> {
        self.taken?.get(path).map(String::as_str)
    }

    /// Why an artifact of this kind (none: of no kind we know), which holds files of these, does not pass, and by which
    /// rule. Reasons: `origin-refused`, `origin-not-inert`, `origin-not-agreed`.
    pub fn unfit(&self, kind: Option<Kind>, members: &[Kind], sha256: Digest) -> Option<(Reason, &str)> {
        let kinds = || kind.into_iter().chain(members.iter().copied());
        self.rules.iter().find_map(|demand| {
            let is_about = demand.kinds.is_empty() || kinds().any(|kind| demand.kinds.contains(&kind));
            let agreed = self.agreed.is_some_and(|agreed| agreed.contains(&sha256));
            let reason = match demand.asked {
                OriginDemand::Without => Reason::OriginRefused,
                OriginDemand::Inert if kind.is_some_and(Kind::is_inert) => return None,
                OriginDemand::Inert => Reason::OriginNotInert,
                OriginDemand::Agreement if agreed => return None,
                OriginDemand::Agreement => Reason::OriginNotAgreed,
            };
            is_about.then_some((reason, demand.rule.as_str()))
        })
    }
}

/// Bytes that nobody here can look into, and that a site needs: named one by one, or vouched for by a second signer.
/// What is of a kind that never passes (a program, a script, an archive) does not pass so either.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opaque<'a> {
    /// Exactly these.
    pub digests: &'a [Digest],
    /// True if the signers that the feed names for it have signed; never where it names nobody.
    pub is_vouched: bool,
}

impl Opaque<'_> {
    /// The rule by which these bytes pass; none: they do not.
    pub fn rule(&self, sha256: Digest) -> Option<&'static str> {
        match (self.digests.contains(&sha256), self.is_vouched) {
            (true, _) => Some("opaque-by-digest"),
            (_, true) => Some("opaque-by-signer"),
            _ => None,
        }
    }
}

/// Outcome for an artifact.
#[derive(Debug, PartialEq, Eq)]
pub enum PolicyOutcome {
    /// Passes whole.
    Clear,
    /// These may not pass, and are left out.
    Strip(Vec<Flaw>),
    /// Withheld for this reason, in this line of this file of an archive.
    Withhold(Reason, Option<u64>, Option<String>),
}

impl InspectionTerms<'_> {
    /// Decides about a flaw that may not pass unless it is permitted.
    pub fn decide(&self, kind: Option<Kind>, reason: Reason) -> Decided<'_> {
        let decided = self.policy.decide(kind, reason);
        let lacks = decided.action == Action::Permit && reason == Reason::RuleWeakensDetection && !self.may_suppress;
        if lacks { Decided { action: Action::Withhold, rule: decided.rule } } else { decided }
    }

    /// Decides about content of a kind that the feed may carry, by its flaws. Refusal: the reason why the release
    /// is not to be taken at all.
    pub fn judge(&self, kind: Kind, flaws: Vec<Flaw>, path: &str) -> Result<PolicyOutcome, Refusal> {
        // Of several the one that comes first in the file.
        let first = |action: Action| {
            let these = flaws.iter().filter(|flaw| self.decide(Some(kind), flaw.reason).action == action);
            these.min_by_key(|flaw| flaw.line).cloned()
        };
        if let Some(flaw) = first(Action::Refuse) {
            return Err(self.refusal(Some(kind), flaw.reason, path, Some(flaw.line), flaw.member.as_deref()));
        }
        if let Some(flaw) = first(Action::Withhold) {
            return Ok(PolicyOutcome::Withhold(flaw.reason, Some(flaw.line), flaw.member));
        }
        let first = first(Action::Strip);
        let left_out: Vec<Flaw> =
            flaws.into_iter().filter(|flaw| self.decide(Some(kind), flaw.reason).action == Action::Strip).collect();
        Ok(match first {
            None => PolicyOutcome::Clear,
            Some(_) if left_out.iter().all(|flaw| flaw.span().is_some()) => PolicyOutcome::Strip(left_out),
            Some(flaw) => PolicyOutcome::Withhold(flaw.reason, Some(flaw.line), flaw.member),
        })
    }

    /// Refusal of the release for this reason, in this line of this file of an archive.
    pub fn refusal(
        &self,
        kind: Option<Kind>,
        reason: Reason,
        path: &str,
        line: Option<u64>,
        member: Option<&str>,
    ) -> Refusal {
        // The form of an archive is no matter of lines.
        let line = line.filter(|_| reason != Reason::ArchiveForm);
        let member = member.map(|member| format!(", {}", quoted(member))).unwrap_or_default();
        let place = match line {
            Some(line) => format!("{member}, line {line}"),
            None => member,
        };
        let rule = self.decide(kind, reason).rule.map(|rule| format!(", rule {rule}")).unwrap_or_default();
        let policy = quoted(&self.policy.name);
        Refusal::new(reason, format!("\"{}\"{place}: policy {policy}{rule} refuses the release", quoted(path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> ContentPolicy {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let policy = policy(
            r#"
            name = "p"
            otherwise = "strip"
            [[rule]]
            name = "ips"
            reasons = ["rule-acts-on-traffic"]
            kinds = ["suricata-rules"]
            then = "permit"
            why = "x"
            [[rule]]
            name = "no-code"
            reasons = ["rule-runs-code", "rule-acts-on-traffic"]
            then = "refuse"
            why = "x"
            "#,
        );
        assert_eq!(policy.problem(), None);
        let decide = |kind, reason| {
            let decided = policy.decide(kind, reason);
            (decided.action, decided.rule)
        };
        let rules = Some(Kind::SuricataRules);
        assert_eq!(decide(rules, Reason::RuleActsOnTraffic), (Action::Permit, Some("ips")));
        assert_eq!(decide(Some(Kind::YaraSource), Reason::RuleActsOnTraffic), (Action::Refuse, Some("no-code")));
        assert_eq!(decide(None, Reason::RuleRunsCode), (Action::Refuse, Some("no-code")));
        assert_eq!(decide(rules, Reason::RuleSyntax), (Action::Strip, None));
    }

    #[test]
    fn what_a_policy_cannot_say() {
        let rule = |reason: &str, then: &str, why: &str| {
            format!("name = \"p\"\n[[rule]]\nname = \"r\"\nreasons = [{reason}]\nthen = \"{then}\"\nwhy = \"{why}\"\n")
        };
        for (text, said) in [
            (rule("\"rule-runs-code\"", "permit", "x"), "rule-runs-code cannot be permitted"),
            (rule("\"kind-executable\"", "strip", "x"), "kind-executable cannot be stripped"),
            (rule("\"rule-module\"", "permit", ""), "why must have"),
            (rule("", "withhold", "x"), "reasons is empty"),
            (rule("\"rule-module\"", "permit", "x").replace("\"r\"", "\"R 1\""), "rule \"R 1\""),
            ("name = \"p\"\notherwise = \"permit\"\n".into(), "otherwise = \"permit\" is not allowed"),
        ] {
            let problem = policy(&text).problem().unwrap_or_default();
            assert!(problem.contains(said), "{text}: {problem}");
        }
    }
}
