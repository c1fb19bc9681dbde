//! Flaws of an artifact's content, found by its format's reader: facts, by reason and line.

use serde::{Deserialize, Serialize};

use super::cut::{ByteSpan, Cut};
use base::Reason;

/// Something that may not pass, unless the policy permits it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flaw {
    /// Reason code of the flaw.
    pub reason: Reason,
    /// The line that has it, counted from 1.
    pub line: u64,
    /// The smallest part without which it is gone.
    pub part: FlawPart,
    /// The file of an archive that has it, or what is wrong with the archive; at most 255 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
}

impl Flaw {
    /// The whole lines, or the file of an archive, that are left out today; none where the whole artifact is kept back:
    /// of JSON no object is left out yet.
    pub fn span(&self) -> Option<ByteSpan> {
        match self.part {
            FlawPart::Line(span) | FlawPart::Rule(span) | FlawPart::Member(span) => Some(span),
            FlawPart::Object(_) | FlawPart::Whole => None,
        }
    }
}

/// The smallest part of an artifact that can be left out so that a flaw is gone, and where it lies: in the artifact, or
/// in the file of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlawPart {
    /// A line, with its end.
    Line(ByteSpan),
    /// A rule of several lines, all of them whole.
    Rule(ByteSpan),
    /// An object of JSON, from its brace to its brace.
    Object(ByteSpan),
    /// A file of an archive, all of it.
    Member(ByteSpan),
    /// Nothing less than the artifact.
    Whole,
}

impl FlawPart {
    /// Sort of the part.
    pub fn unit(self) -> Unit {
        match self {
            Self::Line(_) => Unit::Line,
            Self::Rule(_) => Unit::Rule,
            Self::Object(_) => Unit::Object,
            Self::Member(_) => Unit::Member,
            Self::Whole => Unit::Whole,
        }
    }

    /// Bytes of the part.
    pub fn span(self) -> Option<ByteSpan> {
        match self {
            Self::Line(span) | Self::Rule(span) | Self::Object(span) | Self::Member(span) => Some(span),
            Self::Whole => None,
        }
    }
}

/// Smallest part of a format that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A line.
    Line,
    /// A rule.
    Rule,
    /// An object of JSON.
    Object,
    /// A file of an archive.
    Member,
    /// The whole artifact.
    Whole,
}

impl Unit {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Rule => "rule",
            Self::Object => "object",
            Self::Member => "file in the archive",
            Self::Whole => "whole file",
        }
    }
}

/// Parts to be left out so that these flaws are gone: in order, each line once.
pub fn cuts(flaws: &[Flaw]) -> Vec<Cut> {
    let cut = |flaw: &Flaw| flaw.span().map(|span| Cut { member: flaw.member.clone(), span });
    let mut all: Vec<Cut> = flaws.iter().filter_map(cut).collect();
    all.sort_unstable();
    all.dedup_by(|next, last| {
        let is_inside = next.member == last.member && next.span.from < last.span.end();
        if is_inside {
            last.span.size = last.span.end().max(next.span.end()) - last.span.from;
        }
        is_inside
    });
    all
}

/// All reasons that there can be.
pub const CONTENT: [Reason; 17] = [
    Reason::RuleSyntax,
    Reason::RuleTooLong,
    Reason::RuleKeyword,
    Reason::RuleRunsCode,
    Reason::RuleUsesFiles,
    Reason::RuleActsOnTraffic,
    Reason::RuleWeakensDetection,
    Reason::RuleDuplicate,
    Reason::RuleModule,
    Reason::RuleCostly,
    Reason::RuleSubmits,
    Reason::RuleCarriesFile,
    Reason::RuleBytecode,
    Reason::ArchiveForm,
    Reason::ArchiveMember,
    Reason::TextControl,
    Reason::InspectionLimit,
];

/// Reasons that are about an artifact as a whole.
const WHOLE: [Reason; 5] =
    [Reason::RuleCarriesFile, Reason::RuleBytecode, Reason::ArchiveForm, Reason::TextControl, Reason::InspectionLimit];

/// True if lines, or a file of an archive, can be left out for it.
pub fn can_be_stripped(reason: Reason) -> bool {
    CONTENT.contains(&reason) && !WHOLE.contains(&reason)
}

/// Reasons that a policy may permit; the others never pass.
pub const PERMITTABLE: [Reason; 7] = [
    Reason::RuleKeyword,
    Reason::RuleUsesFiles,
    Reason::RuleActsOnTraffic,
    Reason::RuleWeakensDetection,
    Reason::RuleModule,
    Reason::RuleCostly,
    Reason::RuleBytecode,
];

/// Most flaws of one reason that are told of one artifact; one more is told of the whole.
const MOST: usize = 10_000;

/// Most flaws of one artifact.
pub const MOST_IN_ALL: usize = (MOST + 1) * CONTENT.len();

/// Flaws as they are found, in lines that rise.
#[derive(Clone, Debug, Default)]
pub struct Flaws {
    found: Vec<Flaw>,
    counts: [usize; CONTENT.len()],
}

impl Flaws {
    /// One more.
    pub fn add(&mut self, reason: Reason, line: u64, part: FlawPart, member: Option<&str>) {
        let place = CONTENT.iter().position(|known| *known == reason).unwrap_or_default();
        let Some(count) = self.counts.get_mut(place) else { return };
        *count += 1;
        if *count <= MOST + 1 {
            let part = if *count <= MOST { part } else { FlawPart::Whole };
            self.found.push(Flaw { reason, line, part, member: member.map(str::to_owned) });
        }
    }

    /// All of them.
    pub fn into_vec(self) -> Vec<Flaw> {
        self.found
    }
}
