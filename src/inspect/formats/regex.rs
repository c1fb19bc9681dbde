//! Regular expressions that take a backtracking engine (PCRE) exponential time, or nearly. In scope: shapes that have
//! no other use. Out of scope: every other way to be slow, which engines bound by a limit of their own (Suricata's
//! `pcre.match-limit`, ClamAV's `PCREMatchLimit`).
//!
//! ```text
//! (a+)+  (?:\d*)*  ([a-z]+){2,}  (a?){30}     nothing but one repeated thing, repeated
//! (a|a)+  (\w|\d)*  (.|x)+                    a choice in which one way is the other, repeated
//! .*.*.*.*                                    one thing repeated, again and again in a row
//! ```

use std::collections::BTreeSet;

/// Least count of repeats of a thing with several ways to match that counts as repeated.
const OFTEN: u32 = 10;
/// Count in a row of one repeated thing that is too many.
const IN_A_ROW: usize = 4;

/// True if the pattern has one of the costly shapes.
pub fn explodes(pattern: &str) -> bool {
    // What stands outside of any group is in one that never closes.
    let mut groups = vec![OpenGroup::default()];
    let mut rest = pattern.as_bytes();
    while let Some((atom, after)) = atom(rest) {
        let (repeat, after) = match atom {
            Atom::Open => (Repeat::Once, after),
            _ => repeat(after),
        };
        let is_variable = matches!(repeat, Repeat::Maybe | Repeat::Unbounded);
        let Some(group) = groups.last_mut() else { return false };
        match atom {
            Atom::Open => groups.push(OpenGroup::default()),
            Atom::Bar => group.choices.push(Choice::default()),
            Atom::One(what) if group.add(Some(what), repeat == Repeat::Unbounded, is_variable) => return true,
            Atom::One(_) => {}
            Atom::Close => {
                let inner = groups.pop().unwrap_or_default();
                let is_often = matches!(repeat, Repeat::Unbounded | Repeat::Often);
                if is_often && (inner.is_one_variable() || inner.has_a_choice_twice()) {
                    return true;
                }
                // A group around such a thing is such a thing.
                let is_variable = is_variable || inner.is_one_variable();
                match groups.last_mut() {
                    Some(group) => drop(group.add(None, false, is_variable)),
                    // It closes what never began: no engine takes it.
                    None => groups.push(OpenGroup::default()),
                }
            }
        }
        rest = after;
    }
    false
}

/// Content of a group so far.
struct OpenGroup<'a> {
    choices: Vec<Choice<'a>>,
}

/// One way to match it.
#[derive(Default)]
struct Choice<'a> {
    things: usize,
    /// True if the last thing may match more or fewer letters.
    is_variable: bool,
    /// The last thing, where it is no group.
    one: Option<&'a [u8]>,
    /// Count of it in a row, repeated.
    in_a_row: usize,
}

impl Default for OpenGroup<'_> {
    fn default() -> Self {
        Self { choices: vec![Choice::default()] }
    }
}

impl<'a> OpenGroup<'a> {
    /// One thing more; gives whether it stands too often in a row.
    fn add(&mut self, one: Option<&'a [u8]>, is_unbounded: bool, is_variable: bool) -> bool {
        let Some(choice) = self.choices.last_mut() else { return false };
        let goes_on = is_unbounded && choice.in_a_row > 0 && choice.one == one;
        choice.in_a_row = if goes_on { choice.in_a_row + 1 } else { usize::from(is_unbounded) };
        choice.things += 1;
        (choice.is_variable, choice.one) = (is_variable, one);
        choice.in_a_row >= IN_A_ROW
    }

    fn is_one_variable(&self) -> bool {
        matches!(self.choices.as_slice(), [choice] if choice.things == 1 && choice.is_variable)
    }

    /// True if another choice always matches whatever this one matches.
    fn has_a_choice_twice(&self) -> bool {
        let single = |choice: &Choice<'a>| choice.one.filter(|_| choice.things == 1 && !choice.is_variable);
        let mut ones = BTreeSet::new();
        if !self.choices.iter().filter_map(single).all(|one| ones.insert(one)) {
            return true;
        }
        const CLASSES: [&[u8]; 3] = [b".", b"\\d", b"\\w"];
        CLASSES.iter().any(|class| ones.contains(class) && ones.iter().any(|one| one != class && is_within(one, class)))
    }
}

/// True if every letter that `one` stands for is one of `other`'s, for certain. (A dot matches no end of a line.)
fn is_within(one: &[u8], other: &[u8]) -> bool {
    let is_letter = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    match (one, other) {
        (b"\\d" | b"\\w", b".") | (b"\\d", b"\\w") => true,
        ([letter], b"." | b"\\w") if is_letter(*letter) => true,
        ([letter], b"\\d") => letter.is_ascii_digit(),
        _ => false,
    }
}

