//! Callers that are slow, silent or in the way, and the program's polite end.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    harness::{PATH, PORTAL, TestApi, post},
    http::{RawRequest, Wire},
};

/// When each kind of caller is cut off, in seconds: at the limit, with some air for a busy machine.
const HEAD: std::ops::RangeInclusive<f64> = 4.5..=8.0;
const BODY: std::ops::RangeInclusive<f64> = 9.5..=13.0;

fn valid() -> RawRequest {
    post(json!({"email": "hello@example.com", "callback_origin": PORTAL}).to_string())
}

#[tokio::test]
async fn a_head_that_does_not_come_ends_the_connection_and_one_between_requests_stays() {
    let door = TestApi::open(&[]).await;
    let mut idle = Wire::open(door.public).await;
    idle.write(&RawRequest::new("GET", "/health/live").head("keep-alive")).await;
    assert_eq!(idle.answer().await.status, 200);

    let begun = Instant::now();
    let silent = async { Wire::open(door.public).await.hung_up().await };
    let partial = async {
        let mut wire = Wire::open(door.public).await;
        wire.write(b"POST /api/auth/send-magic-link HTTP/1.1\r\nHost: door\r\n").await;
        wire.hung_up().await
    };
    let dripping = async {
        let mut wire = Wire::open(door.public).await;
        wire.write(b"GET / HTTP/1.1\r\nX: ").await;
        while wire.try_write(b"x").await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let second = async {
        let mut wire = Wire::open(door.public).await;
        wire.write(&RawRequest::new("GET", "/health/live").head("keep-alive")).await;
        wire.answer().await;
        wire.write(b"GET / HTTP").await;
        wire.hung_up().await
    };
    let (silent, partial, (), second) = tokio::join!(silent, partial, dripping, second);
    let taken = begun.elapsed().as_secs_f64();
    assert!(HEAD.contains(&taken), "{taken}");
    assert!(silent.is_empty() && partial.is_empty() && second.is_empty());

    idle.write(&RawRequest::new("GET", "/health/live").head("keep-alive")).await;
    assert_eq!(idle.answer().await.status, 200);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_and_ends_the_connection() {
    let door = TestApi::open(&[]).await;
    let begun = Instant::now();
    let mut wire = Wire::open(door.public).await;
    wire.write(&valid().head("keep-alive")).await;
    wire.write(b"{").await;
    let answer = wire.answer().await;
    let taken = begun.elapsed().as_secs_f64();
    assert!(BODY.contains(&taken), "{taken}");
    assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_request"));
    wire.hung_up().await;
}

#[tokio::test]
async fn requests_follow_each_other_on_a_connection_even_after_a_refused_body() {
    let door = TestApi::open(&[]).await;
    let mut wire = Wire::open(door.public).await;
    let too_large = vec![b' '; 20_000];
    for _ in 0..3 {
        let put = RawRequest::new("PUT", "/nowhere").body(too_large.clone());
        wire.write(&[put.head("keep-alive"), too_large.clone()].concat()).await;
        assert_eq!(wire.answer().await.status, 404);
        let post = post(too_large.clone());
        wire.write(&[post.head("keep-alive"), too_large.clone()].concat()).await;
        assert_eq!(wire.answer().await.status, 413);
    }
}

#[tokio::test]
async fn a_stop_lets_a_request_in_flight_finish_and_takes_no_more() {
    let door = TestApi::open(&[]).await;
    let body = json!({"email": "hello@example.com", "callback_origin": PORTAL}).to_string();
    let mut in_flight = Wire::open(door.public).await;
    in_flight.write(&post(body.clone()).head("keep-alive")).await;
    in_flight.write(&body.as_bytes()[..5]).await;
    let mut idle = Wire::open(door.public).await;
    idle.write(&RawRequest::new("GET", "/health/live").head("keep-alive")).await;
    idle.answer().await;

    door.program.terminate();
    door.program.wait_for_line("stopping", Duration::from_secs(5)).await.unwrap();
    idle.hung_up().await;
    in_flight.write(&body.as_bytes()[5..]).await;
    assert_eq!(in_flight.answer().await.status, 200);
    assert_eq!(door.program.wait().await.code(), Some(0));
    assert_eq!(door.jobs().await.len(), 1);
    assert!(tokio::net::TcpStream::connect(door.public).await.is_err());
}

#[tokio::test]
async fn a_second_signal_waits_for_nobody() {
    let door = TestApi::open(&[]).await;
    let mut in_flight = Wire::open(door.public).await;
    in_flight.write(&valid().head("keep-alive")).await;
    // The head was read once the health check behind it is answered.
    assert_eq!(door.get("/health/live").await.status, 200);
    door.program.terminate();
    door.program.wait_for_line("stopping", Duration::from_secs(5)).await.unwrap();
    let begun = Instant::now();
    door.program.terminate();
    assert_eq!(door.program.wait().await.code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_caller_that_hangs_up_leaves_no_half_done_work() {
    let door = TestApi::open(&[]).await;
    for index in 0..20 {
        let body =
            json!({"email": "hello@example.com", "callback_origin": PORTAL, "callback_next": format!("/{index}")});
        let body = body.to_string();
        let mut wire = Wire::open(door.public).await;
        wire.write(&[post(body.clone()).head("close"), body.into_bytes()].concat()).await;
        drop(wire);
    }
    // The recipient's quota row is not locked by any of them.
    assert_eq!(door.ask_for("hello@example.com").await.status, 200);
}

#[tokio::test]
async fn another_method_with_a_body_leaves_the_connection_fit_for_the_next_request() {
    let door = TestApi::open(&[]).await;
    for (index, method) in
        ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"].into_iter().enumerate()
    {
        for path in [PATH, "/api/webhooks/mailgun"] {
            let mut wire = Wire::open(door.public).await;
            let other = RawRequest::new(method, path).header("Content-Type", "application/json").body("{\"email\":1}");
            wire.write(&other.head("keep-alive")).await;
            wire.write(b"{\"email\":1}").await;
            if method == "HEAD" {
                // Its answer has the length of a body that does not come.
                assert_eq!(wire.head_of_answer().await, 405, "{method} {path}");
            } else {
                let answer = wire.answer().await;
                assert_eq!((answer.status, answer.code().as_str()), (405, "method_not_allowed"), "{method} {path}");
                assert_eq!(answer.header("content-type"), Some("application/json"), "{method} {path}");
                assert!(answer.header("allow").unwrap().starts_with("POST"), "{method} {path}");
            }
            let body = format!(r#"{{"email":"{index}@example.com","callback_origin":"{PORTAL}"}}"#);
            wire.write(&post(body.clone()).head("close")).await;
            wire.write(body.as_bytes()).await;
            assert_eq!(wire.answer().await.status, 200, "after {method} {path}");
        }
    }
}
