//! How many jobs this worker ends a second while it has more than it can take: the api takes no more requests than can be
//! mailed in time. Without a backlog nothing is measured, since an idle worker's rate says nothing of what it could do.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
};

/// Over so many seconds at most: a slow upstream lets a job end only now and then.
const WINDOW: usize = 10;
/// After so many seconds in which no job ended, none does.
const STANDSTILL: usize = 10;
/// Not sooner: the first second of a backlog began in its middle.
const LEAST: usize = 2;

/// What was seen since the last second began.
#[derive(Debug, Default)]
pub struct Capacity {
    ended: AtomicU32,
    /// Whether the last claim got as many jobs as it asked for.
    has_backlog: AtomicBool,
    /// Whether one got less meanwhile.
    was_emptied: AtomicBool,
}

impl Capacity {
    /// A job has come to its end.
    pub fn ended(&self) {
        self.ended.fetch_add(1, Relaxed);
    }

    /// A claim asked for `wanted` jobs and got `got`.
    pub fn claimed(&self, wanted: usize, got: usize) {
        let has_backlog = got >= wanted;
        self.has_backlog.store(has_backlog, Relaxed);
        if !has_backlog {
            self.was_emptied.store(true, Relaxed);
        }
    }

    /// Jobs that ended in the last second, if there was a backlog all the time.
    pub(crate) fn second(&self) -> Option<u32> {
        let ended = self.ended.swap(0, Relaxed);
        let was_emptied = self.was_emptied.swap(false, Relaxed);
        (self.has_backlog.load(Relaxed) && !was_emptied).then_some(ended)
    }
}

/// The seconds of a backlog, the newest last.
#[derive(Debug, Default)]
pub(crate) struct RateWindow(VecDeque<u32>);

impl RateWindow {
    /// One second more: the rate to tell, if there is one.
    pub(crate) fn push(&mut self, ended: Option<u32>) -> Option<f64> {
        let Some(ended) = ended else {
            self.0.clear();
            return None;
        };
        if self.0.len() == WINDOW {
            self.0.pop_front();
        }
        self.0.push_back(ended);
        let sum: u32 = self.0.iter().sum();
        let is_measured = self.0.len() >= if sum == 0 { STANDSTILL } else { LEAST };
        #[expect(clippy::cast_precision_loss, reason = "ten at most")]
        let seconds = self.0.len() as f64;
        is_measured.then(|| f64::from(sum) / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_backlog_is_measured() {
        let capacity = Capacity::default();
        capacity.claimed(10, 3);
        capacity.ended();
        assert_eq!(capacity.second(), None);
        capacity.claimed(10, 10);
        capacity.ended();
        assert_eq!(capacity.second(), Some(1));
        assert_eq!(capacity.second(), Some(0), "nothing was asked for since: all are busy");
        capacity.claimed(2, 1);
        capacity.claimed(1, 1);
        assert_eq!(capacity.second(), None, "it was emptied meanwhile");
        assert_eq!(capacity.second(), Some(0));
    }

    #[test]
    fn a_rate_is_told_from_the_second_second_on_and_a_standstill_after_ten() {
        let mut seconds = RateWindow::default();
        assert_eq!(seconds.push(Some(10)), None);
        assert_eq!(seconds.push(Some(20)), Some(15.0));
        assert_eq!(seconds.push(None), None);
        for _ in 0..9 {
            assert_eq!(seconds.push(Some(0)), None);
        }
        assert_eq!(seconds.push(Some(0)), Some(0.0));
        assert_eq!(seconds.push(Some(5)), Some(0.5), "over ten seconds");
    }
}
