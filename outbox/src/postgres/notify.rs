//! Notifies the workers of new jobs, at a limited rate.

use std::{sync::Arc, time::Duration};

use sqlx::PgPool;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::error::{Error, in_time};

/// Minimum time between two notifications. The first commit of a burst wakes the workers immediately. Later commits
/// wait at most this long and share a notification.
const MIN_INTERVAL: Duration = Duration::from_millis(5);
/// How often the task checks whether it is still needed.
const LIFE_CHECK: Duration = Duration::from_secs(1);

/// Sends one NOTIFY for any number of requests within [`MIN_INTERVAL`].
///
/// The NOTIFY is sent in a separate transaction. A transaction with a NOTIFY holds a server-wide lock until it is on
/// disk, so all enqueues would wait for each other, even those of other apis. If a notification is lost, the workers
/// find the jobs when they poll, within a second.
#[derive(Debug, Clone)]
pub(crate) struct NotifyLimiter(Arc<Notify>);

impl NotifyLimiter {
    /// Starts the notifying task on the current runtime. The task ends soon after the last clone is dropped, or
    /// with the runtime.
    pub(crate) fn start(pool: PgPool) -> Self {
        let requested = Arc::new(Notify::new());
        let weak = Arc::downgrade(&requested);
        tokio::spawn(async move {
            while let Some(requested) = weak.upgrade() {
                if timeout(LIFE_CHECK, requested.notified()).await.is_err() {
                    continue;
                }
                if let Err(error) = notify(&pool).await {
                    tracing::debug!(%error, "could not notify the workers; they will find the jobs when they next poll");
                }
                sleep(MIN_INTERVAL).await;
            }
        });
        Self(requested)
    }

    /// Requests a notification and returns immediately.
    pub(crate) fn notify(&self) {
        self.0.notify_one();
    }
}

/// Wakes all workers. The payload is empty, because a worker that wakes looks for jobs itself. The commit does not wait
/// for the disk, because a server that crashes loses all undelivered notifications anyway.
pub(crate) async fn notify(pool: &PgPool) -> Result<(), Error> {
    let notify = sqlx::query!("select pg_notify('email_jobs', '') from set_config('synchronous_commit', 'off', true)");
    in_time(async { Ok(notify.execute(pool).await.map(drop)?) }).await
}
