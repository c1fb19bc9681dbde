//! YARA rules in source form, by YARA-X's own parser: what a rule does to others, and what it reaches for. Its events
//! are looked at as they come; no tree is built, which could be hundreds of times as large as the file.
//! Sources: the YARA documentation, "Global rules", "Including files", "Modules". Out of scope: values that an
//! engine refuses though the grammar has them, an integer that is too large, say.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead};
use std::ops::Range;

use yara_x_parser::Parser;
use yara_x_parser::cst::{Event, SyntaxKind};

use super::whole::{self, Counter};
use crate::cut::ByteSpan;
use crate::flaw::FlawPart;
use crate::item::{Effect, Item};
use crate::notes::Notes;
use base::Reason;

/// Longest file, in bytes. The parser holds one rule at a time, in up to three hundred times its length: a file that
/// is a single rule made for that takes 600 MB, and its confinement gives the examiner 1 GiB.
const LONGEST: usize = 2 << 20;

/// Modules that look at the file alone. Not among them: `console`, which writes, and `cuckoo`, which reads a report
/// of something that ran.
const MODULES: &[&str] =
    &["crx", "dex", "dotnet", "elf", "hash", "lnk", "macho", "magic", "math", "pe", "string", "time"];

const STATEMENTS: &[SyntaxKind] = &[SyntaxKind::IMPORT_STMT, SyntaxKind::INCLUDE_STMT, SyntaxKind::RULE_DECL];

/// Reads a file of rules.
pub fn read(source: &mut dyn BufRead, notes: &mut Notes<'_>) -> io::Result<()> {
    if let Some(text) = whole::read(source, LONGEST, notes)? {
        YaraFile { text: &text }.read(notes);
    }
    Ok(())
}

/// The whole file.
struct YaraFile<'a> {
    text: &'a [u8],
}

/// A rule, an import or an include: what can be left out of a file.
struct YaraItem {
    kind: SyntaxKind,
    span: Range<usize>,
    /// The rule's name, or the module's.
    name: Range<usize>,
    is_global: bool,
    is_private: bool,
    reasons: Vec<Reason>,
}

impl<'a> YaraFile<'a> {
    fn read(&self, notes: &mut Notes<'_>) {
        // Some readers take it for the end of a line, of a comment say, others do not.
        let mut returns = memchr::memchr_iter(b'\r', self.text);
        if let Some(at) = returns.find(|at| self.text.get(at + 1) != Some(&b'\n')) {
            notes.flaw(Reason::RuleSyntax, Counter::new(self.text).line(at), FlawPart::Whole);
        }
        let mut lines = Counter::new(self.text);
        let mut statements = self.statements(notes);
        self.spread(&mut statements, notes);
        let mut end = 0;
        for (number, statement) in statements.iter().enumerate() {
            if statement.kind == SyntaxKind::RULE_DECL {
                let (name, text) = (self.bytes(&statement.name), self.bytes(&statement.span));
                let effect = if statement.is_global { Effect::Suppresses } else { Effect::Detects };
                let item = Item::new("yara", name, text, statement.span.start as u64, effect);
                notes.item(Item { is_limited: statement.is_private, ..item });
            }
            let next = statements.get(number + 1).map_or(self.text.len(), |next| next.span.start);
            let span = self.whole_lines(statement, end..next);
            for reason in &statement.reasons {
                notes.flaw(*reason, lines.line(statement.span.start), span.map_or(FlawPart::Whole, FlawPart::Rule));
            }
            end = statement.span.end;
        }
    }

