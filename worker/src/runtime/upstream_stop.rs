//! Stops an upstream for all workers and resumes it, and logs both ends.

use outbox::{
    Error, Upstream,
    upstreams::{self, StopKind, StoppedBy},
};
use tokio::time::Instant;

use super::worker::Worker;
use crate::upstream::verdict::UpstreamFailure;

/// Stops an upstream because of a failure that concerns everybody. Only the worker that stops it, or changes its reason, logs
/// it.
pub(crate) async fn stop(
    worker: &Worker,
    upstream: Upstream,
    failure: &UpstreamFailure,
    by: StoppedBy,
) -> Result<(), Error> {
    let (kind, setting) = (failure.stop_kind(), failure.setting(upstream));
    if upstreams::stop(&worker.pool, upstream, kind, by, &failure.reason, setting).await? {
        log_stop(upstream, failure);
    }
    Ok(())
}

/// Logs that an upstream was stopped.
pub(crate) fn log_stop(upstream: Upstream, failure: &UpstreamFailure) {
    let setting = failure.setting(upstream);
    let (upstream, code) = (upstream.as_str(), failure.reason.code.as_str());
    match failure.stop_kind() {
        StopKind::Breaker => tracing::error!(
            upstream,
            code,
            setting,
            "{}. Sending is paused until this is fixed; retrying automatically",
            failure.reason.message
        ),
        StopKind::SlowPace => tracing::warn!(
            upstream,
            code,
            setting,
            "{}. Sending is paused until it works again; retrying automatically",
            failure.reason.message
        ),
    }
}

/// Resumes an upstream after a call that began at `began_at` and succeeded, and logs it if the upstream was stopped.
pub(crate) async fn resume(
    worker: &Worker,
    upstream: Upstream,
    began_at: Instant,
    is_check: bool,
) -> Result<(), Error> {
    if upstreams::resume(&worker.pool, upstream, began_at.elapsed(), is_check).await? {
        tracing::info!(upstream = upstream.as_str(), "recovered: sending again");
    }
    Ok(())
}
