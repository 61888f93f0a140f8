//! What the door writes: quotas, latest-wins, double clicks, batches, races.

use std::time::Duration;

use futures_util::{StreamExt as _, future::join_all, stream::FuturesUnordered};
use outbox::{Enqueued, Failure, GroupCommit, JobEnd, NewJob, ShownHost};

use crate::test_outbox::{TestOutbox, request, request_for};

#[tokio::test]
async fn a_request_becomes_a_job_that_waits() {
    let outbox = TestOutbox::new().await;
    let id = outbox.queued(request("hello@example.com")).await;

    assert_eq!(outbox.state(id).await, "queued");
    assert_eq!(outbox.text("select deadline_at - created_at from email_jobs").await, "00:15:00");
    assert_eq!(outbox::load(&outbox.api, 100).await.unwrap().waiting, 1);
}

#[tokio::test]
async fn a_second_request_supersedes_the_waiting_one_and_takes_its_place() {
    let outbox = TestOutbox::new().await;
    let first = outbox.queued(request_for("hello@example.com", "a")).await;
    let other = outbox.queued(request("other@example.com")).await;
    let second = outbox.queued(request_for("hello@example.com", "b")).await;

    assert_eq!(outbox.state(first).await, "superseded newer_request");
    let claimed = outbox.claim(10).await;
    let order: Vec<_> = claimed.iter().map(|job| job.lease.job).collect();
    assert_eq!(order.len(), 2);
    assert!(order.contains(&second) && order.contains(&other));
    assert_eq!(
        outbox.text("select count(distinct place) from email_jobs where recipient = 'hello@example.com'").await,
        "1"
    );
}

#[tokio::test]
async fn a_job_keeps_what_its_own_request_calls_the_portal() {
    let outbox = TestOutbox::new().await;
    let named = |page: &str, host: &str| {
        let shown_host = ShownHost::parse(host).unwrap();
        NewJob { shown_host, ..request_for("hello@example.com", page) }
    };
    // The first goes the short way, as a newcomer's; the others supersede each other, the last two within a batch.
    outbox.queued(named("a", "a.example.com")).await;
    outbox.queued(named("b", "b.example.com")).await;
    outbox.enqueue(&[named("c", "c.example.com"), named("d", "d.example.com"), named("d", "e.example.com")]).await;

    let job = outbox.claim_one().await;
    assert!(job.callback_url.as_str().ends_with("d"), "{job:?}");
    assert_eq!(job.shown_host.as_ref().map(ShownHost::as_str), Some("d.example.com"));
    outbox.finish(&job, JobEnd::Failed(Failure::new("late", "Too late."))).await;
    let kept = "select string_agg(concat_ws(' ', right(callback_url, 1), shown_host, state, code), ', ' order by seq) from email_jobs";
    assert_eq!(
        outbox.text(kept).await,
        "a a.example.com superseded newer_request, b b.example.com superseded newer_request, \
         c c.example.com superseded newer_request, d d.example.com failed late, d e.example.com superseded duplicate"
    );
}

/// An operator who lets a person ask again at once deletes the mailbox's quotas: whoever waits is a newcomer by them.
#[tokio::test]
async fn a_waiting_job_whose_quotas_were_deleted_is_superseded_all_the_same() {
    let outbox = TestOutbox::new().await;
    let first = outbox.queued(request_for("hello@example.com", "a")).await;
    outbox.execute("delete from recipient_quotas").await;
    let second = request_for("hello@example.com", "b");
    let id = second.id;

    let outcomes = outbox.enqueue(&[second, request("newcomer@example.com")]).await;
    assert_eq!(outcomes, [Enqueued::Queued, Enqueued::Queued]);
    assert_eq!(outbox.state(first).await, "superseded newer_request");
    assert_eq!(outbox.state(id).await, "queued");
    assert_eq!(outbox::load(&outbox.api, 100).await.unwrap().waiting, 2);
}

#[tokio::test]
async fn a_newcomers_request_takes_as_much_of_each_window_as_anybodys() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("newcomer@example.com")).await;
    // Two of one mailbox in a batch go the long way, and the second is a double click.
    outbox.enqueue(&[request("known@example.com"), request("known@example.com")]).await;
    let charged = "select string_agg(distinct
        (select string_agg(date_trunc('second', tat - last_at + '0.5 s')::text, ' ') from unnest(tats) as tat) || ' of it, '
          || (select string_agg(date_trunc('second', tat::timestamptz - last_at + '0.5 s')::text, ' ')
              from jsonb_each(clients) as client, jsonb_array_elements_text(client.value) as tat) || ' of its client',
        '; ')
      from recipient_quotas";
    assert_eq!(
        outbox.text(charged).await,
        "00:01:30 00:48:00 of it, 00:03:00 02:24:00 of its client",
        "90 s of 15 min are a tenth"
    );
}

