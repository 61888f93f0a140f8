//! Valid requests: the job, the response, the log, and the metrics.

use sandbox::eventually;
use serde_json::{Value, json};

use crate::{
    harness::{PATH, PORTAL, TestApi, post},
    http::RawRequest,
};

#[tokio::test]
async fn the_published_example_is_accepted() {
    let api = TestApi::start(&[("CALLBACK_ORIGINS", "https://example.com")]).await;
    let body = json!({"email":"hello@example.com","callback_origin":"https://example.com","callback_next":"example"});
    let response = api.post(&body).await;

    assert_eq!((response.status, response.json()), (200, json!({ "ok": true })));
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    let jobs = api.jobs().await;
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].recipient, "hello@example.com");
    assert_eq!(jobs[0].callback_url, "https://example.com/auth/callback?next=%2Fexample");
    assert_eq!(Some(jobs[0].request_id.as_str()), response.header("x-request-id"));
    api.expect_open_jobs(1);
}

#[tokio::test]
async fn the_callback_url_combines_origin_path_and_next() {
    let api = TestApi::start(&[("CALLBACK_PATH", "/in"), ("CALLBACK_NEXT_PREFIXES", "/app")]).await;
    let preview = "https://pr-7.preview.example.com";
    let cases = [
        (json!({"callback_origin": PORTAL}), vec![("Origin", preview)], "https://portal.example.com/in"),
        (json!({"callback_origin": null}), vec![("Origin", preview)], "https://pr-7.preview.example.com/in"),
        (
            json!({}),
            vec![("X-AppHandoff-Callback-Origin", preview), ("Origin", PORTAL)],
            "https://pr-7.preview.example.com/in",
        ),
        (
            json!({}),
            vec![("Origin", "null"), ("Referer", "https://portal.example.com/login?x#y")],
            "https://portal.example.com/in",
        ),
        (json!({"callback_origin": "https://PORTAL.example.com:443/"}), vec![], "https://portal.example.com/in"),
        (json!({"callback_origin": PORTAL, "callback_next": ""}), vec![], "https://portal.example.com/in"),
        (json!({"callback_origin": PORTAL, "callback_next": null}), vec![], "https://portal.example.com/in"),
        (
            json!({"callback_origin": PORTAL, "callback_next": "/app/x?y=1&z=2"}),
            vec![],
            "https://portal.example.com/in?next=%2Fapp%2Fx%3Fy%3D1%26z%3D2",
        ),
        (
            json!({"callback_origin": PORTAL, "callback_next": "https://portal.example.com/app"}),
            vec![],
            "https://portal.example.com/in?next=%2Fapp",
        ),
        (
            json!({"callback_origin": PORTAL, "callback_next": "/app/My%20Report.pdf?at=10%3A30"}),
            vec![],
            "https://portal.example.com/in?next=%2Fapp%2FMy%2520Report.pdf%3Fat%3D10%253A30",
        ),
    ];
    for (index, (mut body, headers, callback_url)) in cases.into_iter().enumerate() {
        body["email"] = json!(format!("case-{index}@example.com"));
        body["an unknown field"] = json!({ "is": ["ignored"] });
        let request = headers.iter().fold(post(body.to_string()), |request, (name, value)| request.header(name, value));
        let response = request.send(api.public).await;
        assert_eq!(response.status, 200, "{body} {headers:?} {response:?}");
        assert_eq!(api.jobs().await[index].callback_url, callback_url, "{body} {headers:?}");
    }
    api.expect_open_jobs(10);
}

