//! Suricata and Snort rules, line by line: a strict form of the language, and what a rule does beside detecting.
//! Sources: the Suricata user guide, "Rules Format", "Lua scripting", "Datasets", "Bypass keyword"; the Snort 2.9
//! manual, section 3.
//!
//! ```text
//! rule    = action SP proto [SP address SP port SP ("->" | "<>" | "=>") SP address SP port] SP "(" options ")"
//! options = 1*( keyword [":" value] ";" )        keyword = 1*( a-z 0-9 . _ - )
//! ```
//!
//! One rule is one line of at most 8190 bytes: no continuation, of comments neither. A value ends at a `;` without a
//! backslash before it, as engines read it; quotes in it are closed. Where an engine could read a line in two ways,
//! it is not of this form. A keyword that is not among those that only look (`keywords.rs`) may not pass by itself.

use std::collections::HashSet;

use super::lines::{Grammar, TextLine};
use super::{keywords, regex};
use crate::item::{Effect, Item};
use crate::notes::Notes;
use base::Reason;

/// Longest line with its end, in bytes, comments too: Suricata reads at most 8191 at a time, and takes what is left
/// of a longer line, of a comment say, for a line of its own.
const LONGEST: usize = 8191;

/// Most rules in a file: their ids are remembered.
const MOST: usize = 1_000_000;

/// Keywords that run code in the engine.
const CODE: &[&str] = &["lua", "luajit", "luaxform", "so", "soid"];
/// Keywords that have the engine read files, or keep what passes by in files.
const FILES: &[&str] = &[
    "datarep",
    "filemd5",
    "filesha1",
    "filesha256",
    "filestore",
    "iprep",
    "logto",
    "session",
    "tag",
    "tls.store",
    "tls_store",
];
/// Keywords that stop or change traffic.
const KEYWORDS_THAT_ACT: &[&str] = &["nfq_set_mark", "react", "replace", "resp"];
/// Words in the value of `dataset` and `datajson` that name a file to be read or written.
const DATASET_FILES: &[&str] = &["load", "save", "state"];
/// Actions that stop or change traffic.
const ACTS: &[&str] = &["block", "drop", "reject", "rejectboth", "rejectdst", "rejectsrc", "sdrop"];
/// Actions that keep other rules, or the record, from seeing traffic.
const SILENCES: &[&str] = &["accept", "config", "pass"];
/// All others.
const DETECTS: &[&str] = &["activate", "alert", "dynamic", "log"];

/// Keywords that narrow when a rule speaks, or whether it does.
const LIMITS: &[&str] = &["detection_filter", "noalert", "threshold"];

/// The rules of one file.
#[derive(Default)]
pub struct Suricata {
    seen: HashSet<(u32, u32)>,
}

impl Grammar for Suricata {
    fn longest(&self) -> usize {
        LONGEST
    }

    fn line(&mut self, line: &TextLine<'_>, notes: &mut Notes<'_>) {
        // To some readers a backslash at the end makes the next line part of this one, be it a comment: the rule
        // there would be none.
        if line.text.ends_with('\\') {
            line.flaw(Reason::RuleSyntax, notes);
        } else if let Some(comment) = line.text.strip_prefix('#') {
            // A rule that was switched off is worth knowing; any other comment is not.
            let text = comment.trim_start_matches(['#', ' ', '\t']);
            if let Some((rule, id)) = parse(text).and_then(|rule| rule.id().map(|id| (rule, id))) {
                notes.item(item(&rule, id, text, line, Effect::Off));
            }
        } else if let Some(rule) = parse(line.text) {
            self.judge(&rule, line, notes);
        } else {
            line.flaw(Reason::RuleSyntax, notes);
        }
    }
}

