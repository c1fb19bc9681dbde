//! Archives of rules as vendors ship them (`emerging.rules.tar.gz`): each file in it is inspected as if it had come by
//! itself. In scope: what `archive` reads.

use std::collections::BTreeSet;
use std::io::{self, BufRead};

use super::seen::{FirstBytes, extension, is_archive as is_packed};
use super::text::TextState;
use super::whole;
use crate::archive::inflate::Inflate;
use crate::archive::tar::{End, Tar};
use crate::archive::zip::{self, Zip};
use crate::archive::{Archive, ArchiveMember, Wrong};
use crate::background::beside;
use crate::budget::BudgetReader;
use crate::cut::ByteSpan;
use crate::finding::Finding;
use crate::flaw::{Flaw, FlawPart};
use crate::kind::Kind;
use crate::notes::Notes;
use base::Reason;

/// Fault of an archive without a file that counts.
const NOTHING: Wrong = "the archive holds no file that an engine loads";

/// Inspects a file of an archive, at this path.
pub type Inspect = fn(&str, &mut dyn BufRead, &mut Notes<'_>) -> io::Result<(Finding, TextState)>;

/// By its name, and its first bytes.
pub fn is_archive(seen: &FirstBytes<'_>) -> bool {
    is_packed(seen.path, seen.head)
}

/// Kinds that stand in an archive; not another archive, nor a container that is signed as a whole.
fn may_stand(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::RulesArchive
            | Kind::ClamavCvd
            | Kind::ClamavCdiff
            | Kind::ClamavSign
            | Kind::GaprelayEndpoints
            | Kind::TufMetadata
    )
}

/// Texts for people, and lists that an engine reads only where its configuration says so.
fn is_for_people(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    !file.contains('.') || matches!(extension(file).as_str(), "txt" | "md")
}

/// Reads an archive, and has `inspect` look at each file of it.
pub fn read(source: &mut dyn BufRead, inspect: Inspect, notes: &mut Notes<'_>) -> io::Result<()> {
    let mut contents = ArchiveContents { inspect, kinds: BTreeSet::new() };
    let read = if source.fill_buf()?.starts_with(b"PK") {
        let Some(bytes) = whole::read(source, zip::LONGEST, notes)? else { return Ok(()) };
        match Zip::new(&bytes) {
            Err(wrong) => Err(wrong),
            Ok(mut zip) => {
                contents.read(&mut zip, notes)?;
                zip.finish()
            }
        }
    } else {
        let mut inflating = BudgetReader::new(Inflate::gzip(source), notes.budget());
        let tar = beside(&mut inflating, None, |unpacked| contents.read_tar(unpacked, notes))?;
        inflating.into_inner().finish()?.and(tar)
    };
    let is_empty = contents.kinds.is_empty();
    notes.kinds.extend(contents.kinds);
    if let Err(wrong) = read.and(if is_empty { Err(NOTHING) } else { Ok(()) }) {
        notes.form(wrong);
    }
    Ok(())
}

/// The files that were read.
struct ArchiveContents {
    inspect: Inspect,
    kinds: BTreeSet<Kind>,
}

impl ArchiveContents {
    fn read_tar(&mut self, unpacked: &mut dyn BufRead, notes: &mut Notes<'_>) -> io::Result<Result<(), Wrong>> {
        let mut tar = Tar::new(unpacked, End::Marked);
        self.read(&mut tar, notes)?;
        Ok(tar.finish())
    }

    fn read(&mut self, mut archive: &mut dyn Archive, notes: &mut Notes<'_>) -> io::Result<()> {
        while let Some(member) = archive.next_file()? {
            if notes.budget().is_some_and(|budget| budget.is_used_up()) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            // The time is the archive's, whatever each file takes of it.
            if notes.is_over(1) {
                continue;
            }
            let (inspected, _) = notes.aside(|notes| (self.inspect)(&member.name, &mut archive, notes));
            let (finding, state) = inspected?;
            // A file that is cut or damaged is told of as the archive's flaw.
            if archive.close()? {
                self.note(&member, finding, state, notes);
            }
        }
        Ok(())
    }

