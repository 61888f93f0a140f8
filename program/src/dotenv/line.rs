//! Parses one assignment of a `.env` file.

use super::parse::Assignment;

/// What is wrong with a line. The message contains no part of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// The line does not begin with a name and `=`.
    #[error("is not NAME=value (example: LOG_FORMAT=json)")]
    NotAssignment,
    /// White space ends the value, but more text follows.
    #[error("quote the value, because white space ends it (example: NAME='one two')")]
    NeedsQuotes,
    /// A quote is opened, but not closed before the end of the file.
    #[error("quote the value on both sides: a quote is opened, but not closed (example: NAME='one two')")]
    UnclosedQuote,
    /// A backslash is followed by a character that it cannot escape, or by nothing.
    #[error("a backslash is not part of a valid escape: put the value in single quotes (example: NAME='a\\b')")]
    BadEscape,
    /// The value contains a NUL, which a variable cannot contain.
    #[error("contains a NUL character")]
    Nul,
    /// The line is not valid UTF-8.
    #[error("is not valid UTF-8")]
    NotUtf8,
}

/// Parses the first line of `text`, together with the lines on which its value continues. Returns `None` for a blank
/// line or a comment. Also returns the text that follows.
pub(super) fn parse_assignment(text: &str) -> (Result<Option<Assignment>, BadLine>, &str) {
    let line = text.split_inclusive('\n').next().unwrap_or_default();
    let after_line = &text[line.len()..];
    let content = line.trim_start();
    if content.is_empty() || content.starts_with('#') {
        return (Ok(None), after_line);
    }
    let Some((name, value)) = split_name(content) else { return (Err(BadLine::NotAssignment), after_line) };
    let name = name.to_owned();
    // A quoted value may continue on the next lines.
    let mut value = Value::new(&text[line.len() - value.len()..]);
    match value.parse() {
        Ok(()) if value.parsed.contains('\0') => (Err(BadLine::Nul), value.rest),
        Ok(()) => (Ok(Some(Assignment { name, value: value.parsed })), value.rest),
        Err(BadLine::UnclosedQuote) => (Err(BadLine::UnclosedQuote), after_line),
        Err(problem) => (Err(problem), value.rest.split_once('\n').map_or("", |(_, after)| after)),
    }
}

/// Splits a line at its first `=` into the name, without `export`, and the beginning of the value. Removes the white
/// space around the `=`.
fn split_name(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = split_word(line)?;
    let (name, rest) = match rest.strip_prefix('=') {
        Some(value) => (name, value),
        None if name == "export" => {
            let (name, rest) = split_word(rest)?;
            (name, rest.strip_prefix('=')?)
        }
        None => return None,
    };
    Some((name, rest.trim_start_matches(|c: char| c.is_whitespace() && c != '\n')))
}

/// Splits a line into the name at its beginning and the text that follows, without the white space between them.
fn split_word(line: &str) -> Option<(&str, &str)> {
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_').then(|| (name, rest.trim_start()))
}

/// A value that is being parsed.
struct Value<'a> {
    rest: &'a str,
    parsed: String,
}

impl<'a> Value<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text, parsed: String::new() }
    }

    fn next(&mut self) -> Option<char> {
        let first = self.rest.chars().next()?;
        self.rest = &self.rest[first.len_utf8()..];
        Some(first)
    }

    /// Parses the value up to the end of its last line.
    fn parse(&mut self) -> Result<(), BadLine> {
        if self.rest.starts_with('#') {
            return self.end_line();
        }
        loop {
            let line = self.rest.split('\n').next().unwrap_or_default();
            if line.trim_end().is_empty() {
                return self.end_line();
            }
            match self.next() {
                None => return Ok(()),
                Some(' ' | '\t') => return self.end_line(),
                Some(c) if c.is_whitespace() && self.rest.starts_with('#') => return self.end_line(),
                Some('\\') => self.parse_escape()?,
                Some('\'') => self.parse_single_quoted()?,
                Some('"') => self.parse_double_quoted()?,
                Some(c) => self.parsed.push(c),
            }
        }
    }

    /// Skips the rest of the line, which must be blank or a comment.
    fn end_line(&mut self) -> Result<(), BadLine> {
        let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        let line = line.trim_start();
        if !line.is_empty() && !line.starts_with('#') {
            return Err(BadLine::NeedsQuotes);
        }
        self.rest = rest;
        Ok(())
    }

    fn parse_single_quoted(&mut self) -> Result<(), BadLine> {
        let (quoted, rest) = self.rest.split_once('\'').ok_or(BadLine::UnclosedQuote)?;
        self.parsed.push_str(quoted);
        self.rest = rest;
        Ok(())
    }

    fn parse_double_quoted(&mut self) -> Result<(), BadLine> {
        loop {
            match self.next() {
                None => return Err(BadLine::UnclosedQuote),
                Some('"') => return Ok(()),
                Some('\\') => self.parse_escape()?,
                Some(c) => self.parsed.push(c),
            }
        }
    }

    fn parse_escape(&mut self) -> Result<(), BadLine> {
        let escaped = self.rest.chars().next().filter(|c| r#"\'"$ n"#.contains(*c)).ok_or(BadLine::BadEscape)?;
        self.next();
        self.parsed.push(if escaped == 'n' { '\n' } else { escaped });
        Ok(())
    }
}
