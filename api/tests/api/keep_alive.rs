//! How long idle connections stay open, and which connections close if there are too many.

use std::{collections::BTreeSet, time::Instant};

use futures_util::future::select_all;
use sandbox::eventually;
use serde_json::json;

use crate::{
    harness::{PORTAL, TestApi, post},
    http::{HttpResponse, RawConnection, RawRequest},
};

/// With this limit, up to eight idle connections stay open.
const LIMIT: [(&str, &str); 1] = [("API_MAX_CONNECTIONS", "10")];

/// Sends a health check on a connection that stays open afterwards.
async fn ask(connection: &mut RawConnection) -> HttpResponse {
    connection.write(&RawRequest::new("GET", "/health/live").head("keep-alive")).await;
    let response = connection.read_response().await;
    assert_eq!(response.status, 200);
    response
}

/// Opens connections and uses each one once. Returns them in the order in which they became idle.
async fn idle_connections(api: &TestApi, count: usize) -> Vec<RawConnection> {
    let mut connections = vec![];
    for _ in 0..count {
        let mut connection = RawConnection::open(api.public).await;
        ask(&mut connection).await;
        connections.push(connection);
    }
    connections
}

/// Sends the head of a request. Returns the connection and the body, which has not been sent yet.
async fn begin_request(api: &TestApi, person: usize) -> (RawConnection, String) {
    let body = json!({"email": format!("{person}@example.com"), "callback_origin": PORTAL}).to_string();
    let mut connection = RawConnection::open(api.public).await;
    connection.write(&post(body.clone()).head("keep-alive")).await;
    (connection, body)
}

#[tokio::test]
async fn an_idle_connection_closes_after_api_keep_alive_and_a_slow_head_after_five_seconds() {
    let api = TestApi::start(&[("API_KEEP_ALIVE", "2s")]).await;
    let [mut idle, mut slow] = idle_connections(&api, 2).await.try_into().ok().unwrap();
    let started = Instant::now();
    slow.write(b"GET /health/live HTTP/1.1\r\n").await;
    let closed_after = async |connection: &mut RawConnection| {
        assert!(connection.read_until_closed().await.is_empty());
        started.elapsed().as_secs_f64()
    };
    let (idle, slow) = tokio::join!(closed_after(&mut idle), closed_after(&mut slow));
    // The api closes the idle connection after two seconds, and the connection with the slow head after five. The
    // ranges leave room for a busy machine.
    assert!((1.5..4.5).contains(&idle), "{idle}");
    assert!((4.5..8.0).contains(&slow), "{slow}");
}

#[tokio::test]
async fn above_four_fifths_of_the_limit_a_new_connection_closes_the_longest_idle_one() {
    let api = TestApi::start(&LIMIT).await;
    let mut connections = idle_connections(&api, 8).await;
    // The connection that was opened first is now the most recently used connection.
    ask(&mut connections[0]).await;
    let mut closed = BTreeSet::new();
    for _ in 0..3 {
        let new = idle_connections(&api, 1).await;
        closed.insert(first_closed(&mut connections, &closed).await);
        connections.extend(new);
    }
    // The api may record the connections as idle in a different order from that in which their responses arrive here.
    assert!(closed.iter().all(|index| (1..=5).contains(index)) && closed.len() == 3, "{closed:?}");
    for stays in (0..11).filter(|index| !closed.contains(index)) {
        assert_eq!(ask(&mut connections[stays]).await.header("connection"), None, "{stays}");
    }
}

/// Waits until the api closes one of the connections that are not in `closed`, and returns its index.
async fn first_closed(connections: &mut [RawConnection], closed: &BTreeSet<usize>) -> usize {
    let open = connections.iter_mut().enumerate().filter(|(index, _)| !closed.contains(index));
    let ends = open.map(|(index, connection)| {
        Box::pin(async move {
            assert!(connection.read_until_closed().await.is_empty());
            index
        })
    });
    select_all(ends).await.0
}

#[tokio::test]
async fn a_request_in_flight_is_not_cut_off_for_a_new_connection() {
    let api = TestApi::start(&LIMIT).await;
    let (mut in_flight, body) = begin_request(&api, 0).await;
    let mut half_a_head = idle_connections(&api, 1).await.remove(0);
    half_a_head.write(b"GET /health/live HTTP/1.1\r\n").await;
    let crowd = idle_connections(&api, 40).await;
    in_flight.write(body.as_bytes()).await;
    assert_eq!(in_flight.read_response().await.status, 200);
    half_a_head.write(b"Host: api\r\n\r\n").await;
    assert_eq!(half_a_head.read_response().await.status, 200);
    drop(crowd);
    api.expect_open_jobs(1);
}

#[tokio::test]
async fn when_all_connections_are_busy_one_closes_after_its_response_to_make_room() {
    let api = TestApi::start(&LIMIT).await;
    let mut busy = vec![];
    for person in 0..10 {
        busy.push(begin_request(&api, person).await);
    }
    let metrics = RawRequest::new("GET", "/metrics");
    eventually("ten accepted connections", async || {
        let metrics = String::from_utf8(metrics.send(api.private).await.body).unwrap();
        if metrics.lines().any(|line| line == "magic_link_api_connections 10") { Ok(()) } else { Err(metrics) }
    })
    .await;

    let mut waiting = RawConnection::open(api.public).await;
    waiting.write(&RawRequest::new("GET", "/health/live").head("keep-alive")).await;
    let (mut first, body) = busy.remove(0);
    first.write(body.as_bytes()).await;
    let response = first.read_response().await;
    assert_eq!((response.status, response.header("connection")), (200, Some("close")));
    assert_eq!(waiting.read_response().await.status, 200);
    for (mut connection, body) in busy {
        connection.write(body.as_bytes()).await;
        assert_eq!(connection.read_response().await.status, 200);
    }
    api.expect_open_jobs(10);
}
