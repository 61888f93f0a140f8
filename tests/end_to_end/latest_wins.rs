//! Supabase keeps one live token per user and kind of link, so a newer request supersedes older ones whose mails have
//! not been sent.

use std::time::Duration;

use sandbox::FaultKind;
use serde_json::json;
use tests::{Plan, TestSystem};

fn request(page: &str) -> serde_json::Value {
    json!({ "email": "hello@example.com", "callback_origin": "https://example.com", "callback_next": page })
}

#[tokio::test]
async fn a_second_request_supersedes_the_waiting_one() {
    let mut system = TestSystem::with(Plan { workers: 0, ..Plan::default() }).await;
    let first = system.post(&request("/first")).await;
    let second = system.post(&request("/second")).await;
    assert_eq!((first.status, second.status), (200, 200));
    system.start_worker().await;

    system.until_state(&second, "sent").await;
    assert_eq!(system.job(&first).await.state_and_code(), ("superseded", Some("newer_request")));
    let mails = system.mailgun.mails();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].link().unwrap().contains("second"));
    assert!(system.supabase.verify(mails[0].link().unwrap()).await.unwrap().signed_in());
    system.finish().await;
}

#[tokio::test]
async fn a_double_click_results_in_one_mail_and_two_jobs() {
    let system = TestSystem::start().await;
    let first = system.ask("hello@example.com").await;
    system.until_state(&first, "sent").await;
    let second = system.ask("hello@example.com").await;
    assert_eq!((second.status, &second.body), (200, &json!({ "ok": true })));

    assert_eq!(system.job(&second).await.state_and_code(), ("superseded", Some("duplicate")));
    assert_eq!(system.scalar::<i64>("select count(*) from email_jobs").await, 2);
    assert_eq!(system.mailgun.mails().len(), 1);
    assert_eq!(system.supabase.journal().len(), 1, "no second link invalidated the first");
    system.finish().await;
}

#[tokio::test]
async fn a_newer_request_supersedes_a_running_job_whose_mail_has_not_been_sent() {
    let system = TestSystem::start().await;
    system.supabase.faults().add(FaultKind::Delay { millis: 700 });
    let first = system.post(&request("/first")).await;
    system.supabase.wait_for_calls(1).await.unwrap();
    let second = system.post(&request("/second")).await;

    system.until_state(&second, "sent").await;
    assert_eq!(system.job(&first).await.state_and_code(), ("superseded", Some("newer_request")));
    let mail = system.mailgun.wait_for_mail("hello@example.com", Duration::from_secs(1)).await.unwrap();
    assert_eq!(system.mailgun.mails().len(), 1);
    assert!(system.supabase.verify(mail.link().unwrap()).await.unwrap().signed_in());
    system.finish().await;
}

#[tokio::test]
async fn a_recipients_next_job_is_claimed_as_soon_as_the_running_one_ends() {
    let system = TestSystem::start().await;
    system.mailgun.faults().add(FaultKind::Delay { millis: 500 });
    let first = system.post(&request("/first")).await;
    system.mailgun.wait_for_calls(1).await.unwrap();
    let second = system.post(&request("/second")).await;
    system.until_state(&second, "sent").await;

    assert_eq!(system.job(&first).await.state_and_code(), ("sent", None));
    // The link in the second mail works.
    let mails = system.mailgun.mails_to("hello@example.com");
    assert_eq!(system.supabase.verify(mails[1].link().unwrap()).await.unwrap().code, "signed_in");
    let gap = "select extract(epoch from (select attempted_at from email_jobs where callback_url like '%second')
                 - (select finished_at from email_jobs where callback_url like '%first'))::float8";
    let gap: f64 = system.scalar(gap).await;
    // The gap between the two jobs must be shorter than the worker's poll interval of 1 s: a notification, not the next
    // poll, must make the worker claim the second job.
    assert!((0.0..0.5).contains(&gap), "claimed {gap} s after the first job ended");
    system.finish().await;
}

#[tokio::test]
async fn a_newcomers_first_link_works_until_any_of_their_links_is_used() {
    let system = TestSystem::start().await;
    for (email, opened) in [("first@example.com", 0), ("newest@example.com", 1)] {
        for page in ["/first", "/second"] {
            let answer = system.ask_for(email, page).await;
            system.until_state(&answer, "sent").await;
        }
        let mails = system.mailgun.mails_to(email);
        let links: Vec<&str> = mails.iter().map(|mail| mail.link().unwrap()).collect();
        assert!(links[0].contains("type=signup") && links[1].contains("type=magiclink"), "{email}");

        assert_eq!(system.supabase.verify(links[opened]).await.unwrap().code, "signed_in", "{email}");
        assert_eq!(system.supabase.verify(links[1 - opened]).await.unwrap().code, "otp_expired", "{email}");
        let words = mails[0].text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("use the newest mail: once you have signed in, older links no longer work"), "{words}");
    }
    system.finish().await;
}
