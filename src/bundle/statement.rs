//! An officer's statement: eight lines that say what is decided about which bytes. See
//! `schemas/statement.md`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::officer::signed_by;
use crate::keyring::RawKey;
use crate::paths::is_invisible;
use crate::{Keyring, ReleaseId, Right};
use base::name::{self, is_name};
use base::{Digest, Reason, Refusal, Timestamp, quoted};

/// The first line: no other kind of statement begins so, and no manifest does.
pub const FORMAT: &str = "gaprelay-approval/1";
/// Longest statement, in bytes.
pub const LONGEST: usize = 4096;

/// Decision of an officer about a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// The release may be published.
    Approve,
    /// The release must not be published; final.
    Refuse,
    /// The release must no longer be published; final.
    Withdraw,
    /// The release may be published although it goes back to older content, for a time: a downgrade ticket.
    Downgrade,
}

/// Downgrade ticket: its incident, and its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Number of the incident: 1 to 64 visible ASCII characters.
    pub incident: String,
    /// When content that goes forward again is due.
    pub until: Timestamp,
}

impl Ticket {
    /// True if the ticket is one that can be read again.
    fn is_sound(&self) -> bool {
        (1..=64).contains(&self.incident.len()) && self.incident.bytes().all(|b| b.is_ascii_graphic())
    }
}

impl Decision {
    /// Reads the word of a decision.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Approve, Self::Refuse, Self::Withdraw, Self::Downgrade].into_iter().find(|it| it.word() == word)
    }

    /// The word in the statement.
    pub fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Refuse => "refuse",
            Self::Withdraw => "withdraw",
            Self::Downgrade => "downgrade",
        }
    }
}

/// Content of the eight lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Release that is decided about.
    pub release: ReleaseId,
    /// Digest of its manifest.
    pub manifest: Digest,
    /// Digest of its verdicts.
    pub verdicts: Digest,
    /// Digest of what it changes against what is served when it is signed.
    pub changes: Digest,
    /// Decision.
    pub decision: Decision,
    /// Downgrade ticket; nothing for other decisions.
    pub ticket: Option<Ticket>,
    /// By whom: the name in the keyring.
    pub officer: String,
    /// Why; one line of at most 500 characters.
    pub reason: String,
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FORMAT}")?;
        writeln!(f, "release {}", self.release)?;
        writeln!(f, "manifest sha256:{}", self.manifest)?;
        writeln!(f, "verdicts sha256:{}", self.verdicts)?;
        writeln!(f, "changes sha256:{}", self.changes)?;
        match &self.ticket {
            Some(Ticket { incident, until }) => {
                writeln!(f, "decision {} incident {incident} until {until}", self.decision.word())?;
            }
            None => writeln!(f, "decision {}", self.decision.word())?,
        }
        writeln!(f, "officer {}", self.officer)?;
        writeln!(f, "reason {}", self.reason)
    }
}

impl Statement {
    /// The same, if it can be read again from its text: what we print must be what we read. Refusal:
    /// `statement-malformed`.
    pub fn checked(self) -> Result<Self, Refusal> {
        Self::parse(self.to_string().as_bytes())
    }

