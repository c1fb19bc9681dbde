//! Archives of rules as vendors ship them (`emerging.rules.tar.gz`): each file in it is inspected as if it had come by
//! itself. In scope: what [`crate::tar`] and [`crate::zip`] read.

use std::collections::BTreeSet;

use super::flaw::Span;
use super::kind::{self, Kind, Seen};
use super::notes::Notes;
use super::tar::{End, Members, Noting, Zipped};
use super::text::State;
use super::whole::Whole;
use super::{Inside, Look, zip};
use base::Reason;

/// By its name, and its first bytes.
pub fn is_archive(seen: &Seen<'_>) -> bool {
    kind::is_archive(seen.path, seen.head)
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
    !file.contains('.') || matches!(kind::extension(file).as_str(), "txt" | "md")
}

/// Follows an archive.
pub struct Reading {
    /// The first bytes, until they tell what it is.
    first: Vec<u8>,
    form: Form,
}

enum Form {
    Unknown,
    Tar(Box<Zipped<Contents>>),
    Zip(Whole),
}

impl Default for Reading {
    fn default() -> Self {
        Self { first: Vec::new(), form: Form::Unknown }
    }
}

/// The files, one at a time.
#[derive(Default)]
struct Contents {
    looking: Option<(String, u64, Box<Look>)>,
    kinds: BTreeSet<Kind>,
    notes: Notes,
}

impl Members for Contents {
    fn begin(&mut self, name: &str, size: u64) {
        // The time is the archive's, whatever each file takes of it.
        if self.notes.is_over(1) {
            return;
        }
        self.looking = Some((name.to_owned(), size, Box::new(Look::member(name))));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if self.notes.is_over(1) {
            self.looking = None;
        }
        if let Some((_, _, look)) = &mut self.looking {
            look.take(bytes);
            look.hand_items(&mut self.notes);
        }
    }

    fn end(&mut self) {
        let Some((name, size, mut look)) = self.looking.take() else { return };
        // Where no lines of a file can be left out, the file can.
        let whole = Some(Span { from: 0, size }).filter(|_| size > 0);
        look.finish();
        look.hand_items(&mut self.notes);
        let state = look.text.state();
        let found = look.finding();
        self.notes.enter(Some(&name));
        match found.kind {
            Err(Reason::RuleSubmits) => self.notes.flaw(Reason::RuleSubmits, found.line.unwrap_or(1), whole),
            _ if is_for_people(&name) && matches!(state, State::Plain) => {}
            Ok(kind) if may_stand(kind) => drop(self.kinds.insert(kind)),
            Ok(_) => self.notes.flaw(Reason::ArchiveMember, 1, whole),
            // An empty file is one that a vendor has nothing for today.
            Err(Reason::ContentEmpty) => {}
            Err(Reason::TextControl) => self.notes.flaw(Reason::TextControl, found.line.unwrap_or(1), None),
            Err(_) => self.notes.flaw(Reason::ArchiveMember, found.line.unwrap_or(1), whole),
        }
        for flaw in found.flaws {
            self.notes.flaw(flaw.reason, flaw.line, flaw.span.or(whole));
        }
        self.notes.enter(None);
    }
}

impl Noting for Contents {
    fn notes(&mut self) -> &mut Notes {
        &mut self.notes
    }
}

impl Reading {
    /// Takes the next bytes in.
    pub fn take(&mut self, bytes: &[u8], notes: &mut Notes) {
        match &mut self.form {
            Form::Unknown => {
                self.first.extend_from_slice(bytes);
                if self.first.len() >= 2 {
                    let is_zip = self.first.starts_with(b"PK");
                    let tar = || Form::Tar(Box::new(Zipped::new(Contents::default(), End::Marked)));
                    self.form = if is_zip { Form::Zip(Whole::new(zip::LONGEST)) } else { tar() };
                    let first = std::mem::take(&mut self.first);
                    self.take(&first, notes);
                }
            }
            Form::Tar(zipped) => zipped.take(bytes, notes),
            Form::Zip(whole) => whole.take(bytes),
        }
    }

