//! A cache whose entries expire.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Values by key, each with the time at which it expires. The size is not limited: the caller limits how many values
/// are added.
#[derive(Debug)]
pub(super) struct TtlCache<T>(Mutex<HashMap<String, (T, Instant)>>);

impl<T> Default for TtlCache<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> TtlCache<T> {
    /// The value for `key`, unless it has expired.
    pub(super) fn get(&self, key: &str) -> Option<T> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(key).filter(|(_, expires_at)| *expires_at > Instant::now()).map(|(value, _)| value.clone())
    }

    /// Stores a value that expires after `valid_for`, and removes the values that have expired.
    pub(super) fn insert(&self, key: &str, value: T, valid_for: Duration) {
        let now = Instant::now();
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, (_, expires_at)| *expires_at > now);
        entries.insert(key.to_owned(), (value, now + valid_for));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_expired_value_is_not_returned_and_is_removed_by_the_next_insert() {
        let cache = TtlCache::default();
        cache.insert("a", 1, Duration::from_hours(1));
        cache.insert("b", 2, Duration::ZERO);
        assert_eq!((cache.get("a"), cache.get("b"), cache.get("c")), (Some(1), None, None));
        cache.insert("c", 3, Duration::from_hours(1));
        assert_eq!(cache.0.lock().unwrap().len(), 2, "the expired value was not removed");
    }
}