    /// Reads the eight lines. Refusal: `statement-malformed`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let malformed = |what: &str| Refusal::new(Reason::StatementMalformed, what);
        if bytes.len() > LONGEST {
            return Err(malformed("the statement is longer than 4096 bytes"));
        }
        let text = str::from_utf8(bytes).map_err(|_| malformed("the statement is not UTF-8"))?;
        if let Some(cause) = edited(text) {
            return Err(malformed(cause));
        }
        let lines: Vec<&str> = text.strip_suffix('\n').unwrap_or_default().split('\n').collect();
        let [FORMAT, release, manifest, verdicts, changes, decision, officer, reason] = lines[..] else {
            return Err(malformed(
                "the statement does not have exactly eight lines, of which the first is gaprelay-approval/1 and the last has a line end",
            ));
        };
        let wrong = |number: u8, cause: &str| malformed(&format!("line {number} of the statement: {cause}"));
        let field = |number: u8, line: &str, key: &str| {
            line.strip_prefix(key)
                .map(str::to_owned)
                .ok_or_else(|| malformed(&format!("line {number} of the statement does not begin with \"{key}\"")))
        };
        let digest =
            |number, line, key| field(number, line, key)?.parse::<Digest>().map_err(|cause| wrong(number, cause));
        let (decided, ticket) = match field(6, decision, "decision ")?.split(' ').collect::<Vec<_>>()[..] {
            ["approve"] => (Decision::Approve, None),
            ["refuse"] => (Decision::Refuse, None),
            ["withdraw"] => (Decision::Withdraw, None),
            ["downgrade", "incident", incident, "until", until] => {
                let until = until.parse::<Timestamp>().map_err(|cause| wrong(6, cause))?;
                let ticket = Ticket { incident: incident.to_owned(), until };
                if !ticket.is_sound() {
                    return Err(wrong(6, "the incident's number is not 1 to 64 visible ASCII characters"));
                }
                (Decision::Downgrade, Some(ticket))
            }
            _ => {
                return Err(wrong(
                    6,
                    "the decision is not approve, refuse, withdraw, or downgrade incident NUMBER until TIME",
                ));
            }
        };
        let statement = Self {
            release: field(2, release, "release ")?.parse::<ReleaseId>().map_err(|cause| wrong(2, cause))?,
            manifest: digest(3, manifest, "manifest sha256:")?,
            verdicts: digest(4, verdicts, "verdicts sha256:")?,
            changes: digest(5, changes, "changes sha256:")?,
            decision: decided,
            ticket,
            officer: field(7, officer, "officer ")?,
            reason: field(8, reason, "reason ")?,
        };
        check_who_and_why(&statement.officer, &statement.reason)?;
        if statement.to_string() == text {
            Ok(statement)
        } else {
            Err(malformed("the statement differs from the text that gaprelay prints for it"))
        }
    }

    /// Proves who signed `bytes`, and that this officer may decide on this release; gives the raw
    /// key. Refusals: `signature-*`, `key-*`, `statement-signer`, `statement-right`.
    pub fn verify(&self, bytes: &[u8], signature: &[u8], keyring: &Keyring, now: Timestamp) -> Result<RawKey, Refusal> {
        let right = match self.decision {
            Decision::Approve => Right::Approve,
            Decision::Refuse | Decision::Withdraw => Right::Deny,
            Decision::Downgrade => Right::Waive,
        };
        let (key, raw) = signed_by(&self.officer, right, (bytes, signature), keyring, now)?;
        if !key.is_for(&self.release.feed) {
            let detail = format!("the key of {} may not decide on feed {}", key.name, self.release.feed);
            return Err(Refusal::new(Reason::StatementSigner, detail));
        }
        Ok(raw)
    }
}

/// Cause, where an editor or another system has changed a text that was printed to be signed.
pub(crate) fn edited(text: &str) -> Option<&'static str> {
    if text.starts_with('\u{feff}') {
        return Some("the text begins with a byte order mark: an editor has saved it");
    }
    // Our own first line: a carriage return in a reason is another fault.
    let first = text.split('\n').next().unwrap_or_default();
    first.ends_with('\r').then_some("the lines of the text end as on Windows (CR LF): an editor has saved it")
}

/// Checks that an officer's name is one, and that the reason is a line to read. Refusal: `statement-malformed`.
pub fn check_who_and_why(officer: &str, reason: &str) -> Result<(), Refusal> {
    let malformed = |what: &str| Err(Refusal::new(Reason::StatementMalformed, what));
    let plain = |c: char| !c.is_control() && !is_invisible(c);
    if !is_name(officer) {
        return malformed(&format!("officer \"{}\" is not a name: {}", quoted(officer), name::RULE));
    }
    if reason.trim().is_empty() {
        return malformed("the reason is empty");
    }
    let length = reason.chars().count();
    if length > 500 {
        return malformed(&format!("the reason has {length} characters; at most 500 are allowed"));
    }
    if !reason.chars().all(plain) {
        return malformed("the reason has a control character or an invisible character");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_only() {
        let good = format!(
            "{FORMAT}\nrelease a-b/7\nmanifest sha256:{0}\nverdicts sha256:{0}\nchanges sha256:{0}\ndecision approve\nofficer j.doe\nreason routine\n",
            Digest::of(b"")
        );
        assert_eq!(Statement::parse(good.as_bytes()).unwrap().to_string(), good);
        let ticket = good.replace("approve\n", "downgrade incident INC-7 until 2026-12-01T00:00:00Z\n");
        assert_eq!(Statement::parse(ticket.as_bytes()).unwrap().to_string(), ticket);
        for (from, to) in [
            ("approve\n", "Approve\n"),
            ("\n", "\r\n"),
            ("a-b/7", "a-b/07"),
            ("a-b/7", "../7"),
            ("reason routine\n", "reason \n"),
            ("reason routine\n", "reason routine"),
            ("reason routine\n", "reason routine\nmore\n"),
            ("routine", "\u{202e}enituor"),
            ("approval/1", "approval/2"),
            ("j.doe", "j doe"),
            ("approve\n", "downgrade\n"),
            ("approve\n", "downgrade incident \u{e9} until 2026-12-01T00:00:00Z\n"),
            ("approve\n", "downgrade incident 7 until tomorrow\n"),
            ("approve\n", "approve incident 7 until 2026-12-01T00:00:00Z\n"),
        ] {
            let bad = good.replace(from, to);
            assert_eq!(Statement::parse(bad.as_bytes()).unwrap_err().reason, Reason::StatementMalformed, "{to:?}");
        }
    }
}
