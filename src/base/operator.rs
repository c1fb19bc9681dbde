//! The person at the console.

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;
use unicode_security::skeleton;

use super::quoted;

/// Operator of an import: by the name given, and by the account the system knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Operator {
    /// The name given, in Unicode's form NFKC and without blanks around it; escaped.
    pub name: String,
    /// The account the import ran under, or the one behind `sudo`, escaped.
    pub user: String,
}

impl Operator {
    /// `name` at the account `user`.
    pub fn new(name: &str, user: &str) -> Self {
        Self { name: quoted(&in_one_form(name)).to_string(), user: quoted(user).to_string() }
    }

    /// True if an officer of this name may be the same person: by the looks of the name, or of the account.
    pub fn is(&self, officer: &str) -> bool {
        [&self.name, &self.user].iter().any(|name| looks(name) == looks(officer))
    }

    /// True if a name looks like this officer's and is another: whoever compares the two would be misled.
    pub fn resembles(name: &str, officer: &str) -> bool {
        let name = in_one_form(name);
        name.to_lowercase() != officer && looks(&name) == looks(officer)
    }
}

/// The name in Unicode's form NFKC, without blanks around it.
fn in_one_form(name: &str) -> String {
    name.nfkc().collect::<String>().trim().to_owned()
}

/// Looks of a name: letters and digits that look alike are one (UTS #39, skeleton), whatever else stands
/// between them.
fn looks(name: &str) -> String {
    let plain: String = skeleton(&name.to_lowercase()).filter(|c| c.is_alphanumeric()).collect();
    // What looks alike in capitals as well.
    skeleton(&plain.to_lowercase()).collect()
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.name == self.user { Ok(()) } else { write!(f, " (as {})", self.user) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_one_however_the_name_is_written() {
        for same in ["j.doe", "J.Doe", " j.doe ", "j.doe\u{a0}", "\u{ff4a}.doe", "j\u{ff0e}doe"] {
            let operator = Operator::new(same, "root");
            assert!(operator.is("j.doe") && !Operator::resembles(same, "j.doe"), "{same:?}");
        }
        for alike in ["j. doe", "jdoe", "j_doe", "j-doe", "\u{458}.doe", "j.d\u{43e}e", "j.doe.", "j.d0e"] {
            let operator = Operator::new(alike, "root");
            assert!(Operator::resembles(alike, "j.doe") && (!alike.is_ascii() || operator.is("j.doe")), "{alike:?}");
        }
        for other in ["m.roe", "operator", "j.does", "d.joe"] {
            let operator = Operator::new(other, "root");
            assert!(!operator.is("j.doe") && !Operator::resembles(other, "j.doe"), "{other:?}");
        }
        assert!(Operator::new("bob", "jdoe").is("j.doe") && Operator::new("bob", "J.DOE").is("j.doe"));
        assert!(!Operator::new("bob", "root").is("j.doe"));
    }
}
