//! The admission rule: a request is rejected immediately if the queue is full, or if its job could expire in the queue.
//! `Retry-After` is an estimate of the time until a new request will be accepted, or a fixed time if no estimate is
//! possible.

use std::time::Duration;

use outbox::Load;

/// `Retry-After` while no mail is being sent. Fixing the cause usually takes longer, so a caller can be rejected again.
const STOPPED_RETRY_AFTER: Duration = Duration::from_secs(30);
/// `Retry-After` while more than `QUEUE_LIMIT` jobs wait and the workers are stopped or their rate is unknown.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Maximum number of waiting jobs, and the time after which they expire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct QueueLimits {
    /// Maximum number of waiting jobs: `QUEUE_LIMIT`.
    pub(crate) max_waiting: u32,
    /// Time after which a waiting job expires: `JOB_DEADLINE`, or the portal's own deadline.
    pub(crate) deadline: Duration,
}

/// Whether to accept one more request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AdmissionDecision {
    Accept,
    /// Accept. The queue is more than half full, so the IP rate limit is stricter.
    AcceptUnderPressure,
    /// Reject: the tables are not ready, the queue is full, or the job could expire before its mail is sent.
    Reject {
        retry_after: Duration,
    },
}

impl AdmissionDecision {
    pub(crate) fn is_reject(self) -> bool {
        matches!(self, Self::Reject { .. })
    }
}

impl QueueLimits {
    /// Decides whether to accept one more job, based on the load at the last poll and the number of jobs accepted since
    /// then.
    ///
    /// The queue may contain as many jobs as the workers can deliver within the deadline, but never more than
    /// `max_waiting`. While no mail is being sent, jobs are accepted until the oldest job has used up half of its
    /// deadline. After that, a new job might also expire before its mail is sent.
    pub(crate) fn decide(&self, load: &Load, accepted_since: u32) -> AdmissionDecision {
        let waiting = load.waiting.saturating_add(accepted_since);
        let is_stalled = load.is_stopped || load.jobs_per_second.is_some_and(|rate| rate <= 0.0);
        let is_oldest_late = load.time_left.is_some_and(|left| left < self.deadline / 2);
        if is_stalled && waiting > 0 && is_oldest_late {
            return AdmissionDecision::Reject { retry_after: STOPPED_RETRY_AFTER };
        }
        let rate = load.jobs_per_second.filter(|rate| *rate > 0.0 && !load.is_stopped);
        let mailable_in_time = rate.map_or(f64::INFINITY, |rate| rate * self.deadline.as_secs_f64());
        let max = mailable_in_time.min(f64::from(self.max_waiting));
        let waiting = f64::from(waiting);
        if waiting > max {
            let retry_after = rate.map_or(FULL_RETRY_AFTER, |rate| {
                Duration::try_from_secs_f64((waiting - max) / rate)
                    .map_or(self.deadline, |wait| wait.min(self.deadline))
            });
            return AdmissionDecision::Reject { retry_after };
        }
        if waiting > max / 2.0 { AdmissionDecision::AcceptUnderPressure } else { AdmissionDecision::Accept }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: QueueLimits = QueueLimits { max_waiting: 100_000, deadline: Duration::from_secs(900) };

    fn load(waiting: u32, jobs_per_second: Option<f64>) -> Load {
        Load { waiting, jobs_per_second, ..Load::default() }
    }

    #[test]
    fn no_more_jobs_are_accepted_than_can_be_delivered_in_time() {
        let reject = |seconds| AdmissionDecision::Reject { retry_after: Duration::from_secs(seconds) };
        for (waiting, rate, decision) in [
            // The rate is unknown, so only the limit applies.
            (0, None, AdmissionDecision::Accept),
            (50_000, None, AdmissionDecision::Accept),
            (50_001, None, AdmissionDecision::AcceptUnderPressure),
            (100_000, None, AdmissionDecision::AcceptUnderPressure),
            (100_001, None, reject(5)),
            // 50 jobs per second for 900 s make 45,000 jobs.
            (22_500, Some(50.0), AdmissionDecision::Accept),
            (22_501, Some(50.0), AdmissionDecision::AcceptUnderPressure),
            (45_000, Some(50.0), AdmissionDecision::AcceptUnderPressure),
            (45_500, Some(50.0), reject(10)),
            // The workers are so fast that only the limit applies.
            (100_000, Some(5_000.0), AdmissionDecision::AcceptUnderPressure),
            (105_000, Some(5_000.0), reject(1)),
            // `Retry-After` is never longer than the deadline.
            (1_000, Some(0.01), reject(900)),
            // The queue is empty, so a slow rate does not matter.
            (0, Some(0.01), AdmissionDecision::Accept),
        ] {
            assert_eq!(LIMITS.decide(&load(waiting, rate), 0), decision, "{waiting} {rate:?}");
        }
        let decision = LIMITS.decide(&load(45_000, Some(50.0)), 500);
        assert_eq!(decision, reject(10), "jobs accepted since the last poll are counted");
    }

    #[test]
    fn a_stalled_queue_accepts_jobs_until_the_oldest_has_used_half_its_deadline() {
        for (time_left, is_stopped, rate, decision) in [
            (899, true, None, AdmissionDecision::Accept),
            (451, true, Some(50.0), AdmissionDecision::Accept),
            (449, true, None, AdmissionDecision::Reject { retry_after: STOPPED_RETRY_AFTER }),
            (449, true, Some(50.0), AdmissionDecision::Reject { retry_after: STOPPED_RETRY_AFTER }),
            (451, false, Some(0.0), AdmissionDecision::Accept),
            (449, false, Some(0.0), AdmissionDecision::Reject { retry_after: STOPPED_RETRY_AFTER }),
            (1, false, Some(50.0), AdmissionDecision::Accept),
        ] {
            let load = Load {
                waiting: 10,
                jobs_per_second: rate,
                is_stopped,
                time_left: Some(Duration::from_secs(time_left)),
            };
            assert_eq!(LIMITS.decide(&load, 0), decision, "{load:?}");
        }
        assert_eq!(
            LIMITS.decide(&Load { is_stopped: true, ..Load::default() }, 0),
            AdmissionDecision::Accept,
            "an empty queue"
        );
    }
}
