//! CORS: pages of allowed portals may read every response, and no request is rejected because of its `Origin`.

use serde_json::json;

use crate::{
    harness::{PATH, PORTAL, TestApi, post},
    http::RawRequest,
};

/// Headers that the api reads, and headers that tracing libraries and Supabase's client add to every request.
const REQUEST_HEADERS: [&str; 10] = [
    "content-type",
    "x-apphandoff-callback-origin",
    "x-request-id",
    "traceparent",
    "tracestate",
    "baggage",
    "sentry-trace",
    "apikey",
    "authorization",
    "x-client-info",
];
const EXPOSED: &str = "Retry-After, RateLimit, RateLimit-Policy, X-Request-Id";

#[tokio::test]
async fn a_portals_page_may_read_every_response_including_errors() {
    let api = TestApi::start(&[("IP_RATE_LIMIT", "5/1h")]).await;
    let good = json!({"email": "hello@example.com"}).to_string();
    let requests = [
        (post(good), 200),
        (post("{"), 400),
        (RawRequest::new("GET", PATH), 405),
        (RawRequest::new("POST", PATH).body("{}"), 415),
        (post(vec![b' '; 20_000]), 413),
        (post("{}"), 429),
        (RawRequest::new("GET", "/nowhere"), 404),
    ];
    for (request, status) in requests {
        let response = request.header("Origin", PORTAL).send(api.public).await;
        assert_eq!(response.status, status, "{response:?}");
        assert_eq!(response.header("access-control-allow-origin"), Some(PORTAL), "{status}");
        assert_eq!(response.header("access-control-expose-headers"), Some(EXPOSED), "{status}");
        assert_eq!(response.header("vary"), Some("Origin"), "{status}");
        assert_eq!(response.header("access-control-allow-credentials"), None, "{status}");
    }
    api.expect_open_jobs(1);
}

#[tokio::test]
async fn another_sites_page_can_send_a_request_but_not_read_the_response() {
    let api = TestApi::start(&[]).await;
    for origin in ["https://evil.example", "null", "https://portal.example.com.evil.example"] {
        let body = json!({"email": "hello@example.com", "callback_origin": PORTAL}).to_string();
        let response = post(body).header("Origin", origin).send(api.public).await;
        assert_eq!(response.status, 200, "the callback origin comes from the body: {origin}");
        assert_eq!(response.header("access-control-allow-origin"), None, "{origin}");
        assert_eq!(response.header("vary"), Some("Origin"), "{origin}");
    }
    api.expect_open_jobs(1);
}

#[tokio::test]
async fn a_preflight_grants_access_only_to_allowed_origins() {
    let api = TestApi::start(&[]).await;
    let preview = "https://pr-7.preview.example.com";
    for (origin, granted) in [(PORTAL, Some(PORTAL)), (preview, Some(preview)), ("https://evil.example", None)] {
        let response = RawRequest::new("OPTIONS", PATH)
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "content-type")
            .send(api.public)
            .await;
        assert_eq!(response.status, 204, "{origin}");
        assert_eq!(response.header("access-control-allow-origin"), granted, "{origin}");
        assert_eq!(response.header("access-control-allow-methods"), Some("POST"));
        let headers = response.header("access-control-allow-headers").unwrap().to_ascii_lowercase();
        let allowed: Vec<&str> = headers.split(", ").collect();
        for header in REQUEST_HEADERS {
            assert!(allowed.contains(&header), "{header} is not among {headers}");
        }
        assert_eq!(response.header("vary"), Some("Origin"), "{origin}");
    }
}
