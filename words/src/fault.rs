//! The errors of this crate.

use std::{
    fmt::{self, Display},
    io,
    path::Path,
};

use super::language::Language;

/// Why a message cannot be formatted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// There are no messages in the language.
    #[error("there are no messages in the language {language}")]
    UnknownLanguage {
        /// The language.
        language: Language,
    },
    /// Neither the catalogue of the language nor the English catalogue has the message.
    #[error("the language {language} has no message `{id}`")]
    UnknownMessage {
        /// The language.
        language: Language,
        /// The message.
        id: String,
    },
    /// Formatting the message failed: for example, an argument is missing, or the message refers to something that does
    /// not exist.
    #[error("the message `{id}` in the language {language} ({file}:{line}) is broken: {reason}")]
    BrokenMessage {
        /// The language.
        language: Language,
        /// The message.
        id: String,
        /// The file that contains the message.
        file: String,
        /// The line number, starting at 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The CLDR data for the language is incomplete.
    #[error("there are no formats for dates and numbers in the language {language}: {reason}")]
    NoData {
        /// The language.
        language: Language,
        /// What is missing.
        reason: String,
    },
}

impl WordsError {
    pub(crate) fn no_data(language: Language, reason: &impl Display) -> Self {
        Self::NoData { language, reason: reason.to_string() }
    }
}

/// A fault in an operator's file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file.
    pub file: String,
    /// The line number, starting at 1, or 0 if the fault concerns the whole file.
    pub line: usize,
    /// What is wrong and, in some cases, what to do.
    pub problem: String,
}

impl Fault {
    /// A fault in a line of a file. Line 0 means the whole file.
    #[must_use]
    pub fn new(file: &str, line: usize, problem: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, problem: problem.into() }
    }

    /// A fault that concerns a whole file or folder.
    #[must_use]
    pub fn of_file(path: &Path, problem: impl Into<String>) -> Self {
        Self::new(&path.display().to_string(), 0, problem)
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, problem } = self;
        if *line == 0 { write!(f, "{file}: {problem}") } else { write!(f, "{file}:{line}: {problem}") }
    }
}

/// Why a file or folder cannot be read, as a sentence for [`Fault::of_file`].
#[must_use]
pub fn problem_of_file(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "No such file or folder.",
        io::ErrorKind::PermissionDenied => "The program does not have permission to read this path.",
        io::ErrorKind::NotADirectory => "This path is not a folder.",
        io::ErrorKind::IsADirectory => "This path is a folder.",
        _ => "The file or folder cannot be read.",
    }
}
