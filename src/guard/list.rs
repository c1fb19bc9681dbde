//! The list of vendors' endpoints: what ships with the program, and what a bundle adds to it. A list
//! that would take ordinary downloads for attempts is none.

use std::collections::BTreeSet;

use super::Endpoint;
use base::name::is_name;
use base::quoted;

/// List that ships with the program.
const SHIPPED: &str = include_str!("endpoints.json");
/// Longest list, in bytes.
pub const LONGEST: usize = 64 << 10;
/// Longest sentence, host, path or header, in bytes.
const LONGEST_TEXT: usize = 300;
/// Headers that ordinary clients send.
const ORDINARY: &[&str] = &[
    "accept",
    "accept-encoding",
    "accept-language",
    "authorization",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "pragma",
    "range",
    "te",
    "upgrade",
    "user-agent",
];

/// The endpoints that ship with the program.
pub fn shipped() -> Result<Vec<Endpoint>, String> {
    parse(SHIPPED.as_bytes())
}

/// True if this endpoint, taken in the place of the one with its label among `floor`, would be less: it lacks a host, a
/// path or a header of that one, or is no attempt to send where that one is.
pub fn is_reduction(endpoint: &Endpoint, floor: &[Endpoint]) -> bool {
    let lacks = |known: &[String], given: &[String]| known.iter().any(|pattern| !given.contains(pattern));
    floor.iter().filter(|known| known.label == endpoint.label).any(|known| {
        (known.submission && !endpoint.submission)
            || lacks(&known.hosts, &endpoint.hosts)
            || lacks(&known.paths, &endpoint.paths)
            || lacks(&known.headers, &endpoint.headers)
    })
}

/// Reads and checks a list; the error says what is wrong with it.
pub fn parse(bytes: &[u8]) -> Result<Vec<Endpoint>, String> {
    if bytes.len() >= LONGEST {
        return Err(format!("the list has {} bytes; it must have fewer than {LONGEST}", bytes.len()));
    }
    let endpoints: Vec<Endpoint> =
        serde_json::from_slice(bytes).map_err(|e| format!("the list cannot be read: {}", quoted(&e.to_string())))?;
    let mut labels = BTreeSet::new();
    for endpoint in &endpoints {
        let shown = quoted(&endpoint.label);
        if !is_name(&endpoint.label) || !labels.insert(&endpoint.label) {
            return Err(format!("the label \"{shown}\" is not a name, or stands twice"));
        }
        if let Some(wrong) = wrong(endpoint) {
            return Err(format!("{shown}: {wrong}"));
        }
    }
    if endpoints.is_empty() { Err("the list is empty".into()) } else { Ok(endpoints) }
}

fn wrong(endpoint: &Endpoint) -> Option<String> {
    let Endpoint { hosts, paths, headers, meaning, remedy, .. } = endpoint;
    let plain = |text: &str| text.len() <= LONGEST_TEXT && text.bytes().all(|b| (0x20..0x7f).contains(&b));
    if ![meaning, remedy].iter().all(|text| plain(text) && text.ends_with('.') && text.len() > 5) {
        return Some(format!(
            "meaning and remedy must be sentences of at most {LONGEST_TEXT} plain characters, with a full stop at the end"
        ));
    }
    let host = |text: &String| {
        let name = text.strip_prefix("*.").unwrap_or(text);
        let letters = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_');
        plain(text) && name.contains('.') && name.bytes().all(letters) && !name.starts_with('.') && !name.ends_with('.')
    };
    if let Some(bad) = hosts.iter().find(|text| !host(text)) {
        return Some(format!("\"{}\" is not a host name in lower case", quoted(bad)));
    }
    if let Some(bad) = paths.iter().find(|path| !plain(path) || !path.starts_with('/') || path.len() < 5) {
        return Some(format!(
            "the path \"{}\" does not begin with /, or is so short that ordinary downloads begin like it",
            quoted(bad)
        ));
    }
    let header = |text: &String| {
        plain(text) && !text.is_empty() && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    if let Some(bad) = headers.iter().find(|text| !header(text) || ORDINARY.contains(&text.as_str())) {
        return Some(format!(
            "the header \"{}\" is not a name in lower case, or is one that ordinary clients send",
            quoted(bad)
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(field: &str, value: &str) -> Result<Vec<Endpoint>, String> {
        let mut object = serde_json::json!({
            "label": "new-product", "submission": true, "hosts": [], "paths": [], "headers": [],
            "meaning": "A new product tried to send.", "remedy": "Turn it off there."
        });
        object[field] = serde_json::from_str(value).unwrap();
        parse(serde_json::json!([object]).to_string().as_bytes())
    }

    #[test]
    fn a_list_that_would_catch_downloads_is_none() {
        assert!(one("hosts", r#"["*.example.com", "up.example.org"]"#).is_ok());
        assert!(one("paths", r#"["/api/v9/samples"]"#).is_ok() && one("headers", r#"["x-new-key"]"#).is_ok());
        for (field, value) in [
            ("hosts", r#"["*"]"#),
            ("hosts", r#"["*.com."]"#),
            ("hosts", r#"["Example.com"]"#),
            ("paths", r#"["/"]"#),
            ("paths", r#"["/c"]"#),
            ("paths", r#"["clamav"]"#),
            ("headers", r#"["range"]"#),
            ("headers", r#"["X-Key"]"#),
            ("label", r#""A label""#),
            ("meaning", r#""no end""#),
            ("remedy", r#""turn\u001b[31m it off.""#),
        ] {
            assert!(one(field, value).is_err(), "{field} {value}");
        }
        assert!(parse(b"[]").is_err() && parse(b"{}").is_err() && parse(&vec![b' '; LONGEST]).is_err());
    }

    #[test]
    fn what_ships_is_a_list_and_none_of_it_is_lost() {
        let (base, newer) = (shipped().unwrap(), one("hosts", r#"["up.example.org"]"#).unwrap());
        assert!(base.iter().chain(&newer).all(|endpoint| !is_reduction(endpoint, &base)));
        let known = base.iter().find(|e| e.submission && !e.hosts.is_empty() && !e.paths.is_empty()).unwrap();
        let more = Endpoint { headers: vec!["x-more".into(); known.headers.len() + 1], ..known.clone() };
        assert_eq!(is_reduction(&more, &base), !known.headers.is_empty());
        for less in [
            Endpoint { submission: false, ..known.clone() },
            Endpoint { hosts: known.hosts[1..].to_vec(), ..known.clone() },
            Endpoint { paths: Vec::new(), ..known.clone() },
        ] {
            assert!(is_reduction(&less, &base));
        }
    }
}
