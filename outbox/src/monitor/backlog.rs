//! Counts the open jobs and finds the age of the oldest. Each worker runs this query every few seconds, so the query is a
//! single scan of the open partition, and its cost does not depend on the size of the history.

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
    /// Time since the request of the oldest job; zero if there is none.
    pub oldest: Duration,
    /// Time since the request of the oldest job that was not refused by an upstream and does not wait for a failing hook; zero
    /// if there is none. The other jobs are left out because strangers can keep them in the queue for as long as they like.
    pub oldest_unrefused: Duration,
}

/// Counts the open jobs by state. Returns all three states, even those without jobs.
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
            // Zero if the difference is negative because a clock was set back.
            oldest: Duration::try_from_secs_f64(row.oldest).unwrap_or_default(),
            oldest_unrefused: Duration::try_from_secs_f64(row.oldest_unrefused).unwrap_or_default(),
        })
        .collect())
}
