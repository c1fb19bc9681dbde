//! Lists of indicators: one value a line, `#` begins a comment line. Sources: RFC 1123, section 2.1 (host names);
//! RFC 4632 and RFC 4291 (blocks of addresses); RFC 3986 (URLs), of which printable ASCII is asked for.

use std::net::IpAddr;

use super::lines::{Grammar, TextLine};
use super::seen::FirstBytes;
use crate::item::{Effect, Item};
use crate::kind::Kind;
use crate::notes::Notes;
use base::Reason;

const ANY: &[&str] = &["txt", "list"];

/// Longest line, in bytes.
const LONGEST: usize = 8192;

/// The values of a list of this kind.
pub struct List(Kind);

impl List {
    /// Of this kind.
    pub fn new(kind: Kind) -> Self {
        Self(kind)
    }
}

impl Grammar for List {
    fn longest(&self) -> usize {
        LONGEST
    }

    fn line(&mut self, line: &TextLine<'_>, notes: &mut Notes<'_>) {
        let text = line.text;
        if comment(text) {
            return;
        }
        let is_good = match self.0 {
            Kind::Sha256List => sha256(text),
            Kind::Md5List => md5(text),
            Kind::IpList => ip(text),
            Kind::DomainList => domain(text),
            _ => url(text),
        };
        if !is_good || line.is_padded {
            return line.flaw(Reason::RuleSyntax, notes);
        }
        // Of addresses that are written in several ways, and of URLs, the text is the value.
        let value = if self.0 == Kind::UrlList { text.to_owned() } else { text.to_ascii_lowercase() };
        notes.item(Item::value(self.0.name(), value.as_bytes(), line.span.from, Effect::Detects));
    }
}

fn comment(line: &str) -> bool {
    line.starts_with('#')
}

fn is_list(seen: &FirstBytes<'_>, own: &[&str], line: fn(&str) -> bool) -> bool {
    (ANY.contains(&seen.extension) || own.contains(&seen.extension)) && seen.first_line(comment, line)
}

fn is_hex(line: &str, digits: usize) -> bool {
    line.len() == digits && line.bytes().fold(true, |all, b| all & b.is_ascii_hexdigit())
}

fn sha256(line: &str) -> bool {
    is_hex(line, 64)
}

fn md5(line: &str) -> bool {
    is_hex(line, 32)
}

/// An IPv4 or IPv6 address, or a block of them.
fn ip(line: &str) -> bool {
    let (address, width) = line.split_once('/').map_or((line, None), |(a, w)| (a, Some(w)));
    address.parse::<IpAddr>().is_ok_and(|address| {
        let most = if address.is_ipv4() { 32 } else { 128 };
        width.is_none_or(|w| !w.starts_with('+') && w.parse::<u8>().is_ok_and(|w| w <= most))
    })
}

/// A host name with at least two labels.
fn domain(line: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    line.len() <= 253 && line.contains('.') && line.split('.').all(label) && line.parse::<IpAddr>().is_err()
}

/// An absolute http or https URL.
fn url(line: &str) -> bool {
    let rest = line.strip_prefix("http://").or_else(|| line.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty()) && line.bytes().all(|b| b.is_ascii_graphic())
}

/// 64 hex digits a line.
pub fn is_sha256(seen: &FirstBytes<'_>) -> bool {
    is_list(seen, &["csv", "sha256"], sha256)
}

/// 32 hex digits a line.
pub fn is_md5(seen: &FirstBytes<'_>) -> bool {
    is_list(seen, &["csv", "md5"], md5)
}

/// An address or a block a line.
pub fn is_ip(seen: &FirstBytes<'_>) -> bool {
    is_list(seen, &["ipset", "netset"], ip)
}

/// A host name a line.
pub fn is_domain(seen: &FirstBytes<'_>) -> bool {
    is_list(seen, &[], domain)
}

/// A URL a line.
pub fn is_url(seen: &FirstBytes<'_>) -> bool {
    is_list(seen, &[], url)
}
