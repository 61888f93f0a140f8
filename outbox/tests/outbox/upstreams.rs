//! Breakers, slow mode, suspects and pauses, shared by all workers.

use std::time::Duration;

use outbox::{
    ClaimedJob, Failure, JobId, Requeued, SendDecision, SuspectedFailure, Upstream,
    upstreams::{
        ProbeOrder, StopKind, StopReason, StoppedBy, Suspicion, end_pauses, pause, record_success, resume, stop,
        stopped_for, stops, suspect, take_check, take_probe,
    },
};

use tokio::time::Instant;

use crate::test_outbox::{TestOutbox, request};

const NOW: Duration = Duration::ZERO;

fn ago(time: Duration) -> Instant {
    Instant::now().checked_sub(time).unwrap()
}

fn breaker(failure: &Failure) -> StopReason<'_> {
    StopReason { kind: StopKind::Breaker, failure, setting: "SUPABASE_URL" }
}

impl TestOutbox {
    async fn stop(&self, by: StoppedBy, failure: &Failure) -> bool {
        stop(&self.pool, Upstream::Supabase, by, Instant::now(), &breaker(failure)).await.unwrap()
    }

    async fn suspect(&self, recipient: u8, began_ago: Duration) -> Suspicion {
        let failure = Failure::new("supabase_forbidden", "A firewall refuses the call.");
        suspect(&self.pool, Upstream::Supabase, &[recipient; 32], ago(began_ago), &breaker(&failure)).await.unwrap()
    }
}

