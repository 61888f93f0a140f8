//! Counts the open jobs and finds the age of the oldest one. Each worker runs this query every few seconds, so the
//! query is a single scan of the open partition, and its cost does not depend on the size of the history.

use std::time::Duration;

use sqlx::PgPool;

use crate::postgres::error::Error;

/// The open jobs in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// `queued`, `running` or `retrying`.
    pub state: String,
    /// Number of jobs.
    pub jobs: i64,
    /// Time since the oldest job was requested. Zero if there is no job.
    pub oldest: Duration,
    /// Time since the oldest job was requested, leaving out jobs that an upstream refused or that are waiting because a
    /// hook failed. They are left out because strangers could keep such jobs in the queue indefinitely. Zero if there
    /// are no other jobs.
    pub oldest_unrefused: Duration,
}

/// Counts the open jobs by state. Returns a count for each of the three open states, even if it is zero.
///
/// # Errors
/// [`Error::Database`].
pub async fn backlog(pool: &PgPool) -> Result<Vec<Backlog>, Error> {
    let rows = sqlx::query!(
        r#"
        select
          state as "state!",
          coalesce(jobs, 0) as "jobs!",
          coalesce(extract(epoch from clock_timestamp() - since), 0)::float8 as "oldest!",
          coalesce(extract(epoch from clock_timestamp() - unrefused_since), 0)::float8 as "oldest_unrefused!"
        from unnest(array['queued', 'running', 'retrying']) as known (state)
        left join (
          select
            state,
            count(*) as jobs,
            min(created_at) as since,
            min(created_at) filter (where refused_at is null and code is distinct from 'hook_failed') as unrefused_since
          from email_jobs_open
          group by state
        ) as open using (state)
        "#,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Backlog {
            state: row.state,
            jobs: row.jobs,
            // The difference is negative if Postgres's clock has been set back. It then counts as zero.
            oldest: Duration::try_from_secs_f64(row.oldest).unwrap_or_default(),
            oldest_unrefused: Duration::try_from_secs_f64(row.oldest_unrefused).unwrap_or_default(),
        })
        .collect())
}
