//! What operators do: cancel jobs, retry jobs that have ended, and pause mail.

use std::time::Duration;

use outbox::{
    Email, Enqueued, Failure, JobEnd, JobId, NewJob, Requeued, SendDecision,
    operate::{
        actions, cancel,
        pauses::{self, PauseTarget},
        retries::{self, RetryDecision},
    },
    upstreams,
};
use sandbox::eventually;

use crate::test_outbox::{TestOutbox, request, request_for};

async fn cancel(outbox: &TestOutbox, job: JobId) -> String {
    cancel::cancel(&outbox.operator, job, Some("as ann asked")).await.unwrap().code
}

async fn state_of(outbox: &TestOutbox, job: JobId) -> (String, Option<String>) {
    let job = outbox.job(job).await;
    (job.state, job.code)
}

fn cancelled() -> (String, Option<String>) {
    ("cancelled".to_owned(), Some("cancelled".to_owned()))
}

async fn actions_of(outbox: &TestOutbox, job: JobId) -> Vec<String> {
    let actions = actions::of_job(&outbox.viewer, job).await.unwrap();
    actions.into_iter().map(|action| format!("{} by {}", action.action, action.actor)).collect()
}

async fn pause(outbox: &TestOutbox, target: &str) {
    let target: PauseTarget = target.parse().unwrap();
    pauses::pause(&outbox.operator, &target, "maintenance", Duration::from_secs(600)).await.unwrap();
}

async fn resume(outbox: &TestOutbox, target: &str) -> bool {
    pauses::resume(&outbox.operator, &target.parse().unwrap(), None).await.unwrap()
}

#[tokio::test]
async fn a_waiting_job_is_cancelled_immediately_and_only_once() {
    let outbox = TestOutbox::new().await;
    let job = outbox.queued(request("ann@example.com")).await;
    let (one, other) = tokio::join!(cancel(&outbox, job), cancel(&outbox, job));
    let mut outcomes = [one, other];
    outcomes.sort();
    assert_eq!(outcomes, ["already_ended", "cancelled"]);
    assert_eq!(state_of(&outbox, job).await, cancelled());
    assert_eq!(actions_of(&outbox, job).await, ["cancel by magic_link_operator"]);
    assert_eq!(cancel(&outbox, JobId::new()).await, "not_found");
}

#[tokio::test]
async fn a_running_job_can_be_cancelled_until_its_link_is_stored() {
    let outbox = TestOutbox::new().await;
    let sealed = outbox.queued(request("ann@example.com")).await;
    let claimed = outbox.claim_one().await;
    assert_eq!(outbox.seal(&claimed).await, SendDecision::Send);
    assert_eq!(cancel(&outbox, sealed).await, "may_be_sent");
    assert_eq!(actions_of(&outbox, sealed).await, [""; 0]);
    outbox.finish(&claimed, JobEnd::Sent).await;
    assert_eq!(cancel(&outbox, sealed).await, "already_ended");

    // The next write to a cancelled job, whether a seal, a requeue or a rescue, ends the job.
    for next in ["seal", "requeue", "rescue"] {
        let job = outbox.queued(request(&format!("{next}@example.com"))).await;
        let claimed = outbox.claim_one().await;
        assert_eq!(cancel(&outbox, job).await, "cancelling");
        assert_eq!(cancel(&outbox, job).await, "cancelling", "again");
        assert_eq!(actions_of(&outbox, job).await, ["cancel by magic_link_operator"]);
        // The person's next job waits until the cancelled job has ended, because a link that is still being created for
        // the cancelled job could invalidate the next job's link.
        outbox.enqueue(&[request_for(&format!("{next}@example.com"), "other")]).await;
        assert!(outbox.claim(10).await.is_empty());
        match next {
            "seal" => assert_eq!(outbox.seal(&claimed).await, SendDecision::Cancelled),
            "requeue" => assert_eq!(outbox.requeue(&claimed, Duration::from_secs(5)).await, Requeued::Cancelled),
            _ => {
                outbox
                    .execute(
                        "update email_jobs_open set lease_expires_at = now() - interval '1 s' where state = 'running'",
                    )
                    .await;
                let rescued = outbox::rescue(&outbox.pool, 5).await.unwrap();
                assert_eq!(rescued.ended[0].state, "cancelled");
            }
        }
        assert_eq!(state_of(&outbox, job).await, cancelled(), "{next}");
        let newer = outbox.claim_one().await;
        outbox.seal(&newer).await;
        outbox.finish(&newer, JobEnd::Sent).await;
    }
}

