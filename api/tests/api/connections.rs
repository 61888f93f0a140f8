//! Slow and silent callers, and connection reuse.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    harness::{PATH, PORTAL, TestApi, post},
    http::{RawConnection, RawRequest},
};

/// Seconds after which the api closes the connection of a slow caller. The limits are 5 and 10 seconds; the upper
/// bounds leave room for a busy machine.
const HEAD_TIMEOUT: std::ops::RangeInclusive<f64> = 4.5..=8.0;
const BODY_TIMEOUT: std::ops::RangeInclusive<f64> = 9.5..=13.0;

fn valid_request() -> RawRequest {
    post(json!({"email": "hello@example.com", "callback_origin": PORTAL}).to_string())
}

#[tokio::test]
async fn a_connection_with_a_slow_head_is_closed_and_an_idle_one_stays_open() {
    let api = TestApi::start(&[]).await;
    let mut idle = RawConnection::open(api.public).await;
    idle.write(&RawRequest::new("GET", "/health/live").head("keep-alive")).await;
    assert_eq!(idle.read_response().await.status, 200);

    let started = Instant::now();
    let silent = async { RawConnection::open(api.public).await.read_until_closed().await };
    let partial = async {
        let mut connection = RawConnection::open(api.public).await;
        connection.write(b"POST /api/auth/send-magic-link HTTP/1.1\r\nHost: api\r\n").await;
        connection.read_until_closed().await
    };
    let dripping = async {
        let mut connection = RawConnection::open(api.public).await;
        connection.write(b"GET / HTTP/1.1\r\nX: ").await;
        while connection.try_write(b"x").await {
            // A sleep is appropriate here, because the test is about a caller that never stops sending.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let second = async {
        let mut connection = RawConnection::open(api.public).await;
        connection.write(&RawRequest::new("GET", "/health/live").head("keep-alive")).await;
        connection.read_response().await;
        connection.write(b"GET / HTTP").await;
        connection.read_until_closed().await
    };
    let (silent, partial, (), second) = tokio::join!(silent, partial, dripping, second);
    let seconds = started.elapsed().as_secs_f64();
    assert!(HEAD_TIMEOUT.contains(&seconds), "{seconds}");
    assert!(silent.is_empty() && partial.is_empty() && second.is_empty());

    idle.write(&RawRequest::new("GET", "/health/live").head("keep-alive")).await;
    assert_eq!(idle.read_response().await.status, 200);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_gets_an_error_and_the_connection_is_closed() {
    let api = TestApi::start(&[]).await;
    let started = Instant::now();
    let mut connection = RawConnection::open(api.public).await;
    connection.write(&valid_request().head("keep-alive")).await;
    connection.write(b"{").await;
    let response = connection.read_response().await;
    let seconds = started.elapsed().as_secs_f64();
    assert!(BODY_TIMEOUT.contains(&seconds), "{seconds}");
    assert_eq!((response.status, response.code().as_str()), (400, "invalid_request"));
    connection.read_until_closed().await;
}

#[tokio::test]
async fn a_connection_can_be_reused_after_a_rejected_body() {
    let api = TestApi::start(&[]).await;
    let mut connection = RawConnection::open(api.public).await;
    let too_large = vec![b' '; 20_000];
    for _ in 0..3 {
        let put = RawRequest::new("PUT", "/nowhere").body(too_large.clone());
        connection.write(&[put.head("keep-alive"), too_large.clone()].concat()).await;
        assert_eq!(connection.read_response().await.status, 404);
        let post = post(too_large.clone());
        connection.write(&[post.head("keep-alive"), too_large.clone()].concat()).await;
        assert_eq!(connection.read_response().await.status, 413);
    }
}

#[tokio::test]
async fn a_caller_that_disconnects_leaves_no_lock_behind() {
    let api = TestApi::start(&[]).await;
    for index in 0..20 {
        let body =
            json!({"email": "hello@example.com", "callback_origin": PORTAL, "callback_next": format!("/{index}")});
        let body = body.to_string();
        let mut connection = RawConnection::open(api.public).await;
        connection.write(&[post(body.clone()).head("close"), body.into_bytes()].concat()).await;
        drop(connection);
    }
    // The aborted requests no longer hold a lock on the recipient's quota row.
    assert_eq!(api.request_link("hello@example.com").await.status, 200);
    api.expect_open_jobs(1);
}

#[tokio::test]
async fn a_connection_can_be_reused_after_a_wrong_method_with_a_body() {
    let api = TestApi::start(&[]).await;
    for (index, method) in
        ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"].into_iter().enumerate()
    {
        for path in [PATH, "/api/webhooks/mailgun"] {
            let mut connection = RawConnection::open(api.public).await;
            let other = RawRequest::new(method, path).header("Content-Type", "application/json").body("{\"email\":1}");
            connection.write(&other.head("keep-alive")).await;
            connection.write(b"{\"email\":1}").await;
            if method == "HEAD" {
                // A response to HEAD contains a Content-Length but no body.
                assert_eq!(connection.read_status().await, 405, "{method} {path}");
            } else {
                let response = connection.read_response().await;
                assert_eq!((response.status, response.code().as_str()), (405, "method_not_allowed"), "{method} {path}");
                assert_eq!(response.header("content-type"), Some("application/json"), "{method} {path}");
                assert!(response.header("allow").unwrap().starts_with("POST"), "{method} {path}");
            }
            let body = format!(r#"{{"email":"{index}@example.com","callback_origin":"{PORTAL}"}}"#);
            connection.write(&post(body.clone()).head("close")).await;
            connection.write(body.as_bytes()).await;
            assert_eq!(connection.read_response().await.status, 200, "after {method} {path}");
        }
    }
    api.expect_open_jobs(8);
}
