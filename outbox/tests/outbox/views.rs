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

    let queued = NowRow { state: "queued".to_owned(), code: None, jobs: 1, is_new: true, is_due_later: None };
    let retrying = NowRow {
        state: "retrying".to_owned(),
        code: Some("upstream_away".to_owned()),
        is_due_later: Some(true),
        ..queued.clone()
    };
    assert_eq!(outbox.rows::<NowRow>(NOW).await, [queued, retrying]);

    let recent: Vec<RecentRow> = outbox.rows(RECENT).await;
    let row = |name: &str, state: &str, attempts, last_words: Option<&str>| RecentRow {
        recipient: format!("{name}@example.com"),
        state: state.to_owned(),
        attempts,
        last_words: last_words.map(str::to_owned),
        ..RecentRow::default()
    };
    let words = |number| format!("redirect_not_allowed: Words of number {number}.");
    let sent = RecentRow {
        delivery: Some("delivered".to_owned()),
        is_sent_soon: Some(true),
        seconds_to_delivered: Some(2.5),
        ..row("sent", "sent", 1, None)
    };
    let replaced = "newer_request: A newer request of this recipient took its place.";
    assert_eq!(
        recent,
        [
            row("queued", "queued", 0, None),
            row("queued", "superseded", 0, Some(replaced)),
            row("retrying", "retrying", 1, Some("upstream_away: It did not answer.")),
            row("failed-1", "failed", 1, Some(&words(1))),
            row("failed-0", "failed", 1, Some(&words(0))),
            sent,
        ]
    );

    let failures = "select code, state, jobs, last_at <= now(), last_message from email_failures_by_code";
    let failures: Vec<(String, String, i64, bool, String)> = outbox.rows(failures).await;
    let (code, state, message) = ("redirect_not_allowed", "failed", "Words of number 1.");
    assert_eq!(failures, [(code.to_owned(), state.to_owned(), 2, true, message.to_owned())]);
    outbox.expect_open_jobs(2);
}

/// A row of `email_jobs_now`.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
struct NowRow {
    state: String,
    code: Option<String>,
    jobs: i64,
    is_new: bool,
    is_due_later: Option<bool>,
}

const NOW: &str = "
    select state, code, jobs, oldest < '1 min' as is_new, next_try > now() as is_due_later from email_jobs_now";

/// A row of `email_jobs_recent`.
#[derive(Debug, Default, PartialEq, sqlx::FromRow)]
struct RecentRow {
    recipient: String,
    state: String,
    delivery: Option<String>,
    attempts: i16,
    last_words: Option<String>,
    /// Whether the mail was sent within a minute.
    is_sent_soon: Option<bool>,
    seconds_to_delivered: Option<f64>,
}

const RECENT: &str = "
    select recipient, state, delivery, attempts, last_words, seconds_to_sent < 60 as is_sent_soon,
      seconds_to_delivered::float8
    from email_jobs_recent";

/// A row of `email_delivery_by_domain`.
#[derive(Debug, Default, PartialEq, sqlx::FromRow)]
struct DomainRow {
    domain: String,
    sent: i64,
    delivered: i64,
    deferred: i64,
    bounced: i64,
    complained: i64,
    /// Whether both quantiles are between 3 and 30 s.
    is_plausible: Option<bool>,
}

const BY_DOMAIN: &str = "
    select domain, sent, delivered, deferred, bounced, complained,
      p50_seconds between 3 and 30 and p95_seconds between 3 and 30 as is_plausible
    from email_delivery_by_domain";

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

    // The newest rows are counted later, because an older transaction may still commit rows with earlier times.
    assert!(!outbox::roll_up(&outbox.pool).await.unwrap());
    assert_eq!(outbox.rows::<DomainRow>(BY_DOMAIN).await, []);
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
    assert_eq!(calls, 4, "each call counts the mails from at most one hour");
    let a = DomainRow { domain: "a.example".to_owned(), sent: 4, delivered: 4, complained: 1, ..DomainRow::default() };
    let b = DomainRow { domain: "b.example".to_owned(), sent: 2, bounced: 1, ..DomainRow::default() };
    let wanted = [DomainRow { is_plausible: Some(true), ..a }, b];
    assert_eq!(outbox.rows::<DomainRow>(BY_DOMAIN).await, wanted);
    outbox::roll_up(&outbox.pool).await.unwrap();
    assert_eq!(outbox.rows::<DomainRow>(BY_DOMAIN).await, wanted, "a mail was counted twice");
}

#[tokio::test]
async fn quantiles_are_interpolated_within_their_bucket() {
    let outbox = TestOutbox::new().await;
    for (counts, quantile, wanted) in [
        ("{0,0,0}", 0.5, None),
        ("{10,0,0}", 0.5, Some(0.5)),
        ("{0,10,0}", 0.5, Some(2.0)),
        ("{10,10,0}", 0.95, Some(2.8)),
        ("{0,0,5}", 0.5, Some(3.0)),
        ("{5,0,5}", 0.5, Some(1.0)),
    ] {
        let query = format!("select email_quantile('{{1,3}}', '{counts}', {quantile})::float8");
        assert_eq!(outbox.scalar::<Option<f64>>(&query).await, wanted, "{counts} {quantile}");
    }
}

#[tokio::test]
async fn the_views_do_not_read_the_whole_history() {
    let outbox = TestOutbox::new().await;
    let mut connection = outbox.viewer.acquire().await.unwrap();
    // Without these settings, Postgres would scan such small tables instead of using their indexes.
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