/// If the newer job did not inherit the probe time, a person whose job was just probed would be probed again next.
#[tokio::test]
async fn the_newer_job_inherits_the_probe_time_of_a_cancelled_running_job() {
    let outbox = TestOutbox::new().await;
    for next in ["seal", "requeue"] {
        let email = format!("{next}@example.com");
        let job = outbox.queued(request(&email)).await;
        let claimed = outbox.claim_one().await;
        outbox.execute("update email_jobs_open set probed_at = clock_timestamp()").await;
        outbox.enqueue(&[request_for(&email, "other")]).await;
        assert_eq!(cancel(&outbox, job).await, "cancelling");
        match next {
            "seal" => assert_eq!(outbox.seal(&claimed).await, SendDecision::Cancelled),
            _ => assert_eq!(outbox.requeue(&claimed, Duration::ZERO).await, Requeued::Cancelled),
        }
        let probed = outbox.scalar::<bool>("select probed_at is not null from email_jobs_open").await;
        assert!(probed, "{next}");
        let newer = outbox.claim_one().await;
        outbox.finish(&newer, JobEnd::Failed(Failure::new("done", "done"))).await;
    }
}

/// If a job is reported as cancelled, its mail is never sent. If its mail is sent, the cancellation is refused.
#[tokio::test]
async fn a_cancellation_during_a_seal_either_takes_effect_or_is_refused() {
    let outbox = TestOutbox::new().await;
    let (mut refused, mut obeyed) = (0, 0);
    for n in 0..40 {
        let job = outbox.queued(request(&format!("p{n}@example.com"))).await;
        let claimed = outbox.claim_one().await;
        let (decision, outcome) = tokio::join!(outbox.seal(&claimed), cancel(&outbox, job));
        match (decision, outcome.as_str()) {
            (SendDecision::Send, "may_be_sent") => {
                refused += 1;
                outbox.finish(&claimed, JobEnd::Sent).await;
            }
            (SendDecision::Cancelled, "cancelling") => obeyed += 1,
            // The seal read the job before the job was cancelled, so a rescue must end the job.
            (SendDecision::LeaseLost, "cancelling") => {
                obeyed += 1;
                outbox.execute("update email_jobs_open set lease_expires_at = now() - interval '1 s'").await;
                outbox::rescue(&outbox.pool, 5).await.unwrap();
            }
            other => panic!("{other:?}"),
        }
        let state = state_of(&outbox, job).await.0;
        assert_eq!(state, if decision == SendDecision::Send { "sent" } else { "cancelled" });
    }
    assert!(refused + obeyed == 40, "{refused} {obeyed}");
}

#[tokio::test]
async fn every_pause_stops_claims_and_a_pause_of_mail_or_mailgun_also_stops_mails() {
    let outbox = TestOutbox::new().await;
    for target in ["mail", "supabase", "mailgun"] {
        outbox.queued(request(&format!("{target}-running@example.com"))).await;
        let running = outbox.claim_one().await;
        outbox.queued(request(&format!("{target}-waiting@example.com"))).await;
        pause(&outbox, target).await;
        assert!(outbox.claim(10).await.is_empty(), "{target}");
        assert!(outbox.load(10).await.is_stopped, "{target}");
        let left = upstreams::stopped_for(&outbox.pool).await.unwrap().unwrap();
        assert!(left > Duration::from_secs(590) && left <= Duration::from_secs(600), "{left:?}");
        let decision = outbox.seal(&running).await;
        // A link that was created before the pause can be mailed without Supabase.
        assert_eq!(decision, if target == "supabase" { SendDecision::Send } else { SendDecision::Paused }, "{target}");
        outbox.requeue(&running, Duration::ZERO).await;
        assert!(resume(&outbox, target).await && !resume(&outbox, target).await);
        assert!(!outbox.load(10).await.is_stopped, "{target}");
        for job in outbox.claim(10).await {
            outbox.finish(&job, JobEnd::Failed(Failure::new("done", "done"))).await;
        }
        assert_eq!(outbox.scalar::<i64>("select count(*) from email_jobs_open").await, 0, "{target}");
    }
}

