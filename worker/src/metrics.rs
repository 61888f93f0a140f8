//! The worker's Prometheus metrics. Label values come only from the code, the settings or operators: steps, outcomes,
//! states, portal ids, paused targets. Never put an address, a link or a job id in a label.

use std::time::Duration;

use metrics::{Counter, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use outbox::{
    Backlog, DeliveryEvent, DeliveryStatus, EndedJob, ReportOutcome, Rescued, Step, StepOutcome, StepRecord,
    SuppressionOutcome, SuppressionReason, Upstream,
    programs::{ProgramsSummary, ProgramsWarning},
    upstreams::UpstreamState,
};

const BUILD_INFO: &str = "magic_link_build_info";

/// Histogram buckets in seconds: from a fast upstream call up to a job's default deadline.
const SECONDS_BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 900.0];

/// Histogram buckets for the number of records in one commit, up to the outbox's largest batch.
const BATCH_BUCKETS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

const COMMIT_BATCH_SIZE: &str = "magic_link_record_batch_size";
const COMMIT_SECONDS: &str = "magic_link_record_commit_seconds";

const OUTCOMES: [StepOutcome; 6] = [
    StepOutcome::Ok,
    StepOutcome::Retry,
    StepOutcome::Unknown,
    StepOutcome::Reject,
    StepOutcome::Configuration,
    StepOutcome::Stopped,
];

/// How a delivery can end: the job's new state, or `lease_lost` or `unrecorded` if the result could not be recorded.
const STATES: [&str; 9] =
    ["sent", "failed", "expired", "superseded", "cancelled", "queued", "retrying", "lease_lost", "unrecorded"];

/// Installs the global recorder and returns the handle that renders `/metrics`.
///
/// # Errors
/// A recorder is already installed.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets(&SECONDS_BUCKETS)?
        .set_buckets_for_metric(Matcher::Full(COMMIT_BATCH_SIZE.to_owned()), &BATCH_BUCKETS)?
        .install_recorder()?;
    describe_own_work();
    describe_shared_state();
    initialize();
    Ok(handle)
}

/// Describes the metrics of this worker's own work.
fn describe_own_work() {
    describe_gauge!(BUILD_INFO, "Always 1. The labels contain the program, its version and its commit.");
    describe_counter!("magic_link_attempts_total", "Attempts, by step (generate_link, send) and outcome.");
    describe_counter!(
        "magic_link_jobs_total",
        "Jobs that this worker ended or requeued, by new state and portal (default for jobs without a portal)."
    );
    describe_counter!("magic_link_leases_rescued_total", "Running jobs that this worker rescued from dead workers.");
    describe_counter!(
        "magic_link_fenced_writes_total",
        "Deliveries whose result was discarded because the lease was lost. Failed lease renewals do not count."
    );
    describe_counter!(
        "magic_link_redirect_not_allowed_total",
        "Jobs that failed because Supabase's redirect allow list does not accept their callback URL."
    );
    describe_counter!(
        "magic_link_refused_recipients_total",
        "Jobs that failed because the upstream refused the recipient. Anybody can cause such a failure with a request."
    );
    describe_counter!(
        "magic_link_suspects_total",
        "Recipients for whom a call to the upstream failed, although no check call to the upstream failed."
    );
    describe_counter!(
        "magic_link_hook_failures_total",
        "Calls to Supabase Auth that failed because one of the project's Auth hooks failed."
    );
    describe_counter!(
        "magic_link_reloads_total",
        "Reloads of PORTALS_FILE and MAIL_TEMPLATES on SIGHUP, by result: ok, failed (the previous settings stay in \
         use)."
    );
    describe_gauge!("magic_link_jobs_running", "Jobs that are running on this worker.");
    describe_gauge!(
        "magic_link_supabase_code_digits",
        "Number of digits in Supabase's one-time codes. A code of fewer than 8 digits can be guessed."
    );
    describe_counter!(
        "magic_link_code_too_short_total",
        "Links whose one-time code is too short for MAIL_CODE and is not mailed."
    );
    describe_histogram!(
        COMMIT_BATCH_SIZE,
        "Number of records in one commit, by kind: seal (a link, before it is mailed), end (of a job), return \
         (of a job to the queue)."
    );
    describe_histogram!(COMMIT_SECONDS, "Duration of commits, successful or failed, in seconds.");
    describe_histogram!("magic_link_pickup_seconds", "Seconds from when a job became due until it was claimed.");
    describe_histogram!(
        "magic_link_job_seconds",
        "Seconds from a job's claim until its end or requeue, by its new state."
    );
    describe_histogram!(
        "magic_link_request_to_sent_seconds",
        "Seconds from the request until Mailgun accepted the mail."
    );
    describe_histogram!("magic_link_generate_link_seconds", "Duration of calls to Supabase Auth, in seconds.");
    describe_histogram!("magic_link_send_seconds", "Duration of calls to Mailgun, in seconds.");
    describe_counter!(
        "magic_link_reconciled_total",
        "Queries to Mailgun about a mail, by outcome: found, young (too early to tell), absent, gave_up, failed."
    );
    describe_counter!(
        "magic_link_deliveries_total",
        "Changes in a mail's delivery status that Mailgun reported, by new status."
    );
    describe_counter!(
        "magic_link_suppressions_total",
        "Reports that a recipient should be suppressed, by reason and outcome: suppressed, or held_back because \
         too many recipients of one domain were reported."
    );
}

