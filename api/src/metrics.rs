//! Prometheus metrics, served on the private listener only. Labels have a fixed set of values, so callers cannot create
//! new values.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use outbox::{DeliveryStatus, Load, SuppressionOutcome, SuppressionReason};

const REQUESTS: &str = "magic_link_api_requests_total";
const CONFIRM_REQUESTS: &str = "magic_link_api_confirm_requests_total";
const ENQUEUE_SECONDS: &str = "magic_link_api_enqueue_seconds";
const WAITING_JOBS: &str = "magic_link_api_waiting_jobs";
const CAPACITY: &str = "magic_link_api_capacity_jobs_per_second";
const WEBHOOK_EVENTS: &str = "magic_link_api_webhook_events_total";
const ENQUEUE_BATCH_SIZE: &str = "magic_link_api_enqueue_batch_size";
const ENQUEUE_COMMIT_SECONDS: &str = "magic_link_api_enqueue_commit_seconds";
const WEBHOOK_BATCH_SIZE: &str = "magic_link_api_webhook_batch_size";
const WEBHOOK_COMMIT_SECONDS: &str = "magic_link_api_webhook_commit_seconds";
const DELIVERIES: &str = "magic_link_deliveries_total";
const SUPPRESSIONS: &str = "magic_link_suppressions_total";
const CONNECTIONS: &str = "magic_link_api_connections";
const RELOADS: &str = "magic_link_reloads_total";
const BUILD_INFO: &str = "magic_link_build_info";

/// Histogram buckets in seconds: from a commit on an idle disk to the longest wait for a connection.
const DURATION_BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Histogram buckets for requests or webhooks per commit, up to the largest batch.
const BATCH_SIZE_BUCKETS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// Installs the recorder and describes every metric. Call this once per process.
///
/// # Errors
/// Fails if another recorder is already installed.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for (metric, buckets) in [
        (ENQUEUE_SECONDS, &DURATION_BUCKETS[..]),
        (ENQUEUE_COMMIT_SECONDS, &DURATION_BUCKETS),
        (WEBHOOK_COMMIT_SECONDS, &DURATION_BUCKETS),
        (ENQUEUE_BATCH_SIZE, &BATCH_SIZE_BUCKETS),
        (WEBHOOK_BATCH_SIZE, &BATCH_SIZE_BUCKETS),
    ] {
        builder = builder.set_buckets_for_metric(Matcher::Full(metric.to_owned()), buckets)?;
    }
    let handle = builder.install_recorder()?;
    describe();
    start_at_zero();
    Ok(handle)
}

fn describe() {
    describe_gauge!(BUILD_INFO, "Always 1. The labels contain the program, its version and its commit.");
    describe_counter!(
        REQUESTS,
        "Responses of the send-magic-link endpoint, by status and error code (ok if there is no error). Responses to \
         accepted requests also have the label portal (default if there are no portals)."
    );
    describe_counter!(
        CONFIRM_REQUESTS,
        "Responses of the confirm page, by step (open: GET and HEAD; press: POST) and result (ok, or the problem)."
    );
    describe_histogram!(ENQUEUE_SECONDS, "Seconds to store a job in the outbox, including failed attempts.");
    describe_histogram!(ENQUEUE_BATCH_SIZE, "Number of requests per commit.");
    describe_histogram!(ENQUEUE_COMMIT_SECONDS, "Seconds to commit a batch of requests, including failed commits.");
    describe_histogram!(WEBHOOK_BATCH_SIZE, "Number of webhooks per commit.");
    describe_histogram!(WEBHOOK_COMMIT_SECONDS, "Seconds to commit a batch of webhooks, including failed commits.");
    describe_counter!(DELIVERIES, "Changes in a mail's delivery state that Mailgun reported, by new state.");
    describe_counter!(
        SUPPRESSIONS,
        "Reports that a recipient should be suppressed, by reason and outcome (held_back: too many for one domain)."
    );
    describe_gauge!(WAITING_JOBS, "Jobs that wait for a worker, counted up to just over QUEUE_LIMIT.");
    describe_gauge!(
        CAPACITY,
        "Jobs per second that all workers together can finish, as last measured while there was a backlog; NaN if \
         there is no recent measurement."
    );
    describe_counter!(RELOADS, "Reloads of PORTALS_FILE and MAIL_TEMPLATES on SIGHUP, by result: ok or failed.");
    describe_gauge!(CONNECTIONS, "Open connections of the public listener.");
    describe_counter!(WEBHOOK_EVENTS, "Webhooks, by event (none if refused) and outcome.");
}

