//! Who gets a link, depending on `SIGNUPS` and on whether the user is banned.

use crate::test_worker::{TIMEOUT, TestWorker, count_log_lines, get_ready, http_get};

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
    test.finish().await;
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
    assert!(
        link.contains("type=magiclink") && !link.contains("recovery"),
        "a recovery link was mailed: the portal would offer to set a new password"
    );
    assert!(test.supabase.verify(link).await.unwrap().signed_in());
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn short_one_time_codes_are_logged_once_and_published_as_a_metric() {
    let test = TestWorker::new().await;
    let worker = test.start_worker();
    for name in ["ada", "ben"] {
        let job = test.enqueue(&format!("{name}@example.com")).await;
        test.wait_for_state(job, "sent").await;
    }
    assert_eq!(count_log_lines(&worker, "can be guessed"), 1);
    let (_, metrics) = http_get(&worker, "/metrics").await;
    assert!(metrics.contains("magic_link_supabase_code_digits 6"), "{metrics}");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_banned_user_gets_no_mail() {
    for signups in ["allow", "deny"] {
        let mut test = TestWorker::new().await;
        test.set("SIGNUPS", signups);
        test.supabase.ban("banned@example.com");
        test.supabase.add_confirmed_user("ada@example.com");
        let worker = test.start_worker();
        let job = test.enqueue("banned@example.com").await;

        let failed = test.wait_for_state(job, "failed").await;
        assert_eq!(failed.code.as_deref(), Some("user_banned"));
        assert_eq!(test.outcomes(job).await, "generate_link reject");
        assert!(test.mailgun.journal().is_empty());
        let other = test.enqueue("ada@example.com").await;
        test.wait_for_state(other, "sent").await;
        assert_eq!(get_ready(&worker).await.0, 200);
        test.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_whose_ban_is_over_gets_a_link_that_works() {
    let test = TestWorker::new().await;
    test.supabase.ban_until("ada@example.com", chrono::Utc::now() - chrono::TimeDelta::seconds(1));
    let _worker = test.start_worker();
    test.enqueue("ada@example.com").await;
    let mail = test.mailgun.wait_for_mail("ada@example.com", TIMEOUT).await.unwrap();
    assert!(test.supabase.verify(mail.link().unwrap()).await.unwrap().signed_in());
    test.finish().await;
}
