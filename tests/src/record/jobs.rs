//! The jobs of a run.

use sqlx::{FromRow, PgPool};

/// A row of `email_jobs`.
#[derive(Clone, Debug, Default, FromRow)]
pub struct JobFacts {
    /// Its id.
    pub id: String,
    /// Its position in the order of acceptance.
    pub seq: i64,
    /// The recipient's address.
    pub recipient: String,
    /// The callback that its link redirects to.
    pub callback_url: String,
    /// The id of its request.
    pub request_id: String,
    /// `sent`, `failed`, and so on.
    pub state: String,
    /// Why it ended in this state.
    pub code: Option<String>,
    /// How many times it was claimed.
    pub attempt: i16,
    /// When its link was made. All times are Unix seconds.
    pub link_made_at: Option<f64>,
    /// When it was last claimed.
    pub attempted_at: Option<f64>,
    /// When it was added.
    pub created: f64,
    /// When an operator cancelled it, if a worker was running it then.
    pub cancelled_at: Option<f64>,
    /// When the person made the request, if an operator retried it.
    pub requested_at: Option<f64>,
    /// When an upstream first refused it in a way that may concern only its recipient.
    pub refused_at: Option<f64>,
    /// When it ended. Infinite while it is open.
    pub ended: f64,
    /// Whether it still has a lease or a link.
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
    /// Whether the job is an operator's retry of an earlier job. It has the request id of that job.
    #[must_use]
    pub fn is_retry(&self) -> bool {
        self.requested_at.is_some()
    }

    /// Whether the job repeats a request that was made moments earlier. It is never queued.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        self.code.as_deref() == Some("duplicate")
    }
}

/// All jobs, in the order of acceptance.
pub(super) async fn read(pool: &PgPool) -> Vec<JobFacts> {
    sqlx::query_as(JOBS).fetch_all(pool).await.unwrap()
}