#[tokio::test]
async fn a_pause_of_a_portal_holds_only_its_jobs_and_ends_automatically() {
    let outbox = TestOutbox::new().await;
    let of = |portal: Option<&str>, name: &str| NewJob {
        portal: portal.map(str::to_owned),
        ..request(&format!("{name}@example.com"))
    };
    outbox.queued(of(Some("shop"), "running")).await;
    let running = outbox.claim_one().await;
    pause(&outbox, "portal:shop").await;
    outbox.queued(of(Some("shop"), "shop")).await;
    outbox.queued(of(Some("club"), "club")).await;
    outbox.queued(of(None, "plain")).await;
    assert_eq!(outbox.seal(&running).await, SendDecision::Paused);
    outbox.requeue(&running, Duration::ZERO).await;

    let state = outbox::queue_state(&outbox.api, 100).await.unwrap();
    assert_eq!((state.load.waiting, state.load.is_stopped), (2, false));
    assert_eq!((state.load_of(Some("shop")).waiting, state.load_of(Some("shop")).is_stopped), (2, true));
    assert!(state.load_of(Some("shop")).time_left > Some(Duration::from_secs(800)));
    assert_eq!(state.load_of(Some("club")), state.load);
    let mut claimed: Vec<_> = outbox.claim(10).await.into_iter().map(|job| job.portal).collect();
    claimed.sort();
    assert_eq!(claimed, [None, Some("club".to_owned())]);

    // Workers wake up when the pause ends.
    let due = outbox::next_due(&outbox.pool).await.unwrap().unwrap();
    assert!(due > Duration::from_secs(590) && due <= Duration::from_secs(600), "{due:?}");
    outbox
        .execute("update operator_pauses set paused_at = now() - interval '1 h', ends_at = now() - interval '1 s'")
        .await;
    assert_eq!(outbox.claim(10).await.len(), 2);
    outbox.expect_open_jobs(4);
}

#[tokio::test]
async fn a_job_that_expires_during_an_operators_pause_has_the_pause_as_its_reason() {
    let outbox = TestOutbox::new().await;
    let job = outbox.queued(request("ann@example.com")).await;
    pause(&outbox, "mail").await;
    outbox.execute("update email_jobs_open set deadline_at = clock_timestamp()").await;
    outbox::expire(&outbox.pool).await.unwrap();
    let job = outbox.job(job).await;
    assert_eq!((job.state.as_str(), job.code.as_deref()), ("expired", Some("paused")));
    assert!(job.message.unwrap().starts_with("An operator paused mail until 20"));
}

#[tokio::test]
async fn an_invalid_pause_is_refused_with_a_reason() {
    let outbox = TestOutbox::new().await;
    for (target, reason, lasts, words) in [
        ("'mial'", "'x'", "1 h", "only mail, supabase, mailgun or portal:ID"),
        ("null", "'x'", "1 h", "only mail, supabase, mailgun or portal:ID"),
        ("'mail'", "' '", "1 h", "needs a reason"),
        ("'mail'", "repeat('x', 501)", "1 h", "needs a reason"),
        ("'mail'", "'x'", "0", "1 second to 7 days"),
        ("'mail'", "'x'", "8 days", "1 second to 7 days"),
    ] {
        let statement = format!("select email_pause({target}, {reason}, '{lasts}')");
        let error = sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&outbox.operator).await.unwrap_err();
        assert!(error.to_string().contains(words), "{target} {reason} {lasts}: {error}");
    }
    assert_eq!(outbox.scalar::<i64>("select count(*) from operator_actions").await, 0);
    assert_eq!(outbox.scalar::<i64>("select count(*) from operator_pauses").await, 0);
}

