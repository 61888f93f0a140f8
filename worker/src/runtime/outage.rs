//! Tells of a database that is away once, however many parts of the worker meet it, and once when it is back.

use std::{
    fmt::Display,
    sync::{Mutex, PoisonError},
};

/// What keeps a statement from being done.
pub trait OutageError: Display {
    /// Whether the database is away, rather than that it refuses the statement.
    fn is_outage(&self) -> bool;
}

impl OutageError for outbox::Error {
    fn is_outage(&self) -> bool {
        Self::is_outage(self)
    }
}

impl OutageError for outbox::CommitError {
    fn is_outage(&self) -> bool {
        Self::is_outage(self)
    }
}

/// Whether the database is known to be away, and with what words.
#[derive(Debug, Default)]
pub struct OutageLog(Mutex<Option<String>>);

impl OutageLog {
    /// Passes a result on, and logs where it begins or ends an outage, or says something new about it.
    ///
    /// # Errors
    /// The error that was given.
    pub fn watch<T, E: OutageError>(&self, result: Result<T, E>) -> Result<T, E> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &result {
            Ok(_) => {
                if known.take().is_some() {
                    tracing::info!("the database is back");
                }
            }
            Err(error) => {
                let words = error.to_string();
                if known.as_ref() != Some(&words) {
                    if error.is_outage() {
                        tracing::warn!(%error, "the database is away: trying again until it is back (DATABASE_URL)");
                    } else {
                        tracing::error!(%error, "the database refuses a statement: trying again");
                    }
                    *known = Some(words);
                }
            }
        }
        result
    }
}
