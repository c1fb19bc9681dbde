//! Witness policy of a log (C2SP tlog-policy): named witnesses, groups of them, one quorum.
//!
//! ```text
//! witness desk1 desk1.example/witness+0e5d…
//! witness desk2 desk2.example/witness+77ab…
//! group   desks 1 desk1 desk2
//! quorum  desks
//! ```

use std::collections::BTreeSet;

use super::cosignature::WitnessSigner;
use base::Timestamp;

/// A policy; read from the config.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct WitnessPolicy {
    witnesses: Vec<(String, WitnessSigner)>,
    groups: Vec<WitnessGroup>,
    quorum: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct WitnessGroup {
    name: String,
    needed: usize,
    members: Vec<String>,
}

impl TryFrom<String> for WitnessPolicy {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl WitnessPolicy {
    /// Reads a policy without its `log` lines, which the relay knows. Error: what is wrong, and in which line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut policy, mut quorum) = (Self::default(), false);
        for (number, line) in text.lines().enumerate() {
            let wrong = |what: &str| format!("witness policy, line {}: {what}", number + 1);
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                ["witness", name, key] | ["witness", name, key, _] => {
                    let witness =
                        WitnessSigner::parse(key).ok_or_else(|| wrong("this is not the public key of a witness"))?;
                    policy.check_new(name).map_err(|what| wrong(&what))?;
                    if policy.witnesses.iter().any(|(_, other)| other.has_key_of(&witness)) {
                        return Err(wrong("this key is named in a line before"));
                    }
                    policy.witnesses.push(((*name).to_owned(), witness));
                }
                ["group", name, needed, members @ ..] => {
                    policy.check_new(name).map_err(|what| wrong(&what))?;
                    let needed = match *needed {
                        "any" => 1,
                        "all" => members.len(),
                        number => number
                            .parse()
                            .map_err(|_| wrong("a group needs the word any, the word all, or a number of members"))?,
                    };
                    if let Some(member) = members.iter().find(|member| !policy.has(member)) {
                        return Err(wrong(&format!("{member} is not named in a line before")));
                    }
                    let distinct: BTreeSet<_> = members.iter().collect();
                    if needed == 0 || needed > members.len() || distinct.len() < members.len() {
                        return Err(wrong("a group needs from one to all of its members, each named once"));
                    }
                    let members = members.iter().map(|member| (*member).to_owned()).collect();
                    policy.groups.push(WitnessGroup { name: (*name).to_owned(), needed, members });
                }
                ["quorum", _] if quorum => return Err(wrong("there is a quorum already")),
                ["quorum", "none"] => quorum = true,
                ["quorum", name] => {
                    if !policy.has(name) {
                        return Err(wrong(&format!("{name} is not named in a line before")));
                    }
                    (quorum, policy.quorum) = (true, Some((*name).to_owned()));
                }
                ["log", ..] => return Err(wrong("leave the log out: the relay knows its own")),
                _ => return Err(wrong("a line is `witness NAME VKEY`, `group NAME N MEMBER…` or `quorum NAME`")),
            }
        }
        if quorum {
            Ok(policy)
        } else {
            Err("witness policy: there is no quorum: add a line `quorum NAME` or `quorum none`".into())
        }
    }

    fn has(&self, name: &str) -> bool {
        self.witnesses.iter().any(|(known, _)| known == name) || self.groups.iter().any(|group| group.name == name)
    }

    fn check_new(&self, name: &str) -> Result<(), String> {
        if name == "none" {
            return Err("the name none is reserved: quorum none means that no witness is needed".into());
        }
        if self.has(name) { Err(format!("the name {name} is used in a line before")) } else { Ok(()) }
    }

    /// True if no witness is named.
    pub fn is_empty(&self) -> bool {
        self.witnesses.is_empty()
    }

    /// The text, for checkers that are not ours: `log` is the public key of the log.
    pub fn to_text(&self, log: &str) -> String {
        let witnesses = self.witnesses.iter().map(|(name, witness)| format!("witness {name} {}", witness.to_text()));
        let groups = self
            .groups
            .iter()
            .map(|WitnessGroup { name, needed, members }| format!("group {name} {needed} {}", members.join(" ")));
        let quorum = format!("quorum {}", self.quorum.as_deref().unwrap_or("none"));
        let lines: Vec<String> =
            std::iter::once(format!("log {log}")).chain(witnesses).chain(groups).chain([quorum]).collect();
        lines.join("\n") + "\n"
    }

    /// The witnesses that cosigned a note, by the policy's names, and when.
    pub fn cosigners(&self, note: &str) -> Vec<(String, Timestamp)> {
        let found = self.witnesses.iter().filter_map(|(name, witness)| Some((name.clone(), witness.cosigned(note)?)));
        found.collect()
    }

    /// The signature line of each of its witnesses under a note, without its line end.
    pub fn lines<'a>(&self, note: &'a str) -> Vec<(String, &'a str)> {
        let Some((text, lines)) = note.split_once("\n\n") else { return Vec::new() };
        let by = |witness: &WitnessSigner, line: &str| witness.cosigned(&format!("{text}\n\n{line}\n")).is_some();
        let found = self
            .witnesses
            .iter()
            .filter_map(|(name, witness)| Some((name.clone(), lines.lines().find(|line| by(witness, line))?)));
        found.collect()
    }

    /// True if these witnesses make the quorum; always true if the quorum is `none`.
    pub fn is_met(&self, by: &[(String, Timestamp)]) -> bool {
        self.quorum.as_ref().is_none_or(|name| self.holds(name, by))
    }

    fn holds(&self, name: &str, by: &[(String, Timestamp)]) -> bool {
        match self.groups.iter().find(|group| group.name == name) {
            Some(group) => group.members.iter().filter(|member| self.holds(member, by)).count() >= group.needed,
            None => by.iter().any(|(witness, _)| witness == name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cosignature::Cosigner;

    #[test]
    fn a_quorum_of_groups_is_counted_and_mistakes_are_named_with_their_line() {
        let key = |name: &str| Cosigner::generate(name).unwrap().witness().to_text();
        let (a, b, c) = (key("a/w"), key("b/w"), key("c/w"));
        let text = format!(
            "# ours\nwitness a {a}\nwitness b {b}\nwitness c {c} https://c\ngroup ab any a b\ngroup q all ab c\nquorum q\n"
        );
        let policy = WitnessPolicy::parse(&text).unwrap();
        let renamed = WitnessSigner::parse(&a).unwrap().renamed("z/w").to_text();
        let by = |names: &[&str]| names.iter().map(|n| ((*n).to_owned(), Timestamp::default())).collect::<Vec<_>>();
        for (names, met) in [(vec!["a"], false), (vec!["a", "b"], false), (vec!["c"], false), (vec!["b", "c"], true)] {
            assert_eq!(policy.is_met(&by(&names)), met, "{names:?}");
        }
        assert!(policy.to_text("relay+x+y").starts_with("log relay+x+y\nwitness a "));
        let without = policy.to_text("k").lines().skip(1).collect::<Vec<_>>().join("\n");
        assert_eq!(WitnessPolicy::parse(&without), Ok(policy));
        for (text, told) in [
            (String::new(), "no quorum"),
            (format!("witness a {a}\nwitness a {b}\nquorum a"), "line 2: the name a is used"),
            (format!("witness a {a}\nwitness b {a}\nquorum a"), "line 2: this key is named"),
            (format!("witness a {a}\nwitness b {renamed}\nquorum a"), "line 2: this key is named"),
            (format!("witness a {a}\ngroup g 2 a\nquorum g"), "line 2: a group needs"),
            (format!("witness a {a}\ngroup g 2 a a\nquorum g"), "line 2: a group needs"),
            (format!("witness a {a}\ngroup g any x\nquorum g"), "line 2: x is not named"),
            ("quorum x".into(), "line 1: x is not named"),
            ("witness a relay+x+y\nquorum a".into(), "line 1: this is not"),
            ("log relay+x+y\nquorum none".into(), "line 1: leave the log out"),
            ("quorum none\nquorum none".into(), "line 2: there is a quorum"),
        ] {
            let error = WitnessPolicy::parse(&text).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }
}
