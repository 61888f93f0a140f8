//! Enqueues: quotas, superseded jobs, double clicks, batches and races.

use std::time::Duration;

use futures_util::{StreamExt as _, future::join_all, stream::FuturesUnordered};
use outbox::{Enqueued, Failure, GroupCommit, JobEnd, NewJob, ShownHost};

use crate::test_outbox::{TestOutbox, request, request_for};

#[tokio::test]
async fn a_request_becomes_a_queued_job() {
    let outbox = TestOutbox::new().await;
    let id = outbox.queued(request("hello@example.com")).await;

    assert_eq!(outbox.job(id).await.state_and_code(), ("queued", None));
    assert!(outbox.scalar::<bool>("select deadline_at - created_at = interval '15 min' from email_jobs").await);
    assert_eq!(outbox.load(100).await.waiting, 1);
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn a_second_request_supersedes_the_waiting_one_and_takes_its_place() {
    let outbox = TestOutbox::new().await;
    let first = outbox.queued(request_for("hello@example.com", "a")).await;
    let other = outbox.queued(request("other@example.com")).await;
    let second = outbox.queued(request_for("hello@example.com", "b")).await;

    assert_eq!(outbox.job(first).await.state_and_code(), ("superseded", Some("newer_request")));
    let claimed = outbox.claim(10).await;
    let order: Vec<_> = claimed.iter().map(|job| job.lease.job).collect();
    assert_eq!(order.len(), 2);
    assert!(order.contains(&second) && order.contains(&other));
    assert_eq!(
        outbox
            .scalar::<i64>("select count(distinct place) from email_jobs where recipient = 'hello@example.com'")
            .await,
        1
    );
    outbox.expect_open_jobs(2);
}

#[tokio::test]
async fn each_job_keeps_the_shown_host_of_its_own_request() {
    let outbox = TestOutbox::new().await;
    let named = |page: &str, host: &str| {
        let shown_host = ShownHost::parse(host).unwrap();
        NewJob { shown_host, ..request_for("hello@example.com", page) }
    };
    // The first request takes the shortcut for newcomers. Each later request supersedes the request before it, except
    // the last one, which is a double click.
    outbox.queued(named("a", "a.example.com")).await;
    outbox.queued(named("b", "b.example.com")).await;
    outbox.enqueue(&[named("c", "c.example.com"), named("d", "d.example.com"), named("d", "e.example.com")]).await;

    let job = outbox.claim_one().await;
    assert!(job.callback_url.as_str().ends_with("d"), "{job:?}");
    assert_eq!(job.shown_host.as_ref().map(ShownHost::as_str), Some("d.example.com"));
    outbox.finish(&job, JobEnd::Failed(Failure::new("late", "Too late."))).await;
    let jobs = outbox.jobs().await;
    let kept: Vec<_> = jobs
        .iter()
        .map(|job| (job.callback_url.chars().last(), job.shown_host.as_deref(), job.state_and_code()))
        .collect();
    let superseded = ("superseded", Some("newer_request"));
    assert_eq!(
        kept,
        [
            (Some('a'), Some("a.example.com"), superseded),
            (Some('b'), Some("b.example.com"), superseded),
            (Some('c'), Some("c.example.com"), superseded),
            (Some('d'), Some("d.example.com"), ("failed", Some("late"))),
            (Some('d'), Some("e.example.com"), ("superseded", Some("duplicate"))),
        ]
    );
}

/// An operator may delete a mailbox's quota row so that the person can make new requests immediately. A recipient with
/// a waiting job then looks like a newcomer.
#[tokio::test]
async fn a_waiting_job_is_superseded_even_if_its_quota_row_was_deleted() {
    let outbox = TestOutbox::new().await;
    let first = outbox.queued(request_for("hello@example.com", "a")).await;
    outbox.execute("delete from recipient_quotas").await;
    let second = request_for("hello@example.com", "b");
    let id = second.id;

    let outcomes = outbox.enqueue(&[second, request("newcomer@example.com")]).await;
    assert_eq!(outcomes, [Enqueued::Queued, Enqueued::Queued]);
    assert_eq!(outbox.job(first).await.state_and_code(), ("superseded", Some("newer_request")));
    assert_eq!(outbox.job(id).await.state_and_code(), ("queued", None));
    assert_eq!(outbox.load(100).await.waiting, 2);
    outbox.expect_open_jobs(2);
}

#[tokio::test]
async fn a_newcomers_request_uses_as_much_quota_as_any_other() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("newcomer@example.com")).await;
    // If a batch contains two requests for one mailbox, neither takes the shortcut for newcomers. The second request is
    // a double click, which uses no quota.
    outbox.enqueue(&[request("known@example.com"), request("known@example.com")]).await;
    // How many seconds of each window one request uses up, in the quotas of the recipient and of the client.
    let used = "select
        array(select round(extract(epoch from tat - last_at))::bigint from unnest(tats) as tat),
        array(select round(extract(epoch from tat::timestamptz - last_at))::bigint
              from jsonb_each(clients) as client, jsonb_array_elements_text(client.value) as tat)
      from recipient_quotas";
    let used: Vec<(Vec<i64>, Vec<i64>)> = outbox.rows(used).await;
    // 90 s is a tenth of 15 min, for a quota of 10 requests in 15 min.
    assert_eq!(used, [(vec![90, 2_880], vec![180, 8_640]), (vec![90, 2_880], vec![180, 8_640])]);
    outbox.expect_open_jobs(2);
}

