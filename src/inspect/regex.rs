//! Regular expressions that take a backtracking engine (PCRE) exponential time. In scope: the one shape that has no
//! other use, a group of nothing but one repeated thing, repeated itself: `(a+)+`, `(?:\d*)*`, `([a-z]+){2,}`.
//! Out of scope: every other way to be slow, which engines bound by a limit of their own (Suricata's
//! `pcre.match-limit`, ClamAV's `PCREMatchLimit`).

/// Whether the pattern has that shape.
pub fn explodes(pattern: &str) -> bool {
    // What stands outside of any group is in one that never closes.
    let mut groups = vec![Group::default()];
    let mut rest = pattern.as_bytes();
    while let Some((atom, after)) = atom(rest) {
        let (repeat, after) = match atom {
            Atom::Open => (Repeat::No, after),
            _ => repeat(after),
        };
        let mut is_repeated = repeat == Repeat::Unbounded;
        match atom {
            Atom::Open => groups.push(Group::default()),
            Atom::Close => {
                let inner = groups.pop().unwrap_or_default();
                if is_repeated && inner.is_one_repeated() {
                    return true;
                }
                // A group around such a thing is such a thing.
                is_repeated |= inner.is_one_repeated();
            }
            Atom::Bar => is_repeated = false,
            Atom::Other => {}
        }
        if let Some(group) = groups.last_mut().filter(|_| !matches!(atom, Atom::Open)) {
            group.add(is_repeated);
        }
        rest = after;
    }
    false
}

/// What stands in a group so far.
#[derive(Default)]
struct Group {
    things: usize,
    is_repeated: bool,
}

impl Group {
    fn add(&mut self, is_repeated: bool) {
        self.things += 1;
        self.is_repeated = is_repeated;
    }

    fn is_one_repeated(&self) -> bool {
        self.things == 1 && self.is_repeated
    }
}

enum Atom {
    Open,
    Close,
    Bar,
    Other,
}

#[derive(PartialEq, Eq)]
enum Repeat {
    Unbounded,
    No,
}

/// The next thing that can be repeated, and what follows it.
fn atom(text: &[u8]) -> Option<(Atom, &[u8])> {
    let (first, rest) = text.split_first()?;
    let skip = |count: usize| rest.get(count..).unwrap_or_default();
    Some(match first {
        b'\\' => (Atom::Other, skip(1)),
        b'[' => (Atom::Other, class(rest)),
        b'(' => (Atom::Open, options(rest)),
        b')' => (Atom::Close, rest),
        b'|' => (Atom::Bar, rest),
        _ => (Atom::Other, rest),
    })
}

/// What follows a class that began: a `]` that stands first is one of its letters.
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

/// What follows a group's `?:`, `?i:`, `?=` or name.
fn options(text: &[u8]) -> &[u8] {
    let Some(rest) = text.strip_prefix(b"?") else { return text };
    let end = rest.iter().position(|b| matches!(b, b':' | b'=' | b'!' | b'>' | b'\'' | b')'));
    match end {
        Some(at) if rest.get(at) == Some(&b')') => rest.get(at..).unwrap_or_default(),
        Some(at) => rest.get(at + 1..).unwrap_or_default(),
        None => rest,
    }
}

/// How often what stands before is repeated. A possessive repeat gives nothing back, and so costs nothing.
fn repeat(text: &[u8]) -> (Repeat, &[u8]) {
    let (unbounded, rest) = match text.split_first() {
        Some((b'*' | b'+', rest)) => (true, rest),
        Some((b'?', rest)) => (false, rest),
        Some((b'{', rest)) => match rest.iter().position(|b| *b == b'}').and_then(|at| rest.split_at_checked(at)) {
            Some((inner, after)) => (inner.ends_with(b","), after.get(1..).unwrap_or_default()),
            None => return (Repeat::No, text),
        },
        _ => return (Repeat::No, text),
    };
    match rest.split_first() {
        Some((b'+', rest)) => (Repeat::No, rest),
        Some((b'?', rest)) => (if unbounded { Repeat::Unbounded } else { Repeat::No }, rest),
        _ => (if unbounded { Repeat::Unbounded } else { Repeat::No }, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_repeated_thing_repeated() {
        for pattern in
            ["^(a+)+$", "(?:\\d*)*x", "([a-z]+){2,}", "(?i:(\\w+?)+)", "((a+))*", "(?<n>[^]x]+)*", "x(?:(?:a+))+"]
        {
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
            "",
        ] {
            assert!(!explodes(pattern), "{pattern}");
        }
    }
}
