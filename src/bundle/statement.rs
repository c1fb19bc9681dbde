//! An officer's statement: lines that say what is decided about which bytes, at which relay, and until when it may be
//! handed in. See `schemas/statement.md`.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::officer::{check_officer, signer};
use super::scope::{Fields, Scope};
use crate::keyring::{Key, RawKey};
use crate::paths::is_invisible;
use crate::{Keyring, ReleaseId, Right};
use base::name::{self, is_name};
use base::{Digest, Reason, Refusal, Timestamp, quoted};

/// The first line: no other kind of statement begins so, and no manifest does.
pub const FORMAT: &str = "gaprelay-approval/2";
/// The first line in the former format, of statements that were taken before.
const FORMER: &str = "gaprelay-approval/1";
/// Longest statement, in bytes.
pub const LONGEST: usize = 16_384;
/// Most releases of one statement.
const MOST: usize = 32;

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

/// Release that a statement decides about, as it was when the statement was printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Release.
    pub release: ReleaseId,
    /// Digest of its manifest.
    pub manifest: Digest,
    /// Digest of its verdicts.
    pub verdicts: Digest,
    /// Digest of what it changes against what is served when it is signed.
    pub changes: Digest,
    /// Loss for agents by an approval, in words, where that is more than the feed lets pass unseen.
    pub effect: Option<String>,
}

/// Content of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Scope: relay and time; none in the former format, in which no statement is taken any more.
    pub scope: Option<Scope>,
    /// Releases that are decided about, at least one, each once.
    pub subjects: Vec<Subject>,
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
        match &self.scope {
            Some(scope) => writeln!(f, "{FORMAT}\nrelay {}", scope.relay)?,
            None => writeln!(f, "{FORMER}")?,
        }
        for Subject { release, manifest, verdicts, changes, effect } in &self.subjects {
            writeln!(f, "release {release}\nmanifest sha256:{manifest}\nverdicts sha256:{verdicts}")?;
            writeln!(f, "changes sha256:{changes}")?;
            effect.iter().try_for_each(|effect| writeln!(f, "effect {effect}"))?;
        }
        match &self.ticket {
            Some(Ticket { incident, until }) => {
                writeln!(f, "decision {} incident {incident} until {until}", self.decision.word())?;
            }
            None => writeln!(f, "decision {}", self.decision.word())?,
        }
        writeln!(f, "officer {}", self.officer)?;
        self.scope.iter().try_for_each(|scope| scope.write_times(f))?;
        writeln!(f, "reason {}", self.reason)
    }
}

impl Statement {
    /// The same, if it can be read again from its text: what we print must be what we read. Refusal:
    /// `statement-malformed`.
    pub fn checked(self) -> Result<Self, Refusal> {
        Self::parse(self.to_string().as_bytes())
    }

    /// Reads a statement that is handed in. Refusal: `statement-malformed`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let malformed = |what: &str| Refusal::new(Reason::StatementMalformed, what);
        let Some(mut fields) = Fields::of(bytes, FORMAT, LONGEST)? else {
            return Err(malformed(if bytes.starts_with(FORMER.as_bytes()) {
                "the statement is of the former form gaprelay-approval/1, which names no relay and no end: print it again here"
            } else {
                "the first line of the statement is not gaprelay-approval/2"
            }));
        };
        let relay = fields.take("relay")?.to_owned();
        let mut subjects = vec![subject(&mut fields)?];
        while fields.is_next("release") {
            subjects.push(subject(&mut fields)?);
        }
        let names: BTreeSet<&ReleaseId> = subjects.iter().map(|it| &it.release).collect();
        if names.len() < subjects.len() || subjects.len() > MOST {
            return Err(malformed("the statement names a release twice, or more than 32 releases"));
        }
        let (decision, ticket) = decided(&mut fields)?;
        let lets_pass = matches!(decision, Decision::Approve | Decision::Downgrade);
        if !lets_pass && subjects.iter().any(|subject| subject.effect.is_some()) {
            return Err(malformed("a line \"effect\" is one of an approval or a downgrade"));
        }
        let (scope, officer, reason) = fields.end(relay)?;
        let statement = Self { scope: Some(scope), subjects, decision, ticket, officer, reason };
        Fields::check_text(bytes, &statement.to_string())?;
        Ok(statement)
    }

    /// Reads a statement that was taken before, in the present format or the former. Refusal: `statement-malformed`.
    pub fn parse_taken(bytes: &[u8]) -> Result<Self, Refusal> {
        let Some(mut fields) = Fields::of(bytes, FORMER, LONGEST)? else { return Self::parse(bytes) };
        let subjects = vec![subject(&mut fields)?];
        let (decision, ticket) = decided(&mut fields)?;
        let (officer, reason) = (fields.take("officer")?.to_owned(), fields.take("reason")?.to_owned());
        check_who_and_why(&officer, &reason)?;
        let statement = Self { scope: None, subjects, decision, ticket, officer, reason };
        Fields::check_text(bytes, &statement.to_string())?;
        Ok(statement)
    }

    /// Part of the statement about a release, if it decides about that.
    pub fn subject(&self, release: &ReleaseId) -> Option<&Subject> {
        self.subjects.iter().find(|subject| subject.release == *release)
    }

    /// Proves who signed `bytes`, and that this officer may decide on these releases; gives the raw
    /// key. Refusals: `signature-*`, `key-*`, `statement-signer`, `statement-right`.
    pub fn verify(&self, bytes: &[u8], signature: &[u8], keyring: &Keyring, now: Timestamp) -> Result<RawKey, Refusal> {
        let signer = signer((bytes, signature), keyring)?;
        self.check_signer(signer, keyring, now)?;
        Ok(signer.1)
    }

    /// Checks that the officer may decide so with this key now. Refusals: `key-*`, `statement-signer`,
    /// `statement-right`.
    pub fn check_signer(&self, signer: (&Key, RawKey), keyring: &Keyring, now: Timestamp) -> Result<(), Refusal> {
        let right = match self.decision {
            Decision::Approve => Right::Approve,
            Decision::Refuse | Decision::Withdraw => Right::Deny,
            Decision::Downgrade => Right::Waive,
        };
        check_officer(&self.officer, right, signer, keyring, now)?;
        let (key, _) = signer;
        match self.subjects.iter().find(|subject| !key.is_for(&subject.release.feed)) {
            None => Ok(()),
            Some(subject) => {
                let detail = format!("the key of {} may not decide on feed {}", key.name, subject.release.feed);
                Err(Refusal::new(Reason::StatementSigner, detail))
            }
        }
    }
}

