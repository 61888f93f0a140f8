//! Delivery events that Mailgun reports are recorded on their jobs.

use std::time::Duration;

use sandbox::{FaultKind, Signing};
use tests::{Plan, TestSystem, eventually};

const KEY: &str = "a-webhook-signing-key";

/// A system whose Mailgun posts its events to the api, after 20 ms each.
async fn reporting(plan: Plan) -> TestSystem {
    let plan = plan.api("MAILGUN_WEBHOOK_SIGNING_KEY", KEY).api("MAILGUN_DOMAIN", "mg.example.com");
    let system = TestSystem::with(plan).await;
    system.mailgun.set_webhook_delay(Duration::from_millis(20));
    system.mailgun.set_webhook(&system.url("/api/webhooks/mailgun").await, KEY);
    system
}

#[tokio::test]
async fn every_delivery_event_is_recorded_on_its_job() {
    let system = reporting(Plan::default()).await;
    let table = [
        ("hello", "delivered"),
        ("deferred", "delivered"),
        ("bounce", "bounced"),
        ("full", "undelivered"),
        ("denied", "bounced"),
        ("blocked", "undelivered"),
        ("certificate", "undelivered"),
        ("old", "undelivered"),
        ("late", "undelivered"),
        ("suppressed", "suppressed"),
        ("complaint", "complained"),
    ];
    for (name, _) in table {
        assert_eq!(system.ask(&format!("{name}@example.com")).await.status, 200);
    }
    for (name, wanted) in table {
        let query =
            format!("select concat_ws(' ', state, delivery) from email_jobs where recipient = '{name}@example.com'");
        let seen = eventually(|| async {
            let seen = system.text(&query).await;
            if seen == format!("sent {wanted}") { Ok(()) } else { Err(seen) }
        });
        seen.await.unwrap_or_else(|seen| panic!("{name} is {seen:?} instead of sent {wanted:?}"));
    }
    let words = "select email_events.message from email_events join email_jobs on id = job_id where recipient = 'bounce@example.com'
                 and event = 'failed'";
    assert_eq!(system.text(words).await, "5.1.1 [address] Recipient address rejected: User unknown");
    let suppressed = "select string_agg(recipient || ' ' || reason, ', ' order by recipient) from suppressed_recipients where reason = 'bounce'";
    assert_eq!(system.text(suppressed).await, "bounce@example.com bounce, denied@example.com bounce");
}

#[tokio::test]
async fn a_unicode_domain_and_a_page_with_a_space_work_end_to_end() {
    let system = reporting(Plan::default()).await;
    let answer = system.ask_for("\u{feff}Info@Müller.example\u{200b}", "/files/My%20Report.pdf").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let mail = system.mailgun.wait_for_mail("info@xn--mller-kva.example", Duration::from_secs(10)).await.unwrap();
    let visit = system.supabase.verify(mail.link().unwrap()).await.unwrap();
    assert!(visit.signed_in());
    assert_eq!(visit.redirect_to, "https://example.com/auth/callback?next=%2Ffiles%2FMy%2520Report.pdf");
    system.until_delivery(&answer, "delivered").await;
}

#[tokio::test]
async fn a_webhook_refused_in_an_outage_is_accepted_when_it_is_repeated() {
    let system = reporting(Plan { own_server: true, ..Plan::default() }).await;
    system.mailgun.drop_webhooks(true);
    let answer = system.ask("hello@example.com").await;
    system.until_state(&answer, "sent").await;
    let delivered = system.mailgun.wait_for_webhooks(2).await.unwrap().remove(1);
    system.server.as_ref().unwrap().halt().await;
    assert_eq!(system.mailgun.redeliver(delivered.number, Signing::Anew).await.unwrap(), 503);

    system.server.as_ref().unwrap().resume().await.unwrap();
    eventually(|| async {
        // Repeat the same post. Its token was not stored, since its event was not recorded.
        match system.mailgun.redeliver(delivered.number, Signing::Same).await.unwrap() {
            200 => Ok(()),
            status => Err(status),
        }
    })
    .await
    .unwrap();
    assert_eq!(system.text("select delivery from email_jobs").await, "delivered");
    assert_eq!(system.mailgun.redeliver(delivered.number, Signing::Same).await.unwrap(), 200);
    assert_eq!(system.text("select count(*) from email_events").await, "1");
}

