//! Who may ask how often, and what the others are told.

use serde_json::json;

use crate::{
    harness::{PATH, PORTAL, TestApi, post},
    http::RawRequest,
};

fn valid(email: &str) -> RawRequest {
    post(json!({"email": email, "callback_origin": PORTAL}).to_string())
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_told_until_when() {
    let door = TestApi::open(&[("IP_RATE_LIMIT", "3/1h")]).await;
    for index in 0..3 {
        assert_eq!(door.ask_for(&format!("{index}@example.com")).await.status, 200);
    }
    let answer = door.ask_for("4@example.com").await;
    assert_eq!((answer.status, answer.code().as_str()), (429, "ip_rate_limited"));
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1_190..=1_200).contains(&wait), "{wait}");
    assert_eq!(answer.json()["retryAfter"], wait);
    assert_eq!(answer.header("ratelimit-policy"), Some(r#""ip";q=3;w=3600"#));
    assert_eq!(answer.header("ratelimit"), Some(format!(r#""ip";r=0;t={wait}"#).as_str()));
    assert_eq!(door.jobs().await.len(), 3);
    assert_eq!(door.get("/health/live").await.status, 200, "only the endpoint is limited");
}

#[tokio::test]
async fn every_request_to_the_endpoint_counts_but_preflights_do_not() {
    let door = TestApi::open(&[("IP_RATE_LIMIT", "3/1h")]).await;
    let preflight =
        RawRequest::new("OPTIONS", PATH).header("Origin", PORTAL).header("Access-Control-Request-Method", "POST");
    assert_eq!(preflight.send(door.public).await.status, 204);
    assert_eq!(RawRequest::new("GET", PATH).send(door.public).await.status, 405);
    assert_eq!(post("{").send(door.public).await.status, 400);
    assert_eq!(post(vec![b' '; 20_000]).send(door.public).await.status, 413);
    // Refused before a body of whatever size is looked at, and yet the answer arrives.
    let answer = post(vec![b' '; 200_000]).header("Origin", PORTAL).send(door.public).await;
    assert_eq!(answer.code(), "ip_rate_limited");
    assert_eq!(answer.header("access-control-allow-origin"), Some(PORTAL));
    assert_eq!(preflight.send(door.public).await.status, 204);
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_person_has_a_limit_of_their_own() {
    let door = TestApi::open(&[("IP_RATE_LIMIT", "1/1h"), ("IP_RATE_LIMIT_OVERRIDES", "10.9.0.0/16=2/1h")]).await;
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
        let request = valid(&format!("{index}@example.com"));
        let request = lines.iter().fold(request, |request, line| request.header("X-Forwarded-For", line));
        assert_eq!(request.send(door.public).await.status, status, "{lines:?}");
    }
}

#[tokio::test]
async fn what_a_stranger_claims_about_its_address_is_not_believed() {
    let door = TestApi::open(&[("IP_RATE_LIMIT", "1/1h"), ("TRUSTED_PROXIES", "")]).await;
    let claim = |ip| valid("hello@example.com").header("X-Forwarded-For", ip).header("Forwarded", "for=198.51.100.9");
    assert_eq!(claim("203.0.113.7").send(door.public).await.status, 200);
    assert_eq!(claim("203.0.113.8").send(door.public).await.code(), "ip_rate_limited");
    let warnings = door.program.log().iter().filter(|line| line.contains("TRUSTED_PROXIES")).count();
    assert_eq!(warnings, 1, "a forgotten setting is warned of, once");
}

#[tokio::test]
async fn a_recipient_is_mailed_only_so_often_whoever_asks_and_by_whatever_tag() {
    let settings = [("RECIPIENT_RATE_LIMIT", "3/1h"), ("RECIPIENT_CLIENT_RATE_LIMIT", "2/1h")];
    let door = TestApi::open(&settings).await;
    // Different places to go to, or they would be double clicks.
    let ask = async |email: &str, next: u8, ip: &str| {
        let body = json!({"email": email, "callback_origin": PORTAL, "callback_next": format!("/{next}")});
        post(body.to_string()).header("X-Forwarded-For", ip).send(door.public).await
    };
    let (home, away) = ("203.0.113.7", "203.0.113.8");
    assert_eq!(ask("hello@example.com", 1, home).await.status, 200);
    assert_eq!(ask("hello+tag@example.com", 2, home).await.status, 200);
    let answer = ask("hello@example.com", 3, home).await;
    assert_eq!((answer.status, answer.code().as_str()), (429, "recipient_rate_limited"));
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1_790..=1_800).contains(&wait), "{wait}");
    assert_eq!(answer.json()["retryAfter"], wait);
    assert_eq!((answer.header("ratelimit"), answer.header("ratelimit-policy")), (None, None));

    // What was refused used nothing up: from elsewhere the third is still there, and no fourth.
    assert_eq!(ask("hello@example.com", 4, away).await.status, 200);
    assert_eq!(ask("hello@example.com", 5, away).await.code(), "recipient_rate_limited");
    assert_eq!(ask("other@example.com", 6, home).await.status, 200);
    assert_eq!(door.jobs().await.len(), 4);
}