#[tokio::test]
async fn no_role_can_change_the_record_of_operator_actions() {
    let outbox = TestOutbox::new().await;
    pause(&outbox, "mail").await;
    // A superuser has every privilege, so only the trigger can refuse these statements.
    let admin = outbox::connect(&outbox.url().into(), 1, "test").unwrap();
    for statement in [
        "update operator_actions set actor = 'somebody'",
        "update operator_actions set reason = 'another reason'",
        "delete from operator_actions",
        "truncate operator_actions",
    ] {
        let error = sqlx::raw_sql(statement).execute(&admin).await.unwrap_err();
        assert!(error.to_string().contains("operator_actions is a record"), "{statement}: {error}");
    }
    assert_eq!(outbox.scalar::<i64>("select count(*) from operator_actions").await, 1);
}

/// Adds a job that has expired.
async fn expired(outbox: &TestOutbox, name: &str) -> JobId {
    let job = outbox.queued(request(&format!("{name}@example.com"))).await;
    outbox.execute(&format!("update email_jobs_open set deadline_at = clock_timestamp() where id = '{job}'")).await;
    outbox::expire(&outbox.pool).await.unwrap();
    job
}

async fn file(outbox: &TestOutbox, job: JobId) -> String {
    retries::file(&outbox.operator, job, Some("Mailgun was down")).await.unwrap().code
}

/// Runs the only filed retry, as an api would.
async fn run(outbox: &TestOutbox) -> (JobId, RetryDecision) {
    let filed = retries::take_retries(&outbox.api, 10).await.unwrap();
    let [retry] = &filed[..] else { panic!("{filed:?}") };
    let past = retry.request.clone().unwrap();
    let new_job = NewJob { request_id: past.request_id, ..request(&past.recipient) };
    let decision = retries::run(&outbox.api, &outbox.admission, retry.job, &new_job).await.unwrap();
    (new_job.id, decision)
}

#[tokio::test]
async fn a_retry_adds_a_job_with_the_time_of_the_first_request() {
    let outbox = TestOutbox::new().await;
    let job = expired(&outbox, "ann").await;
    outbox.execute("update email_jobs set created_at = created_at - interval '20 min'").await;
    assert!(!outbox::queue_state(&outbox.api, 1).await.unwrap().has_filed_retries);
    let (one, other) = tokio::join!(file(&outbox, job), file(&outbox, job));
    let mut outcomes = [one, other];
    outcomes.sort();
    assert_eq!(outcomes, ["already_retried", "filed"]);
    assert!(outbox::queue_state(&outbox.api, 1).await.unwrap().has_filed_retries);

    let (new_job, decision) = run(&outbox).await;
    assert_eq!(decision, RetryDecision::Accepted);
    assert!(!outbox::queue_state(&outbox.api, 1).await.unwrap().has_filed_retries);
    assert_eq!(file(&outbox, job).await, "already_retried");
    assert_eq!(file(&outbox, new_job).await, "still_open");
    let claimed = outbox.claim_one().await;
    assert_eq!(claimed.lease.job, new_job);
    let between = claimed.created_at - claimed.requested_at;
    assert!(between.num_minutes() == 20, "{between}");
    let (retry, origin) = actions::retries_of(&outbox.viewer, new_job).await.unwrap();
    assert!(retry.is_none() && origin.unwrap().job_id == job);
    assert_eq!(actions_of(&outbox, job).await, ["retry by magic_link_operator"]);
    outbox.finish(&claimed, JobEnd::Failed(Failure::new("some_failure", "x"))).await;
    // The one-hour limit on retries is measured from the person's request, not from an earlier retry.
    outbox.execute("update email_jobs set created_at = created_at - interval '41 min', requested_at = requested_at - interval '41 min'").await;
    assert_eq!(file(&outbox, new_job).await, "too_old");
}

