//! Stops the worker. The first signal stops new claims. Running deliveries get time to finish. Then they are cancelled,
//! and their jobs are requeued. A second signal ends the process immediately.

use std::{process, time::Duration};

use program::StopSignals;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The two steps of a shutdown. Clones share the tokens.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Once this token is cancelled, no new jobs are claimed.
    pub claims: CancellationToken,
    /// Once this token is cancelled, running deliveries stop and requeue their jobs.
    pub deliveries: CancellationToken,
}

/// How long a shutdown waits for cancelled deliveries to requeue their jobs.
pub(crate) const REQUEUE_TIMEOUT: Duration = Duration::from_secs(3);

impl Shutdown {
    /// Cancels `claims` at the first SIGTERM or SIGINT, and ends the process at the second signal.
    ///
    /// # Errors
    /// The signal handlers cannot be installed.
    pub fn on_signals(&self) -> std::io::Result<()> {
        let mut signals = StopSignals::new()?;
        let claims = self.claims.clone();
        tokio::spawn(async move {
            signals.next().await;
            claims.cancel();
            tracing::info!("stopping: no longer claiming jobs");
            signals.next().await;
            tracing::warn!(
                "stopping immediately: other workers will take over the running jobs when the leases expire"
            );
            process::exit(1);
        });
        Ok(())
    }

    /// Waits until the worker is idle. After `grace_period`, cancels the running deliveries and waits up to
    /// [`REQUEUE_TIMEOUT`] for them to requeue their jobs.
    pub async fn wind_down(&self, idle: impl Future<Output = ()>, grace_period: Duration) {
        tokio::pin!(idle);
        if timeout(grace_period, &mut idle).await.is_err() {
            tracing::info!("stopping: handing running jobs over to other workers");
            self.deliveries.cancel();
            if timeout(REQUEUE_TIMEOUT, idle).await.is_err() {
                tracing::warn!(
                    "some jobs could not be requeued: other workers will take them over when the leases expire"
                );
            }
        }
    }
}