enum Atom<'a> {
    Open,
    Close,
    Bar,
    One(&'a [u8]),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Once,
    /// Once or not at all.
    Maybe,
    /// So many times, and those are many.
    Often,
    /// As often as it goes.
    Unbounded,
}

/// The next thing that can be repeated, and what follows it.
fn atom(text: &[u8]) -> Option<(Atom<'_>, &[u8])> {
    let (first, rest) = text.split_first()?;
    let one =
        |after: &[u8]| text.split_at_checked(text.len() - after.len()).map(|(one, after)| (Atom::One(one), after));
    match first {
        b'\\' => one(rest.get(1..).unwrap_or_default()),
        b'[' => one(class(rest)),
        b'(' => Some((Atom::Open, options(rest))),
        b')' => Some((Atom::Close, rest)),
        b'|' => Some((Atom::Bar, rest)),
        _ => one(rest),
    }
}

/// Reads a class from its second character on: a `]` that stands first is one of its letters.
fn class(text: &[u8]) -> &[u8] {
    let mut at = usize::from(text.first() == Some(&b'^'));
    at += usize::from(text.get(at) == Some(&b']'));
    while let Some(letter) = text.get(at) {
        match letter {
            b'\\' => at += 2,
            b']' => return text.get(at + 1..).unwrap_or_default(),
            _ => at += 1,
        }
    }
    &[]
}

/// Reads what follows a group's `?:`, `?i:`, `?=` or name.
fn options(text: &[u8]) -> &[u8] {
    let Some(rest) = text.strip_prefix(b"?") else { return text };
    let end = rest.iter().position(|b| matches!(b, b':' | b'=' | b'!' | b'>' | b'\'' | b')'));
    match end {
        Some(at) if rest.get(at) == Some(&b')') => rest.get(at..).unwrap_or_default(),
        Some(at) => rest.get(at + 1..).unwrap_or_default(),
        None => rest,
    }
}

/// Reads a repeat count. A possessive repeat gives nothing back, and so costs nothing.
fn repeat(text: &[u8]) -> (Repeat, &[u8]) {
    let (repeat, rest) = match text.split_first() {
        Some((b'*' | b'+', rest)) => (Repeat::Unbounded, rest),
        Some((b'?', rest)) => (Repeat::Maybe, rest),
        Some((b'{', rest)) => match rest.iter().position(|b| *b == b'}').and_then(|at| rest.split_at_checked(at)) {
            Some((inner, after)) => (times(inner), after.get(1..).unwrap_or_default()),
            None => return (Repeat::Once, text),
        },
        _ => return (Repeat::Once, text),
    };
    match rest.split_first() {
        Some((b'+', rest)) => (Repeat::Once, rest),
        Some((b'?', rest)) => (repeat, rest),
        _ => (repeat, rest),
    }
}

/// Reads the content of braces: `n`, `n,` or `n,m`.
fn times(inner: &[u8]) -> Repeat {
    let number = |text: &[u8]| str::from_utf8(text).ok().and_then(|text| text.trim().parse::<u32>().ok());
    match inner.split(|b| *b == b',').collect::<Vec<_>>().as_slice() {
        [_, b""] => Repeat::Unbounded,
        [least] | [least, _] if number(least).is_some_and(|least| least >= OFTEN) => Repeat::Often,
        _ => Repeat::Once,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_without_another_use() {
        for pattern in [
            "^(a+)+$",
            "(?:\\d*)*x",
            "([a-z]+){2,}",
            "(?i:(\\w+?)+)",
            "((a+))*",
            "(?<n>[^]x]+)*",
            "x(?:(?:a+))+",
            "(a?){30}a{30}",
            "(a+){20}",
            "(?:a*){10,12}",
            "(a|a)+",
            "(\\w|\\d)*$",
            "(?:x|.)+",
            "([ab]|c|[ab])+",
            ".*.*.*.*x",
            "\\s+\\s*\\s+\\s*=",
            "(x|.*.*.*.*)",
        ] {
            assert!(explodes(pattern), "{pattern}");
        }
        for pattern in [
            "(?:[a-z]+\\.)+com",
            "(a)+",
            "(a+)",
            "(a+)?",
            "\\(a+\\)+",
            "[(]a+[)]+",
            "(a+|b)+",
            "(?:a{2,4})+",
            "(a++)+",
            "(a+){3}",
            "(",
            ")+",
            "[",
            "\\",
            "(?",
            "{",
            "a{",
            "(a+b)+",
            "(.|\\n)*",
            "(?:ab|ac)+",
            "(a|b)+",
            "(a|a)",
            "(\\d|-)+",
            ".*x.*x.*x.*x.*",
            ".*.*.*x",
            "\\d{1,3}\\d{1,3}\\d{1,3}\\d{1,3}",
            "(a?){3}",
            "(?:a|b?){30}",
            "[^a]*[^b]*[^c]*[^d]*",
            "a|a|a",
            "(|)+",
            "",
        ] {
            assert!(!explodes(pattern), "{pattern}");
        }
    }
}
