//! Supabase keeps one live token per user: the newest request is the one that is mailed.

use std::time::Duration;

use sandbox::FaultKind;
use serde_json::json;
use tests::{House, Plan};

fn request(page: &str) -> serde_json::Value {
    json!({ "email": "hello@example.com", "callback_origin": "https://example.com", "callback_next": page })
}

#[tokio::test]
async fn two_requests_for_one_waiting_recipient_give_one_mail_the_newer() {
    let mut house = House::of(Plan { workers: 0, ..Plan::default() }).await;
    let first = house.post(&request("/first")).await;
    let second = house.post(&request("/second")).await;
    assert_eq!((first.status, second.status), (200, 200));
    house.start_worker().await;

    house.until_state(&second, "sent").await;
    assert_eq!(house.state(&first).await, "superseded newer_request");
    let mails = house.mailgun.mails();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].link().unwrap().contains("second"));
    assert!(house.supabase.verify(mails[0].link().unwrap()).await.unwrap().signed_in());
}

#[tokio::test]
async fn a_double_click_gives_one_mail_and_two_rows() {
    let house = House::open().await;
    let first = house.ask("hello@example.com").await;
    house.until_state(&first, "sent").await;
    let second = house.ask("hello@example.com").await;
    assert_eq!((second.status, &second.body), (200, &json!({ "ok": true })));

    assert_eq!(house.state(&second).await, "superseded duplicate");
    assert_eq!(house.text("select count(*) from email_jobs").await, "2");
    assert_eq!(house.mailgun.mails().len(), 1);
    assert_eq!(house.supabase.journal().len(), 1, "no second link killed the first");
}

#[tokio::test]
async fn a_running_job_gives_way_to_a_newer_request_before_it_is_mailed() {
    let house = House::open().await;
    house.supabase.faults().add(FaultKind::Delay { millis: 700 });
    let first = house.post(&request("/first")).await;
    house.supabase.wait_for_calls(1).await.unwrap();
    let second = house.post(&request("/second")).await;

    house.until_state(&second, "sent").await;
    assert_eq!(house.state(&first).await, "superseded newer_request");
    let mail = house.mailgun.wait_for_mail("hello@example.com", Duration::from_secs(1)).await.unwrap();
    assert_eq!(house.mailgun.mails().len(), 1);
    assert!(house.supabase.verify(mail.link().unwrap()).await.unwrap().signed_in());
}

#[tokio::test]
async fn a_recipients_next_job_is_claimed_as_soon_as_the_running_one_ends() {
    let house = House::open().await;
    house.mailgun.faults().add(FaultKind::Delay { millis: 500 });
    let first = house.post(&request("/first")).await;
    house.mailgun.wait_for_calls(1).await.unwrap();
    let second = house.post(&request("/second")).await;
    house.until_state(&second, "sent").await;

    assert_eq!(house.state(&first).await, "sent");
    // The newer link is the one that lives.
    let mails = house.mailgun.mails_to("hello@example.com");
    assert_eq!(house.supabase.verify(mails[1].link().unwrap()).await.unwrap().code, "signed_in");
    let gap: f64 = house
        .text(
            "select extract(epoch from (select attempted_at from email_jobs where callback_url like '%second')
               - (select finished_at from email_jobs where callback_url like '%first'))",
        )
        .await
        .parse()
        .unwrap();
    assert!((0.0..0.5).contains(&gap), "claimed {gap} s after");
}
