//! Rescues jobs whose worker died: their lease has expired, so they are requeued at once.

use std::time::Duration;

use sqlx::PgPool;

use crate::{
    model::{
        failure::Failure,
        job_id::{JobId, Lease},
    },
    postgres::error::Error,
    running::{
        finish::{Finish, JobEnd, Recorded, finish},
        requeue::{Requeue, Requeued, requeue},
    },
};

/// Number of jobs that a rescue requeued or ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rescued {
    /// Jobs that were requeued.
    pub requeued: usize,
    /// Jobs that failed because they had used up all attempts.
    pub exhausted: usize,
}

/// Requeues running jobs whose lease has expired. A job that has had `max_attempts` ends as failed (`attempts_exhausted`),
/// because the job itself may crash its workers.
///
/// Several workers may do this at the same time: the fencing token lets only one of them change a job.
///
/// # Errors
/// [`Error::Database`].
pub async fn rescue(pool: &PgPool, max_attempts: i16) -> Result<Rescued, Error> {
    let lost = sqlx::query!(
        r#"
        select id, lease_token as "lease_token!", attempt
        from email_jobs_open
        where state = 'running'
          and lease_expires_at < clock_timestamp()
        order by lease_expires_at
        limit 1000
        "#,
    )
    .fetch_all(pool)
    .await?;
    let mut exhausted = Vec::new();
    let mut again = Vec::new();
    for row in lost {
        let lease = Lease { job: JobId(row.id), token: row.lease_token };
        if row.attempt >= max_attempts {
            let why = format!("The worker of its last attempt (attempt {}) stopped renewing the lease.", row.attempt);
            let end = JobEnd::Failed(Failure::new("attempts_exhausted", why));
            exhausted.push(Finish { lease, end, step: None });
        } else {
            let why = Failure::new("worker_lost", "Its worker stopped renewing the lease.");
            again.push(Requeue {
                lease,
                delay: Duration::ZERO,
                failure: Some(why),
                is_uncounted: false,
                suspected: None,
                step: None,
            });
        }
    }
    // Another worker may have rescued some of these jobs, so only writes that took effect count.
    let mut rescued = Rescued::default();
    if !exhausted.is_empty() {
        let ended = finish(pool, &exhausted).await?;
        rescued.exhausted = ended.iter().filter(|ended| **ended == Recorded::Done).count();
    }
    if !again.is_empty() {
        let requeued = requeue(pool, &again).await?;
        rescued.requeued = requeued.iter().filter(|requeued| **requeued != Requeued::LeaseLost).count();
    }
    Ok(rescued)
}
