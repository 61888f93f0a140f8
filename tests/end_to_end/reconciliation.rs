//! What Mailgun did not tell by itself, since its webhooks were lost, it is asked.

use std::time::Duration;

use sandbox::{CannedAnswer, Fault, FaultKind, Lasts, MailgunSettings, SuppressionList};
use tests::{House, Plan, eventually};

/// A house whose webhooks are lost, and which has a key to ask.
async fn deaf(plan: Plan) -> House {
    let plan = plan
        .api("MAILGUN_WEBHOOK_SIGNING_KEY", "a-key")
        .worker("MAILGUN_EVENTS_KEY", &MailgunSettings::default().events_key);
    let house = House::of(plan).await;
    house.mailgun.set_webhook_delay(Duration::ZERO);
    house.mailgun.set_webhook(&house.url("/api/webhooks/mailgun").await, "a-key");
    house.mailgun.drop_webhooks(true);
    house
}

/// As if all jobs had ended so much earlier.
async fn let_history_age(house: &House, minutes: u32) {
    house
        .execute(&format!(
            "update email_jobs set finished_at = finished_at - interval '{minutes} min' where finished_at < 'infinity';
             update email_reconciliations set ended_at = ended_at - interval '{minutes} min',
               next_ask_at = next_ask_at - interval '{minutes} min';
             update email_reconciler set enlisted_to = now() - interval '2 hours', held_until = now()"
        ))
        .await;
}

async fn until(house: &House, query: &str, wanted: &str) {
    let seen = eventually(|| async {
        let seen = house.text(query).await;
        if seen == wanted { Ok(()) } else { Err(seen) }
    });
    seen.await.unwrap_or_else(|seen| panic!("{seen:?} instead of {wanted:?}"));
}

#[tokio::test]
async fn lost_webhooks_are_made_up_for() {
    for api in ["events", "logs"] {
        let house = deaf(Plan::default().worker("MAILGUN_EVENTS_API", api)).await;
        let mut wanted = Vec::new();
        for (name, delivery) in [
            ("hello", "delivered"),
            ("deferred", "delivered"),
            ("bounce", "bounced"),
            ("full", "undelivered"),
            ("old", "undelivered"),
            ("suppressed", "suppressed"),
            ("complaint", "complained"),
        ] {
            assert_eq!(house.ask(&format!("{name}@example.com")).await.status, 200);
            wanted.push(format!("{name} {delivery}"));
        }
        house.until_idle().await;
        // What happens to all these mails has happened by then.
        house.mailgun.wait_for_webhooks(16).await.unwrap();
        assert_eq!(house.text("select count(*) from email_jobs where delivery is not null").await, "0");

        let_history_age(&house, 11).await;
        wanted.sort();
        let deliveries = "select string_agg(split_part(recipient, '@', 1) || ' ' || delivery, ', ' order by recipient)
                          from email_jobs";
        until(&house, deliveries, &wanted.join(", ")).await;
        until(&house, "select count(*) from email_reconciliations", "0").await;
        assert_eq!(house.text("select count(*) from suppressed_recipients").await, "3", "as webhooks would have");
        let path = if api == "logs" { "POST /v1/analytics/logs" } else { "GET /v3/mg.example.com/events" };
        assert!(house.mailgun.reads().iter().any(|read| read.request.starts_with(path)), "{api}");
    }
}

#[tokio::test]
async fn an_absence_counts_after_half_an_hour_and_is_taken_back() {
    let house = deaf(Plan::default()).await;
    house.mailgun.lag(true);
    let answer = house.ask("hello@example.com").await;
    house.until_state(&answer, "sent").await;
    house.mailgun.wait_for_webhooks(2).await.unwrap();

    let_history_age(&house, 11).await;
    until(&house, "select string_agg(asks::text, ',') from email_reconciliations", "1").await;
    assert_eq!(house.state(&answer).await, "sent", "too early to tell");
    let_history_age(&house, 21).await;
    until(&house, "select string_agg(asks::text, ',') from email_reconciliations", "2").await;
    assert_eq!(house.state(&answer).await, "sent no_trace");

    house.mailgun.lag(false);
    let_history_age(&house, 40).await;
    house.until_delivery(&answer, "delivered").await;
    assert_eq!(house.state(&answer).await, "sent");
}

#[tokio::test]
async fn a_job_that_ended_without_knowing_learns_what_became_of_its_mail() {
    let house = deaf(Plan::default().worker("UPSTREAM_TIMEOUT", "1s")).await;
    house.mailgun.faults().add(FaultKind::HangAfter);
    let answer = house.ask("hello@example.com").await;
    eventually(|| async {
        match house.text("select count(*) from email_attempts where outcome = 'unknown'").await.as_str() {
            "1" => Ok(()),
            seen => Err(seen.to_owned()),
        }
    })
    .await
    .unwrap();
    house.execute("update email_jobs_open set created_at = created_at - interval '1 h', deadline_at = now()").await;
    house.until_state(&answer, "expired").await;

    let_history_age(&house, 11).await;
    house.until_delivery(&answer, "delivered").await;
}

#[tokio::test]
async fn mailguns_patience_is_respected_and_a_wrong_key_is_told() {
    let house = deaf(Plan::default()).await;
    let answer = house.ask("hello@example.com").await;
    house.until_state(&answer, "sent").await;
    house.mailgun.wait_for_webhooks(2).await.unwrap();
    for (status, reason) in [(429, "Mailgun asked for patience"), (401, "Mailgun refuses the key")] {
        house.mailgun.read_faults().clear();
        let asked = house.mailgun.reads().len();
        let kind = FaultKind::Status(CannedAnswer { status, body: None, headers: Default::default() });
        house.mailgun.read_faults().add(Fault { kind, lasts: Lasts::Always, to: None });
        let_history_age(&house, 11).await;
        house.workers[0].wait_for_line(reason, Duration::from_secs(20)).await.unwrap();
        let paused = "select held_until > now() + interval '3 s' from email_reconciler where reason is not null";
        until(&house, paused, "true").await;
        assert_eq!(house.mailgun.reads().len(), asked + 1, "once, and then a pause");
    }
    house.mailgun.read_faults().clear();
    house.execute("update email_reconciler set held_until = now()").await;
    house.until_delivery(&answer, "delivered").await;
}

#[tokio::test]
async fn a_suppression_is_lifted_here_and_at_mailgun() {
    let house = deaf(Plan::default()).await;
    for name in ["bounce", "complaint"] {
        house.ask(&format!("{name}@example.com")).await;
    }
    house.until_idle().await;
    house.mailgun.wait_for_webhooks(5).await.unwrap();
    let_history_age(&house, 11).await;
    until(&house, "select count(*) from suppressed_recipients where listed", "2").await;

    // Somebody at Mailgun's console.
    house.mailgun.unsuppress(SuppressionList::Complaints, "complaint@example.com");
    house.execute("update suppressed_recipients set checked_at = now() - interval '11 min'").await;
    until(&house, "select string_agg(recipient, ',') from suppressed_recipients", "bounce@example.com").await;

    // An operator of ours.
    assert!(house.mailgun.is_suppressed(SuppressionList::Bounces, "bounce@example.com"));
    assert_eq!(house.text("select email_lift_suppression('bounce@example.com')").await, "true");
    until(&house, "select count(*) from suppression_lifts", "0").await;
    assert!(!house.mailgun.is_suppressed(SuppressionList::Bounces, "bounce@example.com"));
}
