//! What became of a mail, as Mailgun reports it, on its job.

use std::time::Duration;

use sandbox::{FaultKind, Signing};
use tests::{Plan, TestSystem, eventually};

const KEY: &str = "a-webhook-signing-key";

/// A house whose Mailgun reports to its api, at once.
async fn reporting(plan: Plan) -> TestSystem {
    let plan = plan.api("MAILGUN_WEBHOOK_SIGNING_KEY", KEY).api("MAILGUN_DOMAIN", "mg.example.com");
    let system = TestSystem::with(plan).await;
    system.mailgun.set_webhook_delay(Duration::from_millis(20));
    system.mailgun.set_webhook(&system.url("/api/webhooks/mailgun").await, KEY);
    system
}

#[tokio::test]
async fn every_mails_fate_is_told_on_its_job() {
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
        let told = eventually(|| async {
            let told = system.text(&query).await;
            if told == format!("sent {wanted}") { Ok(()) } else { Err(told) }
        });
        told.await.unwrap_or_else(|told| panic!("{name} is {told:?} instead of sent {wanted:?}"));
    }
    let words = "select email_events.message from email_events join email_jobs on id = job_id where recipient = 'bounce@example.com'
                 and event = 'failed'";
    assert_eq!(system.text(words).await, "5.1.1 [address] Recipient address rejected: User unknown");
    let suppressed = "select string_agg(recipient || ' ' || reason, ', ' order by recipient) from suppressed_recipients where reason = 'bounce'";
    assert_eq!(system.text(suppressed).await, "bounce@example.com bounce, denied@example.com bounce");
}

#[tokio::test]
async fn a_domain_of_another_script_and_a_page_with_a_space_get_through() {
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
async fn a_report_that_met_an_outage_is_taken_when_it_comes_again() {
    let system = reporting(Plan { own_server: true, ..Plan::default() }).await;
    system.mailgun.drop_webhooks(true);
    let answer = system.ask("hello@example.com").await;
    system.until_state(&answer, "sent").await;
    let delivered = system.mailgun.wait_for_webhooks(2).await.unwrap().remove(1);
    system.server.as_ref().unwrap().halt().await;
    assert_eq!(system.mailgun.redeliver(delivered.number, Signing::Anew).await.unwrap(), 503);

    system.server.as_ref().unwrap().resume().await.unwrap();
    eventually(|| async {
        // The very same post: its token was not remembered, since what came with it was not told.
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
async fn a_mail_that_mailgun_reports_is_not_mailed_again_although_its_answer_was_lost() {
    let system = reporting(Plan::default().worker("UPSTREAM_TIMEOUT", "1s")).await;
    system.mailgun.faults().add(FaultKind::HangAfter);
    let answer = system.ask("hello@example.com").await;
    system.until_state(&answer, "sent").await;

    assert_eq!(system.mailgun.journal().len(), 1, "no copy");
    let job = "select concat_ws(' ', attempt, code, delivery, sealed_link is null) from email_jobs";
    assert_eq!(system.text(job).await, "2 delivered t");
    let steps = "select string_agg(step || ' ' || outcome, ', ' order by started_at) from email_attempts";
    assert_eq!(system.text(steps).await, "generate_link ok, send unknown");
}

#[tokio::test]
async fn a_mailbox_that_is_not_there_is_not_mailed_again_and_its_owner_learns_nothing_new() {
    let system = reporting(Plan::default()).await;
    let first = system.ask("bounce@example.com").await;
    system.until_delivery(&first, "bounced").await;
    let calls = system.supabase.journal().len();

    let second = system.ask_for("bounce@example.com", "again").await;
    assert_eq!((second.status, &second.body), (first.status, &first.body), "the same answer");
    system.until_state(&second, "failed").await;
    let job =
        format!("select concat_ws(' ', code, attempt) from email_jobs where request_id = '{}'", second.request_id);
    assert_eq!(system.text(&job).await, "recipient_suppressed 0");

    // Everybody else is mailed, and by then nobody has been called for the suppressed one.
    let other = system.ask("hello@example.com").await;
    system.until_state(&other, "sent").await;
    assert_eq!(system.supabase.journal().len(), calls + 1);
    assert_eq!(system.mailgun.mails().len(), 2);

    assert_eq!(system.text("select email_lift_suppression('bounce@example.com')").await, "true");
    let third = system.ask_for("bounce@example.com", "lifted").await;
    system.until_state(&third, "sent").await;
}

#[tokio::test]
async fn a_policy_against_us_suppresses_nobody_and_a_forged_recipient_changes_nothing() {
    let system = reporting(Plan::default().api("IP_RATE_LIMIT", "1000/1m").worker("MAILGUN_RATE", "1000/1s")).await;
    let asked: Vec<_> = (0..100).map(|n| format!("blocked+{n}@example.com")).collect();
    for address in &asked {
        assert_eq!(system.ask(address).await.status, 200);
    }
    let events = system.mailgun.wait_for_webhooks(200).await.unwrap();
    assert!(events.iter().all(|event| event.status() == Some(200)));
    assert_eq!(system.text("select count(*) from email_jobs where delivery = 'undelivered'").await, "100");

    // Signed as it should be, since the signature does not cover it: a bounce of somebody else's mailbox.
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
