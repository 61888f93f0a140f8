//! The jobs of a run.

use sqlx::{FromRow, PgPool};

/// A row of `email_jobs`.
#[derive(Clone, Debug, Default, FromRow)]
pub struct JobFacts {
    /// The job's id.
    pub id: String,
    /// The job's position in the order in which jobs were accepted.
    pub seq: i64,
    /// The recipient's address.
    pub recipient: String,
    /// The callback that the job's link redirects to.
    pub callback_url: String,
    /// The id of the request for which the job was added.
    pub request_id: String,
    /// The job's state, such as `sent` or `failed`.
    pub state: String,
    /// The reason for the job's state.
    pub code: Option<String>,
    /// Number of claims of the job that count as attempts.
    pub attempt: i16,
    /// When the job's link was created. This and all other times are in Unix seconds.
    pub link_made_at: Option<f64>,
    /// When the job was last claimed.
    pub attempted_at: Option<f64>,
    /// When the job was added.
    pub created: f64,
    /// When an operator cancelled the job, if a worker was running the job at that time.
    pub cancelled_at: Option<f64>,
    /// When the person made the original request, if this job is an operator's retry.
    pub requested_at: Option<f64>,
    /// When an upstream first refused the job for a reason that may concern only its recipient.
    pub refused_at: Option<f64>,
    /// When the job ended. Infinite while the job is open.
    pub ended: f64,
    /// Whether the job still has a lease or a link.
    pub has_lease_or_link: bool,
    /// The whole row without the link, for the failure report.
    pub row: String,
}

const JOBS: &str = "
    select
      id::text, seq, recipient, callback_url, request_id, state, code, attempt,
      extract(epoch from link_created_at)::float8 as link_made_at,
      extract(epoch from attempted_at)::float8 as attempted_at,
      extract(epoch from created_at)::float8 as created,
      extract(epoch from cancelled_at)::float8 as cancelled_at,
      extract(epoch from requested_at)::float8 as requested_at,
      extract(epoch from refused_at)::float8 as refused_at,
      coalesce(extract(epoch from nullif(finished_at, 'infinity')), 'infinity')::float8 as ended,
      num_nonnulls(lease_token, lease_expires_at, sealed_link) > 0 as has_lease_or_link,
      (to_jsonb(email_jobs) - 'sealed_link')::text as row
    from email_jobs
    order by seq";

impl JobFacts {
    /// Whether the job is an operator's retry of an earlier job. A retry has the same request id as the earlier job.
    #[must_use]
    pub fn is_retry(&self) -> bool {
        self.requested_at.is_some()
    }

    /// Whether the job's request repeats a request that was made moments earlier. Such a job is never queued.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        self.code.as_deref() == Some("duplicate")
    }
}

/// Reads all jobs, in the order in which they were accepted.
pub(super) async fn read(pool: &PgPool) -> Vec<JobFacts> {
    sqlx::query_as(JOBS).fetch_all(pool).await.unwrap()
}