/// Anybody can choose the label that a wildcard matches, so that label must not be in the subject of a mail.
#[tokio::test]
async fn a_job_stores_the_portals_host_as_written_in_callback_origins() {
    let origins =
        "https://*.preview.example.com,https://münchen.example,https://xn--bcher-kva.example,http://localhost:*";
    let api = TestApi::start(&[("CALLBACK_ORIGINS", origins)]).await;
    let cases = [
        ("https://your-account-is-locked.preview.example.com", "preview.example.com"),
        ("https://xn--mnchen-3ya.example", "münchen.example"),
        ("https://xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("http://localhost:8090", "localhost"),
    ];
    for (origin, _) in cases {
        let response = api.post(&json!({ "email": "hello@example.com", "callback_origin": origin })).await;
        assert_eq!(response.status, 200, "{origin}: {response:?}");
    }
    let jobs = api.jobs().await;
    let shown: Vec<_> = jobs.iter().map(|job| job.shown_host.as_deref()).collect();
    assert_eq!(shown, cases.map(|(_, shown)| Some(shown)));
    assert_eq!(jobs[1].callback_url, "https://xn--mnchen-3ya.example/auth/callback", "links are in ASCII");
    api.expect_open_jobs(1);
}

#[tokio::test]
async fn an_address_is_normalized_and_a_content_type_may_have_parameters() {
    let api = TestApi::start(&[]).await;
    let body = json!({"email": " Hello\u{ff20}Example.COM ", "callback_origin": PORTAL}).to_string();
    let request = RawRequest::new("POST", PATH).header("content-type", "Application/JSON ; charset=utf-8").body(body);
    assert_eq!(request.send(api.public).await.status, 200);
    assert_eq!(api.jobs().await[0].recipient, "hello@example.com");
    api.expect_open_jobs(1);
}

#[tokio::test]
async fn a_byte_order_mark_before_the_json_is_skipped() {
    let api = TestApi::start(&[]).await;
    let body = format!("\u{feff}{}", json!({"email": "hello@example.com", "callback_origin": PORTAL}));
    assert_eq!(post(body.clone()).send(api.public).await.json(), json!({ "ok": true }));
    assert_eq!(api.jobs().await[0].recipient, "hello@example.com");
    // Only one byte order mark is skipped, and only at the beginning.
    for bad in [format!("\u{feff}{body}"), format!(" {body}"), "\u{feff}".to_owned()] {
        assert_eq!(post(bad.clone()).send(api.public).await.code(), "invalid_json", "{bad:?}");
    }
    api.expect_open_jobs(1);
}

#[tokio::test]
async fn all_spellings_of_a_unicode_domain_are_stored_as_punycode_and_share_a_quota() {
    let api = TestApi::start(&[("RECIPIENT_RATE_LIMIT", "2/1h"), ("DUPLICATE_WINDOW", "1s")]).await;
    let ask = async |email: &str, next: &str| {
        api.post(&json!({ "email": email, "callback_origin": PORTAL, "callback_next": next })).await
    };
    assert_eq!(ask("Info@Müller.example", "/1").await.status, 200);
    assert_eq!(ask("\u{feff}info@xn--mller-kva.example\u{200b}", "/2").await.status, 200);
    let third = ask("info+tag@MU\u{308}LLER.EXAMPLE", "/3").await;
    assert_eq!((third.status, third.code().as_str()), (429, "recipient_rate_limited"));
    let recipients: Vec<String> = api.jobs().await.into_iter().map(|job| job.recipient).collect();
    assert_eq!(recipients, ["info@xn--mller-kva.example"; 2]);
    api.expect_open_jobs(1);
}

#[tokio::test]
async fn the_request_id_is_in_the_response_the_log_and_the_job_and_the_address_is_not_in_the_log() {
    let api = TestApi::start(&[]).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let body = json!({"email": "secret-person@example.com", "callback_origin": PORTAL}).to_string();
    let named = post(body.clone()).header("X-Request-Id", "page-1.A_b").header("traceparent", trace);
    let response = named.send(api.public).await;
    assert_eq!(response.header("x-request-id"), Some("page-1.A_b"));
    let line = api.program.wait_for_line("answered", std::time::Duration::from_secs(5)).await.unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["span"]["request_id"], "page-1.A_b");
    assert_eq!(line["span"]["traceparent"], trace);
    assert_eq!((&line["fields"]["status"], &line["fields"]["code"]), (&json!(200), &json!("ok")));
    assert_eq!(api.jobs().await[0].request_id, "page-1.A_b");

    for bad in ["", "a b", "a\"b", &"a".repeat(65)] {
        let response = post(body.clone()).header("X-Request-Id", bad).send(api.public).await;
        assert_ne!(response.header("x-request-id"), Some(bad));
        assert_eq!(response.header("x-request-id").map(str::len), Some(36));
    }
    assert!(!api.program.log().iter().any(|line| line.contains("secret-person")));
    api.expect_open_jobs(1);
}

