//! Quantiles and units.

use std::time::Duration;

/// A quantile of sorted values.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the result is a valid index of the slice"
)]
pub(crate) fn quantile(sorted: &[f64], part: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * part).round() as usize]
}

/// Converts seconds to milliseconds.
pub(crate) fn millis(seconds: f64) -> f64 {
    seconds * 1e3
}

/// Events per second.
#[expect(clippy::cast_precision_loss, reason = "a rate")]
pub(crate) fn rate(count: u64, taken: Duration) -> f64 {
    count as f64 / taken.as_secs_f64()
}
