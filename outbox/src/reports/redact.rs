//! Makes an upstream's text safe to store and log: removes links, addresses, tokens, one-time codes and line breaks,
//! and shortens the text. Any word that looks like a secret is removed, even if it may be harmless.

/// Maximum length of the result, in characters.
const LONGEST: usize = 500;

/// A run of at least this many token characters is treated as a token if it includes a digit. A run that is at least
/// twice as long is always treated as a token. A link's hash has 56 characters, and a JWT has hundreds.
const LONGEST_WORD: usize = 24;

/// Replaces secrets with placeholders, and shortens the text.
#[must_use]
pub fn redact(text: &str) -> String {
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).map(word).collect();
    let mut line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
    }
    line
}

fn word(word: &str) -> &str {
    let lower = word.to_ascii_lowercase();
    if word.contains("://") || lower.contains("%3a%2f%2f") {
        "[link]"
    } else if word.contains('@') || lower.contains("%40") {
        "[address]"
    } else if runs(word).any(is_secret) {
        "[token]"
    } else {
        word
    }
}

/// Splits a word at punctuation that does not occur in tokens.
fn runs(word: &str) -> impl Iterator<Item = &str> {
    word.split(|c: char| !(c.is_ascii_alphanumeric() || "-_.+/~".contains(c)))
}

fn is_secret(run: &str) -> bool {
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    // A one-time code has 6 to 10 digits.
    let is_code = digits >= 6 && digits == run.len();
    is_code || (run.len() >= LONGEST_WORD && digits > 0) || run.len() >= 2 * LONGEST_WORD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_replaced_and_other_words_are_kept() {
        for (text, redacted) in [
            ("Invalid API key", "Invalid API key"),
            ("  two\r\nlines\0 ", "two lines"),
            ("see https://a.example/verify?token=1 now", "see [link] now"),
            ("to=https%3A%2F%2Fa.example", "[link]"),
            ("Key (email)=(ada@example.com) already exists.", "Key [address] already exists."),
            ("ada%40example.com", "[address]"),
            ("hash 2c7b1f2257212e7bb5681b6d9646425577ff1179cca643fa79f5eda3.", "hash [token]"),
            ("jwt eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJyb2xlIjoiYSJ9.x", "jwt [token]"),
            ("code 277397", "code [token]"),
        ] {
            assert_eq!(redact(text), redacted);
        }
    }

    #[test]
    fn text_that_operators_need_is_kept() {
        for text in [
            "request limit exceeded, try again after Fri, 18 Sep 2026 12:05:00 UTC",
            "Domain mg.portal.example is not allowed to send: Account disabled",
            "invalid JWT: unable to parse or verify signature, token is expired by 25488h9m",
        ] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn the_result_has_at_most_500_characters() {
        assert_eq!(redact(&"ö ".repeat(1_000)).chars().count(), 500);
    }
}
