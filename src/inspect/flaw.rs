//! What is wrong with an artifact's content, where its format is looked into: facts, by reason and line.

use serde::{Deserialize, Serialize};

use base::Reason;

/// Something that may not pass, unless the policy permits it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flaw {
    /// What it is.
    pub reason: Reason,
    /// The line that has it, counted from 1.
    pub line: u64,
    /// The whole lines without which it is gone; none where only the whole artifact can be kept back.
    pub span: Option<Span>,
    /// The file of an archive that has it, or what is wrong with the archive; at most 255 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
}

/// Whole lines, with their ends: where they begin and how long they are, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// From the beginning of the artifact.
    pub from: u64,
    /// At least 1.
    pub size: u64,
}

impl Span {
    /// The first byte after it.
    pub fn end(self) -> u64 {
        self.from.saturating_add(self.size)
    }
}

/// What is to be left out: whole lines, of an artifact or of a file in an archive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// The file of an archive.
    pub member: Option<String>,
    /// The lines.
    pub span: Span,
}

/// What is to be left out so that these are gone: in order, each line once.
pub fn cuts(flaws: &[Flaw]) -> Vec<Cut> {
    let cut = |flaw: &Flaw| flaw.span.map(|span| Cut { member: flaw.member.clone(), span });
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

/// Those that are about an artifact as a whole.
const WHOLE: [Reason; 5] =
    [Reason::RuleCarriesFile, Reason::RuleBytecode, Reason::ArchiveForm, Reason::TextControl, Reason::InspectionLimit];

/// Whether lines can be left out for it, or a file of an archive.
pub fn can_be_stripped(reason: Reason) -> bool {
    CONTENT.contains(&reason) && !WHOLE.contains(&reason)
}

/// Those that a policy may permit; the others never pass.
pub const PERMITTABLE: [Reason; 7] = [
    Reason::RuleKeyword,
    Reason::RuleUsesFiles,
    Reason::RuleActsOnTraffic,
    Reason::RuleWeakensDetection,
    Reason::RuleModule,
    Reason::RuleCostly,
    Reason::RuleBytecode,
];

/// Most flaws of one reason that are told of one artifact; one more is told without lines to leave out.
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
    pub fn add(&mut self, reason: Reason, line: u64, span: Option<Span>, member: Option<&str>) {
        let place = CONTENT.iter().position(|known| *known == reason).unwrap_or_default();
        let Some(count) = self.counts.get_mut(place) else { return };
        *count += 1;
        if *count <= MOST + 1 {
            let span = span.filter(|_| *count <= MOST);
            self.found.push(Flaw { reason, line, span, member: member.map(str::to_owned) });
        }
    }

    /// All of them.
    pub fn into_vec(self) -> Vec<Flaw> {
        self.found
    }
}
