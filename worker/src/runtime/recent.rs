//! Answers that this worker remembers for a limited time.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Answers by key. Each is forgotten when its time is over. The caller limits how many are added.
#[derive(Debug)]
pub(super) struct Recent<T>(Mutex<HashMap<String, (T, Instant)>>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Recent<T> {
    /// The answer for `key`, unless its time is over.
    pub(super) fn get(&self, key: &str) -> Option<T> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(key).filter(|(_, valid_until)| *valid_until > Instant::now()).map(|(answer, _)| answer.clone())
    }

    /// Remembers an answer for `valid_for` from now, and drops those whose time is over.
    pub(super) fn insert(&self, key: &str, answer: T, valid_for: Duration) {
        let now = Instant::now();
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|_, (_, valid_until)| *valid_until > now);
        answers.insert(key.to_owned(), (answer, now + valid_for));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_is_forgotten_when_its_time_is_over() {
        let recent = Recent::default();
        recent.insert("a", 1, Duration::from_hours(1));
        recent.insert("b", 2, Duration::ZERO);
        assert_eq!((recent.get("a"), recent.get("b"), recent.get("c")), (Some(1), None, None));
        recent.insert("c", 3, Duration::from_hours(1));
        assert_eq!(recent.0.lock().unwrap().len(), 2, "what is over takes no memory");
    }
}
