//! The main path: a request results in one mail with a link that works once.

use std::time::Duration;

use futures_util::future::join_all;
use sandbox::StepRow;
use serde_json::json;
use tests::{Plan, TestSystem};

#[tokio::test]
async fn the_published_example_results_in_a_mail_whose_link_works_once() {
    let system = TestSystem::start().await;
    let answer = system.ask("hello@example.com").await;
    assert_eq!((answer.status, &answer.body), (200, &json!({ "ok": true })));

    let mail = system.mailgun.wait_for_mail("hello@example.com", Duration::from_secs(10)).await.unwrap();
    let link = mail.link().expect("the text has exactly one URL");
    assert!(
        mail.html.contains(&format!("href=\"{}\"", link.replace('&', "&amp;")))
            || mail.html.contains(&link.replace('&', "&#38;"))
    );
    assert!(mail.text.contains("example.com"), "the mail contains the portal's host");
    assert!(!mail.text.replace(link, "").contains("callback"), "the callback occurs only in the link");

    let first = system.supabase.verify(link).await.unwrap();
    assert!(first.signed_in());
    let second = system.supabase.verify(link).await.unwrap();
    assert_eq!(second.code, "otp_expired");

    let job = system.until_state(&answer, "sent").await;
    assert_eq!(mail.variable("job_id").unwrap(), job.id.to_string());
    assert_eq!(Some(mail.message_id), job.message_id);
    assert_eq!(job.callback_url, "https://example.com/auth/callback?next=%2Fexample");
    let steps = system.steps().await;
    assert_eq!(steps.iter().map(StepRow::result).collect::<Vec<_>>(), [("generate_link", "ok"), ("send", "ok")]);
    assert!(steps.iter().all(|step| (step.attempt, step.http_status) == (1, Some(200))), "{steps:?}");
    system.finish().await;
}

#[tokio::test]
async fn a_subdomain_that_a_stranger_chose_is_not_in_the_text_of_the_mail() {
    let plan = Plan::default().api("CALLBACK_ORIGINS", "https://*.preview.example.com");
    let system = TestSystem::with(plan).await;
    system.supabase.set_allow_list(&["https://*.preview.example.com/auth/callback**"]);
    let origin = "https://your-account-is-locked.preview.example.com";
    let answer = system.post(&json!({ "email": "hello@example.com", "callback_origin": origin })).await;
    system.until_state(&answer, "sent").await;

    let mail = system.mailgun.mails().remove(0);
    assert!(mail.subject.starts_with("Your sign-in link for preview.example.com, "), "{}", mail.subject);
    let link = mail.link().unwrap();
    for form in [mail.text.replace(link, ""), mail.html.replace(&link.replace('&', "&amp;"), "")] {
        assert!(form.contains("Sign in to preview.example.com") && !form.contains("locked"), "{form}");
    }
    assert!(system.supabase.verify(link).await.unwrap().redirect_to.starts_with(origin));
    system.finish().await;
}

#[tokio::test]
async fn the_calls_to_mailgun_and_supabase_have_the_options_for_sign_in_mail() {
    let system = TestSystem::start().await;
    system.ask("hello@example.com").await;
    let mail = system.mailgun.wait_for_mail("hello@example.com", Duration::from_secs(10)).await.unwrap();

    for (option, value) in [
        ("tracking", "no"),
        ("tracking-clicks", "no"),
        ("tracking-opens", "no"),
        ("require-tls", "yes"),
        ("tag", "sign-in"),
    ] {
        assert_eq!(mail.option(option), Some(value), "o:{option}");
    }
    let within = mail.option("deliver-within").unwrap();
    assert!(["1h", "59m", "60m"].contains(&within), "{within}");
    let call = &system.mailgun.journal()[0];
    assert_eq!(call.content_type.as_deref(), Some("multipart/form-data"));
    let link_call = &system.supabase.journal()[0];
    assert_eq!(link_call.kind, "magiclink");
    assert_eq!(link_call.api_version.as_deref(), Some("2024-01-01"));
    assert_eq!(link_call.referer, None);
    assert!(link_call.user_agent.as_deref().unwrap_or_default().starts_with("magic-link-worker/"));
    system.finish().await;
}

#[tokio::test]
async fn the_mailbox_page_shows_the_recipient_without_scripts() {
    let system = TestSystem::start().await;
    system.ask("hello@example.com").await;
    system.mailgun.wait_for_mail("hello@example.com", Duration::from_secs(10)).await.unwrap();

    let (status, page) = system.get(&system.mailgun.url()).await;
    assert_eq!(status, 200);
    assert!(page.contains("hello@example.com"));
    system.finish().await;
}

#[tokio::test]
async fn each_of_a_hundred_simultaneous_requests_results_in_one_mail() {
    let system = TestSystem::start().await;
    let people = (0..100).map(|n| format!("person-{n}@example.com"));
    let asks = people.clone().map(|email| {
        let system = &system;
        async move { system.ask(&email).await.status }
    });
    for status in join_all(asks).await {
        assert_eq!(status, 200);
    }
    system.until_idle().await;
    for email in people {
        let mails = system.mailgun.mails_to(&email);
        assert_eq!(mails.len(), 1, "{email}");
        assert!(system.supabase.verify(mails[0].link().unwrap()).await.unwrap().signed_in(), "{email}");
    }
    system.finish().await;
}
