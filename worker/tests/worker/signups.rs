//! Strangers: whether an address without an account gets one.

use crate::bench::{Bench, PATIENCE, get, lines};

#[tokio::test(flavor = "multi_thread")]
async fn denied_signups_mail_a_stranger_nothing_and_create_nobody() {
    let mut bench = Bench::new().await;
    bench.set("SIGNUPS", "deny");
    let _worker = bench.start_worker();
    let job = bench.enqueue("stranger@example.com").await;

    let done = bench.wait_for_state(job, "failed").await;
    assert_eq!(done.code.as_deref(), Some("unknown_user"));
    assert!(bench.supabase.users().is_empty());
    assert!(bench.mailgun.journal().is_empty());
    assert_eq!(bench.supabase.journal()[0].kind, "recovery");
}

#[tokio::test(flavor = "multi_thread")]
async fn denied_signups_sign_a_known_person_in_by_a_magic_link() {
    let mut bench = Bench::new().await;
    bench.set("SIGNUPS", "deny");
    bench.supabase.add_confirmed_user("ada@example.com");
    let _worker = bench.start_worker();
    let job = bench.enqueue("ada@example.com").await;

    let mail = bench.mailgun.wait_for_mail("ada@example.com", PATIENCE).await.unwrap();
    bench.wait_for_state(job, "sent").await;
    let link = mail.link().unwrap();
    assert!(link.contains("type=magiclink") && !link.contains("recovery"), "the page would offer a new password");
    assert!(bench.supabase.verify(link).await.unwrap().signed_in());
}

#[tokio::test(flavor = "multi_thread")]
async fn short_one_time_codes_are_warned_of_once_and_shown() {
    let bench = Bench::new().await;
    let worker = bench.start_worker();
    for name in ["ada", "ben"] {
        let job = bench.enqueue(&format!("{name}@example.com")).await;
        bench.wait_for_state(job, "sent").await;
    }
    assert_eq!(lines(&worker, "can be guessed"), 1);
    let (_, metrics) = get(&worker, "/metrics").await;
    assert!(metrics.contains("magic_link_supabase_code_digits 6"), "{metrics}");
}
