//! How a setting is read: all faults at once, each with the variable's name and an example.

use std::{fmt, str::FromStr};

/// A setting that is missing or cannot be read. Never shows the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Name of the environment variable.
    pub variable: &'static str,
    /// What is wrong with it.
    pub problem: String,
    /// A value that would be right.
    pub example: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (example: {})", self.variable, self.problem, self.example)
    }
}

/// The faults met so far while settings are read.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Passes a good value on, and keeps the fault of a bad one.
    pub fn read<T, E: fmt::Display>(
        &mut self,
        variable: &'static str,
        example: &'static str,
        value: Result<T, E>,
    ) -> Option<T> {
        value.map_err(|problem| self.add(variable, example, problem.to_string())).ok()
    }

    /// Reads a value that stands for itself, such as an address or a number.
    pub fn parse<T: FromStr<Err: fmt::Display>>(
        &mut self,
        variable: &'static str,
        example: &'static str,
        text: &str,
    ) -> Option<T> {
        self.read(variable, example, text.trim().parse())
    }

    /// A setting that has no default and must be there.
    pub fn required<'a, T: AsRef<str>>(
        &mut self,
        variable: &'static str,
        example: &'static str,
        value: Option<&'a T>,
    ) -> Option<&'a T> {
        let given = value.filter(|text| !text.as_ref().trim().is_empty());
        if given.is_none() {
            self.add(variable, example, "is missing".to_owned());
        }
        given
    }

    /// Keeps a fault.
    pub fn add(&mut self, variable: &'static str, example: &'static str, problem: String) {
        self.0.push(Fault { variable, problem, example });
    }

    /// The faults, in the order in which they were met.
    #[must_use]
    pub fn into_vec(self) -> Vec<Fault> {
        self.0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_its_variable_and_an_example() {
        let mut faults = Faults::default();
        assert_eq!(faults.parse::<u16>("PORT", "8080", "x"), None);
        assert_eq!(faults.required("KEY", "abc", None::<&String>), None);
        let lines: Vec<String> = faults.into_vec().iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["PORT: invalid digit found in string (example: 8080)", "KEY: is missing (example: abc)"]);
    }
}
