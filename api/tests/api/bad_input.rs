//! Invalid requests: each gets the right error response, and none creates a job.

use serde_json::{Value, json};

use crate::{
    harness::{PATH, PORTAL, TestApi, post},
    http::{HttpResponse, RawRequest},
};

/// Asserts that the response has the published error object.
fn assert_error(response: &HttpResponse, status: u16, code: &str, what: &str) {
    assert_eq!((response.status, response.code().as_str()), (status, code), "{what}: {response:?}");
    assert_eq!(response.header("content-type"), Some("application/json"), "{what}");
    assert!(response.header("x-request-id").is_some(), "{what}");
    assert!(response.json()["error"].as_str().is_some_and(|error| !error.is_empty()), "{what}");
}

fn issue_paths(response: &HttpResponse) -> Vec<String> {
    let body = response.json();
    let issues = body["issues"].as_array().cloned().unwrap_or_default();
    for issue in &issues {
        let first = &body["fieldErrors"][issue["path"].as_str().unwrap()];
        assert!(first.is_string(), "fieldErrors has a message for each path: {body}");
    }
    issues.iter().map(|issue| issue["path"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_body_that_is_not_one_json_document_is_invalid_json() {
    let api = TestApi::start(&[]).await;
    let deep = format!(r#"{{"email":"a@b","x":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    let bodies: [&[u8]; 12] = [
        b"",
        b" ",
        b"{",
        b"hello",
        b"{'email':'a@b'}",
        b"{\"email\":\"a@b\"} {}",
        b"{\"email\":\"a@b\",}",
        br#"{"email":"a@b","email":"c@d"}"#,
        br#"{"email":"a@b","x":{"y":1,"y":1}}"#,
        br#"{"email":"\ud800@b"}"#,
        b"{\"email\":\"\xff@b\"}",
        deep.as_bytes(),
    ];
    for body in bodies {
        let response = post(body).header("Origin", PORTAL).send(api.public).await;
        let what = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        assert_error(&response, 400, "invalid_json", &what);
        assert!(!response.json()["error"].as_str().unwrap().contains("line"), "parser internals: {response:?}");
    }
    assert!(api.jobs().await.is_empty());
}

#[tokio::test]
async fn a_body_that_is_not_an_object_has_one_issue_for_the_whole_body() {
    let api = TestApi::start(&[]).await;
    for body in ["null", "[]", "1", "true", r#""a@b""#, r#"[{"email":"a@b"}]"#] {
        let response = post(body).header("Origin", PORTAL).send(api.public).await;
        assert_error(&response, 400, "invalid_request", body);
        assert_eq!(issue_paths(&response), [""], "{body}");
    }
}

#[tokio::test]
async fn a_bad_address_is_an_issue_with_the_email_field() {
    let api = TestApi::start(&[]).await;
    // This address is valid except for its length of 255 bytes.
    let host = ["b".repeat(60), "c".repeat(60), "d".repeat(56)].join(".") + ".example.com";
    let too_long = format!("{}@{host}", "a".repeat(64));
    assert_eq!(too_long.len(), 255);
    let addresses = [
        json!(null),
        json!(1),
        json!(true),
        json!(["a@b"]),
        json!({"a": "b"}),
        json!(""),
        json!("  "),
        json!("hello"),
        json!("a@b.c,d@e.f"),
        json!("a@b.c;d@e.f"),
        json!("a@b.c d@e.f"),
        json!("a@b.c, d@e.f"),
        json!("a@@b.c"),
        json!("a@b.c@d.e"),
        json!("A <a@b.c>"),
        json!("\"a\"@b.c"),
        json!("a@b.c\r\nBcc: d@e.f"),
        json!("a@b.c\n"),
        json!("a\u{0}@b.c"),
        json!("a@b.c\u{0}"),
        json!("a@b.c\u{ff0c}d@e.f"),
        json!("a@b.c\u{ff20}d"),
        json!("a@localhost"),
        json!("a@💩.example"),
        json!("a@xn--a.example"),
        json!("a@exam\u{ad}ple.com"),
        json!("jürgen@example.com"),
        json!(format!("{}@example.com", "a".repeat(65))),
        json!(too_long),
    ];
    for email in addresses {
        let response = api.post(&json!({ "email": email, "callback_origin": PORTAL })).await;
        assert_error(&response, 400, "invalid_request", &email.to_string());
        assert_eq!(issue_paths(&response), ["email"], "{email}");
    }
    let response = api.post(&json!({ "callback_origin": PORTAL })).await;
    assert_eq!(issue_paths(&response), ["email"], "missing");
    assert!(api.jobs().await.is_empty());
}

#[tokio::test]
async fn a_message_says_which_rule_a_field_breaks() {
    let api = TestApi::start(&[]).await;
    for (field, text, words) in [
        ("email", "jürgen@example.com", "Before the @, an address can contain only unaccented letters"),
        ("email", "hel\u{200b}lo@example.com", "U+200B zero width space"),
        ("email", "hello@\u{202e}example.com", "U+202E right-to-left override"),
        ("email", "hello@localhost", "has no dot"),
        ("email", "hello@i❤.example", "is not a domain"),
        ("callback_origin", "\u{feff}https://portal.example.com", "U+FEFF byte order mark"),
        ("callback_next", "/a%2Fb", "encoded slash (%2F)"),
        ("callback_next", "/a%E2%80%8Bb", "U+200B zero width space"),
        ("callback_next", "/a\u{200b}b", "U+200B zero width space"),
        ("callback_next", "/a%E3%80%82b", "U+3002 ideographic full stop"),
        ("callback_next", "/a b", "percent-encode"),
        ("callback_next", "/a/%2e%2e/b", "dot segment"),
        ("callback_next", "javascript%3aalert(1)", "scheme"),
    ] {
        let mut body = json!({"email": "hello@example.com", "callback_origin": PORTAL});
        body[field] = json!(text);
        let response = api.post(&body).await;
        assert_eq!(issue_paths(&response), [field], "{text}");
        let message = response.json()["fieldErrors"][field].as_str().unwrap().to_owned();
        assert!(message.contains(words) && !message.contains(['\u{200b}', '\u{202e}', '\u{feff}']), "{message}");
    }
}

#[tokio::test]
async fn a_destination_that_makes_the_link_too_long_is_refused_with_its_length() {
    let api = TestApi::start(&[]).await;
    let ask = async |next: String| {
        api.post(&json!({ "email": "hello@example.com", "callback_origin": PORTAL, "callback_next": next })).await
    };
    assert_eq!(ask(format!("/{}", "a".repeat(1_023))).await.status, 200);
    assert_eq!(ask("/a".repeat(270)).await.status, 200);
    assert_eq!(api.jobs().await.len(), 2);

    let response = ask("/a".repeat(280)).await;
    assert_error(&response, 400, "callback_next_unsafe", "too long");
    assert_eq!(issue_paths(&response), ["callback_next"]);
    let message = response.json()["fieldErrors"]["callback_next"].as_str().unwrap().to_owned();
    assert!(message.contains("characters, and the maximum is 1,700"), "{message}");
    assert_eq!(api.jobs().await.len(), 2);
    api.expect_open_jobs(1);
}

#[tokio::test]
async fn a_bad_callback_is_reported_with_its_own_code_and_field() {
    let api = TestApi::start(&[]).await;
    let origin = "callback_origin_not_allowed";
    let next = "callback_next_unsafe";
    let cases = [
        (json!({"callback_origin": "https://evil.example"}), origin, "callback_origin"),
        (json!({"callback_origin": ""}), origin, "callback_origin"),
        (json!({"callback_origin": "null"}), origin, "callback_origin"),
        (json!({"callback_origin": "https://portal.example.com.evil.example"}), origin, "callback_origin"),
        (json!({"callback_origin": "https://portal.example.com/login"}), origin, "callback_origin"),
        (json!({"callback_origin": "http://portal.example.com"}), origin, "callback_origin"),
        (json!({"callback_origin": "https://a.b.preview.example.com"}), origin, "callback_origin"),
        (json!({"callback_origin": "https://portal.example.com\u{0}"}), origin, "callback_origin"),
        (json!({"callback_origin": 1}), "invalid_request", "callback_origin"),
        (json!({"callback_next": "//evil.example"}), next, "callback_next"),
        (json!({"callback_next": "/\\evil.example"}), next, "callback_next"),
        (json!({"callback_next": "https://evil.example"}), next, "callback_next"),
        (json!({"callback_next": "https:evil.example"}), next, "callback_next"),
        (json!({"callback_next": "javascript:alert(1)"}), next, "callback_next"),
        (json!({"callback_next": "/%09/evil.example"}), next, "callback_next"),
        (json!({"callback_next": "/a/..//evil.example"}), next, "callback_next"),
        (json!({"callback_next": "/\u{0}"}), next, "callback_next"),
        (json!({"callback_next": "javascript%3aalert(1)"}), next, "callback_next"),
        (json!({"callback_next": "/app/..;/admin"}), next, "callback_next"),
        (json!({"callback_next": ["/x"]}), "invalid_request", "callback_next"),
    ];
    for (mut body, code, path) in cases {
        body["email"] = json!("hello@example.com");
        let response = post(body.to_string()).header("Origin", PORTAL).send(api.public).await;
        assert_error(&response, 400, code, &body.to_string());
        assert_eq!(issue_paths(&response), [path], "{body}");
    }
    assert!(api.jobs().await.is_empty());
}

#[tokio::test]
async fn a_bad_explicit_header_is_an_error_and_bad_browser_headers_count_as_missing() {
    let api = TestApi::start(&[]).await;
    let explicit = "X-AppHandoff-Callback-Origin";
    type HeaderPairs<'a> = &'a [(&'a str, &'a str)];
    let cases: [(HeaderPairs, &str, &str); 7] = [
        (&[], "callback_origin_required", "callback_origin"),
        (&[("Origin", "null")], "callback_origin_required", "callback_origin"),
        (
            &[("Origin", "https://evil.example"), ("Referer", "https://evil.example/")],
            "callback_origin_required",
            "callback_origin",
        ),
        (
            &[("Origin", PORTAL), ("Origin", "https://pr-7.preview.example.com")],
            "callback_origin_required",
            "callback_origin",
        ),
        (&[(explicit, "https://evil.example"), ("Origin", PORTAL)], "callback_origin_not_allowed", explicit),
        (
            &[(explicit, PORTAL), (explicit, "https://pr-7.preview.example.com")],
            "callback_origin_not_allowed",
            explicit,
        ),
        (&[(explicit, ""), ("Origin", PORTAL)], "callback_origin_not_allowed", explicit),
    ];
    for (headers, code, path) in cases {
        let request = post(r#"{"email":"hello@example.com"}"#);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let response = request.send(api.public).await;
        assert_error(&response, 400, code, &format!("{headers:?}"));
        assert_eq!(issue_paths(&response), [path], "{headers:?}");
    }
}

#[tokio::test]
async fn all_issues_of_a_request_are_reported_together() {
    let api = TestApi::start(&[]).await;
    let body = json!({"email": "hello", "callback_origin": "https://evil.example", "callback_next": "//evil.example"});
    let response = api.post(&body).await;
    assert_error(&response, 400, "invalid_request", "three fields");
    assert_eq!(issue_paths(&response), ["email", "callback_origin", "callback_next"]);
    let body = json!({"email": 1, "callback_origin": 2, "callback_next": 3});
    let response = api.post(&body).await;
    assert_eq!(issue_paths(&response), ["email", "callback_origin", "callback_next"]);
}

#[tokio::test]
async fn unsupported_methods_paths_types_and_sizes_get_the_error_object() {
    let api = TestApi::start(&[]).await;
    for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "TRACE", "PROPFIND"] {
        let response = RawRequest::new(method, PATH).body("x".repeat(100)).send(api.public).await;
        assert_error(&response, 405, "method_not_allowed", method);
        assert_eq!(response.header("allow"), Some("POST, OPTIONS"));
    }
    for path in ["/", "/health/live"] {
        let response = RawRequest::new("POST", path).send(api.public).await;
        assert_error(&response, 405, "method_not_allowed", path);
        assert_eq!(response.header("allow"), Some("GET, HEAD"));
    }
    for path in ["/api", "/api/auth", "/api/auth/send-magic-link/", "/auth/send-magic-link", "/api//docs", "/%2e%2e"] {
        let response = RawRequest::new("POST", path).body("{}").send(api.public).await;
        assert_error(&response, 404, "not_found", path);
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "application/problem+json", ""]
    {
        let response = RawRequest::new("POST", PATH).header("Content-Type", kind).body("{}").send(api.public).await;
        assert_error(&response, 415, "unsupported_media_type", kind);
    }
    let response = RawRequest::new("POST", PATH).body("{}").send(api.public).await;
    assert_error(&response, 415, "unsupported_media_type", "no content type");
    for kib in [17, 200] {
        let body = json!({"email": "a@b.c", "callback_origin": PORTAL, "x": "x".repeat(kib * 1024)}).to_string();
        assert_error(&post(body).send(api.public).await, 413, "payload_too_large", "KiB");
    }
    let padded: Value = json!({"email": "a@b.c", "callback_origin": PORTAL, "x": "x".repeat(16_000)});
    assert_eq!(api.post(&padded).await.status, 200, "just under 16 KiB");
    api.expect_open_jobs(1);
}

#[tokio::test]
async fn a_compressed_body_gets_415_with_a_message_about_content_encoding() {
    let api = TestApi::start(&[]).await;
    let body = json!({"email": "hello@example.com", "callback_origin": PORTAL}).to_string();
    for path in [PATH, "/api/webhooks/mailgun"] {
        for codings in [&["gzip"][..], &["deflate"], &["br"], &["X-GZIP"], &["identity, gzip"], &["identity", "gzip"]] {
            // The second body is also too large: 415 takes precedence over 413.
            for compressed in [b"\x1f\x8b\x08\x00".to_vec(), vec![0; 20_000]] {
                let request = RawRequest::new("POST", path).header("Content-Type", "application/json").body(compressed);
                let request =
                    codings.iter().fold(request, |request, coding| request.header("Content-Encoding", coding));
                let response = request.send(api.public).await;
                assert_error(&response, 415, "unsupported_media_type", &format!("{path} {codings:?}"));
                let message = response.json()["error"].as_str().unwrap().to_owned();
                assert!(message.contains("Content-Encoding"), "{path} {codings:?}: {message}");
                assert_eq!(response.header("accept-encoding"), Some("identity"), "{path} {codings:?}");
            }
        }
    }
    for codings in [&["identity"][..], &["IDENTITY , identity"], &[""], &[]] {
        let request =
            codings.iter().fold(post(body.clone()), |request, coding| request.header("Content-Encoding", coding));
        assert_eq!(request.send(api.public).await.status, 200, "{codings:?}");
    }
    api.expect_open_jobs(1);
}

#[tokio::test]
async fn each_issue_has_its_own_code() {
    let api = TestApi::start(&[]).await;
    let next = |next: &str| json!({ "email": "a@example.com", "callback_origin": PORTAL, "callback_next": next });
    let origin = |origin: &str| json!({ "email": "a@example.com", "callback_origin": origin });
    let email = |email: &str| json!({ "email": email, "callback_origin": PORTAL });
    for (body, code) in [
        (json!([]), "body_not_an_object"),
        (json!({ "email": 1, "callback_origin": PORTAL }), "not_a_string"),
        (json!({ "callback_origin": PORTAL }), "email_required"),
        (email(" "), "email_required"),
        (email("ann"), "email_invalid"),
        (email(&format!("{}@example.com", "a".repeat(250))), "email_too_long"),
        (email("a\u{200b}nn@example.com"), "email_invisible_character"),
        (email("änn@example.com"), "email_local_part_not_ascii"),
        (email(&format!("{}@example.com", "a".repeat(65))), "email_local_part_too_long"),
        (email("ann@exa mple.com"), "email_domain_invalid"),
        (email("ann@localhost"), "email_domain_without_dot"),
        (json!({ "email": "a@example.com" }), "callback_origin_required"),
        (origin("https://evil.example"), "callback_origin_not_allowed"),
        (origin("portal.example.com"), "callback_origin_invalid"),
        (origin("https://portal\u{200b}.example.com"), "callback_origin_invisible_character"),
        (origin("http://portal.example.com"), "callback_origin_not_https"),
        (origin("https://portal.example.com/a"), "callback_origin_has_more"),
        (next(&format!("/{}", "a".repeat(1_024))), "callback_next_too_long"),
        (next(&"/a".repeat(500)), "callback_next_too_long"),
        (next("/\u{200b}"), "callback_next_invisible_character"),
        (next("/a b"), "callback_next_not_encoded"),
        (next("https://evil.example/"), "callback_next_other_origin"),
        (next("javascript:alert(1)"), "callback_next_scheme"),
        (next("?a"), "callback_next_not_a_path"),
        (next("/100%"), "callback_next_bad_escape"),
        (next("//evil.example"), "callback_next_empty_segment"),
        (next("/a%2Fb"), "callback_next_encoded_slash"),
        (next("/a\\b"), "callback_next_backslash"),
        (next("/a?b=%0A"), "callback_next_control_character"),
        (next("/a/%2E%2E/b"), "callback_next_dot_segment"),
        (next("/%E2%80%8B"), "callback_next_format_character"),
        (next("/%EF%BC%8F"), "callback_next_lookalike"),
    ] {
        let response = api.post(&body).await;
        assert_eq!((response.status, &response.json()["issues"][0]["code"]), (400, &json!(code)), "{body}");
    }
    assert!(api.jobs().await.is_empty());
}
