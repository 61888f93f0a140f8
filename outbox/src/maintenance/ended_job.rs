//! A job that maintenance ended, for the log.

use std::time::Duration;

use crate::model::job_id::JobId;

/// A job that maintenance ended, because no worker had it in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedJob {
    /// The job.
    pub job: JobId,
    /// The id of the request that added it.
    pub request_id: String,
    /// `expired`, `sent` or `failed`.
    pub state: &'static str,
    /// Number of attempts.
    pub attempts: i16,
    /// Why it ended, unless it is sent.
    pub code: Option<String>,
    /// Time since the request.
    pub age: Duration,
}