impl Suricata {
    fn judge(&mut self, rule: &SuricataRule<'_>, line: &TextLine<'_>, notes: &mut Notes<'_>) {
        let mut effect = Effect::Detects;
        let mut reasons = Vec::new();
        if ACTS.contains(&rule.action) {
            effect = Effect::Acts;
            reasons.push(Reason::RuleActsOnTraffic);
        } else if SILENCES.contains(&rule.action) {
            effect = Effect::Suppresses;
            reasons.push(Reason::RuleWeakensDetection);
        } else if !DETECTS.contains(&rule.action) {
            reasons.push(Reason::RuleSyntax);
        }
        for (keyword, value) in &rule.options {
            // Engines take keywords in any case; this form has lower case alone.
            let reason = match *keyword {
                keyword if CODE.contains(&keyword) => Reason::RuleRunsCode,
                keyword if FILES.contains(&keyword) => Reason::RuleUsesFiles,
                "dataset" | "datajson" if names_a_file(value) => Reason::RuleUsesFiles,
                "bypass" => Reason::RuleWeakensDetection,
                "pcre" if explodes(value) => Reason::RuleCostly,
                keyword if KEYWORDS_THAT_ACT.contains(&keyword) => Reason::RuleActsOnTraffic,
                "config" => Reason::RuleWeakensDetection,
                keyword if !keywords::is_known(keyword) => Reason::RuleKeyword,
                _ => continue,
            };
            match reason {
                Reason::RuleWeakensDetection => effect = Effect::Suppresses,
                Reason::RuleActsOnTraffic => effect = effect.max(Effect::Acts),
                _ => {}
            }
            reasons.push(reason);
        }
        let id = rule.id();
        match id {
            None => reasons.push(Reason::RuleSyntax),
            Some(_) if self.seen.len() == MOST => reasons.push(Reason::RuleTooLong),
            Some(id) if !self.seen.insert(id) => reasons.push(Reason::RuleDuplicate),
            Some(_) => {}
        }
        for reason in reasons {
            line.flaw(reason, notes);
        }
        if let Some(id) = id {
            notes.item(item(rule, id, line.text, line, effect));
        }
    }
}

fn item(rule: &SuricataRule<'_>, (gid, sid): (u32, u32), text: &str, line: &TextLine<'_>, effect: Effect) -> Item {
    let is_limited = rule.options.iter().any(|(keyword, _)| LIMITS.contains(keyword));
    let key = format!("{gid}:{sid}");
    Item { is_limited, ..Item::new("suricata", key.as_bytes(), text.as_bytes(), line.span.from, effect) }
}

/// True if the pattern of a `pcre:"[!]/PATTERN/FLAGS"` takes exponential time.
fn explodes(value: &str) -> bool {
    let pattern = value.split_once('/').and_then(|(_, rest)| rest.rsplit_once('/'));
    pattern.is_some_and(|(pattern, _)| regex::explodes(pattern))
}

/// True if a dataset is read from, or kept in, a file.
fn names_a_file(value: &str) -> bool {
    let words = value.split(',').map(|part| part.split_whitespace().next().unwrap_or_default());
    words.skip(1).any(|word| DATASET_FILES.contains(&word))
}

/// A rule in its parts.
#[derive(Debug, PartialEq, Eq)]
struct SuricataRule<'a> {
    action: &'a str,
    options: Vec<(&'a str, &'a str)>,
}

impl SuricataRule<'_> {
    /// Generator and signature id: one of each, in decimal.
    fn id(&self) -> Option<(u32, u32)> {
        let number = |name: &str| {
            let mut values = self.options.iter().filter(|(keyword, _)| *keyword == name).map(|(_, value)| value.trim());
            match (values.next(), values.next()) {
                (None, _) => Some(None),
                (Some(text), None) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok().map(Some),
                _ => None,
            }
        };
        let (gid, sid) = (number("gid")?, number("sid")??);
        (sid > 0).then_some((gid.unwrap_or(1), sid))
    }
}

