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

/// Each line is a comment, empty, or a rule that ends in `)`; a rule may go on after a `\`.
pub fn is_suricata(seen: &Seen<'_>) -> bool {
    if seen.extension != "rules" {
        return false;
    }
    let Some(lines) = seen.lines else { return false };
    let (mut rules, mut continued) = (0, false);
    for line in lines.iter().map(|line| line.trim()) {
        let begins = continued || line.split_whitespace().next().is_some_and(|word| ACTIONS.contains(&word));
        continued = match line {
            "" if !continued => continue,
            _ if !continued && line.starts_with('#') => continue,
            _ if begins && line.ends_with('\\') => true,
            _ if begins && line.ends_with(')') => {
                rules += 1;
                false
            }
            _ => return false,
        };
    }
    rules > 0
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

/// The three keys every Sigma rule has, at the beginning of a line.
pub fn is_sigma(seen: &Seen<'_>) -> bool {
    let lines = seen.lines.unwrap_or_default();
    let has = |key: &str| lines.iter().any(|line| line.starts_with(key));
    matches!(seen.extension, "yml" | "yaml") && has("title:") && has("logsource:") && has("detection:")
}