#[tokio::test]
async fn a_double_click_adds_a_row_but_no_mail_and_uses_no_quota() {
    let mut outbox = TestOutbox::new().await;
    outbox.admission.per_recipient_and_client = "1/1h".parse().unwrap();
    let first = outbox.queued(request("hello@example.com")).await;
    let click = request("hello@example.com");
    let second = click.id;

    assert_eq!(outbox.enqueue(&[click]).await, [Enqueued::Duplicate]);
    assert_eq!(outbox.job(first).await.state_and_code(), ("queued", None));
    assert_eq!(outbox.job(second).await.state_and_code(), ("superseded", Some("duplicate")));
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn the_same_request_after_the_duplicate_window_is_a_new_job() {
    let mut outbox = TestOutbox::new().await;
    outbox.admission.duplicate_window = Duration::from_millis(1);
    let first = outbox.queued(request("hello@example.com")).await;
    outbox.execute("update email_jobs set created_at = created_at - interval '1 second'").await;
    let second = outbox.queued(request("hello@example.com")).await;

    assert_eq!(outbox.job(first).await.state_and_code(), ("superseded", Some("newer_request")));
    assert_eq!(outbox.job(second).await.state_and_code(), ("queued", None));
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn a_repeat_after_a_different_request_is_not_a_double_click() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request_for("hello@example.com", "a")).await;
    let running = outbox.claim_one().await;
    outbox.queued(request_for("hello@example.com", "b")).await;
    let last = outbox.queued(request_for("hello@example.com", "a")).await;

    assert_eq!(outbox.job(running.lease.job).await.state_and_code(), ("running", None));
    assert_eq!(outbox.job(last).await.state_and_code(), ("queued", None));
    outbox.expect_open_jobs(2);
}

#[tokio::test]
async fn repeats_use_the_same_quota_whether_the_job_was_sent_or_failed() {
    let mut outbox = TestOutbox::new().await;
    outbox.admission.per_recipient_and_client = "3/15m".parse().unwrap();
    let mut answers = Vec::new();
    for (recipient, end) in
        [("known@example.com", JobEnd::Sent), ("nobody@example.com", JobEnd::Failed(Failure::new("unknown_user", "")))]
    {
        outbox.queued(request(recipient)).await;
        let job = outbox.claim_one().await;
        outbox.seal(&job).await;
        outbox.finish(&job, end).await;
        for _ in 0..4 {
            answers.push(outbox.enqueue(&[request(recipient)]).await);
        }
    }
    assert_eq!(answers[..4], answers[4..], "the outcomes reveal who has an account");
}