/// Describes the metrics of the queue, the upstreams and the programs, which all workers share.
fn describe_shared_state() {
    describe_gauge!("magic_link_database_up", "Whether this worker's last database query for its gauges succeeded.");
    describe_gauge!("magic_link_jobs", "Open jobs of all workers, by state; NaN while the database is unavailable.");
    describe_gauge!(
        "magic_link_oldest_job_seconds",
        "Seconds since the oldest open job of all workers was requested, by state; 0 if there is none."
    );
    describe_gauge!(
        "magic_link_oldest_unrefused_job_seconds",
        "Like magic_link_oldest_job_seconds, but without jobs that an upstream has refused or that a Supabase \
         Auth hook delays."
    );
    describe_gauge!(
        "magic_link_breaker_open",
        "Whether the breaker is open. While it is open, jobs are claimed only as probes."
    );
    describe_gauge!("magic_link_upstream_paused", "Whether claims are paused because the upstream requested a pause.");
    describe_gauge!(
        "magic_link_paused",
        "Whether operators have paused mail, supabase, mailgun or a portal (portal:ID), by target. A portal is \
         listed once it has been paused."
    );
    describe_gauge!(
        "magic_link_upstream_slow",
        "Whether jobs are claimed one at a time because the upstream fails for everybody."
    );
    describe_gauge!("magic_link_programs", "Running programs, by kind (api, worker); NaN while unknown.");
    describe_gauge!(
        "magic_link_programs_warning",
        "Whether email_programs_summary contains a warning, by code: too_few_connections, sealing_keys_differ, \
         confirm_keys_differ, versions_differ."
    );
}

/// Creates the counters at startup, so that `rate` and `increase` include the first event. Also gives most gauges an
/// initial value.
fn initialize() {
    let commit = program::COMMIT.unwrap_or("unknown");
    gauge!(BUILD_INFO, "version" => program::VERSION, "commit" => commit, "program" => "magic-link-worker").set(1.0);
    for step in [Step::GenerateLink, Step::Send] {
        for outcome in OUTCOMES {
            attempt_counter(step, outcome).absolute(0);
        }
        let _ = histogram!(step_histogram(step));
    }
    start_portal(None);
    counter!("magic_link_leases_rescued_total").absolute(0);
    counter!("magic_link_fenced_writes_total").absolute(0);
    for outcome in ["found", "young", "absent", "gave_up", "failed"] {
        reconciled_counter(outcome).absolute(0);
    }
    for delivery in DeliveryStatus::ALL {
        delivery_counter(delivery).absolute(0);
    }
    for reason in SuppressionReason::ALL {
        for suppressed in [SuppressionOutcome::Suppressed, SuppressionOutcome::HeldBack] {
            suppression_counter(reason, suppressed).absolute(0);
        }
    }
    counter!("magic_link_redirect_not_allowed_total").absolute(0);
    counter!("magic_link_hook_failures_total").absolute(0);
    counter!("magic_link_code_too_short_total").absolute(0);
    for upstream in [Upstream::Supabase, Upstream::Mailgun] {
        refused_recipient_counter(upstream).absolute(0);
        suspect_counter(upstream).absolute(0);
    }
    for result in ["ok", "failed"] {
        reload_counter(result).absolute(0);
    }
    let _ = histogram!("magic_link_pickup_seconds");
    let _ = histogram!("magic_link_request_to_sent_seconds");
    gauge!("magic_link_jobs_running").set(0.0);
    clear_shared_state();
    set_programs(None);
}

/// Creates the counters for the given portals. Call this function whenever the worker has read its portals.
pub(crate) fn start_portals(portals: &[String]) {
    portals.iter().for_each(|portal| start_portal(Some(portal)));
}

fn start_portal(portal: Option<&str>) {
    for state in STATES {
        // Use `increment`, which keeps the count of a portal that was known before the reload.
        job_counter(state, portal).increment(0);
    }
}

