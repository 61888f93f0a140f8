//! How the api stops. A load balancer notices a stopping instance only after some time. Until then it sends requests, and the
//! api must answer them.
//!
//! 1. At the first signal, `/health/ready` answers 503. Requests are still accepted for `DRAIN_SECONDS`, on new connections and
//!    on open ones, and each response closes its connection.
//! 2. Then the api accepts no more requests, closes idle connections, and gives requests in flight ten seconds to finish.
//!
//! A second signal ends the program at once.

use std::time::Duration;

use program::StopSignals;
use tokio::time::{sleep, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Maximum time for requests in flight to finish after the listeners have closed.
const FINISH_TIMEOUT: Duration = Duration::from_secs(10);

/// The steps of a shutdown, and their durations.
pub(super) struct Shutdown {
    /// Cancelled at the first signal.
    pub(super) draining: CancellationToken,
    /// Time for which requests are accepted after the first signal.
    pub(super) drain: Duration,
    /// Cancelled when `drain` is over. Listeners and idle connections then close.
    pub(super) stop: CancellationToken,
    /// The tasks that serve connections.
    pub(super) connections: TaskTracker,
}

impl Shutdown {
    /// Waits for a signal, and then stops the api. Returns false if a second signal requests an immediate end.
    pub(super) async fn run(self, signals: &mut StopSignals) -> bool {
        signals.next().await;
        self.draining.cancel();
        tokio::select! {
            () = self.finish() => true,
            () = signals.next() => {
                tracing::warn!("stopping at once after a second signal");
                false
            }
        }
    }

    async fn finish(&self) {
        if !self.drain.is_zero() {
            let drain_seconds = self.drain.as_secs();
            tracing::info!(
                drain_seconds,
                "stopping: no longer ready; still accepting requests until load balancers have noticed"
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
