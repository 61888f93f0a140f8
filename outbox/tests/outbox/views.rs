//! The views for operators.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use outbox::{DeliveryEvent, DeliveryStatus, Failure, JobEnd, Report};

use crate::reports::SentMail;
use crate::test_outbox::{TestOutbox, request, request_for};

#[tokio::test]
async fn the_views_show_waiting_recent_and_failed_jobs() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("sent@example.com")).await;
    let sent = outbox.claim_one().await;
    outbox.seal(&sent).await;
    outbox.finish(&sent, JobEnd::Sent).await;
    outbox
        .execute(
            "update email_jobs set delivery = 'delivered', delivery_at = created_at + interval '2.5 s'
             where recipient = 'sent@example.com'",
        )
        .await;
    for n in 0..2 {
        outbox.queued(request(&format!("failed-{n}@example.com"))).await;
        let failed = outbox.claim_one().await;
        let why = Failure::new("redirect_not_allowed", format!("Words of number {n}."));
        outbox.finish(&failed, JobEnd::Failed(why)).await;
    }
    outbox.queued(request("retrying@example.com")).await;
    outbox.requeue(&outbox.claim_one().await, Duration::from_secs(60)).await;
    outbox.queued(request("queued@example.com")).await;
    outbox.queued(request_for("queued@example.com", "again")).await;

    let now = "select string_agg(concat_ws(' ', state, code, jobs, oldest < '1 min', next_try > now()), ', ')
               from email_jobs_now";
    assert_eq!(outbox.text(now).await, "queued 1 t, retrying upstream_away 1 t t");
    let recent =
        "select string_agg(concat_ws(' ', split_part(recipient, '@', 1), state, delivery, attempts, last_words,
                    seconds_to_sent < 60, seconds_to_delivered), '; ')
                  from email_jobs_recent";
    assert_eq!(
        outbox.text(recent).await,
        "queued queued 0; queued superseded 0 newer_request: A newer request of this recipient took its place.; \
         retrying retrying 1 upstream_away: It did not answer.; \
         failed-1 failed 1 redirect_not_allowed: Words of number 1.; \
         failed-0 failed 1 redirect_not_allowed: Words of number 0.; sent sent delivered 1 t 2.5"
    );
    let failures = "select string_agg(concat_ws(' ', code, state, jobs, last_at <= now(), last_message), '; ')
                    from email_failures_by_code";
    assert_eq!(outbox.text(failures).await, "redirect_not_allowed failed 2 t Words of number 1.");
}

#[tokio::test]
async fn mails_are_counted_by_domain_and_delivery_status() {
    let outbox = TestOutbox::new().await;
    let report = async |mail: &SentMail, id: &str, delivery, after: i64| {
        let occurred_at = Utc::now() + TimeDelta::milliseconds(after);
        let event = DeliveryEvent { occurred_at, ..mail.event(id, delivery) };
        outbox.report(&[Report { event, signed: None }]).await;
    };
    for n in 0..4 {
        let mail = outbox.mailed(&format!("person-{n}@a.example")).await;
        report(&mail, "accepted", DeliveryStatus::Accepted, 0).await;
        report(&mail, "deferred", DeliveryStatus::Deferred, 0).await;
        report(&mail, "delivered", DeliveryStatus::Delivered, 4_000).await;
        if n == 0 {
            report(&mail, "complained", DeliveryStatus::Complained, 5_000).await;
        }
    }
    let bounced = outbox.mailed("person@b.example").await;
    report(&bounced, "bounced", DeliveryStatus::Bounced, 0).await;
    outbox.mailed("silent@b.example").await;

    // Rows this recent are counted later, because a transaction that began before them may still commit.
    assert!(!outbox::roll_up(&outbox.pool).await.unwrap());
    let view = "select string_agg(concat_ws(' ', domain, sent, delivered, deferred, bounced, complained,
                  p50_seconds between 3 and 30, p95_seconds between 3 and 30), '; ')
                from email_delivery_by_domain";
    assert_eq!(outbox.text(&format!("coalesce(({view}), 'none')")).await, "none");
    outbox
        .execute(
            "update email_jobs set finished_at = finished_at - interval '20 s' where finished_at < 'infinity';
             update email_events set received_at = received_at - interval '20 s';
             update email_rollup set rolled_up_to = now() - interval '3 hours 30 min'",
        )
        .await;
    let mut calls = 1;
    while outbox::roll_up(&outbox.pool).await.unwrap() {
        calls += 1;
    }
    assert_eq!(calls, 4, "each call counts at most one hour");
    let wanted = "a.example 4 4 0 0 1 t t; b.example 2 0 0 1 0";
    assert_eq!(outbox.text(view).await, wanted);
    outbox::roll_up(&outbox.pool).await.unwrap();
    assert_eq!(outbox.text(view).await, wanted, "a mail was counted twice");
}

#[tokio::test]
async fn quantiles_are_interpolated_within_their_bucket() {
    let outbox = TestOutbox::new().await;
    for (counts, quantile, wanted) in [
        ("{0,0,0}", 0.5, "null"),
        ("{10,0,0}", 0.5, "0.5"),
        ("{0,10,0}", 0.5, "2"),
        ("{10,10,0}", 0.95, "2.8"),
        ("{0,0,5}", 0.5, "3"),
        ("{5,0,5}", 0.5, "1"),
    ] {
        let query = format!("select coalesce(email_quantile('{{1,3}}', '{counts}', {quantile})::text, 'null')");
        assert_eq!(outbox.text(&query).await, wanted, "{counts} {quantile}");
    }
}

/// No view sorts or reads the whole history.
#[tokio::test]
async fn the_views_do_not_read_the_whole_history() {
    let outbox = TestOutbox::new().await;
    let mut connection = outbox.viewer.acquire().await.unwrap();
    // Postgres would scan tables as small as these even with an index.
    sqlx::raw_sql("set enable_seqscan = off; set enable_bitmapscan = off").execute(&mut *connection).await.unwrap();
    let mut plan = async |query: &str| {
        let explain = sqlx::AssertSqlSafe(format!("explain (costs off) {query}"));
        let lines = sqlx::raw_sql(explain).fetch_all(&mut *connection).await.unwrap();
        lines.iter().map(|line| sqlx::Row::get::<String, _>(line, 0) + "\n").collect::<String>()
    };
    let recent = plan("select * from email_jobs_recent limit 50").await;
    assert!(!recent.contains("Seq Scan") && !recent.contains("Sort\n"), "{recent}");
    assert!(recent.contains("Index Scan Backward using email_jobs_open_pkey"), "{recent}");
    let now = plan("select * from email_jobs_now").await;
    assert!(now.contains("email_jobs_open") && !now.contains("email_jobs_20"), "{now}");
    let failures = plan("select * from email_failures_by_code").await;
    assert!(failures.contains("Index Scan using email_jobs_") && !failures.contains("Seq Scan"), "{failures}");
}