/// Drains the histograms' buffers every 5 seconds, so that they do not grow while nothing scrapes `/metrics`. Never
/// returns.
pub(crate) async fn run_upkeep(prometheus: PrometheusHandle) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        prometheus.run_upkeep();
    }
}

/// Records the outcome and the duration of an attempt at a step.
pub(crate) fn record_step(attempt: &StepRecord) {
    attempt_counter(attempt.step, attempt.outcome).increment(1);
    histogram!(step_histogram(attempt.step)).record(attempt.duration.as_secs_f64());
}

fn attempt_counter(step: Step, outcome: StepOutcome) -> Counter {
    counter!("magic_link_attempts_total", "step" => step.as_str(), "outcome" => outcome.as_str())
}

fn step_histogram(step: Step) -> &'static str {
    match step {
        Step::GenerateLink => "magic_link_generate_link_seconds",
        Step::Send => "magic_link_send_seconds",
    }
}

/// Records that a job was claimed. `due_for` is the time from when the job became due until it was claimed.
pub(crate) fn record_pickup(due_for: Duration) {
    histogram!("magic_link_pickup_seconds").record(due_for.as_secs_f64());
}

/// Records one commit, successful or not, of `batch` records of one kind (`seal`, `end` or `return`).
pub(crate) fn record_commit(record: &'static str, batch: usize, duration: Duration) {
    histogram!(COMMIT_BATCH_SIZE, "record" => record).record(u32::try_from(batch).unwrap_or(u32::MAX));
    histogram!(COMMIT_SECONDS, "record" => record).record(duration.as_secs_f64());
}

/// Records the end of a delivery. `since_claim` is the time since the job was claimed.
pub(crate) fn record_delivery(state: &'static str, portal: Option<&str>, since_claim: Duration) {
    job_counter(state, portal).increment(1);
    histogram!("magic_link_job_seconds", "state" => state).record(since_claim.as_secs_f64());
}

fn job_counter(state: &'static str, portal: Option<&str>) -> Counter {
    counter!("magic_link_jobs_total", "state" => state, "portal" => portal.unwrap_or("default").to_owned())
}

/// Counts waiting jobs that were ended because their deadline had passed.
pub(crate) fn record_expired(ended: &[EndedJob]) {
    ended.iter().for_each(|job| job_counter(job.state, job.portal.as_deref()).increment(1));
}

/// Counts the jobs that were rescued because their worker died.
pub(crate) fn record_rescued(rescued: &Rescued) {
    let count = |jobs| u64::try_from(jobs).unwrap_or(u64::MAX);
    counter!("magic_link_leases_rescued_total").increment(count(rescued.requeued + rescued.exhausted.len()));
    rescued.exhausted.iter().for_each(|job| job_counter("failed", job.portal.as_deref()).increment(1));
}

/// Counts a delivery whose write changed nothing because its lease was lost.
pub(crate) fn record_fenced_write() {
    counter!("magic_link_fenced_writes_total").increment(1);
}

/// Records a mail that Mailgun accepted. `since_request` is the time since the request for the link.
pub(crate) fn record_sent(since_request: Duration) {
    histogram!("magic_link_request_to_sent_seconds").record(since_request.as_secs_f64());
}

/// Counts a job that failed because Supabase does not allow its callback URL.
pub(crate) fn record_redirect_not_allowed() {
    counter!("magic_link_redirect_not_allowed_total").increment(1);
}

/// Sets the gauges for the state that all workers share, and sets `magic_link_database_up` to 1.
pub(crate) fn set_shared_state(backlog: &[Backlog], upstream_states: &[UpstreamState]) {
    gauge!("magic_link_database_up").set(1.0);
    for open in backlog {
        let jobs = u32::try_from(open.jobs).unwrap_or(u32::MAX);
        set_open_jobs(&open.state, f64::from(jobs), open.oldest.as_secs_f64(), open.oldest_unrefused.as_secs_f64());
    }
    for state in upstream_states {
        set_upstream(state.upstream, state.is_open.into(), state.is_slow.into(), state.is_paused.into());
    }
}

/// Sets `magic_link_database_up` to 0 and the other gauges for the shared state to NaN. While the database is
/// unavailable, the state is unknown.
pub(crate) fn clear_shared_state() {
    gauge!("magic_link_database_up").set(0.0);
    for state in ["queued", "running", "retrying"] {
        set_open_jobs(state, f64::NAN, f64::NAN, f64::NAN);
    }
    for upstream in [Upstream::Supabase, Upstream::Mailgun] {
        set_upstream(upstream, f64::NAN, f64::NAN, f64::NAN);
    }
}

