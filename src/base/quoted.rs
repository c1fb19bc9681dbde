//! Hostile text made safe to look at. Names on a medium, fields of an unverified file and words of
//! an agent reach a terminal, a log or a page only through here.

use std::fmt;

/// Longest piece of hostile text shown, in characters; the rest is counted.
const SHOWN: usize = 200;

/// `text` for the eye: control, invisible, bidirectional and non-ASCII characters as `\u{…}`,
/// the backslash as `\\`, cut after 200 characters.
pub fn quoted(text: &str) -> Quoted<'_> {
    Quoted(text)
}

/// See [`quoted`].
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for (shown, c) in self.0.chars().enumerate() {
            if shown == SHOWN {
                return write!(f, "… ({} more)", self.0.chars().count() - SHOWN);
            }
            match c {
                '\\' => f.write_str("\\\\")?,
                ' '..='~' => f.write_char(c)?,
                _ => write!(f, "{}", c.escape_unicode())?,
            }
        }
        Ok(())
    }
}

/// Length, in characters of the escaped form, that a text which [`quoted`] gave would have if it had not been cut. What
/// was left out counts as it came; nobody can write the mark of the cut, since it is escaped.
pub fn uncut_length(shown: &str) -> usize {
    let cut = shown.rsplit_once("… (").and_then(|(before, rest)| Some((before, rest.strip_suffix(" more)")?)));
    match cut.and_then(|(before, left)| Some(before.len().saturating_add(left.parse().ok()?))) {
        Some(length) => length,
        None => shown.len(),
    }
}

/// A path or other operating-system text, made safe the same way; bytes that are no UTF-8 show as
/// the replacement character's number.
pub fn quoted_os(text: impl AsRef<std::ffi::OsStr>) -> String {
    quoted(&text.as_ref().to_string_lossy()).to_string()
}

/// Text that another process of ours says it has made safe, made sure of: what is safe stays as it is.
pub fn printable(text: &str) -> String {
    escaped(text.chars().take(8 * SHOWN))
}

/// The same of a whole document of ours, an entry say, whose length is bounded elsewhere.
pub fn whole(text: &str) -> String {
    escaped(text.chars())
}

fn escaped(text: impl Iterator<Item = char>) -> String {
    let mut out = String::new();
    for c in text {
        match c {
            ' '..='~' | '…' => out.push(c),
            _ => out.extend(c.escape_unicode()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor() {
        let hostile = "a\x1b[31mred\u{202e}txt\u{200b}\\\n\u{e9}";
        let shown = quoted(hostile).to_string();
        assert_eq!(shown, "a\\u{1b}[31mred\\u{202e}txt\\u{200b}\\\\\\u{a}\\u{e9}");
        assert!(shown.bytes().all(|b| (0x20..0x7f).contains(&b)));
        assert_eq!(printable(&shown), shown);
        assert_eq!(printable("a\x1b\u{202e}"), "a\\u{1b}\\u{202e}");
        assert!(quoted(&"x".repeat(300)).to_string().ends_with("… (100 more)"));
    }

    #[test]
    fn what_was_cut_counts() {
        for length in [0, 5, 200, 201, 1234] {
            assert_eq!(uncut_length(&quoted(&"x".repeat(length)).to_string()), length);
        }
        let made_up = quoted("x… (99999 more)").to_string();
        assert_eq!(uncut_length(&made_up), made_up.len());
    }
}
