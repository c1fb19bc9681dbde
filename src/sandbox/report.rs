//! Results of a self-test, as a log keeps them.

use serde::{Deserialize, Serialize};

use super::{Confinement, Waiver};

/// The result of a self-test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SelfTest {
    /// Number of the line among all that the keeper took from the journal, where it came from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// The process whose word this is, where it says so of itself; none where the relay tested its processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// True if each layer was tried alone, and everything without any.
    pub full: bool,
    /// The kernel.
    pub kernel: String,
    /// Each role tried.
    pub roles: Vec<SelfTested>,
    /// The layers that the config does without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<Waiver>,
    /// Attempts that got through where a layer is missing that the config does without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exposed: Vec<String>,
    /// Attempts that got through, and allowed acts that do not work: each is a fault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
}

impl SelfTest {
    /// True if it is of exactly these roles, in this order.
    pub fn is_of<'a>(&self, roles: impl Iterator<Item = &'a str>) -> bool {
        self.roles.iter().map(|tested| tested.role.as_str()).eq(roles)
    }
}

/// One role in a self-test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SelfTested {
    /// The role's name.
    pub role: String,
    /// The layers it holds: Landlock's version, the filter's digest, what is weaker.
    pub held: Confinement,
    /// Number of attempts.
    pub attempts: u64,
    /// Number of attempts that were stopped.
    pub stopped: u64,
    /// Number of attempts that this kernel or user cannot make, confined or not; counted in the full form only.
    pub not_here: u64,
}