fn set_open_jobs(state: &str, jobs: f64, oldest: f64, oldest_unrefused: f64) {
    gauge!("magic_link_jobs", "state" => state.to_owned()).set(jobs);
    gauge!("magic_link_oldest_job_seconds", "state" => state.to_owned()).set(oldest);
    gauge!("magic_link_oldest_unrefused_job_seconds", "state" => state.to_owned()).set(oldest_unrefused);
}

/// Sets the gauge for a target that operators can pause. `None` sets the gauge to NaN, because the state is unknown.
pub(crate) fn set_paused(target: &str, is_paused: Option<bool>) {
    gauge!("magic_link_paused", "target" => target.to_owned()).set(is_paused.map_or(f64::NAN, f64::from));
}

fn set_upstream(upstream: Upstream, open: f64, slow: f64, paused: f64) {
    gauge!("magic_link_breaker_open", "upstream" => upstream.as_str()).set(open);
    gauge!("magic_link_upstream_slow", "upstream" => upstream.as_str()).set(slow);
    gauge!("magic_link_upstream_paused", "upstream" => upstream.as_str()).set(paused);
}

/// Sets the gauges about the running programs. `None` sets the gauges to NaN, because it is unknown which programs are
/// running.
pub(crate) fn set_programs(summary: Option<&ProgramsSummary>) {
    let count = |count: i64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let (apis, workers) = summary.map_or((f64::NAN, f64::NAN), |summary| (count(summary.apis), count(summary.workers)));
    gauge!("magic_link_programs", "kind" => "api").set(apis);
    gauge!("magic_link_programs", "kind" => "worker").set(workers);
    for code in ProgramsWarning::CODES {
        let is_given = summary.map(|summary| summary.warnings.iter().any(|warning| warning.code == code));
        gauge!("magic_link_programs_warning", "code" => code).set(is_given.map_or(f64::NAN, f64::from));
    }
}

/// Counts a job that failed because an upstream refused its recipient.
pub(crate) fn record_refused_recipient(upstream: Upstream) {
    refused_recipient_counter(upstream).increment(1);
}

fn refused_recipient_counter(upstream: Upstream) -> Counter {
    counter!("magic_link_refused_recipients_total", "upstream" => upstream.as_str())
}

/// Counts a recipient for whom a call to an upstream failed, although no check call to the upstream failed.
pub(crate) fn record_suspect(upstream: Upstream) {
    suspect_counter(upstream).increment(1);
}

fn suspect_counter(upstream: Upstream) -> Counter {
    counter!("magic_link_suspects_total", "upstream" => upstream.as_str())
}

/// Counts a call that failed because a Supabase Auth hook failed.
pub(crate) fn record_hook_failure() {
    counter!("magic_link_hook_failures_total").increment(1);
}

/// Sets the length of Supabase's one-time codes.
pub(crate) fn set_code_digits(digits: usize) {
    gauge!("magic_link_supabase_code_digits").set(u32::try_from(digits).unwrap_or(u32::MAX));
}

/// Counts a link whose code is too short to be mailed.
pub(crate) fn record_code_too_short() {
    counter!("magic_link_code_too_short_total").increment(1);
}

/// Counts an attempt to reload the settings files.
pub(crate) fn record_reload(result: &'static str) {
    reload_counter(result).increment(1);
}

fn reload_counter(result: &'static str) -> Counter {
    counter!("magic_link_reloads_total", "result" => result)
}

/// Adds `change` to the number of jobs that are running in this worker.
pub(crate) fn add_running_jobs(change: f64) {
    gauge!("magic_link_jobs_running").increment(change);
}

/// Counts a query to Mailgun about a mail's events.
pub(crate) fn record_reconciled(outcome: &'static str) {
    reconciled_counter(outcome).increment(1);
}

fn reconciled_counter(outcome: &'static str) -> Counter {
    counter!("magic_link_reconciled_total", "outcome" => outcome)
}

/// Counts what an event from Mailgun changed: a delivery status, a suppression, or both.
pub(crate) fn record_report(event: &DeliveryEvent, outcome: ReportOutcome) {
    if let Some(delivery) = outcome.moved_to {
        delivery_counter(delivery).increment(1);
    }
    if let (Some(reason), Some(suppressed)) = (event.suppression, outcome.suppression) {
        suppression_counter(reason, suppressed).increment(1);
    }
}

fn delivery_counter(delivery: DeliveryStatus) -> Counter {
    counter!("magic_link_deliveries_total", "delivery" => delivery.as_str())
}

fn suppression_counter(reason: SuppressionReason, suppressed: SuppressionOutcome) -> Counter {
    counter!("magic_link_suppressions_total", "reason" => reason.as_str(), "outcome" => suppressed.as_str())
}
