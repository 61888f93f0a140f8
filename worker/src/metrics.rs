//! What is counted. Labels are steps, outcomes and states only: never an address, a link or a job.

use std::time::Duration;

use metrics::{Counter, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use outbox::{
    Attempt, Backlog, Delivery, DeliveryEvent, Expired, Outcome, ReportOutcome, Rescued, Step, SuppressionOutcome,
    SuppressionReason,
    upstreams::{Upstream, UpstreamState},
};

/// From a fast upstream to a time-out, and on to a job's usual deadline.
const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 900.0];

/// Records in one commit: up to the largest batch.
const BATCHES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

const RECORD_BATCH: &str = "magic_link_record_batch_size";
const RECORD_COMMIT: &str = "magic_link_record_commit_seconds";

const OUTCOMES: [Outcome; 6] =
    [Outcome::Ok, Outcome::Retry, Outcome::Unknown, Outcome::Reject, Outcome::Configuration, Outcome::Stopped];

/// What may become of a job in a worker's hands: the states, and two ways to lose it.
const STATES: [&str; 8] = ["sent", "failed", "expired", "superseded", "queued", "retrying", "lease_lost", "unrecorded"];

/// Installs the recorder; its handle renders `/metrics`.
///
/// # Errors
/// There is one already.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets(&SECONDS)?
        .set_buckets_for_metric(Matcher::Full(RECORD_BATCH.to_owned()), &BATCHES)?
        .install_recorder()?;
    describe();
    begin();
    Ok(handle)
}

fn describe() {
    describe_counter!("magic_link_attempts_total", "Steps tried, by step (generate_link, send) and outcome.");
    describe_counter!("magic_link_jobs_total", "Jobs that this worker ended or let go of, by what became of them.");
    describe_counter!("magic_link_leases_rescued_total", "Running jobs taken back from workers that were gone.");
    describe_counter!(
        "magic_link_fenced_writes_total",
        "Deliveries whose write changed nothing, since their lease was over. (Renewals of leases do not count.)"
    );
    describe_counter!(
        "magic_link_redirect_not_allowed_total",
        "Jobs failed because Supabase's redirect allow list lacks their callback URL."
    );
    describe_gauge!("magic_link_database_up", "Whether this worker's last look at the database succeeded.");
    describe_gauge!("magic_link_jobs", "Open jobs of all workers, by state; NaN while the database is away.");
    describe_gauge!(
        "magic_link_oldest_job_seconds",
        "Since the request of the oldest open job of all workers, by state; 0 if there is none."
    );
    describe_gauge!("magic_link_breaker_open", "Whether nothing is claimed until an operator changes a setting.");
    describe_gauge!("magic_link_upstream_paused", "Whether nothing is claimed, since the upstream asked for patience.");
    describe_gauge!("magic_link_jobs_running", "Jobs that this worker holds now.");
    describe_gauge!(
        "magic_link_supabase_code_digits",
        "Digits of the one-time code that Supabase makes beside each link; fewer than 8 can be guessed."
    );
    describe_histogram!(
        RECORD_BATCH,
        "Records written in one commit, by kind: seal (a link, before it is mailed), end, return (to wait again)."
    );
    describe_histogram!(RECORD_COMMIT, "Seconds that a commit of records took, or failed after.");
    describe_histogram!("magic_link_pickup_seconds", "From when a job was due to its claim.");
    describe_histogram!("magic_link_job_seconds", "From a job's claim to its end or return, by what became of it.");
    describe_histogram!("magic_link_request_to_sent_seconds", "From the request to Mailgun's taking the mail.");
    describe_histogram!("magic_link_generate_link_seconds", "Calls to Supabase Auth.");
    describe_histogram!("magic_link_send_seconds", "Calls to Mailgun.");
    describe_counter!(
        "magic_link_reconciled_total",
        "Mails that Mailgun was asked about: found, young (too early to tell), absent, gave_up, failed (no answer)."
    );
    describe_counter!("magic_link_deliveries_total", "Mails whose delivery became this, by what Mailgun reported.");
    describe_counter!(
        "magic_link_suppressions_total",
        "Recipients reported as not to be mailed, by reason; held_back: too many of a domain."
    );
}

/// All that is counted is there from the start, so that a rate or an increase sees the first one.
fn begin() {
    for step in [Step::GenerateLink, Step::Send] {
        for outcome in OUTCOMES {
            attempts(step, outcome).absolute(0);
        }
        let _ = histogram!(seconds_of(step));
    }
    for state in STATES {
        jobs(state).absolute(0);
    }
    counter!("magic_link_leases_rescued_total").absolute(0);
    counter!("magic_link_fenced_writes_total").absolute(0);
    for outcome in ["found", "young", "absent", "gave_up", "failed"] {
        reconciliations(outcome).absolute(0);
    }
    for delivery in Delivery::ALL {
        deliveries(delivery).absolute(0);
    }
    for reason in SuppressionReason::ALL {
        for suppressed in [SuppressionOutcome::Suppressed, SuppressionOutcome::HeldBack] {
            suppressions(reason, suppressed).absolute(0);
        }
    }
    counter!("magic_link_redirect_not_allowed_total").absolute(0);
    let _ = histogram!("magic_link_pickup_seconds");
    let _ = histogram!("magic_link_request_to_sent_seconds");
    gauge!("magic_link_jobs_running").set(0.0);
    unseen();
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
    attempts(attempt.step, attempt.outcome).increment(1);
    histogram!(seconds_of(attempt.step)).record(attempt.duration.as_secs_f64());
}

