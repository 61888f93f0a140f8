//! The messages of one language.

use std::{borrow::Cow, collections::HashMap};

use fluent_bundle::{FluentArgs, FluentError, FluentResource, concurrent::FluentBundle};

use super::{
    fault::WordsError,
    language::Language,
    part::{Part, Value, place, split},
};

/// A parsed file of messages.
pub(crate) struct Source {
    pub file: String,
    pub resource: FluentResource,
}

/// Where a message is defined.
struct Place {
    file: String,
    line: usize,
}

/// The messages of one language, which several threads may read concurrently.
pub(crate) struct Catalogue {
    pub language: Language,
    bundle: FluentBundle<FluentResource>,
    places: HashMap<String, Place>,
}

impl Catalogue {
    /// Creates a catalogue from several files. Messages in later files override those in earlier files.
    pub(crate) fn new(language: Language, sources: Vec<Source>) -> Self {
        // The tag selects the plural rules. For languages that Fluent does not support, it selects the English rules.
        let tag = language.tag().parse().unwrap_or_default();
        let mut bundle = FluentBundle::new_concurrent(vec![tag]);
        // Fluent must not add isolation characters around values: `Words::text` adds them where they are needed, and
        // templates use markup instead.
        bundle.set_use_isolating(false);
        let mut places = HashMap::new();
        for Source { file, resource } in sources {
            for (id, line) in lines(resource.source()) {
                places.insert(id.to_owned(), Place { file: file.clone(), line });
            }
            bundle.add_resource_overriding(resource);
        }
        Self { language, bundle, places }
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.bundle.has_message(id)
    }

    /// The file and the line of a message.
    pub(crate) fn place(&self, id: &str) -> (&str, usize) {
        self.places.get(id).map_or(("", 0), |place| (&place.file, place.line))
    }

    /// Formats a message, and returns the result in parts.
    ///
    /// # Errors
    /// The message does not exist, or cannot be formatted: for example, an argument is missing from `args`.
    pub(crate) fn parts<'a>(&self, id: &str, args: &[(&'a str, Value<'a>)]) -> Result<Vec<Part<'a>>, WordsError> {
        let formatted = self.format(id, args).ok_or_else(|| self.unknown(id))?;
        let formatted = formatted.map_err(|errors| self.broken(id, &errors))?;
        Ok(split(&formatted, args))
    }

    /// Formats a message with a placeholder character for each text value. Returns `None` if the message does not exist
    /// or has no text, or if there are more arguments than placeholder characters.
    fn format<'b>(&'b self, id: &str, args: &[(&str, Value<'_>)]) -> Option<Result<Cow<'b, str>, Vec<FluentError>>> {
        let pattern = self.bundle.get_message(id)?.value()?;
        let mut fluent_args = FluentArgs::with_capacity(args.len());
        for (position, (name, value)) in args.iter().enumerate() {
            match value {
                Value::Text(_) => fluent_args.set(*name, place(position)?),
                Value::Count(count) => fluent_args.set(*name, *count),
            }
        }
        let mut errors = vec![];
        let formatted = self.bundle.format_pattern(pattern, Some(&fluent_args), &mut errors).into_owned();
        Some(if errors.is_empty() { Ok(Cow::Owned(formatted)) } else { Err(errors) })
    }

    fn unknown(&self, id: &str) -> WordsError {
        WordsError::UnknownMessage { language: self.language, id: id.to_owned() }
    }

    fn broken(&self, id: &str, errors: &[FluentError]) -> WordsError {
        let (file, line) = self.place(id);
        let reason = |error: &FluentError| match error {
            FluentError::ResolverError(error) => error.to_string(),
            error => error.to_string(),
        };
        let reasons: Vec<String> = errors.iter().map(reason).collect();
        let (id, file) = (id.to_owned(), file.to_owned());
        WordsError::BrokenMessage { language: self.language, id, file, line, reason: reasons.join("; ") }
    }
}

/// The ids of messages and terms, and their line numbers. A term's id includes its leading dash. An id always begins at
/// the start of a line.
pub(crate) fn lines(source: &str) -> impl Iterator<Item = (&str, usize)> {
    source.lines().zip(1..).filter_map(|(line, number)| {
        let (id, _) = line.split_once('=')?;
        let is_id = id.starts_with(|first: char| first.is_ascii_alphabetic() || first == '-');
        is_id.then(|| (id.trim_end(), number))
    })
}
