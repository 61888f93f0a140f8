//! Tests of the webhooks that the stand-in for Mailgun posts, as a receiver gets them.

use crate::{
    mailgun::{mail, mailgun, send},
    receiver::Receiver,
};
use sandbox::{Mailgun, SentWebhook, Signing, WebhookError, client};
use serde_json::{Value, json};
use std::time::Duration;

const KEY: &str = "key-of-the-tests";

async fn with_webhook() -> (Mailgun, Receiver) {
    let (mailgun, receiver) = (mailgun().await, Receiver::start().await);
    mailgun.set_webhook(receiver.url(), KEY);
    mailgun.set_webhook_delay(Duration::ZERO);
    (mailgun, receiver)
}

async fn mail_to(mailgun: &Mailgun, address: &str) {
    assert_eq!(send(mailgun, &mail(&[("to", address)])).await.unwrap().0, 200);
}

fn token(body: &Value) -> &str {
    body["signature"]["token"].as_str().unwrap()
}

fn names(events: &[SentWebhook]) -> Vec<&str> {
    events.iter().map(|event| event.event.as_str()).collect()
}

#[tokio::test]
async fn each_event_is_signed_and_identifies_its_mail() {
    let (mailgun, receiver) = with_webhook().await;
    let changes = [
        ("to", "Ada <ada@example.com>"),
        ("h:Message-Id", "<job-1@mg.example.com>"),
        ("v:job_id", "1"),
        ("o:tag", "sign-in"),
    ];
    send(&mailgun, &mail(&changes)).await.unwrap();
    let events = mailgun.wait_for_webhooks(2).await.unwrap();
    assert_eq!(names(&events), ["accepted", "delivered"]);
    assert_ne!(events[0].id, events[1].id);
    for (event, body) in events.iter().zip(receiver.bodies()) {
        assert_eq!((event.status(), event.mail, &event.body), (Some(200), 0, &body));
        assert_eq!(token(&body).len(), 50);
        assert!(Receiver::is_signed(&body, KEY), "{body}");
        assert!(!Receiver::is_signed(&body, "another key"));
        let data = event.event_data();
        assert_eq!(data["message"]["headers"]["message-id"], "job-1@mg.example.com");
        assert_eq!((&data["recipient"], &data["recipient-domain"]), (&json!("ada@example.com"), &json!("example.com")));
        assert_eq!((&data["user-variables"], &data["tags"]), (&json!({"job_id": "1"}), &json!(["sign-in"])));
        assert!(data["timestamp"].is_f64());
    }
}

#[tokio::test]
async fn the_local_part_of_the_recipient_selects_the_events() {
    let user_unknown = "5.1.1 <bounce+1@example.com>: Recipient address rejected: User unknown";
    for (name, expected) in [
        ("ada", vec![json!(["delivered", null, null, 250, null])]),
        ("bouncer", vec![json!(["delivered", null, null, 250, null])]),
        ("bounce+1", vec![json!(["failed", "permanent", "bounce", 550, "5.1.1"])]),
        ("full", vec![json!(["failed", "permanent", "bounce", 552, "5.2.2"])]),
        ("denied", vec![json!(["failed", "permanent", "bounce", 550, "5.4.1"])]),
        ("blocked", vec![json!(["failed", "permanent", "bounce", 550, "5.7.1"])]),
        ("certificate", vec![json!(["failed", "permanent", "generic", null, null])]),
        ("suppressed", vec![json!(["failed", "permanent", "suppress-bounce", 605, null])]),
        ("old", vec![json!(["failed", "permanent", "old", null, null])]),
        ("late", vec![json!(["failed", "temporary", "old", 602, null])]),
        (
            "deferred",
            vec![json!(["failed", "temporary", "generic", 451, "4.7.1"]), json!(["delivered", null, null, 250, null])],
        ),
        ("complaint", vec![json!(["delivered", null, null, 250, null]), json!(["complained", null, null, null, null])]),
    ] {
        let (mailgun, _receiver) = with_webhook().await;
        mail_to(&mailgun, &format!("{name}@example.com")).await;
        let events = mailgun.wait_for_webhooks(1 + expected.len()).await.unwrap();
        assert_eq!(events[0].event, "accepted", "{name}");
        let actual = events[1..].iter().map(SentWebhook::event_data).map(|data| {
            let status = &data["delivery-status"];
            json!([data["event"], data["severity"], data["reason"], status["code"], status["enhanced-code"]])
        });
        assert_eq!(actual.collect::<Vec<_>>(), expected, "{name}");
        if name == "bounce+1" {
            assert_eq!(events[1].event_data()["delivery-status"]["message"], user_unknown);
        }
    }
}

