//! Rules for IDS, YARA and log scanners, told apart by their first words. Sources: the Suricata
//! user guide, "Rules Format"; the YARA documentation, "Writing YARA rules"; the Sigma rules
//! specification 2.0.

use super::lines::{Grammar, TextLine};
use super::seen::FirstBytes;
use crate::item::{Effect, Item};
use crate::kind::Kind;
use crate::notes::Notes;
use base::Reason;

const ACTIONS: &[&str] = &[
    "alert",
    "pass",
    "drop",
    "reject",
    "rejectsrc",
    "rejectdst",
    "rejectboth",
    "config",
    "log",
    "activate",
    "dynamic",
];

/// The first line that is no comment begins as a rule does. A file of comments alone is one too: vendors ship
/// files whose every rule is switched off.
pub fn is_suricata(seen: &FirstBytes<'_>) -> bool {
    let Some(lines) = seen.lines.filter(|_| seen.extension == "rules") else { return false };
    let mut lines = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).peekable();
    let any = lines.peek().is_some();
    let first = lines.find(|line| !line.starts_with('#'));
    let begins = |line: &str| line.split_whitespace().next().is_some_and(|word| ACTIONS.contains(&word));
    any && first.is_none_or(begins)
}

/// The first word outside comments is one that may begin a YARA file, and a rule has a condition.
pub fn is_yara(seen: &FirstBytes<'_>) -> bool {
    if !matches!(seen.extension, "yar" | "yara") {
        return false;
    }
    let Some(lines) = seen.lines else { return false };
    let text = lines.join("\n");
    let mut rest = text.trim_start();
    while rest.starts_with("//") || rest.starts_with("/*") {
        let end = if rest.starts_with("//") { "\n" } else { "*/" };
        rest = rest.split_once(end).map(|(_, after)| after.trim_start()).unwrap_or_default();
    }
    let first = rest.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    matches!(first, "rule" | "private" | "global" | "import" | "include") && text.contains("condition:")
}

/// The keys that a Sigma rule, a correlation or a filter has, at the beginning of a line.
pub fn is_sigma(seen: &FirstBytes<'_>) -> bool {
    let lines = seen.lines.unwrap_or_default();
    let has = |key: &str| lines.iter().any(|line| line.starts_with(key));
    matches!(seen.extension, "yml" | "yaml")
        && has("title:")
        && (has("detection:") || has("correlation:") || has("filter:"))
}

/// Lines of the files beside the rules (Suricata user guide, "Classification", "Reference", "Thresholding Keywords").
pub struct ConfigLines(Kind);

impl ConfigLines {
    /// Of this kind.
    pub fn new(kind: Kind) -> Self {
        Self(kind)
    }
}

impl Grammar for ConfigLines {
    fn longest(&self) -> usize {
        8192
    }

    fn line(&mut self, line: &TextLine<'_>, notes: &mut Notes<'_>) {
        let text = line.text;
        if text.starts_with('#') {
            return;
        }
        // A backslash at the end makes the next line part of this one.
        let good = !text.ends_with('\\')
            && match self.0 {
                Kind::SuricataConfig => config(text),
                Kind::SuricataThreshold => threshold(text),
                _ => map(text),
            };
        if !good {
            return line.flaw(Reason::RuleSyntax, notes);
        }
        if self.0 == Kind::SuricataThreshold {
            line.flaw(Reason::RuleWeakensDetection, notes);
            notes.item(Item::value(self.0.name(), text.as_bytes(), line.span.from, Effect::Suppresses));
        }
    }
}

/// `config classification: NAME,TEXT,PRIORITY` or `config reference: NAME URL`.
fn config(line: &str) -> bool {
    let Some(rest) = line.strip_prefix("config ").map(str::trim_start) else { return false };
    if let Some(rest) = rest.strip_prefix("classification:") {
        let fields: Vec<&str> = rest.split(',').map(str::trim).collect();
        return matches!(fields.as_slice(), [name, .., priority]
            if fields.len() == 3 && !name.is_empty() && priority.parse::<u8>().is_ok());
    }
    let fields = rest.strip_prefix("reference:").map(|rest| rest.split_whitespace().collect::<Vec<_>>());
    matches!(fields.as_deref(), Some([name, url]) if !name.is_empty() && !url.is_empty())
}

/// `threshold …`, `suppress …`, `event_filter …` or `rate_filter …`.
fn threshold(line: &str) -> bool {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    matches!(word, "threshold" | "suppress" | "event_filter" | "rate_filter") && rest.contains("sig_id")
}

/// `SID || MESSAGE || REFERENCE…`, or `GID || SID || MESSAGE`.
fn map(line: &str) -> bool {
    let mut fields = line.split("||").map(str::trim);
    fields.next().is_some_and(|id| id.parse::<u32>().is_ok()) && fields.next().is_some_and(|text| !text.is_empty())
}

/// Classifications and references.
pub fn is_config(seen: &FirstBytes<'_>) -> bool {
    is_named(seen) && seen.first_line(|line| line.starts_with('#'), config)
}

/// Thresholds and suppressions.
pub fn is_threshold(seen: &FirstBytes<'_>) -> bool {
    is_named(seen) && seen.first_line(|line| line.starts_with('#'), threshold)
}

/// Names of rules.
pub fn is_map(seen: &FirstBytes<'_>) -> bool {
    seen.extension == "map" && seen.first_line(|line| line.starts_with('#'), map)
}

fn is_named(seen: &FirstBytes<'_>) -> bool {
    matches!(seen.extension, "config" | "conf")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_beside_the_rules() {
        let flaws = |kind: Kind, text: &str| -> Vec<Reason> {
            crate::formats::flaws_of(kind, text.as_bytes()).into_iter().map(|flaw| flaw.reason).collect()
        };
        let classes =
            "# x\nconfig classification: not-suspicious,Not Suspicious Traffic,3\nconfig reference: url http://\n";
        assert_eq!(flaws(Kind::SuricataConfig, classes), []);
        assert_eq!(flaws(Kind::SuricataConfig, "config logging: disable\n"), [Reason::RuleSyntax]);
        assert_eq!(flaws(Kind::SuricataConfig, "config classification: a,b,1 \\\n"), [Reason::RuleSyntax]);
        let suppress = "suppress gen_id 1, sig_id 2009557, track by_src, ip 10.0.0.0/8\n";
        assert_eq!(flaws(Kind::SuricataThreshold, suppress), [Reason::RuleWeakensDetection]);
        assert_eq!(flaws(Kind::SidMap, "2000005 || ET X || url,a.example\n1 || 2 || x\n"), []);
        assert_eq!(flaws(Kind::SidMap, "x || y\n"), [Reason::RuleSyntax]);
    }
}
