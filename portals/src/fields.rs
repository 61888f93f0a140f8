//! Reads the fields of one portal's table, and collects their faults.

use std::{collections::BTreeMap, fmt::Display};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};
use words::Fault;

/// A file, with methods that find the line of a fault.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    /// The file name shown in errors.
    pub file: &'a str,
    /// The file's content.
    pub text: &'a str,
}

impl Source<'_> {
    /// Returns the number of the line that contains the byte at `offset`, counted from 1.
    pub(crate) fn line(self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    pub(crate) fn fault(self, offset: usize, problem: impl Into<String>) -> Fault {
        Fault::new(self.file, self.line(offset), problem)
    }
}

/// A value and the position of its first byte in the file.
pub(crate) struct At<T> {
    pub value: T,
    pub offset: usize,
}

/// The fields of one portal's table. A field that has never been looked up counts as unknown.
pub(crate) struct Fields<'a> {
    source: Source<'a>,
    table: &'a DeTable<'a>,
    /// Position of the table's heading.
    offset: usize,
    /// The fields that have been looked up.
    known: Vec<&'static str>,
    /// The line number of each field that has been looked up and found.
    pub(crate) lines: BTreeMap<&'static str, usize>,
    pub(crate) faults: Vec<Fault>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(source: Source<'a>, table: &'a DeTable<'a>, offset: usize) -> Self {
        Self { source, table, offset, known: vec![], lines: BTreeMap::new(), faults: vec![] }
    }

    /// Adds a fault. `problem` continues the sentence that begins with the field's name.
    pub(crate) fn add(&mut self, field: &str, offset: usize, problem: impl Display) {
        self.faults.push(self.source.fault(offset, format!("`{field}` {problem}.")));
    }

    fn get(&mut self, field: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.push(field);
        let (key, value) = self.table.get_key_value(field)?;
        self.lines.insert(field, self.source.line(key.span().start));
        Some(value)
    }

    /// Returns the string in a field, or `None` if the field is missing. If the value is not a string, adds a fault and
    /// returns `None`.
    pub(crate) fn text(&mut self, field: &'static str) -> Option<At<&'a str>> {
        let value = self.get(field)?;
        self.as_text(field, value)
    }

    fn as_text(&mut self, field: &str, value: &'a Spanned<DeValue<'a>>) -> Option<At<&'a str>> {
        let offset = value.span().start;
        match value.get_ref() {
            DeValue::String(text) => Some(At { value: text, offset }),
            _ => {
                self.add(field, offset, "must be a string in quotes");
                None
            }
        }
    }

    /// Parses the string in a field with `parse`. Returns `None` if the field is missing or has a fault.
    pub(crate) fn parse<T, E: Display>(
        &mut self,
        field: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(field)?;
        self.read(field, text.offset, parse(text.value))
    }

    /// Like [`Fields::parse`], but adds a fault if the field is missing.
    pub(crate) fn required<T, E: Display>(
        &mut self,
        field: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.require(field);
        self.parse(field, parse)
    }

    /// Adds a fault if the field does not exist.
    pub(crate) fn require(&mut self, field: &'static str) {
        if !self.table.contains_key(field) {
            self.add(field, self.offset, "is missing");
        }
    }

    /// Returns the parsed value. If `value` is an error, adds it as a fault in the field and returns `None`.
    pub(crate) fn read<T, E: Display>(&mut self, field: &str, offset: usize, value: Result<T, E>) -> Option<T> {
        let fault = |problem: E| self.source.fault(offset, format!("`{field}`: {problem}."));
        value.map_err(|problem| self.faults.push(fault(problem))).ok()
    }

    /// Returns the list in a field, or `None` if the field is missing. If the value is not a list of at least one
    /// string, adds a fault and returns `None`.
    pub(crate) fn list(&mut self, field: &'static str) -> Option<Vec<At<&'a str>>> {
        let value = self.get(field)?;
        let offset = value.span().start;
        let DeValue::Array(entries) = value.get_ref() else {
            self.add(field, offset, "must be a list of strings, in square brackets");
            return None;
        };
        if entries.is_empty() {
            self.add(field, offset, "must not be an empty list");
            return None;
        }
        let texts: Vec<_> = entries.iter().filter_map(|entry| self.as_text(field, entry)).collect();
        (texts.len() == entries.len()).then_some(texts)
    }

    /// Parses each entry of the list in a field with `parse`. Returns `None` if the field is missing or has a fault.
    pub(crate) fn parse_list<T, E: Display>(
        &mut self,
        field: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<At<T>>> {
        let entries = self.list(field)?;
        let count = entries.len();
        let read = |At { value, offset }| Some(At { value: self.read(field, offset, parse(value))?, offset });
        let parsed: Vec<_> = entries.into_iter().filter_map(read).collect();
        (parsed.len() == count).then_some(parsed)
    }

    /// Adds a fault for each field that was not looked up.
    pub(crate) fn refuse_unknown(&mut self) {
        let unknown: Vec<_> =
            self.table.iter().filter(|(key, _)| !self.known.contains(&key.get_ref().as_ref())).collect();
        for (key, _) in unknown {
            let known = self.known.join(", ");
            self.add(
                key.get_ref(),
                key.span().start,
                format_args!("is not a field of a portal. The fields are {known}"),
            );
        }
    }
}
