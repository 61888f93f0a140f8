//! `magic-link-worker mail send-test`: sends one mail that belongs to no job.

use crate::test_worker::{TestWorker, spawn};

const TO: [&str; 4] = ["mail", "send-test", "--to", "ada@example.com"];

/// Runs the command. Returns its exit code and its output.
async fn send_test(test: &TestWorker, more: &[&str]) -> (Option<i32>, String) {
    let command = spawn(test.settings(), &[&TO[..], more].concat());
    (command.wait().await.code(), command.log().join("\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_mail_is_marked_as_a_test_and_belongs_to_no_job() {
    let mut test = TestWorker::new().await;
    test.set("PUBLIC_URL", "https://login.example.org");
    let (code, printed) = send_test(&test, &["--language", "de", "--style", "link-and-code"]).await;
    assert_eq!(code, Some(0), "{printed}");
    let mail = test.mailgun.mails_to("ada@example.com").pop().unwrap();
    assert!(printed.contains(&format!("sent: {}", mail.message_id)), "{printed}");
    assert!(mail.subject.starts_with("[Test] Ihr Anmeldelink für portal.example.com, "), "{}", mail.subject);
    let notice = "This is a test mail. Its link and its code do not work.";
    assert!(mail.text.starts_with(&format!("{notice}\n\nBei portal.example.com anmelden\n")), "{}", mail.text);
    assert!(mail.html.contains(notice), "{}", mail.html);
    assert_eq!(mail.link(), Some("https://login.example.org/auth/confirm/test"));
    assert_eq!((mail.variables.len(), mail.option("tag")), (0, Some("test")));
    assert!(test.supabase.journal().is_empty(), "a test mail must not request a link from Supabase");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reason_is_printed_if_a_test_mail_cannot_be_sent() {
    let mut test = TestWorker::new().await;
    for (more, problem) in [
        (&["--language", "pt"][..], "mails are not available in the language `pt`"),
        (&["--portal", "shop"], "there is no portal `shop`"),
    ] {
        let (code, printed) = send_test(&test, more).await;
        assert!(code == Some(1) && printed.contains(problem), "{code:?}: {printed}");
    }
    let refused = spawn(test.settings(), &["mail", "send-test", "--to", "ada"]);
    assert_eq!(refused.wait().await.code(), Some(2), "{:?}", refused.log());
    test.set("MAILGUN_API_KEY", "wrong");
    let (code, printed) = send_test(&test, &[]).await;
    assert!(code == Some(1) && printed.contains("mailgun_key_refused"), "{code:?}: {printed}");
    test.set("MAILGUN_DOMAIN", "");
    let (code, printed) = send_test(&test, &[]).await;
    assert!(code == Some(2) && printed.contains("MAILGUN_DOMAIN: is empty"), "{code:?}: {printed}");
    assert!(test.mailgun.mails().is_empty());
    test.finish().await;
}
