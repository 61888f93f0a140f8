//! A good day: a job becomes a mail, and nothing that must stay secret is written anywhere.

use sandbox::FaultKind;

use crate::bench::{Bench, PATIENCE, eventually, get, lines, ready};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_mailed_and_its_link_works_once() {
    let bench = Bench::new().await;
    let worker = bench.start_worker();
    let job = bench.enqueue("ada@example.com").await;

    let mail = bench.mailgun.wait_for_mail("ada@example.com", PATIENCE).await.unwrap();
    let done = bench.wait_for_state(job, "sent").await;

    let link = mail.link().unwrap();
    let outcome = bench.supabase.verify(link).await.unwrap();
    assert!(outcome.signed_in());
    assert_eq!(outcome.redirect_to, crate::bench::CALLBACK);
    assert!(!bench.supabase.verify(link).await.unwrap().signed_in(), "it worked twice");

    assert_eq!(done.attempt, 1);
    assert_eq!(done.code, None);
    assert!(!done.has_link, "the link was kept");
    assert_eq!(done.message_id.as_deref(), mail.header("Message-Id"));
    assert_eq!(bench.story(job).await, "generate_link ok, send ok");
    assert_eq!(lines(&worker, "\"listening\""), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn upstreams_are_called_as_they_want_it() {
    let bench = Bench::new().await;
    let _worker = bench.start_worker();
    let job = bench.enqueue("ada@example.com").await;
    let mail = bench.mailgun.wait_for_mail("ada@example.com", PATIENCE).await.unwrap();

    let call = &bench.supabase.journal()[0];
    assert_eq!((call.kind.as_str(), call.email.as_str()), ("magiclink", "ada@example.com"));
    assert_eq!(call.redirect_to, crate::bench::CALLBACK);
    assert_eq!(call.api_version.as_deref(), Some("2024-01-01"));
    assert_eq!(call.referer, None);
    assert_eq!(call.user_agent.as_deref(), Some(concat!("magic-link-worker/", env!("CARGO_PKG_VERSION"))));
    assert!(call.apikey_present);

    let send = &bench.mailgun.journal()[0];
    assert_eq!(send.content_type.as_deref(), Some("multipart/form-data"));
    for (field, value) in [
        ("from", "Example Portal <sign-in@mg.example.com>"),
        ("to", "ada@example.com"),
        ("subject", "Your sign-in link for example.com"),
        ("o:tag", "sign-in"),
        ("o:tracking", "no"),
        ("o:tracking-clicks", "no"),
        ("o:tracking-opens", "no"),
        ("o:require-tls", "yes"),
        ("o:deliver-within", "59m"),
        ("v:job_id", &job.to_string()),
    ] {
        assert_eq!(send.field(field), Some(value), "{field}");
    }
    let message_id = mail.header("Message-Id").unwrap();
    assert!(message_id.starts_with(&format!("<{job}.")) && message_id.ends_with("@mg.example.com>"), "{message_id}");
    let link = mail.link().unwrap().replace('&', "&amp;");
    assert_eq!(mail.html.matches("href=").count(), 1);
    assert!(mail.html.contains(&format!("href=\"{link}\"")));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_jobs_are_each_mailed_once() {
    let mut bench = Bench::new().await;
    bench.set("MAILGUN_RATE", "1000/1s");
    bench.set("MIGRATE_ON_START", "false");
    let first = bench.start_worker();
    let second = bench.start_worker();
    first.address().await.unwrap();
    second.address().await.unwrap();
    let mut jobs = Vec::new();
    for number in 0..60 {
        jobs.push(bench.enqueue(&format!("user{number}@example.com")).await);
    }
    let mut workers = std::collections::HashSet::new();
    for job in jobs {
        workers.insert(bench.wait_for_state(job, "sent").await.worker);
    }
    for number in 0..60 {
        assert_eq!(bench.mailgun.mails_to(&format!("user{number}@example.com")).len(), 1, "{number}");
    }
    assert_eq!(bench.supabase.journal().len(), 60);
    assert!(workers.len() <= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_request_is_the_one_that_is_mailed() {
    let bench = Bench::new().await;
    let older = bench.enqueue("ada@example.com").await;
    let newer = bench.enqueue("ada@example.com").await;
    let _worker = bench.start_worker();

    bench.wait_for_state(newer, "sent").await;
    assert_eq!(bench.job(older).await.state, "superseded");
    let mails = bench.mailgun.mails_to("ada@example.com");
    assert_eq!(mails.len(), 1);
    assert!(bench.supabase.verify(mails[0].link().unwrap()).await.unwrap().signed_in());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_gives_way_to_a_newer_request() {
    let bench = Bench::new().await;
    bench.supabase.faults().add(FaultKind::Delay { millis: 500 });
    let _worker = bench.start_worker();
    let older = bench.enqueue("ada@example.com").await;
    bench.supabase.wait_for_calls(1).await.unwrap();
    let newer = bench.enqueue("ada@example.com").await;

    bench.wait_for_state(newer, "sent").await;
    assert_eq!(bench.job(older).await.state, "superseded");
    assert_eq!(bench.story(older).await, "generate_link ok");
    let mails = bench.mailgun.mails_to("ada@example.com");
    assert_eq!(mails.len(), 1);
    assert!(bench.supabase.verify(mails[0].link().unwrap()).await.unwrap().signed_in());
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_and_metrics_hold_no_secret() {
    let mut bench = Bench::new().await;
    bench.set("RUST_LOG", "trace");
    let worker = bench.start_worker();
    let job = bench.enqueue("ada@example.com").await;
    bench.wait_for_state(job, "sent").await;
    worker.wait_for_line("\"state\":\"sent\"", PATIENCE).await.unwrap();

    let (status, metrics) = get(&worker, "/metrics").await;
    assert_eq!(status, 200);
    for name in [
        "magic_link_attempts_total{step=\"send\",outcome=\"ok\"} 1",
        "magic_link_jobs_total{state=\"sent\"} 1",
        "magic_link_jobs_running 0",
        "magic_link_redirect_not_allowed_total 0",
        "magic_link_job_seconds_bucket",
        "magic_link_request_to_sent_seconds_bucket",
        "magic_link_generate_link_seconds_bucket",
        "magic_link_send_seconds_bucket",
    ] {
        assert!(metrics.contains(name), "{name} is missing:\n{metrics}");
    }
    let link = bench.mailgun.mails()[0].link().unwrap().to_owned();
    let token = link.split("token=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let told = worker.log().join("\n") + &metrics;
    for secret in ["ada@example.com", &token, "verify?", "sandbox-service-role-key", "key-sandbox", "AAECAwQF"] {
        assert!(!told.contains(secret), "{secret} was told");
    }
    assert!(told.contains("a-request") && told.contains(&job.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_alive_and_ready() {
    let bench = Bench::new().await;
    let worker = bench.start_worker();
    assert_eq!(get(&worker, "/health/live").await, (200, r#"{"status":"ok"}"#.to_owned()));
    let health = eventually("ready", async || match ready(&worker).await {
        (200, health) => Ok(health),
        (_, health) => Err(health.to_string()),
    })
    .await;
    for part in ["database", "supabase", "mailgun"] {
        assert_eq!(health["checks"][part]["status"], "ok");
    }
}
