//! Once a second, queries the database for the jobs that the mailbox page lists.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::{sync::watch, time::sleep};

use crate::mailgun::{OpenJob, OpenJobs};

const INTERVAL: Duration = Duration::from_secs(1);

/// Unfinished jobs, and jobs that failed or expired in the last ten minutes: the newest 20, newest first.
const JOBS: &str = "
    select recipient, state, code, message, run_at
    from email_jobs
    where finished_at = 'infinity'
      or (state in ('failed', 'expired') and finished_at > now() - interval '10 minutes' and finished_at <= now())
    order by id desc
    limit 20";

/// Why all mail is stopped or slowed down: the messages of open breakers and of slow mode.
const STOPS: &str = "
    select message from upstreams where (open_since is not null or slow_since is not null) and message is not null";

type JobRow = (String, String, Option<String>, Option<String>, DateTime<Utc>);

/// Polls a database until all receivers have been dropped.
pub(super) fn start(database: &str) -> anyhow::Result<watch::Receiver<OpenJobs>> {
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy(database)?;
    let (sender, receiver) = watch::channel(OpenJobs::default());
    tokio::spawn(async move {
        while !sender.is_closed() {
            // Ignore errors, because the tables may not exist yet.
            if let Ok(read) = read(&pool).await {
                sender.send_if_modified(|known| {
                    let is_new = *known != read;
                    *known = read;
                    is_new
                });
            }
            sleep(INTERVAL).await;
        }
    });
    Ok(receiver)
}

async fn read(pool: &PgPool) -> Result<OpenJobs, sqlx::Error> {
    let jobs: Vec<JobRow> = sqlx::query_as(JOBS).fetch_all(pool).await?;
    let stops = sqlx::query_scalar(STOPS).fetch_all(pool).await?;
    let jobs = jobs.into_iter().map(|(recipient, state, code, message, run_at)| OpenJob {
        recipient,
        state,
        reason: message.or(code),
        next_try: run_at,
    });
    Ok(OpenJobs { jobs: jobs.collect(), stops })
}
