//! What only an operator can mend: it burns no attempt, says what to do, and passes by itself once it is mended.

use futures_util::future::join_all;
use sandbox::{Fault, Program, SupabaseAuth, SupabaseSettings};
use serde_json::Value;

use crate::bench::{Bench, CALLBACK, eventually, lines, ready};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_stops_everything_says_why_and_recovers() {
    let bench = Bench::new().await;
    bench
        .supabase
        .faults()
        .add(Fault::answer(403, r#"{"code":"bad_jwt","message":"invalid JWT: token is expired"}"#).always());
    let worker = bench.start_worker();
    let jobs = [bench.enqueue("ada@example.com").await, bench.enqueue("eve@example.com").await];

    let health = unready(&worker).await;
    assert_eq!(health["status"], "unavailable");
    assert_eq!(health["checks"]["database"]["status"], "ok");
    assert_eq!(health["checks"]["supabase"]["status"], "down");
    assert_eq!(health["checks"]["supabase"]["code"], "bad_jwt");
    assert_eq!(health["checks"]["supabase"]["setting"], "SUPABASE_SERVICE_ROLE_KEY");

    // The first call or two, then a probe at a time.
    bench.supabase.wait_for_calls(4).await.unwrap();
    bench.supabase.faults().clear();
    for job in jobs {
        let done = bench.wait_for_state(job, "sent").await;
        assert_eq!(done.attempt, 1, "attempts were burnt");
    }
    assert_eq!(ready(&worker).await.0, 200);
    assert_eq!(lines(&worker, "\"level\":\"ERROR\""), 1, "operators are told once");
    assert_eq!(lines(&worker, "recovered"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_configuration_names_its_setting() {
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
    // Side by side: each waits for a probe or two.
    let cases = table.map(async |(fault, upstream, code, setting)| {
        let bench = Bench::new().await;
        let faults = if upstream == "mailgun" { bench.mailgun.faults() } else { bench.supabase.faults() };
        faults.add(fault.always());
        let worker = bench.start_worker();
        let job = bench.enqueue("ada@example.com").await;
        let health = unready(&worker).await;
        assert_eq!(health["checks"][upstream]["code"], code);
        assert_eq!(health["checks"][upstream]["setting"], setting);
        faults.clear();
        assert_eq!(bench.wait_for_state(job, "sent").await.attempt, 1, "{code}");
    });
    join_all(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_to_an_unknown_server_are_not_mailed() {
    let bench = Bench::new().await;
    let elsewhere =
        SupabaseSettings { external_url: "http://localhost:9999".to_owned(), ..SupabaseSettings::default() };
    let elsewhere = SupabaseAuth::start(elsewhere).await.unwrap();
    let mut settings = bench.settings().to_vec();
    settings.retain(|(name, _)| name != "SUPABASE_URL");
    settings.push(("SUPABASE_URL".to_owned(), elsewhere.url()));
    let worker = crate::bench::spawn(&settings, &[]);
    let job = bench.enqueue("ada@example.com").await;

    let waiting = bench.wait_for(job, "a code", |job| job.code.is_some()).await;
    assert_eq!(waiting.code.as_deref(), Some("link_origin_not_allowed"));
    let health = unready(&worker).await;
    assert_eq!(health["checks"]["supabase"]["setting"], "LINK_ORIGINS");
    assert!(bench.mailgun.journal().is_empty());
    worker.kill();
    worker.wait().await;

    settings.push(("LINK_ORIGINS".to_owned(), format!("{}, http://localhost:9999", elsewhere.url())));
    let _mended = crate::bench::spawn(&settings, &[]);
    bench.wait_for_state(job, "sent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_substituted_redirect_mails_nothing_and_says_why() {
    let bench = Bench::new().await;
    let worker = bench.start_worker();
    let refused = bench.enqueue_to("ada@example.com", "https://portal.example.net/auth/callback?next=%2Fa").await;
    let failed = bench.wait_for_state(refused, "failed").await;

    assert_eq!(failed.code.as_deref(), Some("redirect_not_allowed"));
    let words = failed.message.unwrap();
    assert!(
        words.contains(r"https://portal.example.net/auth/callback,https://portal.example.net/auth/callback\?**"),
        "{words}"
    );
    assert_eq!(bench.story(refused).await, "generate_link reject");
    assert!(bench.mailgun.journal().is_empty());
    assert_eq!(lines(&worker, "\"level\":\"ERROR\""), 1);
    assert!(crate::bench::get(&worker, "/metrics").await.1.contains("magic_link_redirect_not_allowed_total 1"));

    let other = bench.enqueue_to("eve@example.com", CALLBACK).await;
    bench.wait_for_state(other, "sent").await;
    assert_eq!(ready(&worker).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_away_is_named_too() {
    let bench = Bench::new().await;
    bench.supabase.faults().add(Fault::status(503).always());
    let worker = bench.start_worker();
    for who in ["a", "b", "c"] {
        bench.enqueue(&format!("{who}@example.com")).await;
    }
    let health = unready(&worker).await;
    assert_eq!(health["checks"]["supabase"]["setting"], "SUPABASE_URL");
    bench.supabase.faults().clear();
    bench.mailgun.wait_for_mails(3).await.unwrap();
    assert_eq!(ready(&worker).await.0, 200);
}

/// What `/health/ready` says as soon as it says no.
async fn unready(worker: &Program) -> Value {
    // At the very start it is the database that is not ready yet.
    eventually("not ready, but for the database", async || match ready(worker).await {
        (503, health) if health["checks"]["database"]["status"] == "ok" => Ok(health),
        (_, health) => Err(health.to_string()),
    })
    .await
}
