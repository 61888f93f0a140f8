//! A growing list that tests can wait on, such as the calls that a stand-in received or the mails that it accepted.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

/// Timeout of the `wait_for_…` methods that have no timeout parameter.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// The expected entry did not arrive before the timeout.
#[derive(Debug, thiserror::Error)]
#[error("timed out after {waited:?} waiting for {wanted}; got: {seen}")]
pub struct TimedOut {
    /// What the caller waited for.
    pub wanted: String,
    /// How long the caller waited.
    pub waited: Duration,
    /// A description of the journal's entries at the timeout, for the test's output.
    pub seen: String,
}

/// A list from which no entry is ever removed. Clones share the entries.
#[derive(Clone, Debug)]
pub(crate) struct Journal<T> {
    entries: Arc<Mutex<Vec<T>>>,
    changed: watch::Sender<u64>,
}

impl<T: Clone> Journal<T> {
    pub(crate) fn new() -> Self {
        Journal { entries: Arc::default(), changed: watch::Sender::new(0) }
    }

    /// Adds an entry and returns its number, counted from 0. `entry` builds the entry from that number.
    pub(crate) fn add(&self, entry: impl FnOnce(usize) -> T) -> usize {
        let number = self.with(|entries| {
            let number = entries.len();
            entries.push(entry(number));
            number
        });
        self.touch();
        number
    }

    /// Changes one entry.
    pub(crate) fn update(&self, number: usize, change: impl FnOnce(&mut T)) {
        self.with(|entries| entries.get_mut(number).map(change));
        self.touch();
    }

    /// A copy of one entry.
    pub(crate) fn get(&self, number: usize) -> Option<T> {
        self.with(|entries| entries.get(number).cloned())
    }

    /// A copy of all entries, oldest first.
    pub(crate) fn all(&self) -> Vec<T> {
        self.with(|entries| entries.clone())
    }

    /// A receiver that is notified of every change.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Waits until `found` returns a result, and returns that result. `seen` describes the entries for the error.
    pub(crate) async fn wait_for<R>(
        &self,
        timeout: Duration,
        wanted: &str,
        seen: impl Fn(&[T]) -> String,
        found: impl Fn(&[T]) -> Option<R>,
    ) -> Result<R, TimedOut> {
        let mut changes = self.changes();
        let search = async {
            loop {
                if let Some(result) = self.with(|entries| found(entries)) {
                    return Some(result);
                }
                changes.changed().await.ok()?;
            }
        };
        match tokio::time::timeout(timeout, search).await {
            Ok(Some(result)) => Ok(result),
            _ => Err(TimedOut { wanted: wanted.to_owned(), waited: timeout, seen: self.with(|entries| seen(entries)) }),
        }
    }

    /// Waits until there are at least this many entries, and returns all entries. `seen` describes the entries for the
    /// error.
    pub(crate) async fn wait_for_count(
        &self,
        count: usize,
        what: &str,
        seen: impl Fn(&[T]) -> String,
    ) -> Result<Vec<T>, TimedOut> {
        let enough = |entries: &[T]| (entries.len() >= count).then(|| entries.to_vec());
        self.wait_for(TIMEOUT, &format!("{count} {what}"), seen, enough).await
    }

    fn with<R>(&self, work: impl FnOnce(&mut Vec<T>) -> R) -> R {
        work(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn touch(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}