fn attempts(step: Step, outcome: Outcome) -> Counter {
    counter!("magic_link_attempts_total", "step" => step.as_str(), "outcome" => outcome.as_str())
}

fn seconds_of(step: Step) -> &'static str {
    match step {
        Step::GenerateLink => "magic_link_generate_link_seconds",
        Step::Send => "magic_link_send_seconds",
    }
}

/// A job was claimed, so long after it was due.
pub(crate) fn picked_up(due_for: Duration) {
    histogram!("magic_link_pickup_seconds").record(due_for.as_secs_f64());
}

/// Records of a kind (seal, end, return) were written in one commit, or were not.
pub(crate) fn recorded(record: &'static str, batch: usize, taken: Duration) {
    histogram!(RECORD_BATCH, "record" => record).record(u32::try_from(batch).unwrap_or(u32::MAX));
    histogram!(RECORD_COMMIT, "record" => record).record(taken.as_secs_f64());
}

/// A job was let go of, `held` after its claim.
pub(crate) fn job_done(state: &'static str, held: Duration) {
    jobs(state).increment(1);
    histogram!("magic_link_job_seconds", "state" => state).record(held.as_secs_f64());
}

fn jobs(state: &'static str) -> Counter {
    counter!("magic_link_jobs_total", "state" => state)
}

/// Jobs ended without a worker, at their deadline.
pub(crate) fn expired(ended: Expired) {
    jobs("expired").increment(ended.expired);
    jobs("sent").increment(ended.sent);
}

/// Jobs were taken back from workers that are gone.
pub(crate) fn rescued(rescued: Rescued) {
    let count = |jobs| u64::try_from(jobs).unwrap_or(u64::MAX);
    counter!("magic_link_leases_rescued_total").increment(count(rescued.returned + rescued.exhausted));
    jobs("failed").increment(count(rescued.exhausted));
}

/// A delivery's write named a lease that was over, and changed nothing.
pub(crate) fn fenced_write() {
    counter!("magic_link_fenced_writes_total").increment(1);
}

/// A mail was taken, so long after its request.
pub(crate) fn sent(since_request: Duration) {
    histogram!("magic_link_request_to_sent_seconds").record(since_request.as_secs_f64());
}

/// Supabase substituted a redirect.
pub(crate) fn redirect_not_allowed() {
    counter!("magic_link_redirect_not_allowed_total").increment(1);
}

/// What all workers share was looked at.
pub(crate) fn seen(backlog: &[Backlog], upstream_states: &[UpstreamState]) {
    gauge!("magic_link_database_up").set(1.0);
    for open in backlog {
        let jobs = u32::try_from(open.jobs).unwrap_or(u32::MAX);
        set_open_jobs(&open.state, f64::from(jobs), open.oldest.as_secs_f64());
    }
    for standing in upstream_states {
        set_upstream(standing.upstream, f64::from(standing.open), f64::from(standing.paused));
    }
}

/// It could not be looked at: what was known is not shown as if it still were.
pub(crate) fn unseen() {
    gauge!("magic_link_database_up").set(0.0);
    for state in ["queued", "running", "retrying"] {
        set_open_jobs(state, f64::NAN, f64::NAN);
    }
    for upstream in [Upstream::Supabase, Upstream::Mailgun] {
        set_upstream(upstream, f64::NAN, f64::NAN);
    }
}

fn set_open_jobs(state: &str, jobs: f64, oldest: f64) {
    gauge!("magic_link_jobs", "state" => state.to_owned()).set(jobs);
    gauge!("magic_link_oldest_job_seconds", "state" => state.to_owned()).set(oldest);
}

fn set_upstream(upstream: Upstream, open: f64, paused: f64) {
    gauge!("magic_link_breaker_open", "upstream" => upstream.as_str()).set(open);
    gauge!("magic_link_upstream_paused", "upstream" => upstream.as_str()).set(paused);
}

/// Supabase makes codes of this length.
pub(crate) fn set_code_digits(digits: usize) {
    gauge!("magic_link_supabase_code_digits").set(u32::try_from(digits).unwrap_or(u32::MAX));
}

/// So many jobs are held.
pub(crate) fn running(change: f64) {
    gauge!("magic_link_jobs_running").increment(change);
}

/// Mailgun was asked about a mail.
pub(crate) fn reconciled(outcome: &'static str) {
    reconciliations(outcome).increment(1);
}

fn reconciliations(outcome: &'static str) -> Counter {
    counter!("magic_link_reconciled_total", "outcome" => outcome)
}

/// What came of an event that Mailgun was asked for.
pub(crate) fn told(event: &DeliveryEvent, told: ReportOutcome) {
    if let Some(delivery) = told.moved_to {
        deliveries(delivery).increment(1);
    }
    if let (Some(reason), Some(suppressed)) = (event.suppression, told.suppressed) {
        suppressions(reason, suppressed).increment(1);
    }
}

fn deliveries(delivery: Delivery) -> Counter {
    counter!("magic_link_deliveries_total", "delivery" => delivery.as_str())
}

fn suppressions(reason: SuppressionReason, suppressed: SuppressionOutcome) -> Counter {
    counter!("magic_link_suppressions_total", "reason" => reason.as_str(), "outcome" => suppressed.as_str())
}
