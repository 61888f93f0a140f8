//! Polls for something that tests cannot await, such as a row or a health check. If an event can be awaited (a call, a
//! mail, a log line), use the `wait_for_…` method of the stand-in or program instead.

use std::{fmt::Debug, time::Duration};
use tokio::time::Instant;

/// Timeout of [`eventually`]. Nothing that a test waits for takes this long, even on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_millis(10);

/// Calls `check` every 10 ms until it returns `Ok`, and returns the value. `what` describes the expected event.
///
/// # Panics
/// `check` still fails after 30 seconds. The message contains `what` and the last error, which shows what was seen
/// instead.
pub async fn eventually<T, Seen: Debug>(what: &str, check: impl AsyncFnMut() -> Result<T, Seen>) -> T {
    eventually_within(TIMEOUT, what, check).await
}

/// Like [`eventually`], with a longer or shorter timeout.
///
/// # Panics
/// `check` still fails after `timeout`.
pub async fn eventually_within<T, Seen: Debug>(
    timeout: Duration,
    what: &str,
    mut check: impl AsyncFnMut() -> Result<T, Seen>,
) -> T {
    let deadline = Instant::now() + timeout;
    loop {
        match check().await {
            Ok(found) => return found,
            Err(seen) if Instant::now() > deadline => {
                panic!("waited {timeout:?} for {what}; last seen: {seen:?}")
            }
            Err(_) => tokio::time::sleep(INTERVAL).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{eventually, eventually_within};
    use std::time::Duration;

    #[tokio::test]
    async fn a_check_is_repeated_until_it_succeeds() {
        let mut calls = 0;
        let third = eventually("the third call", async || {
            calls += 1;
            if calls == 3 { Ok(calls) } else { Err(calls) }
        });
        assert_eq!(third.await, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "waited 0ns for a reply; last seen: \"silence\"")]
    async fn the_panic_message_includes_what_was_last_seen() {
        eventually_within(Duration::ZERO, "a reply", async || Err::<(), _>("silence")).await;
    }
}
