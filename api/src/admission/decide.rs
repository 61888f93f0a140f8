//! Whether one more request can be mailed in time. One that would expire in the queue is refused at once, with the time
//! after which it will not be.

use std::time::Duration;

use outbox::Load;

/// What an operator has to mend is not mended in less.
const STOPPED_WAIT: Duration = Duration::from_secs(30);
/// Over `QUEUE_LIMIT`, when nobody knows how fast the queue gets shorter.
const FULL_WAIT: Duration = Duration::from_secs(5);

/// What may be let in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct QueueLimits {
    /// Most jobs that may wait: `QUEUE_LIMIT`.
    pub(crate) limit: u32,
    /// A job that waits longer expires: `JOB_DEADLINE`.
    pub(crate) deadline: Duration,
}

/// An answer for one more request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AdmissionDecision {
    /// It is mailed in time.
    Ample,
    /// It is too, but past half of what may wait: whoever asks often is held back first.
    Scarce,
    /// It would not be, before so long.
    None(Duration),
}

impl QueueLimits {
    /// By the last look at the outbox, and the requests that were let in since.
    pub(crate) fn room(&self, load: &Load, let_in_since: u32) -> AdmissionDecision {
        let waiting = load.waiting.saturating_add(let_in_since);
        let nothing_moves = load.is_stopped || load.jobs_per_second.is_some_and(|rate| rate <= 0.0);
        // A job that has used up half of its time while nothing moves shows that the next may use up all of it.
        let oldest_is_late = load.time_left.is_some_and(|left| left < self.deadline / 2);
        if nothing_moves && waiting > 0 && oldest_is_late {
            return AdmissionDecision::None(STOPPED_WAIT);
        }
        let rate = load.jobs_per_second.filter(|rate| *rate > 0.0 && !load.is_stopped);
        let in_time = rate.map_or(f64::INFINITY, |rate| rate * self.deadline.as_secs_f64());
        let most = in_time.min(f64::from(self.limit));
        let waiting = f64::from(waiting);
        if waiting > most {
            let wait = rate.map_or(FULL_WAIT, |rate| {
                Duration::try_from_secs_f64((waiting - most) / rate)
                    .map_or(self.deadline, |wait| wait.min(self.deadline))
            });
            return AdmissionDecision::None(wait);
        }
        if waiting > most / 2.0 { AdmissionDecision::Scarce } else { AdmissionDecision::Ample }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADMISSION: QueueLimits = QueueLimits { limit: 100_000, deadline: Duration::from_secs(900) };

    fn load(waiting: u32, jobs_per_second: Option<f64>) -> Load {
        Load { waiting, jobs_per_second, ..Load::default() }
    }

    #[test]
    fn no_more_is_let_in_than_can_be_mailed_in_time() {
        let none = |seconds| AdmissionDecision::None(Duration::from_secs(seconds));
        for (waiting, rate, room) in [
            // Nobody knows how fast: up to the limit.
            (0, None, AdmissionDecision::Ample),
            (50_000, None, AdmissionDecision::Ample),
            (50_001, None, AdmissionDecision::Scarce),
            (100_000, None, AdmissionDecision::Scarce),
            (100_001, None, none(5)),
            // 50 a second for 900 s are 45,000.
            (22_500, Some(50.0), AdmissionDecision::Ample),
            (22_501, Some(50.0), AdmissionDecision::Scarce),
            (45_000, Some(50.0), AdmissionDecision::Scarce),
            (45_500, Some(50.0), none(10)),
            // So fast that only the limit counts.
            (100_000, Some(5_000.0), AdmissionDecision::Scarce),
            (105_000, Some(5_000.0), none(1)),
            // However slow, nobody is told to wait for longer than a mail would.
            (1_000, Some(0.01), none(900)),
            // An idle system was slow the last time.
            (0, Some(0.01), AdmissionDecision::Ample),
        ] {
            assert_eq!(ADMISSION.room(&load(waiting, rate), 0), room, "{waiting} {rate:?}");
        }
        assert_eq!(ADMISSION.room(&load(45_000, Some(50.0)), 500), none(10), "those let in since the look count");
    }

    #[test]
    fn while_nothing_moves_requests_are_let_in_until_the_oldest_has_used_up_half_its_time() {
        for (time_left, is_stopped, rate, room) in [
            (899, true, None, AdmissionDecision::Ample),
            (451, true, Some(50.0), AdmissionDecision::Ample),
            (449, true, None, AdmissionDecision::None(STOPPED_WAIT)),
            (449, true, Some(50.0), AdmissionDecision::None(STOPPED_WAIT)),
            (451, false, Some(0.0), AdmissionDecision::Ample),
            (449, false, Some(0.0), AdmissionDecision::None(STOPPED_WAIT)),
            (1, false, Some(50.0), AdmissionDecision::Ample),
        ] {
            let load = Load {
                waiting: 10,
                jobs_per_second: rate,
                is_stopped,
                time_left: Some(Duration::from_secs(time_left)),
            };
            assert_eq!(ADMISSION.room(&load, 0), room, "{load:?}");
        }
        assert_eq!(
            ADMISSION.room(&Load { is_stopped: true, ..Load::default() }, 0),
            AdmissionDecision::Ample,
            "an empty queue"
        );
    }
}
