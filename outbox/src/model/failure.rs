//! Why a step or a job failed.

/// A code for programs and a message for operators. Neither may contain a link, a token or a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Stable, in `snake_case`, at most 64 bytes.
    pub code: String,
    /// For operators: what happened, and what to do about it. At most 1,000 bytes.
    pub message: String,
}

impl Failure {
    /// Creates a failure. A code or message that is too long for its column is truncated.
    #[must_use]
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: fit(code.into(), 64), message: fit(message.into(), 1_000) }
    }
}

/// Truncates text to at most `max_bytes` at a character boundary, and removes NUL, which Postgres cannot store.
fn fit(mut text: String, max_bytes: usize) -> String {
    text.retain(|c| c != '\0');
    text.truncate(text.floor_char_boundary(max_bytes));
    text
}
