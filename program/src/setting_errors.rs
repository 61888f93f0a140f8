//! Collects the errors of all settings, so that one start reports every bad setting, each with the variable's name, the
//! problem and an example.

use std::{
    fmt::{self, Display},
    net::SocketAddr,
    ops::RangeInclusive,
    str::FromStr,
    vec,
};

/// A setting that is missing or cannot be used. `problem` must not show the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError {
    /// Name of the environment variable.
    pub variable: &'static str,
    /// What is wrong with the setting.
    pub problem: String,
    /// An example of a valid value.
    pub example: &'static str,
}

impl Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (example: {})", self.variable, self.problem, self.example)
    }
}

/// The errors found so far, in the order in which the settings were read.
///
/// Every method that reads a setting returns `None` after it has added an error. A caller reads all its settings before
/// it checks for `None`, so that all errors are found:
///
/// ```
/// let mut errors = program::SettingErrors::default();
/// let port = errors.in_range("PORT", "8080", "eighty", 1..=65_535);
/// let is_public = errors.parse_bool("PUBLIC", "true", "yes");
/// let settings = port.zip(is_public);
///
/// let lines: Vec<String> = errors.into_result(settings).unwrap_err().into_iter().map(|error| error.to_string()).collect();
/// assert_eq!(
///     lines,
///     ["PORT: `eighty` is not a number from 1 to 65535 (example: 8080)", "PUBLIC: `yes` is neither true nor false (example: true)"]
/// );
/// ```
#[derive(Debug, Default)]
pub struct SettingErrors(Vec<SettingError>);

impl SettingErrors {
    /// Returns the value if it is valid. Otherwise, adds the error.
    pub fn read<T, E: Display>(
        &mut self,
        variable: &'static str,
        example: &'static str,
        value: Result<T, E>,
    ) -> Option<T> {
        value.map_err(|problem| self.add(variable, example, problem.to_string())).ok()
    }

    /// Returns the value if it is valid. Otherwise, adds an error for each of its problems.
    pub fn read_all<T, E: Display>(
        &mut self,
        variable: &'static str,
        example: &'static str,
        value: Result<T, Vec<E>>,
    ) -> Option<T> {
        let add = |problem: E| self.add(variable, example, problem.to_string());
        value.map_err(|problems| problems.into_iter().for_each(add)).ok()
    }

    /// Trims and parses a value. Use this method only for types whose errors explain what a valid value looks like,
    /// which the standard library's errors do not.
    pub fn parse<T: FromStr<Err: Display>>(
        &mut self,
        variable: &'static str,
        example: &'static str,
        text: &str,
    ) -> Option<T> {
        self.read(variable, example, text.trim().parse())
    }

    /// Parses `true` or `false`.
    pub fn parse_bool(&mut self, variable: &'static str, example: &'static str, text: &str) -> Option<bool> {
        let text = text.trim();
        self.read(variable, example, text.parse().map_err(|_| format!("`{text}` is neither true nor false")))
    }

    /// Parses an IP address with a port.
    pub fn parse_address(&mut self, variable: &'static str, example: &'static str, text: &str) -> Option<SocketAddr> {
        let text = text.trim();
        let problem = || format!("`{text}` is not an IP address with a port");
        self.read(variable, example, text.parse().map_err(|_| problem()))
    }

