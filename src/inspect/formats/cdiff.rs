//! Increments of ClamAV's database containers: a script that makes one version of a database from the one before.
//! Source: `cdiff.c` of ClamAV (in `common/`, before 1.0 in `shared/`), and increments that the vendor signed. In
//! scope: the form, the script's commands, which files it edits. The vendor signed it as a whole: the lines that it
//! adds are not judged one by one, as those of a container are not. Out of scope: its signature, and whether the
//! database comes out that the container beside it is.
//!
//! ```text
//! ClamAV-Diff:VERSION:SIZE:    SIZE bytes of script
//! gzip of the script           OPEN FILE … CLOSE around ADD LINE, DEL N START, XCHG N START LINE;
//!                              MOVE FROM TO N START N START; UNLINK FILE
//! :SIGNATURE
//! ```

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use super::clamav;
use super::lines::{self, Grammar, TextLine};
use super::seen::extension;
use super::text::{TextCheck, TextState};
use crate::archive::Wrong;
use crate::archive::inflate::Inflate;
use crate::flaw::FlawPart;
use crate::notes::Notes;
use crate::source::{ReadTap, drain, read_most};
use base::Reason;

/// Longest increment, in bytes: a tenth of the largest database, of which it is a day's difference.
const LONGEST: u64 = 32 << 20;
/// Longest script, in bytes.
const LONGEST_SCRIPT: u64 = 512 << 20;
/// Longest line of a script: two of a database's, and a command.
const LONGEST_LINE: usize = 66_000;
/// Longest signature, in bytes.
const LONGEST_SIGNATURE: usize = 1024;
/// Bytes inflated at a time.
const PIECE: usize = 64 << 10;
/// First bytes of an increment.
const BEGIN: &[u8; 12] = b"ClamAV-Diff:";

/// Faults of an increment's parts.
const NO_HEADER: Wrong = "the header of the increment is not of the form ClamAV-Diff:VERSION:SIZE:";
const TOO_LONG: Wrong = "the script of the increment is longer than 512 MiB";
const NO_SIGNATURE: Wrong = "no signature of the known form follows the script of the increment";

/// Reads an increment.
pub fn read(source: &mut dyn BufRead, notes: &mut Notes<'_>) -> io::Result<()> {
    let mut size = 0;
    let mut counted = ReadTap::new(source, |bytes: &[u8]| size += bytes.len());
    let mut limited = BufReader::with_capacity(PIECE, (&mut counted).take(LONGEST + 1));
    let (told, flaws) = notes.aside(|notes| parts(&mut limited, notes));
    let told = told?;
    drain(&mut limited)?;
    if size as u64 > LONGEST {
        notes.flaw(Reason::RuleTooLong, 1, FlawPart::Whole);
        return Ok(());
    }
    // Where a line stands in the script is no place in the file: nothing can be left out of it.
    for flaw in flaws {
        notes.flaw(flaw.reason, flaw.line, FlawPart::Whole);
    }
    if let Err(wrong) = told {
        notes.form(wrong);
    }
    Ok(())
}

/// Length of the script by its header; none if this is not a header.
fn header(source: &mut dyn BufRead) -> io::Result<Option<u64>> {
    let mut begin = [0; BEGIN.len()];
    let mut filled = 0;
    while let Some(rest) = begin.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest)? {
            0 => return Ok(None),
            got => filled += got,
        }
    }
    if begin != *BEGIN {
        return Ok(None);
    }
    let version = number(source)?;
    Ok(if version.is_some() { number(source)? } else { None })
}

/// Digits up to a colon, at most nineteen.
fn number(source: &mut dyn BufRead) -> io::Result<Option<u64>> {
    let mut digits = Vec::new();
    source.take(20).read_until(b':', &mut digits)?;
    let Some(digits) = digits.strip_suffix(b":") else { return Ok(None) };
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    Ok(str::from_utf8(digits).ok().filter(|_| is_number).and_then(|digits| digits.parse().ok()))
}

/// Header, script and signature.
fn parts(source: &mut dyn BufRead, notes: &mut Notes<'_>) -> io::Result<Result<(), Wrong>> {
    let Some(size) = header(source)? else { return Ok(Err(NO_HEADER)) };
    if size > LONGEST_SCRIPT {
        return Ok(Err(TOO_LONG));
    }
    let mut inflating = Inflate::gzip(source);
    let script = script(&mut inflating, size, notes)?;
    if notes.was_over() || script.is_err() {
        return Ok(script);
    }
    let behind = read_most(inflating.get_mut(), LONGEST_SIGNATURE + 1)?;
    let is_signature = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    Ok(match behind.as_slice() {
        [b':', signature @ ..]
            if (1..=LONGEST_SIGNATURE).contains(&signature.len()) && signature.iter().all(is_signature) =>
        {
            Ok(())
        }
        _ => Err(NO_SIGNATURE),
    })
}

