//! Logs each database outage once when it starts and once when it ends, although many tasks see the errors.

use std::{
    fmt::Display,
    sync::{Mutex, PoisonError},
};

/// A database error that may mean an outage.
pub trait OutageError: Display {
    /// True if the database is unavailable; false if it rejected the statement.
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

/// The message of the last logged error; `None` while the database works.
#[derive(Debug, Default)]
pub struct OutageLog(Mutex<Option<String>>);

impl OutageLog {
    /// Returns `result` unchanged. Logs the first error, an error with a new message, and the first success after an error.
    ///
    /// # Errors
    /// The error in `result`.
    pub fn observe<T, E: OutageError>(&self, result: Result<T, E>) -> Result<T, E> {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &result {
            Ok(_) => {
                if logged.take().is_some() {
                    tracing::info!("the database is back");
                }
            }
            Err(error) => {
                let message = error.to_string();
                if logged.as_ref() != Some(&message) {
                    if error.is_outage() {
                        tracing::warn!(%error, "the database is away: trying again until it is back (DATABASE_URL)");
                    } else {
                        tracing::error!(%error, "the database refuses a statement: trying again");
                    }
                    *logged = Some(message);
                }
            }
        }
        result
    }
}
