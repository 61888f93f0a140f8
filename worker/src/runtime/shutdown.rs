//! How the worker stops. The first signal ends new claims; when the time for running deliveries is up, they are
//! cancelled and handed back. A second signal ends the process at once.

use std::{process, time::Duration};

use program::StopSignals;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The two steps of a stop. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Once cancelled, no new jobs are claimed.
    pub claims: CancellationToken,
    /// Once cancelled, running deliveries are handed back.
    pub deliveries: CancellationToken,
}

/// Time that cancelled deliveries get to record in the outbox that they were handed back.
pub(crate) const TIME_TO_HAND_BACK: Duration = Duration::from_secs(3);

impl Shutdown {
    /// Cancels `claims` at the first SIGTERM or SIGINT, and ends the process at the second.
    ///
    /// # Errors
    /// The system installs no signal handler.
    pub fn on_signals(&self) -> std::io::Result<()> {
        let mut signals = StopSignals::new()?;
        let claims = self.claims.clone();
        tokio::spawn(async move {
            signals.next().await;
            claims.cancel();
            tracing::info!("stopping: no new jobs are taken");
            signals.next().await;
            tracing::warn!("stopping at once: jobs that run are taken over when their leases end");
            process::exit(1);
        });
        Ok(())
    }

    /// Waits until the worker is idle. After `patience`, cancels running deliveries and gives them
    /// [`TIME_TO_HAND_BACK`].
    pub async fn wind_down(&self, idle: impl Future<Output = ()>, patience: Duration) {
        tokio::pin!(idle);
        if timeout(patience, &mut idle).await.is_err() {
            tracing::info!("stopping: running jobs are handed over to other workers");
            self.deliveries.cancel();
            if timeout(TIME_TO_HAND_BACK, idle).await.is_err() {
                tracing::warn!("not all jobs could be handed back: they are taken over when their leases end");
            }
        }
    }
}
