//! What is wrong with an artifact's content, where its format is looked into: facts, by reason and line.

use serde::{Deserialize, Serialize};

use crate::base::Reason;

/// Something that may not pass, unless the feed permits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flaw {
    /// What it is.
    pub reason: Reason,
    /// The first line that has it, counted from 1.
    pub line: u64,
}

/// All reasons that there can be.
pub const CONTENT: [Reason; 8] = [
    Reason::RuleSyntax,
    Reason::RuleTooLong,
    Reason::RuleRunsCode,
    Reason::RuleUsesFiles,
    Reason::RuleActsOnTraffic,
    Reason::RuleWeakensDetection,
    Reason::RuleDuplicate,
    Reason::RuleModule,
];

/// Those that a feed may permit; the others never pass.
pub const PERMITTABLE: [Reason; 4] =
    [Reason::RuleUsesFiles, Reason::RuleActsOnTraffic, Reason::RuleWeakensDetection, Reason::RuleModule];

/// Flaws as they are found: the first of each reason.
#[derive(Clone, Debug, Default)]
pub struct Flaws(Vec<Flaw>);

impl Flaws {
    /// One more, in lines that rise.
    pub fn add(&mut self, reason: Reason, line: u64) {
        self.find(reason, || line);
    }

    /// One more, whose line costs something to tell: it is asked for the first of each reason alone.
    pub fn find(&mut self, reason: Reason, line: impl FnOnce() -> u64) {
        if !self.0.iter().any(|flaw| flaw.reason == reason) {
            self.0.push(Flaw { reason, line: line() });
        }
    }

    /// All of them.
    pub fn into_vec(self) -> Vec<Flaw> {
        self.0
    }
}
