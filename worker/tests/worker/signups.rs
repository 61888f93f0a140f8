//! The setting `SIGNUPS`: whether an address without an account gets one.

use crate::test_worker::{TIMEOUT, TestWorker, count_log_lines, http_get};

#[tokio::test(flavor = "multi_thread")]
async fn with_denied_signups_an_unknown_address_gets_no_mail_and_no_account() {
    let mut test = TestWorker::new().await;
    test.set("SIGNUPS", "deny");
    let _worker = test.start_worker();
    let job = test.enqueue("stranger@example.com").await;

    let done = test.wait_for_state(job, "failed").await;
    assert_eq!(done.code.as_deref(), Some("unknown_user"));
    assert!(test.supabase.users().is_empty());
    assert!(test.mailgun.journal().is_empty());
    assert_eq!(test.supabase.journal()[0].kind, "recovery");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_denied_signups_a_known_user_gets_a_magic_link() {
    let mut test = TestWorker::new().await;
    test.set("SIGNUPS", "deny");
    test.supabase.add_confirmed_user("ada@example.com");
    let _worker = test.start_worker();
    let job = test.enqueue("ada@example.com").await;

    let mail = test.mailgun.wait_for_mail("ada@example.com", TIMEOUT).await.unwrap();
    test.wait_for_state(job, "sent").await;
    let link = mail.link().unwrap();
    assert!(link.contains("type=magiclink") && !link.contains("recovery"), "the page would offer a new password");
    assert!(test.supabase.verify(link).await.unwrap().signed_in());
}

#[tokio::test(flavor = "multi_thread")]
async fn short_one_time_codes_are_logged_once_and_shown_as_a_metric() {
    let test = TestWorker::new().await;
    let worker = test.start_worker();
    for name in ["ada", "ben"] {
        let job = test.enqueue(&format!("{name}@example.com")).await;
        test.wait_for_state(job, "sent").await;
    }
    assert_eq!(count_log_lines(&worker, "can be guessed"), 1);
    let (_, metrics) = http_get(&worker, "/metrics").await;
    assert!(metrics.contains("magic_link_supabase_code_digits 6"), "{metrics}");
}