#[tokio::test]
async fn a_duplicate_request_gets_the_same_response_as_the_first() {
    let api = TestApi::start(&[("RECIPIENT_RATE_LIMIT", "1/1h")]).await;
    for _ in 0..3 {
        assert_eq!(api.request_link("hello@example.com").await.json(), json!({ "ok": true }));
    }
    assert_eq!(api.jobs().await.len(), 3, "every 200 has a row");
    api.expect_open_jobs(1);
}

#[tokio::test]
async fn metrics_are_private_and_health_checks_are_public() {
    let api = TestApi::start(&[]).await;
    api.request_link("hello@example.com").await;
    let get = |path| RawRequest::new("GET", path);
    for address in [api.public, api.private] {
        assert_eq!(get("/health/live").send(address).await.json(), json!({ "status": "ok" }));
        eventually("ready", async || get("/health/ready").send(address).await.with_status(200)).await;
    }
    let metrics = String::from_utf8(get("/metrics").send(api.private).await.body).unwrap();
    assert!(
        metrics.contains(r#"magic_link_api_requests_total{status="200",code="ok",portal="default"} 1"#),
        "{metrics}"
    );
    assert!(metrics.contains("magic_link_api_enqueue_seconds_count 1"), "{metrics}");
    assert_eq!(api.get("/metrics").await.code(), "not_found");
    api.expect_open_jobs(1);
}

#[tokio::test]
async fn the_job_stores_the_language_and_time_zone_of_the_request() {
    let api = TestApi::start(&[("LANGUAGES", "fr,de,ar")]).await;
    let ask = |number: usize, fields: Value| {
        let mut body = json!({ "email": format!("person-{number}@example.com"), "callback_origin": PORTAL });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        post(body.to_string())
    };
    let cases = [
        // Order of precedence: the `locale` field, the `Accept-Language` header, the operator's default.
        (json!({ "locale": "de-AT" }), Some("ar"), ("de", None)),
        (json!({}), Some("es, ar;q=0.5, de;q=0.7"), ("de", None)),
        (json!({ "locale": null }), Some("es"), ("fr", None)),
        (json!({ "locale": "es" }), None, ("fr", None)),
        (json!({ "time_zone": "europe/vienna" }), None, ("fr", Some("Europe/Vienna"))),
        (json!({ "time_zone": "UTC" }), None, ("fr", None)),
        // A string that is not a valid `locale`, `time_zone` or `Accept-Language` is ignored and does not cause an error.
        (json!({ "locale": "x".repeat(1_024), "time_zone": "x".repeat(1_024) }), Some("de"), ("de", None)),
        (json!({ "locale": "../../etc", "time_zone": "../../etc/passwd" }), Some("*"), ("fr", None)),
        (json!({ "locale": "de\r\nBcc: a@b", "time_zone": "Europe/Vienna\n" }), Some(";;q=,"), ("fr", None)),
        (json!({ "locale": "", "time_zone": "" }), Some("de;q=0"), ("fr", None)),
    ];
    for (number, (fields, accepted, _)) in cases.iter().enumerate() {
        let mut request = ask(number, fields.clone());
        if let Some(accepted) = accepted {
            request = request.header("Accept-Language", accepted);
        }
        let response = request.send(api.public).await;
        assert_eq!(response.status, 200, "{fields} {accepted:?}: {response:?}");
    }
    let jobs = api.jobs().await;
    for (job, (fields, accepted, expected)) in jobs.iter().zip(&cases) {
        let stored = (job.language.as_deref().unwrap(), job.time_zone.as_deref());
        assert_eq!(stored, *expected, "{fields} {accepted:?}");
    }
    assert_eq!(jobs.len(), cases.len());
    for field in ["locale", "time_zone"] {
        let response = ask(0, json!({ field: 5 })).send(api.public).await;
        assert_eq!((response.status, &response.json()["issues"][0]["code"]), (400, &json!("not_a_string")));
    }
    api.expect_open_jobs(10);
}

#[tokio::test]
async fn by_default_every_mail_is_in_english() {
    let api = TestApi::start(&[]).await;
    let body = json!({ "email": "ann@example.com", "callback_origin": PORTAL, "locale": "de" });
    assert_eq!(post(body.to_string()).header("Accept-Language", "de").send(api.public).await.status, 200);
    assert_eq!(api.only_job().await.language.as_deref(), Some("en"));
    api.expect_open_jobs(1);
}
