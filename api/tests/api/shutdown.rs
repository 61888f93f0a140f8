//! How the program stops, as a load balancer and its callers see it.

use std::time::{Duration, Instant};

use sandbox::eventually;
use serde_json::json;

use crate::{
    harness::{PORTAL, TestApi, post},
    http::{RawConnection, RawRequest},
};

/// Maximum wait for a log line or for the program to end.
const MAX_WAIT: Duration = Duration::from_secs(5);

fn valid_request() -> RawRequest {
    post(json!({"email": "hello@example.com", "callback_origin": PORTAL}).to_string())
}

/// Opens a connection and uses it once. The connection stays open.
async fn idle_connection(api: &TestApi) -> RawConnection {
    let mut idle = RawConnection::open(api.public).await;
    idle.write(&RawRequest::new("GET", "/health/live").head("keep-alive")).await;
    assert_eq!(idle.read_response().await.header("connection"), None);
    idle
}

#[tokio::test]
async fn at_shutdown_the_request_in_flight_finishes_and_no_new_one_is_accepted() {
    let api = TestApi::start(&[]).await;
    let body = json!({"email": "hello@example.com", "callback_origin": PORTAL}).to_string();
    let mut in_flight = RawConnection::open(api.public).await;
    in_flight.write(&post(body.clone()).head("keep-alive")).await;
    in_flight.write(&body.as_bytes()[..5]).await;
    let mut idle = RawConnection::open(api.public).await;
    idle.write(&RawRequest::new("GET", "/health/live").head("keep-alive")).await;
    idle.read_response().await;

    api.program.terminate();
    api.program.wait_for_line("stopping", Duration::from_secs(5)).await.unwrap();
    idle.read_until_closed().await;
    in_flight.write(&body.as_bytes()[5..]).await;
    assert_eq!(in_flight.read_response().await.status, 200);
    assert_eq!(api.program.wait().await.code(), Some(0));
    assert_eq!(api.jobs().await.len(), 1);
    assert!(tokio::net::TcpStream::connect(api.public).await.is_err());
    api.expect_open_jobs(1);
}

#[tokio::test]
async fn a_second_signal_stops_the_program_immediately() {
    let api = TestApi::start(&[]).await;
    let mut in_flight = RawConnection::open(api.public).await;
    in_flight.write(&valid_request().head("keep-alive")).await;
    // Once the api has answered this health check, it has read the head that was sent earlier.
    assert_eq!(api.get("/health/live").await.status, 200);
    api.program.terminate();
    api.program.wait_for_line("stopping", Duration::from_secs(5)).await.unwrap();
    api.program.terminate();
    assert_eq!(api.program.wait().await.code(), Some(0));
    // If the program had waited for the body, it would have sent a response after the time limit for the body.
    assert!(in_flight.read_until_closed().await.is_empty());
}

#[tokio::test]
async fn during_the_drain_the_api_is_not_ready_and_still_accepts_requests() {
    let api = TestApi::start(&[("DRAIN_SECONDS", "3600")]).await;
    let mut idle = idle_connection(&api).await;
    api.program.terminate();
    api.program.wait_for_line("stopping: no longer ready", MAX_WAIT).await.unwrap();

    let ready = RawRequest::new("GET", "/health/ready");
    let public = ready.send(api.public).await;
    assert_eq!((public.status, public.code().as_str()), (503, "unavailable"));
    assert_eq!(public.json()["checks"], json!({ "shutdown": "stopping" }));
    let private = ready.send(api.private).await;
    assert_eq!((private.status, &private.json()["checks"]["shutdown"]["code"]), (503, &json!("stopping")));
    assert_eq!(api.get("/health/live").await.status, 200);

    // An idle connection still accepts a request, because one could already be on its way. After the response, the
    // connection closes.
    let body = json!({"email": "hello@example.com", "callback_origin": PORTAL}).to_string();
    let request = [post(body.clone()).head("keep-alive"), body.into_bytes()].concat();
    for connection in [&mut idle, &mut RawConnection::open(api.public).await] {
        connection.write(&request).await;
        let response = connection.read_response().await;
        assert_eq!((response.status, response.header("connection")), (200, Some("close")));
        assert!(connection.read_until_closed().await.is_empty());
    }

    api.program.terminate();
    let ended = tokio::time::timeout(MAX_WAIT, api.program.wait()).await;
    assert_eq!(ended.expect("a second signal ends the drain").code(), Some(0));
    api.expect_open_jobs(1);
}

#[tokio::test]
async fn after_the_drain_connections_are_refused_and_the_request_in_flight_is_answered() {
    let api = TestApi::start(&[("DRAIN_SECONDS", "1")]).await;
    let body = json!({"email": "hello@example.com", "callback_origin": PORTAL}).to_string();
    let mut in_flight = RawConnection::open(api.public).await;
    in_flight.write(&post(body.clone()).head("keep-alive")).await;
    let mut half_a_head = idle_connection(&api).await;
    half_a_head.write(b"GET /health/live HTTP/1.1\r\n").await;
    let mut idle = idle_connection(&api).await;

    let started = Instant::now();
    api.program.terminate();
    api.program.wait_for_line("waiting for requests in flight", MAX_WAIT).await.unwrap();
    // The drain must have lasted at least DRAIN_SECONDS, minus a small tolerance.
    assert!(started.elapsed() >= Duration::from_millis(900), "{:?}", started.elapsed());
    assert!(idle.read_until_closed().await.is_empty());
    eventually("a refused connection", async || match tokio::net::TcpStream::connect(api.public).await {
        Err(_) => Ok(()),
        Ok(accepted) => Err(accepted),
    })
    .await;

    half_a_head.write(b"Host: api\r\n\r\n").await;
    in_flight.write(body.as_bytes()).await;
    for connection in [&mut half_a_head, &mut in_flight] {
        let response = connection.read_response().await;
        assert_eq!((response.status, response.header("connection")), (200, Some("close")));
    }
    assert_eq!(api.program.wait().await.code(), Some(0));
    api.expect_open_jobs(1);
}
