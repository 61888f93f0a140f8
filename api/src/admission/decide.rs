//! The admission rule: a job that would expire in the queue is rejected at once, with the time after which a new
//! request is likely to be accepted.

use std::time::Duration;

use outbox::Load;

/// `Retry-After` while no mail is being sent. An operator usually needs longer than this to fix the cause.
const STOPPED_RETRY_AFTER: Duration = Duration::from_secs(30);
/// `Retry-After` while more than `QUEUE_LIMIT` jobs wait and the workers' rate is unknown.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(5);

/// How many jobs may wait, and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct QueueLimits {
    /// Maximum number of waiting jobs: `QUEUE_LIMIT`.
    pub(crate) max_waiting: u32,
    /// Time after which a waiting job expires: `JOB_DEADLINE`.
    pub(crate) deadline: Duration,
}

/// The decision about one more request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AdmissionDecision {
    Accept,
    /// Accept. The queue is more than half full, so the IP rate limit is stricter.
    AcceptUnderPressure,
    /// The job could expire before it is mailed.
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
    /// Decides from the last polled load and the number of jobs accepted since that poll.
    ///
    /// The queue may hold as many jobs as the workers can mail within the deadline, and never more than `max_waiting`. While no
    /// mail is being sent, jobs are accepted until the oldest job has used up half of its deadline. After that, a new job might
    /// also expire before it is mailed.
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
    fn no_more_jobs_are_accepted_than_can_be_mailed_in_time() {
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
            // The wait is never longer than the deadline.
            (1_000, Some(0.01), reject(900)),
            // The queue is empty, so a slow rate does not matter.
            (0, Some(0.01), AdmissionDecision::Accept),
        ] {
            assert_eq!(LIMITS.decide(&load(waiting, rate), 0), decision, "{waiting} {rate:?}");
        }
        assert_eq!(LIMITS.decide(&load(45_000, Some(50.0)), 500), reject(10), "jobs accepted since the poll count");
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