/// The script, of so many bytes.
fn script<R: BufRead>(inflating: &mut Inflate<R>, size: u64, notes: &mut Notes<'_>) -> io::Result<Result<(), Wrong>> {
    let mut text = TextCheck::default();
    let mut exact = Exact { inflating, left: size, wrong: None };
    let mut unpacked = BufReader::with_capacity(PIECE, &mut exact);
    let mut seen = ReadTap::new(&mut unpacked, |bytes: &[u8]| text.take(bytes));
    let read = lines::read(&mut seen, &mut Script::default(), notes);
    if let Some(wrong) = exact.wrong {
        return Ok(Err(wrong));
    }
    read?;
    // A line that is no text is passed over as a line.
    let is_text = notes.was_over() || text.state() == TextState::Plain;
    Ok(if is_text { Ok(()) } else { Err("the script of the increment is not plain text") })
}

/// Inflates exactly so many bytes, and fails where there are others: a line that is cut is none.
struct Exact<'a, R> {
    inflating: &'a mut Inflate<R>,
    left: u64,
    wrong: Option<Wrong>,
}

impl<R: BufRead> Read for Exact<'_, R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        // One byte more shows whether it ends where it should.
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).clamp(1, to.len().max(1));
        let got = self.inflating.read(to.get_mut(..most).unwrap_or_default())?;
        self.wrong = match (got as u64, self.inflating.ended()) {
            (0, Err(wrong)) => Some(wrong),
            (0, Ok(())) if self.left > 0 => Some("the script of the increment is shorter than the header says"),
            (got, _) if got > self.left => Some("the script of the increment is longer than the header says"),
            _ => None,
        };
        self.left = self.left.saturating_sub(got as u64);
        self.wrong.map_or(Ok(got), |wrong| Err(io::Error::new(ErrorKind::InvalidData, wrong)))
    }
}

/// The script, line by line.
#[derive(Default)]
struct Script {
    is_open: bool,
}

impl Script {
    /// Checks that the line is a command that may stand here; gives the files that it names.
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

    fn line(&mut self, line: &TextLine<'_>, notes: &mut Notes<'_>) {
        if line.text.starts_with('#') {
            return;
        }
        let Some(named) = self.command(line.text) else {
            return notes.flaw(Reason::RuleSyntax, line.number, FlawPart::Whole);
        };
        for name in named {
            let extension = extension(name);
            if extension == "cbc" {
                // A program for the engine's interpreter.
                notes.flaw(Reason::RuleBytecode, line.number, FlawPart::Whole);
            } else if !clamav::may_stand(name, &extension) {
                notes.flaw(Reason::ArchiveMember, line.number, FlawPart::Whole);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::formats::flaws_of;
    use crate::kind::Kind;

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
            assert!(flaws_of(Kind::ClamavCdiff, &bytes).iter().all(|flaw| flaw.part == FlawPart::Whole), "{script}");
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
        for (bytes, wrong) in [
            (packed(&latin, latin.len(), ":abc"), "the script of the increment is not plain text"),
            (packed("OPEN a.hdb\nADD \x1b[2J\nCLOSE\n", 26, ":abc"), "the script of the increment is not plain text"),
            (packed(script, 3, ":abc"), "the script of the increment is longer than the header says"),
            (packed(script, 30, ":abc"), "the script of the increment is shorter than the header says"),
            (packed(script, 1 << 40, ":abc"), TOO_LONG),
            (packed(script, script.len(), ""), NO_SIGNATURE),
            (packed(script, script.len(), ":"), NO_SIGNATURE),
            (packed(script, script.len(), ":a\nb"), NO_SIGNATURE),
            (packed(script, script.len(), "\x1f:abc"), NO_SIGNATURE),
            (whole[..whole.len() - 12].to_vec(), "the gzip data is cut short"),
            (b"ClamAV-Diff:x:1:".to_vec(), NO_HEADER),
            (b"ClamAV-Diff:1:18446744073709551616:".to_vec(), NO_HEADER),
        ] {
            assert_eq!(found(&bytes), form(wrong));
        }
    }
}
