//! Sigma rules. Sources: the Sigma rules specification 2.0, the correlation rules and the filters specifications
//! (SigmaHQ/sigma-specification); YAML 1.2.2. Of YAML only what rules need is taken: no tag, no anchor, no alias, no
//! key twice, no key that is not a word. Out of scope: whether a backend knows a field.

use std::collections::HashSet;
use std::io::{self, BufRead};

use saphyr_parser::{Event, Parser};

use super::regex;
use super::whole::{self, Counter};
use crate::flaw::FlawPart;
use crate::item::{Effect, Item};
use crate::notes::Notes;
use base::Reason;

/// Longest file, in bytes.
const LONGEST: usize = 1 << 20;
/// Deepest nesting.
const DEEPEST: usize = 32;

/// Modifiers of values (appendix "Sigma Modifiers" of the specification 2.1).
const MODIFIERS: &[&str] = &[
    "all",
    "base64",
    "base64offset",
    "cased",
    "cidr",
    "contains",
    "day",
    "endswith",
    "exists",
    "expand",
    "fieldref",
    "gt",
    "gte",
    "hour",
    "i",
    "lt",
    "lte",
    "m",
    "minute",
    "month",
    "neq",
    "re",
    "s",
    "startswith",
    "utf16",
    "utf16be",
    "utf16le",
    "week",
    "wide",
    "windash",
    "year",
];

/// Reads a file of rules.
pub fn read(source: &mut dyn BufRead, notes: &mut Notes<'_>) -> io::Result<()> {
    if let Some(bytes) = whole::read(source, LONGEST, notes)? {
        // What is no UTF-8 has been told of as such.
        documents(str::from_utf8(&bytes).unwrap_or_default(), notes);
    }
    Ok(())
}

fn documents(text: &str, notes: &mut Notes<'_>) {
    let mut rule = SigmaRule::default();
    let mut lines = Counter::new(text.as_bytes());
    for event in Parser::new_from_str(text) {
        let Ok((event, span)) = event else {
            // Where, is the first line that it could not make sense of; nothing after it is known.
            let line = event.err().map_or(1, |error| error.marker().line() as u64);
            return notes.flaw(Reason::RuleSyntax, line.max(1), FlawPart::Whole);
        };
        let line = span.start.line().max(1) as u64;
        if notes.is_over(line) {
            return;
        }
        match event {
            Event::DocumentStart(_) => {
                rule = SigmaRule { line, offset: lines.start_of(line) as u64, ..SigmaRule::default() };
            }
            Event::DocumentEnd => rule.end(notes),
            event => {
                if let Err(reason) = rule.take(&event, line, notes) {
                    return notes.flaw(reason, line, FlawPart::Whole);
                }
            }
        }
    }
}

/// A mapping or a sequence that has begun.
struct OpenNode {
    is_mapping: bool,
    keys: HashSet<String>,
    /// The key whose value comes next.
    key: Option<String>,
}

/// One document: what is known of it so far.
#[derive(Default)]
struct SigmaRule {
    line: u64,
    /// Offset of its beginning, in bytes.
    offset: u64,
    frames: Vec<OpenNode>,
    top: HashSet<String>,
    has_condition: bool,
    title: String,
    id: String,
    /// All of it in one form, whatever blanks and comments it has.
    content: String,
}

