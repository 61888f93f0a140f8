//! `LINK_STYLE` and `MAIL_CODE`: what a mail of each style contains, and whether the person can sign in with its link
//! or code.

use confirm::{ConfirmKeys, Content};
use sandbox::{Mail, Program, eventually};

use crate::test_worker::{CALLBACK_URL, TestWorker, count_log_lines, get_ready, http_get};

const ADA: &str = "ada@example.com";
const CONFIRM_KEY: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
const PUBLIC_URL: &str = "https://login.example.com";

/// Creates a test with 10-digit codes, `PUBLIC_URL` and `CONFIRM_KEY`.
async fn confirm_test() -> TestWorker {
    let mut test = TestWorker::new().await;
    test.supabase.set_otp_length(10);
    test.set("PUBLIC_URL", PUBLIC_URL);
    test.set("CONFIRM_KEY", CONFIRM_KEY);
    test
}

/// Requests a link and waits for its mail.
async fn mail_to(test: &TestWorker, recipient: &str, callback_url: &str) -> Mail {
    let job = test.enqueue_to(recipient, callback_url).await;
    test.wait_for_state(job, "sent").await;
    test.mailgun.mails_to(recipient).pop().unwrap()
}

fn keys(text: &str) -> ConfirmKeys {
    text.parse().unwrap_or_else(|error: &str| panic!("{error}"))
}

/// Decodes a link as the confirm page does.
fn content(link: &str) -> Content {
    let payload = link.strip_prefix(&format!("{PUBLIC_URL}/auth/confirm/")).unwrap_or_else(|| panic!("{link}"));
    keys(CONFIRM_KEY).decode(payload).unwrap_or_else(|error| panic!("{error}: {link}"))
}

/// The URL that the button of the confirm page leads to.
fn behind_the_button(content: &Content) -> String {
    let parameters =
        [("token", content.token_hash.as_str()), ("type", "email"), ("redirect_to", content.callback_url.as_str())];
    url::Url::parse_with_params(&content.verify_url, parameters).unwrap().into()
}

/// Follows a link of this style. Returns `signed_in`, or Supabase's error code.
async fn follow(test: &TestWorker, style: &str, link: &str) -> String {
    let outcome = match style {
        "confirm" => test.supabase.verify(&behind_the_button(&content(link))).await.unwrap(),
        "verify" => test.supabase.verify(link).await.unwrap(),
        _ => {
            let hash = link.split_once("token_hash=").unwrap().1.split('&').next().unwrap();
            return test.supabase.verify_token_hash(hash).await.unwrap();
        }
    };
    if outcome.signed_in() { "signed_in".to_owned() } else { outcome.code }
}

