//! Jobs whose worker is gone: its lease ran out, so they wait again, at once.

use std::time::Duration;

use sqlx::PgPool;

use crate::{
    Error, Failure, Finish, JobEnd, JobId, Lease, Recorded, Requeue, Requeued,
    running::{finish::finish, requeue::requeue},
};

/// What a rescue found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rescued {
    /// Jobs that wait again.
    pub returned: usize,
    /// Jobs that ended as failed: so many attempts, and none of their workers lived to say why.
    pub exhausted: usize,
}

/// Takes running jobs back whose lease has run out. One that has had `max_attempts` ends as failed
/// (`attempts_exhausted`): it may be what kills its workers.
///
/// Workers may do this at the same time: the fencing token lets one of them win.
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
            let why = format!("Its worker was lost {} times; the last did not live to say why.", row.attempt);
            let end = JobEnd::Failed(Failure::new("attempts_exhausted", why));
            exhausted.push(Finish { lease, end, journal: None });
        } else {
            let why = Failure::new("worker_lost", "Its worker stopped renewing the lease.");
            again.push(Requeue { lease, delay: Duration::ZERO, failure: Some(why), uncounted: false, journal: None });
        }
    }
    // Another worker's rescue may have been faster.
    let mut rescued = Rescued::default();
    if !exhausted.is_empty() {
        let ended = finish(pool, &exhausted).await?;
        rescued.exhausted = ended.iter().filter(|ended| **ended == Recorded::Done).count();
    }
    if !again.is_empty() {
        let returned = requeue(pool, &again).await?;
        rescued.returned = returned.iter().filter(|returned| **returned != Requeued::LeaseLost).count();
    }
    Ok(rescued)
}
