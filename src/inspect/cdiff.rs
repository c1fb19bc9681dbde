//! Increments of ClamAV's database containers: a script that makes one version of a database from the one before. Source:
//! `cdiff.c` of ClamAV (in `common/`, before 1.0 in `shared/`), and increments that the vendor signed. In scope: the
//! form, the script's commands, which files it edits. The vendor signed it as a whole: the lines that it adds are not
//! judged one by one, as those of a container are not. Out of scope: its signature, and whether the database comes out
//! that the container beside it is.
//!
//! ```text
//! ClamAV-Diff:VERSION:SIZE:    SIZE bytes of script
//! gzip of the script           OPEN FILE … CLOSE around ADD LINE, DEL N START, XCHG N START LINE;
//!                              MOVE FROM TO N START N START; UNLINK FILE
//! :SIGNATURE
//! ```

use std::io::{Cursor, Read as _};

use flate2::bufread::GzDecoder;

use super::lines::{Grammar, Line, Lines};
use super::notes::Notes;
use super::text::{State, Text};
use super::whole::Whole;
use super::{clamav, kind};
use base::Reason;

/// Longest increment, in bytes: a tenth of the largest database, of which it is a day's difference.
const LONGEST: usize = 32 << 20;
/// Longest script, in bytes.
const LONGEST_SCRIPT: u64 = 512 << 20;
/// Longest line of a script: two of a database's, and a command.
const LONGEST_LINE: usize = 66_000;
/// Bytes inflated at a time.
const PIECE: usize = 64 << 10;

/// Follows an increment.
pub struct Reading(Whole);

impl Default for Reading {
    fn default() -> Self {
        Self(Whole::new(LONGEST))
    }
}

impl Reading {
    /// Takes the next bytes in.
    pub fn take(&mut self, bytes: &[u8]) {
        self.0.take(bytes);
    }

    /// What was found in all of it.
    pub fn finish(self, notes: &mut Notes) {
        let Some(bytes) = self.0.finish(notes) else { return };
        let mut inner = Notes::default();
        let told = read(&bytes, &mut inner);
        // Where a line stands in the script is no place in the file: nothing can be left out of it.
        for flaw in inner.into_flaws().into_vec() {
            notes.flaw(flaw.reason, flaw.line, None);
        }
        if let Err(wrong) = told {
            notes.enter(Some(wrong));
            notes.flaw(Reason::ArchiveForm, 1, None);
            notes.enter(None);
        }
    }
}

/// How long its header says that its script is, and what stands behind the header.
fn header(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (_, rest) = number(bytes.strip_prefix(b"ClamAV-Diff:")?)?;
    number(rest)
}

/// Digits up to a colon, and what stands behind it.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let at = bytes.iter().take(20).position(|byte| *byte == b':')?;
    let (digits, rest) = bytes.split_at_checked(at)?;
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let number = str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()?;
    Some((number, rest.get(1..)?))
}

fn read(bytes: &[u8], notes: &mut Notes) -> Result<(), &'static str> {
    let (size, packed) = header(bytes).ok_or("its header is of no known form")?;
    if size > LONGEST_SCRIPT {
        return Err("its script is too long");
    }
    let mut inflating = GzDecoder::new(Cursor::new(packed));
    let (mut lines, mut text) = (Lines::new(Script::default()), Text::default());
    let (mut left, mut piece) = (size, vec![0; PIECE]);
    loop {
        let got = inflating.read(&mut piece).map_err(|_| "its script cannot be inflated")?;
        let Some(inflated) = piece.get(..got).filter(|inflated| !inflated.is_empty()) else { break };
        left = left.checked_sub(got as u64).ok_or("its script is longer than its header says")?;
        text.take(inflated);
        lines.take(inflated, notes);
        if notes.is_over(1) {
            return Ok(());
        }
    }
    if left > 0 {
        return Err("its script is shorter than its header says");
    }
    lines.finish(notes);
    // A line that is no text is passed over as a line.
    if text.state() != State::Plain {
        return Err("its script is no plain text");
    }
    let packed = inflating.into_inner();
    let at = usize::try_from(packed.position()).unwrap_or(usize::MAX);
    let is_signature = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    match packed.into_inner().get(at..) {
        Some([b':', signature @ ..]) if (1..=1024).contains(&signature.len()) && signature.iter().all(is_signature) => {
            Ok(())
        }
        _ => Err("what stands behind its script is no signature"),
    }
}

