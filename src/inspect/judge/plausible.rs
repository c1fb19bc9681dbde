//! Plausibility of findings: could an honest examiner say so? A finding is trusted no more than a stranger's.

use crate::finding::Finding;
use crate::flaw::{CONTENT, Flaw, MOST_IN_ALL, Unit};
use crate::formats::format;
use crate::kind::Kind;

impl Finding {
    /// True if an honest examiner could say so.
    pub fn is_plausible(&self) -> bool {
        let hex = |text: &String| text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        self.md5.as_ref().is_none_or(hex)
            && (self.database.is_none() || self.kind == Ok(Kind::ClamavCvd))
            && self.flaws.len() <= MOST_IN_ALL
            && self.flaws.iter().all(|flaw| self.kind.is_ok_and(|kind| is_plausible(flaw, kind)))
    }
}

/// True if an artifact of this kind can have this.
fn is_plausible(flaw: &Flaw, kind: Kind) -> bool {
    let is_archive = kind == Kind::RulesArchive;
    let unit = format(kind).map_or(Unit::Whole, |format| format.unit);
    let is_part = match flaw.part.unit() {
        Unit::Whole => true,
        // Of an archive a file, or what a file in it can have.
        Unit::Line | Unit::Rule | Unit::Member if is_archive => flaw.member.is_some(),
        part => part == unit,
    };
    let is_somewhere = flaw.part.span().is_none_or(|span| span.size > 0 && span.from.checked_add(span.size).is_some());
    let is_named = flaw.member.as_ref().is_none_or(|member| member.len() <= 255);
    CONTENT.contains(&flaw.reason) && flaw.line > 0 && is_part && is_somewhere && is_named
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cut::ByteSpan;
    use crate::flaw::FlawPart;
    use base::Reason;

    #[test]
    fn a_part_is_one_that_its_kind_has() {
        let span = ByteSpan { from: 3, size: 4 };
        let parts = [
            FlawPart::Line(span),
            FlawPart::Rule(span),
            FlawPart::Object(span),
            FlawPart::Member(span),
            FlawPart::Whole,
        ];
        let plausible = |kind, member: Option<&str>| {
            parts.map(|part| {
                let flaw = Flaw { reason: Reason::RuleSyntax, line: 1, part, member: member.map(str::to_owned) };
                is_plausible(&flaw, kind)
            })
        };
        assert_eq!(plausible(Kind::SuricataRules, None), [true, false, false, false, true]);
        assert_eq!(plausible(Kind::YaraSource, None), [false, true, false, false, true]);
        assert_eq!(plausible(Kind::StixJson, None), [false, false, true, false, true]);
        assert_eq!(plausible(Kind::ClamavCvd, Some("a.ndb")), [false, false, false, false, true]);
        assert_eq!(plausible(Kind::RulesArchive, Some("a.rules")), [true, true, false, true, true]);
        assert_eq!(plausible(Kind::RulesArchive, None), [false, false, false, false, true]);
        let flaw = |reason, line, span, member: usize| Flaw {
            reason,
            line,
            part: FlawPart::Line(span),
            member: Some("x".repeat(member)),
        };
        let is = |flaw| is_plausible(&flaw, Kind::SuricataRules);
        assert!(is(flaw(Reason::RuleSyntax, 1, span, 255)));
        assert!(!is(flaw(Reason::VersionRollback, 1, span, 1)));
        assert!(!is(flaw(Reason::RuleSyntax, 0, span, 1)));
        assert!(!is(flaw(Reason::RuleSyntax, 1, ByteSpan { from: 3, size: 0 }, 1)));
        assert!(!is(flaw(Reason::RuleSyntax, 1, ByteSpan { from: 3, size: u64::MAX }, 1)));
        assert!(!is(flaw(Reason::RuleSyntax, 1, span, 256)));
    }
}
