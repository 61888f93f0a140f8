//! The verdict tables, tested with recorded and documented responses (`tests/fixtures`).

use std::{fs, path::PathBuf, time::Duration};

use reqwest::header::{HeaderMap, HeaderName, LOCATION};
use serde_json::Value;
use worker::upstream::{
    http::{CallError, UpstreamResponse},
    verdict::{
        UpstreamFailure, Verdict, mailgun, supabase,
        verify::{LinkPathAnswer, RedirectAnswer, classify_link_path, classify_redirect},
    },
};

fn fixture(path: &str) -> Value {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path);
    serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap()
}

fn mailgun_response(name: &str) -> UpstreamResponse {
    let fixture = fixture(&format!("mailgun/answer-{name}.json"));
    let headers =
        fixture["headers"].as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
    response(&fixture["status"], headers, &fixture["body"])
}

fn supabase_response(name: &str) -> UpstreamResponse {
    let recorded = fixture(&format!("supabase/{name}.json"))["response"].take();
    let headers = recorded["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()));
    response(&recorded["status"], headers, &recorded["body"])
}

fn response<'a>(status: &Value, headers: impl Iterator<Item = (&'a str, &'a str)>, body: &Value) -> UpstreamResponse {
    let headers: HeaderMap =
        headers.map(|(name, value)| (HeaderName::try_from(name).unwrap(), value.parse().unwrap())).collect();
    let status = u16::try_from(status.as_u64().unwrap()).unwrap();
    UpstreamResponse { status, headers, body: body.as_str().unwrap_or_default().into() }
}

fn label(failure: &UpstreamFailure) -> &'static str {
    match failure.verdict {
        Verdict::Retry { not_before: None } => "retry",
        Verdict::Retry { not_before: Some(_) } => "later",
        Verdict::RetryUpTo { .. } => "retry a few times",
        Verdict::Unknown => "unknown",
        Verdict::Reject => "reject",
        Verdict::RejectRecipient => "reject recipient",
        Verdict::Refused { .. } => "refused",
        Verdict::Hook => "hook",
        Verdict::Configuration { setting } => setting,
    }
}

#[test]
fn mailguns_responses_have_the_expected_verdicts() {
    assert!(mailgun::classify(&mailgun_response("200-queued")).is_ok_and(|id| id.contains('@')));
    for (name, expected, code) in [
        ("200-magnificent", "MAILGUN_DOMAIN", "mailgun_wrong_path"),
        ("400-domain-unverified", "MAILGUN_DOMAIN", "mailgun_domain_not_allowed"),
        ("400-invalid-to", "reject recipient", "recipient_refused"),
        ("400-no-body-part", "refused", "mailgun_refused"),
        ("400-sandbox", "refused", "mailgun_recipient_not_authorized"),
        ("401-forbidden-json", "MAILGUN_API_KEY", "mailgun_key_refused"),
        ("401-forbidden-text", "MAILGUN_API_KEY", "mailgun_key_refused"),
        ("403-account-disabled-field", "MAILGUN_DOMAIN", "mailgun_domain_not_allowed"),
        ("403-sandbox-field", "refused", "mailgun_recipient_not_authorized"),
        ("404-domain", "MAILGUN_DOMAIN", "mailgun_domain_not_found"),
        ("413-too-large", "reject", "mail_too_large"),
        ("420-recipient-limit-field", "later", "mailgun_rate_limited"),
        ("429-date", "later", "mailgun_rate_limited"),
        ("429-reset-header", "later", "mailgun_rate_limited"),
        ("429-seconds", "later", "mailgun_rate_limited"),
        ("500-json", "unknown", "mailgun_unavailable"),
        ("502-html", "unknown", "mailgun_unavailable"),
        ("503-empty", "unknown", "mailgun_unavailable"),
    ] {
        let failure = mailgun::classify(&mailgun_response(name)).expect_err(name);
        assert_eq!((label(&failure), failure.reason.code.as_str()), (expected, code), "{name}");
        assert!(!failure.reason.message.contains('<'), "{name}: {}", failure.reason.message);
    }
    let seconds = mailgun::classify(&mailgun_response("429-seconds")).unwrap_err();
    assert_eq!(seconds.verdict, Verdict::Retry { not_before: Some(Duration::from_secs(120)) });
}