#[tokio::test]
async fn a_double_click_is_one_mail_and_two_rows_and_takes_no_quota() {
    let mut outbox = TestOutbox::new().await;
    outbox.admission.per_recipient_and_client = "1/1h".parse().unwrap();
    let first = outbox.queued(request("hello@example.com")).await;
    let click = request("hello@example.com");
    let second = click.id;

    assert_eq!(outbox.enqueue(&[click]).await, [Enqueued::Duplicate]);
    assert_eq!(outbox.state(first).await, "queued");
    assert_eq!(outbox.state(second).await, "superseded duplicate");
}

#[tokio::test]
async fn the_same_request_after_the_window_is_a_new_job() {
    let mut outbox = TestOutbox::new().await;
    outbox.admission.duplicate_window = Duration::from_millis(1);
    let first = outbox.queued(request("hello@example.com")).await;
    outbox.execute("update email_jobs set created_at = created_at - interval '1 second'").await;
    let second = outbox.queued(request("hello@example.com")).await;

    assert_eq!(outbox.state(first).await, "superseded newer_request");
    assert_eq!(outbox.state(second).await, "queued");
}

#[tokio::test]
async fn the_same_page_again_after_another_page_is_no_double_click() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request_for("hello@example.com", "a")).await;
    let running = outbox.claim_one().await;
    outbox.queued(request_for("hello@example.com", "b")).await;
    let last = outbox.queued(request_for("hello@example.com", "a")).await;

    assert_eq!(outbox.state(running.lease.job).await, "running");
    assert_eq!(outbox.state(last).await, "queued");
}

#[tokio::test]
async fn repeats_take_as_much_quota_whether_the_job_was_sent_or_failed() {
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
    assert_eq!(answers[..4], answers[4..], "an account would show");
}

#[tokio::test]
async fn a_refused_request_uses_up_nothing_in_any_window() {
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
    assert_eq!(outbox.text("select count(*) from email_jobs").await, "3");
}

#[tokio::test]
async fn tags_of_one_mailbox_share_its_quota() {
    let mut outbox = TestOutbox::new().await;
    outbox.admission.per_recipient = "1/1h".parse().unwrap();
    outbox.queued(request("hello+1@example.com")).await;

    assert!(matches!(outbox.enqueue(&[request("hello+2@example.com")]).await[..], [Enqueued::Limited { .. }]));
}

#[tokio::test]
async fn a_batch_is_answered_one_by_one_in_the_order_of_arrival() {
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
    assert_eq!(outbox.state(ids[0]).await, "superseded newer_request");
    assert_eq!(outbox.state(ids[1]).await, "queued");
    assert_eq!(outbox.state(ids[2]).await, "queued");
    assert_eq!(outbox.state(ids[3]).await, "superseded duplicate");
}

#[tokio::test]
async fn replicas_at_once_leave_one_waiting_job_and_let_in_no_more_than_the_quota() {
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
                // Two recipients in both orders: the quota rows' order must prevent a deadlock.
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
    assert_eq!(
        outbox
            .text("select string_agg(recipient, ' ' order by recipient) from email_jobs where state = 'queued'")
            .await,
        "a@example.com b@example.com"
    );
    assert_eq!(outbox.text("select count(*) from email_jobs where state = 'superseded'").await, "12");
    assert_eq!(
        outbox.text("select bool_and(waiting.seq > gone.seq) from email_jobs waiting join email_jobs gone using (recipient) where waiting.state = 'queued' and gone.state = 'superseded'").await,
        "true"
    );
}

#[tokio::test]
async fn idle_quotas_are_forgotten_and_others_kept() {
    let mut outbox = TestOutbox::new().await;
    outbox.queued(request("a@example.com")).await;
    outbox.admission.per_recipient = "1000000/1s".parse().unwrap();
    outbox.admission.per_recipient_and_client = "1000000/1s".parse().unwrap();
    outbox.queued(request("b@example.com")).await;
    let idle = "update recipient_quotas set tats = array[clock_timestamp()] where key = 'b@example.com'";
    outbox.execute(idle).await;
    assert_eq!(outbox::forget_idle_quotas(&outbox.pool).await.unwrap(), 0, "the last request may yet be repeated");
    outbox.execute("update recipient_quotas set last_at = last_at - interval '61 min'").await;
    let of_client = "update recipient_quotas set tats = array[clock_timestamp()] where key = 'a@example.com'";
    outbox.execute(of_client).await;

    assert_eq!(outbox::forget_idle_quotas(&outbox.pool).await.unwrap(), 1);
    assert_eq!(
        outbox.text("select string_agg(key, '|' order by key) from recipient_quotas").await,
        "a@example.com",
        "its client has used up some of its quota"
    );
}

