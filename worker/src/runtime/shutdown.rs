//! How the worker stops: first no new claims, then, when the time for running deliveries is up, those are cut short
//! and handed back. A second signal ends the process at once.

use std::{process, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// The two moments of a stop. A clone is the same stop.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// No new claims from here on.
    pub claims: CancellationToken,
    /// Running deliveries are handed back from here on.
    pub deliveries: CancellationToken,
}

/// After deliveries were cut short, so long to write that they were.
pub(crate) const TIME_TO_HAND_BACK: Duration = Duration::from_secs(3);

impl Shutdown {
    /// Stops claims at the first SIGTERM or SIGINT, and the process at the second.
    ///
    /// # Errors
    /// The signals cannot be heard.
    pub fn on_signals(&self) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let claims = self.claims.clone();
        tokio::spawn(async move {
            let mut next = async || {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            };
            next().await;
            claims.cancel();
            tracing::info!("stopping: no new jobs are taken");
            next().await;
            tracing::warn!("stopping at once: jobs that run are taken over when their leases end");
            process::exit(1);
        });
        Ok(())
    }

    /// Waits for running deliveries, cuts them short after `patience`, and gives them the time to say so.
    pub async fn wind_down(&self, idle: impl Future<Output = ()>, patience: Duration) {
        tokio::pin!(idle);
        if timeout(patience, &mut idle).await.is_err() {
            tracing::info!("handing running jobs back");
            self.deliveries.cancel();
            if timeout(TIME_TO_HAND_BACK, idle).await.is_err() {
                tracing::warn!("not all jobs could be handed back: they are taken over when their leases end");
            }
        }
    }
}
