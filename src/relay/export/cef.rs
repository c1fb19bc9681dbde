//! ArcSight Common Event Format, version 0 ("Implementing ArcSight Common Event Format", revision 26): a header of
//! seven fields separated by bars, then pairs.
//!
//! ```text
//! CEF:0|gaprelay|gaprelay|0.1.0|import-refused|Import refused|5|rt=… externalId=… cn1=12 cn1Label=entry …
//! ```

use std::fmt::Write as _;

use super::fields::{EventFields, sentence};
use super::{ExportEntry, Severity};

/// CEF line of an entry.
pub fn line(exported: &ExportEntry<'_>) -> String {
    let kind = exported.kind();
    let mut out = format!(
        "CEF:0|gaprelay|gaprelay|{}|{kind}|{}|{}|",
        header(exported.version),
        header(&event_name(kind)),
        severity(exported.severity())
    );
    let fields = EventFields::of(exported);
    let mut pairs: Vec<(&str, String)> = vec![
        ("rt", (exported.entry.time.secs() * 1000).to_string()),
        ("externalId", exported.uid()),
        ("cn1", exported.number.to_string()),
        ("cn1Label", "entry".into()),
        ("cn2", exported.size.to_string()),
        ("cn2Label", "checkpointSize".into()),
        ("cs1", exported.log.to_owned()),
        ("cs1Label", "log".into()),
        ("cs2", exported.leaf()),
        ("cs2Label", "leafHash".into()),
        ("msg", sentence(exported)),
    ];
    pairs.extend(fields.reason.map(|reason| ("reason", reason.to_string())));
    pairs.extend(fields.operator.map(|operator| ("suser", operator.to_string())));
    pairs.extend(fields.officer.map(|officer| ("suser", officer.to_owned())));
    pairs.extend(fields.decision.map(|decision| ("act", decision.to_owned())));
    pairs.extend(fields.object.into_iter().flat_map(|object| [("cs3", object), ("cs3Label", "object".to_owned())]));
    pairs.extend(fields.path.map(|path| ("filePath", base::quoted::printable(path))));
    pairs.extend(fields.success.map(|success| ("outcome", if success { "success" } else { "failure" }.to_owned())));
    if let Some(attempt) = fields.attempt {
        let more = [
            ("cat", Some(&attempt.label)),
            ("dhost", attempt.host.as_ref().or(attempt.sni.as_ref())),
            ("requestClientApplication", attempt.user_agent.as_ref()),
            ("deviceProcessName", attempt.by.as_ref()),
        ];
        pairs.extend([("act", "refused".to_owned()), ("cnt", attempt.count.to_string())]);
        if attempt.agent.parse::<std::net::IpAddr>().is_ok() {
            pairs.extend([("src", attempt.agent.clone()), ("spt", attempt.port.to_string())]);
        }
        pairs.extend([("requestMethod", attempt.method.clone()), ("request", attempt.target.clone())]);
        pairs.extend(more.into_iter().filter_map(|(key, value)| Some((key, value?.clone()))));
    }
    let mut space = "";
    for (key, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        // Writing to a string cannot fail.
        let _ = write!(out, "{space}{key}={}", extension(value));
        space = " ";
    }
    out
}

fn event_name(kind: &str) -> String {
    let words = kind.replace('-', " ");
    let mut letters = words.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// Severity as CEF has it, 0 to 10.
fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Informational => 1,
        Severity::Low => 3,
        Severity::Medium => 5,
        Severity::High => 8,
        Severity::Critical => 10,
    }
}

/// Escapes a field of the header: backslash and bar, on one line.
fn header(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ")
}

/// Escapes a value of the extension: backslash, equals sign and line ends.
fn extension(text: &str) -> String {
    text.replace('\\', "\\\\").replace('=', "\\=").replace('\n', "\\n").replace('\r', "\\r")
}

/// Value of `key` in a line, without the escapes; `None` if the line has no such key.
pub fn value(line: &str, key: &str) -> Option<String> {
    let (_, extension) = line.rsplit_once("|rt=").map(|(before, rest)| (before, format!(" rt={rest}")))?;
    // An equals sign inside a value has a backslash before it, so no value can be mistaken for a key.
    let start = extension.find(&format!(" {key}="))? + key.len() + 2;
    let rest = extension.get(start..)?;
    let mut value = String::new();
    let mut letters = rest.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next()? {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                other => value.push(other),
            },
            ' ' if begins_key(letters.as_str()) => break,
            other => value.push(other),
        }
    }
    Some(value)
}

/// True if the text begins with a key and its equals sign.
fn begins_key(text: &str) -> bool {
    let key: String = text.chars().take_while(char::is_ascii_alphanumeric).collect();
    !key.is_empty() && text.get(key.len()..).is_some_and(|rest| rest.starts_with('='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Entry, Event};
    use base::Timestamp;
    use serve::journal::Attempt;

    #[test]
    fn hostile_values_stay_in_their_field() {
        let (label, hostile) = ("x|y".to_owned(), "a|b=c\\ cn1=999\n cs1=evil");
        let attempt = Attempt { agent: "10.0.0.7".into(), label, target: hostile.into(), ..Attempt::default() };
        let entry = Entry { time: Timestamp::from_secs(1_700_000_000), event: Event::Attempt(attempt) };
        let bytes = serde_json::to_vec(&entry).unwrap();
        let exported = ExportEntry {
            log: "r/access/1",
            number: 7,
            size: 9,
            bytes: &bytes,
            entry: &entry,
            file: None,
            version: "0.1.0",
        };
        let line = line(&exported);
        assert!(
            line.starts_with(
                "CEF:0|gaprelay|gaprelay|0.1.0|attempt|Attempt|3|rt=1700000000000 externalId=r/access/1/7 "
            )
        );
        assert_eq!(line.lines().count(), 1);
        for (key, expected) in [
            ("cn1", "7"),
            ("cn2", "9"),
            ("cs1", "r/access/1"),
            ("src", "10.0.0.7"),
            ("request", hostile),
            ("cat", "x|y"),
        ] {
            assert_eq!(value(&line, key).as_deref(), Some(expected), "{key} in {line}");
        }
        assert_eq!(value(&line, "cs2").as_deref(), Some(exported.leaf().as_str()));
    }
}
