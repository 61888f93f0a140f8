//! How jobs end, and what their rows then contain.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use outbox::{EndedJob, Failure, JobEnd, Recorded, Requeued, SendDecision, Step, StepOutcome, StepRecord, Upstream};

use sandbox::{JobRow, StepRow};
use uuid::Uuid;

use crate::test_outbox::{TestOutbox, ok, record, request, request_for};

#[tokio::test]
async fn a_sent_job_moves_to_the_history_without_its_link_and_with_its_steps() {
    let outbox = TestOutbox::new().await;
    let id = outbox.queued(request("hello@example.com")).await;
    let job = outbox.claim_one().await;
    assert_eq!(outbox.seal(&job).await, SendDecision::Send);
    assert!(outbox.scalar::<bool>("select deadline_at - created_at = interval '15 min' from email_jobs").await);
    let send = ok(Step::Send);
    let sent = outbox.finish_by(&job, JobEnd::Sent, send).await;

    assert_eq!(sent, Recorded::Done);
    assert_eq!(outbox.job(id).await.state_and_code(), ("sent", None));
    let job = outbox.job(id).await;
    assert!(!job.has_link && !job.is_leased && job.message_id.is_some(), "{job:?}");
    assert_eq!(outbox.scalar::<i64>("select count(*) from email_jobs_open").await, 0);
    let steps = outbox.steps().await;
    assert_eq!(steps.iter().map(StepRow::result).collect::<Vec<_>>(), [("generate_link", "ok"), ("send", "ok")]);
}

#[tokio::test]
async fn a_retry_gets_the_stored_link() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("hello@example.com")).await;
    let first = outbox.claim_one().await;
    assert!(first.link.is_none());
    outbox.seal(&first).await;
    outbox.requeue(&first, Duration::ZERO).await;

    let link = outbox.claim_one().await.link.unwrap();
    assert_eq!(link.sealed, b"sealed");
    assert_eq!(link.message_id, format!("<{}@test>", first.lease.job));
    assert!(link.age >= Duration::from_millis(20));
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn a_newer_request_supersedes_a_running_job_at_the_seal() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request_for("hello@example.com", "1")).await;
    let job = outbox.claim_one().await;
    outbox.queued(request_for("hello@example.com", "2")).await;

    assert_eq!(outbox.seal(&job).await, SendDecision::Superseded);
    assert_eq!(outbox.job(job.lease.job).await.state_and_code(), ("superseded", Some("newer_request")));
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn a_newer_request_supersedes_a_running_job_at_the_requeue() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request_for("hello@example.com", "1")).await;
    let job = outbox.claim_one().await;
    let newer = outbox.queued(request_for("hello@example.com", "2")).await;

    assert_eq!(outbox.requeue(&job, Duration::from_secs(5)).await, Requeued::Superseded);
    assert_eq!(outbox.claim_one().await.lease.job, newer);
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn a_concurrent_rescue_and_enqueue_leave_one_waiting_job() {
    let outbox = TestOutbox::new().await;
    for round in 0..20 {
        outbox.queued(request_for("hello@example.com", &format!("{round}-a"))).await;
        outbox.execute("truncate recipient_quotas").await;
        outbox.claim_one().await;
        outbox.execute("update email_jobs_open set lease_expires_at = clock_timestamp() - interval '1 second'").await;
        let newer = [request_for("hello@example.com", &format!("{round}-b"))];
        let (rescued, _) = tokio::join!(outbox::rescue(&outbox.pool, 20), outbox.enqueue(&newer));
        rescued.unwrap();
        outbox::rescue(&outbox.pool, 20).await.unwrap();
        let open: Vec<(Uuid,)> = outbox.rows("select id from email_jobs_open").await;
        assert_eq!(open, [(newer[0].id.0,)]);
        outbox.execute("truncate recipient_quotas").await;
    }
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn waiting_jobs_expire_at_their_deadline_with_a_reason() {
    let outbox = TestOutbox::new().await;
    let idle = outbox.queued(request("idle@example.com")).await;
    outbox.execute("update email_jobs set place = 1000").await;
    let tried = outbox.queued(request("tried@example.com")).await;
    let job = outbox.claim_one().await;
    outbox.requeue(&job, Duration::from_secs(60)).await;
    let young = outbox.queued(request("young@example.com")).await;
    outbox.execute("update email_jobs set created_at = now() - interval '1 hour', deadline_at = now() - interval '1 s' where recipient not like 'young%'").await;

    assert!(outbox.claim(10).await.iter().all(|job| job.lease.job == young));
    assert_eq!(states_of(&outbox::expire(&outbox.pool).await.unwrap()), ["expired", "expired"]);
    assert_eq!(outbox.job(idle).await.state_and_code(), ("expired", Some("deadline_passed")));
    assert_eq!(outbox.job(tried).await.state_and_code(), ("expired", Some("upstream_away")));
    outbox.expect_open_jobs(1);
}

const LATE: &str =
    "update email_jobs_open set created_at = now() - interval '1 hour', deadline_at = now() - interval '1 s'";

#[tokio::test]
async fn a_job_that_expires_during_a_pause_has_the_pause_as_its_reason() {
    let outbox = TestOutbox::new().await;
    let job = outbox.queued(request("hello@example.com")).await;
    outbox::upstreams::pause(&outbox.pool, Upstream::Mailgun, Duration::from_secs(60)).await.unwrap();
    outbox.execute(LATE).await;
    outbox::expire(&outbox.pool).await.unwrap();
    assert_eq!(outbox.job(job).await.state_and_code(), ("expired", Some("mailgun_rate_limited")));
    assert_eq!(
        outbox.job(job).await.message.as_deref(),
        Some("Mailgun requested a pause that was longer than this job could wait.")
    );
}

#[tokio::test]
async fn a_running_job_that_expires_keeps_the_code_of_its_last_failure() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("hello@example.com")).await;
    let job = outbox.claim_one().await;
    outbox.requeue(&job, Duration::from_millis(1)).await;
    outbox.execute("update email_jobs_open set state = 'queued'").await;
    let job = outbox.claim_one().await;
    outbox.execute(LATE).await;
    assert_eq!(outbox.seal(&job).await, SendDecision::Expired);
    assert_eq!(outbox.job(job.lease.job).await.state_and_code(), ("expired", Some("upstream_away")));
}