/// Whoever writes quotas does it in the order of their keys: nobody waits for a row while holding one that comes later.
#[tokio::test]
async fn newcomers_in_any_order_wait_for_others_in_the_order_of_their_keys() {
    let outbox = TestOutbox::new().await;
    let mut other = outbox.admin.begin().await.unwrap();
    let add =
        |key: &str| sqlx::AssertSqlSafe(format!("insert into recipient_quotas (key) values ('{key}@example.com')"));
    sqlx::raw_sql(add("a")).execute(&mut *other).await.unwrap();
    let batch = [request("b@example.com"), request("a@example.com")];
    let (outcomes, ()) = tokio::join!(outbox.enqueue(&batch), async {
        let waiting = "select count(*) from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock'";
        while outbox.text(waiting).await == "0" {}
        sqlx::raw_sql(add("b")).execute(&mut *other).await.expect("nobody holds what comes later");
        other.commit().await.unwrap();
    });
    assert_eq!(outcomes, [Enqueued::Queued, Enqueued::Queued]);
    // Counted at once by the session that met it.
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(outbox.text(deadlocks).await, "0");
}

#[tokio::test]
async fn requests_that_come_together_are_answered_each_for_itself_by_few_commits() {
    let mut outbox = TestOutbox::new().await;
    outbox.admission.per_recipient = "2/1h".parse().unwrap();
    let commit = GroupCommit::of_requests(&outbox.api, outbox.admission.clone(), |_, _| ()).unwrap();
    let ask = |n: usize| commit.commit(request_for(&format!("p{}@example.com", n % 100), &n.to_string()));
    let outcomes = join_all((0..300).map(ask)).await;

    let taken = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Enqueued::Queued))).count();
    assert_eq!(taken, 200);
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Enqueued::Limited { .. }))).count();
    assert_eq!(refused, 100);
    assert_eq!(outbox::load(&outbox.api, 1_000).await.unwrap().waiting, 100);
    let commits: i64 = outbox.text("select count(distinct xmin::text) from email_jobs").await.parse().unwrap();
    assert!(commits <= 6, "{commits} commits for 300 requests");
}

#[tokio::test]
async fn a_crowd_does_not_wait_for_a_commit_that_takes_long() {
    let outbox = TestOutbox::new().await;
    let commit = GroupCommit::of_requests(&outbox.api, outbox.admission.clone(), |_, _| ()).unwrap();
    let mut other = outbox.admin.begin().await.unwrap();
    sqlx::raw_sql("insert into recipient_quotas (key) values ('held-up@example.com')")
        .execute(&mut *other)
        .await
        .unwrap();
    let (held_up, ()) = tokio::join!(commit.commit(request("held-up@example.com")), async {
        let waiting = "select count(*) from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock'";
        while outbox.text(waiting).await == "0" {}
        let mut crowd: FuturesUnordered<_> =
            (0..100).map(|n| commit.commit(request(&format!("person-{n}@example.com")))).collect();
        // Too few for a batch of their own wait: so may the last of them.
        for answered in 1..=64 {
            let answer = tokio::time::timeout(Duration::from_secs(3), crowd.next()).await;
            assert!(matches!(answer, Ok(Some(Ok(Enqueued::Queued)))), "number {answered}: {answer:?}");
        }
        other.rollback().await.unwrap();
    });
    assert_eq!(held_up.unwrap(), Enqueued::Queued);
}

#[tokio::test]
async fn a_row_that_postgres_refuses_fails_alone() {
    let outbox = TestOutbox::new().await;
    let commit = GroupCommit::of_requests(&outbox.api, outbox.admission.clone(), |_, _| ()).unwrap();
    let bad = NewJob { request_id: "x".repeat(65), ..request("bad@example.com") };
    let batch = [request("a@example.com"), bad, request("b@example.com")];
    let outcomes = join_all(batch.map(|request| commit.commit(request))).await;

    assert!(matches!(outcomes[..], [Ok(Enqueued::Queued), Err(_), Ok(Enqueued::Queued)]), "{outcomes:?}");
    assert!(!outcomes[1].as_ref().unwrap_err().is_outage());
}
