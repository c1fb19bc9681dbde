//! Formats made of lines: each line is read by itself, so leaving one out changes no other.

use std::io::{self, BufRead};

use super::submission::submits;
use crate::cut::ByteSpan;
use crate::flaw::FlawPart;
use crate::notes::Notes;
use base::Reason;

/// A line, without its end.
#[derive(Clone, Copy, Debug)]
pub struct TextLine<'a> {
    /// Text, without blanks around it.
    pub text: &'a str,
    /// True if there were blanks around it, which some readers take for a part of it.
    pub is_padded: bool,
    /// Counted from 1.
    pub number: u64,
    /// The whole line, with its end.
    pub span: ByteSpan,
}

impl TextLine<'_> {
    /// Notes that this line may not pass. One that is of no form here may be of one that is known.
    pub fn flaw(&self, reason: Reason, notes: &mut Notes<'_>) {
        let submits = reason == Reason::RuleSyntax && submits(self.text);
        notes.flaw(if submits { Reason::RuleSubmits } else { reason }, self.number, FlawPart::Line(self.span));
    }
}

/// Reader of a format's lines.
pub trait Grammar {
    /// Longest line with its end, in bytes.
    fn longest(&self) -> usize;

    /// A line that is not empty, not too long, and has no lone carriage return.
    fn line(&mut self, line: &TextLine<'_>, notes: &mut Notes<'_>);
}

/// Reads each line of it by this grammar.
pub fn read(source: &mut dyn BufRead, grammar: &mut dyn Grammar, notes: &mut Notes<'_>) -> io::Result<()> {
    let mut lines = LineReader { grammar, cut: Vec::new(), number: 0, offset: 0, size: 0 };
    while !notes.was_over() {
        let bytes = source.fill_buf()?;
        if bytes.is_empty() {
            lines.finish(notes);
            break;
        }
        lines.take(bytes, notes);
        let size = bytes.len();
        source.consume(size);
    }
    Ok(())
}

/// Position of the reader.
struct LineReader<'a> {
    grammar: &'a mut dyn Grammar,
    /// The beginning of a line that was cut by the end of the last piece.
    cut: Vec<u8>,
    number: u64,
    offset: u64,
    /// Bytes of the line at hand, kept or not.
    size: u64,
}

impl LineReader<'_> {
    /// The next bytes, wherever they are cut.
    fn take(&mut self, bytes: &[u8], notes: &mut Notes<'_>) {
        let whole = memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1);
        let (whole, rest) = bytes.split_at_checked(whole).unwrap_or_default();
        // Looked at once for all of its lines, which are many and short.
        let text = simdutf8::basic::from_utf8(whole).ok();
        let has_return = memchr::memchr(b'\r', whole).is_some();
        let mut begin = 0;
        for at in memchr::memchr_iter(b'\n', whole) {
            let line = whole.get(begin..=at).unwrap_or_default();
            if self.size == 0 {
                self.size = line.len() as u64;
                match text.and_then(|text| text.get(begin..at)) {
                    Some(text) => self.end(text, has_return, notes),
                    None => self.end_bytes(line, notes),
                }
            } else {
                self.keep(line);
                let cut = std::mem::take(&mut self.cut);
                self.end_bytes(&cut, notes);
            }
            begin = at + 1;
        }
        self.keep(rest);
    }

    /// The last line, where it has no end.
    fn finish(&mut self, notes: &mut Notes<'_>) {
        if self.size > 0 {
            let cut = std::mem::take(&mut self.cut);
            self.end_bytes(&cut, notes);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.grammar.longest().saturating_sub(self.cut.len());
        self.size += bytes.len() as u64;
        self.cut.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// Ends a line of these bytes.
    fn end_bytes(&mut self, bytes: &[u8], notes: &mut Notes<'_>) {
        let whole = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        // What is no UTF-8 has been told of as such, for the artifact as a whole.
        self.end(simdutf8::basic::from_utf8(whole).unwrap_or_default(), true, notes);
    }

    /// Ends a line of this text, without its line feed; with `has_return` there may be a carriage return in it.
    fn end(&mut self, text: &str, has_return: bool, notes: &mut Notes<'_>) {
        self.number += 1;
        let span = ByteSpan { from: self.offset, size: std::mem::take(&mut self.size) };
        self.offset = span.end();
        if notes.is_over(self.number) {
            return;
        }
        let whole = if has_return { text.trim_end_matches('\r') } else { text };
        // Hardly any line has blanks around it: it is not looked through for them.
        let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t' | b'\r'));
        let is_padded = is_blank(whole.as_bytes().first()) || is_blank(whole.as_bytes().last());
        let text = if is_padded { whole.trim_matches([' ', '\t', '\r']) } else { whole };
        let line = TextLine { text, is_padded, number: self.number, span };
        if span.size > self.grammar.longest() as u64 {
            line.flaw(Reason::RuleTooLong, notes);
        } else if has_return && memchr::memchr(b'\r', text.as_bytes()).is_some() {
            // Some readers take it for the end of a line, and what follows for another one.
            line.flaw(Reason::RuleSyntax, notes);
        } else if !text.is_empty() {
            self.grammar.line(&line, notes);
        }
    }
}
