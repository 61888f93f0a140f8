//! Delivery events that Mailgun reports are recorded on their jobs.

use std::{collections::HashMap, time::Duration};

use sandbox::{FaultKind, Signing, StepRow, eventually};
use tests::{Plan, TestSystem};

const KEY: &str = "a-webhook-signing-key";

/// Starts a system whose Mailgun stand-in posts each event to the api after 20 ms.
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
    let mut asked = HashMap::new();
    for (name, _) in table {
        let answer = system.ask(&format!("{name}@example.com")).await;
        assert_eq!(answer.status, 200);
        asked.insert(name, answer);
    }
    for (name, wanted) in table {
        system.until_state(&asked[name], "sent").await;
        system.until_delivery(&asked[name], wanted).await;
    }
    let words = "select email_events.message from email_events join email_jobs on id = job_id where recipient = 'bounce@example.com'
                 and event = 'failed'";
    assert_eq!(system.scalar::<String>(words).await, "5.1.1 [address] Recipient address rejected: User unknown");
    let bounced = "select recipient from suppressed_recipients where reason = 'bounce' order by recipient";
    let bounced: Vec<(String,)> = system.rows(bounced).await;
    assert_eq!(bounced, [("bounce@example.com".to_owned(),), ("denied@example.com".to_owned(),)]);
    system.finish().await;
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
    system.finish().await;
}

#[tokio::test]
async fn a_webhook_refused_during_an_outage_is_accepted_when_mailgun_repeats_it() {
    let system = reporting(Plan { own_server: true, ..Plan::default() }).await;
    system.mailgun.drop_webhooks(true);
    let answer = system.ask("hello@example.com").await;
    system.until_state(&answer, "sent").await;
    let delivered = system.mailgun.wait_for_webhooks(2).await.unwrap().remove(1);
    system.server.as_ref().unwrap().halt().await;
    assert_eq!(system.mailgun.redeliver(delivered.number, Signing::New).await.unwrap(), 503);

    system.server.as_ref().unwrap().resume().await.unwrap();
    eventually("the api to accept the webhook", async || {
        // Send the webhook again with the same token, which was not stored because the event was not recorded.
        match system.mailgun.redeliver(delivered.number, Signing::Same).await.unwrap() {
            200 => Ok(()),
            status => Err(status),
        }
    })
    .await;
    assert_eq!(system.only_job().await.delivery.as_deref(), Some("delivered"));
    assert_eq!(system.mailgun.redeliver(delivered.number, Signing::Same).await.unwrap(), 200);
    assert_eq!(system.scalar::<i64>("select count(*) from email_events").await, 1);
    system.finish().await;
}

#[tokio::test]
async fn a_mail_that_a_webhook_reports_is_not_repeated_although_mailguns_response_was_lost() {
    let system = reporting(Plan::default().worker("UPSTREAM_TIMEOUT", "1s")).await;
    system.mailgun.faults().add(FaultKind::HangAfter);
    let answer = system.ask("hello@example.com").await;
    let job = system.until_state(&answer, "sent").await;

    assert_eq!(system.mailgun.journal().len(), 1, "the mail was not repeated");
    assert_eq!((job.attempt, job.code, job.has_link), (2, None, false));
    assert_eq!(job.delivery.as_deref(), Some("delivered"));
    let steps = system.steps().await;
    assert_eq!(steps.iter().map(StepRow::result).collect::<Vec<_>>(), [("generate_link", "ok"), ("send", "unknown")]);
    system.finish().await;
}

#[tokio::test]
async fn a_suppressed_recipient_is_not_mailed_and_gets_the_usual_response() {
    let system = reporting(Plan::default()).await;
    let first = system.ask("bounce@example.com").await;
    system.until_delivery(&first, "bounced").await;
    let calls = system.supabase.journal().len();

    let second = system.ask_for("bounce@example.com", "again").await;
    assert_eq!((second.status, &second.body), (first.status, &first.body), "both requests get the same response");
    let job = system.until_state(&second, "failed").await;
    assert_eq!((job.code.as_deref(), job.attempt), (Some("recipient_suppressed"), 0));

    // Once another recipient's mail is sent, it is certain that nothing was sent to the suppressed recipient.
    let other = system.ask("hello@example.com").await;
    system.until_state(&other, "sent").await;
    assert_eq!(system.supabase.journal().len(), calls + 1);
    assert_eq!(system.mailgun.mails().len(), 2);

    assert!(system.scalar::<bool>("select email_lift_suppression('bounce@example.com')").await);
    let third = system.ask_for("bounce@example.com", "lifted").await;
    system.until_state(&third, "sent").await;
    system.finish().await;
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
    assert_eq!(system.scalar::<i64>("select count(*) from email_jobs where delivery = 'undelivered'").await, 100);

    // Replace the event with a forged bounce for another person's address. The signature is still valid, because it
    // does not cover the event.
    let mut forged = events[0].event_data().clone();
    forged["id"] = "forged".into();
    forged["event"] = "failed".into();
    forged["severity"] = "permanent".into();
    forged["reason"] = "bounce".into();
    forged["delivery-status"] = serde_json::json!({"code": 550, "enhanced-code": "5.1.1", "message": "No such user"});
    forged["recipient"] = "victim@example.com".into();
    assert_eq!(system.mailgun.post_event(forged).await.unwrap(), 200);
    assert_eq!(system.scalar::<i64>("select count(*) from email_events_unmatched where event_id = 'forged'").await, 1);
    assert_eq!(system.scalar::<i64>("select count(*) from suppressed_recipients").await, 0);
    system.finish().await;
}