/// The script, line by line.
#[derive(Default)]
struct Script {
    is_open: bool,
}

impl Script {
    /// Whether the line is a command that may stand here, and the files that it names.
    fn command<'a>(&mut self, text: &'a str) -> Option<Vec<&'a str>> {
        let (command, rest) = text.split_once(' ').unwrap_or((text, ""));
        let mut fields = rest.split(' ');
        let is_number = |text: Option<&str>| {
            text.is_some_and(|text| (1..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()))
        };
        let is_text = |text: Option<&str>| text.is_some_and(|text| !text.is_empty());
        let (is_good, opens, named) = match command {
            "OPEN" => (!self.is_open, true, vec![rest]),
            "CLOSE" => (self.is_open && rest.is_empty(), false, Vec::new()),
            "ADD" => (self.is_open && !rest.is_empty(), true, Vec::new()),
            "DEL" => (self.is_open && is_number(fields.next()) && is_text(fields.next()), true, Vec::new()),
            "XCHG" => {
                let is_whole = is_number(fields.next()) && is_text(fields.next()) && is_text(fields.next());
                (self.is_open && is_whole, true, Vec::new())
            }
            "MOVE" => {
                let named: Vec<&str> = fields.by_ref().take(2).collect();
                let is_whole = named.len() == 2
                    && is_number(fields.next())
                    && is_text(fields.next())
                    && is_number(fields.next())
                    && is_text(fields.next());
                (!self.is_open && is_whole, false, named)
            }
            "UNLINK" => (!self.is_open, false, vec![rest]),
            _ => return None,
        };
        self.is_open = opens;
        (is_good && named.iter().all(|name| is_file(name))).then_some(named)
    }
}

/// A file's name, and no path: the engine opens it in its own folder.
fn is_file(name: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    (1..=64).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(is_plain)
}

impl Grammar for Script {
    fn longest(&self) -> usize {
        LONGEST_LINE
    }

