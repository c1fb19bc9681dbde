//! Range requests (RFC 9110, section 14): one range of bytes, or the whole.

/// Part of a file of some length that a `Range` header asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantedRange {
    /// All of it: no range, one that we do not understand, or several.
    Whole,
    /// From the first to the last byte, both included.
    Part(u64, u64),
    /// Nothing that exists: 416.
    Nothing,
}

/// Reads a `Range` header's value.
pub fn wanted(header: &str, length: u64) -> WantedRange {
    let Some(spec) = header.strip_prefix("bytes=").map(str::trim) else { return WantedRange::Whole };
    let Some((first, last)) = spec.split_once('-') else { return WantedRange::Whole };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit());
        if digits { text.parse::<u64>().ok() } else { None }
    };
    match (first, number(first), last, number(last)) {
        ("", _, _, Some(0)) => WantedRange::Nothing,
        ("", _, _, Some(_)) if length == 0 => WantedRange::Nothing,
        ("", _, _, Some(suffix)) => WantedRange::Part(length.saturating_sub(suffix), length - 1),
        (_, Some(first), "", _) if first < length => WantedRange::Part(first, length - 1),
        (_, Some(first), _, Some(last)) if first > last => WantedRange::Whole,
        (_, Some(first), _, Some(last)) if first < length => WantedRange::Part(first, last.min(length - 1)),
        (_, Some(_), "", _) | (_, Some(_), _, Some(_)) => WantedRange::Nothing,
        _ => WantedRange::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (header, length, expected) in [
            ("bytes=0-511", 1000, WantedRange::Part(0, 511)),
            ("bytes=0-0", 1, WantedRange::Part(0, 0)),
            ("bytes=500-", 1000, WantedRange::Part(500, 999)),
            ("bytes=-100", 1000, WantedRange::Part(900, 999)),
            ("bytes=-2000", 1000, WantedRange::Part(0, 999)),
            ("bytes=900-2000", 1000, WantedRange::Part(900, 999)),
            ("bytes=1000-", 1000, WantedRange::Nothing),
            ("bytes=1000-1001", 1000, WantedRange::Nothing),
            ("bytes=-0", 1000, WantedRange::Nothing),
            ("bytes=0-", 0, WantedRange::Nothing),
            ("bytes=5-4", 1000, WantedRange::Whole),
            ("bytes=0-1,5-6", 1000, WantedRange::Whole),
            ("bytes=a-b", 1000, WantedRange::Whole),
            ("bytes=-", 1000, WantedRange::Whole),
            ("bytes=99999999999999999999-", 1000, WantedRange::Whole),
            ("lines=0-1", 1000, WantedRange::Whole),
        ] {
            assert_eq!(wanted(header, length), expected, "{header}");
        }
    }
}
