//! Stops, pauses and resumes an upstream for all workers, and logs the start and the end of each stop and pause.

use std::time::Duration;

use outbox::{
    Error, Failure, Upstream,
    upstreams::{self, StopKind, StoppedBy},
};
use tokio::time::Instant;

use super::worker::Worker;
use crate::upstream::verdict::UpstreamFailure;

/// Stops an upstream because a call that began at `began_at` failed for a reason that affects everybody. Only the
/// worker that stops the upstream or changes the reason logs the stop.
pub(crate) async fn stop(
    worker: &Worker,
    upstream: Upstream,
    by: StoppedBy,
    began_at: Instant,
    failure: &UpstreamFailure,
) -> Result<(), Error> {
    if upstreams::stop(&worker.pool, upstream, by, began_at, &failure.stop_reason(upstream)).await? {
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
        StopKind::SlowMode => tracing::warn!(
            upstream,
            code,
            setting,
            "{}. Sending is paused until the upstream works again; retrying automatically",
            failure.reason.message
        ),
    }
}

/// Pauses an upstream for the time that it requested. Logs the pause, unless the upstream was paused already.
pub(crate) async fn pause(worker: &Worker, upstream: Upstream, time: Duration, reason: &Failure) -> Result<(), Error> {
    if upstreams::pause(&worker.pool, upstream, time).await? {
        let (upstream, code, pause_seconds) = (upstream.as_str(), reason.code.as_str(), time.as_secs());
        tracing::warn!(upstream, code, pause_seconds, "{}. Sending is paused for the requested time", reason.message);
    }
    Ok(())
}

/// Logs the end of each pause that is over. Only one worker logs the end of a given pause.
pub(crate) async fn end_pauses(worker: &Worker) -> Result<(), Error> {
    for upstream in upstreams::end_pauses(&worker.pool).await? {
        tracing::info!(upstream = upstream.as_str(), "the pause is over: sending again");
    }
    Ok(())
}

/// Resumes an upstream after a successful call that began at `began_at`, if [`upstreams::resume`] allows it. Logs the
/// recovery if the upstream was resumed.
pub(crate) async fn resume(
    worker: &Worker,
    upstream: Upstream,
    began_at: Instant,
    is_check: bool,
) -> Result<(), Error> {
    if upstreams::resume(&worker.pool, upstream, began_at, is_check).await? {
        tracing::info!(upstream = upstream.as_str(), "the upstream has recovered: sending again");
    }
    Ok(())
}