    /// The file's statements, in order. Where it cannot be read, that is noted for the whole file.
    fn statements(&self, notes: &mut Notes<'_>) -> Vec<YaraItem> {
        let mut statements: Vec<YaraItem> = Vec::new();
        let mut names = HashSet::new();
        // Whether the statement that was begun last still wants to be named.
        let mut unnamed = false;
        let mut is_broken = false;
        for event in Parser::new(self.text) {
            if notes.is_over(1) {
                break;
            }
            let (kind, span) = match event {
                Event::Error { span, .. } => {
                    if !is_broken {
                        notes.flaw(Reason::RuleSyntax, Counter::new(self.text).line(span.start()), FlawPart::Whole);
                    }
                    is_broken = true;
                    continue;
                }
                Event::Begin { kind, span } if STATEMENTS.contains(&kind) => {
                    let reasons = if kind == SyntaxKind::INCLUDE_STMT { vec![Reason::RuleUsesFiles] } else { vec![] };
                    let (span, name) = (span.range(), 0..0);
                    statements.push(YaraItem { kind, span, name, is_global: false, is_private: false, reasons });
                    unnamed = true;
                    continue;
                }
                Event::Token { kind, span } => (kind, span),
                Event::Begin { .. } | Event::End { .. } => continue,
            };
            let Some(statement) = statements.last_mut().filter(|_| unnamed) else { continue };
            let text = self.bytes(&span.range());
            match (kind, statement.kind) {
                // It decides whether all the others are looked at.
                (SyntaxKind::GLOBAL_KW, _) => {
                    statement.is_global = true;
                    statement.reasons.push(Reason::RuleWeakensDetection);
                }
                (SyntaxKind::PRIVATE_KW, _) => statement.is_private = true,
                (SyntaxKind::IDENT, SyntaxKind::RULE_DECL) => {
                    unnamed = false;
                    statement.name = span.range();
                    // The engine takes none of the file then.
                    if !names.insert(text) {
                        statement.reasons.push(Reason::RuleDuplicate);
                    }
                }
                (SyntaxKind::STRING_LIT, SyntaxKind::IMPORT_STMT) => {
                    unnamed = false;
                    let module = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\""));
                    statement.name = span.start() + 1..span.end().max(span.start() + 2) - 1;
                    if !module.is_some_and(|module| MODULES.iter().any(|known| known.as_bytes() == module)) {
                        statement.reasons.push(Reason::RuleModule);
                    }
                }
                _ => {}
            }
        }
        statements
    }

    /// A rule that needs what may not pass may not pass either, for the same reasons: without it the engine would
    /// take none of the file.
    fn spread(&self, statements: &mut [YaraItem], notes: &mut Notes<'_>) {
        // Of two rules of one name the first stays.
        let taint = |statement: &YaraItem| -> Vec<Reason> {
            statement.reasons.iter().copied().filter(|reason| *reason != Reason::RuleDuplicate).collect()
        };
        let named = |statement: &YaraItem| !statement.name.is_empty() && !taint(statement).is_empty();
        if !statements.iter().any(named) {
            return;
        }
        let mut tainted: HashMap<Vec<u8>, Vec<Reason>> = HashMap::new();
        let mut at = 0;
        let tokens = Parser::new(self.text).filter_map(|event| match event {
            Event::Token { kind, span } => Some((kind, span.range())),
            _ => None,
        });
        // A rule may name only rules that stand before it, so once through is enough.
        for (kind, token) in tokens {
            if notes.is_over(1) {
                return;
            }
            while let Some(done) = statements.get(at).filter(|statement| statement.span.end <= token.start) {
                if named(done) {
                    tainted.entry(self.bytes(&done.name).to_vec()).or_default().extend(taint(done));
                }
                at += 1;
            }
            let Some(statement) = statements.get_mut(at).filter(|s| s.kind == SyntaxKind::RULE_DECL) else { continue };
            let tainted = if kind == SyntaxKind::IDENT { tainted.get(self.bytes(&token)) } else { None };
            for reason in tainted.into_iter().flatten() {
                if !statement.reasons.contains(reason) {
                    statement.reasons.push(*reason);
                }
            }
        }
    }

    /// The whole lines of a statement, if nothing else stands in them: a comment could begin there. `free` is what
    /// lies between the statements before and after it. An include cannot be left out: what it brings is not known.
    fn whole_lines(&self, statement: &YaraItem, free: Range<usize>) -> Option<ByteSpan> {
        let before = self.text.get(free.start..statement.span.start)?;
        let after = self.text.get(statement.span.end..free.end)?;
        let blank = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_whitespace);
        let begin = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        let starts_line = begin > 0 || free.start == 0;
        let end = memchr::memchr(b'\n', after).map_or(after.len(), |at| at + 1);
        let ends_line = end < after.len() || free.end == self.text.len() || after.ends_with(b"\n");
        let is_alone = blank(before.get(begin..)?) && blank(after.get(..end)?) && starts_line && ends_line;
        let (from, to) = (free.start + begin, statement.span.end + end);
        (is_alone && statement.kind != SyntaxKind::INCLUDE_STMT)
            .then_some(ByteSpan { from: from as u64, size: (to - from) as u64 })
    }

    fn bytes(&self, range: &Range<usize>) -> &'a [u8] {
        self.text.get(range.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flaw::Flaw;
    use crate::source::tests::InPieces;

    fn flaws(text: &str) -> Vec<(Reason, u64)> {
        told(text.as_bytes()).into_iter().map(|flaw| (flaw.reason, flaw.line)).collect()
    }

    fn told(text: &[u8]) -> Vec<Flaw> {
        let mut notes = Notes::default();
        read(&mut InPieces(text, 7), &mut notes).unwrap();
        notes.into_flaws()
    }

    /// The file without the lines that may not pass; `None`: it has to be kept back whole.
    fn without(text: &str) -> Option<String> {
        let mut spans: Vec<_> = told(text.as_bytes()).into_iter().map(|flaw| flaw.span()).collect::<Option<_>>()?;
        spans.sort();
        spans.dedup();
        let mut rest = text.to_owned();
        for span in spans.into_iter().rev() {
            let at = |at: u64| usize::try_from(at).unwrap();
            rest.replace_range(at(span.from)..at(span.end()), "");
        }
        Some(rest)
    }

    #[test]
    fn what_may_be_left_out_are_whole_lines_and_what_needs_them() {
        const A: &str = "rule a {\n condition: true\n}\n";
        let all = format!(
            "import \"console\"\nimport \"pe\"\n// one\n{A}\n  global rule off {{\n condition: false }}  \n\
            rule b {{ condition: a and not off }}\nrule c {{ condition: b }}\n\
            rule e {{ condition: console.log(\"x\") }}\nrule f {{ condition: a }}\n{A}"
        );
        let left = format!("import \"pe\"\n// one\n{A}\nrule f {{ condition: a }}\n");
        assert_eq!(without(&all).unwrap(), left);
        assert_eq!(without(&left).unwrap(), left);
        for whole in [
            format!("{A}global rule off {{ condition: false }} /* more\n*/\n"),
            format!("{A}/* more\n*/ global rule off {{ condition: false }}\n"),
            format!("{A}rule b {{ condition: a }} global rule off {{ condition: false }}\n"),
            format!("{A}include \"x\"\n"),
            format!("{A}rule b {{ condition: }}\n"),
        ] {
            assert_eq!(without(&whole), None, "{whole}");
        }
    }

    #[test]
    fn each_trick_has_its_line() {
        const GOOD: &str = "import \"pe\"\n/* global */ // include \"x\"\nprivate rule a : t {\n meta: m = \"global rule\"\n strings: $a = \"include\" condition: $a and pe.is_pe\n}\n";
        assert_eq!(flaws(GOOD), []);
        for (text, expected) in [
            ("global private rule off { condition: false }", (Reason::RuleWeakensDetection, 7)),
            ("private global rule off { condition: false }", (Reason::RuleWeakensDetection, 7)),
            ("global\n\nrule off { condition: false }", (Reason::RuleWeakensDetection, 7)),
            ("include \"/etc/passwd\"", (Reason::RuleUsesFiles, 7)),
            ("import \"console\"", (Reason::RuleModule, 7)),
            ("import \"cuckoo\"", (Reason::RuleModule, 7)),
            ("rule a { condition: true }", (Reason::RuleDuplicate, 7)),
            ("rule b { condition: }", (Reason::RuleSyntax, 7)),
            ("// a comment\rglobal rule off { condition: false }", (Reason::RuleSyntax, 7)),
            ("rule b { strings: $x = { 61 condition: $x }", (Reason::RuleSyntax, 7)),
        ] {
            let found = flaws(&format!("{GOOD}{text}\n"));
            assert!(found.contains(&expected), "{text}: {found:?}");
        }
        assert_eq!(told(&vec![b' '; LONGEST + 1]).first().map(|flaw| flaw.reason), Some(Reason::RuleTooLong));
    }

    #[test]
    fn what_is_made_to_explode_ends() {
        for text in [
            format!("rule a {{ condition: {}true{} }}", "(".repeat(100_000), ")".repeat(100_000)),
            format!("rule a {{ condition: {} true }}", "not ".repeat(100_000)),
            format!("rule a {{ strings: $a = {{ {} }} condition: $a }}", "( 61 | ".repeat(50_000)),
            "rule ".repeat(200_000),
            "\u{0}\u{1}{{{{".repeat(10_000),
        ] {
            assert!(!flaws(&text).is_empty());
        }
    }
}
