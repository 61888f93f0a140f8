//! Retries random jobs, including jobs that must not be retried.

use outbox::JobId;
use rand::{Rng as _, seq::IndexedRandom as _};
use sqlx::FromRow;
use tokio::time::Instant;
use uuid::Uuid;

use super::operator::{Act, Deed, Operator};

/// Milliseconds between two retries.
const INTERVAL_MS: std::ops::Range<u64> = 150..500;
/// Probability that a job is retried twice at the same time.
const TWICE: f64 = 0.2;

/// Jobs, each with a kind that predicts the result of a retry. The prediction can be wrong, because the person can
/// request another link before the retry.
const JOBS: &str = "
    select id, 'open' as kind from email_jobs_open
    union all
    (
      select
        id,
        case
          when id in (select job_id from email_retries) then 'retried'
          when exists (
            select from email_jobs as newer where newer.recipient = past.recipient and newer.seq > past.seq
          ) then 'other'
          when state in ('cancelled', 'failed', 'expired') then 'unmailed'
          when state = 'sent' then 'sent'
          else 'other'
        end
      from email_jobs as past
      where finished_at < 'infinity'
      order by finished_at desc
      limit 300
    )";

#[derive(FromRow)]
struct Job {
    id: Uuid,
    kind: String,
}

pub(super) async fn run(mut operator: Operator, end: Instant) -> Vec<Act> {
    let mut jobs: Vec<Job> = vec![];
    while Instant::now() < end {
        let kind = match operator.rng.random_range(0..100) {
            0..60 => "unmailed",
            60..70 => "retried",
            70..80 => "sent",
            80..90 => "other",
            90..97 => "open",
            _ => "none",
        };
        jobs = operator.rows(JOBS).await.unwrap_or(jobs);
        let candidates: Vec<Uuid> = jobs.iter().filter(|job| job.kind == kind).map(|job| job.id).collect();
        let chosen =
            if kind == "none" { Some(JobId::new()) } else { candidates.choose(&mut operator.rng).copied().map(JobId) };
        if let Some(job) = chosen {
            let times = if operator.rng.random_bool(TWICE) { 2 } else { 1 };
            operator.act(vec![Deed::Retry(job); times]).await;
        }
        operator.wait(INTERVAL_MS).await;
    }
    operator.acts
}
