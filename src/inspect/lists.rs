//! Lists: one value a line, `#` begins a comment line.

use std::net::IpAddr;

use super::kind::Seen;

const ANY: &[&str] = &["txt", "list"];

fn comment(line: &str) -> bool {
    line.starts_with('#')
}

fn is_list(seen: &Seen<'_>, own: &[&str], line: fn(&str) -> bool) -> bool {
    (ANY.contains(&seen.extension) || own.contains(&seen.extension)) && seen.all_lines(comment, line)
}

fn is_hex(line: &str, digits: usize) -> bool {
    line.len() == digits && line.bytes().all(|b| b.is_ascii_hexdigit())
}

/// 64 hex digits a line.
pub fn is_sha256(seen: &Seen<'_>) -> bool {
    is_list(seen, &["csv", "sha256"], |line| is_hex(line, 64))
}

/// 32 hex digits a line.
pub fn is_md5(seen: &Seen<'_>) -> bool {
    is_list(seen, &["csv", "md5"], |line| is_hex(line, 32))
}

/// An IPv4 or IPv6 address, or a block of them, a line.
pub fn is_ip(seen: &Seen<'_>) -> bool {
    is_list(seen, &["ipset", "netset"], |line| {
        let (address, width) = line.split_once('/').map_or((line, None), |(a, w)| (a, Some(w)));
        address.parse::<IpAddr>().is_ok_and(|address| {
            let most = if address.is_ipv4() { 32 } else { 128 };
            width.is_none_or(|w| w.parse::<u8>().is_ok_and(|w| w <= most))
        })
    })
}

/// A host name (RFC 1123, section 2.1) with at least two labels a line.
pub fn is_domain(seen: &Seen<'_>) -> bool {
    is_list(seen, &[], |line| {
        let label = |l: &str| {
            (1..=63).contains(&l.len())
                && l.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
                && !l.starts_with('-')
                && !l.ends_with('-')
        };
        line.len() <= 253 && line.contains('.') && line.split('.').all(label) && line.parse::<IpAddr>().is_err()
    })
}

/// An absolute http or https URL a line.
pub fn is_url(seen: &Seen<'_>) -> bool {
    is_list(seen, &[], |line| {
        let rest = line.strip_prefix("http://").or_else(|| line.strip_prefix("https://"));
        rest.is_some_and(|rest| !rest.is_empty()) && line.bytes().all(|b| b.is_ascii_graphic())
    })
}
