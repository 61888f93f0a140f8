//! Fails a test that ends without a look at the jobs that it leaves.

/// Part of a test harness. The harness dismisses it in its `finish`, after it has checked that only the expected jobs are
/// open. If it is dropped before, the test fails, unless it fails anyway.
#[derive(Debug, Default)]
pub struct FinishGuard {
    is_dismissed: bool,
}

impl FinishGuard {
    /// Allows the test to end.
    pub fn dismiss(&mut self) {
        self.is_dismissed = true;
    }
}

impl Drop for FinishGuard {
    fn drop(&mut self) {
        assert!(self.is_dismissed || std::thread::panicking(), "the test ends without `finish`");
    }
}

#[cfg(test)]
mod tests {
    use super::FinishGuard;

    #[test]
    fn a_finished_test_passes() {
        FinishGuard::default().dismiss();
    }

    #[test]
    #[should_panic(expected = "the test ends without `finish`")]
    fn a_test_that_forgets_to_finish_fails() {
        drop(FinishGuard::default());
    }

    #[test]
    #[should_panic(expected = "the first failure")]
    fn a_failure_is_not_hidden_by_another() {
        let _guard = FinishGuard::default();
        panic!("the first failure");
    }
}