#[tokio::test]
async fn a_retry_counts_towards_the_recipients_quota_but_is_not_a_double_click() {
    let mut outbox = TestOutbox::new().await;
    outbox.admission.per_recipient = "2/15m".parse().unwrap();
    // The request and its retry, which comes within the duplicate window, use up the quota of two.
    let first = expired(&outbox, "ann").await;
    assert_eq!(file(&outbox, first).await, "filed");
    let (second, decision) = run(&outbox).await;
    assert_eq!(decision, RetryDecision::Accepted);
    cancel(&outbox, second).await;
    assert_eq!(file(&outbox, second).await, "filed");
    let (_, decision) = run(&outbox).await;
    let RetryDecision::Refused(refusal) = decision else { panic!("{decision:?}") };
    assert_eq!(refusal.code, "recipient_rate_limited");
    // A refused retry can be filed again.
    assert_eq!(file(&outbox, second).await, "filed");
    let limited = outbox.enqueue(&[request_for("ann@example.com", "another")]).await;
    assert!(matches!(limited[..], [Enqueued::Limited { .. }]), "{limited:?}");
}

#[tokio::test]
async fn a_retry_that_would_not_help_the_person_is_refused() {
    let outbox = TestOutbox::new().await;
    assert_eq!(file(&outbox, JobId::new()).await, "not_found");

    let open = outbox.queued(request("open@example.com")).await;
    assert_eq!(file(&outbox, open).await, "still_open");
    let duplicate = request("open@example.com");
    let repeated = duplicate.id;
    assert_eq!(outbox.enqueue(&[duplicate]).await, [Enqueued::Duplicate]);
    assert_eq!(file(&outbox, repeated).await, "duplicate");
    cancel(&outbox, open).await;
    // A double click does not count as a newer request.
    assert_eq!(file(&outbox, open).await, "filed");

    let asked_again = expired(&outbox, "again").await;
    let newer = outbox.queued(request_for("again@example.com", "other")).await;
    assert_eq!(file(&outbox, asked_again).await, "asked_again");
    cancel(&outbox, newer).await;
    assert_eq!(file(&outbox, asked_again).await, "asked_again");

    let old = expired(&outbox, "old").await;
    outbox
        .execute(&format!("update email_jobs set created_at = created_at - interval '61 min' where id = '{old}'"))
        .await;
    assert_eq!(file(&outbox, old).await, "too_old");

    let sent = outbox.queued(request("sent@example.com")).await;
    let claimed = outbox.claim_one().await;
    outbox.seal(&claimed).await;
    outbox.finish(&claimed, JobEnd::Sent).await;
    for (delivery, code, outcome) in [
        ("null", "null", "may_have_arrived"),
        ("'accepted'", "null", "may_have_arrived"),
        ("'deferred'", "null", "may_have_arrived"),
        ("'delivered'", "null", "may_have_arrived"),
        ("'complained'", "null", "may_have_arrived"),
        ("null", "'no_trace'", "filed"),
        ("'bounced'", "null", "filed"),
        ("'undelivered'", "null", "filed"),
        ("'suppressed'", "null", "filed"),
    ] {
        outbox
            .execute(&format!(
                "update email_jobs set delivery = {delivery}, code = {code},
                   delivery_at = case when {delivery} is null then null else now() end where id = '{sent}'"
            ))
            .await;
        assert_eq!(file(&outbox, sent).await, outcome, "{delivery} {code}");
        outbox.execute("delete from email_retries").await;
    }

    let banned = expired(&outbox, "banned").await;
    outbox
        .execute(&format!("update email_jobs set state = 'failed', code = 'user_banned' where id = '{banned}'"))
        .await;
    assert_eq!(file(&outbox, banned).await, "banned");

    let suppressed = expired(&outbox, "suppressed").await;
    let suppress = "insert into suppressed_recipients (recipient, reason, since, until, times, job_id)
                    values ('suppressed@example.com', 'bounce', now(), now() + interval '1 h', 1, gen_random_uuid())";
    outbox.execute(suppress).await;
    assert_eq!(file(&outbox, suppressed).await, "suppressed");

    let forgotten = expired(&outbox, "forgotten").await;
    outbox::forget(&outbox.pool, &Email::parse("forgotten@example.com").unwrap()).await.unwrap();
    assert_eq!(file(&outbox, forgotten).await, "forgotten");
}

