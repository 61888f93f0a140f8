//! Rescues jobs whose worker died, by requeueing them once their lease has expired.

use std::time::Duration;

use sqlx::PgPool;

use crate::{
    model::{
        ended_job::EndedJob,
        failure::Failure,
        job_id::{JobId, Lease},
    },
    postgres::error::Error,
    running::{
        finish::{Finish, JobEnd, Recorded, finish},
        requeue::{Requeue, Requeued, requeue},
    },
};

const ATTEMPTS_EXHAUSTED: &str = "attempts_exhausted";

/// The result of [`rescue`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rescued {
    /// Number of jobs that were requeued, plus the number of jobs in `ended`.
    pub requeued: usize,
    /// Jobs that failed because they had used up all attempts.
    pub exhausted: Vec<EndedJob>,
    /// Jobs that ended instead of waiting again, because a newer request from the same recipient is waiting or because
    /// an operator has cancelled the job.
    pub ended: Vec<EndedJob>,
}

/// Requeues up to 1,000 running jobs whose lease has expired. A job that has used up `max_attempts` ends as failed
/// (`attempts_exhausted`), because the job itself may be what crashes the workers.
///
/// Several workers may call this function at the same time: the fencing token lets only one of them change a job.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn rescue(pool: &PgPool, max_attempts: i16) -> Result<Rescued, Error> {
    let lost = sqlx::query!(
        r#"
        select
          id, lease_token as "lease_token!", attempt, request_id, portal,
          extract(epoch from clock_timestamp() - created_at)::float8 as "age!"
        from email_jobs_open
        where state = 'running'
          and lease_expires_at < clock_timestamp()
        order by lease_expires_at
        limit 1000
        "#,
    )
    .fetch_all(pool)
    .await?;
    let (mut exhausted, mut failed) = (Vec::new(), Vec::new());
    let (mut again, mut endable) = (Vec::new(), Vec::new());
    for row in lost {
        let lease = Lease { job: JobId(row.id), token: row.lease_token };
        let ended = |state, code: &str| EndedJob {
            job: lease.job,
            request_id: row.request_id,
            portal: row.portal,
            state,
            attempts: row.attempt,
            code: Some(code.to_owned()),
            age: Duration::try_from_secs_f64(row.age).unwrap_or_default(),
        };
        if row.attempt >= max_attempts {
            let why = format!("The worker of the last attempt (attempt {}) stopped renewing the lease.", row.attempt);
            let end = JobEnd::Failed(Failure::new(ATTEMPTS_EXHAUSTED, why));
            exhausted.push(Finish { lease, end, step: None });
            failed.push(ended("failed", ATTEMPTS_EXHAUSTED));
        } else {
            let why = Failure::new("worker_lost", "The worker stopped renewing the job's lease.");
            again.push(Requeue {
                lease,
                delay: Duration::ZERO,
                failure: Some(why),
                is_uncounted: false,
                suspected: None,
                step: None,
            });
            endable.push(ended("superseded", "newer_request"));
        }
    }
    // Count only the writes that took effect: another worker may have rescued some of these jobs.
    let mut rescued = Rescued::default();
    if !exhausted.is_empty() {
        let ended = finish(pool, &exhausted).await?;
        let done = failed.into_iter().zip(ended).filter(|(_, ended)| *ended == Recorded::Done);
        rescued.exhausted = done.map(|(job, _)| job).collect();
    }
    if !again.is_empty() {
        let requeued = requeue(pool, &again).await?;
        rescued.requeued = requeued.iter().filter(|requeued| **requeued != Requeued::LeaseLost).count();
        let ended = endable.into_iter().zip(requeued).filter_map(|(job, requeued)| match requeued {
            Requeued::Superseded => Some(job),
            Requeued::Cancelled => Some(EndedJob { state: "cancelled", code: Some("cancelled".to_owned()), ..job }),
            Requeued::Waiting | Requeued::LeaseLost => None,
        });
        rescued.ended = ended.collect();
    }
    Ok(rescued)
}
