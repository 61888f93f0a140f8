//! What operators look at.

use std::time::Duration;

use outbox::{End, Failure};

use crate::test_outbox::{TestOutbox, request, request_for};

#[tokio::test]
async fn the_views_tell_what_waits_what_happened_and_what_failed() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("sent@example.com")).await;
    let sent = outbox.claim_one().await;
    outbox.seal(&sent).await;
    outbox::finish(&outbox.pool, sent.lease, &End::Sent, None).await.unwrap();
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
        outbox::finish(&outbox.pool, failed.lease, &End::Failed(why), None).await.unwrap();
    }
    outbox.queued(request("retrying@example.com")).await;
    outbox.put_back(&outbox.claim_one().await, Duration::from_secs(60)).await;
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

/// However long the history: none of the views sorts it or reads it all.
#[tokio::test]
async fn the_views_read_no_more_than_they_show() {
    let outbox = TestOutbox::new().await;
    let mut connection = outbox.pool.acquire().await.unwrap();
    // Tables this small would be read whole all the same.
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