/// The person's own request always takes precedence over a retry, whenever the request is made.
#[tokio::test]
async fn a_request_made_during_a_retry_takes_precedence() {
    let outbox = TestOutbox::new().await;
    for n in 0..20 {
        let name = format!("p{n}");
        let job = expired(&outbox, &name).await;
        assert_eq!(file(&outbox, job).await, "filed");
        let own = request_for(&format!("{name}@example.com"), "own");
        let own_id = own.id;
        let own = [own];
        let ((retried, decision), enqueued) = tokio::join!(run(&outbox), outbox.enqueue(&own));
        assert_eq!(enqueued, [Enqueued::Queued]);
        match decision {
            RetryDecision::Refused(refusal) => assert_eq!(refusal.code, "asked_again"),
            RetryDecision::Accepted => assert_eq!(outbox.job(retried).await.state, "superseded"),
            RetryDecision::Gone => panic!("another api decided the retry"),
        }
        assert_eq!(outbox.job(own_id).await.state, "queued");
        cancel(&outbox, own_id).await;
    }
}

/// If an api dies after it has taken a retry, the retry is not lost. Two apis never add two jobs for one retry.
#[tokio::test]
async fn a_retry_is_run_exactly_once() {
    let outbox = TestOutbox::new().await;
    let job = expired(&outbox, "ann").await;
    file(&outbox, job).await;
    assert_eq!(retries::take_retries(&outbox.api, 10).await.unwrap().len(), 1);
    assert!(retries::take_retries(&outbox.api, 10).await.unwrap().is_empty(), "the retry was taken twice");
    outbox.execute("update email_retries set taken_until = now() - interval '1 s'").await;
    assert_eq!(retries::take_retries(&outbox.api, 10).await.unwrap().len(), 1, "the retry was lost");

    let (one, other) = (request("ann@example.com"), request("ann@example.com"));
    let (one, other) = tokio::join!(
        retries::run(&outbox.api, &outbox.admission, job, &one),
        retries::run(&outbox.api, &outbox.admission, job, &other)
    );
    let decisions = [one.unwrap(), other.unwrap()];
    let accepted = decisions.iter().filter(|decision| **decision == RetryDecision::Accepted).count();
    assert_eq!(accepted, 1, "{decisions:?}");
    assert_eq!(outbox.scalar::<i64>("select count(*) from email_jobs").await, 2);
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn forgetting_a_person_erases_what_operators_wrote_about_them() {
    let outbox = TestOutbox::new().await;
    let job = expired(&outbox, "ann").await;
    file(&outbox, job).await;
    let target: PauseTarget = "mail".parse().unwrap();
    pauses::pause(&outbox.operator, &target, "Ann@example.com complained", Duration::from_secs(60)).await.unwrap();
    pauses::resume(&outbox.operator, &target, Some("done")).await.unwrap();
    outbox::forget(&outbox.pool, &Email::parse("ann@example.com").unwrap()).await.unwrap();
    let reasons = "select action, reason from operator_actions order by id";
    let row = |action: &str, reason: Option<&str>| (action.to_owned(), reason.map(str::to_owned));
    assert_eq!(
        outbox.rows::<(String, Option<String>)>(reasons).await,
        [row("retry", None), row("pause", None), row("resume", Some("done"))]
    );
    assert_eq!(outbox.scalar::<i64>("select count(*) from email_retries").await, 0);
}

/// Ending a pause wakes the workers; starting a pause does not.
#[tokio::test]
async fn ending_a_pause_wakes_the_workers() {
    let outbox = TestOutbox::new().await;
    pause(&outbox, "mail").await;
    let listener = outbox::JobListener::start(&outbox.pool);
    // The first notifications may be sent before the listener has connected.
    eventually("a notification", async || {
        resume(&outbox, "mail").await;
        let began = std::time::Instant::now();
        listener.wait(Duration::from_secs(5)).await;
        pause(&outbox, "mail").await;
        if began.elapsed() < Duration::from_secs(4) { Ok(()) } else { Err(began.elapsed()) }
    })
    .await;
}
