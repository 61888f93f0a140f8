//! A setting that is reloaded on SIGHUP.

use std::sync::{Arc, PoisonError, RwLock};

/// The current value of a setting. A caller that has read the value can use it until its work is done, even if the
/// value is replaced in the meantime.
#[derive(Debug)]
pub struct Live<T>(RwLock<Arc<T>>);

impl<T> Live<T> {
    /// Creates the setting with its first value.
    pub fn new(value: impl Into<Arc<T>>) -> Self {
        Self(RwLock::new(value.into()))
    }

    /// The most recent value.
    pub fn current(&self) -> Arc<T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the value. Callers that have already read the old value keep it.
    pub fn replace(&self, value: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
    }
}