#[tokio::test]
async fn a_failed_post_is_retried_with_a_new_token() {
    let (mailgun, receiver) = with_webhook().await;
    receiver.answer_next([500]);
    mail_to(&mailgun, "ada@example.com").await;
    let events = mailgun.wait_for_webhooks(2).await.unwrap();
    assert_eq!(events[0].answers, [Some(500), Some(200)]);
    assert_eq!(events[1].answers, [Some(200)]);
    let bodies = receiver.bodies();
    let posts: Vec<&Value> = bodies.iter().filter(|body| body["event-data"] == *events[0].event_data()).collect();
    assert_eq!(posts.len(), 2);
    assert_ne!(token(posts[0]), token(posts[1]));
    assert!(posts.iter().all(|body| Receiver::is_signed(body, KEY)));
}

#[tokio::test]
async fn an_event_is_abandoned_after_three_retries() {
    let (mailgun, receiver) = with_webhook().await;
    receiver.answer_next([503; 8]);
    mail_to(&mailgun, "ada@example.com").await;
    let events = mailgun.wait_for_webhooks(2).await.unwrap();
    assert_eq!([&events[0].answers, &events[1].answers], [&vec![Some(503); 4]; 2]);
}

#[tokio::test]
async fn a_406_is_not_retried() {
    let (mailgun, receiver) = with_webhook().await;
    receiver.answer_next([406, 406]);
    mail_to(&mailgun, "ada@example.com").await;
    let events = mailgun.wait_for_webhooks(2).await.unwrap();
    assert!(events.iter().all(|event| event.answers == [Some(406)]), "{events:#?}");
}

#[tokio::test]
async fn mails_from_before_the_webhook_was_set_have_no_events() {
    let mailgun = mailgun().await;
    let receiver = Receiver::start().await;
    mail_to(&mailgun, "ada@example.com").await;
    assert!(matches!(mailgun.post_event(json!({})).await, Err(WebhookError::NotSet)));
    mailgun.set_webhook(receiver.url(), KEY);
    mail_to(&mailgun, "bob@example.com").await;
    let events = mailgun.wait_for_webhooks(2).await.unwrap();
    assert!(events.iter().all(|event| event.mail == 1), "{events:#?}");
    assert_eq!((events.len(), receiver.bodies().len()), (2, 2));
}

#[tokio::test]
async fn dropped_events_can_be_posted_late_and_twice() {
    let (mailgun, receiver) = with_webhook().await;
    mailgun.drop_webhooks(true);
    mail_to(&mailgun, "bounce@example.com").await;
    let events = mailgun.wait_for_webhooks(2).await.unwrap();
    assert_eq!((names(&events), events[1].status()), (vec!["accepted", "failed"], None));
    assert!(receiver.bodies().is_empty());

    for signing in [Signing::Same, Signing::Same, Signing::New] {
        assert_eq!(mailgun.redeliver(1, signing).await.unwrap(), 200);
    }
    let bodies = receiver.bodies();
    assert_eq!(bodies[0], events[1].body);
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(bodies[1]["event-data"], bodies[2]["event-data"]);
    assert_ne!(token(&bodies[1]), token(&bodies[2]));
    assert_eq!(mailgun.webhooks()[1].answers, [Some(200); 3]);
    assert!(matches!(mailgun.redeliver(2, Signing::Same).await, Err(WebhookError::NoSuchEvent(2))));

    // Nothing listens on port 1.
    mailgun.set_webhook("http://127.0.0.1:1/", KEY);
    assert!(matches!(mailgun.redeliver(0, Signing::New).await, Err(WebhookError::NoAnswer(_))));
    assert_eq!(mailgun.webhooks()[0].answers, [None]);
}

#[tokio::test]
async fn a_made_up_event_is_signed_with_the_current_key() {
    let (mailgun, receiver) = with_webhook().await;
    receiver.answer_next([200, 401]);
    let event = json!({"event": "delivered", "message": {"headers": {"message-id": "stranger@mg.example.com"}}});
    assert_eq!(mailgun.post_event(event.clone()).await.unwrap(), 200);
    mailgun.set_webhook(receiver.url(), "forged");
    assert_eq!(mailgun.post_event(event.clone()).await.unwrap(), 401);
    let bodies = receiver.bodies();
    assert!(bodies.iter().all(|body| body["event-data"] == event));
    let signed: Vec<bool> = bodies.iter().map(|body| Receiver::is_signed(body, KEY)).collect();
    assert_eq!(signed, [true, false]);
    assert!(mailgun.webhooks().is_empty());
}

#[tokio::test]
async fn the_mailbox_page_shows_the_events_and_rejected_webhooks() {
    let (mailgun, receiver) = with_webhook().await;
    mail_to(&mailgun, "ada@example.com").await;
    mailgun.wait_for_webhooks(2).await.unwrap();
    receiver.answer_next([406, 406]);
    mail_to(&mailgun, "full@example.com").await;
    mailgun.wait_for_webhooks(4).await.unwrap();
    let page = client().unwrap().get(mailgun.url()).send().await.unwrap().text().await.unwrap();
    let (newer, older) = page.split_once("id=\"told-0\"").unwrap();
    assert!(newer.contains("failed (permanent, bounce); the webhook was answered with 406"), "{page}");
    assert!(older.contains(">accepted</span>") && older.contains("<span class=\"good\">delivered</span>"), "{page}");
    assert!(!older.contains("406"), "{page}");
}