#[tokio::test]
async fn a_mail_that_mailgun_reports_is_not_repeated_although_its_answer_was_lost() {
    let system = reporting(Plan::default().worker("UPSTREAM_TIMEOUT", "1s")).await;
    system.mailgun.faults().add(FaultKind::HangAfter);
    let answer = system.ask("hello@example.com").await;
    system.until_state(&answer, "sent").await;

    assert_eq!(system.mailgun.journal().len(), 1, "the mail was not repeated");
    let job = "select concat_ws(' ', attempt, code, delivery, sealed_link is null) from email_jobs";
    assert_eq!(system.text(job).await, "2 delivered t");
    let steps = "select string_agg(step || ' ' || outcome, ', ' order by started_at) from email_attempts";
    assert_eq!(system.text(steps).await, "generate_link ok, send unknown");
}

#[tokio::test]
async fn a_suppressed_recipient_is_not_mailed_and_gets_the_usual_answer() {
    let system = reporting(Plan::default()).await;
    let first = system.ask("bounce@example.com").await;
    system.until_delivery(&first, "bounced").await;
    let calls = system.supabase.journal().len();

    let second = system.ask_for("bounce@example.com", "again").await;
    assert_eq!((second.status, &second.body), (first.status, &first.body), "both requests get the same answer");
    system.until_state(&second, "failed").await;
    let job =
        format!("select concat_ws(' ', code, attempt) from email_jobs where request_id = '{}'", second.request_id);
    assert_eq!(system.text(&job).await, "recipient_suppressed 0");

    // Once another recipient's mail is sent, it is certain that nothing was sent to the suppressed one.
    let other = system.ask("hello@example.com").await;
    system.until_state(&other, "sent").await;
    assert_eq!(system.supabase.journal().len(), calls + 1);
    assert_eq!(system.mailgun.mails().len(), 2);

    assert_eq!(system.text("select email_lift_suppression('bounce@example.com')").await, "true");
    let third = system.ask_for("bounce@example.com", "lifted").await;
    system.until_state(&third, "sent").await;
}

#[tokio::test]
async fn a_policy_rejection_suppresses_nobody_and_a_forged_recipient_changes_nothing() {
    let system = reporting(Plan::default().api("IP_RATE_LIMIT", "1000/1m").worker("MAILGUN_RATE", "1000/1s")).await;
    let asked: Vec<_> = (0..100).map(|n| format!("blocked+{n}@example.com")).collect();
    for address in &asked {
        assert_eq!(system.ask(address).await.status, 200);
    }
    let events = system.mailgun.wait_for_webhooks(200).await.unwrap();
    assert!(events.iter().all(|event| event.status() == Some(200)));
    assert_eq!(system.text("select count(*) from email_jobs where delivery = 'undelivered'").await, "100");

    // The signature is valid, because it does not cover the event: a bounce of somebody else's mailbox.
    let mut forged = events[0].event_data().clone();
    forged["id"] = "forged".into();
    forged["event"] = "failed".into();
    forged["severity"] = "permanent".into();
    forged["reason"] = "bounce".into();
    forged["delivery-status"] = serde_json::json!({"code": 550, "enhanced-code": "5.1.1", "message": "No such user"});
    forged["recipient"] = "victim@example.com".into();
    assert_eq!(system.mailgun.post_event(forged).await.unwrap(), 200);
    assert_eq!(system.text("select count(*) from email_events_unmatched where event_id = 'forged'").await, "1");
    assert_eq!(system.text("select count(*) from suppressed_recipients").await, "0");
}
