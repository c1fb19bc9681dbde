//! Numbers as people read them.

/// Number with a comma after every third digit from the right: `5,360`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Change from one number to another in whole percent, with its sign: `+4 %`, `−78 %`, `±0 %`; less than half a percent
/// is `up by less than 1 %` or `down by less than 1 %`. From nothing there is no percentage.
pub(crate) fn percent_change(before: u64, after: u64) -> Option<String> {
    let difference = u128::from(before.abs_diff(after));
    let (hundreds, half) = (difference.saturating_mul(100), u128::from(before / 2));
    let percent = hundreds.saturating_add(half).checked_div(u128::from(before))?;
    Some(match (difference, percent) {
        (0, _) => "±0 %".to_owned(),
        (_, 0) if after > before => "up by less than 1 %".to_owned(),
        (_, 0) => "down by less than 1 %".to_owned(),
        (_, percent) if after > before => format!("+{percent} %"),
        (_, percent) => format!("−{percent} %"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_and_percentages() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (5_360, "5,360"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(number), text);
        }
        for (before, after, text) in [
            (5_360, 1_167, Some("−78 %")),
            (100, 104, Some("+4 %")),
            (7, 7, Some("±0 %")),
            (100_000, 100_001, Some("up by less than 1 %")),
            (100_000, 99_999, Some("down by less than 1 %")),
            (0, 9, None),
            (u64::MAX, 0, Some("−100 %")),
        ] {
            assert_eq!(percent_change(before, after).as_deref(), text, "{before} to {after}");
        }
    }
}
