//! Several apis and workers share one database.

use futures_util::future::join_all;
use serde_json::json;
use tests::{Plan, TestSystem};

#[tokio::test]
async fn two_api_replicas_share_a_recipients_quota() {
    let plan = Plan { apis: 2, workers: 0, ..Plan::default() };
    let system = TestSystem::with(plan.api("RECIPIENT_CLIENT_RATE_LIMIT", "3/15m")).await;
    let ask = |api: usize, page: usize| {
        let body = json!({ "email": "hello@example.com", "callback_origin": "https://example.com", "callback_next": format!("/{page}") });
        let system = &system;
        async move { system.post_to(api, &body).await }
    };
    let answers = join_all((0..10).map(|page| ask(page % 2, page))).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();

    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 3);
    assert_eq!(refused.len(), 7);
    for answer in refused {
        assert_eq!(answer.body["code"], "recipient_rate_limited");
        let wait = answer.body["retryAfter"].as_u64().unwrap();
        assert!((1..=300).contains(&wait), "{wait}");
        assert_eq!(answer.headers["retry-after"].to_str().unwrap(), wait.to_string());
        assert!(!answer.headers.contains_key("ratelimit"), "the response does not reveal a recipient's quota");
    }
    system.finish_with_open_jobs(1).await;
}

#[tokio::test]
async fn three_workers_send_one_mail_per_job() {
    let system = TestSystem::with(Plan { workers: 3, ..Plan::default() }).await;
    let answers = join_all((0..60).map(|n| {
        let system = &system;
        async move { system.ask(&format!("person-{n}@example.com")).await.status }
    }))
    .await;
    assert_eq!(answers, vec![200; 60]);
    system.until_idle().await;

    assert_eq!(system.mailgun.mails().len(), 60);
    assert_eq!(system.supabase.journal().len(), 60);
    assert_eq!(system.scalar::<i64>("select count(*) from email_jobs where state = 'sent' and attempt = 1").await, 60);
    system.finish().await;
}
