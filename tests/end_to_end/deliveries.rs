//! What became of a mail, as Mailgun reports it, on its job.

use std::time::Duration;

use sandbox::{FaultKind, Signing};
use tests::{House, Plan, eventually};

const KEY: &str = "a-webhook-signing-key";

/// A house whose Mailgun reports to its api, at once.
async fn reporting(plan: Plan) -> House {
    let plan = plan.api("MAILGUN_WEBHOOK_SIGNING_KEY", KEY).api("MAILGUN_DOMAIN", "mg.example.com");
    let house = House::of(plan).await;
    house.mailgun.set_webhook_delay(Duration::from_millis(20));
    house.mailgun.set_webhook(&house.url("/api/webhooks/mailgun").await, KEY);
    house
}

#[tokio::test]
async fn every_mails_fate_is_told_on_its_job() {
    let house = reporting(Plan::default()).await;
    let table = [
        ("hello", "delivered"),
        ("deferred", "delivered"),
        ("bounce", "bounced"),
        ("full", "undelivered"),
        ("blocked", "undelivered"),
        ("old", "undelivered"),
        ("suppressed", "suppressed"),
        ("complaint", "complained"),
    ];
    for (name, _) in table {
        assert_eq!(house.ask(&format!("{name}@example.com")).await.status, 200);
    }
    for (name, wanted) in table {
        let query =
            format!("select concat_ws(' ', state, delivery) from email_jobs where recipient = '{name}@example.com'");
        let told = eventually(|| async {
            let told = house.text(&query).await;
            if told == format!("sent {wanted}") { Ok(()) } else { Err(told) }
        });
        told.await.unwrap_or_else(|told| panic!("{name} is {told:?} instead of sent {wanted:?}"));
    }
    let words = "select email_events.message from email_events join email_jobs on id = job_id where recipient = 'bounce@example.com'
                 and event = 'failed'";
    assert_eq!(house.text(words).await, "5.1.1 [address] Recipient address rejected: User unknown");
}

#[tokio::test]
async fn a_report_that_met_an_outage_is_taken_when_it_comes_again() {
    let house = reporting(Plan { own_server: true, ..Plan::default() }).await;
    house.mailgun.drop_webhooks(true);
    let answer = house.ask("hello@example.com").await;
    house.until_state(&answer, "sent").await;
    let delivered = house.mailgun.wait_for_webhooks(2).await.unwrap().remove(1);
    house.server.as_ref().unwrap().halt().await;
    assert_eq!(house.mailgun.redeliver(delivered.number, Signing::Anew).await.unwrap(), 503);

    house.server.as_ref().unwrap().resume().await.unwrap();
    eventually(|| async {
        // The very same post: its token was not remembered, since what came with it was not told.
        match house.mailgun.redeliver(delivered.number, Signing::Same).await.unwrap() {
            200 => Ok(()),
            status => Err(status),
        }
    })
    .await
    .unwrap();
    assert_eq!(house.text("select delivery from email_jobs").await, "delivered");
    assert_eq!(house.mailgun.redeliver(delivered.number, Signing::Same).await.unwrap(), 200);
    assert_eq!(house.text("select count(*) from email_events").await, "1");
}

#[tokio::test]
async fn a_mail_that_mailgun_reports_is_not_mailed_again_although_its_answer_was_lost() {
    let house = reporting(Plan::default().worker("UPSTREAM_TIMEOUT", "1s")).await;
    house.mailgun.faults().add(FaultKind::HangAfter);
    let answer = house.ask("hello@example.com").await;
    house.until_state(&answer, "sent").await;

    assert_eq!(house.mailgun.journal().len(), 1, "no copy");
    let job = "select concat_ws(' ', attempt, code, delivery, sealed_link is null) from email_jobs";
    assert_eq!(house.text(job).await, "2 delivered t");
    let steps = "select string_agg(step || ' ' || outcome, ', ' order by started_at) from email_attempts";
    assert_eq!(house.text(steps).await, "generate_link ok, send unknown");
}
