//! Log lines about individual jobs, refused origins and webhooks.

use std::time::Duration;

use sandbox::eventually;
use serde_json::{Value, json};
use tests::{Plan, TestSystem};

use super::{MAX_WAIT, fields};

#[tokio::test]
async fn each_finished_job_is_logged_once() {
    let system = TestSystem::start().await;
    let answer = system.ask("hello@example.com").await;
    let job = system.until_state(&answer, "sent").await;
    let worker = &system.workers[0];
    let line = worker.wait_for_line("delivery finished", MAX_WAIT).await.unwrap();
    let (span, told): (Value, Value) = (serde_json::from_str::<Value>(&line).unwrap()["span"].clone(), fields(&line));
    assert_eq!(
        (&span["job_id"], &span["request_id"]),
        (&json!(job.id.to_string()), &json!(answer.request_id)),
        "{line}"
    );
    assert_eq!((&told["state"], &told["attempts"]), (&json!("sent"), &json!(1)), "{line}");
    assert!(told["duration_ms"].is_u64(), "{line}");
    let lines = worker.log().iter().filter(|line| line.contains("delivery finished")).count();
    assert_eq!((lines, worker.log().concat().contains("hello@")), (1, false));
    system.finish().await;
}

#[tokio::test]
async fn a_job_that_ends_while_waiting_is_logged() {
    let mut system = TestSystem::with(Plan { workers: 0, ..Plan::default() }).await;
    let answer = system.ask("hello@example.com").await;
    let late = "
        update email_jobs_open
        set created_at = created_at - interval '1 hour', deadline_at = clock_timestamp(), portal = 'shop'";
    system.execute(late).await;
    system.start_worker().await;
    let job = system.until_state(&answer, "expired").await;
    let worker = &system.workers[0];
    let line = worker.wait_for_line("job ended while no worker was delivering it", MAX_WAIT).await.unwrap();
    let told = fields(&line);
    let ids = (&json!(job.id.to_string()), &json!(answer.request_id));
    assert_eq!((&told["job_id"], &told["request_id"]), ids, "{line}");
    assert_eq!(
        (&told["state"], &told["attempts"], &told["code"]),
        (&json!("expired"), &json!(0), &json!("deadline_passed"))
    );
    assert!(told["age_ms"].as_u64() >= Some(3_600_000), "{line}");
    assert_eq!(told["portal"], "shop", "{line}");
    let (_, metrics) = system.get(&format!("http://{}/metrics", worker.address().await.unwrap())).await;
    for series in ["state=\"expired\",portal=\"shop\"} 1", "state=\"expired\",portal=\"default\"} 0"] {
        assert!(metrics.contains(&format!("magic_link_jobs_total{{{series}\n")), "{series}: {metrics}");
    }
    assert!(!worker.log().concat().contains("hello@"));
    system.finish().await;
}

#[tokio::test]
async fn superseded_jobs_and_duplicate_requests_are_logged() {
    let plan = Plan { workers: 0, ..Plan::default() }.api("DUPLICATE_WINDOW", "1m");
    let mut system = TestSystem::with(plan).await;
    let first = system.ask_for("hello@example.com", "one").await;
    let second = system.ask_for("hello@example.com", "two").await;
    let repeated = system.ask_for("hello@example.com", "two").await;
    let api = &system.apis[0];
    for (answer, message, code) in [
        (&first, "job ended while no worker was delivering it", "newer_request"),
        (&repeated, "the request was not queued; no mail will be sent for it", "duplicate"),
    ] {
        let line = api.wait_for_line(message, MAX_WAIT).await.unwrap();
        let (told, job) = (fields(&line), system.job(answer).await);
        let ids = (&json!(job.id.to_string()), &json!(answer.request_id));
        assert_eq!((&told["job_id"], &told["request_id"]), ids, "{line}");
        let outcome = (&told["state"], &told["attempts"], &told["code"]);
        assert_eq!(outcome, (&json!("superseded"), &json!(0), &json!(code)), "{line}");
        assert!(told["age_ms"].is_u64(), "{line}");
    }
    let lines =
        api.log().iter().filter(|line| line.contains("job ended") || line.contains("no mail will be sent")).count();
    assert_eq!((lines, api.log().concat().contains("hello@")), (2, false));
    system.start_worker().await;
    system.until_state(&second, "sent").await;
    system.finish().await;
}

#[tokio::test]
async fn the_host_of_a_refused_origin_is_logged_only_once() {
    let system = TestSystem::start().await;
    let secret = "https://ann:sesame@lost-portal.example.org:8443/ann?token=sesame";
    let hostile = "https://evil.example\",\"level\":\"ERROR\n2026 ERROR forged";
    let flood = (0..40).map(|number| format!("https://flood-{number}.example"));
    for origin in [secret.to_owned(), secret.to_owned(), hostile.to_owned()].into_iter().chain(flood) {
        let body = json!({ "email": "hello@example.com", "callback_origin": origin });
        let answer = system.post(&body).await;
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!("callback_origin_not_allowed")));
    }
    let log = system.apis[0].log();
    let lines: Vec<&String> = log.iter().filter(|line| line.contains("that no portal allows")).collect();
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert_eq!(fields(lines[0])["host"], "\"lost-portal.example.org\"");
    assert_eq!(lines.iter().filter(|line| line.contains("lost-portal")).count(), 1);
    assert_eq!(fields(lines[1])["unlogged_refusals"], 1, "{lines:?}");
    for hidden in ["sesame", "ann:", "forged", ":8443"] {
        assert!(!log.concat().contains(hidden), "{hidden}: {lines:?}");
    }
    system.finish().await;
}

#[tokio::test]
async fn webhooks_are_logged_in_batches() {
    let system = TestSystem::with(Plan::default().api("MAILGUN_WEBHOOK_SIGNING_KEY", "a-key")).await;
    system.mailgun.set_webhook_delay(Duration::ZERO);
    system.mailgun.set_webhook(&system.url("/api/webhooks/mailgun").await, "a-key");
    let answer = system.ask("hello@example.com").await;
    system.until_delivery(&answer, "delivered").await;
    let url = system.url("/api/webhooks/mailgun").await;
    let forged = json!({ "signature": { "timestamp": "1", "token": "t", "signature": "s" }, "event-data": {} });
    assert_eq!(tests::post_at(&url, &forged).await.status, 401);
    let api = &system.apis[0];
    eventually("the counts of the recorded events", async || {
        let log = api.log();
        let lines = log.iter().filter(|line| line.contains("unknown events match no job"));
        let counts: Vec<Value> = lines.map(|line| fields(line)).collect();
        let sum = |name: &str| counts.iter().filter_map(|fields| fields[name].as_u64()).sum::<u64>();
        if sum("events_recorded") >= 2 && sum("events_unknown") == 0 { Ok(()) } else { Err(log.join("\n")) }
    })
    .await;
    let refused = api.wait_for_line("webhooks refused", MAX_WAIT).await.unwrap();
    assert_eq!(
        (&fields(&refused)["reason"], &fields(&refused)["webhooks_refused"]),
        (&json!("bad_signature"), &json!(1))
    );
    system.finish().await;
}
