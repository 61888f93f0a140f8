//! The throughput of the workers, and the queue load that the api checks before it accepts a request.

use std::time::Duration;

use sqlx::PgPool;

use crate::postgres::error::Error;

/// Publishes the number of jobs that a worker finishes per second, measured while there was a backlog.
///
/// # Errors
/// [`Error::Database`].
pub async fn publish_capacity(pool: &PgPool, worker: &str, jobs_per_second: f64) -> Result<(), Error> {
    sqlx::query!(
        "
        with gone as (
          delete from email_workers where measured_at < clock_timestamp() - interval '1 day'
        )
        insert into email_workers (name, jobs_per_second)
        values ($1, $2)
        on conflict (name) do update set jobs_per_second = excluded.jobs_per_second, measured_at = clock_timestamp()
        ",
        worker,
        jobs_per_second,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Load of the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Load {
    /// Number of waiting jobs (queued or retrying).
    pub waiting: u32,
    /// Number of jobs that all workers together finish per second. `None` if no worker has measured it in the last 30
    /// seconds.
    pub jobs_per_second: Option<f64>,
    /// Whether mail is stopped, except for probes: a breaker is open, slow mode is on, or an operator has paused all
    /// mail. Always true in the load of a paused portal.
    pub is_stopped: bool,
    /// Time until the earliest deadline of the waiting jobs. Jobs for which an upstream has failed are left out, except
    /// in the load of a paused portal. `None` if there are no other jobs.
    pub time_left: Option<Duration>,
}

/// The state of the queue, which every api polls.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QueueState {
    /// Load of the queue without the jobs of paused portals, because they do not delay other portals' jobs.
    pub load: Load,
    /// The portals that operators have paused.
    pub paused_portals: Vec<PausedPortal>,
    /// Whether [`take_retries`](crate::operate::retries::take_retries) would return anything.
    pub has_filed_retries: bool,
}

/// A portal that an operator has paused.
#[derive(Debug, Clone, PartialEq)]
pub struct PausedPortal {
    /// The portal's id.
    pub portal: String,
    /// Load of the portal's own jobs.
    pub load: Load,
}

impl QueueState {
    /// The load that decides whether a new request for the portal is accepted.
    #[must_use]
    pub fn load_of(&self, portal: Option<&str>) -> Load {
        let paused = self.paused_portals.iter().find(|paused| Some(paused.portal.as_str()) == portal);
        paused.map_or(self.load, |paused| paused.load)
    }
}

/// Reads the state of the queue. The jobs of portals that are not paused are counted only up to `count_to`.
///
/// # Errors
/// [`Error::Database`].
pub async fn queue_state(pool: &PgPool, count_to: u32) -> Result<QueueState, Error> {
    let row = sqlx::query!(
        r#"
        select
          waiting as "waiting!", jobs_per_second, is_stopped as "is_stopped!", time_left,
          paused_portals as "paused_portals!", paused_waiting as "paused_waiting!",
          paused_time_left as "paused_time_left!: Vec<Option<f64>>", has_filed_retries as "has_filed_retries!"
        from email_load($1)
        "#,
        i64::from(count_to),
    )
    .fetch_one(pool)
    .await?;
    let load = |waiting: i64, is_stopped, time_left: Option<f64>| Load {
        waiting: u32::try_from(waiting).unwrap_or(u32::MAX),
        jobs_per_second: row.jobs_per_second,
        is_stopped,
        time_left: time_left.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()),
    };
    let paused = row.paused_portals.into_iter().zip(row.paused_waiting).zip(row.paused_time_left);
    Ok(QueueState {
        load: load(row.waiting, row.is_stopped, row.time_left),
        paused_portals: paused
            .map(|((portal, waiting), time_left)| PausedPortal { portal, load: load(waiting, true, time_left) })
            .collect(),
        has_filed_retries: row.has_filed_retries,
    })
}
