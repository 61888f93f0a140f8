//! Uses LISTEN to wake a worker when there may be a job to claim. If a notification is lost, the caller's poll finds
//! the job.

use std::{sync::Arc, time::Duration};

use sqlx::{PgPool, postgres::PgListener};
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{connect::is_writable, error::READ_ONLY};

/// After this time without a notification, the connection is checked. Without the check, a dead peer, or a proxy that
/// drops packets, could not be distinguished from an idle queue.
const SILENCE: Duration = Duration::from_secs(5);
/// Maximum time to check a silent connection. If the check takes longer, the connection is replaced.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);
/// Time between two attempts to listen.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Receives notifications of new or requeued jobs from all programs. If a notification arrives between two calls of
/// [`wait`](Self::wait), the next call returns immediately.
pub struct JobListener {
    notified: Arc<Notify>,
    task: JoinHandle<()>,
}

impl JobListener {
    /// Starts a task that listens, and reconnects whenever the connection is lost. The task stops when the listener is
    /// dropped.
    #[must_use]
    pub fn start(pool: &PgPool) -> Self {
        let notified = Arc::new(Notify::new());
        let task = tokio::spawn(listen(pool.clone(), Arc::clone(&notified)));
        Self { notified, task }
    }

    /// Waits for a notification, but not longer than `max_wait`.
    pub async fn wait(&self, max_wait: Duration) {
        // The caller looks for jobs whether or not the wait timed out.
        let _ = timeout(max_wait, self.notified.notified()).await;
    }

    /// Ends a [`wait`](Self::wait) from within the program, for example when a delivery slot becomes free.
    pub fn wake(&self) {
        self.notified.notify_one();
    }
}

impl Drop for JobListener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(pool: PgPool, notified: Arc<Notify>) {
    loop {
        if let Err(error) = listen_once(&pool, &notified).await {
            tracing::debug!(%error, "could not listen for new jobs; retrying, and polling in the meantime");
        }
        sleep(RETRY_PAUSE).await;
    }
}

/// Listens until the connection is lost or found to be dead.
async fn listen_once(pool: &PgPool, notified: &Notify) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen("email_jobs").await?;
    // Wake the worker once: it received no notification of the jobs that were enqueued before the LISTEN took effect.
    notified.notify_one();
    loop {
        match timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(_))) => notified.notify_one(),
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_silence) => {
                let check = timeout(CHECK_TIMEOUT, is_writable(&mut listener));
                if !check.await.unwrap_or(Err(sqlx::Error::PoolTimedOut))? {
                    // A standby receives no notifications.
                    return Err(sqlx::Error::Protocol(READ_ONLY.to_owned()));
                }
            }
        }
    }
}
