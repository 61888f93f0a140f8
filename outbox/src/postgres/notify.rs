//! Waking workers when there is something to claim: LISTEN, with the caller's poll as the fallback.

use std::{sync::Arc, time::Duration};

use sqlx::{PgPool, postgres::PgListener};
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::error::in_time;
use crate::Error;

/// A listener that heard nothing for this long is asked whether it still hears at all: a proxy that swallows
/// packets, or a peer that went without a word, looks just like a quiet night.
const SILENCE: Duration = Duration::from_secs(5);
/// It has this long to answer, or is replaced.
const ANSWER: Duration = Duration::from_secs(3);
/// Between two rings of the bell. The first of a burst wakes the workers at once; what comes behind it waits no longer than
/// this, and costs the server a notification less for each commit.
const BETWEEN_RINGS: Duration = Duration::from_millis(5);
/// Between two tries to listen.
const PAUSE: Duration = Duration::from_secs(1);

/// Wakes the workers, some moments later, however often it is rung meanwhile: one NOTIFY for all. In a transaction of its
/// own, since one that notifies holds a lock of the whole server until it is on the disk: enqueues would wait for each
/// other, those of other replicas too. Should it be lost, the workers' poll finds the jobs within a second.
#[derive(Debug, Clone)]
pub(crate) struct NotifyLimiter(Arc<Notify>);

impl NotifyLimiter {
    /// Starts its task on the current runtime; it ends with the runtime.
    pub(crate) fn hang(pool: PgPool) -> Self {
        let rung = Arc::new(Notify::new());
        let bell = Arc::downgrade(&rung);
        tokio::spawn(async move {
            while let Some(rung) = bell.upgrade() {
                // Looks now and then whether anybody is left to ring it.
                if timeout(PAUSE, rung.notified()).await.is_err() {
                    continue;
                }
                if let Err(error) = notify(&pool).await {
                    tracing::debug!(%error, "the workers were not woken: they poll");
                }
                sleep(BETWEEN_RINGS).await;
            }
        });
        Self(rung)
    }

    pub(crate) fn ring(&self) {
        self.0.notify_one();
    }
}

/// No payload: equal notifications are one. Its commit does not wait for the disk: a server that crashes forgets all that
/// it has yet to deliver anyway.
pub(crate) async fn notify(pool: &PgPool) -> Result<(), Error> {
    let notify = sqlx::query!("select pg_notify('email_jobs', '') from set_config('synchronous_commit', 'off', true)");
    in_time(async { Ok(notify.execute(pool).await.map(drop)?) }).await
}

/// Rings when jobs were enqueued or put back, in any program. A ring that comes while nobody waits is kept.
pub struct JobListener {
    bell: Arc<Notify>,
    listener: JoinHandle<()>,
}

impl JobListener {
    /// Begins to listen, and goes on through every loss of the connection.
    #[must_use]
    pub fn listen(pool: &PgPool) -> Self {
        let bell = Arc::new(Notify::new());
        let listener = tokio::spawn(listen(pool.clone(), Arc::clone(&bell)));
        Self { bell, listener }
    }

    /// Waits for the bell, or for `at_most`.
    pub async fn wait(&self, at_most: Duration) {
        // Either way there is a reason to look: which one it was does not matter.
        let _ = tokio::time::timeout(at_most, self.bell.notified()).await;
    }

    /// Rings the bell from within the program, when a slot has become free.
    pub fn ring(&self) {
        self.bell.notify_one();
    }
}

impl Drop for JobListener {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn listen(pool: PgPool, bell: Arc<Notify>) {
    loop {
        if let Err(error) = listen_once(&pool, &bell).await {
            tracing::debug!(%error, "listening is not possible for now: polling");
        }
        sleep(PAUSE).await;
    }
}

/// Listens until the connection is lost, or found to be dead.
async fn listen_once(pool: &PgPool, bell: &Notify) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen("email_jobs").await?;
    // What was enqueued before the LISTEN took effect rang no bell.
    bell.notify_one();
    loop {
        match timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(_))) => bell.notify_one(),
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_silence) => {
                let alive = timeout(ANSWER, sqlx::query("select 1").execute(&mut listener)).await;
                alive.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
            }
        }
    }
}