impl SigmaRule {
    fn take(&mut self, event: &Event<'_>, line: u64, notes: &mut Notes<'_>) -> Result<(), Reason> {
        match event {
            Event::Alias(_) => return Err(Reason::RuleSyntax),
            Event::Scalar(_, _, anchor, tag) if *anchor != 0 || tag.is_some() => return Err(Reason::RuleSyntax),
            Event::Scalar(text, ..) => {
                self.content.push_str(text);
                self.content.push('\0');
                self.scalar(text, line, notes)?;
            }
            Event::MappingStart(anchor, tag) | Event::SequenceStart(anchor, tag) => {
                let is_mapping = matches!(event, Event::MappingStart(..));
                let is_key = self.frames.last().is_some_and(|frame| frame.is_mapping && frame.key.is_none());
                if *anchor != 0 || tag.is_some() || is_key || (self.frames.is_empty() && !is_mapping) {
                    return Err(Reason::RuleSyntax);
                }
                if self.frames.len() == DEEPEST {
                    return Err(Reason::RuleTooLong);
                }
                self.content.push(if is_mapping { '{' } else { '[' });
                self.frames.push(OpenNode { is_mapping, keys: HashSet::new(), key: None });
            }
            Event::MappingEnd | Event::SequenceEnd => {
                self.content.push('}');
                self.frames.pop();
                self.value_ended();
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn scalar(&mut self, text: &str, line: u64, notes: &mut Notes<'_>) -> Result<(), Reason> {
        let depth = self.frames.len();
        let Some(frame) = self.frames.last_mut() else { return Err(Reason::RuleSyntax) };
        if frame.is_mapping && frame.key.is_none() {
            if !frame.keys.insert(text.to_owned()) {
                return Err(Reason::RuleDuplicate);
            }
            frame.key = Some(text.to_owned());
            if depth == 1 {
                // Old collections changed the rules after them by it.
                if text == "action" {
                    return Err(Reason::RuleSyntax);
                }
                self.top.insert(text.to_owned());
            }
            self.has_condition |= depth == 2 && text == "condition";
            let top = self.frames.first().and_then(|frame| frame.key.as_deref()).unwrap_or_default();
            let is_unknown = |modifier: &str| !MODIFIERS.contains(&modifier);
            if depth > 2 && matches!(top, "detection" | "filter") && text.split('|').skip(1).any(is_unknown) {
                notes.flaw(Reason::RuleKeyword, line, FlawPart::Whole);
            }
            return Ok(());
        }
        let top = self.frames.first().and_then(|frame| frame.key.as_deref()).unwrap_or_default();
        match (depth, top) {
            (1, "title") => text.clone_into(&mut self.title),
            (1, "id") => text.clone_into(&mut self.id),
            (_, "detection" | "filter") if self.is_pattern() && regex::explodes(text) => {
                notes.flaw(Reason::RuleCostly, line, FlawPart::Whole);
            }
            _ => {}
        }
        self.value_ended();
        Ok(())
    }

    /// True if the value at hand is a regular expression: `field|re`, perhaps with more modifiers.
    fn is_pattern(&self) -> bool {
        let key = self.frames.iter().rev().find_map(|frame| frame.key.as_deref()).unwrap_or_default();
        key.split('|').skip(1).any(|modifier| modifier == "re")
    }

    fn value_ended(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.key = None;
        }
    }

    fn end(&mut self, notes: &mut Notes<'_>) {
        let has = |key: &str| self.top.contains(key);
        let is_rule = has("detection") && has("logsource") && self.has_condition;
        let is_filter = has("filter");
        if self.title.trim().is_empty() || !(is_rule || is_filter || has("correlation")) {
            return notes.flaw(Reason::RuleSyntax, self.line, FlawPart::Whole);
        }
        // It takes away from what the rules it names detect.
        if is_filter {
            notes.flaw(Reason::RuleWeakensDetection, self.line, FlawPart::Whole);
        }
        let effect = if is_filter { Effect::Suppresses } else { Effect::Detects };
        let key = if self.id.is_empty() { &self.title } else { &self.id };
        notes.item(Item::new("sigma", key.as_bytes(), self.content.as_bytes(), self.offset, effect));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::InPieces;

    fn flaws(text: &str) -> Vec<(Reason, u64)> {
        let mut notes = Notes::default();
        read(&mut InPieces(text.as_bytes(), 5), &mut notes).unwrap();
        notes.into_flaws().into_iter().map(|flaw| (flaw.reason, flaw.line)).collect()
    }

    const GOOD: &str = "title: A rule\nid: 1\nlogsource:\n  product: windows\ndetection:\n  selection:\n    Image|endswith: '\\x.exe'\n    CommandLine|re:\n      - 'a+b'\n  condition: selection\n";

    #[test]
    fn each_trick_has_its_line() {
        assert_eq!(flaws(GOOD), []);
        assert_eq!(flaws(&format!("{GOOD}---\ntitle: C\ncorrelation:\n  type: event_count\n")), []);
        for (from, to, expected) in [
            ("title: A rule", "title: !!python/name:os.system x", (Reason::RuleSyntax, 1)),
            ("title: A rule", "title: &a x", (Reason::RuleSyntax, 1)),
            ("product: windows", "product: *a", (Reason::RuleSyntax, 4)),
            ("id: 1", "title: B", (Reason::RuleDuplicate, 2)),
            ("id: 1", "? [a]\n: b", (Reason::RuleSyntax, 2)),
            ("id: 1", "action: global", (Reason::RuleSyntax, 2)),
            ("a+b", "(a+)+b", (Reason::RuleCostly, 9)),
            ("Image|endswith", "Image|endswith|exec", (Reason::RuleKeyword, 7)),
            ("detection:", "filter:", (Reason::RuleWeakensDetection, 1)),
            ("  condition: selection\n", "", (Reason::RuleSyntax, 1)),
            ("logsource:", "logsource: {{", (Reason::RuleSyntax, 9)),
        ] {
            let found = flaws(&GOOD.replace(from, to));
            assert_eq!(found.first(), Some(&expected), "{to}: {found:?}");
        }
        // A bomb of aliases ends at its first anchor; nesting at its limit.
        let bomb = "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\ntitle: x\ndetection:\n condition: c\nlogsource:\n";
        assert_eq!(flaws(bomb), [(Reason::RuleSyntax, 1)]);
        let deep = format!("title: x\ndetection: {}\n", "[".repeat(5000));
        assert!(matches!(flaws(&deep)[..], [(Reason::RuleTooLong | Reason::RuleSyntax, 2)]), "{:?}", flaws(&deep));
        assert_eq!(flaws(&"#".repeat(LONGEST + 1)), [(Reason::RuleTooLong, 1)]);
    }
}
