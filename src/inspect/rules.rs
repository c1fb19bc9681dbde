//! Rules for IDS, YARA and log scanners, told apart by their first words. Sources: the Suricata
//! user guide, "Rules Format"; the YARA documentation, "Writing YARA rules"; the Sigma rules
//! specification 2.0.

use super::kind::Seen;

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
pub fn is_suricata(seen: &Seen<'_>) -> bool {
    let Some(lines) = seen.lines.filter(|_| seen.extension == "rules") else { return false };
    let mut lines = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).peekable();
    let any = lines.peek().is_some();
    let first = lines.find(|line| !line.starts_with('#'));
    let begins = |line: &str| line.split_whitespace().next().is_some_and(|word| ACTIONS.contains(&word));
    any && first.is_none_or(begins)
}

/// The first word outside comments is one that may begin a YARA file, and a rule has a condition.
pub fn is_yara(seen: &Seen<'_>) -> bool {
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
pub fn is_sigma(seen: &Seen<'_>) -> bool {
    let lines = seen.lines.unwrap_or_default();
    let has = |key: &str| lines.iter().any(|line| line.starts_with(key));
    matches!(seen.extension, "yml" | "yaml")
        && has("title:")
        && (has("detection:") || has("correlation:") || has("filter:"))
}
