//! Supabase's redirect allow list. If the list refuses a job's callback, the job fails before a link is created, so
//! that the person's earlier link still works.

use sandbox::{Fault, FaultKind, VerifyCall};

use crate::test_worker::{CALLBACK_URL, TIMEOUT, TestWorker, count_log_lines, get_ready, http_get};

const CALLBACK: &str = "https://example.com/auth/callback";
const REFUSED: &str = "https://portal.example.net/auth/callback";

/// The requests that checked whether a redirect is allowed, oldest first.
fn redirect_checks(test: &TestWorker) -> Vec<VerifyCall> {
    let calls = test.supabase.verify_journal().into_iter();
    calls.filter(|call| call.unknown_token.as_deref() == Some("no-token-redirect-check")).collect()
}

fn checked_urls(test: &TestWorker) -> Vec<String> {
    redirect_checks(test).into_iter().map(|call| call.redirect_to).collect()
}

/// The rows of `redirect_checks`: origin and path, and whether the redirect is allowed.
async fn rows(test: &TestWorker) -> Vec<(String, bool)> {
    test.rows("select origin_and_path, is_allowed from redirect_checks order by 1").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_redirect_fails_the_job_and_the_earlier_link_still_works() {
    let test = TestWorker::new().await;
    test.supabase.add_confirmed_user("ada@example.com");
    let worker = test.start_worker();
    test.enqueue("ada@example.com").await;
    let mail = test.mailgun.wait_for_mail("ada@example.com", TIMEOUT).await.unwrap();

    let refused = test.enqueue_to("ada@example.com", &format!("{REFUSED}?next=%2Fa")).await;
    let failed = test.wait_for_state(refused, "failed").await;
    assert_eq!(failed.code.as_deref(), Some("redirect_not_allowed"));
    let message = failed.message.unwrap();
    assert!(message.contains(r"https://portal.example.net/auth/callback,https://portal.example.net/auth/callback\?**"));
    assert!(message.contains("lead to https://www.example.org/ instead"), "{message}");
    assert_eq!(test.outcomes(refused).await, "", "a step was recorded although no call was made");
    assert_eq!(test.supabase.journal().len(), 1, "a link was created for the refused callback");
    assert_eq!(test.mailgun.journal().len(), 1);
    assert_eq!(count_log_lines(&worker, "\"level\":\"ERROR\""), 1);
    assert!(http_get(&worker, "/metrics").await.1.contains("magic_link_redirect_not_allowed_total 1"));
    assert_eq!(get_ready(&worker).await.0, 200);
    assert!(test.supabase.verify(mail.link().unwrap()).await.unwrap().signed_in(), "the earlier link no longer works");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_callback_is_checked_once_for_all_jobs_and_workers() {
    let test = TestWorker::new().await;
    let mut jobs = Vec::new();
    for number in 0..20 {
        jobs.push(test.enqueue_to(&format!("a{number}@example.com"), &format!("{CALLBACK}?next=%2F{number}")).await);
    }
    let first = test.start_worker();
    for job in jobs {
        test.wait_for_state(job, "sent").await;
    }
    first.terminate();
    first.wait().await;
    let _second = test.start_worker();
    let job = test.enqueue("eve@example.com").await;
    test.wait_for_state(job, "sent").await;

    let test_urls = ["", "?next=%2F", "?next=%2Fa.b%2Fc%3Fd%3De"].map(|query| format!("{CALLBACK}{query}"));
    assert_eq!(checked_urls(&test), test_urls);
    for call in redirect_checks(&test) {
        assert_eq!((call.path.as_str(), call.kind.as_str()), ("/auth/v1/verify", "magiclink"));
        assert!(!call.key_present, "the request contained the key");
    }
    assert_eq!(rows(&test).await, [(CALLBACK.to_owned(), true)]);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_check_is_repeated_after_it_expires() {
    let test = TestWorker::new().await;
    let first = test.start_worker();
    let refused = test.enqueue_to("ada@example.com", &format!("{REFUSED}?next=%2Fa")).await;
    test.wait_for_state(refused, "failed").await;
    assert_eq!(rows(&test).await, [(REFUSED.to_owned(), false)]);
    first.kill();
    first.wait().await;

    // An operator adds the missing entries to the allow list. Simulate that a minute has passed since the check.
    test.supabase.set_allow_list(&[REFUSED, &format!(r"{REFUSED}\?**")]);
    test.execute("update redirect_checks set checked_at = checked_at - interval '1 minute'").await;
    let _second = test.start_worker();
    let allowed = test.enqueue_to("ada@example.com", &format!("{REFUSED}?next=%2Fa")).await;
    test.wait_for_state(allowed, "sent").await;
    assert_eq!(rows(&test).await, [(REFUSED.to_owned(), true)]);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_fails_only_if_its_own_callback_url_is_refused() {
    let test = TestWorker::new().await;
    // This entry does not match a `next` with a dot.
    test.supabase.set_allow_list(&[&format!("{CALLBACK}*")]);
    let _worker = test.start_worker();
    let plain = test.enqueue_to("ada@example.com", &format!("{CALLBACK}?next=%2Fprojects%2F42")).await;
    test.wait_for_state(plain, "sent").await;
    assert_eq!(redirect_checks(&test).len(), 4, "expected the three test URLs and the job's own URL");
    assert_eq!(rows(&test).await, [(CALLBACK.to_owned(), false)]);

    // The results for the next two callback URLs are already cached.
    let dotted = test.enqueue_to("eve@example.com", &format!("{CALLBACK}?next=%2Fa.b%2Fc%3Fd%3De")).await;
    test.wait_for_state(dotted, "failed").await;
    let bare = test.enqueue_to("joe@example.com", CALLBACK).await;
    test.wait_for_state(bare, "sent").await;
    assert_eq!(redirect_checks(&test).len(), 4);
    assert_eq!(test.supabase.journal().len(), 2);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_makes_at_most_four_redirect_checks_a_minute() {
    let test = TestWorker::new().await;
    let _worker = test.start_worker();
    let mut jobs = Vec::new();
    for number in 0..12 {
        let made_up = format!("https://made-up-{number}.example.net/auth/callback?next=%2F{number}");
        jobs.push(test.enqueue_to(&format!("a{number}@example.com"), &made_up).await);
    }
    for job in jobs {
        assert_eq!(test.wait_for_state(job, "failed").await.code.as_deref(), Some("redirect_not_allowed"));
    }
    assert_eq!(redirect_checks(&test).len(), 4);
    assert!(test.mailgun.journal().is_empty());

    // The limit on redirect checks does not delay other jobs.
    let allowed = test.enqueue("eve@example.com").await;
    test.wait_for_state(allowed, "sent").await;
    assert_eq!(redirect_checks(&test).len(), 4);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn if_a_redirect_check_is_unclear_the_redirect_of_the_created_link_is_checked() {
    for fault in [Fault::status(500), Fault::status(429), Fault::answer(200, "<html>"), FaultKind::Hang.into()] {
        let test = TestWorker::new().await;
        test.supabase.verify_faults().add(fault.clone().always());
        let worker = test.start_worker();
        let refused = test.enqueue_to("ada@example.com", &format!("{REFUSED}?next=%2Fa")).await;
        assert_eq!(test.wait_for_state(refused, "failed").await.code.as_deref(), Some("redirect_not_allowed"));
        assert_eq!(test.outcomes(refused).await, "generate_link reject", "{fault:?}");
        assert!(test.mailgun.journal().is_empty());
        assert_eq!(count_log_lines(&worker, "\"level\":\"ERROR\""), 1);

        let allowed = test.enqueue_to("eve@example.com", CALLBACK_URL).await;
        test.wait_for_state(allowed, "sent").await;
        assert_eq!(
            redirect_checks(&test).len(),
            1,
            "{fault:?}: the worker made another request after an unclear response"
        );
        assert_eq!(get_ready(&worker).await.0, 200);

        // The refusal is cached now, so the next job with this callback creates no link.
        let again = test.enqueue_to("ada@example.com", &format!("{REFUSED}?next=%2Fa")).await;
        test.wait_for_state(again, "failed").await;
        assert_eq!(test.supabase.journal().len(), 2, "{fault:?}");
        test.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_allow_list_entry_is_noticed_despite_a_cached_check() {
    let test = TestWorker::new().await;
    let _worker = test.start_worker();
    let sent = test.enqueue("ada@example.com").await;
    test.wait_for_state(sent, "sent").await;
    test.supabase.set_allow_list(&[]);

    for (name, steps) in [("ada", "generate_link reject"), ("eve", "")] {
        let refused = test.enqueue(&format!("{name}@example.com")).await;
        assert_eq!(test.wait_for_state(refused, "failed").await.code.as_deref(), Some("redirect_not_allowed"));
        assert_eq!(test.outcomes(refused).await, steps, "{name}");
    }
    assert_eq!(rows(&test).await, [(CALLBACK.to_owned(), false)]);
    assert_eq!(test.mailgun.journal().len(), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_missing_entries_can_be_copied_from_the_log() {
    let entries = format!(r"{REFUSED},{REFUSED}\?**");
    for format in ["text", "json"] {
        let mut test = TestWorker::new().await;
        test.set("LOG_FORMAT", format);
        let worker = test.start_worker();
        let refused = test.enqueue_to("ada@example.com", &format!("{REFUSED}?next=%2Fa")).await;
        test.wait_for_state(refused, "failed").await;
        let line = worker.wait_for_line("add_to_allow_list", TIMEOUT).await.unwrap();
        if format == "json" {
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(line["fields"]["add_to_allow_list"], entries);
            assert_eq!(line["fields"]["callback"], REFUSED);
        } else {
            assert!(
                without_colours(&line).contains(&format!(" callback={REFUSED} add_to_allow_list={entries}")),
                "{line}"
            );
        }
        test.finish().await;
    }
}

/// Returns a line without its ANSI colour codes.
fn without_colours(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    first + &parts.map(|part| part.split_once('m').map_or(part, |(_, text)| text)).collect::<String>()
}
