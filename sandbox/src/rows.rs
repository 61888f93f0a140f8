//! What tests read from the outbox's tables: typed values, and rows as structs. If a query fails, the test fails.

use sqlx::{AssertSqlSafe, Decode, FromRow, PgExecutor, PgPool, Postgres, Type, postgres::PgRow};
use uuid::Uuid;

/// Runs a query that returns one row with one column, and returns the value.
///
/// # Panics
/// The query fails, returns no row, or returns another type.
pub async fn scalar<T>(pool: &PgPool, query: &str) -> T
where
    T: for<'r> Decode<'r, Postgres> + Type<Postgres> + Send + Unpin,
{
    let value = sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(pool).await;
    value.unwrap_or_else(|error| panic!("{query}: {error}"))
}

/// Runs a query, and returns all rows.
///
/// # Panics
/// The query fails, or its columns do not match the fields of `Row`.
pub async fn rows<Row>(executor: impl PgExecutor<'_>, query: &str) -> Vec<Row>
where
    Row: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let rows = sqlx::query_as(AssertSqlSafe(query.to_owned())).fetch_all(executor).await;
    rows.unwrap_or_else(|error| panic!("{query}: {error}"))
}

const JOBS: &str = "
    select id, request_id, recipient, callback_url, shown_host, language, time_zone, portal, state, code, message, delivery,
      attempt, message_id, sealed_link is not null as has_link, lease_token is not null as is_leased, worker,
      extract(epoch from run_at - clock_timestamp())::float8 as due_in,
      extract(epoch from deadline_at - created_at)::float8 as deadline
    from email_jobs";

/// A row of `email_jobs`.
#[derive(Clone, Debug, FromRow)]
pub struct JobRow {
    /// The job's id.
    pub id: Uuid,
    /// The request that created the job.
    pub request_id: String,
    /// The address that the mail is sent to.
    pub recipient: String,
    /// The callback URL of the link.
    pub callback_url: String,
    /// The host that the mail shows.
    pub shown_host: Option<String>,
    /// The mail's language, a BCP 47 tag.
    pub language: Option<String>,
    /// The time zone in which the mail shows times: a name from the tz database.
    pub time_zone: Option<String>,
    /// The id of the portal.
    pub portal: Option<String>,
    /// The state, such as `queued` or `sent`.
    pub state: String,
    /// The reason why the last attempt failed or why the job ended, as a code.
    pub code: Option<String>,
    /// A sentence that explains the reason in `code`.
    pub message: Option<String>,
    /// What Mailgun reported about the mail.
    pub delivery: Option<String>,
    /// Number of claims that count as attempts.
    pub attempt: i16,
    /// The Message-Id of the mail.
    pub message_id: Option<String>,
    /// Whether a sealed link is stored.
    pub has_link: bool,
    /// Whether a worker holds a lease on the job.
    pub is_leased: bool,
    /// The worker that claimed the job last.
    pub worker: Option<String>,
    /// Seconds until `run_at`.
    pub due_in: f64,
    /// Seconds from the request until `deadline_at`.
    pub deadline: f64,
}

impl JobRow {
    /// All jobs, in the order of acceptance.
    ///
    /// # Panics
    /// The query fails.
    pub(crate) async fn all(pool: &PgPool) -> Vec<Self> {
        rows(pool, &format!("{JOBS} order by seq")).await
    }

    /// The job with this id, if there is one.
    ///
    /// # Panics
    /// The query fails.
    pub async fn find(pool: &PgPool, id: Uuid) -> Option<Self> {
        rows(pool, &format!("{JOBS} where id = '{id}'")).await.pop()
    }

    /// The job that belongs to a request, if there is one. The request id must come from the test itself, because the
    /// query contains it unescaped.
    ///
    /// # Panics
    /// The query fails.
    pub(crate) async fn find_by_request(pool: &PgPool, request_id: &str) -> Option<Self> {
        rows(pool, &format!("{JOBS} where request_id = '{request_id}'")).await.pop()
    }

    /// The oldest open jobs, at most 20.
    ///
    /// # Panics
    /// The query fails.
    pub(crate) async fn first_open(executor: impl PgExecutor<'_>) -> Vec<Self> {
        rows(executor, &format!("{JOBS} where finished_at = 'infinity' order by seq limit 20")).await
    }

    /// The only job in the database.
    ///
    /// # Panics
    /// There is no job, or more than one.
    pub(crate) async fn only(pool: &PgPool) -> Self {
        let mut jobs = Self::all(pool).await;
        assert_eq!(jobs.len(), 1, "{jobs:#?}");
        jobs.remove(0)
    }

    /// The state and the code, such as `("failed", Some("hook_rejected"))`.
    #[must_use]
    pub fn state_and_code(&self) -> (&str, Option<&str>) {
        (&self.state, self.code.as_deref())
    }
}

/// A row of `email_attempts`.
#[derive(Clone, Debug, FromRow)]
pub struct StepRow {
    /// The job that the step belongs to.
    pub job_id: Uuid,
    /// The number of the job's attempt to which the step belongs.
    pub attempt: i16,
    /// The step: `generate_link` or `send`.
    pub step: String,
    /// The outcome, such as `ok` or `retry`.
    pub outcome: String,
    /// The HTTP status of the upstream's response.
    pub http_status: Option<i16>,
    /// The reason why the step failed, as a code.
    pub code: Option<String>,
    /// A sentence that explains the reason in `code`.
    pub message: Option<String>,
    /// How long the step took, in milliseconds.
    pub duration_ms: i32,
    /// The worker that ran the step.
    pub worker: String,
    /// When the step began, in Unix seconds.
    pub started_at: f64,
}

impl StepRow {
    /// The steps of all jobs, in the order in which they began.
    ///
    /// # Panics
    /// The query fails.
    pub(crate) async fn all(pool: &PgPool) -> Vec<Self> {
        rows(
            pool,
            "select job_id, attempt, step, outcome, http_status, code, message, duration_ms, worker,
               extract(epoch from started_at)::float8 as started_at
             from email_attempts
             order by email_attempts.started_at",
        )
        .await
    }

    /// The step and its outcome, such as `("send", "ok")`.
    #[must_use]
    pub fn result(&self) -> (&str, &str) {
        (&self.step, &self.outcome)
    }
}
