//! What Mailgun reports, as it posts it: told on the job, and only there.

use std::{
    fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::{StreamExt as _, stream};
use hmac::{Hmac, Mac as _};
use outbox::{ClaimOptions, Finish, JobEnd, NewLink, PgPool, Recorded, Seal, SendDecision};
use rand::{SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::AssertSqlSafe;

use crate::{
    harness::TestApi,
    http::{HttpAnswer, RawRequest},
};

const PATH: &str = "/api/webhooks/mailgun";
const KEY: &str = "whsec-for-tests-only-0123456789abcdef";
const SETTINGS: [(&str, &str); 2] = [("MAILGUN_WEBHOOK_SIGNING_KEY", KEY), ("MAILGUN_DOMAIN", "mg.portal.example")];

/// A job whose mail Mailgun has taken.
struct SentEvent {
    id: String,
    recipient: String,
    /// Without angle brackets, as events name it.
    message_id: String,
}

/// A recorded event.
fn fixture(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/mailgun/webhook-{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str::<Value>(&fs::read_to_string(path).unwrap()).unwrap()["event-data"].take()
}

/// A recorded event, about this job.
fn event(name: &str, job: &SentEvent) -> Value {
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

/// As Mailgun signs it.
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

async fn post(door: &TestApi, body: &Value) -> HttpAnswer {
    let request = RawRequest::new("POST", PATH).header("Content-Type", "application/json").body(body.to_string());
    request.send(door.public).await
}

/// Posts an event under a token of its own.
async fn report(door: &TestApi, event: &Value) -> u16 {
    post(door, &signed(now(), &fresh_token(), event)).await.status
}

/// Asks for a link for each, and mails it.
async fn sent(door: &TestApi, pool: &PgPool, people: impl IntoIterator<Item = String>) -> Vec<SentEvent> {
    let mut sent = vec![];
    for recipient in people {
        assert_eq!(door.ask_for(&recipient).await.status, 200);
        let options = ClaimOptions { worker: "test", lease: Duration::from_secs(60), limit: 1, probe: false };
        let claimed = outbox::claim(pool, options).await.unwrap().remove(0);
        let id = claimed.lease.job.to_string();
        let message_id = format!("{id}.0ecc174419e05b6b@mg.portal.example");
        let link = NewLink { sealed: vec![1], message_id: format!("<{message_id}>"), age: Duration::ZERO };
        let lease = claimed.lease;
        let cleared = outbox::test_support::seal(pool, &[Seal { lease, link: Some(link), step: None }]).await.unwrap();
        assert!(matches!(cleared[..], [SendDecision::Send]));
        let ended = outbox::finish(pool, &[Finish { lease, end: JobEnd::Sent, step: None }]).await.unwrap();
        assert_eq!(ended, [Recorded::Done]);
        sent.push(SentEvent { id, recipient, message_id });
    }
    sent
}

async fn open() -> (TestApi, PgPool) {
    // What is told of each webhook is told at `debug`: a line for each would be three per mail.
    let door = TestApi::open(&[&SETTINGS[..], &[("RUST_LOG", "debug")]].concat()).await;
    let pool = door.pool();
    (door, pool)
}

async fn text(pool: &PgPool, query: &str) -> String {
    let query = format!("select coalesce(({query})::text, '')");
    sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(pool).await.unwrap()
}

async fn delivery(pool: &PgPool, job: &SentEvent) -> String {
    text(pool, &format!("select delivery from email_jobs where id = '{}'", job.id)).await
}

#[tokio::test]
async fn each_event_tells_on_its_job_what_became_of_the_mail() {
    let (door, pool) = open().await;
    let table = [
        ("accepted", "accepted"),
        ("delivered", "delivered"),
        ("failed-temporary", "deferred"),
        ("failed-permanent-bounce", "bounced"),
        ("failed-permanent-delayed-bounce", "bounced"),
        ("failed-permanent-suppress-bounce", "suppressed"),
        ("failed-permanent-expired", "undelivered"),
        ("complained", "complained"),
        // It was not sent, and nobody's opening says that it arrived.
        ("delivered-test-mode", ""),
        ("opened", ""),
    ];
    let jobs = sent(&door, &pool, (0..table.len()).map(|n| format!("ann-{n}@example.org"))).await;
    for ((name, wanted), job) in table.into_iter().zip(&jobs) {
        assert_eq!(report(&door, &event(name, job)).await, 200, "{name}");
        assert_eq!(delivery(&pool, job).await, wanted, "{name}");
    }
    for (code, wanted) in [("5.2.2", "undelivered"), ("5.7.1", "undelivered"), ("5.1.10", "bounced")] {
        let job = &sent(&door, &pool, [format!("bob-{code}@example.org")]).await[0];
        let mut event = event("failed-permanent-bounce", job);
        event["delivery-status"]["enhanced-code"] = json!(code);
        assert_eq!(report(&door, &event).await, 200);
        assert_eq!(delivery(&pool, job).await, wanted, "{code}");
    }

    let row = "select concat_ws('|', event, severity, reason, smtp_code, enhanced_code, message, delivery)
               from email_events where delivery = 'bounced' order by received_at limit 1";
    let wanted = "failed|permanent|bounce|550|5.1.1|5.1.1 [address] Recipient address rejected: User unknown|bounced";
    assert_eq!(text(&pool, row).await, wanted);
    let log = door.program.log().join("\n");
    assert!(log.contains("\"event\":\"failed\"") && !log.contains("@example.org"), "{log}");
}

#[tokio::test]
async fn events_shuffled_and_doubled_end_as_those_in_order() {
    const JOBS: usize = 200;
    let (door, pool) = open().await;
    let jobs = sent(&door, &pool, (0..JOBS).map(|n| format!("ann-{n}@example.org"))).await;
    let stories: [(&[&str], &str); 4] = [
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
        for (step, name) in stories[number % stories.len()].0.iter().enumerate() {
            let mut event = event(name, job);
            event["id"] = json!(format!("evt-{number}-{step}"));
            #[allow(clippy::cast_precision_loss)]
            let time = (now() - 100) as f64 + step as f64;
            event["timestamp"] = json!(time);
            // Once more under the same token, and once under another.
            let body = signed(now(), &fresh_token(), &event);
            reports.extend([body.clone(), body, signed(now(), &fresh_token(), &event)]);
        }
    }
    assert_eq!(reports.len(), 3_000);
    let mut rng = StdRng::seed_from_u64(7);
    reports.shuffle(&mut rng);
    let answers = stream::iter(&reports).map(async |body| post(&door, body).await.status).buffer_unordered(16);
    answers.for_each(async |status| assert_eq!(status, 200)).await;

    for (number, job) in jobs.iter().enumerate() {
        let (story, wanted) = stories[number % stories.len()];
        assert_eq!(delivery(&pool, job).await, wanted, "{story:?}");
    }
    assert_eq!(text(&pool, "select count(*) from email_events").await, "1000");
    assert_eq!(text(&pool, "select count(*) from email_events_unmatched").await, "0");
}

#[tokio::test]
async fn a_token_is_good_for_one_event_even_after_a_restart() {
    let (door, pool) = open().await;
    let job = &sent(&door, &pool, ["ann@example.org".to_owned()]).await[0];
    let token = fresh_token();
    let delivered = signed(now(), &token, &event("delivered", job));
    assert_eq!(post(&door, &delivered).await.status, 200);
    let door = door.restart(&SETTINGS).await;

    let mut forged = delivered.clone();
    forged["event-data"] = event("failed-permanent-bounce", job);
    let refused = post(&door, &forged).await;
    assert_eq!((refused.status, refused.code()), (406, "event_refused".to_owned()));
    assert_eq!(post(&door, &delivered).await.status, 200, "the same again");
    assert_eq!(delivery(&pool, job).await, "delivered");
    assert_eq!(text(&pool, "select count(*) from email_events").await, "1");
}

#[tokio::test]
async fn what_is_not_mailguns_or_not_ours_changes_nothing() {
    let (door, pool) = open().await;
    let job = &sent(&door, &pool, ["ann@example.org".to_owned()]).await[0];
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
            "a wrong one",
            altered(|body| body["signature"]["signature"] = json!("0".repeat(64))),
            401,
            "invalid_signature",
        ),
        ("of another token", altered(|body| body["signature"]["token"] = json!("a")), 401, "invalid_signature"),
        ("of wrong types", altered(|body| body["signature"]["timestamp"] = json!(17)), 401, "invalid_signature"),
        (
            "not even hex",
            altered(|body| body["signature"]["signature"] = json!("é".repeat(32))),
            401,
            "invalid_signature",
        ),
        ("too old", signed(now() - 43_300, &fresh_token(), &bounce), 406, "event_refused"),
        ("of tomorrow", signed(now() + 400, &fresh_token(), &bounce), 406, "event_refused"),
        ("an event of tomorrow", signed(now(), &fresh_token(), &tomorrow), 406, "event_refused"),
        ("of another domain", signed(now(), &fresh_token(), &other_domain), 406, "event_refused"),
        ("no event", altered(|body| body["event-data"] = json!([1])), 406, "event_refused"),
        ("an event of wrong types", altered(|body| body["event-data"]["id"] = json!({})), 406, "event_refused"),
        ("no object", json!([]), 401, "invalid_signature"),
    ];
    for (case, body, status, code) in cases {
        let answer = post(&door, &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{case}");
    }
    for (case, change) in [
        ("for somebody else", (|event| event["recipient"] = json!("eve@example.org")) as fn(&mut Value)),
        ("of another mail", |event| event["message"]["headers"]["message-id"] = json!("x.1@mg.portal.example")),
        ("markup", |event| event["message"]["headers"]["message-id"] = json!("<b>\u{0}@mg.portal.example")),
    ] {
        let mut forged = bounce.clone();
        change(&mut forged);
        forged["id"] = json!(case);
        assert_eq!(report(&door, &forged).await, 200, "{case}");
    }
    let huge = RawRequest::new("POST", PATH).header("Content-Type", "application/json").body(vec![b' '; 300 * 1024]);
    assert_eq!(huge.send(door.public).await.status, 413);
    let not_json = RawRequest::new("POST", PATH).header("Content-Type", "application/json").body("{");
    assert_eq!(not_json.send(door.public).await.status, 400);
    assert_eq!(door.get(PATH).await.status, 405);

    assert_eq!(delivery(&pool, job).await, "");
    assert_eq!(text(&pool, "select count(*) from email_events").await, "0");
    assert_eq!(text(&pool, "select count(*) from email_events_unmatched").await, "3");
    let page = RawRequest::new("GET", "/metrics").send(door.private).await;
    let page = String::from_utf8_lossy(&page.body).into_owned();
    for outcome in ["bad_signature", "too_old", "from_the_future", "other_domain", "unmatched"] {
        assert!(page.contains(&format!("outcome=\"{outcome}\"")), "{outcome}: {page}");
    }
}

#[tokio::test]
async fn keys_change_without_a_gap_and_a_subaccounts_parent_signs_too() {
    let settings = [("MAILGUN_WEBHOOK_SIGNING_KEY", "another-key, whsec-for-tests-only-0123456789abcdef")];
    let door = TestApi::open(&settings).await;
    let pool = door.pool();
    let jobs = sent(&door, &pool, ["ann@example.org".to_owned(), "bob@example.org".to_owned()]).await;
    assert_eq!(report(&door, &event("delivered", &jobs[0])).await, 200);

    let mut body = signed(now(), &fresh_token(), &event("delivered", &jobs[1]));
    let ours = body["signature"]["signature"].take();
    body["signature"]["signature"] = json!("1".repeat(64));
    body["signature"]["parent-signature"] = ours;
    assert_eq!(post(&door, &body).await.status, 200);
    assert_eq!(delivery(&pool, &jobs[1]).await, "delivered");
}

#[tokio::test]
async fn without_a_key_there_is_no_such_route() {
    let door = TestApi::open(&[]).await;
    let answer = post(&door, &signed(now(), "a", &fixture("delivered"))).await;
    assert_eq!((answer.status, answer.code()), (404, "not_found".to_owned()));
}
