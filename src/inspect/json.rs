//! Indicators in JSON, told apart by the keys near the beginning. Sources: STIX 2.1, section 3.2;
//! MISP core format, section 2.2.

use super::kind::Seen;
use crate::guard;

/// An object that says it is a bundle.
pub fn is_stix(seen: &Seen<'_>) -> bool {
    is_object(seen) && squeezed(seen).contains("\"type\":\"bundle\"")
}

/// An object that holds an event.
pub fn is_misp(seen: &Seen<'_>) -> bool {
    is_object(seen) && squeezed(seen).starts_with("{\"Event\":{")
}

/// A whole list of endpoints, in every field as the relay would use it.
pub fn is_endpoints(seen: &Seen<'_>) -> bool {
    seen.extension == "json" && guard::list::parse(seen.head).is_ok()
}

fn is_object(seen: &Seen<'_>) -> bool {
    seen.extension == "json" && seen.head.trim_ascii_start().starts_with(b"{")
}

/// The beginning without white space. A one-line file has no whole line in a cut head, so the
/// bytes are looked at, not the lines.
fn squeezed(seen: &Seen<'_>) -> String {
    let head = seen.head.get(..4096).unwrap_or(seen.head);
    String::from_utf8_lossy(head).chars().filter(|c| !c.is_whitespace()).collect()
}