    /// What was found in all of it.
    pub fn finish(self, notes: &mut Notes) {
        let (contents, read) = match self.form {
            Form::Unknown => (None, Err("it is cut")),
            Form::Tar(zipped) => zipped.finish(notes),
            Form::Zip(whole) => {
                let Some(bytes) = whole.finish(notes) else { return };
                let mut contents = Contents::default();
                let read = zip::read(&bytes, &mut contents);
                (Some(contents), read)
            }
        };
        let is_empty = contents.as_ref().is_none_or(|contents| contents.kinds.is_empty());
        let read = read.and(if is_empty { Err("nothing that an engine reads is in it") } else { Ok(()) });
        if let Some(contents) = contents {
            notes.absorb(contents.notes);
            notes.kinds.extend(contents.kinds);
        }
        if let Err(wrong) = read {
            notes.enter(Some(wrong));
            notes.flaw(Reason::ArchiveForm, 1, None);
            notes.enter(None);
        }
    }
}

impl Inside {
    /// What looks into an archive of rules.
    pub(super) fn archive() -> Self {
        Self::Archive(Reading::default())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::flaw::Flaw;
    use crate::zipping::tests::zip as zipped;
    use bundle::payload::ustar;

    pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, bytes) in files {
            out.extend_from_slice(&ustar::header(name, bytes.len() as u64).unwrap());
            out.extend_from_slice(bytes);
            out.resize(out.len().next_multiple_of(512), 0);
        }
        out.resize(out.len() + 1024, 0);
        out
    }

    pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    fn flaws(bytes: &[u8]) -> Vec<(Reason, u64, String)> {
        let read = |piece: usize| {
            let mut look = Look::new(if bytes.starts_with(b"PK") { "x.ZIP" } else { "x.rules.tar.gz" });
            bytes.chunks(piece).for_each(|piece| look.take(piece));
            look.finding()
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
        let empty = "nothing that an engine reads is in it";
        assert_eq!(flaws(&gzip(&tar(&[("README", b"x\n")]))), told(Reason::ArchiveForm, 1, empty));
        assert_eq!(one("readme.txt", b"\x7fELF"), told(Reason::ArchiveMember, 1, "readme.txt"));
        for (bytes, wrong) in [
            (gzip(&tar(&[("a.rules", GOOD), ("A.rules", GOOD)])), "two of its files have one name"),
            (gzip(&tar(&[("a", b"x\n"), ("a/b.rules", GOOD)])), "one of its files is a folder too"),
            (gzip(&tar(&[("../a.rules", GOOD)])), "a file's name is no plain path"),
            ([gzip(&good), gzip(&good)].concat(), "bytes stand behind its end"),
            ([gzip(&good), b"x".to_vec()].concat(), "bytes stand behind its end"),
            (gzip(&good)[..gzip(&good).len() - 4].to_vec(), "it is no gzip, or damaged"),
            (gzip(&good[..good.len() - 600]), "it is cut"),
            (
                gzip(&[good.clone(), GOOD.to_vec(), vec![0; 512 - GOOD.len()]].concat()),
                "something stands behind its end",
            ),
            (gzip(&vec![0; 200 << 20]), "far more comes out of it than went in"),
        ] {
            assert_eq!(flaws(&bytes).last(), told(Reason::ArchiveForm, 1, wrong).last(), "{wrong}");
        }
        for (at, byte, wrong) in [
            (156, b'2', "it holds a link, a device or an extended header"),
            (156, b'x', "it holds a link, a device or an extended header"),
        ] {
            let mut changed = good.clone();
            changed[at] = byte;
            let block: [u8; 512] = changed[..512].try_into().unwrap();
            changed[148..156].copy_from_slice(format!("{:06o}\0 ", ustar::checksum(&block)).as_bytes());
            assert_eq!(flaws(&gzip(&changed)), told(Reason::ArchiveForm, 1, wrong));
        }
        let mut changed = good.clone();
        changed[0] = b'x';
        assert_eq!(flaws(&gzip(&changed)), told(Reason::ArchiveForm, 1, "a header's checksum is wrong"));
    }
}
