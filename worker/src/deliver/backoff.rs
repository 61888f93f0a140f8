//! Chooses the wait before a job's next attempt. The two schedules below define the whole policy.

use std::time::Duration;

/// Maximum waits, in seconds, after a call that had no effect. The actual wait is a random fraction of the maximum
/// (full jitter), so that jobs that failed together do not retry together. The last maximum applies to all later
/// attempts.
const RETRY: [u64; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

/// The waits, in seconds, after a call that may have sent the mail. The waits are longer than in [`RETRY`], because
/// each retry may send a duplicate. The last wait applies to all later retries.
const UNKNOWN: [u64; 5] = [5, 20, 60, 180, 300];

/// The wait after a call that had no effect: 100 ms to 128 s. `attempt` is the job's attempt number, starting at 1.
pub(crate) fn retry(attempt: i16) -> Duration {
    // Wait at least 100 ms: a random fraction near zero would start the next attempt almost immediately.
    step(&RETRY, attempt).mul_f64(rand::random_range(0.0..1.0)).max(Duration::from_millis(100))
}

/// The wait after a call that may have sent the mail: the schedule's current step plus up to 10 %. The step depends on
/// the time since the first send, not on the attempt number, because other failures also increase the attempt number.
pub(crate) fn unknown(since_first_send: Duration) -> Duration {
    let mut step_start = 0;
    let mut wait = UNKNOWN[0];
    for step in UNKNOWN {
        if since_first_send >= Duration::from_secs(step_start) {
            wait = step;
        }
        step_start += step;
    }
    Duration::from_secs(wait).mul_f64(rand::random_range(1.0..1.1))
}

/// The schedule's entry for an attempt. Attempts are numbered from 1.
fn step(schedule: &[u64], attempt: i16) -> Duration {
    let index = usize::try_from(attempt.max(1) - 1).unwrap_or_default().min(schedule.len() - 1);
    Duration::from_secs(schedule[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_wait_up_to_a_ceiling_that_doubles() {
        for (attempt, ceiling) in [(1, 1), (2, 2), (3, 4), (8, 128), (9, 128), (i16::MAX, 128), (0, 1), (i16::MIN, 1)] {
            for _ in 0..100 {
                let wait = retry(attempt);
                assert!(
                    wait >= Duration::from_millis(100) && wait <= Duration::from_secs(ceiling),
                    "{attempt}: {wait:?}"
                );
            }
        }
    }

    #[test]
    fn the_wait_after_an_unknown_outcome_grows_with_the_time_since_the_first_send() {
        for (since, seconds) in [(0, 5), (4, 5), (5, 20), (24, 20), (25, 60), (85, 180), (265, 300), (9_999, 300)] {
            for _ in 0..100 {
                let wait = unknown(Duration::from_secs(since)).as_secs_f64();
                assert!(wait >= f64::from(seconds) && wait <= f64::from(seconds) * 1.1, "{since}: {wait}");
            }
        }
    }
}
