//! Which client address a request is counted against: the address that a trusted proxy reports, or otherwise the peer's
//! own address. Callers cannot choose it.

use sandbox::eventually;
use serde_json::{Value, json};

use crate::{
    harness::{PORTAL, TestApi, post},
    http::RawRequest,
};

fn request_for(email: &str) -> RawRequest {
    post(json!({"email": email, "callback_origin": PORTAL}).to_string())
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_its_own_limit() {
    let api = TestApi::start(&[("IP_RATE_LIMIT", "1/1h"), ("IP_RATE_LIMIT_OVERRIDES", "10.9.0.0/16=2/1h")]).await;
    let cases: [(&[&str], u16); 10] = [
        (&["203.0.113.7"], 200),
        (&["203.0.113.7"], 429),
        (&["198.51.100.1, 203.0.113.7"], 429),
        (&["198.51.100.1", "203.0.113.7"], 429),
        (&["203.0.113.8", "127.0.0.1"], 200),
        (&["::ffff:203.0.113.8"], 429),
        (&["2001:db8:1:2::1"], 200),
        (&["[2001:db8:1:2::ffff]:4000"], 429),
        (&["10.9.1.1"], 200),
        (&["10.9.1.1"], 200),
    ];
    for (index, (lines, status)) in cases.into_iter().enumerate() {
        let request = request_for(&format!("{index}@example.com"));
        let request = lines.iter().fold(request, |request, line| request.header("X-Forwarded-For", line));
        assert_eq!(request.send(api.public).await.status, status, "{lines:?}");
    }
    api.expect_open_jobs(5);
}

#[tokio::test]
async fn forwarding_headers_from_an_untrusted_peer_are_ignored() {
    let api = TestApi::start(&[("IP_RATE_LIMIT", "1/1h"), ("TRUSTED_PROXIES", "")]).await;
    let claim =
        |ip| request_for("hello@example.com").header("X-Forwarded-For", ip).header("Forwarded", "for=198.51.100.9");
    assert_eq!(claim("203.0.113.7").send(api.public).await.status, 200);
    assert_eq!(claim("203.0.113.8").send(api.public).await.code(), "ip_rate_limited");
    let warnings = api.program.log().iter().filter(|line| line.contains("TRUSTED_PROXIES")).count();
    assert_eq!(warnings, 1, "the missing setting is logged once");
    api.expect_open_jobs(1);
}

/// Sends one request per list of header lines, each for a different person, and returns the responses' statuses.
async fn statuses(api: &TestApi, header: &str, requests: &[&[&str]]) -> Vec<u16> {
    let mut statuses = vec![];
    for (index, lines) in requests.iter().enumerate() {
        let request = request_for(&format!("{index}@example.com"));
        let request = lines.iter().fold(request, |request, line| request.header(header, line));
        statuses.push(request.send(api.public).await.status);
    }
    statuses
}

#[tokio::test]
async fn client_ip_header_separates_clients_and_without_it_the_proxys_quota_is_used() {
    let api = TestApi::start(&[("IP_RATE_LIMIT", "1/1h"), ("CLIENT_IP_HEADER", "Fly-Client-IP")]).await;
    let requests: [&[&str]; 10] = [
        &["203.0.113.7"],
        &["203.0.113.7"],
        &["::ffff:203.0.113.7"],
        &["203.0.113.8"],
        &["[2001:db8:1:2::1]:4000"],
        &["2001:db8:1:2::ffff"],
        // Each of these requests uses the quota of the proxy's own address.
        &[],
        &["203.0.113.9, 203.0.113.10"],
        &["203.0.113.9", "203.0.113.9"],
        &["unknown"],
    ];
    let expected = [200, 429, 429, 200, 200, 429, 200, 429, 429, 429];
    assert_eq!(statuses(&api, "fly-client-ip", &requests).await, expected);
    assert_eq!(statuses(&api, "X-Forwarded-For", &[&["203.0.113.11"]]).await, [429], "other headers are ignored");

    let direct = [("IP_RATE_LIMIT", "1/1h"), ("CLIENT_IP_HEADER", "Fly-Client-IP"), ("TRUSTED_PROXIES", "10.0.0.0/8")];
    let api = api.restart(&direct).await;
    let requests: [&[&str]; 2] = [&["203.0.113.7"], &["203.0.113.8"]];
    assert_eq!(
        statuses(&api, "Fly-Client-IP", &requests).await,
        [200, 429],
        "a header from an untrusted peer is ignored"
    );
    api.expect_open_jobs(4);
}

#[tokio::test]
async fn with_trusted_proxy_hops_each_client_behind_one_edge_has_its_own_limit() {
    let api = TestApi::start(&[("IP_RATE_LIMIT", "1/1h"), ("TRUSTED_PROXY_HOPS", "2")]).await;
    for person in 1..=33 {
        let line = format!("6.6.6.6, 203.0.113.{person}, 198.51.100.99");
        assert_eq!(statuses(&api, "X-Forwarded-For", &[&[&line], &[&line]]).await, [200, 429], "{line}");
    }
    // If the edge's entry is missing, or the client's entry is not an address, the proxy's own address is used.
    let requests: [&[&str]; 3] = [&["203.0.113.77"], &["203.0.113.78"], &["unknown, 198.51.100.99"]];
    assert_eq!(statuses(&api, "X-Forwarded-For", &requests).await, [200, 429, 429]);
    api.expect_open_jobs(1);
}

/// Waits until the log contains one "request answered" line per response. Returns the warnings about a single address
/// that sent most of the rate-limited requests.
async fn warnings_after(api: &TestApi, responses: usize) -> Vec<Value> {
    let lines =
        |part: &str| -> Vec<String> { api.program.log().into_iter().filter(|line| line.contains(part)).collect() };
    eventually("a log line for each response", async || {
        let logged = lines("\"request answered\"").len();
        if logged >= responses { Ok(()) } else { Err(logged) }
    })
    .await;
    let warnings = lines("came from one address");
    warnings.iter().map(|line| serde_json::from_str::<Value>(line).unwrap()["fields"].take()).collect()
}

#[tokio::test]
async fn fifty_limited_requests_from_one_address_cause_one_warning() {
    let api = TestApi::start(&[("IP_RATE_LIMIT", "1/1h")]).await;
    let person = request_for("hello@example.com").header("X-Forwarded-For", "203.0.113.7");
    for _ in 0..50 {
        person.send(api.public).await;
    }
    assert_eq!(warnings_after(&api, 50).await, Vec::<Value>::new(), "49 refused requests cause no warning");
    for _ in 0..60 {
        person.send(api.public).await;
    }
    let warnings = warnings_after(&api, 110).await;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!((&warnings[0]["limited"], &warnings[0]["from_one"]), (&json!(50), &json!(50)));
    for setting in ["TRUSTED_PROXIES", "CLIENT_IP_HEADER", "TRUSTED_PROXY_HOPS", "IP_RATE_LIMIT_OVERRIDES"] {
        assert!(warnings[0]["message"].as_str().unwrap().contains(setting), "{setting}: {warnings:?}");
    }
    assert!(!api.program.log().concat().contains("203.0.113.7"), "the address may be a person's");
    api.expect_open_jobs(1);
}

#[tokio::test]
async fn the_warning_shows_the_proxy_whose_callers_share_one_limit() {
    let api = TestApi::start(&[("IP_RATE_LIMIT", "1/1h"), ("TRUSTED_PROXIES", "10.0.0.0/8")]).await;
    for person in 0..51 {
        let request = request_for("hello@example.com").header("X-Forwarded-For", &format!("203.0.113.{person}"));
        request.send(api.public).await;
    }
    let warnings = warnings_after(&api, 51).await;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0]["address"], "127.0.0.1");
    api.expect_open_jobs(1);
}

#[tokio::test]
async fn limited_requests_from_many_addresses_cause_no_warning() {
    let api = TestApi::start(&[("IP_RATE_LIMIT", "1/1h")]).await;
    for person in 0..60 {
        for _ in 0..2 {
            let request = request_for("hello@example.com").header("X-Forwarded-For", &format!("203.0.113.{person}"));
            request.send(api.public).await;
        }
    }
    assert_eq!(warnings_after(&api, 120).await, Vec::<Value>::new());
    api.expect_open_jobs(1);
}
