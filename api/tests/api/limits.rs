//! Rate limits: per client network and per recipient.

use serde_json::json;

use crate::{
    harness::{PATH, PORTAL, TestApi, post},
    http::RawRequest,
};

#[tokio::test]
async fn an_address_above_its_limit_gets_429_with_the_time_to_wait() {
    let api = TestApi::start(&[("IP_RATE_LIMIT", "3/1h")]).await;
    for (index, left) in [r#""ip";r=2;t=1200"#, r#""ip";r=1;t=1200"#, r#""ip";r=0;t=1200"#].into_iter().enumerate() {
        let response = api.request_link(&format!("{index}@example.com")).await;
        assert_eq!(response.status, 200);
        assert_eq!(response.header("ratelimit-policy"), Some(r#""ip";q=3;w=3600"#));
        assert_eq!(response.header("ratelimit"), Some(left));
    }
    let response = api.request_link("4@example.com").await;
    assert_eq!((response.status, response.code().as_str()), (429, "ip_rate_limited"));
    let wait: u64 = response.header("retry-after").unwrap().parse().unwrap();
    assert!((1_190..=1_200).contains(&wait), "{wait}");
    assert_eq!(response.json()["retryAfter"], wait);
    assert_eq!(response.header("ratelimit-policy"), Some(r#""ip";q=3;w=3600"#));
    assert_eq!(response.header("ratelimit"), Some(format!(r#""ip";r=0;t={wait}"#).as_str()));
    assert_eq!(api.jobs().await.len(), 3);
    assert_eq!(api.get("/health/live").await.status, 200, "health checks are not limited");
    api.expect_open_jobs(3);
}

#[tokio::test]
async fn every_request_to_the_endpoint_counts_except_preflights() {
    let api = TestApi::start(&[("IP_RATE_LIMIT", "3/1h")]).await;
    let preflight =
        RawRequest::new("OPTIONS", PATH).header("Origin", PORTAL).header("Access-Control-Request-Method", "POST");
    assert_eq!(preflight.send(api.public).await.status, 204);
    assert_eq!(RawRequest::new("GET", PATH).send(api.public).await.status, 405);
    assert_eq!(post("{").send(api.public).await.status, 400);
    assert_eq!(post(vec![b' '; 20_000]).send(api.public).await.status, 413);
    // The limit rejects a request before its body is read, and the response arrives even for a large body.
    let response = post(vec![b' '; 200_000]).header("Origin", PORTAL).send(api.public).await;
    assert_eq!(response.code(), "ip_rate_limited");
    assert_eq!(response.header("access-control-allow-origin"), Some(PORTAL));
    assert_eq!(preflight.send(api.public).await.status, 204);
}

#[tokio::test]
async fn all_callers_and_all_tags_of_an_address_share_the_recipient_limit() {
    let settings = [("RECIPIENT_RATE_LIMIT", "3/1h"), ("RECIPIENT_CLIENT_RATE_LIMIT", "2/1h")];
    let api = TestApi::start(&settings).await;
    // Each request has a different destination, so that it does not count as a duplicate.
    let ask = async |email: &str, next: u8, ip: &str| {
        let body = json!({"email": email, "callback_origin": PORTAL, "callback_next": format!("/{next}")});
        post(body.to_string()).header("X-Forwarded-For", ip).send(api.public).await
    };
    let (home, away) = ("203.0.113.7", "203.0.113.8");
    assert_eq!(ask("hello@example.com", 1, home).await.status, 200);
    assert_eq!(ask("hello+tag@example.com", 2, home).await.status, 200);
    let response = ask("hello@example.com", 3, home).await;
    assert_eq!((response.status, response.code().as_str()), (429, "recipient_rate_limited"));
    let wait: u64 = response.header("retry-after").unwrap().parse().unwrap();
    assert!((1_790..=1_800).contains(&wait), "{wait}");
    assert_eq!(response.json()["retryAfter"], wait);
    assert_eq!((response.header("ratelimit"), response.header("ratelimit-policy")), (None, None));

    // The rejected request used no quota, so another network can make the third request, but not a fourth.
    assert_eq!(ask("hello@example.com", 4, away).await.status, 200);
    assert_eq!(ask("hello@example.com", 5, away).await.code(), "recipient_rate_limited");
    assert_eq!(ask("other@example.com", 6, home).await.status, 200);
    assert_eq!(api.jobs().await.len(), 4);
    api.expect_open_jobs(3);
}