#[tokio::test]
async fn a_refused_request_uses_no_quota_in_any_window() {
    let mut outbox = TestOutbox::new().await;
    outbox.admission.per_recipient = "3/1h".parse().unwrap();
    outbox.admission.per_recipient_and_client = "1/1h".parse().unwrap();
    let from =
        |client: &str, page: &str| NewJob { client: client.to_owned(), ..request_for("hello@example.com", page) };

    outbox.queued(from("203.0.113.1", "1")).await;
    for page in ["2", "3", "4", "5"] {
        let refused = outbox.enqueue(&[from("203.0.113.1", page)]).await;
        assert!(matches!(refused[..], [Enqueued::Limited { retry_after }] if retry_after > Duration::from_secs(3_590)));
    }
    outbox.queued(from("203.0.113.2", "6")).await;
    outbox.queued(from("203.0.113.3", "7")).await;
    let refused = outbox.enqueue(&[from("203.0.113.4", "8")]).await;
    assert!(matches!(refused[..], [Enqueued::Limited { retry_after }] if retry_after < Duration::from_secs(1_201)));
    assert_eq!(outbox.scalar::<i64>("select count(*) from email_jobs").await, 3);
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn addresses_with_different_tags_share_a_quota() {
    let mut outbox = TestOutbox::new().await;
    outbox.admission.per_recipient = "1/1h".parse().unwrap();
    outbox.queued(request("hello+1@example.com")).await;

    assert!(matches!(outbox.enqueue(&[request("hello+2@example.com")]).await[..], [Enqueued::Limited { .. }]));
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn the_requests_in_a_batch_are_decided_in_order_of_arrival() {
    let mut outbox = TestOutbox::new().await;
    outbox.admission.per_recipient = "2/1h".parse().unwrap();
    let batch = [
        request_for("a@example.com", "1"),
        request_for("b@example.com", "1"),
        request_for("a@example.com", "2"),
        request_for("a@example.com", "2"),
        request_for("a@example.com", "3"),
    ];
    let ids: Vec<_> = batch.iter().map(|request| request.id).collect();
    let outcomes = outbox.enqueue(&batch).await;

    assert_eq!(outcomes[..4], [Enqueued::Queued, Enqueued::Queued, Enqueued::Queued, Enqueued::Duplicate]);
    assert!(matches!(outcomes[4], Enqueued::Limited { .. }));
    assert_eq!(outbox.job(ids[0]).await.state_and_code(), ("superseded", Some("newer_request")));
    assert_eq!(outbox.job(ids[1]).await.state_and_code(), ("queued", None));
    assert_eq!(outbox.job(ids[2]).await.state_and_code(), ("queued", None));
    assert_eq!(outbox.job(ids[3]).await.state_and_code(), ("superseded", Some("duplicate")));
    outbox.expect_open_jobs(2);
}

#[tokio::test]
async fn concurrent_replicas_leave_one_waiting_job_and_do_not_exceed_the_quota() {
    let mut outbox = TestOutbox::new().await;
    outbox.admission.per_recipient = "7/1h".parse().unwrap();
    outbox.admission.per_recipient_and_client = "100/1h".parse().unwrap();
    let outbox = std::sync::Arc::new(outbox);
    let mut replicas = tokio::task::JoinSet::new();
    for replica in 0..8 {
        let outbox = std::sync::Arc::clone(&outbox);
        replicas.spawn(async move {
            let mut taken = 0;
            for turn in 0..5 {
                // Every second replica reverses the recipients. Quota rows are locked in a fixed order, so that this
                // cannot cause a deadlock.
                let mut batch = vec![
                    request_for("a@example.com", &format!("{replica}-{turn}")),
                    request_for("b@example.com", &format!("{replica}-{turn}")),
                ];
                if replica % 2 == 0 {
                    batch.reverse();
                }
                taken += outbox.enqueue(&batch).await.iter().filter(|o| **o == Enqueued::Queued).count();
            }
            taken
        });
    }
    let taken: usize = replicas.join_all().await.into_iter().sum();

    assert_eq!(taken, 14);
    let jobs = outbox.jobs().await;
    let mut queued: Vec<_> = jobs.iter().filter(|job| job.state == "queued").map(|job| &job.recipient).collect();
    queued.sort();
    assert_eq!(queued, ["a@example.com", "b@example.com"]);
    assert_eq!(jobs.iter().filter(|job| job.state == "superseded").count(), 12);
    assert!(outbox.scalar::<bool>("select bool_and(waiting.seq > gone.seq) from email_jobs waiting join email_jobs gone using (recipient) where waiting.state = 'queued' and gone.state = 'superseded'").await);
    outbox.expect_open_jobs(2);
}

#[tokio::test]
async fn only_idle_quotas_are_deleted() {
    let mut outbox = TestOutbox::new().await;
    outbox.queued(request("a@example.com")).await;
    outbox.admission.per_recipient = "1000000/1s".parse().unwrap();
    outbox.admission.per_recipient_and_client = "1000000/1s".parse().unwrap();
    outbox.queued(request("b@example.com")).await;
    let idle = "update recipient_quotas set tats = array[clock_timestamp()] where key = 'b@example.com'";
    outbox.execute(idle).await;
    assert_eq!(outbox::forget_idle_quotas(&outbox.pool).await.unwrap(), 0, "a repeat must still be recognised");
    outbox.execute("update recipient_quotas set last_at = last_at - interval '61 min'").await;
    let of_client = "update recipient_quotas set tats = array[clock_timestamp()] where key = 'a@example.com'";
    outbox.execute(of_client).await;

    assert_eq!(outbox::forget_idle_quotas(&outbox.pool).await.unwrap(), 1);
    let kept: Vec<(String,)> = outbox.rows("select key from recipient_quotas").await;
    assert_eq!(kept, [("a@example.com".to_owned(),)], "the client's quota is still in use");
    outbox.expect_open_jobs(2);
}

/// Every write to quota rows locks the rows in the order of their keys, so that two writes cannot deadlock.
#[tokio::test]
async fn quota_rows_of_newcomers_are_locked_in_the_order_of_their_keys() {
    let outbox = TestOutbox::new().await;
    let mut other = outbox.admin.begin().await.unwrap();
    let add =
        |key: &str| sqlx::AssertSqlSafe(format!("insert into recipient_quotas (key) values ('{key}@example.com')"));
    sqlx::raw_sql(add("a")).execute(&mut *other).await.unwrap();
    let batch = [request("b@example.com"), request("a@example.com")];
    let (outcomes, ()) = tokio::join!(outbox.enqueue(&batch), async {
        outbox.until_sessions_wait_for_locks(1).await;
        sqlx::raw_sql(add("b")).execute(&mut *other).await.expect("the enqueue holds a lock on the later row");
        other.commit().await.unwrap();
    });
    assert_eq!(outcomes, [Enqueued::Queued, Enqueued::Queued]);
    // A session that detects a deadlock has waited for at least a second (`deadlock_timeout`), so it updates this counter
    // as soon as its transaction ends.
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(outbox.scalar::<i64>(deadlocks).await, 0);
    outbox.expect_open_jobs(2);
}

#[tokio::test]
async fn concurrent_requests_share_a_few_commits_and_get_their_own_outcomes() {
    let mut outbox = TestOutbox::new().await;
    outbox.admission.per_recipient = "2/1h".parse().unwrap();
    let commit = GroupCommit::of_requests(&outbox.api, outbox.admission.clone(), |_, _| ()).unwrap();
    let ask = |n: usize| commit.commit(request_for(&format!("p{}@example.com", n % 100), &n.to_string()));
    let outcomes = join_all((0..300).map(ask)).await;

    let taken = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Enqueued::Queued))).count();
    assert_eq!(taken, 200);
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Enqueued::Limited { .. }))).count();
    assert_eq!(refused, 100);
    assert_eq!(outbox.load(1_000).await.waiting, 100);
    let commits: i64 = outbox.scalar("select count(distinct xmin::text) from email_jobs").await;
    assert!(commits <= 6, "{commits} commits for 300 requests");
    outbox.expect_open_jobs(100);
}

