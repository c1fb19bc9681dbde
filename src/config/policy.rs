//! Policies that ship with the program, one for each level of classification, and those of the site.

use std::path::Path;

use serde::Deserialize;

use super::{Config, Feed, toml_problem};
use base::error::IoContext as _;
use base::quoted::quoted_os;
use base::{Fault, quoted};
use bundle::Signer;
use inspect::{ContentPolicy, Demands, InspectionTerms};

/// Classification of this relay's network: the name of the policy that feeds have without one of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Classification {
    /// Open.
    Unclassified,
    /// The lowest level.
    Restricted,
    /// The level between.
    Confidential,
    /// Secret; what is assumed where nothing is said.
    #[default]
    Secret,
    /// The highest level.
    TopSecret,
}

const SHIPPED: [(Classification, &str); 5] = [
    (Classification::Unclassified, include_str!("policies/unclassified.toml")),
    (Classification::Restricted, include_str!("policies/restricted.toml")),
    (Classification::Confidential, include_str!("policies/confidential.toml")),
    (Classification::Secret, include_str!("policies/secret.toml")),
    (Classification::TopSecret, include_str!("policies/top-secret.toml")),
];

/// The policies that ship with the program, the laxest first.
pub fn shipped() -> Result<Vec<ContentPolicy>, Fault> {
    SHIPPED.iter().map(|(_, text)| parse(text)).collect()
}

/// The policy that ships for a level.
pub fn shipped_for(level: Classification) -> Result<ContentPolicy, Fault> {
    let text = SHIPPED.iter().find(|(known, _)| *known == level).map_or("", |(_, text)| *text);
    parse(text)
}

/// Reads a policy from a file of its own.
pub fn parse(text: &str) -> Result<ContentPolicy, Fault> {
    let policy: ContentPolicy = toml::from_str(text).map_err(|e| Fault::Config(toml_problem(text, &e).to_string()))?;
    match policy.problem() {
        None => Ok(policy),
        Some(problem) => Err(Fault::Config(problem)),
    }
}

/// Reads a policy from the file at `path`, which a fault names.
pub fn read(path: &Path) -> Result<ContentPolicy, Fault> {
    let text = std::fs::read_to_string(path).during("read", path)?;
    parse(&text).map_err(|fault| {
        let next = "Correct the policy's file, then run the same command again. The page content of the manual has an example.";
        Fault::usage(format!("{}: {fault}", quoted_os(path)), next)
    })
}

impl std::fmt::Display for Classification {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unclassified => "unclassified",
            Self::Restricted => "restricted",
            Self::Confidential => "confidential",
            Self::Secret => "secret",
            Self::TopSecret => "top-secret",
        })
    }
}

impl Config {
    /// The policy of this name: the site's, or one that ships.
    pub fn policy(&self, name: &str) -> Result<ContentPolicy, Fault> {
        let own = self.policies.iter().find(|policy| policy.get_ref().name == name);
        let found = match own {
            Some(policy) => Some(policy.get_ref().clone()),
            None => shipped()?.into_iter().find(|policy| policy.name == name),
        };
        let next = "Check the spelling: `gaprelay policy show` lists all policies.";
        found.ok_or_else(|| Fault::usage(format!("there is no policy \"{}\"", quoted(name)), next))
    }

    /// The policy of a feed.
    pub fn policy_of(&self, feed: &Feed) -> Result<ContentPolicy, Fault> {
        match &feed.policy {
            Some(name) => self.policy(name.get_ref()),
            None => shipped_for(self.classification),
        }
    }

    /// Faults of the policies, each with its place in the text.
    pub(super) fn policy_problems(&self) -> Vec<(usize, String)> {
        let shipped: Vec<String> = shipped().unwrap_or_default().into_iter().map(|policy| policy.name).collect();
        let mut problems = Vec::new();
        for (place, policy) in self.policies.iter().enumerate() {
            let (at, policy) = (policy.span().start, policy.get_ref());
            problems.extend(policy.problem().map(|problem| (at, problem)));
            let name = quoted(&policy.name);
            if !base::name::is_name(&policy.name) {
                problems.push((at, format!("policy \"{name}\" is not a name: {}", base::name::RULE)));
            } else if shipped.contains(&policy.name) {
                problems.push((at, format!("policy \"{name}\" has the name of a policy that ships with the program")));
            } else if self.policies.iter().take(place).any(|other| other.get_ref().name == policy.name) {
                problems.push((at, format!("two policies have the name \"{name}\"")));
            }
        }
        for name in self.feeds.iter().filter_map(|feed| feed.policy.as_ref()) {
            if self.policy(name.get_ref()).is_err() {
                let shown = quoted(name.get_ref());
                problems.push((
                    name.span().start,
                    format!("there is no policy \"{shown}\": `gaprelay policy show` lists all"),
                ));
            }
        }
        problems
    }
}

/// On which terms a feed takes what these have signed, under this policy and these demands.
pub fn terms<'a>(
    feed: &'a Feed,
    policy: &'a ContentPolicy,
    signers: &[Signer],
    demands: Demands<'a>,
) -> InspectionTerms<'a> {
    InspectionTerms {
        kinds: feed.kinds.get_ref(),
        policy,
        may_suppress: feed.may_suppress(signers),
        opaque: feed.opaque(signers),
        demands,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Reason;
    use inspect::Action;

    #[test]
    fn each_level_has_its_policy_and_none_is_laxer_than_the_one_below() {
        let shipped = shipped().unwrap();
        let names: Vec<&str> = shipped.iter().map(|policy| policy.name.as_str()).collect();
        assert_eq!(names, ["unclassified", "restricted", "confidential", "secret", "top-secret"]);
        for reason in Reason::ALL {
            let actions: Vec<u8> = shipped.iter().map(|policy| policy.decide(None, *reason).action as u8).collect();
            assert!(actions.is_sorted(), "{reason}: {actions:?}");
            assert!(
                shipped
                    .iter()
                    .all(|p| *reason != Reason::RuleRunsCode || p.decide(None, *reason).action >= Action::Strip)
            );
        }
        assert_eq!(shipped_for(Classification::default()).unwrap().name, "secret");
    }
}
