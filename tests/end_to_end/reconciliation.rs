//! What Mailgun did not tell by itself, since its webhooks were lost, it is asked.

use std::time::Duration;

use sandbox::{CannedAnswer, Fault, FaultKind, Lasts, MailgunSettings, SuppressionList};
use tests::{Plan, TestSystem, eventually};

/// A house whose webhooks are lost, and which has a key to ask.
async fn deaf(plan: Plan) -> TestSystem {
    let plan = plan
        .api("MAILGUN_WEBHOOK_SIGNING_KEY", "a-key")
        .worker("MAILGUN_EVENTS_KEY", &MailgunSettings::default().events_key);
    let system = TestSystem::with(plan).await;
    system.mailgun.set_webhook_delay(Duration::ZERO);
    system.mailgun.set_webhook(&system.url("/api/webhooks/mailgun").await, "a-key");
    system.mailgun.drop_webhooks(true);
    system
}

/// As if all jobs had ended so much earlier.
async fn let_history_age(system: &TestSystem, minutes: u32) {
    system
        .execute(&format!(
            "update email_jobs set finished_at = finished_at - interval '{minutes} min' where finished_at < 'infinity';
             update email_reconciliations set ended_at = ended_at - interval '{minutes} min',
               next_ask_at = next_ask_at - interval '{minutes} min';
             update email_reconciler set enlisted_to = now() - interval '2 hours', held_until = now()"
        ))
        .await;
}

async fn until(system: &TestSystem, query: &str, wanted: &str) {
    let seen = eventually(|| async {
        let seen = system.text(query).await;
        if seen == wanted { Ok(()) } else { Err(seen) }
    });
    seen.await.unwrap_or_else(|seen| panic!("{seen:?} instead of {wanted:?}"));
}

#[tokio::test]
async fn lost_webhooks_are_made_up_for() {
    for api in ["events", "logs"] {
        let system = deaf(Plan::default().worker("MAILGUN_EVENTS_API", api)).await;
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
            assert_eq!(system.ask(&format!("{name}@example.com")).await.status, 200);
            wanted.push(format!("{name} {delivery}"));
        }
        system.until_idle().await;
        // What happens to all these mails has happened by then.
        system.mailgun.wait_for_webhooks(16).await.unwrap();
        assert_eq!(system.text("select count(*) from email_jobs where delivery is not null").await, "0");

        let_history_age(&system, 11).await;
        wanted.sort();
        let deliveries = "select string_agg(split_part(recipient, '@', 1) || ' ' || delivery, ', ' order by recipient)
                          from email_jobs";
        until(&system, deliveries, &wanted.join(", ")).await;
        until(&system, "select count(*) from email_reconciliations", "0").await;
        assert_eq!(system.text("select count(*) from suppressed_recipients").await, "3", "as webhooks would have");
        let path = if api == "logs" { "POST /v1/analytics/logs" } else { "GET /v3/mg.example.com/events" };
        assert!(system.mailgun.reads().iter().any(|read| read.request.starts_with(path)), "{api}");
    }
}

#[tokio::test]
async fn an_absence_counts_after_half_an_hour_and_is_taken_back() {
    let system = deaf(Plan::default()).await;
    system.mailgun.lag(true);
    let answer = system.ask("hello@example.com").await;
    system.until_state(&answer, "sent").await;
    system.mailgun.wait_for_webhooks(2).await.unwrap();

    let_history_age(&system, 11).await;
    until(&system, "select string_agg(asks::text, ',') from email_reconciliations", "1").await;
    assert_eq!(system.state(&answer).await, "sent", "too early to tell");
    let_history_age(&system, 21).await;
    until(&system, "select string_agg(asks::text, ',') from email_reconciliations", "2").await;
    assert_eq!(system.state(&answer).await, "sent no_trace");

    system.mailgun.lag(false);
    let_history_age(&system, 40).await;
    system.until_delivery(&answer, "delivered").await;
    assert_eq!(system.state(&answer).await, "sent");
}

#[tokio::test]
async fn a_job_that_ended_without_knowing_learns_what_became_of_its_mail() {
    let system = deaf(Plan::default().worker("UPSTREAM_TIMEOUT", "1s")).await;
    system.mailgun.faults().add(FaultKind::HangAfter);
    let answer = system.ask("hello@example.com").await;
    eventually(|| async {
        match system.text("select count(*) from email_attempts where outcome = 'unknown'").await.as_str() {
            "1" => Ok(()),
            seen => Err(seen.to_owned()),
        }
    })
    .await
    .unwrap();
    system.execute("update email_jobs_open set created_at = created_at - interval '1 h', deadline_at = now()").await;
    system.until_state(&answer, "expired").await;

    let_history_age(&system, 11).await;
    system.until_delivery(&answer, "delivered").await;
}

#[tokio::test]
async fn mailguns_patience_is_respected_and_a_wrong_key_is_told() {
    let system = deaf(Plan::default()).await;
    let answer = system.ask("hello@example.com").await;
    system.until_state(&answer, "sent").await;
    system.mailgun.wait_for_webhooks(2).await.unwrap();
    for (status, reason) in [(429, "Mailgun limits the rate of our queries"), (401, "Mailgun refuses the key")] {
        system.mailgun.read_faults().clear();
        let asked = system.mailgun.reads().len();
        let kind = FaultKind::Status(CannedAnswer { status, body: None, headers: Default::default() });
        system.mailgun.read_faults().add(Fault { kind, lasts: Lasts::Always, to: None });
        let_history_age(&system, 11).await;
        system.workers[0].wait_for_line(reason, Duration::from_secs(20)).await.unwrap();
        let paused = "select held_until > now() + interval '3 s' from email_reconciler where reason is not null";
        until(&system, paused, "true").await;
        assert_eq!(system.mailgun.reads().len(), asked + 1, "once, and then a pause");
    }
    system.mailgun.read_faults().clear();
    system.execute("update email_reconciler set held_until = now()").await;
    system.until_delivery(&answer, "delivered").await;
}

#[tokio::test]
async fn a_suppression_is_lifted_here_and_at_mailgun() {
    let system = deaf(Plan::default()).await;
    for name in ["bounce", "complaint"] {
        system.ask(&format!("{name}@example.com")).await;
    }
    system.until_idle().await;
    system.mailgun.wait_for_webhooks(5).await.unwrap();
    let_history_age(&system, 11).await;
    until(&system, "select count(*) from suppressed_recipients where listed", "2").await;

    // Somebody at Mailgun's console.
    system.mailgun.unsuppress(SuppressionList::Complaints, "complaint@example.com");
    system.execute("update suppressed_recipients set checked_at = now() - interval '11 min'").await;
    until(&system, "select string_agg(recipient, ',') from suppressed_recipients", "bounce@example.com").await;

    // An operator of ours.
    assert!(system.mailgun.is_suppressed(SuppressionList::Bounces, "bounce@example.com"));
    assert_eq!(system.text("select email_lift_suppression('bounce@example.com')").await, "true");
    until(&system, "select count(*) from suppression_lifts", "0").await;
    assert!(!system.mailgun.is_suppressed(SuppressionList::Bounces, "bounce@example.com"));
}