    /// Parses a number that must be within `range`.
    pub fn in_range<T: FromStr + PartialOrd + Display>(
        &mut self,
        variable: &'static str,
        example: &'static str,
        text: &str,
        range: RangeInclusive<T>,
    ) -> Option<T> {
        let text = text.trim();
        let number = text.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let (from, to) = (range.start(), range.end());
            self.add(variable, example, format!("`{text}` is not a number from {from} to {to}"));
        }
        number
    }

    /// Returns a setting that has no default. An empty or blank value is also an error.
    pub fn required<'a, T: AsRef<str> + ?Sized>(
        &mut self,
        variable: &'static str,
        example: &'static str,
        value: Option<&'a T>,
    ) -> Option<&'a T> {
        let problem = match value {
            None => "is missing",
            Some(text) if text.as_ref().trim().is_empty() => "is empty",
            Some(text) => return Some(text),
        };
        self.add(variable, example, problem.to_owned());
        None
    }

    /// Adds an error.
    pub fn add(&mut self, variable: &'static str, example: &'static str, problem: String) {
        self.0.push(SettingError { variable, problem, example });
    }

    /// All errors on one line, without the examples, for the log of a program that continues to run.
    #[must_use]
    pub fn faults(&self) -> String {
        let faults: Vec<String> = self.0.iter().map(|error| format!("{}: {}", error.variable, error.problem)).collect();
        faults.join("; ")
    }

    /// Returns the settings, unless one of them was bad.
    ///
    /// # Errors
    /// All errors, if there are any. `settings` may be `None` only if an error was added.
    pub fn into_result<T>(self, settings: Option<T>) -> Result<T, Self> {
        match settings {
            Some(settings) if self.0.is_empty() => Ok(settings),
            _ => Err(self),
        }
    }
}

impl IntoIterator for SettingErrors {
    type Item = SettingError;
    type IntoIter = vec::IntoIter<SettingError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(errors: SettingErrors) -> Vec<String> {
        errors.into_iter().map(|error| error.to_string()).collect()
    }

    #[test]
    fn an_error_includes_its_variable_and_an_example() {
        let mut errors = SettingErrors::default();
        assert_eq!(errors.parse_address("LISTEN", "127.0.0.1:80", "80"), None);
        assert_eq!(errors.parse_bool("PUBLIC", "true", "yes"), None);
        assert_eq!(errors.required("KEY", "abc", None::<&String>), None);
        assert_eq!(
            lines(errors),
            [
                "LISTEN: `80` is not an IP address with a port (example: 127.0.0.1:80)",
                "PUBLIC: `yes` is neither true nor false (example: true)",
                "KEY: is missing (example: abc)"
            ]
        );
    }

    #[test]
    fn bounds_are_inclusive_and_a_number_outside_them_is_reported() {
        for (text, number, problem) in [
            ("2", Some(2), None),
            (" 1000 ", Some(1000), None),
            ("1", None, Some("`1` is not a number from 2 to 1000")),
            ("1001", None, Some("`1001` is not a number from 2 to 1000")),
            ("99999999999", None, Some("`99999999999` is not a number from 2 to 1000")),
            ("", None, Some("`` is not a number from 2 to 1000")),
            ("-1", None, Some("`-1` is not a number from 2 to 1000")),
            ("many", None, Some("`many` is not a number from 2 to 1000")),
        ] {
            let mut errors = SettingErrors::default();
            assert_eq!(errors.in_range::<u32>("CONNECTIONS", "10", text, 2..=1000), number, "{text}");
            let expected = problem.map(|problem| format!("CONNECTIONS: {problem} (example: 10)"));
            assert_eq!(lines(errors), Vec::from_iter(expected), "{text}");
        }
    }

    #[test]
    fn a_required_value_must_not_be_blank() {
        for (value, problem) in [
            (Some("abc"), None),
            (Some(" abc"), None),
            (Some(" "), Some("is empty")),
            (Some(""), Some("is empty")),
            (None, Some("is missing")),
        ] {
            let mut errors = SettingErrors::default();
            assert_eq!(errors.required("KEY", "abc", value), value.filter(|_| problem.is_none()), "{value:?}");
            let expected = problem.map(|problem| format!("KEY: {problem} (example: abc)"));
            assert_eq!(lines(errors), Vec::from_iter(expected), "{value:?}");
        }
    }

    #[test]
    fn settings_are_returned_only_if_there_are_no_errors() {
        assert_eq!(SettingErrors::default().into_result(Some(1)).ok(), Some(1));
        // The value was read, but a later check that compares two settings failed.
        let mut errors = SettingErrors::default();
        errors.add("LIFETIME", "1h", "is less than DEADLINE".to_owned());
        assert_eq!(
            errors.into_result(Some(1)).map_err(lines),
            Err(vec!["LIFETIME: is less than DEADLINE (example: 1h)".to_owned()])
        );
    }
}
