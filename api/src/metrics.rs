//! Numbers for Prometheus, served on the private listener only. No label holds what a caller chose freely.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use outbox::{Delivery, Load, SuppressionOutcome, SuppressionReason};

const ANSWERS: &str = "magic_link_api_requests_total";
const ENQUEUE: &str = "magic_link_api_enqueue_seconds";
const WAITING: &str = "magic_link_api_waiting_jobs";
const CAPACITY: &str = "magic_link_api_capacity_jobs_per_second";
const WEBHOOKS: &str = "magic_link_api_webhook_events_total";
const ENQUEUE_BATCH: &str = "magic_link_api_enqueue_batch_size";
const ENQUEUE_COMMIT: &str = "magic_link_api_enqueue_commit_seconds";
const WEBHOOK_BATCH: &str = "magic_link_api_webhook_batch_size";
const WEBHOOK_COMMIT: &str = "magic_link_api_webhook_commit_seconds";
const DELIVERIES: &str = "magic_link_deliveries_total";
const SUPPRESSIONS: &str = "magic_link_suppressions_total";
const CONNECTIONS: &str = "magic_link_api_connections";

/// Seconds: from a commit on a quiet disk to the longest wait for a connection.
const BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Requests or reports in one commit: up to the largest batch.
const BATCHES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// Starts to count. Once per process.
///
/// # Errors
/// Where somebody else counts already.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for (metric, buckets) in [
        (ENQUEUE, &BUCKETS[..]),
        (ENQUEUE_COMMIT, &BUCKETS),
        (WEBHOOK_COMMIT, &BUCKETS),
        (ENQUEUE_BATCH, &BATCHES),
        (WEBHOOK_BATCH, &BATCHES),
    ] {
        builder = builder.set_buckets_for_metric(Matcher::Full(metric.to_owned()), buckets)?;
    }
    let handle = builder.install_recorder()?;
    describe_counter!(ANSWERS, "Answers of the endpoint, by status and error code (ok for none).");
    describe_histogram!(ENQUEUE, "Seconds that it took to put a job into the outbox, or to fail at it.");
    describe_histogram!(ENQUEUE_BATCH, "Requests that went into the outbox in one commit.");
    describe_histogram!(ENQUEUE_COMMIT, "Seconds that a commit of requests took, or failed after.");
    describe_histogram!(WEBHOOK_BATCH, "Webhooks that were taken in one commit.");
    describe_histogram!(WEBHOOK_COMMIT, "Seconds that a commit of webhooks took, or failed after.");
    describe_counter!(DELIVERIES, "Mails whose delivery became this, by what Mailgun reported.");
    describe_counter!(
        SUPPRESSIONS,
        "Recipients reported as not to be mailed, by reason; held_back: too many of a domain."
    );
    describe_gauge!(WAITING, "Jobs that wait for a worker, counted up to just over QUEUE_LIMIT.");
    describe_gauge!(
        CAPACITY,
        "Jobs that all workers end a second, as last measured under a backlog; NaN where there was none of late."
    );
    describe_gauge!(CONNECTIONS, "Open connections of the public listener.");
    describe_counter!(WEBHOOKS, "Webhooks, by event (none for one that was refused) and what became of it.");
    // Present from the start, so that an alert on their increase sees the first one.
    for delivery in Delivery::ALL {
        counter!(DELIVERIES, "delivery" => delivery.as_str()).absolute(0);
    }
    for reason in SuppressionReason::ALL {
        for suppressed in [SuppressionOutcome::Suppressed, SuppressionOutcome::HeldBack] {
            counter!(SUPPRESSIONS, "reason" => reason.as_str(), "outcome" => suppressed.as_str()).absolute(0);
        }
    }
    for (status, code) in [("500", "internal_error"), ("503", "unavailable")] {
        counter!(ANSWERS, "status" => status, "code" => code).absolute(0);
    }
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

/// Requests were put into the outbox together, or were not.
pub(crate) fn enqueue_commit(batch: usize, taken: Duration) {
    commit(ENQUEUE_BATCH, ENQUEUE_COMMIT, batch, taken);
}

/// Webhooks were taken together, or were not.
pub(crate) fn webhook_commit(batch: usize, taken: Duration) {
    commit(WEBHOOK_BATCH, WEBHOOK_COMMIT, batch, taken);
}

fn commit(sizes: &'static str, seconds: &'static str, batch: usize, taken: Duration) {
    histogram!(sizes).record(u32::try_from(batch).unwrap_or(u32::MAX));
    histogram!(seconds).record(taken.as_secs_f64());
}

/// A mail's delivery became this.
pub(crate) fn count_delivery(delivery: Delivery) {
    counter!(DELIVERIES, "delivery" => delivery.as_str()).increment(1);
}

/// A recipient was suppressed, or was not.
pub(crate) fn count_suppression(reason: SuppressionReason, outcome: SuppressionOutcome) {
    counter!(SUPPRESSIONS, "reason" => reason.as_str(), "outcome" => outcome.as_str()).increment(1);
}

/// How the outbox stands.
pub(crate) fn set_load(load: &Load) {
    gauge!(WAITING).set(load.waiting);
    gauge!(CAPACITY).set(load.jobs_per_second.unwrap_or(f64::NAN));
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