/// Exports these counters as 0 before their first increment. Without this initial 0, an alert on `increase()` would not
/// see the first increment.
fn start_at_zero() {
    let commit = program::COMMIT.unwrap_or("unknown");
    gauge!(BUILD_INFO, "version" => program::VERSION, "commit" => commit, "program" => "magic-link-api").set(1.0);
    for delivery in DeliveryStatus::ALL {
        counter!(DELIVERIES, "delivery" => delivery.as_str()).absolute(0);
    }
    for reason in SuppressionReason::ALL {
        for outcome in [SuppressionOutcome::Suppressed, SuppressionOutcome::HeldBack] {
            counter!(SUPPRESSIONS, "reason" => reason.as_str(), "outcome" => outcome.as_str()).absolute(0);
        }
    }
    for result in ["ok", "failed"] {
        counter!(RELOADS, "result" => result).absolute(0);
    }
    for (status, code) in [("500", "internal_error"), ("503", "unavailable")] {
        counter!(REQUESTS, "status" => status, "code" => code).absolute(0);
    }
}

/// Counts the response to an accepted request. Only accepted requests have a `portal` label, so that each portal adds a
/// single series. The operator chooses the portals' ids, so callers cannot add series.
pub(crate) fn count_accepted(status: u16, code: String, portal: Option<&str>) {
    let portal = portal.unwrap_or("default").to_owned();
    counter!(REQUESTS, "status" => status.to_string(), "code" => code, "portal" => portal).increment(1);
}

/// Counts a response from the send-magic-link endpoint to any request that was not accepted. `code` is `ok` for a
/// success, such as the response to a preflight.
pub(crate) fn count_response(status: u16, code: String) {
    counter!(REQUESTS, "status" => status.to_string(), "code" => code).increment(1);
}

/// Records how long it took to enqueue a job, whether or not this succeeded.
pub(crate) fn observe_enqueue(duration: Duration) {
    histogram!(ENQUEUE_SECONDS).record(duration.as_secs_f64());
}

/// Counts a response from the confirm page. `step` is `open` or `press`.
pub(crate) fn count_confirm(step: &'static str, result: &'static str) {
    counter!(CONFIRM_REQUESTS, "step" => step, "result" => result).increment(1);
}

/// Counts a reload of `PORTALS_FILE` and `MAIL_TEMPLATES` on SIGHUP.
pub(crate) fn count_reload(is_ok: bool) {
    counter!(RELOADS, "result" => if is_ok { "ok" } else { "failed" }).increment(1);
}

/// Counts a webhook. For a rejected webhook, `event` is `none` and `outcome` is the reason.
pub(crate) fn count_webhook(event: &'static str, outcome: &'static str) {
    counter!(WEBHOOK_EVENTS, "event" => event, "outcome" => outcome).increment(1);
}

/// Records the number of requests in one commit and how long the commit took, whether or not it succeeded.
pub(crate) fn observe_enqueue_commit(batch_size: usize, duration: Duration) {
    observe_commit(ENQUEUE_BATCH_SIZE, ENQUEUE_COMMIT_SECONDS, batch_size, duration);
}

/// Records the number of webhooks in one commit and how long the commit took, whether or not it succeeded.
pub(crate) fn observe_webhook_commit(batch_size: usize, duration: Duration) {
    observe_commit(WEBHOOK_BATCH_SIZE, WEBHOOK_COMMIT_SECONDS, batch_size, duration);
}

fn observe_commit(sizes: &'static str, seconds: &'static str, batch_size: usize, duration: Duration) {
    histogram!(sizes).record(u32::try_from(batch_size).unwrap_or(u32::MAX));
    histogram!(seconds).record(duration.as_secs_f64());
}

/// Counts a mail whose delivery state changed to `delivery`.
pub(crate) fn count_delivery(delivery: DeliveryStatus) {
    counter!(DELIVERIES, "delivery" => delivery.as_str()).increment(1);
}

/// Counts a report that a recipient should be suppressed. `outcome` is how the report was handled.
pub(crate) fn count_suppression(reason: SuppressionReason, outcome: SuppressionOutcome) {
    counter!(SUPPRESSIONS, "reason" => reason.as_str(), "outcome" => outcome.as_str()).increment(1);
}

/// Sets the gauges for the queue.
pub(crate) fn set_load(load: &Load) {
    gauge!(WAITING_JOBS).set(load.waiting);
    gauge!(CAPACITY).set(load.jobs_per_second.unwrap_or(f64::NAN));
}

/// Sets the gauge for open connections on the public listener.
pub(crate) fn set_connections(connections: usize) {
    gauge!(CONNECTIONS).set(u32::try_from(connections).unwrap_or(u32::MAX));
}

/// Aggregates recorded samples every 5 seconds, so that memory stays bounded even if nothing scrapes the metrics. Never
/// returns.
pub(crate) async fn run_upkeep(handle: PrometheusHandle) {
    let mut ticks = tokio::time::interval(Duration::from_secs(5));
    loop {
        ticks.tick().await;
        handle.run_upkeep();
    }
}
