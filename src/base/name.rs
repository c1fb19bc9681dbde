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

/// Number that a file or folder of the state is named by, written as numbers are: `01` and `+1` are other names, and
/// none of ours.
pub fn number(name: &str) -> Option<u64> {
    name.parse::<u64>().ok().filter(|number| number.to_string() == name)
}

/// Number of a file `NUMBER.json`.
pub fn json_number(name: &str) -> Option<u64> {
    number(name.strip_suffix(".json")?)
}

/// The rule in words, for messages.
pub const RULE: &str =
    "1 to 64 of a-z 0-9 . _ -, beginning and ending with a letter or digit, without two dots in a row";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_name() {
        assert_eq!((number("0"), number("10"), json_number("7.json")), (Some(0), Some(10), Some(7)));
        let long = format!("{}0", u64::MAX);
        for bad in ["", "01", "+1", "-1", " 1", "1 ", "1.", "00", "٣", "0x1", &long] {
            assert_eq!((number(bad), json_number(&format!("{bad}.json"))), (None, None), "{bad:?}");
        }
        assert_eq!((json_number("1"), json_number("1.JSON")), (None, None));
    }

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
