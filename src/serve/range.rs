//! Range requests (RFC 9110, section 14): one range of bytes, or the whole.

/// Part of a file of some length that a `Range` header asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it: no range, one that we do not understand, or several.
    Whole,
    /// From the first to the last byte, both included.
    Part(u64, u64),
    /// Nothing that exists: 416.
    Nothing,
}

/// Reads a `Range` header's value.
pub fn wanted(header: &str, length: u64) -> Wanted {
    let Some(spec) = header.strip_prefix("bytes=").map(str::trim) else { return Wanted::Whole };
    let Some((first, last)) = spec.split_once('-') else { return Wanted::Whole };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit());
        if digits { text.parse::<u64>().ok() } else { None }
    };
    match (first, number(first), last, number(last)) {
        ("", _, _, Some(0)) => Wanted::Nothing,
        ("", _, _, Some(_)) if length == 0 => Wanted::Nothing,
        ("", _, _, Some(suffix)) => Wanted::Part(length.saturating_sub(suffix), length - 1),
        (_, Some(first), "", _) if first < length => Wanted::Part(first, length - 1),
        (_, Some(first), _, Some(last)) if first > last => Wanted::Whole,
        (_, Some(first), _, Some(last)) if first < length => Wanted::Part(first, last.min(length - 1)),
        (_, Some(_), "", _) | (_, Some(_), _, Some(_)) => Wanted::Nothing,
        _ => Wanted::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (header, length, expected) in [
            ("bytes=0-511", 1000, Wanted::Part(0, 511)),
            ("bytes=0-0", 1, Wanted::Part(0, 0)),
            ("bytes=500-", 1000, Wanted::Part(500, 999)),
            ("bytes=-100", 1000, Wanted::Part(900, 999)),
            ("bytes=-2000", 1000, Wanted::Part(0, 999)),
            ("bytes=900-2000", 1000, Wanted::Part(900, 999)),
            ("bytes=1000-", 1000, Wanted::Nothing),
            ("bytes=1000-1001", 1000, Wanted::Nothing),
            ("bytes=-0", 1000, Wanted::Nothing),
            ("bytes=0-", 0, Wanted::Nothing),
            ("bytes=5-4", 1000, Wanted::Whole),
            ("bytes=0-1,5-6", 1000, Wanted::Whole),
            ("bytes=a-b", 1000, Wanted::Whole),
            ("bytes=-", 1000, Wanted::Whole),
            ("bytes=99999999999999999999-", 1000, Wanted::Whole),
            ("lines=0-1", 1000, Wanted::Whole),
        ] {
            assert_eq!(wanted(header, length), expected, "{header}");
        }
    }
}
