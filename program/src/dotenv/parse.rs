//! Splits a `.env` file into assignments, and keeps track of the line numbers for errors.

use super::{
    DotenvError,
    line::{BadLine, parse_assignment},
};

/// An assignment, `NAME=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Letters, digits, `_` and `.`; begins with a letter or `_`.
    pub name: String,
    /// The value without quotes and escapes. Contains no NUL.
    pub value: String,
}

/// Parses the content of a `.env` file. The assignments are in the order of their lines.
///
/// - Blank lines, and lines that begin with `#`, are skipped. A byte order mark and Windows line ends are allowed.
/// - An assignment is `NAME=value` or `export NAME=value`. The name and the value may have white space around them.
/// - The value may be quoted as a whole or in parts. In single quotes, everything is literal. In double quotes and
///   without quotes, `\` escapes `\`, `'`, `"`, `$` and a space, and `\n` is a line break.
/// - A quoted value may span several lines.
/// - Outside quotes, `#` begins a comment if it follows white space or the `=`.
/// - `$` has no special meaning.
///
/// # Errors
/// One [`DotenvError`] for each bad line. If the file is not valid UTF-8, only its first invalid line.
pub fn parse(file: &[u8]) -> Result<Vec<Assignment>, Vec<DotenvError>> {
    let text = str::from_utf8(file).map_err(|error| {
        vec![DotenvError::BadLine { line: 1 + line_breaks(&file[..error.valid_up_to()]), problem: BadLine::NotUtf8 }]
    })?;
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    let (mut assignments, mut errors) = (Vec::new(), Vec::new());
    while !rest.is_empty() {
        let (parsed, after) = parse_assignment(rest);
        match parsed {
            Ok(assignment) => assignments.extend(assignment),
            Err(problem) => errors.push(DotenvError::BadLine { line, problem }),
        }
        line += line_breaks(&rest.as_bytes()[..rest.len() - after.len()]);
        rest = after;
    }
    if errors.is_empty() { Ok(assignments) } else { Err(errors) }
}

fn line_breaks(text: &[u8]) -> usize {
    text.iter().filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(String, String)> {
        let assignments = parse(text.as_bytes()).unwrap_or_else(|errors| panic!("{text:?}: {errors:?}"));
        assignments.into_iter().map(|Assignment { name, value }| (name, value)).collect()
    }

    #[test]
    fn a_value_is_read_without_quotes_escapes_and_comments() {
        for (line, value) in [
            ("KEY=1", "1"),
            ("  KEY = 1 \t", "1"),
            ("export KEY=1", "1"),
            ("KEY=", ""),
            ("KEY=   # a comment", ""),
            ("KEY=#no", ""),
            ("KEY=a # it's a comment", "a"),
            ("KEY=a  # it's a comment", "a"),
            ("KEY=a#b", "a#b"),
            ("KEY=a=b==", "a=b=="),
            ("KEY='a b'", "a b"),
            ("KEY=\"a b\" # a comment", "a b"),
            ("KEY='a\\b $c \"d\"'", "a\\b $c \"d\""),
            ("KEY=\"a\\\\b\\\"c\\'d\\$e\\nf\\ g\"", "a\\b\"c'd$e\nf g"),
            ("KEY=a\\ b", "a b"),
            ("KEY=a\"b c\"d' e'", "ab cd e"),
            ("KEY='one\ntwo'", "one\ntwo"),
            ("KEY=\"one\n# two\n\nthree\"", "one\n# two\n\nthree"),
            ("KEY=\"Example Portal <sign-in@mg.example.com>\"", "Example Portal <sign-in@mg.example.com>"),
            ("KEY=größe", "größe"),
            ("KEY=a\u{a0}", "a"),
            ("KEY=a\u{a0}b", "a\u{a0}b"),
            ("KEY=a\u{a0}# it's a comment", "a"),
        ] {
            for text in
                [line.to_owned(), format!("{line}\n"), format!("\u{feff}{line}\r\n"), format!("#\n\n{line}\n#\n")]
            {
                assert_eq!(values(&text), [("KEY".to_owned(), value.to_owned())], "{text:?}");
            }
        }
    }

    #[test]
    fn a_dollar_sign_is_literal() {
        for value in ["$HOME", "pa$$word", "${HOME}", "a$", "$", "$1$abc${"] {
            for text in [format!("KEY={value}"), format!("KEY=\"{value}\""), format!("KEY='{value}'")] {
                assert_eq!(values(&text), [("KEY".to_owned(), value.to_owned())], "{text}");
            }
        }
    }

    #[test]
    fn a_name_may_contain_dots_and_may_be_export() {
        let names = |text: &str| values(text).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names("_a.B1=x\nexport=1\nexport  export =1\r\nb=\n"), ["_a.B1", "export", "export", "b"]);
    }

    #[test]
    fn the_error_for_a_bad_line_has_the_line_number_and_the_problem() {
        for (line, problem) in [
            ("sesame", BadLine::NotAssignment),
            ("=sesame", BadLine::NotAssignment),
            ("1KEY=sesame", BadLine::NotAssignment),
            ("MY-KEY=sesame", BadLine::NotAssignment),
            ("KEY sesame=1", BadLine::NotAssignment),
            ("export", BadLine::NotAssignment),
            ("export KEY", BadLine::NotAssignment),
            ("KEY: sesame", BadLine::NotAssignment),
            ("MAIL_FROM=Example Portal <sesame@mg.example.com>", BadLine::NeedsQuotes),
            ("KEY=open\tsesame", BadLine::NeedsQuotes),
            ("KEY='open' sesame", BadLine::NeedsQuotes),
            ("KEY='open\nsesame' 'x'", BadLine::NeedsQuotes),
            ("KEY='sesame", BadLine::UnclosedQuote),
            ("KEY=\"sesame\\\"", BadLine::UnclosedQuote),
            ("KEY=C:\\sesame", BadLine::BadEscape),
            ("KEY=\"C:\\sesame\"", BadLine::BadEscape),
            ("KEY=sesame\\", BadLine::BadEscape),
            ("KEY=sesame\0", BadLine::Nul),
        ] {
            for before in ["", "# 1\n", "A=1\r\nB='\n'\n"] {
                let text = format!("{before}{line}\n");
                let errors = parse(text.as_bytes()).unwrap_err();
                let [DotenvError::BadLine { line: number, problem: found }] = errors.as_slice() else {
                    panic!("{text:?}: {errors:?}")
                };
                assert_eq!((*number, *found), (1 + before.matches('\n').count(), problem), "{text:?}");
                assert!(!errors[0].to_string().contains("sesame"), "{}", errors[0]);
            }
        }
        let errors = parse(b"A=1\nKEY=sesame\xff\n").unwrap_err();
        assert_eq!(errors[0].to_string(), ".env: line 2: is not valid UTF-8");
    }

    #[test]
    fn the_lines_after_a_bad_one_are_checked_too() {
        let errors = parse(b"A=a b\nB='a\nb' c\nC=1\nD\nE='\n").unwrap_err();
        let lines: Vec<String> =
            errors.iter().map(|error| error.to_string().split(": ").nth(1).unwrap().to_owned()).collect();
        assert_eq!(lines, ["line 1", "line 2", "line 5", "line 6"]);
    }
}
