//! `[[origin]]`: from whom this site takes what, by its level of classification. Origin and publisher are those of the
//! signing key in the keyring; what a bundle says of itself must only agree.

use serde::Deserialize;
use toml::Spanned;

use super::{Classification, Config};
use base::{Reason, Refusal, name, quoted};
use bundle::keyring::is_country;
use bundle::{Manifest, Role, Signer};
use inspect::{Demand, Kind, OriginDemand};

/// A rule about origins. It holds for a bundle that all of its conditions fit; of several that do, each is asked.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OriginRule {
    /// Name, which refusals and verdicts carry: 1 to 64 of `a-z 0-9 . _ -`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub name: Spanned<String>,
    /// The classification from which on it holds; every one, if left out.
    #[serde(default)]
    pub at: Option<Classification>,
    /// Countries, ISO 3166-1 alpha-2; any, if left out.
    #[serde(default)]
    pub origins: Vec<String>,
    /// Publishers; any, if left out.
    #[serde(default)]
    pub publishers: Vec<String>,
    /// Roles of which a key has signed for the publisher: `vendor`, `custodian`. Any, if left out.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// Kinds of content that it is about; all, if left out.
    #[serde(default)]
    pub kinds: Vec<Kind>,
    /// Decision of the rule.
    pub then: Then,
    /// Why: one line of at most 300 characters, for officers and auditors.
    pub why: String,
    /// Source of the decision, for whoever asks.
    #[serde(default)]
    pub source: Option<String>,
}

/// Decision of a rule about origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// The bundle is refused; where the rule is about some kinds, artifacts of those are withheld.
    Refuse,
    /// Only inert patterns pass: lists, digests, sequences of bytes.
    Inert,
    /// Only what an evaluator, or a second publisher, has signed as well passes.
    Agreement,
}

impl Then {
    /// In words, as what becomes of content.
    pub fn words(self) -> &'static str {
        match self {
            Self::Refuse => "is refused",
            Self::Inert => "passes only as inert patterns",
            Self::Agreement => "passes only where an evaluator or a second publisher has signed the same bytes",
        }
    }
}

impl OriginRule {
    /// True if it holds for content that a key of this role, publisher and origin signs, at this level.
    pub fn holds(&self, level: Classification, publisher: &str, origin: &str, roles: &[Role]) -> bool {
        let any = |list: &[String], value: &str| list.is_empty() || list.iter().any(|it| it == value);
        self.at.is_none_or(|at| level >= at)
            && any(&self.origins, origin)
            && any(&self.publishers, publisher)
            && (self.roles.is_empty() || roles.iter().any(|role| self.roles.contains(role)))
    }
}

impl Config {
    /// Demands of the rules on the artifacts of a bundle with these signers.
    /// Refusal: `origin-refused`, where a rule does not take the bundle at all.
    pub fn demands(&self, manifest: &Manifest, signers: &[Signer]) -> Result<Vec<Demand>, Refusal> {
        let roles: Vec<Role> = signers.iter().map(|signer| signer.role).collect();
        let is_evaluated = roles.contains(&Role::Evaluator);
        let mut demands = Vec::new();
        for rule in &self.origins {
            if !rule.holds(self.classification, &manifest.publisher, &manifest.origin, &roles) {
                continue;
            }
            let asked = match rule.then {
                Then::Refuse if rule.kinds.is_empty() => {
                    let (name, level) = (rule.name.get_ref(), self.classification);
                    let whose = format!("{} ({})", manifest.publisher, manifest.origin);
                    let why = quoted(&rule.why);
                    let detail = format!("the origin rule {name} refuses all content of {whose} at {level}: {why}");
                    return Err(Refusal::new(Reason::OriginRefused, detail));
                }
                Then::Refuse => OriginDemand::Without,
                Then::Inert => OriginDemand::Inert,
                Then::Agreement if is_evaluated => continue,
                Then::Agreement => OriginDemand::Agreement,
            };
            demands.push(Demand { rule: rule.name.get_ref().clone(), kinds: rule.kinds.clone(), asked });
        }
        Ok(demands)
    }

    /// Faults of the rules about origins, each with its place in the text.
    pub(super) fn origin_problems(&self) -> Vec<(usize, String)> {
        let mut problems = Vec::new();
        for (place, rule) in self.origins.iter().enumerate() {
            let (at, shown) = (rule.name.span().start, quoted(rule.name.get_ref()));
            let mut wrong = |what: String| problems.push((at, format!("origin rule \"{shown}\": {what}")));
            if !name::is_name(rule.name.get_ref()) {
                wrong(format!("the name must be {}", name::RULE));
            }
            if self.origins.iter().take(place).any(|other| other.name.get_ref() == rule.name.get_ref()) {
                wrong("two rules have this name".into());
            }
            if rule.origins.is_empty() && rule.publishers.is_empty() && rule.roles.is_empty() {
                wrong("it needs origins, publishers or roles, which say for whose content the rule holds".into());
            }
            for origin in rule.origins.iter().filter(|origin| !is_country(origin)) {
                wrong(format!("origin \"{}\" is not two capital letters, such as CH", quoted(origin)));
            }
            if !rule.roles.iter().all(|role| matches!(role, Role::Vendor | Role::Custodian)) {
                wrong("roles may be vendor and custodian only: the other roles have no origin".into());
            }
            if !(1..=300).contains(&rule.why.trim().chars().count()) {
                wrong("why must have 1 to 300 characters: say why the site wants this rule".into());
            }
        }
        problems
    }
}
