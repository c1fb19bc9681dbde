//! Scope and lines of officers' signed texts: lines of a key and a value in one form only, and a scope, which is the
//! relay where a text counts and the time in which it may be handed in.

use std::fmt;
use std::time::Duration;

use base::{Digest, Reason, Refusal, Timestamp, quoted};

use crate::statement::{check_who_and_why, edited};

/// Time in which a text may be handed in, unless another is asked for.
pub const USUAL: Duration = Duration::from_hours(48);
/// The longest that may be asked for.
pub const LONGEST: Duration = Duration::from_hours(31 * 24);

/// Relay where a text counts, and the time in which it may be handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Origin of the relay's import log.
    pub relay: String,
    /// When the text was printed.
    pub issued: Timestamp,
    /// When it no longer counts, if it was not handed in before.
    pub until: Timestamp,
}

impl Scope {
    /// Scope of a text that is printed at `issued`, to be handed in within `valid_for`.
    pub fn new(relay: &str, issued: Timestamp, valid_for: Duration) -> Self {
        Self { relay: relay.to_owned(), issued, until: issued.plus(valid_for) }
    }

    /// Checks that the text may be handed in now, at the relay whose import log is `ours`. Refusals:
    /// `statement-foreign`, `statement-clock`, `statement-expired`.
    pub fn check(&self, ours: &str, now: Timestamp, tolerance: Duration) -> Result<(), Refusal> {
        let Self { relay, issued, until } = self;
        if relay != ours {
            let detail = format!("the signed text is for the relay {}, and this is {ours}", quoted(relay));
            return Err(Refusal::new(Reason::StatementForeign, detail));
        }
        if *issued > now.plus(tolerance) {
            let detail = format!("the signed text was issued {issued}, and it is {now} here");
            return Err(Refusal::new(Reason::StatementClock, detail));
        }
        if *until <= now {
            let detail = format!("the signed text could be handed in until {until}, and it is {now} here");
            return Err(Refusal::new(Reason::StatementExpired, detail));
        }
        Ok(())
    }

    /// Writes the lines that stand before the reason.
    pub fn write_times(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "issued {}", self.issued)?;
        writeln!(f, "until {}", self.until)
    }
}

/// Lines of a signed text, read one after the other. Refusal of each: `statement-malformed`.
pub struct Fields<'a> {
    lines: Vec<&'a str>,
    /// Number of lines read.
    read: usize,
}

impl<'a> Fields<'a> {
    /// Lines of a text of at most `longest` bytes, whose first line is this format; `None` where it is another.
    pub fn of(bytes: &'a [u8], format: &str, longest: usize) -> Result<Option<Self>, Refusal> {
        let malformed = |what: &str| Err(Refusal::new(Reason::StatementMalformed, what));
        if bytes.len() > longest {
            return malformed(&format!("the signed text is longer than {longest} bytes"));
        }
        let Ok(text) = str::from_utf8(bytes) else { return malformed("the signed text is not UTF-8") };
        if let Some(cause) = edited(text) {
            return malformed(cause);
        }
        let Some(whole) = text.strip_suffix('\n') else {
            return malformed("the last line of the signed text has no end");
        };
        let lines: Vec<&str> = whole.split('\n').collect();
        Ok((lines.first() == Some(&format)).then_some(Self { lines, read: 1 }))
    }

    /// True if the next line has this key.
    pub fn is_next(&self, key: &str) -> bool {
        let line = self.lines.get(self.read).and_then(|line| line.strip_prefix(key));
        line.is_some_and(|rest| rest.starts_with(' '))
    }

    /// Value of the next line, if it has this key.
    pub fn take_if(&mut self, key: &str) -> Option<&'a str> {
        let value = self.lines.get(self.read)?.strip_prefix(key)?.strip_prefix(' ')?;
        self.read += 1;
        Some(value)
    }

    /// Value of the next line, which must have this key.
    pub fn take(&mut self, key: &str) -> Result<&'a str, Refusal> {
        let missing = self.wrong(1, &format!("it does not begin with \"{key} \""));
        self.take_if(key).ok_or(missing)
    }

    /// The next line, whatever its key.
    pub fn line(&mut self) -> Result<&'a str, Refusal> {
        let missing = self.wrong(1, "it is missing");
        let line = self.lines.get(self.read).copied().ok_or(missing)?;
        self.read += 1;
        Ok(line)
    }

    /// Digest in the next line.
    pub fn digest(&mut self, key: &str) -> Result<Digest, Refusal> {
        let value = self.take(key)?;
        let digest = value.strip_prefix("sha256:").ok_or("the digest does not begin with sha256:");
        digest.and_then(str::parse).map_err(|cause| self.wrong(0, cause))
    }

    /// Time in the next line.
    pub fn time(&mut self, key: &str) -> Result<Timestamp, Refusal> {
        self.take(key)?.parse().map_err(|cause: &str| self.wrong(0, cause))
    }

    /// The last lines of a text for this relay: officer, times and reason.
    pub fn end(mut self, relay: String) -> Result<(Scope, String, String), Refusal> {
        let officer = self.take("officer")?.to_owned();
        let scope = Scope { relay, issued: self.time("issued")?, until: self.time("until")? };
        if scope.until <= scope.issued || scope.until > scope.issued.plus(LONGEST) {
            return Err(self.wrong(0, "the end is not after the text was issued, or more than 31 days after it"));
        }
        let reason = self.take("reason")?.to_owned();
        check_who_and_why(&officer, &reason)?;
        Ok((scope, officer, reason))
    }

    /// Checks that the text is byte for byte the one that is printed for what was read from it.
    pub fn check_text(text: &[u8], printed: &str) -> Result<(), Refusal> {
        if printed.as_bytes() == text {
            return Ok(());
        }
        let what = "the signed text differs from the text that gaprelay prints for it";
        Err(Refusal::new(Reason::StatementMalformed, what))
    }

    /// Refusal about a line: the one read last, or so many after it.
    pub fn wrong(&self, after: usize, cause: &str) -> Refusal {
        let detail = format!("line {} of the signed text: {cause}", self.read + after);
        Refusal::new(Reason::StatementMalformed, detail)
    }
}
