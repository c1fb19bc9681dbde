//! The inspection of one artifact: its kind, that a text is plain text, and what its format's reader finds.

use std::io::{self, BufRead, Read as _};

use md5::Digest as _;

use super::recognise::recognise;
use super::seen::extension;
use super::text::{TextCheck, TextState};
use super::{FormatReader, rules_archive};
use crate::budget::{BudgetReader, TimeBudget};
use crate::finding::Finding;
use crate::kind::{HEAD, Kind};
use crate::notes::{Items, Notes};
use crate::source::{ReadTap, drain};
use base::Reason;

/// Reads all of the artifact at `path`, and tells what its bytes show. `items` takes the records of its items as they
/// come. Errors: those of `from`.
pub fn inspect(path: &str, from: &mut dyn BufRead, items: Items<'_>) -> io::Result<Finding> {
    look(path, from, &mut Notes::new(items))
}

/// Reads an artifact of a bundle with this budget. Error `TimedOut`: the budget is used up.
pub(crate) fn inspect_within(
    budget: TimeBudget,
    path: &str,
    from: &mut dyn BufRead,
    items: Items<'_>,
) -> io::Result<Finding> {
    look(path, from, &mut Notes::new(items).within(budget))
}

/// The same with notes of its own.
pub(crate) fn look(path: &str, from: &mut dyn BufRead, notes: &mut Notes<'_>) -> io::Result<Finding> {
    let (mut finding, _) = read(path, from, notes, FormatReader::of)?;
    finding.members = notes.kinds.iter().copied().collect();
    finding.database = notes.database.filter(|_| finding.kind == Ok(Kind::ClamavCvd));
    notes.hand_over();
    Ok(finding)
}

/// A file in an archive, in which there is no other.
fn member(path: &str, from: &mut dyn BufRead, notes: &mut Notes<'_>) -> io::Result<(Finding, TextState)> {
    read(
        path,
        from,
        notes,
        |kind| if kind == Kind::RulesArchive { FormatReader::Nothing } else { FormatReader::of(kind) },
    )
}

fn read(
    path: &str,
    from: &mut dyn BufRead,
    notes: &mut Notes<'_>,
    reader: fn(Kind) -> FormatReader,
) -> io::Result<(Finding, TextState)> {
    // Rules and archives of them get an MD5 beside them, since that is what suricata-update asks for.
    let mut md5 = matches!(extension(path).as_str(), "rules" | "gz" | "tgz" | "zip").then(md5::Md5::new);
    let mut from = BudgetReader::new(from, notes.budget());
    let (mut text, mut head) = (TextCheck::default(), Vec::new());
    (&mut from).take(HEAD as u64).read_to_end(&mut head)?;
    text.take(&head);
    // What makes it another kind later, a character that no text has, keeps the artifact back, and what was found
    // counts for nothing.
    let reader = recognise(path, &head, text.state_so_far()).map_or(FormatReader::Nothing, reader);
    if let Some(md5) = &mut md5 {
        md5.update(&head);
    }
    let mut rest = ReadTap::new(&mut from, |bytes: &[u8]| {
        text.take(bytes);
        if let Some(md5) = &mut md5 {
            md5.update(bytes);
        }
    });
    let mut source = head.as_slice().chain(&mut rest);
    let (read, flaws) = notes.aside(|notes| match reader {
        FormatReader::Nothing => Ok(()),
        FormatReader::Reads(read) => read(&mut source, notes),
        FormatReader::Files => rules_archive::read(&mut source, member, notes),
    });
    read?;
    drain(&mut rest)?;
    let kind = recognise(path, &head, text.state());
    let finding = Finding {
        line: match kind {
            Err((Reason::TextControl | Reason::TextEncoding, _)) => text.fault_line(),
            Err((_, line)) => line,
            Ok(_) => None,
        },
        flaws: if kind.is_ok() { flaws } else { Vec::new() },
        kind: kind.map_err(|(reason, _)| reason),
        database: None,
        md5: md5.map(|md5| data_encoding::HEXLOWER.encode(&md5.finalize())),
        members: Vec::new(),
    };
    Ok((finding, text.state()))
}

/// Flaws of an artifact of this kind with these bytes.
#[cfg(test)]
pub(crate) fn flaws_of(kind: Kind, mut bytes: &[u8]) -> Vec<crate::flaw::Flaw> {
    let mut notes = Notes::default();
    let read = match FormatReader::of(kind) {
        FormatReader::Nothing => Ok(()),
        FormatReader::Reads(read) => read(&mut bytes, &mut notes),
        FormatReader::Files => rules_archive::read(&mut bytes, member, &mut notes),
    };
    read.unwrap();
    notes.into_flaws()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flaw::Flaw;
    use crate::source::tests::InPieces;

    /// Text whose piece, or head, ends in the middle of a character is read as a text all the same.
    #[test]
    fn a_character_that_is_cut_hides_nothing() {
        let rule = "alert ip any any -> any any (lua:x; sid:1;)\n";
        for from in [HEAD - 4, HEAD - 3, HEAD - 2, (256 << 10) - 3, (256 << 10) - 2] {
            let comment = "# c\n".repeat(from / 4 - 2);
            let text = format!("{comment}# {}\u{1f600}\n{rule}", "x".repeat(from - comment.len() - 2));
            for piece in [7, HEAD, 256 << 10, usize::MAX] {
                let found = inspect("x.rules", &mut InPieces(text.as_bytes(), piece), &mut |_| {}).unwrap();
                let reasons: Vec<Reason> = found.flaws.iter().map(|Flaw { reason, .. }| *reason).collect();
                assert_eq!((found.kind, reasons.as_slice()), (Ok(Kind::SuricataRules), &[Reason::RuleRunsCode][..]));
            }
        }
    }
}