    fn note(&mut self, member: &ArchiveMember, found: Finding, state: TextState, notes: &mut Notes<'_>) {
        // Where no lines of a file can be left out, the file can.
        let size = member.size;
        let whole = if size > 0 { FlawPart::Member(ByteSpan { from: 0, size }) } else { FlawPart::Whole };
        notes.enter(Some(&member.name));
        match found.kind {
            Err(Reason::RuleSubmits) => notes.flaw(Reason::RuleSubmits, found.line.unwrap_or(1), whole),
            _ if is_for_people(&member.name) && matches!(state, TextState::Plain) => {}
            Ok(kind) if may_stand(kind) => drop(self.kinds.insert(kind)),
            Ok(_) => notes.flaw(Reason::ArchiveMember, 1, whole),
            // An empty file is one that a vendor has nothing for today.
            Err(Reason::ContentEmpty) => {}
            Err(Reason::TextControl) => notes.flaw(Reason::TextControl, found.line.unwrap_or(1), FlawPart::Whole),
            Err(_) => notes.flaw(Reason::ArchiveMember, found.line.unwrap_or(1), whole),
        }
        for Flaw { reason, line, part, .. } in found.flaws {
            let part = match part {
                FlawPart::Line(_) | FlawPart::Rule(_) => part,
                // The time, and the room for items, are the archive's.
                _ if reason == Reason::InspectionLimit => FlawPart::Whole,
                _ => whole,
            };
            notes.flaw(reason, line, part);
        }
        notes.enter(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::tests::{gzip, tar, zip as zipped};
    use crate::flaw::Flaw;
    use crate::formats::inspect;
    use crate::source::tests::InPieces;
    use bundle::payload::ustar;

    fn flaws(bytes: &[u8]) -> Vec<(Reason, u64, String)> {
        let read = |piece: usize| {
            let path = if bytes.starts_with(b"PK") { "x.ZIP" } else { "x.rules.tar.gz" };
            inspect(path, &mut InPieces(bytes, piece), &mut |_| {}).unwrap()
        };
        let found = read(bytes.len());
        assert_eq!(found, read(7));
        assert_eq!(found.kind, Ok(Kind::RulesArchive));
        let told = |flaw: Flaw| (flaw.reason, flaw.line, flaw.member.unwrap_or_default());
        found.flaws.into_iter().map(told).collect()
    }

    const GOOD: &[u8] = b"alert tcp any any -> any any (sid:1;)\n";

    #[test]
    fn each_file_is_inspected_and_nothing_is_hidden() {
        let good = tar(&[("rules/a.rules", GOOD), ("rules/LICENSE", b"free\n"), ("rules/b.rules", b"")]);
        assert_eq!(flaws(&gzip(&good)), []);
        assert_eq!(flaws(&zipped(&[("rules/a.rules", GOOD), ("rules/LICENSE", b"free\n"), ("b.rules", b"")])), []);
        let one = |name: &str, bytes: &[u8]| {
            let (tarred, zipped) = (
                flaws(&gzip(&tar(&[("a.rules", GOOD), (name, bytes)]))),
                flaws(&zipped(&[("a.rules", GOOD), (name, bytes)])),
            );
            assert_eq!(tarred, zipped);
            zipped
        };
        let told = |reason, line, name: &str| vec![(reason, line, name.to_owned())];
        let lua = [GOOD, b"alert tcp any any -> any any (lua:x; sid:2;)\n"].concat();
        assert_eq!(one("b.rules", &lua), told(Reason::RuleRunsCode, 2, "b.rules"));
        assert_eq!(one("x.lua", b"function init() end\n"), told(Reason::ArchiveMember, 1, "x.lua"));
        assert_eq!(one("x.tar.gz", &gzip(&good)), told(Reason::ArchiveMember, 1, "x.tar.gz"));
        assert_eq!(flaws(&gzip(&tar(&[("README", b"x\n")]))), told(Reason::ArchiveForm, 1, NOTHING));
        assert_eq!(one("readme.txt", b"\x7fELF"), told(Reason::ArchiveMember, 1, "readme.txt"));
        for (bytes, wrong) in [
            (gzip(&tar(&[("a.rules", GOOD), ("A.rules", GOOD)])), "two files of the archive have the same name"),
            (gzip(&tar(&[("a", b"x\n"), ("a/b.rules", GOOD)])), "one name in the archive is both a file and a folder"),
            (gzip(&tar(&[("../a.rules", GOOD)])), "a name in the archive is empty or absolute"),
            ([gzip(&good), gzip(&good)].concat(), "bytes follow the end of the gzip data"),
            ([gzip(&good), b"x".to_vec()].concat(), "bytes follow the end of the gzip data"),
            (gzip(&good)[..gzip(&good).len() - 4].to_vec(), "the gzip data is cut short"),
            (gzip(&good[..good.len() - 600]), "the tar archive is cut short"),
            (gzip(&good[..good.len() - 1024]), "the tar archive has no end mark"),
            (
                gzip(&[good.clone(), GOOD.to_vec(), vec![0; 512 - GOOD.len()]].concat()),
                "bytes follow the end mark of the tar archive",
            ),
            (gzip(&vec![0; 200 << 20]), "the archive unpacks to more than 200 times its size"),
        ] {
            let (reason, _, last) = flaws(&bytes).pop().unwrap();
            assert!(reason == Reason::ArchiveForm && last.starts_with(wrong), "{wrong}: {last}");
        }
        for (at, byte, wrong) in
            [(156, b'2', "the archive holds a link"), (156, b'x', "the archive uses PAX extensions")]
        {
            let mut changed = good.clone();
            changed[at] = byte;
            let block: [u8; 512] = changed[..512].try_into().unwrap();
            changed[148..156].copy_from_slice(
                format!("{:06o}\0 ", ustar::checksum(tar::Header::from_byte_slice(&block))).as_bytes(),
            );
            assert_eq!(flaws(&gzip(&changed)), told(Reason::ArchiveForm, 1, wrong));
        }
        let mut changed = good.clone();
        changed[0] = b'x';
        assert_eq!(flaws(&gzip(&changed)), told(Reason::ArchiveForm, 1, "the checksum of a tar header is wrong"));
    }
}
