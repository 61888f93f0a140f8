//! Caches formatters per thread and language. Creating a formatter reads a lot of CLDR data, and takes about ten times
//! as long as using it.

use std::{cell::RefCell, collections::HashMap, hash::Hash, thread::LocalKey};

/// A thread's formatters. There is at most one for each combination of an offered language and a variant of the format.
pub(crate) type Cache<K, F> = RefCell<HashMap<K, F>>;

/// Calls `work` with the formatter for `key`. Creates the formatter first if the thread does not have it yet.
///
/// # Errors
/// The error of `create`.
pub(crate) fn with_cached<K: Eq + Hash, F, E, R>(
    cache: &'static LocalKey<Cache<K, F>>,
    key: K,
    create: impl FnOnce() -> Result<F, E>,
    work: impl FnOnce(&F) -> R,
) -> Result<R, E> {
    cache.with_borrow_mut(|formatters| {
        if let Some(formatter) = formatters.get(&key) {
            return Ok(work(formatter));
        }
        let formatter = create()?;
        let result = work(&formatter);
        formatters.insert(key, formatter);
        Ok(result)
    })
}
