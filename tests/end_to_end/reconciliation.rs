//! The worker requests events from Mailgun for mails whose webhooks were lost.

use std::{fmt::Debug, time::Duration};

use sandbox::{CannedAnswer, Fault, FaultKind, Lasts, MailgunSettings, SuppressionList, eventually};
use sqlx::{FromRow, postgres::PgRow};
use tests::{Plan, TestSystem};

/// Starts a system in which all webhooks are lost. The worker has a key for reading Mailgun's events.
async fn with_lost_webhooks(plan: Plan) -> TestSystem {
    let plan = plan
        .api("MAILGUN_WEBHOOK_SIGNING_KEY", "a-key")
        .worker("MAILGUN_EVENTS_KEY", &MailgunSettings::default().events_key);
    let system = TestSystem::with(plan).await;
    system.mailgun.set_webhook_delay(Duration::ZERO);
    system.mailgun.set_webhook(&system.url("/api/webhooks/mailgun").await, "a-key");
    system.mailgun.drop_webhooks(true);
    system
}

/// Makes all jobs look as if they had ended `minutes` earlier, and brings the reconciler's next steps forward to match.
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

/// Waits until `query` returns the rows in `wanted`.
async fn until_rows<Row>(system: &TestSystem, query: &str, wanted: &[Row])
where
    Row: for<'r> FromRow<'r, PgRow> + Debug + PartialEq + Send + Unpin,
{
    eventually(&format!("{wanted:?} from {query}"), async || {
        let seen: Vec<Row> = system.rows(query).await;
        if seen == wanted { Ok(()) } else { Err(seen) }
    })
    .await;
}

async fn until_count(system: &TestSystem, table: &str, wanted: i64) {
    until_rows(system, &format!("select count(*) from {table}"), &[(wanted,)]).await;
}

/// Waits until the worker has made `times` requests for events of the only mail that is being reconciled.
async fn until_asked(system: &TestSystem, times: i16) {
    until_rows(system, "select asks from email_reconciliations", &[(times,)]).await;
}

#[tokio::test]
async fn events_of_lost_webhooks_are_fetched_from_mailgun() {
    for api in ["events", "logs"] {
        let system = with_lost_webhooks(Plan::default().worker("MAILGUN_EVENTS_API", api)).await;
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
            wanted.push((format!("{name}@example.com"), Some(delivery.to_owned())));
        }
        system.until_idle().await;
        // Wait until Mailgun has all events for these mails.
        system.mailgun.wait_for_webhooks(16).await.unwrap();
        assert_eq!(system.scalar::<i64>("select count(*) from email_jobs where delivery is not null").await, 0);

        let_history_age(&system, 11).await;
        wanted.sort();
        until_rows(&system, "select recipient, delivery from email_jobs order by recipient", &wanted).await;
        until_count(&system, "email_reconciliations", 0).await;
        assert_eq!(
            system.scalar::<i64>("select count(*) from suppressed_recipients").await,
            3,
            "as many suppressions as if the webhooks had arrived"
        );
        let path = if api == "logs" { "POST /v1/analytics/logs" } else { "GET /v3/mg.example.com/events" };
        assert!(system.mailgun.reads().iter().any(|read| read.request.starts_with(path)), "{api}");
        system.finish().await;
    }
}

#[tokio::test]
async fn a_mail_without_events_is_marked_no_trace_until_an_event_appears() {
    let system = with_lost_webhooks(Plan::default()).await;
    system.mailgun.lag(true);
    let answer = system.ask("hello@example.com").await;
    system.until_state(&answer, "sent").await;
    system.mailgun.wait_for_webhooks(2).await.unwrap();

    let_history_age(&system, 11).await;
    until_asked(&system, 1).await;
    assert_eq!(system.job(&answer).await.state_and_code(), ("sent", None), "it is too early for `no_trace`");
    let_history_age(&system, 21).await;
    until_asked(&system, 2).await;
    assert_eq!(system.job(&answer).await.state_and_code(), ("sent", Some("no_trace")));

    system.mailgun.lag(false);
    let_history_age(&system, 40).await;
    assert_eq!(system.until_delivery(&answer, "delivered").await.state_and_code(), ("sent", None));
    system.finish().await;
}

#[tokio::test]
async fn if_a_job_expires_after_a_send_with_an_unknown_outcome_its_delivery_is_recorded() {
    let system = with_lost_webhooks(Plan::default().worker("UPSTREAM_TIMEOUT", "1s")).await;
    system.mailgun.faults().add(FaultKind::HangAfter);
    let answer = system.ask("hello@example.com").await;
    eventually("the unknown outcome", async || {
        let steps = system.steps().await;
        if steps.iter().any(|step| step.outcome == "unknown") { Ok(()) } else { Err(steps) }
    })
    .await;
    system.execute("update email_jobs_open set created_at = created_at - interval '1 h', deadline_at = now()").await;
    system.until_state(&answer, "expired").await;

    let_history_age(&system, 11).await;
    system.until_delivery(&answer, "delivered").await;
    system.finish().await;
}

#[tokio::test]
async fn a_rate_limit_and_a_wrong_key_pause_the_reconciler_with_a_reason() {
    let system = with_lost_webhooks(Plan::default()).await;
    let answer = system.ask("hello@example.com").await;
    system.until_state(&answer, "sent").await;
    system.mailgun.wait_for_webhooks(2).await.unwrap();
    for (status, reason) in [(429, "Mailgun is rate-limiting our queries"), (401, "Mailgun refuses the key")] {
        system.mailgun.read_faults().clear();
        let asked = system.mailgun.reads().len();
        let kind = FaultKind::Status(CannedAnswer { status, body: None, headers: Default::default() });
        system.mailgun.read_faults().add(Fault { kind, lasts: Lasts::Always, to: None });
        let_history_age(&system, 11).await;
        system.workers[0].wait_for_line(reason, Duration::from_secs(20)).await.unwrap();
        let paused = "select held_until > now() + interval '3 s' from email_reconciler where reason is not null";
        until_rows(&system, paused, &[(true,)]).await;
        assert_eq!(system.mailgun.reads().len(), asked + 1, "the worker makes one call and then pauses");
    }
    system.mailgun.read_faults().clear();
    system.execute("update email_reconciler set held_until = now()").await;
    system.until_delivery(&answer, "delivered").await;
    system.finish().await;
}

#[tokio::test]
async fn a_suppression_lifted_in_mailgun_or_in_the_outbox_is_lifted_in_both() {
    let system = with_lost_webhooks(Plan::default()).await;
    for name in ["bounce", "complaint"] {
        system.ask(&format!("{name}@example.com")).await;
    }
    system.until_idle().await;
    system.mailgun.wait_for_webhooks(5).await.unwrap();
    let_history_age(&system, 11).await;
    until_count(&system, "suppressed_recipients where listed", 2).await;

    // An entry is removed in Mailgun, for example in its console.
    system.mailgun.unsuppress(SuppressionList::Complaints, "complaint@example.com");
    system.execute("update suppressed_recipients set checked_at = now() - interval '11 min'").await;
    until_rows(&system, "select recipient from suppressed_recipients", &[("bounce@example.com".to_owned(),)]).await;

    // An operator lifts a suppression with SQL.
    assert!(system.mailgun.is_suppressed(SuppressionList::Bounces, "bounce@example.com"));
    assert!(system.scalar::<bool>("select email_lift_suppression('bounce@example.com')").await);
    until_count(&system, "suppression_lifts", 0).await;
    assert!(!system.mailgun.is_suppressed(SuppressionList::Bounces, "bounce@example.com"));
    system.finish().await;
}
