//! What a browser is told: pages of allowed portals may read every answer, and nobody is refused for asking.

use serde_json::json;

use crate::{
    harness::{PATH, PORTAL, TestApi, post},
    http::RawRequest,
};

const EXPOSED: &str = "Retry-After, RateLimit, RateLimit-Policy, X-Request-Id";

#[tokio::test]
async fn a_portals_page_may_read_every_answer_errors_included() {
    let door = TestApi::open(&[("IP_RATE_LIMIT", "5/1h")]).await;
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
        let answer = request.header("Origin", PORTAL).send(door.public).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(PORTAL), "{status}");
        assert_eq!(answer.header("access-control-expose-headers"), Some(EXPOSED), "{status}");
        assert_eq!(answer.header("vary"), Some("Origin"), "{status}");
        assert_eq!(answer.header("access-control-allow-credentials"), None, "{status}");
    }
}

#[tokio::test]
async fn a_strangers_page_is_served_by_the_requests_own_rules_and_may_not_read_the_answer() {
    let door = TestApi::open(&[]).await;
    for origin in ["https://evil.example", "null", "https://portal.example.com.evil.example"] {
        let body = json!({"email": "hello@example.com", "callback_origin": PORTAL}).to_string();
        let answer = post(body).header("Origin", origin).send(door.public).await;
        assert_eq!(answer.status, 200, "the contract takes the origin from the body: {origin}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
        assert_eq!(answer.header("vary"), Some("Origin"), "{origin}");
    }
}

#[tokio::test]
async fn a_preflight_is_answered_and_grants_only_allowed_origins() {
    let door = TestApi::open(&[]).await;
    let preview = "https://pr-7.preview.example.com";
    for (origin, granted) in [(PORTAL, Some(PORTAL)), (preview, Some(preview)), ("https://evil.example", None)] {
        let answer = RawRequest::new("OPTIONS", PATH)
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "content-type")
            .send(door.public)
            .await;
        assert_eq!(answer.status, 204, "{origin}");
        assert_eq!(answer.header("access-control-allow-origin"), granted, "{origin}");
        assert_eq!(answer.header("access-control-allow-methods"), Some("POST"));
        let headers = answer.header("access-control-allow-headers").unwrap();
        assert!(headers.contains("Content-Type") && headers.contains("X-AppHandoff-Callback-Origin"), "{headers}");
        assert_eq!(answer.header("vary"), Some("Origin"), "{origin}");
    }
}
