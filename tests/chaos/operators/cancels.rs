//! Cancels random jobs.

use outbox::JobId;
use rand::{Rng as _, seq::IndexedRandom as _};
use sqlx::FromRow;
use tokio::time::Instant;
use uuid::Uuid;

use super::operator::{Act, Deed, Operator};

/// Milliseconds between two cancellations.
const INTERVAL_MS: std::ops::Range<u64> = 120..400;
/// Probability that a job is cancelled twice at the same time.
const TWICE: f64 = 0.15;

/// The open jobs and some ended ones, each with the stage that it has reached.
const JOBS: &str = "
    select
      id,
      case when state = 'running' then 'running' else 'waiting' end
        || case when sealed_link is null then '' else ' with a link' end as stage
    from email_jobs_open
    union all
    (select id, 'ended' from email_jobs where finished_at < 'infinity' order by finished_at desc limit 20)";

#[derive(FromRow)]
struct Job {
    id: Uuid,
    stage: String,
}

pub(super) async fn run(mut operator: Operator, end: Instant) -> Vec<Act> {
    let mut jobs: Vec<Job> = vec![];
    while Instant::now() < end {
        let stage = match operator.rng.random_range(0..100) {
            0..35 => "running",
            35..43 => "running with a link",
            43..65 => "waiting",
            65..94 => "waiting with a link",
            94..98 => "ended",
            _ => "none",
        };
        jobs = operator.rows(JOBS).await.unwrap_or(jobs);
        let candidates: Vec<Uuid> = jobs.iter().filter(|job| job.stage == stage).map(|job| job.id).collect();
        let chosen =
            if stage == "none" { Some(JobId::new()) } else { candidates.choose(&mut operator.rng).copied().map(JobId) };
        if let Some(job) = chosen {
            let times = if operator.rng.random_bool(TWICE) { 2 } else { 1 };
            operator.act(vec![Deed::Cancel(job); times]).await;
        }
        operator.wait(INTERVAL_MS).await;
    }
    operator.acts
}
