//! Configuration errors do not count as attempts. Each error shows which setting to check. The worker recovers
//! automatically after an operator has fixed the setting.

use futures_util::future::join_all;
use sandbox::{Fault, FaultKind, Program, SupabaseAuth, SupabaseSettings, VerifyCall, eventually};
use serde_json::Value;

use crate::test_worker::{CALLBACK_URL, TestWorker, count_log_lines, get_ready};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_stops_all_claims_until_it_is_fixed() {
    let test = TestWorker::new().await;
    test.supabase
        .faults()
        .add(Fault::answer(403, r#"{"code":"bad_jwt","message":"invalid JWT: token is expired"}"#).always());
    let worker = test.start_worker();
    let jobs = [test.enqueue("ada@example.com").await, test.enqueue("eve@example.com").await];

    let health = wait_until_unready(&worker).await;
    assert_eq!(health["status"], "unavailable");
    assert_eq!(health["checks"]["database"]["status"], "ok");
    assert_eq!(health["checks"]["supabase"]["status"], "down");
    assert_eq!(health["checks"]["supabase"]["code"], "bad_jwt");
    assert_eq!(health["checks"]["supabase"]["setting"], "SUPABASE_SERVICE_ROLE_KEY");

    // Expect one or two calls before the breaker opens, and then one probe at a time.
    test.supabase.wait_for_calls(4).await.unwrap();
    test.supabase.faults().clear();
    for job in jobs {
        let done = test.wait_for_state(job, "sent").await;
        assert_eq!(done.attempt, 1, "a configuration error was counted as an attempt");
    }
    assert_eq!(get_ready(&worker).await.0, 200);
    assert_eq!(count_log_lines(&worker, "\"level\":\"ERROR\""), 1, "the error must be logged once");
    assert_eq!(count_log_lines(&worker, "recovered"), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_configuration_error_shows_the_setting_to_check() {
    let not_allowed = r#"{"message":"Domain mg.example.com is not allowed to send: Account disabled"}"#;
    let table = [
        (Fault::status(401), "mailgun", "mailgun_key_refused", "MAILGUN_API_KEY"),
        (Fault::answer(401, "Forbidden"), "mailgun", "mailgun_key_refused", "MAILGUN_API_KEY"),
        (Fault::answer(402, "{}"), "mailgun", "mailgun_payment_required", "MAILGUN_API_KEY"),
        (Fault::answer(403, not_allowed), "mailgun", "mailgun_domain_not_allowed", "MAILGUN_DOMAIN"),
        (
            Fault::answer(404, r#"{"message":"Domain not found: mg.example.com"}"#),
            "mailgun",
            "mailgun_domain_not_found",
            "MAILGUN_DOMAIN",
        ),
        (Fault::answer(200, "Mailgun Magnificent API"), "mailgun", "mailgun_wrong_path", "MAILGUN_DOMAIN"),
        (
            Fault::answer(401, r#"{"message":"Invalid API key","hint":"Double check"}"#),
            "supabase",
            "no_authorization",
            "SUPABASE_SERVICE_ROLE_KEY",
        ),
        (
            Fault::answer(403, r#"{"code":"not_admin","message":"User not allowed"}"#),
            "supabase",
            "not_admin",
            "SUPABASE_SERVICE_ROLE_KEY",
        ),
        (Fault::answer(404, "404 page not found\n"), "supabase", "supabase_wrong_url", "SUPABASE_URL"),
        (Fault::answer(405, ""), "supabase", "supabase_wrong_url", "SUPABASE_URL"),
    ];
    // Run the cases concurrently, because each case waits for one or two probes.
    let cases = table.map(async |(fault, upstream, code, setting)| {
        let test = TestWorker::new().await;
        let faults = if upstream == "mailgun" { test.mailgun.faults() } else { test.supabase.faults() };
        faults.add(fault.always());
        let worker = test.start_worker();
        let job = test.enqueue("ada@example.com").await;
        let health = wait_until_unready(&worker).await;
        assert_eq!(health["checks"][upstream]["code"], code);
        assert_eq!(health["checks"][upstream]["setting"], setting);
        faults.clear();
        assert_eq!(test.wait_for_state(job, "sent").await.attempt, 1, "{code}");
        test.finish().await;
    });
    join_all(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_to_an_unknown_server_are_not_mailed() {
    let test = TestWorker::new().await;
    let other_server =
        SupabaseSettings { external_url: "http://localhost:9999".to_owned(), ..SupabaseSettings::default() };
    let other_server = SupabaseAuth::start(other_server).await.unwrap();
    let mut settings = test.settings().to_vec();
    settings.retain(|(name, _)| name != "SUPABASE_URL");
    settings.push(("SUPABASE_URL".to_owned(), other_server.url()));
    let worker = crate::test_worker::spawn(&settings, &[]);
    let job = test.enqueue("ada@example.com").await;

    let waiting = test.wait_for(job, "a code", |job| job.code.is_some()).await;
    assert_eq!(waiting.code.as_deref(), Some("link_origin_not_allowed"));
    let health = wait_until_unready(&worker).await;
    assert_eq!(health["checks"]["supabase"]["setting"], "LINK_ORIGINS");
    assert!(test.mailgun.journal().is_empty());
    worker.kill();
    worker.wait().await;

    settings.push(("LINK_ORIGINS".to_owned(), format!("{}, http://localhost:9999", other_server.url())));
    let _fixed = crate::test_worker::spawn(&settings, &[]);
    test.wait_for_state(job, "sent").await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_to_a_path_that_no_server_serves_are_not_mailed() {
    let test = TestWorker::new().await;
    test.supabase.set_verify_path("/verify");
    let worker = test.start_worker();
    let jobs = [test.enqueue("ada@example.com").await, test.enqueue("eve@example.com").await];

    let health = wait_until_unready(&worker).await;
    assert_eq!(health["checks"]["supabase"]["code"], "link_path_not_found");
    assert_eq!(health["checks"]["supabase"]["setting"], "LINK_ORIGINS");
    let message = health["checks"]["supabase"]["message"].as_str().unwrap();
    assert!(message.contains(&format!("{}/verify, where", test.supabase.url())), "{message}");
    assert!(message.contains("MAILER_URLPATHS_MAGIC_LINK") && message.contains("API_EXTERNAL_URL"), "{message}");
    // A probe finds that the path is still not served, and the breaker stays open.
    eventually("a probe that checks the path", async || match link_path_checks(&test) {
        calls if calls.iter().filter(|call| call.path == "/verify").count() >= 3 => Ok(()),
        calls => Err(format!("{calls:#?}")),
    })
    .await;
    assert!(test.mailgun.journal().is_empty());
    assert_eq!(count_log_lines(&worker, "\"level\":\"ERROR\""), 1, "the breaker closed and opened again");

    test.supabase.set_verify_path("/auth/v1/verify");
    for job in jobs {
        assert_eq!(
            test.wait_for_state(job, "sent").await.attempt,
            1,
            "the configuration error was counted as an attempt"
        );
    }
    let served = link_path_checks(&test).into_iter().filter(|call| call.path == "/auth/v1/verify").count();
    assert_eq!(served, 1, "the path was checked more than once");
    for call in link_path_checks(&test) {
        assert_eq!((call.kind.as_str(), call.redirect_to.as_str()), ("magiclink", CALLBACK_URL));
        assert!(!call.key_present, "the request contained the key");
    }
    test.finish().await;
}

/// The requests that checked whether a server serves the link path, oldest first.
fn link_path_checks(test: &TestWorker) -> Vec<VerifyCall> {
    let calls = test.supabase.verify_journal().into_iter();
    calls.filter(|call| call.unknown_token.as_deref() == Some("no-token-link-path-check")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_mailed_if_the_check_of_its_path_is_unclear() {
    for fault in [Fault::status(500), FaultKind::Cut.into()] {
        let test = TestWorker::new().await;
        test.supabase.verify_faults().add(fault.always());
        let worker = test.start_worker();
        for name in ["ada", "eve"] {
            let job = test.enqueue(&format!("{name}@example.com")).await;
            test.wait_for_state(job, "sent").await;
        }
        assert_eq!(link_path_checks(&test).len(), 1);
        assert_eq!(get_ready(&worker).await.0, 200);
        test.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_check_reports_an_unavailable_upstream() {
    let test = TestWorker::new().await;
    test.supabase.faults().add(Fault::status(503).always());
    let worker = test.start_worker();
    for name in ["a", "b", "c"] {
        test.enqueue(&format!("{name}@example.com")).await;
    }
    let health = wait_until_unready(&worker).await;
    assert_eq!(health["checks"]["supabase"]["setting"], "SUPABASE_URL");
    test.supabase.faults().clear();
    test.mailgun.wait_for_mails(3).await.unwrap();
    assert_eq!(get_ready(&worker).await.0, 200);
    test.finish().await;
}

/// Waits until `/health/ready` responds with 503, and returns the body.
async fn wait_until_unready(worker: &Program) -> Value {
    // Right after startup, the database check may still fail; wait until only an upstream check fails.
    eventually("503 with a working database", async || match get_ready(worker).await {
        (503, health) if health["checks"]["database"]["status"] == "ok" => Ok(health),
        (_, health) => Err(health.to_string()),
    })
    .await
}
