//! `.env`: parsed values do not change when they are written and parsed again, a plain value is taken literally, and no
//! error shows any part of the file.

use program::dotenv::{Assignment, BadLine, parse};

/// Every problem that an error can report.
const PROBLEMS: [BadLine; 6] = [
    BadLine::NotAssignment,
    BadLine::NeedsQuotes,
    BadLine::UnclosedQuote,
    BadLine::BadEscape,
    BadLine::Nul,
    BadLine::NotUtf8,
];

/// Parses the input as a `.env` file and returns whether every line is valid.
pub fn dotenv(input: &[u8]) -> bool {
    assert_plain_value_is_literal(input);
    match parse(input) {
        Ok(assignments) => {
            assert_round_trip(&assignments);
            true
        }
        Err(errors) => {
            let lines = input.split(|&byte| byte == b'\n').count();
            let mut last = 0;
            for error in errors {
                let text = error.to_string();
                let (line, problem) =
                    text.strip_prefix(".env: line ").and_then(|text| text.split_once(": ")).expect("a line number");
                let line: usize = line.parse().expect("a line's number");
                assert!(last < line && line <= lines, "{text} after line {last} of {lines}");
                assert!(PROBLEMS.iter().any(|known| known.to_string() == problem), "{text}");
                last = line;
            }
            false
        }
    }
}

/// A value that is written in single or double quotes must parse to the original value.
fn assert_round_trip(assignments: &[Assignment]) {
    let mut file = String::new();
    for Assignment { name, value } in assignments {
        assert!(name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'), "{name:?}");
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.".contains(&b)), "{name:?}");
        assert!(!value.contains('\0'), "{value:?}");
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
        file += &if value.contains('\'') {
            format!("export {name}=\"{escaped}\" # it's a \"comment\"\r\n")
        } else {
            format!("{name} = '{value}'\n")
        };
    }
    assert_eq!(parse(file.as_bytes()).ok().as_deref(), Some(assignments), "{file:?}");
}

/// A value that contains no quotes, backslashes, white space or NUL does not have to be quoted, unless it begins with
/// `#`.
fn assert_plain_value_is_literal(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let is_plain = |c: char| c != '\0' && c != '\\' && c != '\'' && c != '"' && !c.is_whitespace();
    let value: String = text.trim_start_matches('#').chars().filter(|&c| is_plain(c)).collect();
    let value = value.trim_start_matches('#');
    let read = parse(format!("KEY={value}\n").as_bytes()).expect("a plain value");
    assert_eq!(read, [Assignment { name: "KEY".to_owned(), value: value.to_owned() }]);
}
