//! STIX patterns (OASIS STIX 2.1, section 9, and its grammar `STIXPattern.g4`). In scope: whether a text is a pattern.
//! Out of scope: whether an object has such a property, and what it is compared with.
//!
//! ```text
//! observation   [comparisons] · (observations) · … AND … · … OR … · … FOLLOWEDBY …
//! qualifier     REPEATS n TIMES · WITHIN n SECONDS · START t'…' STOP t'…'
//! comparison    path [NOT] operator constant · EXISTS path · (comparisons)
//! path          type:property.property[0]['key'][*]
//! ```

/// Deepest nesting of parentheses.
const DEEPEST: usize = 32;

/// True if `text` is a pattern.
pub fn is_pattern(text: &str) -> bool {
    let Some(tokens) = tokens(text) else { return false };
    let mut pattern = Pattern { tokens: &tokens, depth: 0 };
    pattern.observations().is_some() && pattern.tokens.is_empty()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    /// A keyword, a name, `true` or `false`.
    Word(&'a str),
    /// `'…'`; with `t`, `h` or `b` before it that letter, else the quote.
    Text(char),
    Number {
        is_whole: bool,
    },
    Sign(&'a str),
}

/// The tokens; `None`: something is none.
fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    const SIGNS: [&str; 17] =
        ["==", "!=", "<>", "<=", ">=", "=", "<", ">", "[", "]", "(", ")", ":", ".", ",", "*", "\\"];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_number = |c: char| c.is_ascii_digit() || c == '-';
        let (token, size) = if let Some(prefix) = quoted(rest) {
            let before = usize::from(prefix != '\'');
            (Token::Text(prefix), before + text_size(rest.get(before..)?)?)
        } else if is_number(first) || first == '+' {
            let size = 1 + rest.get(1..)?.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len() - 1);
            let number = rest.get(..size)?;
            number.parse::<f64>().ok()?;
            (Token::Number { is_whole: !number.contains('.') }, size)
        } else if first.is_ascii_alphabetic() || first == '_' {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            let size = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
            (Token::Word(rest.get(..size)?), size)
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign)).filter(|sign| **sign != "\\")?;
            (Token::Sign(sign), sign.len())
        };
        tokens.push(token);
        rest = rest.get(size..)?.trim_start();
    }
    Some(tokens)
}

/// The first letter of a text, if one begins here.
fn quoted(rest: &str) -> Option<char> {
    let mut letters = rest.chars();
    match (letters.next()?, letters.next()) {
        ('\'', _) => Some('\''),
        (prefix @ ('t' | 'h' | 'b'), Some('\'')) => Some(prefix),
        _ => None,
    }
}

/// Length of the text with its quotes; a backslash takes the next letter in.
fn text_size(rest: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '\'' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Rest of the text.
struct Pattern<'a> {
    tokens: &'a [Token<'a>],
    depth: usize,
}