/// A line as a rule; `None`: it is not of the strict form.
fn parse(line: &str) -> Option<SuricataRule<'_>> {
    let open = line.find('(')?;
    let (header, rest) = line.split_at_checked(open)?;
    let mut options = Vec::new();
    let mut rest = rest.strip_prefix('(')?.trim_start();
    while let Some((option, after)) = option(rest)? {
        options.push(option);
        rest = after.trim_start();
    }
    // Nothing may stand after the closing bracket.
    (rest == ")" && !options.is_empty()).then_some(SuricataRule { action: head(header)?, options })
}

/// The action of a header that has all its parts.
fn head(header: &str) -> Option<&str> {
    if !header.bytes().all(|b| b == b' ' || b == b'\t' || b.is_ascii_graphic()) || header.contains(['"', ';', '\\']) {
        return None;
    }
    // Lists stand in brackets, and may have blanks in them.
    let (mut parts, mut depth, mut inside) = (Vec::new(), 0_u32, false);
    let mut start = 0;
    for (at, letter) in header.char_indices() {
        match letter {
            '[' => depth += 1,
            ']' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        let blank = depth == 0 && letter.is_ascii_whitespace();
        if inside && blank {
            parts.push(header.get(start..at)?);
        } else if !inside && !blank {
            start = at;
        }
        inside = !blank;
    }
    if inside {
        parts.push(header.get(start..)?);
    }
    let is_arrow = |part: Option<&&str>| matches!(part, Some(&("->" | "<>" | "=>")));
    let whole = depth == 0 && (parts.len() == 2 || (parts.len() == 7 && is_arrow(parts.get(4))));
    parts.first().copied().filter(|_| whole)
}

/// A keyword with its value.
type Option_<'a> = (&'a str, &'a str);

/// The next option and what follows it; `Some(None)` where there is none any more, `None` where it is not of the
/// strict form.
#[expect(clippy::option_option, reason = "an end is no fault")]
fn option(text: &str) -> Option<Option<(Option_<'_>, &str)>> {
    if text.starts_with(')') {
        return Some(None);
    }
    let is_letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    let end = text.bytes().position(|b| !is_letter(b)).filter(|end| *end > 0)?;
    let (keyword, rest) = text.split_at_checked(end)?;
    let rest = rest.trim_start();
    if let Some(after) = rest.strip_prefix(';') {
        return Some(Some(((keyword, ""), after)));
    }
    let rest = rest.strip_prefix(':')?;
    let (mut quoted, mut slashes) = (false, 0);
    for (at, letter) in rest.char_indices() {
        match letter {
            '\\' => {
                slashes += 1;
                continue;
            }
            // A backslash before it, itself after a backslash: some engines end the value here, others do not.
            ';' if slashes > 1 => return None,
            // Without its quote closed, an engine's idea of where the value ends is not ours.
            ';' if slashes == 0 => {
                let value = rest.get(..at)?.trim();
                let after = rest.get(at + 1..)?;
                return (!quoted).then_some(Some(((keyword, value), after)));
            }
            '"' if slashes % 2 == 0 => quoted = !quoted,
            _ => {}
        }
        slashes = 0;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cut::ByteSpan;
    use crate::flaw::Flaw;
    use crate::formats::lines;
    use crate::item::RECORD;
    use crate::source::tests::InPieces;

    fn flaws(text: &str) -> Vec<(Reason, u64)> {
        let whole = read(text, text.len().max(1));
        for piece in [1, 3, 7] {
            assert_eq!(read(text, piece), whole, "{text}");
        }
        // What each flaw says may be left out is its line.
        let mut at = 0;
        let spans: Vec<_> = text
            .split_inclusive('\n')
            .map(|line| {
                at += line.len() as u64;
                ByteSpan { from: at - line.len() as u64, size: line.len() as u64 }
            })
            .collect();
        assert!(
            whole.0.iter().all(|flaw| flaw.span() == spans.get(usize::try_from(flaw.line).unwrap() - 1).copied()),
            "{whole:?}"
        );
        whole.0.into_iter().map(|flaw| (flaw.reason, flaw.line)).collect()
    }

    fn read(text: &str, piece: usize) -> (Vec<Flaw>, Vec<u8>) {
        let mut items = Vec::new();
        let mut to = |records: &[u8]| items.extend_from_slice(records);
        let mut notes = Notes::new(&mut to);
        lines::read(&mut InPieces(text.as_bytes(), piece), &mut Suricata::default(), &mut notes).unwrap();
        notes.hand_over();
        (notes.into_flaws(), items)
    }

    #[test]
    fn each_rule_is_an_item() {
        let text = "# words\n#alert ip any any -> any any (sid:1;)\nalert ip any any -> any any (sid:2; noalert;)\n\
            drop ip any any -> any any (sid:3; gid:3;)\nalert ip any any -> any any (sid:4; bypass;)\n";
        let (_, records) = read(text, 5);
        let items: Vec<_> = records.chunks(RECORD).map(|record| Item::parse(record).unwrap()).collect();
        let told: Vec<_> = items.iter().map(|item| (item.effect, item.is_limited)).collect();
        let expected =
            [(Effect::Off, false), (Effect::Detects, true), (Effect::Acts, false), (Effect::Suppresses, false)];
        assert_eq!(told, expected);
        assert_eq!(items[0].offset, 8);
        // Switched off or on, it is the same rule with the same content.
        let (_, on) = read("alert ip any any -> any any (sid:1;)", 99);
        let on = Item::parse(&on).unwrap();
        assert_eq!((on.key, on.content), (items[0].key, items[0].content));
    }

    const GOOD: &str = r#"# a comment
alert tcp $HOME_NET any -> [1.2.3.4, ![5.6.7.0/24, 8.8.8.8]] [80,443] (msg:"a; (b) \; \"c\" \\ d"; content:"|3b 22|"; sid:1; rev:2;)

   alert http any any <> any any (msg:"flow";flow:established ; nocase; pcre:"/a\/b;?/Ri" ; flowbits:set,x; noalert; sid : 2 ;)
alert http ( msg:"snort 3"; sid:3; gid:1;)
log udp any any -> any 53 (msg:"é"; dataset:isset,seen,type string; sid:4;)
"#;

    #[test]
    fn ordinary_rules_have_no_flaw() {
        // An unescaped `;` ends a value even in quotes, as the engine has it: the last but one is not of the form.
        assert_eq!(flaws(&GOOD.replace("a; (b)", "a (b)").replace("b;?", "b\\;?")), []);
        assert_eq!(flaws(GOOD), [(Reason::RuleSyntax, 2), (Reason::RuleSyntax, 4)]);
    }

    #[test]
    fn what_is_no_rule_of_the_strict_form() {
        for line in [
            "alert tcp any any -> any any (msg:\"no sid\";)",
            "alert tcp any any -> any any (sid:0;)",
            "alert tcp any any -> any any (sid:1; sid:2;)",
            "alert tcp any any -> any any (sid:0x1;)",
            "alert tcp any any -> any any (sid:4294967296;)",
            "alert tcp any any -> any any (sid:1;) trailing",
            "alert tcp any any -> any any (sid:1;) # comment",
            "alert tcp any any -> any any (sid:1)",
            "alert tcp any any -> any any (sid:1;",
            "alert tcp any any -> any any sid:1;)",
            "alert tcp any any -> any any ()",
            "alert tcp any any any any (sid:1;)",
            "alert tcp any any -> any (sid:1;)",
            "alert tcp any any -> [any any (sid:1;)",
            "alert tcp any any -> any any (msg:\"open; sid:1;)",
            "alert tcp any any -> any any (msg:\"a\\\\;\"; sid:1;)",
            "alert tcp any any -> any any (LUA:x.lua; sid:1;)",
            "alert tcp any any -> any any (lua\\ :x.lua; sid:1;)",
            "alert tcp any any -> any any (: x; sid:1;)",
            "alert tcp any any -> any any (msg:\"x\"; \\",
            "launch tcp any any -> any any (sid:1;)",
            "include other.rules",
            "# a comment\ralert tcp any any -> any any (lua:x.lua; sid:1;)",
            "# a comment that takes the next line in \\",
            "alert tcp any any -> any any ((sid:1;)",
            "PASS tcp any any -> any any (sid:1;)",
            "accept:flow tcp any any -> any any (sid:1;)",
        ] {
            assert_eq!(flaws(line), [(Reason::RuleSyntax, 1)], "{line}");
            assert_eq!(flaws(&format!("# one\n\n{line}\r\n")), [(Reason::RuleSyntax, 3)], "{line}");
        }
        let long = format!("alert tcp any any -> any any (msg:\"{}\"; sid:1;)\n", "x".repeat(LONGEST));
        assert_eq!(flaws(&format!("{long}# fine\n")), [(Reason::RuleTooLong, 1)]);
        // A comment to us, and to an engine that reads by pieces a comment and a rule.
        let hidden = |fill: usize| format!("# fine\n#{}pass ip any any -> any any (sid:1;)\n", "x".repeat(fill));
        assert_eq!(flaws(&hidden(8190)), [(Reason::RuleTooLong, 2)]);
        let most = LONGEST - hidden(0).lines().last().unwrap().len() - 1;
        assert_eq!(flaws(&hidden(most)), []);
        assert_eq!(flaws(&hidden(most + 1)), [(Reason::RuleTooLong, 2)]);
    }

    #[test]
    fn what_a_rule_does_beside_detecting() {
        for (option, reason) in [
            ("lua:evil.lua", Reason::RuleRunsCode),
            ("lua :!evil.lua", Reason::RuleRunsCode),
            ("luaxform:evil.lua", Reason::RuleRunsCode),
            ("filestore", Reason::RuleUsesFiles),
            ("filemd5:list", Reason::RuleUsesFiles),
            ("dataset:set,x,type string,save /etc/passwd", Reason::RuleUsesFiles),
            ("dataset:isset, x, type md5,  load l.lst", Reason::RuleUsesFiles),
            ("bypass", Reason::RuleWeakensDetection),
            ("replace:\"x\"", Reason::RuleActsOnTraffic),
            ("resp:rst_all", Reason::RuleActsOnTraffic),
            ("logto:\"x\"", Reason::RuleUsesFiles),
            ("datajson:isset,x,type ip,load l.json", Reason::RuleUsesFiles),
        ] {
            let line = format!("alert tcp any any -> any any (msg:\"x\"; {option}; sid:9;)\n");
            assert_eq!(flaws(&line), [(reason, 1)], "{line}");
        }
        for (action, reason) in [
            ("pass", Reason::RuleWeakensDetection),
            ("config", Reason::RuleWeakensDetection),
            ("drop", Reason::RuleActsOnTraffic),
            ("rejectboth", Reason::RuleActsOnTraffic),
        ] {
            assert_eq!(flaws(&format!("{action} ip any any -> any any (sid:1;)")), [(reason, 1)], "{action}");
        }
        assert_eq!(flaws("alert ip any any -> any any (content:\"C:\\\\\"; dataset:isset,x,type md5; sid:1;)"), []);
        // In a text it is a word like any other.
        assert_eq!(flaws("alert ip any any -> any any (msg:\"lua: pass bypass\"; content:\"filestore\"; sid:1;)"), []);
        let twice = "alert ip any any -> any any (sid:5;)\nalert ip any any -> any any (gid:2; sid:5;)\nalert ip any any -> any any (sid:5; rev:9;)\n";
        assert_eq!(flaws(twice), [(Reason::RuleDuplicate, 3)]);
    }
}
