//! Names of feeds, channels, publishers and officers: they become folder names, URL parts and
//! words in signed statements, so one narrow form serves all.

/// Longest name in bytes.
pub const LONGEST: usize = 64;

/// True if `text` is a name: 1 to 64 of `a-z 0-9 . _ -`, first and last a letter or digit, no `..`.
pub fn is_name(text: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.len() <= LONGEST
        && edge(text.bytes().next())
        && edge(text.bytes().last())
        && !text.contains("..")
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
}

/// The rule in words, for messages.
pub const RULE: &str =
    "1 to 64 of a-z 0-9 . _ -, beginning and ending with a letter or digit, without two dots in a row";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow() {
        for good in ["clamav-daily", "a", "et.open_7", "9"] {
            assert!(is_name(good), "{good}");
        }
        let long = "a".repeat(65);
        for bad in ["", ".", "..", "a..b", "-a", "a-", "A", "a/b", "a b", "é", "a\n", &long] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }
}