/// Reads the lines about one release.
fn subject(fields: &mut Fields<'_>) -> Result<Subject, Refusal> {
    let release = fields.take("release")?.parse().map_err(|cause: &str| fields.wrong(0, cause))?;
    let (manifest, verdicts) = (fields.digest("manifest")?, fields.digest("verdicts")?);
    let (changes, effect) = (fields.digest("changes")?, fields.take_if("effect").map(str::to_owned));
    let is_plain = |text: &String| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if effect.as_ref().is_some_and(|text| !is_plain(text)) {
        return Err(fields.wrong(0, "the effect is not a line of plain text"));
    }
    Ok(Subject { release, manifest, verdicts, changes, effect })
}

/// Reads the line of the decision.
fn decided(fields: &mut Fields<'_>) -> Result<(Decision, Option<Ticket>), Refusal> {
    match fields.take("decision")?.split(' ').collect::<Vec<_>>()[..] {
        ["approve"] => Ok((Decision::Approve, None)),
        ["refuse"] => Ok((Decision::Refuse, None)),
        ["withdraw"] => Ok((Decision::Withdraw, None)),
        ["downgrade", "incident", incident, "until", until] => {
            let until = until.parse::<Timestamp>().map_err(|cause| fields.wrong(0, cause))?;
            let ticket = Ticket { incident: incident.to_owned(), until };
            if ticket.is_sound() {
                Ok((Decision::Downgrade, Some(ticket)))
            } else {
                Err(fields.wrong(0, "the incident's number is not 1 to 64 visible ASCII characters"))
            }
        }
        _ => {
            let cause = "the decision is not approve, refuse, withdraw, or downgrade incident NUMBER until TIME";
            Err(fields.wrong(0, cause))
        }
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

    fn text(release: &str, decision: &str) -> String {
        let digest = Digest::of(b"");
        let lines =
            format!("release {release}\nmanifest sha256:{digest}\nverdicts sha256:{digest}\nchanges sha256:{digest}\n");
        let effect = "effect removes 3 of 4 items\n";
        format!(
            "{FORMAT}\nrelay r/import/1\n{lines}{effect}{}decision {decision}\nofficer j.doe\nissued 2026-11-26T09:00:00Z\nuntil 2026-11-28T09:00:00Z\nreason routine\n",
            lines.replace(release, "other/1")
        )
    }

    #[test]
    fn one_form_only() {
        let good = text("a-b/7", "approve");
        assert_eq!(Statement::parse(good.as_bytes()).unwrap().to_string(), good);
        let ticket = text("a-b/7", "downgrade incident INC-7 until 2026-12-01T00:00:00Z");
        assert_eq!(Statement::parse(ticket.as_bytes()).unwrap().to_string(), ticket);
        for (from, to) in [
            ("approve\n", "Approve\n"),
            ("\n", "\r\n"),
            ("a-b/7", "a-b/07"),
            ("a-b/7", "../7"),
            ("a-b/7", "other/1"),
            ("relay r/import/1\n", ""),
            ("effect removes", "effect \u{202e}removes"),
            ("until 2026-11-28", "until 2026-11-25"),
            ("until 2026-11-28", "until 2027-11-28"),
            ("until 2026-11-28T09:00:00Z\n", ""),
            ("issued 2026-11-26", "issued yesterday"),
            ("reason routine\n", "reason \n"),
            ("reason routine\n", "reason routine"),
            ("reason routine\n", "reason routine\nmore\n"),
            ("routine", "\u{202e}enituor"),
            ("approval/2", "approval/3"),
            ("approval/2", "approval/1"),
            ("j.doe", "j doe"),
            ("approve\n", "downgrade\n"),
            ("approve\n", "downgrade incident \u{e9} until 2026-12-01T00:00:00Z\n"),
            ("approve\n", "downgrade incident 7 until tomorrow\n"),
            ("approve\n", "approve incident 7 until 2026-12-01T00:00:00Z\n"),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good);
            assert_eq!(Statement::parse(bad.as_bytes()).unwrap_err().reason, Reason::StatementMalformed, "{to:?}");
        }
    }

    /// Statements of the former format can be read, and are not taken any more.
    #[test]
    fn the_former_form_is_read_and_not_taken() {
        let former = format!(
            "{FORMER}\nrelease a-b/7\nmanifest sha256:{0}\nverdicts sha256:{0}\nchanges sha256:{0}\ndecision approve\nofficer j.doe\nreason routine\n",
            Digest::of(b"")
        );
        assert_eq!(Statement::parse_taken(former.as_bytes()).unwrap().to_string(), former);
        assert!(Statement::parse(former.as_bytes()).unwrap_err().detail.contains("former form"));
    }
}