impl<'a> Pattern<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(*first)
    }

    /// Takes the next word if it is this one; true if it was.
    fn takes(&mut self, token: Token<'_>) -> bool {
        let is_next = self.tokens.first() == Some(&token);
        if is_next {
            self.next();
        }
        is_next
    }

    fn word(&mut self, word: &str) -> bool {
        self.takes(Token::Word(word))
    }

    fn sign(&mut self, sign: &str) -> bool {
        self.takes(Token::Sign(sign))
    }

    /// Reads the content of parentheses, whose first was taken.
    fn nested(&mut self, inner: fn(&mut Self) -> Option<()>) -> Option<()> {
        self.depth += 1;
        (self.depth <= DEEPEST).then_some(())?;
        inner(self)?;
        self.depth -= 1;
        self.sign(")").then_some(())
    }

    fn observations(&mut self) -> Option<()> {
        loop {
            if self.sign("(") {
                self.nested(Self::observations)?;
            } else {
                self.sign("[").then_some(())?;
                self.comparisons()?;
                self.sign("]").then_some(())?;
            }
            while self.qualifier()? {}
            if !(self.word("AND") || self.word("OR") || self.word("FOLLOWEDBY")) {
                return Some(());
            }
        }
    }

    /// Reads one, if there is one; `None`: the pattern is broken.
    fn qualifier(&mut self) -> Option<bool> {
        if self.word("REPEATS") {
            return (self.next()? == Token::Number { is_whole: true } && self.word("TIMES")).then_some(true);
        }
        if self.word("WITHIN") {
            return (matches!(self.next()?, Token::Number { .. }) && self.word("SECONDS")).then_some(true);
        }
        if self.word("START") {
            let time = |token| matches!(token, Token::Text('t' | '\''));
            return (time(self.next()?) && self.word("STOP") && time(self.next()?)).then_some(true);
        }
        Some(false)
    }

    fn comparisons(&mut self) -> Option<()> {
        loop {
            if self.sign("(") {
                self.nested(Self::comparisons)?;
            } else {
                self.comparison()?;
            }
            if !(self.word("AND") || self.word("OR")) {
                return Some(());
            }
        }
    }

    fn comparison(&mut self) -> Option<()> {
        if self.word("EXISTS") {
            return self.path();
        }
        // 2.0 has it before the whole comparison, 2.1 before its operator.
        self.word("NOT");
        self.path()?;
        self.word("NOT");
        match self.next()? {
            Token::Sign("=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=") => self.constant(),
            Token::Word("LIKE" | "MATCHES" | "ISSUBSET" | "ISSUPERSET") => {
                matches!(self.next()?, Token::Text('\'')).then_some(())
            }
            Token::Word("IN") => {
                self.sign("(").then_some(())?;
                if self.sign(")") {
                    return Some(());
                }
                loop {
                    self.constant()?;
                    if !self.sign(",") {
                        return self.sign(")").then_some(());
                    }
                }
            }
            _ => None,
        }
    }

    fn constant(&mut self) -> Option<()> {
        matches!(self.next()?, Token::Text(_) | Token::Number { .. } | Token::Word("true" | "false")).then_some(())
    }

    fn path(&mut self) -> Option<()> {
        let name = |token| matches!(token, Token::Word(_) | Token::Text('\''));
        (matches!(self.next()?, Token::Word(_)) && self.sign(":") && name(self.next()?)).then_some(())?;
        loop {
            if self.sign("[") {
                let step = self.next()?;
                let is_step = matches!(step, Token::Sign("*") | Token::Number { is_whole: true } | Token::Text('\''));
                (is_step && self.sign("]")).then_some(())?;
            } else if self.sign(".") {
                name(self.next()?).then_some(())?;
            } else {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_pattern_and_what_is_none() {
        for good in [
            "[file:hashes.'SHA-256' = 'aec070645fe53ee3b3763059376134f058cc337247c978add178b6ccdfb0019f']",
            "[domain-name:value = 'a' OR ipv4-addr:value ISSUBSET '198.51.100.0/24']",
            "([a:b = 1] FOLLOWEDBY [c:d != -1.5]) WITHIN 300 SECONDS",
            "[a:b = 1] REPEATS 5 TIMES WITHIN 1800.5 SECONDS",
            "[a:b[*].c[0].d MATCHES '^x+\\'$'] START t'2014-01-13T07:03:17Z' STOP t'2014-02-13T07:03:17Z'",
            "[a:b NOT IN ('x', 'y') AND (c:d LIKE 'e%' OR NOT f:g > h'ab')]",
            "[a:extensions.'x-ext'.b = true AND EXISTS c:d]",
            " [ a:b=b'AA==' ] ",
        ] {
            assert!(is_pattern(good), "{good}");
        }
        let deep = format!("{}[a:b = 1]{}", "(".repeat(10_000), ")".repeat(10_000));
        for bad in [
            "",
            "[]",
            "[x]",
            "a:b = 1",
            "[a:b = 1",
            "[a:b = 1] OR",
            "[a:b = 1] exec",
            "[a:b = 'x]",
            "[a:b = x]",
            "[a:b == ]",
            "[a:b = 1;]",
            "[a:b = 1]]",
            "[a:b IN ('x',)]",
            "[a:b = 1] WITHIN x SECONDS",
            "[a:b = 1.2.3]",
            "[a:b LIKE 1]",
            "[a:b = 1] \\",
            "[a:b = 'é\\",
            "[a: = 1]",
            &deep,
        ] {
            assert!(!is_pattern(bad), "{bad}");
        }
    }
}
