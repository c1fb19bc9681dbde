//! The person at the console.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::quoted;

/// Operator of an import: by the name given, and by the account the system knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Operator {
    /// The name given, escaped.
    pub name: String,
    /// The account the import ran under, or the one behind `sudo`, escaped.
    pub user: String,
}

impl Operator {
    /// `name` at the account `user`.
    pub fn new(name: &str, user: &str) -> Self {
        Self { name: quoted(name).to_string(), user: quoted(user).to_string() }
    }

    /// True if an officer of this name is the same person. Officers' names are such that escaping does not change them.
    pub fn is(&self, officer: &str) -> bool {
        officer.eq_ignore_ascii_case(&self.name) || officer.eq_ignore_ascii_case(&self.user)
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.name == self.user { Ok(()) } else { write!(f, " (as {})", self.user) }
    }
}