#[tokio::test]
async fn no_mail_is_sent_after_the_deadline_of_its_job() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("hello@example.com")).await;
    let job = outbox.claim_one().await;
    outbox
        .execute("update email_jobs set created_at = now() - interval '1 hour', deadline_at = now() - interval '1 s'")
        .await;

    assert_eq!(outbox::expire(&outbox.pool).await.unwrap(), []);
    assert_eq!(outbox.seal(&job).await, SendDecision::Expired);
    assert_eq!(outbox.job(job.lease.job).await.state_and_code(), ("expired", Some("deadline_passed")));
}

#[tokio::test]
async fn a_mailgun_pause_holds_a_job_and_keeps_its_link() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("hello@example.com")).await;
    let job = outbox.claim_one().await;
    outbox::upstreams::pause(&outbox.pool, Upstream::Mailgun, Duration::from_secs(60)).await.unwrap();

    assert!(matches!(outbox.seal(&job).await, SendDecision::Hold { pause } if pause > Duration::from_secs(58)));
    assert!(outbox.scalar::<bool>("select sealed_link is not null from email_jobs").await);
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn an_uncounted_attempt_leaves_the_attempt_number_unchanged() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("hello@example.com")).await;
    let job = outbox.claim_one().await;
    let back = outbox::Requeue {
        lease: job.lease,
        delay: Duration::ZERO,
        failure: None,
        is_uncounted: true,
        suspected: None,
        step: None,
    };
    assert_eq!(outbox::requeue(&outbox.pool, &[back]).await.unwrap(), [Requeued::Waiting]);

    assert_eq!(outbox.claim_one().await.attempt, 1);
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn a_failed_step_is_recorded_with_its_reason() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("hello@example.com")).await;
    let job = outbox.claim_one().await;
    let failed = outbox::StepRecord {
        outcome: StepOutcome::Reject,
        http_status: Some(400),
        failure: Some(Failure::new("bad_recipient", "to parameter is\0 not a valid address")),
        ..ok(Step::Send)
    };
    let end = JobEnd::Failed(failed.failure.clone().unwrap());
    outbox.finish_by(&job, end, failed).await;

    let step = outbox.steps().await.remove(0);
    assert_eq!((step.attempt, step.result(), step.http_status), (1, ("send", "reject"), Some(400)));
    assert_eq!(step.code.as_deref(), Some("bad_recipient"));
    assert_eq!(step.message.as_deref(), Some("to parameter is not a valid address"));
    assert_eq!((step.duration_ms, step.worker.as_str()), (20, "test"));
}

