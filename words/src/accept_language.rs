//! Reads the `Accept-Language` header (RFC 9110, §12.5.4). Malformed parts are skipped, because a browser's mistake
//! must not make a request fail.

/// Maximum number of bytes of the header that are read.
const MAX_LENGTH: usize = 1_024;
/// Maximum number of language ranges that are read.
const MAX_RANGES: usize = 32;
/// The weight, in thousandths, of a range that does not specify a weight.
const FULL_WEIGHT: u16 = 1_000;

/// The language ranges that a person accepts, in order of preference. Ranges with the same weight keep their order. `*`
/// is left out, because it does not specify a language.
pub(crate) fn ranges(header: &str) -> Vec<&str> {
    let mut ranges: Vec<(&str, u16)> = beginning(header).split(',').take(MAX_RANGES).filter_map(range).collect();
    ranges.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
    ranges.into_iter().map(|(tag, _)| tag).collect()
}

/// The ranges within the first [`MAX_LENGTH`] bytes. A range that extends beyond them is left out.
fn beginning(header: &str) -> &str {
    if header.len() <= MAX_LENGTH {
        return header;
    }
    let cut = header.floor_char_boundary(MAX_LENGTH);
    header[..cut].rsplit_once(',').map_or("", |(whole, _)| whole)
}

/// Parses a language range and its weight. Returns `None` if the range is empty or `*`, if its weight is 0 (not
/// accepted), or if its weight is malformed.
fn range(text: &str) -> Option<(&str, u16)> {
    let (tag, parameters) = text.split_once(';').map_or((text, None), |(tag, rest)| (tag, Some(rest)));
    let weight = parameters.map_or(Some(FULL_WEIGHT), weight)?;
    let tag = tag.trim();
    (weight > 0 && !tag.is_empty() && tag != "*").then_some((tag, weight))
}

/// Parses a weight, in thousandths: `q=0.8` is 800.
fn weight(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.trim().split_once('=')?;
    let (whole, thousandths) = value.split_once('.').unwrap_or((value, ""));
    let is_number = thousandths.len() <= 3 && thousandths.bytes().all(|byte| byte.is_ascii_digit());
    if !name.eq_ignore_ascii_case("q") || !is_number {
        return None;
    }
    let thousandths: u16 = format!("{thousandths:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(FULL_WEIGHT),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_ordered_by_their_weight() {
        for (header, expected) in [
            ("de", vec!["de"]),
            ("fr;q=0.5, de;q=0.8, en", vec!["en", "de", "fr"]),
            ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", vec!["fr-CH", "fr", "en", "de"]),
            ("de;q=0.123,en;q=0.124", vec!["en", "de"]),
            (" de ; Q=1.000 ,\ten ;q=1", vec!["de", "en"]),
            ("de;q=0, en;q=0.000", vec![]),
            ("de;q=1.001, de;q=2, de;q=-1, de;q=0.1234, de;q=, de;q, de;x=1, de;q=0.+1, en", vec!["en"]),
            ("", vec![]),
            (",,;;,", vec![]),
            ("*", vec![]),
        ] {
            assert_eq!(ranges(header), expected, "{header}");
        }
    }

    #[test]
    fn only_the_start_of_a_long_header_is_read() {
        let many = vec!["xx"; 32].join(",");
        assert_eq!(ranges(&format!("{many},de")).len(), 32);
        let long = format!("en;q=0.1,{},de", "é".repeat(600));
        assert_eq!(ranges(&long), ["en"]);
        assert!(ranges(&"d".repeat(2_000)).is_empty());
    }
}
