//! What is counted. Labels are steps, outcomes and states only: never an address, a link or a job.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use outbox::{Attempt, Step};

/// From a fast upstream to a time-out, and on to a job's usual deadline.
const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 900.0];

/// Installs the recorder; its handle renders `/metrics`.
///
/// # Errors
/// There is one already.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new().set_buckets(&SECONDS)?.install_recorder()?;
    describe_counter!("magic_link_attempts_total", "Steps tried, by step (generate_link, send) and outcome.");
    describe_counter!("magic_link_jobs_total", "Jobs that this worker let go of, by what became of them.");
    describe_counter!(
        "magic_link_redirect_not_allowed_total",
        "Jobs failed because Supabase's redirect allow list lacks their callback URL."
    );
    describe_gauge!("magic_link_jobs_running", "Jobs that this worker holds now.");
    describe_gauge!(
        "magic_link_supabase_code_digits",
        "Digits of the one-time code that Supabase makes beside each link; fewer than 8 can be guessed."
    );
    describe_histogram!("magic_link_job_seconds", "From a job's claim to its end or return, by what became of it.");
    describe_histogram!("magic_link_request_to_sent_seconds", "From the request to Mailgun's taking the mail.");
    describe_histogram!("magic_link_generate_link_seconds", "Calls to Supabase Auth.");
    describe_histogram!("magic_link_send_seconds", "Calls to Mailgun.");
    // Present from the start, so that an alert on its increase sees the first one.
    counter!("magic_link_redirect_not_allowed_total").absolute(0);
    gauge!("magic_link_jobs_running").set(0.0);
    Ok(handle)
}

/// Lets go, for ever, of what histograms keep until they are read: nobody may be reading.
pub(crate) async fn keep_small(prometheus: PrometheusHandle) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        prometheus.run_upkeep();
    }
}

/// A step was taken.
pub(crate) fn step(attempt: &Attempt) {
    counter!("magic_link_attempts_total", "step" => attempt.step.as_str(), "outcome" => attempt.outcome.as_str())
        .increment(1);
    let name = match attempt.step {
        Step::GenerateLink => "magic_link_generate_link_seconds",
        Step::Send => "magic_link_send_seconds",
    };
    histogram!(name).record(attempt.duration.as_secs_f64());
}

/// A job was let go of, `held` after its claim.
pub(crate) fn job_done(state: &'static str, held: Duration) {
    counter!("magic_link_jobs_total", "state" => state).increment(1);
    histogram!("magic_link_job_seconds", "state" => state).record(held.as_secs_f64());
}

/// A mail was taken, so long after its request.
pub(crate) fn sent(since_request: Duration) {
    histogram!("magic_link_request_to_sent_seconds").record(since_request.as_secs_f64());
}

/// Supabase substituted a redirect.
pub(crate) fn redirect_not_allowed() {
    counter!("magic_link_redirect_not_allowed_total").increment(1);
}

/// Supabase makes codes of this length.
pub(crate) fn code_digits(digits: usize) {
    gauge!("magic_link_supabase_code_digits").set(u32::try_from(digits).unwrap_or(u32::MAX));
}

/// So many jobs are held.
pub(crate) fn running(change: f64) {
    gauge!("magic_link_jobs_running").increment(change);
}