#[tokio::test]
async fn a_step_that_is_written_again_after_a_lost_answer_is_recorded_once() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("hello@example.com")).await;
    let job = outbox.claim_one().await;
    let second = Utc::now().timestamp();
    let at = |nanoseconds| StepRecord {
        started_at: DateTime::from_timestamp(second, nanoseconds).unwrap(),
        ..ok(Step::GenerateLink)
    };
    let step = record(&job, at(7_000));
    let link = outbox::NewLink { sealed: b"sealed".to_vec(), message_id: "<id@test>".to_owned(), age: Duration::ZERO };
    let seal = outbox::Seal { lease: job.lease, link: Some(link), step: step.clone() };
    // Postgres stores times in microseconds, so both steps have the same time.
    let same = outbox::Seal { step: record(&job, at(7_999)), ..seal.clone() };
    // First the step and its repetition in one batch, then the step alone, then the step twice in one batch.
    for batch in [vec![seal.clone(), same], vec![seal.clone()], vec![seal.clone(), seal]] {
        let decisions = outbox::test_support::seal(&outbox.pool, &batch).await.unwrap();
        assert!(decisions.iter().all(|decision| matches!(decision, SendDecision::Send)), "{decisions:?}");
    }
    let back = outbox::Requeue {
        lease: job.lease,
        delay: Duration::ZERO,
        failure: None,
        is_uncounted: true,
        suspected: None,
        step,
    };
    assert_eq!(outbox::requeue(&outbox.pool, &[back]).await.unwrap(), [Requeued::Waiting]);

    assert_eq!(outbox.scalar::<i64>("select count(*) from email_attempts").await, 1);
    outbox.expect_open_jobs(1);
}

/// Changes the job's row in the same way as a report that the mail was delivered.
const REPORTED: &str = "update email_jobs_open set delivery = 'delivered', delivery_at = clock_timestamp()";

#[tokio::test]
async fn a_mail_that_was_reported_delivered_is_not_sent_again() {
    let outbox = TestOutbox::new().await;
    let id = outbox.queued(request("hello@example.com")).await;
    let first = outbox.claim_one().await;
    outbox.seal(&first).await;
    outbox.requeue(&first, Duration::ZERO).await;
    outbox.execute(REPORTED).await;
    let second = outbox.claim_one().await;

    assert_eq!(outbox.seal_with(&second, None).await, SendDecision::AlreadySent);
    assert_eq!(outbox.job(id).await.state_and_code(), ("sent", None));
}

#[tokio::test]
async fn a_report_about_an_older_link_does_not_count_for_a_new_link() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("hello@example.com")).await;
    let first = outbox.claim_one().await;
    outbox.seal(&first).await;
    outbox.requeue(&first, Duration::ZERO).await;
    outbox.execute(REPORTED).await;
    // Replace the link in the second attempt, as a worker does if the link is too old.
    let second = outbox.claim_one().await;
    assert!(matches!(outbox.seal(&second).await, SendDecision::Send));
    outbox.requeue(&second, Duration::ZERO).await;

    let third = outbox.claim_one().await;
    assert!(matches!(outbox.seal_with(&third, None).await, SendDecision::Send));
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn a_job_whose_mail_was_reported_delivered_ends_as_sent_and_not_as_expired() {
    let outbox = TestOutbox::new().await;
    let id = outbox.queued(request("hello@example.com")).await;
    let job = outbox.claim_one().await;
    outbox.seal(&job).await;
    outbox.requeue(&job, Duration::from_secs(60)).await;
    outbox.execute(REPORTED).await;
    outbox.execute("update email_jobs_open set created_at = created_at - interval '1 h', deadline_at = now()").await;

    assert_eq!(states_of(&outbox::expire(&outbox.pool).await.unwrap()), ["sent"]);
    assert_eq!(outbox.job(id).await.state_and_code(), ("sent", None));
}

