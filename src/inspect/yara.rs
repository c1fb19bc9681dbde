//! YARA rules in source form, by YARA-X's own parser: what a rule does to others, and what it reaches for. Its events
//! are looked at as they come; no tree is built, which could be hundreds of times as large as the file.
//! Sources: the YARA documentation, "Global rules", "Including files", "Modules". Out of scope: values that an
//! engine refuses though the grammar has them, an integer that is too large, say.

use std::collections::HashSet;

use yara_x_parser::Parser;
use yara_x_parser::cst::{Event, SyntaxKind};

use super::flaw::Flaws;
use crate::base::Reason;

/// Longest file, in bytes. The parser holds one rule at a time, in up to three hundred times its length: a file that
/// is a single rule made for that takes 600 MB, and the cage gives the examiner 1 GiB.
const LONGEST: usize = 2 << 20;

/// Modules that look at the file alone. Not among them: `console`, which writes, and `cuckoo`, which reads a report
/// of something that ran.
const MODULES: &[&str] =
    &["crx", "dex", "dotnet", "elf", "hash", "lnk", "macho", "magic", "math", "pe", "string", "time"];

/// Keeps a file until it is whole.
#[derive(Default)]
pub struct Reading {
    text: Vec<u8>,
    too_long: bool,
}

impl Reading {
    /// Takes the next bytes in.
    pub fn take(&mut self, bytes: &[u8]) {
        self.too_long |= self.text.len() + bytes.len() > LONGEST;
        if !self.too_long {
            self.text.extend_from_slice(bytes);
        }
    }

    /// What was found in all of it.
    pub fn finish(self) -> Flaws {
        let mut flaws = Flaws::default();
        if self.too_long {
            flaws.add(Reason::RuleTooLong, 1);
            return flaws;
        }
        let line = |at: usize| {
            let before = self.text.get(..at).unwrap_or(&self.text);
            memchr::memchr_iter(b'\n', before).count() as u64 + 1
        };
        // Some readers take it for the end of a line, of a comment say, others do not.
        let mut returns = memchr::memchr_iter(b'\r', &self.text);
        if let Some(at) = returns.find(|at| self.text.get(at + 1) != Some(&b'\n')) {
            flaws.find(Reason::RuleSyntax, || line(at));
        }
        let mut names = HashSet::new();
        // What the statement that was begun last still wants to be named.
        let mut wanted = None;
        for event in Parser::new(&self.text) {
            let (kind, span) = match event {
                Event::Error { span, .. } => {
                    flaws.find(Reason::RuleSyntax, || line(span.start()));
                    continue;
                }
                Event::Begin { kind: kind @ (SyntaxKind::IMPORT_STMT | SyntaxKind::RULE_DECL), .. } => {
                    wanted = Some(kind);
                    continue;
                }
                Event::Begin { kind: SyntaxKind::INCLUDE_STMT, span } => {
                    flaws.find(Reason::RuleUsesFiles, || line(span.start()));
                    continue;
                }
                Event::Token { kind, span } => (kind, span),
                Event::Begin { .. } | Event::End { .. } => continue,
            };
            let text = self.text.get(span.range()).unwrap_or_default();
            match (kind, wanted) {
                // It decides whether all the others are looked at.
                (SyntaxKind::GLOBAL_KW, _) => flaws.find(Reason::RuleWeakensDetection, || line(span.start())),
                (SyntaxKind::IDENT, Some(SyntaxKind::RULE_DECL)) => {
                    wanted = None;
                    // The engine takes none of the file then.
                    if !names.insert(text) {
                        flaws.find(Reason::RuleDuplicate, || line(span.start()));
                    }
                }
                (SyntaxKind::STRING_LIT, Some(SyntaxKind::IMPORT_STMT)) => {
                    wanted = None;
                    let module = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\""));
                    if !module.is_some_and(|module| MODULES.iter().any(|known| known.as_bytes() == module)) {
                        flaws.find(Reason::RuleModule, || line(span.start()));
                    }
                }
                _ => {}
            }
        }
        flaws
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaws(text: &str) -> Vec<(Reason, u64)> {
        let mut reading = Reading::default();
        text.as_bytes().chunks(7).for_each(|piece| reading.take(piece));
        reading.finish().into_vec().into_iter().map(|flaw| (flaw.reason, flaw.line)).collect()
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
        let mut large = Reading::default();
        large.take(&vec![b' '; LONGEST + 1]);
        assert_eq!(large.finish().into_vec().first().map(|flaw| flaw.reason), Some(Reason::RuleTooLong));
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