#[tokio::test]
async fn only_one_of_several_callers_stops_or_resumes_an_upstream() {
    let outbox = TestOutbox::new().await;
    let why = Failure::new("bad_jwt", "The key is wrong.");
    let (one, two) = tokio::join!(outbox.stop(StoppedBy::Answer, &why), outbox.stop(StoppedBy::Answer, &why));

    assert_ne!(one, two);
    let before = stops(&outbox.pool).await.unwrap();
    assert_eq!(before.len(), 1);
    assert_eq!((before[0].upstream, before[0].kind, &before[0].failure), (Upstream::Supabase, StopKind::Breaker, &why));
    let other = Failure::new("wrong_url", "Nobody is there.");
    assert!(outbox.stop(StoppedBy::Answer, &other).await, "the new reason must be logged");
    assert!(!outbox.stop(StoppedBy::Answer, &other).await);
    let now = stops(&outbox.pool).await.unwrap();
    assert_eq!((now[0].since, &now[0].failure, now[0].setting.as_str()), (before[0].since, &other, "SUPABASE_URL"));

    let resume = |upstream, began_ago| resume(&outbox.pool, upstream, ago(began_ago), false);
    assert!(!resume(Upstream::Mailgun, NOW).await.unwrap());
    assert!(!resume(Upstream::Supabase, Duration::from_secs(60)).await.unwrap(), "the call began before the stop");
    assert!(resume(Upstream::Supabase, NOW).await.unwrap());
    assert!(!resume(Upstream::Supabase, NOW).await.unwrap());
    assert!(stops(&outbox.pool).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_check_resumes_only_what_a_check_has_stopped() {
    let outbox = TestOutbox::new().await;
    let why = Failure::new("bad_jwt", "The key is wrong.");
    for (by, is_resumed) in [(StoppedBy::Answer, false), (StoppedBy::Suspects, false), (StoppedBy::Check, true)] {
        outbox.stop(by, &why).await;
        assert_eq!(resume(&outbox.pool, Upstream::Supabase, ago(NOW), true).await.unwrap(), is_resumed, "{by:?}");
        resume(&outbox.pool, Upstream::Supabase, ago(NOW), false).await.unwrap();
    }
    outbox.stop(StoppedBy::Answer, &why).await;
    outbox.stop(StoppedBy::Check, &why).await;
    assert!(
        resume(&outbox.pool, Upstream::Supabase, ago(NOW), true).await.unwrap(),
        "the stop by a check did not replace the earlier stop"
    );
}

#[tokio::test]
async fn failures_for_three_recipients_without_a_later_success_stop_an_upstream() {
    let outbox = TestOutbox::new().await;
    for _ in 0..5 {
        assert_eq!(outbox.suspect(1, NOW).await, Suspicion::Personal, "one recipient fails several times");
    }
    assert_eq!(outbox.suspect(2, NOW).await, Suspicion::Personal);
    record_success(&outbox.pool, Upstream::Supabase, ago(Duration::from_secs(60))).await.unwrap();
    assert_eq!(
        outbox.suspect(3, NOW).await,
        Suspicion::Stopped { is_new: true },
        "the success began before the failures"
    );
    assert_eq!(outbox.suspect(4, NOW).await, Suspicion::Stopped { is_new: false });

    resume(&outbox.pool, Upstream::Supabase, ago(NOW), false).await.unwrap();
    for recipient in [1, 2] {
        assert_eq!(outbox.suspect(recipient, NOW).await, Suspicion::Personal, "{recipient}");
    }
    record_success(&outbox.pool, Upstream::Supabase, ago(NOW)).await.unwrap();
    for recipient in [3, 4] {
        assert_eq!(outbox.suspect(recipient, NOW).await, Suspicion::Personal, "{recipient}");
    }
}

impl TestOutbox {
    /// Claims a job and requeues it after a failure that may concern only its recipient.
    async fn fail(&self, upstream: Upstream, is_refusal: bool) -> ClaimedJob {
        let job = self.claim_one().await;
        self.requeue_after_failure(&job, upstream, is_refusal).await;
        job
    }

    async fn requeue_after_failure(&self, job: &ClaimedJob, upstream: Upstream, is_refusal: bool) -> Requeued {
        let requeue = outbox::Requeue {
            lease: job.lease,
            delay: Duration::from_millis(1),
            failure: Some(Failure::new("failed", "It failed.")),
            is_uncounted: false,
            suspected: Some(SuspectedFailure { upstream, is_refusal }),
            step: None,
        };
        outbox::requeue(&self.pool, &[requeue]).await.unwrap()[0]
    }

    async fn attempts_of(&self, address: &str) -> i16 {
        self.scalar(&format!("select attempt from email_jobs_open where recipient = '{address}'")).await
    }
}

#[tokio::test]
async fn attempts_used_up_by_a_fault_that_affects_everybody_are_given_back() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("ada@example.com")).await;
    for _ in 0..3 {
        outbox.fail(Upstream::Supabase, false).await;
        outbox.execute("update email_jobs_open set state = 'queued'").await;
    }
    outbox.queued(request("eve@example.com")).await;
    outbox.execute("update email_jobs_open set state = 'retrying' where recipient = 'ada@example.com'").await;
    outbox.fail(Upstream::Mailgun, false).await;
    outbox.stop(StoppedBy::Suspects, &Failure::new("supabase_unavailable", "It fails for everybody.")).await;
    assert_eq!(outbox.attempts_of("ada@example.com").await, 0);
    assert_eq!(outbox.attempts_of("eve@example.com").await, 1, "Mailgun was not stopped");

    outbox.stop(StoppedBy::Check, &Failure::new("supabase_unavailable", "It fails for everybody.")).await;
    assert_eq!(outbox.attempts_of("ada@example.com").await, 0, "the attempts were given back twice");
    outbox.expect_open_jobs(2);
}

