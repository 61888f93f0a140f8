//! A job that ended while no worker was delivering it, with the fields that are logged.

use std::time::Duration;

use super::job_id::JobId;

/// A job that ended while no worker was delivering it, possibly as soon as it was requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedJob {
    /// The job.
    pub job: JobId,
    /// The id of the request that created the job.
    pub request_id: String,
    /// Id of the job's portal, if it has one.
    pub portal: Option<String>,
    /// `expired`, `sent`, `failed`, `superseded` or `cancelled`.
    pub state: &'static str,
    /// Number of attempts.
    pub attempts: i16,
    /// Code for the reason why the job ended. `None` if it ended as `sent`.
    pub code: Option<String>,
    /// Time since the request. Zero if the request was never queued.
    pub age: Duration,
}

impl EndedJob {
    /// Logs one line, in the same format as the line that a delivery logs when its job ends.
    pub fn log(&self) {
        tracing::info!(
            job_id = %self.job,
            request_id = self.request_id,
            portal = self.portal,
            state = self.state,
            attempts = self.attempts,
            code = self.code,
            age_ms = u64::try_from(self.age.as_millis()).unwrap_or(u64::MAX),
            "{}",
            if self.age.is_zero() {
                "the request was not queued; no mail will be sent for it"
            } else {
                "job ended while no worker was delivering it"
            }
        );
    }
}