#[tokio::test]
async fn a_burst_of_requests_does_not_wait_for_a_blocked_commit() {
    let outbox = TestOutbox::new().await;
    let commit = GroupCommit::of_requests(&outbox.api, outbox.admission.clone(), |_, _| ()).unwrap();
    let mut other = outbox.admin.begin().await.unwrap();
    sqlx::raw_sql("insert into recipient_quotas (key) values ('held-up@example.com')")
        .execute(&mut *other)
        .await
        .unwrap();
    let (held_up, ()) = tokio::join!(commit.commit(request("held-up@example.com")), async {
        outbox.until_sessions_wait_for_locks(1).await;
        let mut crowd: FuturesUnordered<_> =
            (0..100).map(|n| commit.commit(request(&format!("person-{n}@example.com")))).collect();
        // The last requests may have to wait for the blocked commit, because the second committer takes a batch only
        // when at least 64 requests are waiting.
        for answered in 1..=64 {
            let answer = tokio::time::timeout(Duration::from_secs(3), crowd.next()).await;
            assert!(matches!(answer, Ok(Some(Ok(Enqueued::Queued)))), "number {answered}: {answer:?}");
        }
        other.rollback().await.unwrap();
        let rest: Vec<_> = crowd.collect().await;
        assert!(rest.iter().all(|answer| matches!(answer, Ok(Enqueued::Queued))), "{rest:?}");
    });
    assert_eq!(held_up.unwrap(), Enqueued::Queued);
    outbox.expect_open_jobs(101);
}

#[tokio::test]
async fn a_row_that_postgres_refuses_does_not_fail_its_batch() {
    let outbox = TestOutbox::new().await;
    let commit = GroupCommit::of_requests(&outbox.api, outbox.admission.clone(), |_, _| ()).unwrap();
    let bad = NewJob { request_id: "x".repeat(65), ..request("bad@example.com") };
    let batch = [request("a@example.com"), bad, request("b@example.com")];
    let outcomes = join_all(batch.map(|request| commit.commit(request))).await;

    assert!(matches!(outcomes[..], [Ok(Enqueued::Queued), Err(_), Ok(Enqueued::Queued)]), "{outcomes:?}");
    assert!(!outcomes[1].as_ref().unwrap_err().is_outage());
    outbox.expect_open_jobs(2);
}
