//! Mailgun's webhooks: an event updates its job, and a forged or unknown event changes no job.

use std::{
    fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::{StreamExt as _, stream};
use hmac::{Hmac, Mac as _};
use outbox::{ClaimOptions, Finish, JobEnd, NewLink, PgPool, Recorded, Seal, SendDecision};
use rand::{SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use sandbox::JobRow;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    harness::TestApi,
    http::{HttpResponse, RawRequest},
};

const PATH: &str = "/api/webhooks/mailgun";
const KEY: &str = "whsec-for-tests-only-0123456789abcdef";
const SETTINGS: [(&str, &str); 2] = [("MAILGUN_WEBHOOK_SIGNING_KEY", KEY), ("MAILGUN_DOMAIN", "mg.portal.example")];

/// A job whose mail Mailgun has accepted.
struct SentJob {
    id: String,
    recipient: String,
    /// The message id without angle brackets, as in Mailgun's events.
    message_id: String,
}

/// An event recorded from Mailgun.
fn fixture(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/mailgun/webhook-{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str::<Value>(&fs::read_to_string(path).unwrap()).unwrap()["event-data"].take()
}

/// A recorded event, altered to belong to this job.
fn event(name: &str, job: &SentJob) -> Value {
    let mut event = fixture(name);
    event["recipient"] = json!(job.recipient);
    event["message"]["headers"]["message-id"] = json!(job.message_id);
    event["user-variables"]["job_id"] = json!(job.id);
    event
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn hmac(key: &str, text: &str) -> String {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    hmac.update(text.as_bytes());
    hmac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A webhook body, signed as Mailgun does.
fn signed(timestamp: u64, token: &str, event: &Value) -> Value {
    let signature = hmac(KEY, &format!("{timestamp}{token}"));
    json!({
        "signature": { "timestamp": timestamp.to_string(), "token": token, "signature": signature },
        "event-data": event,
    })
}

fn fresh_token() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

async fn post(api: &TestApi, body: &Value) -> HttpResponse {
    let request = RawRequest::new("POST", PATH).header("Content-Type", "application/json").body(body.to_string());
    request.send(api.public).await
}

/// Posts an event with a new token and returns the response's status.
async fn report(api: &TestApi, event: &Value) -> u16 {
    post(api, &signed(now(), &fresh_token(), event)).await.status
}

/// Requests a link for each recipient, and marks the job as sent.
async fn send_jobs(api: &TestApi, pool: &PgPool, recipients: impl IntoIterator<Item = String>) -> Vec<SentJob> {
    let mut sent = vec![];
    for recipient in recipients {
        assert_eq!(api.request_link(&recipient).await.status, 200);
        let options = ClaimOptions { worker: "test", lease: Duration::from_secs(60), limit: 1 };
        let claimed = outbox::claim(pool, options).await.unwrap().remove(0);
        let id = claimed.lease.job.to_string();
        let message_id = format!("{id}.0ecc174419e05b6b@mg.portal.example");
        let link = NewLink { sealed: vec![1], message_id: format!("<{message_id}>"), age: Duration::ZERO };
        let lease = claimed.lease;
        let cleared = outbox::test_support::seal(pool, &[Seal { lease, link: Some(link), step: None }]).await.unwrap();
        assert!(matches!(cleared[..], [SendDecision::Send]));
        let ended = outbox::finish(pool, &[Finish { lease, end: JobEnd::Sent, step: None }]).await.unwrap();
        assert_eq!(ended, [Recorded::Done]);
        sent.push(SentJob { id, recipient, message_id });
    }
    sent
}

async fn start() -> (TestApi, PgPool) {
    // Processed webhooks are logged at debug level.
    let api = TestApi::start(&[&SETTINGS[..], &[("RUST_LOG", "debug")]].concat()).await;
    let pool = api.pool();
    (api, pool)
}

async fn delivery(pool: &PgPool, job: &SentJob) -> Option<String> {
    JobRow::find(pool, job.id.parse().unwrap()).await.unwrap().delivery
}

/// The columns of `email_events` that describe a bounce.
#[derive(Debug, PartialEq, sqlx::FromRow)]
struct BounceRow {
    event: String,
    severity: String,
    reason: String,
    smtp_code: i32,
    enhanced_code: String,
    message: String,
}

async fn count(pool: &PgPool, table: &str) -> i64 {
    sandbox::scalar(pool, &format!("select count(*) from {table}")).await
}

#[tokio::test]
async fn each_event_updates_the_delivery_state_of_its_job() {
    let (api, pool) = start().await;
    let table = [
        ("accepted", Some("accepted")),
        ("delivered", Some("delivered")),
        ("failed-temporary", Some("deferred")),
        ("failed-permanent-bounce", Some("bounced")),
        ("failed-permanent-delayed-bounce", Some("bounced")),
        ("failed-permanent-suppress-bounce", Some("suppressed")),
        ("failed-permanent-expired", Some("undelivered")),
        ("complained", Some("complained")),
        // Mailgun does not deliver mails in test mode, and opening a mail does not change its delivery state.
        ("delivered-test-mode", None),
        ("opened", None),
    ];
    let jobs = send_jobs(&api, &pool, (0..table.len()).map(|n| format!("ann-{n}@example.org"))).await;
    for ((name, expected), job) in table.into_iter().zip(&jobs) {
        assert_eq!(report(&api, &event(name, job)).await, 200, "{name}");
        assert_eq!(delivery(&pool, job).await.as_deref(), expected, "{name}");
    }
    for (code, expected) in [("5.2.2", "undelivered"), ("5.7.1", "undelivered"), ("5.1.10", "bounced")] {
        let job = &send_jobs(&api, &pool, [format!("bob-{code}@example.org")]).await[0];
        let mut event = event("failed-permanent-bounce", job);
        event["delivery-status"]["enhanced-code"] = json!(code);
        assert_eq!(report(&api, &event).await, 200);
        assert_eq!(delivery(&pool, job).await.as_deref(), Some(expected), "{code}");
    }

    let bounce: Vec<BounceRow> = sandbox::rows(
        &pool,
        "select event, severity, reason, smtp_code, enhanced_code, message
         from email_events where delivery = 'bounced' order by received_at limit 1",
    )
    .await;
    let expected = BounceRow {
        event: "failed".to_owned(),
        severity: "permanent".to_owned(),
        reason: "bounce".to_owned(),
        smtp_code: 550,
        enhanced_code: "5.1.1".to_owned(),
        message: "5.1.1 [address] Recipient address rejected: User unknown".to_owned(),
    };
    assert_eq!(bounce, [expected]);
    let log = api.program.log().join("\n");
    assert!(log.contains("\"event\":\"failed\"") && !log.contains("@example.org"), "{log}");
}

#[tokio::test]
async fn a_byte_order_mark_before_a_webhook_is_skipped() {
    let (api, pool) = start().await;
    let job = &send_jobs(&api, &pool, ["ann@example.org".to_owned()]).await[0];
    let body = format!("\u{feff}{}", signed(now(), &fresh_token(), &event("delivered", job)));
    let request = RawRequest::new("POST", PATH).header("Content-Type", "application/json").body(body);
    assert_eq!(request.send(api.public).await.status, 200);
    assert_eq!(delivery(&pool, job).await.as_deref(), Some("delivered"));
}

#[tokio::test]
async fn shuffled_and_repeated_events_lead_to_the_same_state_as_ordered_events() {
    const JOBS: usize = 200;
    let (api, pool) = start().await;
    let jobs = send_jobs(&api, &pool, (0..JOBS).map(|n| format!("ann-{n}@example.org"))).await;
    let sequences: [(&[&str], &str); 4] = [
        (&["accepted", "failed-temporary", "failed-temporary", "delivered", "complained"], "complained"),
        (&["accepted", "failed-temporary", "delivered", "delivered", "failed-permanent-delayed-bounce"], "bounced"),
        (
            &["accepted", "failed-temporary", "failed-temporary", "failed-temporary", "failed-permanent-expired"],
            "undelivered",
        ),
        (&["accepted", "failed-temporary", "failed-temporary", "failed-temporary", "delivered"], "delivered"),
    ];
    let mut reports = vec![];
    for (number, job) in jobs.iter().enumerate() {
        for (step, name) in sequences[number % sequences.len()].0.iter().enumerate() {
            let mut event = event(name, job);
            event["id"] = json!(format!("evt-{number}-{step}"));
            #[allow(clippy::cast_precision_loss)]
            let time = (now() - 100) as f64 + step as f64;
            event["timestamp"] = json!(time);
            // Send the event twice with the same token, and once with another token.
            let body = signed(now(), &fresh_token(), &event);
            reports.extend([body.clone(), body, signed(now(), &fresh_token(), &event)]);
        }
    }
    assert_eq!(reports.len(), 3_000);
    let mut rng = StdRng::seed_from_u64(7);
    reports.shuffle(&mut rng);
    let statuses = stream::iter(&reports).map(async |body| post(&api, body).await.status).buffer_unordered(16);
    statuses.for_each(async |status| assert_eq!(status, 200)).await;

    for (number, job) in jobs.iter().enumerate() {
        let (sequence, expected) = sequences[number % sequences.len()];
        assert_eq!(delivery(&pool, job).await.as_deref(), Some(expected), "{sequence:?}");
    }
    assert_eq!(count(&pool, "email_events").await, 1000);
    assert_eq!(count(&pool, "email_events_unmatched").await, 0);
}

#[tokio::test]
async fn a_token_is_valid_for_one_event_even_after_a_restart() {
    let (api, pool) = start().await;
    let job = &send_jobs(&api, &pool, ["ann@example.org".to_owned()]).await[0];
    let token = fresh_token();
    let delivered = signed(now(), &token, &event("delivered", job));
    assert_eq!(post(&api, &delivered).await.status, 200);
    let api = api.restart(&SETTINGS).await;

    let mut forged = delivered.clone();
    forged["event-data"] = event("failed-permanent-bounce", job);
    let refused = post(&api, &forged).await;
    assert_eq!((refused.status, refused.code()), (406, "event_refused".to_owned()));
    assert_eq!(post(&api, &delivered).await.status, 200, "the original webhook, repeated");
    assert_eq!(delivery(&pool, job).await.as_deref(), Some("delivered"));
    assert_eq!(count(&pool, "email_events").await, 1);
}

#[tokio::test]
async fn a_forged_or_foreign_event_changes_nothing() {
    let (api, pool) = start().await;
    let job = &send_jobs(&api, &pool, ["ann@example.org".to_owned()]).await[0];
    let bounce = event("failed-permanent-bounce", job);
    let good = || signed(now(), &fresh_token(), &bounce);
    let altered = |change: fn(&mut Value)| {
        let mut body = good();
        change(&mut body);
        body
    };
    let mut other_domain = bounce.clone();
    other_domain["message"]["headers"]["message-id"] = json!(format!("{}.1@mg.other.example", job.id));
    let mut tomorrow = bounce.clone();
    tomorrow["timestamp"] = json!(now() + 86_400);
    let cases = [
        ("no signature", json!({ "event-data": bounce }), 401, "invalid_signature"),
        (
            "a wrong signature",
            altered(|body| body["signature"]["signature"] = json!("0".repeat(64))),
            401,
            "invalid_signature",
        ),
        (
            "a signature for another token",
            altered(|body| body["signature"]["token"] = json!("a")),
            401,
            "invalid_signature",
        ),
        (
            "a timestamp that is not text",
            altered(|body| body["signature"]["timestamp"] = json!(17)),
            401,
            "invalid_signature",
        ),
        (
            "a signature that is not hex",
            altered(|body| body["signature"]["signature"] = json!("é".repeat(32))),
            401,
            "invalid_signature",
        ),
        ("too old", signed(now() - 43_300, &fresh_token(), &bounce), 406, "event_refused"),
        ("signed in the future", signed(now() + 400, &fresh_token(), &bounce), 406, "event_refused"),
        ("an event in the future", signed(now(), &fresh_token(), &tomorrow), 406, "event_refused"),
        ("an event for another domain", signed(now(), &fresh_token(), &other_domain), 406, "event_refused"),
        ("an event that is not an object", altered(|body| body["event-data"] = json!([1])), 406, "event_refused"),
        ("an event id that is not text", altered(|body| body["event-data"]["id"] = json!({})), 406, "event_refused"),
        ("a body that is not an object", json!([]), 401, "invalid_signature"),
    ];
    for (case, body, status, code) in cases {
        let response = post(&api, &body).await;
        assert_eq!((response.status, response.code().as_str()), (status, code), "{case}");
    }
    for (case, change) in [
        ("another recipient", (|event| event["recipient"] = json!("eve@example.org")) as fn(&mut Value)),
        ("another message id", |event| event["message"]["headers"]["message-id"] = json!("x.1@mg.portal.example")),
        ("a message id with markup", |event| {
            event["message"]["headers"]["message-id"] = json!("<b>\u{0}@mg.portal.example")
        }),
    ] {
        let mut forged = bounce.clone();
        change(&mut forged);
        forged["id"] = json!(case);
        assert_eq!(report(&api, &forged).await, 200, "{case}");
    }
    let huge = RawRequest::new("POST", PATH).header("Content-Type", "application/json").body(vec![b' '; 300 * 1024]);
    assert_eq!(huge.send(api.public).await.status, 413);
    let not_json = RawRequest::new("POST", PATH).header("Content-Type", "application/json").body("{");
    assert_eq!(not_json.send(api.public).await.status, 400);
    assert_eq!(api.get(PATH).await.status, 405);

    assert_eq!(delivery(&pool, job).await, None);
    assert_eq!(count(&pool, "email_events").await, 0);
    assert_eq!(count(&pool, "email_events_unmatched").await, 3);
    let page = RawRequest::new("GET", "/metrics").send(api.private).await;
    let page = String::from_utf8_lossy(&page.body).into_owned();
    for outcome in ["bad_signature", "too_old", "from_the_future", "other_domain", "unmatched"] {
        assert!(page.contains(&format!("outcome=\"{outcome}\"")), "{outcome}: {page}");
    }
}

#[tokio::test]
async fn any_configured_key_and_a_parent_signature_are_accepted() {
    let settings = [("MAILGUN_WEBHOOK_SIGNING_KEY", "another-key, whsec-for-tests-only-0123456789abcdef")];
    let api = TestApi::start(&settings).await;
    let pool = api.pool();
    let jobs = send_jobs(&api, &pool, ["ann@example.org".to_owned(), "bob@example.org".to_owned()]).await;
    assert_eq!(report(&api, &event("delivered", &jobs[0])).await, 200);

    let mut body = signed(now(), &fresh_token(), &event("delivered", &jobs[1]));
    let ours = body["signature"]["signature"].take();
    body["signature"]["signature"] = json!("1".repeat(64));
    body["signature"]["parent-signature"] = ours;
    assert_eq!(post(&api, &body).await.status, 200);
    assert_eq!(delivery(&pool, &jobs[1]).await.as_deref(), Some("delivered"));
}

#[tokio::test]
async fn without_a_signing_key_the_webhook_is_not_found() {
    let api = TestApi::start(&[]).await;
    let response = post(&api, &signed(now(), "a", &fixture("delivered"))).await;
    assert_eq!((response.status, response.code()), (404, "not_found".to_owned()));
}