#[test]
fn a_mail_is_accepted_only_if_the_response_contains_an_id() {
    for (body, is_accepted) in [
        (r#"{"id":"<1@mg.example.com>","message":"Queued. Thank you."}"#, true),
        (r#"{"id":"","message":"Queued."}"#, false),
        (r#"{"id":1}"#, false),
        (r#"["id"]"#, false),
        ("Queued. Thank you.", false),
        ("", false),
    ] {
        let response = UpstreamResponse { status: 200, headers: HeaderMap::new(), body: body.into() };
        let result = mailgun::classify(&response);
        assert_eq!(result.is_ok(), is_accepted, "{body}");
        assert!(
            result.is_ok() || label(&result.unwrap_err()) == "unknown",
            "{body}: the verdict must be unknown, because Mailgun may have accepted the mail"
        );
    }
    let error =
        UpstreamResponse { status: 500, headers: HeaderMap::new(), body: r#"{"id":"<1@mg.example.com>"}"#.into() };
    assert!(mailgun::classify(&error).is_err());
}

#[test]
fn supabases_responses_have_the_expected_verdicts() {
    const KEY: &str = "SUPABASE_SERVICE_ROLE_KEY";
    for (name, expected, code) in [
        ("auth-absent", KEY, "no_authorization"),
        ("auth-absent.v20240101", KEY, "no_authorization"),
        ("auth-anon-role", KEY, "not_admin"),
        ("auth-anon-role.v20240101", KEY, "not_admin"),
        ("auth-garbage-jwt", KEY, "bad_jwt"),
        ("auth-garbage-jwt.v20240101", KEY, "bad_jwt"),
        ("auth-expired-jwt.v20240101", KEY, "bad_jwt"),
        ("body-empty.v20240101", "refused", "supabase_refused"),
        ("body-too-large.v20240101", "refused", "supabase_refused"),
        ("database-down.v20240101", "retry", "supabase_unavailable"),
        ("database-hung.v20240101", "retry", "supabase_timeout"),
        ("email-malformed.v20240101", "reject recipient", "validation_failed"),
        ("email-comma-list.v20240101", "reject recipient", "validation_failed"),
        ("hook-before-user-created-rejects", "reject recipient", "hook_rejected"),
        ("hook-before-user-created-rejects.v20240101", "reject recipient", "hook_rejected"),
        ("method-get.v20240101", "refused", "supabase_wrong_url"),
        ("path-unknown.v20240101", "refused", "supabase_wrong_url"),
        ("race-first-time-loser", "retry a few times", "user_not_saved"),
        ("race-first-time-loser.v20240101", "retry a few times", "user_not_saved"),
        ("recovery-unknown-user.v20240101", "reject recipient", "unknown_user"),
        ("signup-confirmed-user.v20240101", "reject recipient", "supabase_refused"),
    ] {
        let failure = supabase::classify(&supabase_response(name));
        assert_eq!((label(&failure), failure.reason.code.as_str()), (expected, code), "{name}");
        assert!(!failure.reason.message.contains('@'), "{name}: {}", failure.reason.message);
    }
}

#[test]
fn responses_from_gateways_and_proxies_have_the_expected_verdicts() {
    let no_headers = HeaderMap::new;
    for (status, body, expected) in [
        (401, r#"{"message":"Invalid API key","hint":"Double check"}"#, "SUPABASE_SERVICE_ROLE_KEY"),
        (401, "", "SUPABASE_SERVICE_ROLE_KEY"),
        (301, "", "refused"),
        (400, "<html>Bad request</html>", "refused"),
        (402, "", "refused"),
        (403, "<html>Forbidden</html>", "refused"),
        (404, "<html>Not found</html>", "refused"),
        (406, "<html>Not acceptable</html>", "refused"),
        (410, "", "refused"),
        (421, "<html>Misdirected</html>", "refused"),
        (431, "", "refused"),
        (429, "", "later"),
        (200, "<html>Welcome</html>", "retry"),
        (502, "<html>Bad gateway</html>", "retry"),
        (540, "", "retry"),
    ] {
        let response = UpstreamResponse { status, headers: no_headers(), body: body.into() };
        assert_eq!(label(&supabase::classify(&response)), expected, "{status} {body}");
    }
    for (status, body, expected) in [
        (301, "", "refused"),
        (404, "404 page not found", "refused"),
        (403, "", "refused"),
        (410, "", "refused"),
        (402, "", "MAILGUN_API_KEY"),
        (429, "", "later"),
        (408, "", "unknown"),
        (400, r#"{"message":"from parameter is not a valid address. please check documentation"}"#, "MAIL_FROM"),
    ] {
        let response = UpstreamResponse { status, headers: no_headers(), body: body.into() };
        assert_eq!(label(&mailgun::classify(&response).unwrap_err()), expected, "{status} {body}");
    }
}

#[test]
fn a_failing_hook_is_distinguished_from_a_rejecting_hook() {
    for (status, body, expected) in [
        (403, r#"{"code":"unknown","message":"Accounts are by invitation only"}"#, "reject recipient"),
        (400, r#"{"code":"unknown","message":"No"}"#, "reject recipient"),
        (422, r#"{"code":"unknown","message":"No"}"#, "reject recipient"),
        (429, r#"{"code":"unknown","message":"try again after 600 seconds"}"#, "hook"),
        (500, r#"{"code":"unknown","message":"No"}"#, "hook"),
        (503, r#"{"code":"unknown","message":"No"}"#, "hook"),
        (422, r#"{"code":"hook_timeout","message":"Failed to reach hook within maximum time"}"#, "hook"),
        (422, r#"{"code":"hook_timeout_after_retry","message":"Failed to reach hook after maximum retries"}"#, "hook"),
        (400, r#"{"code":"hook_payload_invalid_content_type","message":"Invalid JSON"}"#, "hook"),
        (413, r#"{"code":"hook_payload_over_size_limit","message":"Payload size exceeded"}"#, "hook"),
        (
            500,
            r#"{"code":"unexpected_failure","message":"Error running hook URI: pg-functions://postgres/public/h"}"#,
            "hook",
        ),
        (
            500,
            r#"{"code":500,"error_code":"unexpected_failure","msg":"Unexpected status code returned from hook: 500"}"#,
            "hook",
        ),
        (500, r#"{"code":"unexpected_failure","message":"Database error finding user"}"#, "retry"),
    ] {
        let response = UpstreamResponse { status, headers: HeaderMap::new(), body: body.into() };
        assert_eq!(label(&supabase::classify(&response)), expected, "{status} {body}");
    }
}

#[test]
fn only_a_lost_response_from_mailgun_has_the_verdict_unknown() {
    let why = || "connection reset".to_owned();
    assert_eq!(label(&mailgun::classify_call_error(&CallError::NotSent(why()))), "retry");
    assert_eq!(label(&mailgun::classify_call_error(&CallError::ResponseLost(why()))), "unknown");
    assert_eq!(label(&supabase::classify_call_error(&CallError::NotSent(why()))), "retry");
    assert_eq!(label(&supabase::classify_call_error(&CallError::ResponseLost(why()))), "retry");
}

#[test]
fn only_a_redirect_by_verify_shows_whether_a_callback_is_allowed() {
    const CALLBACK: &str = "https://portal.example.com/auth/callback?next=%2Fprojects%2F42";
    const ERROR: &str = "#error=access_denied&error_code=otp_expired&error_description=Email+link+is+invalid&sb=";
    let refused = |leads_to: &str| RedirectAnswer::Refused { leads_to: leads_to.to_owned() };
    for (status, location, expected) in [
        (303, format!("{CALLBACK}{ERROR}"), RedirectAnswer::Allowed),
        (303, CALLBACK.to_owned(), RedirectAnswer::Allowed),
        (303, format!("https://www.example.org{ERROR}"), refused("https://www.example.org")),
        (303, format!("https://www.example.org/welcome?a=b{ERROR}"), refused("https://www.example.org/welcome?a=b")),
        // The text of this URL starts with the portal's origin, but its host is different.
        (
            303,
            format!("https://portal.example.com.evil.example/{ERROR}"),
            refused("https://portal.example.com.evil.example/"),
        ),
        // URLs that have the callback's origin but differ from the callback.
        (303, format!("{CALLBACK}1{ERROR}"), RedirectAnswer::Unclear),
        (303, format!("https://portal.example.com/auth/callback?next=/projects/42{ERROR}"), RedirectAnswer::Unclear),
        // Redirects by a gateway or a login page.
        (303, "https://login.example.org/?back=verify".to_owned(), RedirectAnswer::Unclear),
        (
            303,
            "https://www.example.org#error=server_error&error_code=unexpected_failure".to_owned(),
            RedirectAnswer::Unclear,
        ),
        (303, "/login".to_owned(), RedirectAnswer::Unclear),
        (303, String::new(), RedirectAnswer::Unclear),
        (302, format!("{CALLBACK}{ERROR}"), RedirectAnswer::Unclear),
        (200, format!("{CALLBACK}{ERROR}"), RedirectAnswer::Unclear),
        (429, String::new(), RedirectAnswer::Unclear),
        (500, String::new(), RedirectAnswer::Unclear),
    ] {
        let headers = HeaderMap::from_iter([(LOCATION, location.parse().unwrap())]);
        let response = UpstreamResponse { status, headers, body: Vec::new() };
        assert_eq!(classify_redirect(&response, CALLBACK), expected, "{status} {location}");
    }
    assert_eq!(
        classify_redirect(&UpstreamResponse { status: 303, ..UpstreamResponse::default() }, CALLBACK),
        RedirectAnswer::Unclear
    );
    assert_eq!(classify_redirect(&supabase_response("verify-get-second"), CALLBACK), RedirectAnswer::Allowed);
}

#[test]
fn only_a_404_means_that_no_server_serves_the_link_path() {
    for (status, expected) in [
        (303, LinkPathAnswer::Served),
        (404, LinkPathAnswer::NotFound),
        (200, LinkPathAnswer::Unclear),
        (302, LinkPathAnswer::Unclear),
        (403, LinkPathAnswer::Unclear),
        (405, LinkPathAnswer::Unclear),
        (429, LinkPathAnswer::Unclear),
        (502, LinkPathAnswer::Unclear),
    ] {
        let response = UpstreamResponse { status, ..UpstreamResponse::default() };
        assert_eq!(classify_link_path(&response), expected, "{status}");
    }
}