    fn line(&mut self, line: &Line<'_>, notes: &mut Notes) {
        if line.text.starts_with('#') {
            return;
        }
        let Some(named) = self.command(line.text) else {
            return notes.flaw(Reason::RuleSyntax, line.number, None);
        };
        for name in named {
            let extension = kind::extension(name);
            if extension == "cbc" {
                // A program for the engine's interpreter.
                notes.flaw(Reason::RuleBytecode, line.number, None);
            } else if !clamav::may_stand(name, &extension) {
                notes.flaw(Reason::ArchiveMember, line.number, None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use crate::cdiff::*;
    use crate::{Kind, flaws_of};

    fn packed(script: impl AsRef<[u8]>, size: usize, behind: &str) -> Vec<u8> {
        let mut packing = GzEncoder::new(Vec::new(), Compression::fast());
        packing.write_all(script.as_ref()).unwrap();
        [format!("ClamAV-Diff:7:{size}:").as_bytes(), &packing.finish().unwrap(), behind.as_bytes()].concat()
    }

    fn found(bytes: &[u8]) -> Vec<(Reason, u64, Option<String>)> {
        flaws_of(Kind::ClamavCdiff, bytes).into_iter().map(|flaw| (flaw.reason, flaw.line, flaw.member)).collect()
    }

    fn of(script: &str) -> Vec<(Reason, u64, Option<String>)> {
        found(&packed(script, script.len(), ":abc+/Z9"))
    }

    #[test]
    fn commands_of_a_script_and_what_is_none() {
        let good = "# made\nOPEN daily.hdb\nADD d41d8cd98f00b204e9800998ecf8427e:68:A b\nDEL 7 d41d8\nXCHG 3 a:1 b:2\nCLOSE\n\
                    MOVE daily.hdb daily.hsb 1 aa 2 bb\nUNLINK daily.fp\nOPEN daily.info\nCLOSE\n";
        assert_eq!(of(good), []);
        for (script, reason, line) in [
            ("ADD x\n", Reason::RuleSyntax, 1),
            ("OPEN a.hdb\nOPEN b.hdb\n", Reason::RuleSyntax, 2),
            ("OPEN a.hdb\nDEL x y\n", Reason::RuleSyntax, 2),
            ("OPEN a.hdb\nXCHG 1 a\n", Reason::RuleSyntax, 2),
            ("OPEN a.hdb\nCLOSE now\n", Reason::RuleSyntax, 2),
            ("CLOSE\n", Reason::RuleSyntax, 1),
            ("EXEC /bin/sh\n", Reason::RuleSyntax, 1),
            ("OPEN ../../etc/freshclam.hdb\n", Reason::RuleSyntax, 1),
            ("UNLINK /etc/passwd\n", Reason::RuleSyntax, 1),
            ("MOVE a.hdb ../b.hdb 1 a 2 b\n", Reason::RuleSyntax, 1),
            ("OPEN a.cbc\nADD ClamBC\n", Reason::RuleBytecode, 1),
            ("MOVE a.hdb a.cbc 1 a 2 b\n", Reason::RuleBytecode, 1),
            ("OPEN freshclam.conf\n", Reason::ArchiveMember, 1),
            ("UNLINK mirrors.dat\n", Reason::ArchiveMember, 1),
            ("OPEN a.hdb\nADD a\rUNLINK b.hdb\nCLOSE\n", Reason::RuleSyntax, 2),
            (&format!("OPEN a.hdb\nADD {}\nCLOSE\n", "x".repeat(LONGEST_LINE)), Reason::RuleTooLong, 2),
        ] {
            assert_eq!(of(script), [(reason, line, None)], "{script}");
            let bytes = packed(script, script.len(), ":abc+/Z9");
            assert!(flaws_of(Kind::ClamavCdiff, &bytes).iter().all(|flaw| flaw.span.is_none()), "{script}");
        }
    }

    #[test]
    fn it_is_of_one_form() {
        let script = "OPEN a.hdb\nCLOSE\n";
        let whole = packed(script, script.len(), ":abc");
        assert_eq!(found(&whole), []);
        let form = |wrong: &str| [(Reason::ArchiveForm, 1, Some(wrong.to_owned()))];
        let latin = script.replace("CLOSE", "UNLINK é");
        let latin = latin.chars().map(|c| u8::try_from(c).unwrap()).collect::<Vec<_>>();
        let behind = "what stands behind its script is no signature";
        for (bytes, wrong) in [
            (packed(&latin, latin.len(), ":abc"), "its script is no plain text"),
            (packed("OPEN a.hdb\nADD \x1b[2J\nCLOSE\n", 26, ":abc"), "its script is no plain text"),
            (packed(script, 3, ":abc"), "its script is longer than its header says"),
            (packed(script, 30, ":abc"), "its script is shorter than its header says"),
            (packed(script, 1 << 40, ":abc"), "its script is too long"),
            (packed(script, script.len(), ""), behind),
            (packed(script, script.len(), ":"), behind),
            (packed(script, script.len(), ":a\nb"), behind),
            (packed(script, script.len(), "\x1f:abc"), behind),
            (whole[..whole.len() - 12].to_vec(), "its script cannot be inflated"),
            (b"ClamAV-Diff:x:1:".to_vec(), "its header is of no known form"),
            (b"ClamAV-Diff:1:18446744073709551616:".to_vec(), "its header is of no known form"),
        ] {
            assert_eq!(found(&bytes), form(wrong));
        }
    }
}