#[tokio::test]
async fn a_job_that_is_requeued_after_the_stop_gets_its_attempts_back() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("ada@example.com")).await;
    outbox.fail(Upstream::Supabase, true).await;
    outbox.execute("update email_jobs_open set state = 'queued'").await;
    let job = outbox.claim_one().await;
    outbox.stop(StoppedBy::Suspects, &Failure::new("other_code", "It fails for everybody.")).await;
    outbox.requeue_after_failure(&job, Upstream::Supabase, true).await;
    assert_eq!(outbox.attempts_of("ada@example.com").await, 0);
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn a_refusal_is_personal_once_a_later_call_to_the_upstream_has_succeeded() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("ada@example.com")).await;
    outbox.fail(Upstream::Supabase, true).await;
    outbox.execute("update email_jobs_open set refused_at = clock_timestamp() - interval '10 seconds'").await;
    let refused_by = async || {
        outbox
            .execute("update email_jobs_open set state = 'queued', lease_token = null, lease_expires_at = null")
            .await;
        outbox.claim_one().await.personally_refused_by
    };
    assert_eq!(refused_by().await, None);
    record_success(&outbox.pool, Upstream::Supabase, ago(Duration::from_secs(20))).await.unwrap();
    assert_eq!(refused_by().await, None, "the successful call began before the refusal");
    record_success(&outbox.pool, Upstream::Mailgun, ago(Duration::from_secs(5))).await.unwrap();
    assert_eq!(refused_by().await, None, "another upstream succeeded");
    record_success(&outbox.pool, Upstream::Supabase, ago(Duration::from_secs(5))).await.unwrap();
    assert_eq!(refused_by().await, Some(Upstream::Supabase));
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn the_time_of_the_first_refusal_by_the_last_upstream_is_kept() {
    let outbox = TestOutbox::new().await;
    // After each failure, the test moves the refusal back by a day. The refusal's age in days is then the number of
    // failures since the first refusal, including that refusal.
    let refused_at = "select current_date - refused_at::date, suspected_upstream from email_jobs_open";
    outbox.queued(request("ada@example.com")).await;
    for (upstream, is_refusal, expected) in [
        (Upstream::Supabase, false, (None, "supabase")),
        (Upstream::Supabase, true, (Some(1), "supabase")),
        (Upstream::Supabase, true, (Some(2), "supabase")),
        (Upstream::Supabase, false, (Some(3), "supabase")),
        (Upstream::Mailgun, false, (None, "mailgun")),
    ] {
        outbox.fail(upstream, is_refusal).await;
        outbox.execute("update email_jobs_open set state = 'queued', refused_at = refused_at::date - 1").await;
        let refused: Vec<(Option<i32>, String)> = outbox.rows(refused_at).await;
        assert_eq!(refused, [(expected.0, expected.1.to_owned())]);
    }
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn a_newer_job_inherits_the_probe_and_refusal_times_with_the_place() {
    let outbox = TestOutbox::new().await;
    let first = outbox.queued(request("ada@example.com")).await;
    outbox.execute(PROBED_AND_REFUSED).await;
    let newer = outbox.queued(crate::test_outbox::request_for("ada@example.com", "2")).await;
    assert_eq!(outbox.suspicion_of(newer).await, outbox.suspicion_of(first).await);
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn a_newer_job_inherits_the_probe_and_refusal_times_of_a_running_job() {
    for ends_at_the_seal in [false, true] {
        let outbox = TestOutbox::new().await;
        outbox.queued(request("ada@example.com")).await;
        let job = outbox.claim_one().await;
        outbox.execute(PROBED_AND_REFUSED).await;
        let newer = outbox.queued(crate::test_outbox::request_for("ada@example.com", "2")).await;
        if ends_at_the_seal {
            assert_eq!(outbox.seal(&job).await, SendDecision::Superseded);
        } else {
            outbox.requeue(&job, Duration::from_secs(1)).await;
        }
        assert_eq!(outbox.suspicion_of(newer).await, outbox.suspicion_of(job.lease.job).await);
        outbox.expect_open_jobs(1);
    }
}

#[tokio::test]
async fn a_newer_job_inherits_a_refusal_that_ends_the_running_job() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("ada@example.com")).await;
    let job = outbox.claim_one().await;
    let newer = outbox.queued(crate::test_outbox::request_for("ada@example.com", "2")).await;
    assert_eq!(outbox.requeue_after_failure(&job, Upstream::Mailgun, true).await, Requeued::Superseded);
    let inherited = outbox.suspicion_of(newer).await;
    assert!(inherited.probed_at.is_some() && inherited.probed_at <= inherited.refused_at, "{inherited:?}");
    assert_eq!(inherited.suspected_upstream.as_deref(), Some("mailgun"));
    outbox.expect_open_jobs(1);
}

/// Marks all jobs as probed and refused.
const PROBED_AND_REFUSED: &str =
    "update email_jobs set probed_at = '2026-01-01', refused_at = '2026-01-02', suspected_upstream = 'supabase'";

/// The columns of a job that record probes, refusals and the suspected upstream. Times are Unix seconds.
#[derive(Debug, PartialEq, sqlx::FromRow)]
struct SuspicionRow {
    probed_at: Option<f64>,
    refused_at: Option<f64>,
    suspected_upstream: Option<String>,
}

