//! With every `LINK_STYLE`, no log, metric, error or table contains a token hash, a code or a link.

use confirm::ConfirmKeys;
use sandbox::{Fault, Mail};

use crate::test_worker::{TIMEOUT, TestWorker, http_get};

const CONFIRM_KEY: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

#[tokio::test(flavor = "multi_thread")]
async fn no_log_metric_error_or_table_contains_a_token_hash_code_or_link() {
    for style in ["confirm", "verify", "token_hash", "code"] {
        let mut test = TestWorker::new().await;
        test.supabase.set_otp_length(10);
        for (name, value) in [
            ("RUST_LOG", "trace"),
            ("PUBLIC_URL", "https://login.example.com"),
            ("CONFIRM_KEY", CONFIRM_KEY),
            ("LINK_STYLE", style),
            ("MAIL_CODE", "on"),
        ] {
            test.set(name, value);
        }
        // Mailgun accepts the first mail, but the response is lost, so this mail's sealed link stays in the tables.
        test.mailgun.faults().add(Fault::from(sandbox::FaultKind::CutAfter).to("tim@example.com"));
        let worker = test.start_worker();
        let waiting = test.enqueue("tim@example.com").await;
        test.wait_for_state(waiting, "retrying").await;
        let done = test.enqueue("ada@example.com").await;
        test.wait_for_state(done, "sent").await;
        worker.wait_for_line("\"state\":\"sent\"", TIMEOUT).await.unwrap();

        let (_, metrics) = http_get(&worker, "/metrics").await;
        let (_, health) = http_get(&worker, "/health/ready").await;
        let tables = test.dump().await;
        assert!(tables.contains("tim@example.com") && tables.contains("mailgun_no_answer"), "{tables}");
        let log = worker.log().join("\n");
        assert!(log.contains("RUST_LOG=trace"), "the worker does not log at trace");
        let secrets: Vec<String> = test.mailgun.mails().iter().flat_map(|mail| secrets_in(style, mail)).collect();
        assert!(secrets.len() >= 4, "{style}: {secrets:?}");
        for secret in secrets.iter().map(String::as_str).chain([CONFIRM_KEY, "/auth/confirm/", "token_hash="]) {
            // A `bytea` column is dumped as hexadecimal digits.
            let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            for (place, text) in [("log", &log), ("metrics", &metrics), ("health", &health), ("tables", &tables)] {
                let line = text.lines().find(|line| line.contains(secret) || line.contains(&hex));
                assert!(line.is_none(), "{style}: {secret} is in the {place}: {line:?}");
            }
        }
        test.finish_without_faults().await;
    }
}

/// Returns the secrets of a mail: its code, its token hash, its link if it has one, and the payload if that link is a
/// confirm link.
fn secrets_in(style: &str, mail: &Mail) -> Vec<String> {
    let is_code = |line: &&str| line.len() == 10 && line.bytes().all(|byte| byte.is_ascii_digit());
    let code = mail.text.lines().find(is_code).unwrap().to_owned();
    // Calculate the token hash as Supabase does.
    let hash = {
        use sha2::{Digest as _, Sha224};
        let hash = Sha224::digest(format!("{}{code}", mail.to[0]));
        hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let Some(link) = mail.link() else { return vec![code, hash] };
    if style != "confirm" {
        assert!(link.contains(&hash), "{link}");
        return vec![code, hash, link.to_owned()];
    }
    let payload = link.rsplit('/').next().unwrap().to_owned();
    let keys: ConfirmKeys = CONFIRM_KEY.parse().unwrap_or_else(|error: &str| panic!("{error}"));
    let content = keys.decode(&payload).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(content.token_hash, hash);
    vec![code, hash, link.to_owned(), payload]
}
