//! Numbers for Prometheus, served on the private listener only. No label holds what a caller chose freely.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

const ANSWERS: &str = "magic_link_api_requests_total";
const ENQUEUE: &str = "magic_link_api_enqueue_seconds";
const WAITING: &str = "magic_link_api_waiting_jobs";
const WEBHOOKS: &str = "magic_link_api_webhook_events_total";
const CONNECTIONS: &str = "magic_link_api_connections";

/// Seconds: from a commit on a quiet disk to the longest wait for a connection.
const BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Starts to count. Once per process.
///
/// # Errors
/// Where somebody else counts already.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(ENQUEUE.to_owned()), &BUCKETS)?
        .install_recorder()?;
    describe_counter!(ANSWERS, "Answers of the endpoint, by status and error code (ok for none).");
    describe_histogram!(ENQUEUE, "Seconds that it took to put a job into the outbox, or to fail at it.");
    describe_gauge!(WAITING, "Jobs that wait for a worker, counted up to just over QUEUE_LIMIT.");
    describe_gauge!(CONNECTIONS, "Open connections of the public listener.");
    describe_counter!(WEBHOOKS, "Webhooks, by event (none for one that was refused) and what became of it.");
    Ok(handle)
}

/// An answer of the endpoint.
pub(crate) fn count_answer(status: u16, code: String) {
    counter!(ANSWERS, "status" => status.to_string(), "code" => code).increment(1);
}

/// A job was put into the outbox, or was not.
pub(crate) fn time_enqueue(taken: Duration) {
    histogram!(ENQUEUE).record(taken.as_secs_f64());
}

/// A webhook was taken or refused.
pub(crate) fn count_webhook(event: &'static str, outcome: &'static str) {
    counter!(WEBHOOKS, "event" => event, "outcome" => outcome).increment(1);
}

/// Jobs that wait for a worker.
pub(crate) fn set_waiting_jobs(jobs: u32) {
    gauge!(WAITING).set(jobs);
}

/// Open connections of the public listener.
pub(crate) fn set_connections(connections: u32) {
    gauge!(CONNECTIONS).set(connections);
}

/// Folds what was measured into the histograms, for ever, whether or not somebody scrapes.
pub(crate) async fn keep_small(handle: PrometheusHandle) {
    let mut ticks = tokio::time::interval(Duration::from_secs(5));
    loop {
        ticks.tick().await;
        handle.run_upkeep();
    }
}