#[tokio::test]
async fn each_job_in_a_batch_has_its_own_outcome() {
    let outbox = TestOutbox::new().await;
    let mut jobs = Vec::new();
    for n in 0..5 {
        outbox.queued(request(&format!("person-{n}@example.com"))).await;
        jobs.push(outbox.claim_one().await);
    }
    outbox.queued(request_for("person-1@example.com", "newer")).await;
    let late = format!(
        "update email_jobs_open set created_at = created_at - interval '1 h', deadline_at = now() where id = '{}'",
        jobs[2].lease.job
    );
    outbox.execute(&late).await;
    // Another worker has claimed the fourth job under a new lease.
    outbox.requeue(&jobs[3], Duration::ZERO).await;
    let taken_over = outbox.claim(10).await.into_iter().find(|job| job.lease.job == jobs[3].lease.job).unwrap();

    // The batch contains the fourth job twice, once with each lease. The later attempt's steps start later, so that
    // they count as different steps.
    let step = |job: &outbox::ClaimedJob, step| StepRecord {
        started_at: Utc::now() + TimeDelta::milliseconds(job.attempt.into()),
        ..ok(step)
    };
    let seal = |job: &outbox::ClaimedJob| outbox::Seal {
        lease: job.lease,
        link: Some(outbox::NewLink {
            sealed: job.recipient.as_str().as_bytes().to_vec(),
            message_id: format!("<{}@test>", job.lease.job),
            age: Duration::ZERO,
        }),
        step: record(job, step(job, Step::GenerateLink)),
    };
    let seals: Vec<_> = jobs.iter().chain([&taken_over]).map(seal).collect();
    let decisions = outbox::test_support::seal(&outbox.pool, &seals).await.unwrap();
    assert!(
        matches!(
            decisions[..],
            [
                SendDecision::Send,
                SendDecision::Superseded,
                SendDecision::Expired,
                SendDecision::LeaseLost,
                SendDecision::Send,
                SendDecision::Send
            ]
        ),
        "{decisions:?}"
    );
    let own = "select bool_and(convert_from(sealed_link, 'utf8') = recipient) from email_jobs_open where sealed_link is not null";
    assert!(outbox.scalar::<bool>(own).await, "a job has another job's link");

    let failed = JobEnd::Failed(Failure::new("test", "Words."));
    let ends = [(&jobs[4], failed), (&jobs[3], JobEnd::Sent), (&jobs[0], JobEnd::Sent), (&taken_over, JobEnd::Sent)];
    let ends =
        ends.map(|(job, end)| outbox::Finish { lease: job.lease, end, step: record(job, step(job, Step::Send)) });
    let recorded = outbox::finish(&outbox.pool, &ends).await.unwrap();
    assert_eq!(recorded, [Recorded::Done, Recorded::LeaseLost, Recorded::Done, Recorded::Done]);
    let jobs = outbox.jobs().await;
    let ended: Vec<_> = jobs.iter().map(JobRow::state_and_code).filter(|(state, _)| *state != "queued").collect();
    let recipients: Vec<_> = jobs.iter().map(|job| &job.recipient).take(5).collect();
    assert_eq!(recipients, [0, 1, 2, 3, 4].map(|n| format!("person-{n}@example.com")).each_ref());
    assert_eq!(
        ended,
        [
            ("sent", None),
            ("superseded", Some("newer_request")),
            ("expired", Some("deadline_passed")),
            ("sent", None),
            ("failed", Some("test")),
        ]
    );
    assert_eq!(outbox.scalar::<i64>("select count(*) from email_attempts").await, 10, "not every step was recorded");
    outbox.expect_open_jobs(1);
}

fn states_of(ended: &[EndedJob]) -> Vec<&str> {
    ended.iter().map(|job| job.state).collect()
}
