//! Verdicts: exactly one for each artifact, kept with the release.

use serde::{Deserialize, Serialize};

use crate::finding::{DatabaseHeader, Finding};
use crate::flaw::Flaw;
use crate::kind::Kind;
use base::{Digest, Reason, quoted};
use bundle::Artifact;

/// Decision of inspection.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum VerdictKind {
    /// Passed whole.
    Cleared,
    /// Passed without the lines that may not pass.
    Stripped,
    /// Kept back whole.
    Withheld,
}

impl VerdictKind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cleared => "cleared",
            Self::Stripped => "stripped",
            Self::Withheld => "withheld",
        }
    }
}

/// Bytes that are left without what was left out. The publisher signed the whole artifact and not this rest, so the
/// rest has a digest of its own. Of an archive, a new archive of the files that are left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::manual_non_exhaustive, reason = "made in this module alone, not in this crate alone")]
pub struct Stripped {
    /// Length in bytes.
    pub size: u64,
    /// SHA-256.
    pub sha256: Digest,
    /// Lines that were left out.
    pub dropped: Vec<Dropped>,
    #[serde(skip)]
    made: (),
}

/// A line, or a rule of several lines, that was left out: one entry for each reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::manual_non_exhaustive, reason = "made in this module alone, not in this crate alone")]
pub struct Dropped {
    /// The line at fault, in the artifact as it came, counted from 1.
    pub line: u64,
    /// Why.
    pub reason: Reason,
    /// Name of the file in the archive that the line is in. With line 1, the whole file may have been left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    #[serde(skip)]
    made: (),
}

/// Verdict of inspection about one artifact, with its reason.
// Made by inspection, or read from the state to be shown: one that was read cannot be stored again, since only an
// `Examined` is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::manual_non_exhaustive, reason = "made in this module alone, not in this crate alone")]
pub struct Verdict {
    /// The artifact's path in the manifest.
    pub path: String,
    /// Length in bytes.
    pub size: u64,
    /// SHA-256.
    pub sha256: Digest,
    /// The kind that the manifest declares.
    pub declared: String,
    /// The kind that its bytes show, if it is one we know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Kind>,
    /// Cleared, stripped or withheld.
    pub decision: VerdictKind,
    /// Why it was withheld, or stripped: the first reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The first line at fault, counted from 1, where the format has lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Name of the file in the archive that the line is in; or the fault of the archive as a whole, or the feed that
    /// the artifact's name belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// Name of the policy's rule that decided; absent where the policy has no rule about the reason. `opaque-by-digest`
    /// or `opaque-by-signer` where the bytes are of no known kind, and the feed takes them all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Bytes that are served in its place, if it was stripped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripped: Option<Box<Stripped>>,
    /// Header of a ClamAV database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseHeader>,
    /// MD5 of a rule file, for the side file that suricata-update reads; no trust rests on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
    #[serde(skip)]
    made: (),
}

impl Verdict {
    /// Clears `artifact`, whose bytes show this.
    pub(super) fn cleared(artifact: &Artifact, finding: &Finding) -> Self {
        Self {
            decision: VerdictKind::Cleared,
            path: artifact.path.clone(),
            size: artifact.size,
            sha256: artifact.sha256,
            declared: artifact.kind.clone(),
            shown: finding.kind.ok(),
            reason: None,
            line: None,
            member: None,
            rule: None,
            stripped: None,
            database: finding.database,
            md5: finding.md5.clone(),
            made: (),
        }
    }

    /// Why it was withheld or stripped, and where: the code and the line; empty if it was cleared.
    pub fn why(&self) -> String {
        let member = self.member.as_deref().map(|member| format!(", {}", quoted(member))).unwrap_or_default();
        let line = match (self.line, self.reason) {
            (None, _) | (_, Some(Reason::ArchiveForm)) => member,
            (Some(line), _) => format!("{member}, line {line}"),
        };
        let more = self.stripped.as_ref().map_or(0, |stripped| stripped.places().len().saturating_sub(1));
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        self.reason.map(|reason| format!("{reason}{line}{more}")).unwrap_or_default()
    }

    /// True for a ClamAV database that is older than the one that is served.
    pub fn goes_back(&self, served: &Self) -> bool {
        self.database.zip(served.database).is_some_and(|(new, served)| new.version < served.version)
    }

    /// Digest and length of what is kept and served; `None`: nothing is.
    pub fn kept(&self) -> Option<(Digest, u64)> {
        match (self.decision, &self.stripped) {
            (VerdictKind::Cleared, _) => Some((self.sha256, self.size)),
            (VerdictKind::Stripped, Some(stripped)) => Some((stripped.sha256, stripped.size)),
            _ => None,
        }
    }
}

impl Stripped {
    /// Without these flaws. What the new bytes are is told by whoever makes them.
    pub(super) fn without(flaws: Vec<Flaw>) -> Self {
        let dropped = |flaw: Flaw| Dropped { line: flaw.line, reason: flaw.reason, member: flaw.member, made: () };
        let dropped = flaws.into_iter().map(dropped).collect();
        Self { size: 0, sha256: Digest([0; 32]), dropped, made: () }
    }

    /// The lines that were left out, each once, in order, with the file of an archive that they are in.
    pub fn places(&self) -> Vec<(Option<&str>, u64)> {
        let mut places: Vec<_> = self.dropped.iter().map(|dropped| (dropped.member.as_deref(), dropped.line)).collect();
        places.sort_unstable();
        places.dedup();
        places
    }
}

/// Number of artifacts by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Passed whole.
    pub cleared: u64,
    /// Passed with lines dropped.
    pub stripped: u64,
    /// Kept back whole.
    pub withheld: u64,
}

impl Counts {
    /// Counts `verdicts`.
    pub fn of(verdicts: &[Verdict]) -> Self {
        let mut counts = Self::default();
        for verdict in verdicts {
            match verdict.decision {
                VerdictKind::Cleared => counts.cleared += 1,
                VerdictKind::Stripped => counts.stripped += 1,
                VerdictKind::Withheld => counts.withheld += 1,
            }
        }
        counts
    }

    /// True if everything passed whole.
    pub fn is_clean(self) -> bool {
        self.stripped == 0 && self.withheld == 0
    }
}
