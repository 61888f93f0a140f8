//! The notation for durations in the settings of both programs, such as `15m`. Quotas use it as well.

use std::time::Duration;

/// Longest duration that a setting may specify.
const LONGEST_SECONDS: u64 = 366 * 86_400;

/// Parses a duration from `1s` to `366d`: a whole number followed by the unit `s`, `m`, `h` or `d`. White space around
/// the text is ignored.
///
/// ```
/// assert_eq!(outbox::parse_duration("15m"), Ok(std::time::Duration::from_secs(900)));
/// ```
///
/// # Errors
/// A message for the operator that explains what is wrong with the setting.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let wrong = || format!("`{text}` is not a duration like 10s, 15m, 1h or 1d");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    match u64::from(number) * seconds {
        0 => Err(format!("`{text}` is zero: use at least 1s")),
        total if total > LONGEST_SECONDS => Err(format!("`{text}` is too long: use at most 366d")),
        total => Ok(Duration::from_secs(total)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, seconds) in [("1s", 1), ("15m", 900), ("1h", 3_600), ("1d", 86_400), (" 90s ", 90)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "m", "15", "15 m", "-1m", "1.5h", "1w", "0s", "15µ", "99999999d", "1h30m"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
