//! No link, token, one-time code or key appears unencrypted in the database, a log at `debug`, a metric or a response.

use std::time::Duration;

use sandbox::{Fault, FaultKind, MailgunSettings, Program, SupabaseSettings};
use serde_json::json;
use tests::{Plan, TestSystem, get_at};

const CONFIRM_KEY: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

#[tokio::test]
async fn a_run_with_failures_leaves_no_secret_in_the_tables_the_logs_or_the_responses() {
    // One-time codes of ten digits are unlikely to match a time or another number by chance.
    let supabase = SupabaseSettings { otp_length: 10, ..SupabaseSettings::default() };
    let plan = Plan { supabase, ..Plan::default() }.worker("UPSTREAM_TIMEOUT", "1s");
    let plan = plan.worker("PUBLIC_URL", "https://login.example.com").worker("CONFIRM_KEY", CONFIRM_KEY);
    let system = TestSystem::with(plan.worker("LINK_STYLE", "confirm").worker("MAIL_CODE", "on")).await;
    // The upstreams answer some calls with errors that contain secrets.
    let leak = r#"{"code":"unexpected_failure","message":"no http://127.0.0.1/auth/v1/verify?token=leaked-token for lea@example.com"}"#;
    system.supabase.faults().add(Fault::answer(500, leak).to("lea@example.com"));
    system.mailgun.faults().add(
        Fault::answer(
            400,
            r#"{"message":"to parameter is not valid: rob@example.com http://x.test/?token=leaked-token"}"#,
        )
        .to("rob@example.com"),
    );
    system.mailgun.faults().add(Fault::from(FaultKind::HangAfter).to("tim@example.com"));
    let mut answers = vec![];
    for name in ["lea", "rob", "tim", "ann"] {
        answers.push(system.ask(&format!("{name}@example.com")).await);
    }
    let refused = system.post(&json!({ "email": "nobody", "callback_next": "//evil?token=leaked-token" })).await;
    assert_eq!(refused.status, 400);
    system.mailgun.wait_for_mail("ann@example.com", Duration::from_secs(10)).await.unwrap();
    system.until_state(&answers[1], "failed").await;
    system.until_state(&answers[2], "retrying").await;
    system.until_state(&answers[0], "sent").await;

    let dump = system.dump().await;
    assert!(dump.contains("ann@example.com"), "the dump contains the tables");
    let logs = [&system.apis[0], &system.workers[0]].map(Program::log).concat().join("\n");
    assert_eq!(logs.matches("RUST_LOG=debug").count(), 2, "both programs log at level debug");
    let answer = format!("{:?}{}", refused.headers, refused.body);
    let api_metrics = system.private_url(0, "/metrics").await;
    let worker_metrics = format!("http://{}/metrics", system.workers[0].address().await.unwrap());
    let metrics = get_at(&api_metrics).await.1 + &get_at(&worker_metrics).await.1;
    assert!(metrics.contains("magic_link_jobs_total") && metrics.contains("magic_link_api_requests_total"));

    let mut secrets = vec![
        "leaked-token".to_owned(),
        SupabaseSettings::default().service_role_key,
        MailgunSettings::default().api_key,
        "YXBpOmtleS1zYW5kYm94".to_owned(),
        sandbox::test_settings::LINK_SEALING_KEY.trim_end_matches('=').to_owned(),
        CONFIRM_KEY.to_owned(),
        "token=".to_owned(),
    ];
    let codes = system.supabase.live_codes();
    assert!(codes.len() >= 3 && codes.iter().all(|code| code.len() == 10), "{codes:?}");
    assert!(system.mailgun.mails().iter().all(|mail| codes.iter().any(|code| mail.text.contains(code.as_str()))));
    secrets.extend(codes);
    let hashes = system.supabase.live_token_hashes();
    assert!(hashes.len() >= 3 && hashes.iter().all(|hash| hash.len() == 56), "{hashes:?}");
    secrets.extend(hashes);
    for mail in system.mailgun.mails() {
        let link = mail.link().unwrap();
        let payload = link.strip_prefix("https://login.example.com/auth/confirm/").unwrap();
        assert!(payload.len() > 100, "{link}");
        secrets.extend([link.to_owned(), payload.to_owned()]);
    }
    // The dump shows bytea columns in hex.
    let hex = |secret: &String| secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let in_hex: Vec<String> = secrets.iter().map(hex).collect();
    secrets.extend(in_hex);
    for secret in &secrets {
        let places = [("the database", &dump), ("the logs", &logs), ("the metrics", &metrics), ("a response", &answer)];
        for (place, text) in places {
            assert!(
                !text.contains(secret.as_str()),
                "{secret} is in {place}: {:?}",
                text.lines().find(|line| line.contains(secret.as_str()))
            );
        }
    }
    assert!(!logs.contains("@example.com"), "{:?}", logs.lines().find(|line| line.contains("@example.com")));
    system.finish().await;
}
