//! How the api stops. A load balancer takes a while to notice that an instance is stopping. Until then, it keeps
//! sending requests, and the api must answer them.
//!
//! 1. At the first signal, `/health/ready` answers 503. For `DRAIN_SECONDS`, requests are still accepted on new and on
//!    open connections, and each response closes its connection.
//! 2. Then the api accepts no more requests, closes idle connections, and gives requests in flight ten seconds to
//!    finish.
//!
//! A second signal stops the program immediately.

use std::time::Duration;

use program::StopSignals;
use tokio::time::{sleep, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Maximum time for requests in flight to finish after the listeners have closed.
const FINISH_TIMEOUT: Duration = Duration::from_secs(10);

/// Shuts the api down in the steps described at the top of this module.
pub(super) struct Shutdown {
    /// Cancelled at the first signal.
    pub(super) draining: CancellationToken,
    /// How long requests are still accepted after the first signal.
    pub(super) drain: Duration,
    /// Cancelled when the `drain` time is over. Listeners and idle connections then close.
    pub(super) stop: CancellationToken,
    /// The tasks that serve connections.
    pub(super) connections: TaskTracker,
}

impl Shutdown {
    /// Waits for a stop signal, then stops the api. Returns false if a second signal arrives before the api has
    /// stopped.
    pub(super) async fn run(self, signals: &mut StopSignals) -> bool {
        signals.next().await;
        self.draining.cancel();
        tokio::select! {
            () = self.finish() => true,
            () = signals.next() => {
                tracing::warn!("received a second signal; stopping immediately");
                false
            }
        }
    }

    async fn finish(&self) {
        if !self.drain.is_zero() {
            let drain_seconds = self.drain.as_secs();
            tracing::info!(
                drain_seconds,
                "stopping: no longer ready; still accepting requests to give load balancers time to notice"
            );
            sleep(self.drain).await;
        }
        tracing::info!("stopping: no longer accepting requests; waiting for requests in flight");
        self.stop.cancel();
        self.connections.close();
        let finished = timeout(FINISH_TIMEOUT, self.connections.wait()).await;
        tracing::info!(all_finished = finished.is_ok(), "the api has stopped");
    }
}
