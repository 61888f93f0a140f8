//! With every `LINK_STYLE`, a retry sends exactly the same mail, even if a worker with different settings makes the
//! retry.

use chacha20poly1305::{
    Key, KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use outbox::JobId;
use sandbox::{FaultKind, Mail};
use sha2::{Digest as _, Sha256};

use crate::test_worker::{CALLBACK_URL, TestWorker, count_log_lines};

const ADA: &str = "ada@example.com";
const CONFIRM_KEY: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
const OTHER_CONFIRM_KEY: &str = "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=";
/// The `LINK_SEALING_KEY` that [`TestWorker`] sets.
const SEALING_KEY: [u8; 32] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,
    31,
];

/// Creates a test with 10-digit codes, `PUBLIC_URL`, `CONFIRM_KEY`, and the given `LINK_STYLE` and `MAIL_CODE`.
async fn test_with(style: &str, mail_code: &str) -> TestWorker {
    let mut test = TestWorker::new().await;
    test.supabase.set_otp_length(10);
    for (name, value) in [
        ("PUBLIC_URL", "https://login.example.com"),
        ("CONFIRM_KEY", CONFIRM_KEY),
        ("LINK_STYLE", style),
        ("MAIL_CODE", mail_code),
    ] {
        test.set(name, value);
    }
    test
}

/// Starts a worker, drops Mailgun's response to the first mail, and stops the worker.
async fn mail_without_answer(test: &TestWorker) -> JobId {
    test.mailgun.faults().add(FaultKind::CutAfter);
    let worker = test.start_worker();
    let job = test.enqueue(ADA).await;
    test.wait_for_state(job, "retrying").await;
    worker.terminate();
    worker.wait().await;
    job
}

/// Returns everything in a mail that its recipient or a mail program sees.
fn seen(mail: &Mail) -> (&str, &str, &str, &[(String, String)]) {
    (&mail.subject, &mail.text, &mail.html, &mail.headers)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_with_other_settings_sends_exactly_the_same_mail() {
    for (style, other_style) in
        [("confirm", "verify"), ("verify", "token_hash"), ("token_hash", "code"), ("code", "confirm")]
    {
        let mut test = test_with(style, "on").await;
        let job = mail_without_answer(&test).await;
        test.set("LINK_STYLE", other_style);
        test.set("MAIL_CODE", if other_style == "code" { "on-rate-limited" } else { "off" });
        test.set("PUBLIC_URL", "https://sign-in.example.com");
        test.set("CONFIRM_KEY", &format!("{OTHER_CONFIRM_KEY},{CONFIRM_KEY}"));
        test.set("LINK_LIFETIME", "50m");
        test.supabase.set_otp_length(6);
        let worker = test.start_worker();
        test.make_due(job).await;
        test.wait_for_state(job, "sent").await;

        let mails = test.mailgun.mails_to(ADA);
        assert_eq!(mails.len(), 2, "{style}: the stand-in must have accepted both mails");
        assert_eq!(seen(&mails[0]), seen(&mails[1]), "{style}");
        assert!(mails[0].header("Message-Id").is_some());
        assert_eq!(test.supabase.journal().len(), 1, "{style}: a second link was created");
        assert_eq!(count_log_lines(&worker, "sealed_link_unreadable"), 0, "{style}");
        test.finish_without_faults().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirm_link_whose_key_was_removed_is_replaced() {
    for key in [OTHER_CONFIRM_KEY, ""] {
        let mut test = test_with("confirm", "off").await;
        let job = mail_without_answer(&test).await;
        test.set("LINK_STYLE", "");
        test.set("CONFIRM_KEY", key);
        if key.is_empty() {
            test.set("PUBLIC_URL", "");
        }
        let worker = test.start_worker();
        test.make_due(job).await;
        test.wait_for_state(job, "sent").await;

        assert_eq!(count_log_lines(&worker, "needs a key that is not in CONFIRM_KEY"), 1);
        assert_eq!(test.supabase.journal().len(), 2);
        let mails = test.mailgun.mails_to(ADA);
        assert_ne!(mails[0].header("Message-Id"), mails[1].header("Message-Id"));
        let page = "https://login.example.com/auth/confirm/";
        assert_eq!(mails[1].link().unwrap().starts_with(page), !key.is_empty(), "{:?}", mails[1].link());
        test.finish_without_faults().await;
    }
}

/// Seals a complete link instead of its parts, as earlier versions of the worker did.
fn seal_text(link: &str, job: JobId, message_id: &str) -> Vec<u8> {
    let key_id = &Sha256::digest(SEALING_KEY)[..4];
    let mut data = vec![1];
    for part in [key_id, job.0.as_bytes(), ADA.as_bytes(), CALLBACK_URL.as_bytes(), message_id.as_bytes()] {
        data.extend((part.len() as u64).to_be_bytes());
        data.extend(part);
    }
    let nonce = [7; 24];
    let payload = Payload { msg: link.as_bytes(), aad: &data };
    let cipher = XChaCha20Poly1305::new(Key::from_slice(&SEALING_KEY));
    let ciphertext = cipher.encrypt(XNonce::from_slice(&nonce), payload).unwrap();
    [&[1][..], key_id, &nonce, &ciphertext].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_sealed_by_an_earlier_version_is_mailed_unchanged() {
    let mut test = test_with("verify", "off").await;
    let job = mail_without_answer(&test).await;
    let first = test.mailgun.mails_to(ADA).pop().unwrap();
    let link = first.link().unwrap();
    let sealed = seal_text(link, job, first.header("Message-Id").unwrap());
    sqlx::query("update email_jobs_open set sealed_link = $2 where id = $1")
        .bind(job.0)
        .bind(sealed)
        .execute(&test.admin)
        .await
        .unwrap();
    test.set("LINK_STYLE", "confirm");
    test.set("MAIL_CODE", "on");
    let _worker = test.start_worker();
    test.make_due(job).await;
    test.wait_for_state(job, "sent").await;

    let second = test.mailgun.mails_to(ADA).pop().unwrap();
    assert_eq!((second.link(), &second.subject, &second.headers), (Some(link), &first.subject, &first.headers));
    assert_eq!(test.supabase.journal().len(), 1);
    assert!(test.supabase.verify(link).await.unwrap().signed_in());
    test.finish_without_faults().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_style_only_the_code_in_the_newest_mail_works() {
    for style in ["confirm", "verify", "token_hash", "code"] {
        let test = test_with(style, "on").await;
        test.supabase.add_confirmed_user(ADA);
        let superseded = test.enqueue(ADA).await;
        let older = test.enqueue(ADA).await;
        let _worker = test.start_worker();
        test.wait_for_state(older, "sent").await;
        assert_eq!(test.job(superseded).await.state, "superseded", "{style}");
        let newer = test.enqueue(ADA).await;
        test.wait_for_state(newer, "sent").await;

        let mails = test.mailgun.mails_to(ADA);
        assert_eq!(mails.len(), 2, "{style}");
        let code = |mail: &Mail| {
            let is_code = |line: &&str| line.len() == 10 && line.bytes().all(|byte| byte.is_ascii_digit());
            mail.text.lines().find(is_code).unwrap().to_owned()
        };
        assert_eq!(test.supabase.verify_code(ADA, &code(&mails[0])).await.unwrap(), "otp_expired", "{style}");
        assert_eq!(test.supabase.verify_code(ADA, &code(&mails[1])).await.unwrap(), "signed_in", "{style}");
        test.finish_without_faults().await;
    }
}