impl TestOutbox {
    async fn suspicion_of(&self, job: JobId) -> SuspicionRow {
        let query = format!(
            "select extract(epoch from probed_at)::float8 as probed_at,
               extract(epoch from refused_at)::float8 as refused_at, suspected_upstream
             from email_jobs
             where id = '{job}'"
        );
        self.rows(&query).await.remove(0)
    }
}

#[tokio::test]
async fn all_workers_together_check_once_per_interval() {
    let outbox = TestOutbox::new().await;
    let take = || take_check(&outbox.pool, Upstream::Supabase, Duration::from_secs(1));
    let (one, two) = tokio::join!(take(), take());
    assert_ne!(one.unwrap(), two.unwrap());
    outbox.execute("update upstreams set checked_at = checked_at - interval '1 second'").await;
    assert!(take().await.unwrap());
}

#[tokio::test]
async fn probes_are_due_after_one_second_then_two_then_every_five() {
    let outbox = TestOutbox::new().await;
    assert_eq!(take_probe(&outbox.pool).await.unwrap(), None);
    outbox.stop(StoppedBy::Answer, &Failure::new("x", "y")).await;
    assert_eq!(take_probe(&outbox.pool).await.unwrap(), None, "a probe was due immediately");
    outbox.execute("update upstreams set probe_at = clock_timestamp() where open_since is not null").await;
    assert_eq!(take_probe(&outbox.pool).await.unwrap(), None, "a probe was taken without a queued job");
    outbox.queued(request("hello@example.com")).await;

    let mut waits = Vec::new();
    for _ in 0..4 {
        outbox.execute("update upstreams set probe_at = clock_timestamp() where open_since is not null").await;
        assert_eq!(take_probe(&outbox.pool).await.unwrap(), Some(ProbeOrder::OldestFirst));
        assert_eq!(take_probe(&outbox.pool).await.unwrap(), None, "two probes were taken at the same time");
        waits.push(stopped_for(&outbox.pool).await.unwrap().unwrap().as_secs_f64().ceil());
    }
    assert_eq!(waits, [2.0, 5.0, 5.0, 5.0]);
    outbox.expect_open_jobs(1);
}

impl TestOutbox {
    /// Claims a job as a probe, requeues it, and returns the local part of its recipient's address.
    async fn probe(&self, order: ProbeOrder) -> String {
        let options = outbox::ClaimOptions { worker: "test", lease: Duration::from_secs(30), limit: 64 };
        let job = outbox::claim_probe(&self.pool, options, order).await.unwrap().unwrap();
        let back = outbox::Requeue {
            lease: job.lease,
            delay: NOW,
            failure: None,
            is_uncounted: true,
            suspected: None,
            step: None,
        };
        outbox::requeue(&self.pool, &[back]).await.unwrap();
        job.recipient.as_str().split('@').next().unwrap().to_owned()
    }

    async fn make_probe_due(&self) {
        self.execute("update upstreams set probe_at = clock_timestamp() where stopped_by is not null").await;
    }
}

#[tokio::test]
async fn only_one_of_two_concurrent_workers_takes_a_probe() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("hello@example.com")).await;
    outbox.stop(StoppedBy::Answer, &Failure::new("x", "y")).await;
    outbox.execute("update upstreams set probe_at = clock_timestamp() where open_since is not null").await;
    // Both workers find that a probe is due, and wait for the row's lock.
    let mut lock = outbox.pool.begin().await.unwrap();
    sqlx::query("select from upstreams for update").execute(&mut *lock).await.unwrap();
    let (one, two, ()) = tokio::join!(take_probe(&outbox.pool), take_probe(&outbox.pool), async {
        outbox.until_sessions_wait_for_locks(2).await;
        lock.commit().await.unwrap();
    });
    assert_ne!(one.unwrap(), two.unwrap());
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn each_probe_takes_the_job_that_was_probed_longest_ago() {
    let outbox = TestOutbox::new().await;
    for name in ["a", "b", "c"] {
        outbox.queued(request(&format!("{name}@example.com"))).await;
    }
    outbox.stop(StoppedBy::Answer, &Failure::new("x", "y")).await;
    let mut probed = String::new();
    for _ in 0..6 {
        probed += &outbox.probe(ProbeOrder::OldestFirst).await;
    }
    assert_eq!(probed, "abcabc");
    outbox.expect_open_jobs(3);
}

