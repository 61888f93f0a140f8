//! Measures how many jobs per second this worker ends while there is a backlog. The api uses the rate to accept only as
//! many requests as the workers can handle before the jobs' deadlines. The rate is not measured without a backlog or
//! during a database outage: the worker then waits for jobs or for the database, so the rate would say nothing about
//! its capacity.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
};

/// Maximum number of seconds to average over. The average must cover several seconds, because few jobs end per second
/// if an upstream is slow.
const WINDOW_SECONDS: usize = 10;
/// Number of seconds without a finished job after which the rate is reported as zero.
const STANDSTILL_SECONDS: usize = 10;
/// Minimum number of seconds to average over. One second would not be enough: the backlog may have begun
/// partway through the first second that is counted, which would make the rate too low.
const MIN_SECONDS: usize = 2;

/// Counts the jobs that end in the current second.
#[derive(Debug, Default)]
pub struct Capacity {
    ended: AtomicU32,
    /// Whether the last claim returned as many jobs as it requested.
    has_backlog: AtomicBool,
    /// Whether any claim in this second returned fewer jobs than it requested.
    was_queue_empty: AtomicBool,
}

impl Capacity {
    /// Records that a job ended.
    pub fn record_end(&self) {
        self.ended.fetch_add(1, Relaxed);
    }

    /// Records a claim that requested `requested` jobs and returned `claimed` jobs.
    pub fn record_claim(&self, requested: usize, claimed: usize) {
        let has_backlog = claimed >= requested;
        self.has_backlog.store(has_backlog, Relaxed);
        if !has_backlog {
            self.was_queue_empty.store(true, Relaxed);
        }
    }

    /// Records a database outage, during which no job can end. Stops the measurement until a claim finds a backlog.
    pub(crate) fn record_outage(&self) {
        self.has_backlog.store(false, Relaxed);
    }

    /// Starts the next second. Returns the number of jobs that ended in the last second; `None` unless there was a
    /// backlog during that whole second.
    pub(crate) fn take_second(&self) -> Option<u32> {
        let ended = self.ended.swap(0, Relaxed);
        let was_queue_empty = self.was_queue_empty.swap(false, Relaxed);
        (self.has_backlog.load(Relaxed) && !was_queue_empty).then_some(ended)
    }
}

/// The number of jobs that ended in each of the most recent seconds with a backlog, oldest first.
#[derive(Debug, Default)]
pub(crate) struct RateWindow(VecDeque<u32>);

impl RateWindow {
    /// Adds the count for one second, or clears the window on `None`. Returns the rate in jobs per second, or `None`
    /// until enough seconds have been measured.
    pub(crate) fn push(&mut self, ended: Option<u32>) -> Option<f64> {
        let Some(ended) = ended else {
            self.0.clear();
            return None;
        };
        if self.0.len() == WINDOW_SECONDS {
            self.0.pop_front();
        }
        self.0.push_back(ended);
        let sum: u32 = self.0.iter().sum();
        let is_measured = self.0.len() >= if sum == 0 { STANDSTILL_SECONDS } else { MIN_SECONDS };
        #[expect(clippy::cast_precision_loss, reason = "the window contains at most ten seconds")]
        let seconds = self.0.len() as f64;
        is_measured.then(|| f64::from(sum) / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_measured_only_during_a_backlog() {
        let capacity = Capacity::default();
        capacity.record_claim(10, 3);
        capacity.record_end();
        assert_eq!(capacity.take_second(), None);
        capacity.record_claim(10, 10);
        capacity.record_end();
        assert_eq!(capacity.take_second(), Some(1));
        assert_eq!(capacity.take_second(), Some(0), "no claim since then, so the backlog remains");
        capacity.record_claim(2, 1);
        capacity.record_claim(1, 1);
        assert_eq!(capacity.take_second(), None, "a claim found too few jobs");
        assert_eq!(capacity.take_second(), Some(0));
        capacity.record_outage();
        assert_eq!(capacity.take_second(), None, "nothing could be claimed");
        assert_eq!(capacity.take_second(), None, "nothing has been claimed yet");
        capacity.record_claim(1, 1);
        assert_eq!(capacity.take_second(), Some(0));
    }

    #[test]
    fn a_rate_needs_two_measured_seconds_and_a_standstill_needs_ten() {
        let mut window = RateWindow::default();
        assert_eq!(window.push(Some(10)), None);
        assert_eq!(window.push(Some(20)), Some(15.0));
        assert_eq!(window.push(None), None);
        for _ in 0..9 {
            assert_eq!(window.push(Some(0)), None);
        }
        assert_eq!(window.push(Some(0)), Some(0.0));
        assert_eq!(window.push(Some(5)), Some(0.5), "the average of ten seconds");
    }
}
