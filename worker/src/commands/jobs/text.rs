//! Makes text about jobs safe to print: untrusted text cannot break JSON lines, and addresses are masked.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use outbox::history::story::FORGOTTEN;
use serde_json::Value;

use crate::commands::plain::is_unsafe;
pub(super) use crate::commands::plain::plain;

/// Writes a JSON value as one line. Apart from quotes and backslashes, JSON requires escapes only for the first 32
/// characters of Unicode, but this function escapes all characters that are unsafe to print.
pub(in crate::commands) fn json_line(value: &Value) -> String {
    let mut line = String::new();
    for c in value.to_string().chars() {
        if is_unsafe(c) {
            // Unsafe characters occur only within strings, where an escape is equivalent to the character. A character
            // above U+FFFF becomes a pair of escapes.
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(line, "\\u{unit:04x}").expect("writing to a String cannot fail");
            }
        } else {
            line.push(c);
        }
    }
    line
}

/// Which addresses are printed in full.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    /// Whether all addresses are printed in full.
    pub(super) all: bool,
    /// The address that the operator passed to the command, and therefore already knows.
    pub(super) known: Option<String>,
}

impl Names {
    /// The address as it is printed: in full, or masked.
    pub(super) fn show(&self, address: &str) -> String {
        if self.all || address == FORGOTTEN || self.known.as_deref() == Some(address) {
            return plain(address);
        }
        let (local, domain) = address.split_once('@').unwrap_or((address, ""));
        let first = local.chars().next().map(String::from).unwrap_or_default();
        plain(&format!("{first}***@{domain}"))
    }
}

/// A time in RFC 3339 format, in whole seconds.
pub(in crate::commands) fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A span of time in its largest unit, rounded down: `5s`, `12m`, `3h`, `2d`. A negative span is printed as `0s`.
pub(super) fn span(span: TimeDelta) -> String {
    let seconds = span.num_seconds().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Quotes an argument for a shell, if it needs quotes.
pub(super) fn quoted(argument: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@._:+/-".contains(&byte);
    if !argument.is_empty() && argument.bytes().all(is_plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_of_json_contains_no_character_that_is_unsafe_to_print() {
        let hostile = "a\u{1b}[2Jb\u{9b}c\u{202e}d\u{2028}e\r\nf\u{e0041}g é 木";
        let line = json_line(&json!({ "message": hostile }));
        assert!(!line.chars().any(is_unsafe), "{line}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["message"], hostile);
    }

    #[test]
    fn addresses_are_masked_unless_they_are_known() {
        let names = Names { all: false, known: Some("ann@example.com".to_owned()) };
        for (address, shown) in [
            ("ann@example.com", "ann@example.com"),
            ("bob@example.com", "b***@example.com"),
            ("c@d.example", "c***@d.example"),
            (FORGOTTEN, FORGOTTEN),
        ] {
            assert_eq!(names.show(address), shown);
        }
        assert_eq!(Names { all: true, known: None }.show("bob@example.com"), "bob@example.com");
    }

    #[test]
    fn spans_are_short_and_arguments_are_quoted() {
        for (seconds, text) in [(-5, "0s"), (59, "59s"), (60, "1m"), (7_199, "1h"), (172_800, "2d")] {
            assert_eq!(span(TimeDelta::seconds(seconds)), text);
        }
        for (argument, text) in
            [("1h", "1h"), ("a+b@example.com", "a+b@example.com"), ("o'x@a.b", r"'o'\''x@a.b'"), ("", "''")]
        {
            assert_eq!(quoted(argument), text);
        }
    }
}