#[tokio::test]
async fn every_other_probe_takes_the_newest_job_if_suspects_stopped_the_upstream() {
    let outbox = TestOutbox::new().await;
    for name in ["a", "b", "c", "d", "e"] {
        outbox.queued(request(&format!("{name}@example.com"))).await;
    }
    outbox.stop(StoppedBy::Suspects, &Failure::new("x", "y")).await;
    let mut probed = String::new();
    for _ in 0..7 {
        outbox.make_probe_due().await;
        let order = take_probe(&outbox.pool).await.unwrap().unwrap();
        probed += &outbox.probe(order).await;
    }
    assert_eq!(probed, "eadbcea", "a job was probed twice before all were probed once");
    outbox.expect_open_jobs(5);
}

#[tokio::test]
async fn a_pause_is_never_shortened() {
    let outbox = TestOutbox::new().await;
    assert_eq!(stopped_for(&outbox.pool).await.unwrap(), None);
    pause(&outbox.pool, Upstream::Mailgun, Duration::from_secs(60)).await.unwrap();
    pause(&outbox.pool, Upstream::Mailgun, Duration::from_secs(1)).await.unwrap();

    assert!(stopped_for(&outbox.pool).await.unwrap().unwrap() > Duration::from_secs(58));
}

#[tokio::test]
async fn only_one_worker_reports_the_start_and_the_end_of_a_pause() {
    let outbox = TestOutbox::new().await;
    assert!(pause(&outbox.pool, Upstream::Mailgun, Duration::from_secs(60)).await.unwrap());
    assert!(!pause(&outbox.pool, Upstream::Mailgun, Duration::from_secs(90)).await.unwrap(), "already paused");
    assert_eq!(end_pauses(&outbox.pool).await.unwrap(), []);
    outbox.execute("update upstreams set paused_until = clock_timestamp() where name = 'mailgun'").await;
    assert_eq!(end_pauses(&outbox.pool).await.unwrap(), [Upstream::Mailgun]);
    assert_eq!(end_pauses(&outbox.pool).await.unwrap(), []);
}

/// If a firewall refuses the calls for three recipients, Supabase may count as stopped. The old jobs of these
/// recipients must not make the api refuse other requests.
#[tokio::test]
async fn refused_jobs_neither_stop_admission_nor_count_as_an_outage() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("ada@example.com")).await;
    outbox.fail(Upstream::Supabase, true).await;
    outbox.execute("update email_jobs_open set created_at = clock_timestamp() - interval '10 minutes'").await;
    let load = outbox.load(10).await;
    assert_eq!((load.waiting, load.time_left), (1, None));
    let backlog = outbox::backlog(&outbox.pool).await.unwrap();
    let retrying = backlog.iter().find(|open| open.state == "retrying").unwrap();
    assert!(retrying.oldest > Duration::from_secs(599));
    assert_eq!(retrying.oldest_unrefused, Duration::ZERO);

    outbox.queued(request("eve@example.com")).await;
    assert!(outbox.load(10).await.time_left.is_some());
    outbox.expect_open_jobs(2);
}

#[tokio::test]
async fn a_failed_call_from_before_the_resume_does_not_stop_the_upstream() {
    let outbox = TestOutbox::new().await;
    let failure = Failure::new("supabase_unavailable", "It fails for everybody.");
    outbox.stop(StoppedBy::Check, &failure).await;
    outbox
        .execute("update upstreams set open_since = open_since - interval '10 seconds' where open_since is not null")
        .await;
    assert!(resume(&outbox.pool, Upstream::Supabase, ago(Duration::from_secs(5)), true).await.unwrap());

    let before = Duration::from_secs(6);
    assert!(!stop(&outbox.pool, Upstream::Supabase, StoppedBy::Check, ago(before), &breaker(&failure)).await.unwrap());
    assert_eq!(outbox.suspect(1, before).await, Suspicion::Stopped { is_new: false });
    assert_eq!(stops(&outbox.pool).await.unwrap(), []);
    assert!(
        stop(&outbox.pool, Upstream::Supabase, StoppedBy::Check, Instant::now(), &breaker(&failure)).await.unwrap()
    );
}
