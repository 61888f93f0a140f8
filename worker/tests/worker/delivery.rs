//! Successful deliveries: each job results in one mail, and no log or metric contains a secret.

use sandbox::{FaultKind, eventually};

use crate::test_worker::{TIMEOUT, TestWorker, count_log_lines, get_ready, http_get};

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_sent_and_its_link_works_once() {
    let test = TestWorker::new().await;
    let worker = test.start_worker();
    let job = test.enqueue("ada@example.com").await;

    let mail = test.mailgun.wait_for_mail("ada@example.com", TIMEOUT).await.unwrap();
    let done = test.wait_for_state(job, "sent").await;

    let link = mail.link().unwrap();
    let outcome = test.supabase.verify(link).await.unwrap();
    assert!(outcome.signed_in());
    assert_eq!(outcome.redirect_to, crate::test_worker::CALLBACK_URL);
    assert!(!test.supabase.verify(link).await.unwrap().signed_in(), "the link worked twice");

    assert_eq!(done.attempt, 1);
    assert_eq!(done.code, None);
    assert!(!done.has_link, "the sealed link was not deleted");
    assert_eq!(done.message_id.as_deref(), mail.header("Message-Id"));
    assert_eq!(test.outcomes(job).await, "generate_link ok, send ok");
    assert_eq!(count_log_lines(&worker, "\"listening for health checks"), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upstream_calls_have_the_required_fields() {
    let test = TestWorker::new().await;
    let _worker = test.start_worker();
    let job = test.enqueue("ada@example.com").await;
    let mail = test.mailgun.wait_for_mail("ada@example.com", TIMEOUT).await.unwrap();

    let call = &test.supabase.journal()[0];
    assert_eq!((call.kind.as_str(), call.email.as_str()), ("magiclink", "ada@example.com"));
    assert_eq!(call.redirect_to, crate::test_worker::CALLBACK_URL);
    assert_eq!(call.api_version.as_deref(), Some("2024-01-01"));
    assert_eq!(call.referer, None);
    assert_eq!(call.user_agent.as_deref(), Some(concat!("magic-link-worker/", env!("CARGO_PKG_VERSION"))));
    assert!(call.apikey_present);

    let send = &test.mailgun.journal()[0];
    assert_eq!(send.content_type.as_deref(), Some("multipart/form-data"));
    for (field, value) in [
        ("from", "Example Portal <sign-in@mg.example.com>"),
        ("to", "ada@example.com"),
        ("o:tag", "sign-in"),
        ("o:tracking", "no"),
        ("o:tracking-clicks", "no"),
        ("o:tracking-opens", "no"),
        ("o:require-tls", "yes"),
        ("o:skip-verification", "no"),
        ("h:Auto-Submitted", "auto-generated"),
        // The value `All` might also suppress bounces.
        ("h:X-Auto-Response-Suppress", "OOF, AutoReply"),
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
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tls_settings_are_sent_to_mailgun() {
    let mut test = TestWorker::new().await;
    test.set("MAILGUN_REQUIRE_TLS", "false");
    test.set("MAILGUN_SKIP_VERIFICATION", "true");
    let _worker = test.start_worker();
    test.enqueue("ada@example.com").await;
    let mail = test.mailgun.wait_for_mail("ada@example.com", TIMEOUT).await.unwrap();
    assert_eq!(mail.option("require-tls"), Some("no"));
    assert_eq!(mail.option("skip-verification"), Some("yes"));
    test.finish().await;
}

/// Gmail groups mails with the same subject into one conversation, in which a person could easily open an older link.
#[tokio::test(flavor = "multi_thread")]
async fn the_mails_for_two_requests_are_not_grouped_into_one_conversation() {
    let test = TestWorker::new().await;
    let _worker = test.start_worker();
    let mut references = std::collections::HashSet::new();
    for _ in 0..2 {
        let job = test.enqueue("ada@example.com").await;
        test.wait_for_state(job, "sent").await;
        let mail = test.mailgun.mails_to("ada@example.com").pop().unwrap();

        let time = "select to_char(created_at at time zone 'utc', 'HH24:MI:SS') from email_jobs where id = ";
        let time: String = test.scalar(&format!("{time}'{job}'")).await;
        assert_eq!(mail.subject, format!("Your sign-in link for example.com, {time} UTC"));
        let reference = mail.header("References").unwrap();
        assert!(reference.starts_with('<') && reference.ends_with("@mg.example.com>"), "{reference}");
        assert_ne!(Some(reference), mail.header("Message-Id"), "the mail refers to itself");
        for header in ["References", "X-Entity-Ref-ID"] {
            let value = mail.header(header).unwrap();
            assert!(!value.contains("ada@") && value.contains(&job.to_string()), "{header}: {value}");
            assert!(references.insert(value.to_owned()), "{header}: {value}");
        }
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_mail_is_sent_for_each_of_many_jobs() {
    let mut test = TestWorker::new().await;
    test.set("MAILGUN_RATE", "1000/1s");
    test.set("MIGRATE_ON_START", "false");
    let first = test.start_worker();
    let second = test.start_worker();
    first.address().await.unwrap();
    second.address().await.unwrap();
    let mut jobs = Vec::new();
    for number in 0..60 {
        jobs.push(test.enqueue(&format!("user{number}@example.com")).await);
    }
    let mut workers = std::collections::HashSet::new();
    for job in jobs {
        workers.insert(test.wait_for_state(job, "sent").await.worker);
    }
    for number in 0..60 {
        assert_eq!(test.mailgun.mails_to(&format!("user{number}@example.com")).len(), 1, "{number}");
    }
    assert_eq!(test.supabase.journal().len(), 60);
    assert!(workers.len() <= 2);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_sent_only_for_the_newest_waiting_request() {
    let test = TestWorker::new().await;
    let older = test.enqueue("ada@example.com").await;
    let newer = test.enqueue("ada@example.com").await;
    let _worker = test.start_worker();

    test.wait_for_state(newer, "sent").await;
    assert_eq!(test.job(older).await.state, "superseded");
    let mails = test.mailgun.mails_to("ada@example.com");
    assert_eq!(mails.len(), 1);
    assert!(test.supabase.verify(mails[0].link().unwrap()).await.unwrap().signed_in());
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_request_supersedes_a_running_job() {
    let test = TestWorker::new().await;
    test.supabase.faults().add(FaultKind::Delay { millis: 500 });
    let _worker = test.start_worker();
    let older = test.enqueue("ada@example.com").await;
    test.supabase.wait_for_calls(1).await.unwrap();
    let newer = test.enqueue("ada@example.com").await;

    test.wait_for_state(newer, "sent").await;
    assert_eq!(test.job(older).await.state, "superseded");
    assert_eq!(test.outcomes(older).await, "generate_link ok");
    let mails = test.mailgun.mails_to("ada@example.com");
    assert_eq!(mails.len(), 1);
    assert!(test.supabase.verify(mails[0].link().unwrap()).await.unwrap().signed_in());
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_and_metrics_contain_no_secret() {
    let mut test = TestWorker::new().await;
    test.set("RUST_LOG", "trace");
    let worker = test.start_worker();
    let job = test.enqueue("ada@example.com").await;
    test.wait_for_state(job, "sent").await;
    worker.wait_for_line("\"state\":\"sent\"", TIMEOUT).await.unwrap();

    let (status, metrics) = http_get(&worker, "/metrics").await;
    assert_eq!(status, 200);
    for name in [
        "magic_link_attempts_total{step=\"send\",outcome=\"ok\"} 1",
        "magic_link_jobs_total{state=\"sent\",portal=\"default\"} 1",
        "magic_link_jobs_running 0",
        "magic_link_redirect_not_allowed_total 0",
        "magic_link_job_seconds_bucket",
        "magic_link_request_to_sent_seconds_bucket",
        "magic_link_generate_link_seconds_bucket",
        "magic_link_send_seconds_bucket",
    ] {
        assert!(metrics.contains(name), "{name} is missing:\n{metrics}");
    }
    let link = test.mailgun.mails()[0].link().unwrap().to_owned();
    let token = link.split("token=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let output = worker.log().join("\n") + &metrics;
    for secret in ["ada@example.com", &token, "verify?", "sandbox-service-role-key", "key-sandbox", "AAECAwQF"] {
        assert!(!output.contains(secret), "{secret} is in the log or the metrics");
    }
    assert!(output.contains("a-request") && output.contains(&job.to_string()));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_alive_and_ready() {
    let test = TestWorker::new().await;
    let worker = test.start_worker();
    assert_eq!(http_get(&worker, "/health/live").await, (200, r#"{"status":"ok"}"#.to_owned()));
    let health = eventually("ready", async || match get_ready(&worker).await {
        (200, health) => Ok(health),
        (_, health) => Err(health.to_string()),
    })
    .await;
    for part in ["database", "supabase", "mailgun"] {
        assert_eq!(health["checks"][part]["status"], "ok");
    }
    test.finish().await;
}

/// Some versions of Outlook open only the first part of a link that is too long.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_mail_programs_cannot_open_is_not_mailed() {
    let test = TestWorker::new().await;
    let _worker = test.start_worker();
    let origin = test.supabase.url().len();
    let rest = "/auth/v1/verify?token=".len() + 56 + "&type=signup&redirect_to=".len();
    let callback = "https%3A%2F%2Fexample.com%2Fauth%2Fcallback%3Fnext%3D%252F".len();
    let page = |link: usize| "a".repeat(link - origin - rest - callback);
    // The length of the link, the final state of the job, and the number of calls to Supabase. The worker does not
    // request a link that is certain to be too long, because a new link could invalidate an earlier link.
    for (length, state, calls) in [(2_083, "sent", 1), (2_084, "failed", 1), (2_200, "failed", 0)] {
        let before = test.supabase.journal().len();
        let callback_url = format!("https://example.com/auth/callback?next=%2F{}", page(length));
        let job = test.enqueue_to(&format!("person-{length}@example.com"), &callback_url).await;
        let done = test.wait_for_state(job, state).await;
        assert_eq!(test.supabase.journal().len() - before, calls, "{length}");
        match state {
            "sent" => assert_eq!(test.mailgun.mails()[0].link().unwrap().len(), length),
            _ => assert_eq!(done.code.as_deref(), Some("link_too_long")),
        }
    }
    assert_eq!(test.mailgun.mails().len(), 1);
    test.finish().await;
}

/// Earlier versions of the api did not store the host that mails show. A mail for a job without this host must not show
/// the callback's full host, because with a wildcard origin, anybody who requests a link can choose the first label.
#[tokio::test(flavor = "multi_thread")]
async fn a_mail_shows_the_stored_host_or_else_the_registrable_domain() {
    let test = TestWorker::new().await;
    test.supabase.set_allow_list(&["https://*.preview.example.com/auth/callback"]);
    let callback_url = "https://your-account-is-locked.preview.example.com/auth/callback";
    for (stored, shown) in [("'preview.example.com'", "preview.example.com"), ("null", "example.com")] {
        let job = test.enqueue_to("ada@example.com", callback_url).await;
        test.execute(&format!("update email_jobs_open set shown_host = {stored}")).await;
        let _worker = test.start_worker();
        test.wait_for_state(job, "sent").await;
        let mail = test.mailgun.mails().pop().unwrap();
        assert!(mail.subject.starts_with(&format!("Your sign-in link for {shown}, ")), "{}", mail.subject);
        let link = mail.link().unwrap();
        for form in [mail.text.replace(link, ""), mail.html.replace(&link.replace('&', "&amp;"), "")] {
            assert!(form.contains(&format!("Sign in to {shown}")) && !form.contains("locked"), "{form}");
        }
    }
    test.finish().await;
}