/// The one-time code in a mail: a line of digits in the text, and the same digits in the HTML.
fn code_in(mail: &Mail) -> Option<&str> {
    let is_code = |line: &&str| line.len() > 5 && line.bytes().all(|byte| byte.is_ascii_digit());
    let code = mail.text.lines().find(is_code)?;
    assert!(mail.html.contains(&format!(">{code}</p>")), "{}", mail.html);
    Some(code)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirm_link_leads_to_the_page_and_from_there_to_the_callback() {
    let test = confirm_test().await;
    let _worker = test.start_worker();
    for (recipient, is_known) in [("new@example.com", false), ("known@example.com", true)] {
        if is_known {
            test.supabase.add_confirmed_user(recipient);
        }
        let mail = mail_to(&test, recipient, CALLBACK_URL).await;
        let link = mail.link().unwrap();
        let content = content(link);
        assert_eq!(content.recipient.as_deref(), Some(recipient));
        assert_eq!((content.callback_url.as_str(), content.shown_host.as_str()), (CALLBACK_URL, "example.com"));
        assert!(!content.has_code && code_in(&mail).is_none());
        assert_eq!(content.verify_url, format!("{}/auth/v1/verify", test.supabase.url()));
        assert!(mail.html.contains(&format!("href=\"{link}\"")));
        let outcome = test.supabase.verify(&behind_the_button(&content)).await.unwrap();
        assert!(outcome.signed_in(), "{recipient}: {outcome:?}");
        assert_eq!(outcome.redirect_to, CALLBACK_URL);
    }
    test.finish_without_faults().await;
}

/// Supabase creates three kinds of links: `magiclink`, `signup` for new users, and `recovery` with `SIGNUPS=deny`.
#[tokio::test(flavor = "multi_thread")]
async fn links_and_codes_of_every_style_work_for_every_kind_of_account() {
    for signups in ["allow", "deny"] {
        for style in ["confirm", "verify", "token_hash", "code"] {
            let mut test = confirm_test().await;
            test.set("SIGNUPS", signups);
            test.set("LINK_STYLE", style);
            test.set("MAIL_CODE", "on");
            let _worker = test.start_worker();
            for account in ["confirmed", "unconfirmed", "new"] {
                let recipient = format!("{account}@example.com");
                match account {
                    "confirmed" => test.supabase.add_confirmed_user(&recipient),
                    "unconfirmed" => test.supabase.add_user(&recipient),
                    _ if signups == "deny" => continue,
                    _ => {}
                }
                let case = format!("{signups} {style} {account}");
                if style != "code" {
                    let mail = mail_to(&test, &recipient, CALLBACK_URL).await;
                    assert_eq!(follow(&test, style, mail.link().unwrap()).await, "signed_in", "{case}");
                }
                let mail = mail_to(&test, &recipient, CALLBACK_URL).await;
                let code = code_in(&mail).unwrap();
                assert_eq!(test.supabase.verify_code(&recipient, code).await.unwrap(), "signed_in", "{case}");
            }
            test.finish_without_faults().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirm_link_that_would_be_too_long_is_shortened_or_replaced() {
    let test = confirm_test().await;
    let _worker = test.start_worker();
    let callback = |length: usize| format!("https://example.com/auth/callback?next=%2F{}", "a".repeat(length));
    let length_of = async |length| mail_to(&test, ADA, &callback(length)).await.link().unwrap().to_owned();

    // Four characters of the payload encode three characters of the callback.
    let longest_with_address = 1_200 + (2_000 - length_of(1_200).await.len()) / 4 * 3;
    let link = length_of(longest_with_address - 3).await;
    assert!(link.len() <= 2_000 && content(&link).recipient.is_some(), "{}", link.len());
    let link = length_of(longest_with_address + 5).await;
    assert!(link.len() <= 2_000 && content(&link).recipient.is_none(), "{}", link.len());
    let link = length_of(longest_with_address + 40).await;
    assert!(link.len() <= 2_083 && link.starts_with(&test.supabase.url()), "{link}");
    assert!(test.supabase.verify(&link).await.unwrap().signed_in());
    test.finish_without_faults().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_hash_link_leads_to_the_callback_and_the_portal_verifies_the_hash() {
    let mut test = TestWorker::new().await;
    test.set("LINK_STYLE", "token_hash");
    let _worker = test.start_worker();
    for (recipient, callback, rest) in [
        ("new@example.com", CALLBACK_URL, "?next=%2Fprojects%2F42&"),
        ("bare@example.com", "https://example.com/auth/callback", "?"),
        ("odd@example.com", "https://example.com/auth/callback?type=recovery&a=%20b&token_hash=x", "?a=%20b&"),
    ] {
        let mail = mail_to(&test, recipient, callback).await;
        let link = mail.link().unwrap();
        let hash = link.strip_prefix(&format!("https://example.com/auth/callback{rest}token_hash="));
        let hash = hash.and_then(|rest| rest.strip_suffix("&type=email")).unwrap_or_else(|| panic!("{link}"));
        assert_eq!(test.supabase.verify_token_hash(hash).await.unwrap(), "signed_in");
        assert_eq!(test.supabase.verify_token_hash(hash).await.unwrap(), "otp_expired");
    }
    test.finish_without_faults().await;
}

/// A token hash link leads to the portal, not to Supabase. In some deployments, only the portal can reach Supabase's
/// address.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_hash_link_needs_neither_the_verify_address_nor_the_redirect_allow_list() {
    let mut test = TestWorker::new().await;
    test.set("LINK_STYLE", "token_hash");
    test.set("LINK_ORIGINS", "https://auth.example.com");
    test.supabase.set_verify_path("/verify");
    test.supabase.set_allow_list(&[]);
    let worker = test.start_worker();
    let mail = mail_to(&test, ADA, CALLBACK_URL).await;
    assert!(mail.link().unwrap().starts_with(CALLBACK_URL));
    assert!(test.supabase.verify_journal().is_empty(), "settings that have no effect were checked");
    assert_eq!(count_log_lines(&worker, "\"level\":\"ERROR\""), 0);
    test.finish_without_faults().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_style_code_a_mail_has_a_working_code_and_no_link() {
    let mut test = confirm_test().await;
    test.set("LINK_STYLE", "code");
    test.set("MAIL_CODE", "on");
    let _worker = test.start_worker();
    let mail = mail_to(&test, ADA, CALLBACK_URL).await;
    assert!(mail.link().is_none() && !mail.html.contains("href") && !mail.html.contains("://"), "{}", mail.html);
    assert!(mail.subject.starts_with("Your sign-in code for example.com, "), "{}", mail.subject);
    let code = code_in(&mail).unwrap();
    assert_eq!(code.len(), 10);
    assert_eq!(test.supabase.verify_code(ADA, code).await.unwrap(), "signed_in");
    assert_eq!(test.supabase.verify_code(ADA, code).await.unwrap(), "otp_expired");
    test.finish_without_faults().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_code_invalidates_its_link_and_appears_only_in_the_mail_bodies() {
    for style in ["confirm", "verify", "token_hash"] {
        let mut test = confirm_test().await;
        test.set("LINK_STYLE", style);
        test.set("MAIL_CODE", "on");
        let _worker = test.start_worker();
        let mail = mail_to(&test, ADA, CALLBACK_URL).await;
        let (link, code) = (mail.link().unwrap(), code_in(&mail).unwrap());
        let words = mail.text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("Type it only at example.com:"), "{words}");
        let outside = format!("{} {:?} {:?} {:?}", mail.subject, mail.headers, mail.options, mail.variables);
        assert!(!outside.contains(code), "{outside}");
        if style == "confirm" {
            assert!(content(link).has_code);
        }
        assert_eq!(test.supabase.verify_code(ADA, code).await.unwrap(), "signed_in", "{style}");
        let outcome = follow(&test, style, link).await;
        assert_eq!(outcome, "otp_expired", "{style}");
        test.finish_without_faults().await;
    }
}

async fn metric(worker: &Program, line: &str) {
    let (_, metrics) = http_get(worker, "/metrics").await;
    assert!(metrics.lines().any(|found| found == line), "{line} is missing:\n{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn short_codes_are_not_mailed_and_one_error_line_shows_supabases_setting() {
    for (mail_code, too_short, long_enough) in [("on", 9, 10), ("on-rate-limited", 7, 8)] {
        let mut test = confirm_test().await;
        test.set("MAIL_CODE", mail_code);
        test.supabase.set_otp_length(too_short);
        let worker = test.start_worker();
        let errors = || count_log_lines(&worker, "too short to be mailed");
        for _ in 0..2 {
            let mail = mail_to(&test, ADA, CALLBACK_URL).await;
            assert!(code_in(&mail).is_none() && mail.link().is_some(), "{}", mail.text);
            assert!(!content(mail.link().unwrap()).has_code);
        }
        assert_eq!(errors(), 1, "{mail_code}");
        assert_eq!(count_log_lines(&worker, "MAILER_OTP_LENGTH"), 1, "{mail_code}");
        metric(&worker, "magic_link_code_too_short_total 2").await;

        test.supabase.set_otp_length(long_enough);
        assert_eq!(code_in(&mail_to(&test, ADA, CALLBACK_URL).await).map(str::len), Some(long_enough));
        test.supabase.set_otp_length(too_short);
        assert!(code_in(&mail_to(&test, ADA, CALLBACK_URL).await).is_none());
        assert_eq!(errors(), 2, "{mail_code}: a changed length must be logged again");
        test.finish_without_faults().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_mail_code_no_code_is_mailed() {
    let test = confirm_test().await;
    let worker = test.start_worker();
    let mail = mail_to(&test, ADA, CALLBACK_URL).await;
    let code = test.supabase.live_codes().pop().unwrap();
    assert!(code.len() == 10 && !mail.text.contains(&code) && !mail.html.contains(&code));
    metric(&worker, "magic_link_code_too_short_total 0").await;
    test.finish_without_faults().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_style_code_short_codes_stop_all_mail_until_the_setting_is_changed() {
    let mut test = confirm_test().await;
    test.set("LINK_STYLE", "code");
    test.set("MAIL_CODE", "on");
    test.supabase.set_otp_length(6);
    let worker = test.start_worker();
    let job = test.enqueue(ADA).await;
    let health = eventually("a stop with the code code_too_short", async || match get_ready(&worker).await {
        (503, health) if health["checks"]["supabase"]["code"] == "code_too_short" => Ok(health),
        (_, health) => Err(health.to_string()),
    })
    .await;
    assert_eq!(health["checks"]["supabase"]["setting"], "MAILER_OTP_LENGTH");
    assert!(test.mailgun.journal().is_empty());

    test.supabase.set_otp_length(10);
    let done = test.wait_for_state(job, "sent").await;
    assert_eq!(done.attempt, 1, "a configuration error was counted as an attempt");
    assert!(code_in(&test.mailgun.mails_to(ADA)[0]).is_some());
    assert_eq!(count_log_lines(&worker, "\"level\":\"ERROR\""), 1);
    test.finish_without_faults().await;
}

/// Starts a worker with these additional settings, and returns the variables for which it reports an error.
async fn setting_errors(test: &TestWorker, settings: &[(&str, &str)]) -> Vec<String> {
    let mut all = test.settings().to_vec();
    all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let worker = crate::test_worker::spawn(&all, &[]);
    assert_eq!(worker.wait().await.code(), Some(2), "{settings:?}: {:?}", worker.log());
    let log = worker.log();
    assert!(!log.concat().contains("sesame") && !log.concat().contains(CONFIRM_KEY), "{log:?}");
    log.iter().filter_map(|line| line.split_once(": ")).map(|(variable, _)| variable.to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_does_not_start_if_its_link_settings_do_not_fit_together() {
    let test = TestWorker::new().await;
    let (url, key) = (("PUBLIC_URL", PUBLIC_URL), ("CONFIRM_KEY", CONFIRM_KEY));
    for (settings, errors) in [
        (vec![("LINK_STYLE", "confirm")], vec!["PUBLIC_URL", "CONFIRM_KEY"]),
        (vec![("LINK_STYLE", "confirm"), url], vec!["CONFIRM_KEY"]),
        (vec![("LINK_STYLE", "confirm"), key], vec!["PUBLIC_URL"]),
        // Without LINK_STYLE, setting only PUBLIC_URL or only CONFIRM_KEY is an error, as in the api.
        (vec![url], vec!["CONFIRM_KEY"]),
        (vec![key], vec!["PUBLIC_URL"]),
        (vec![("LINK_STYLE", "magic"), url, key], vec!["LINK_STYLE"]),
        (vec![("LINK_STYLE", "code")], vec!["MAIL_CODE"]),
        (vec![("MAIL_CODE", "yes")], vec!["MAIL_CODE"]),
        (vec![key, ("PUBLIC_URL", "http://login.example.com")], vec!["PUBLIC_URL"]),
        (vec![key, ("PUBLIC_URL", "https://login.example.com/?a=b")], vec!["PUBLIC_URL"]),
        (vec![key, ("PUBLIC_URL", "https://ann:sesame@login.example.com")], vec!["PUBLIC_URL"]),
        (vec![url, ("CONFIRM_KEY", "sesame")], vec!["CONFIRM_KEY"]),
    ] {
        assert_eq!(setting_errors(&test, &settings).await, errors, "{settings:?}");
    }
    test.finish_without_faults().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_is_logged_if_sender_and_link_have_different_domains() {
    const WARNING: &str = "PUBLIC_URL and MAIL_FROM have different registrable domains";
    for (public_url, is_warned_of) in [("https://login.example.org", true), ("https://login.example.com", false)] {
        let mut test = TestWorker::new().await;
        test.set("PUBLIC_URL", public_url);
        test.set("CONFIRM_KEY", CONFIRM_KEY);
        let worker = test.start_worker();
        mail_to(&test, ADA, CALLBACK_URL).await;
        assert_eq!(count_log_lines(&worker, WARNING), usize::from(is_warned_of), "{public_url}");
        test.finish_without_faults().await;
    }
}
