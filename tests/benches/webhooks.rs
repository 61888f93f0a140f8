//! `cargo bench --bench webhooks` posts 2,000 signed webhooks a second (or `RATE`) for ten seconds to the real api on a
//! Postgres with default durability, while other clients keep requesting links. The bench prints a table for each
//! round.
//!
//! The load is open: each post has a due time, and its latency is measured from then, even if earlier posts are late.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bench prints its results and panics at the first error"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tests::{Plan, TestSystem};

const KEY: &str = "a-webhook-signing-key";
const LOAD: Duration = Duration::from_secs(10);
/// Number of connections over which webhooks are posted.
const CONNECTIONS: usize = 64;
/// Requests for links per second, in addition to the webhooks.
const REQUESTS: u32 = 20;

#[tokio::main]
async fn main() {
    let rate: u32 = std::env::var("RATE").map_or(2_000, |rate| rate.parse().unwrap());
    let posts = rate as usize * LOAD.as_secs() as usize;
    for round in 1..=2 {
        let plan = Plan { own_server: true, workers: 0, ..Plan::default() };
        let plan =
            plan.api("RUST_LOG", "info").api("MAILGUN_WEBHOOK_SIGNING_KEY", KEY).api("IP_RATE_LIMIT", "1000000/1s");
        let system = TestSystem::with(plan).await;
        println!("round {round} of 2: {posts} events for {} mails at {rate}/s …", posts / 2);
        let bodies = Arc::new(events_of(&system, posts / 2).await);
        let url = system.url("/api/webhooks/mailgun").await;
        let began = Instant::now();
        let (webhooks, requests) = tokio::join!(post_all(&url, &bodies, rate, began), ask(&system, began));
        let taken = began.elapsed();

        let delivered: i64 = system.scalar("select count(*) from email_jobs where delivery = 'delivered'").await;
        assert_eq!(usize::try_from(delivered), Ok(posts / 2), "some deliveries were not recorded on their jobs");
        let (batches, size) = batches(&system).await;
        println!("\n  webhooks accepted          {:>8.0} /s", posts as f64 / taken.as_secs_f64());
        println!("  webhook p50 / p99 / max    {} ms", quantiles(webhooks));
        println!("  request p50 / p99 / max    {} ms (at {REQUESTS}/s)", quantiles(requests));
        println!("  webhooks per commit        {:>8.1} (of {batches} commits)\n", size);
        system.finish_with_any_jobs();
    }
}

/// Inserts jobs whose mails have just been sent, and returns two events for each mail, accepted and delivered. The
/// events are interleaved as Mailgun would post them.
async fn events_of(system: &TestSystem, mails: usize) -> Vec<String> {
    system
        .execute(&format!(
            "insert into email_jobs (
               id, state, recipient, callback_url, attempt, attempted_at, deadline_at, finished_at, request_id, message_id,
               worker, mailbox, place, seq)
             select
               (lpad(to_hex((extract(epoch from now()) * 1000)::bigint), 12, '0') || '7' || left(md5(n::text), 3) || '8'
                 || substr(md5(n::text), 4, 15))::uuid,
               'sent', 'person-' || n || '@example.com', 'https://example.com/auth/callback', 1, now(),
               now() + interval '15 min', now(), 'bench', '<' || n || '@mg.example.com>', 'bench',
               'person-' || n || '@example.com', n, n
             from generate_series(1, {mails}) as n;
             analyze"
        ))
        .await;
    let jobs: Vec<(String, String, String)> =
        sqlx::query_as("select id::text, recipient, message_id from email_jobs where state = 'sent' order by seq")
            .fetch_all(&system.admin)
            .await
            .unwrap();
    let now = system.scalar::<f64>("select extract(epoch from now())::float8").await;
    let event = |kind: &str, (job, recipient, message_id): &(String, String, String)| -> Value {
        json!({
            "id": format!("{kind}-{job}"), "event": kind, "timestamp": now, "recipient": recipient,
            "message": {"headers": {"message-id": message_id.trim_matches(['<', '>'])}},
            "user-variables": {"job_id": job},
            "delivery-status": {"code": 250, "message": "OK", "mx-host": "mx.example.com", "attempt-no": 1},
            "tags": ["sign-in"], "flags": {"is-test-mode": false},
        })
    };
    let mut bodies = Vec::new();
    // A mail's second event comes a hundred events after its first.
    for group in jobs.chunks(100) {
        for kind in ["accepted", "delivered"] {
            bodies.extend(group.iter().map(|job| sandbox::signed(KEY, &event(kind, job)).to_string()));
        }
    }
    bodies
}

/// Posts the bodies at this rate, and returns the seconds from each post's due time to its response.
async fn post_all(url: &str, bodies: &Arc<Vec<String>>, rate: u32, began: Instant) -> Vec<f64> {
    let next = Arc::new(AtomicUsize::new(0));
    let connections = (0..CONNECTIONS).map(|_| {
        let (url, bodies, next) = (url.to_owned(), Arc::clone(bodies), Arc::clone(&next));
        tokio::spawn(async move {
            // Each task has its own connection.
            let client = sandbox::client().unwrap();
            let mut taken = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(body) = bodies.get(number) else { return taken };
                let due = began + Duration::from_secs_f64(number as f64 / f64::from(rate));
                tokio::time::sleep_until(due.into()).await;
                let post = client.post(&url).header("content-type", "application/json").body(body.clone());
                assert_eq!(post.send().await.unwrap().status(), 200);
                taken.push(due.elapsed().as_secs_f64());
            }
        })
    });
    let taken = futures_util::future::join_all(connections).await;
    taken.into_iter().flat_map(Result::unwrap).collect()
}

async fn ask(system: &TestSystem, began: Instant) -> Vec<f64> {
    let mut taken = Vec::new();
    for number in 0.. {
        let due = began + Duration::from_secs(1) * number / REQUESTS;
        if due > began + LOAD {
            break;
        }
        tokio::time::sleep_until(due.into()).await;
        assert_eq!(system.ask(&format!("asking-{number}@example.com")).await.status, 200);
        taken.push(due.elapsed().as_secs_f64());
    }
    taken
}

fn quantiles(mut seconds: Vec<f64>) -> String {
    seconds.sort_by(f64::total_cmp);
    let at = |part: f64| seconds[((seconds.len() - 1) as f64 * part) as usize] * 1e3;
    format!("{:>8.1} / {:.1} / {:.1}", at(0.5), at(0.99), at(1.0))
}

/// Returns the number of commits and the average number of webhooks per commit, both from the api's metrics.
async fn batches(system: &TestSystem) -> (u64, f64) {
    let (_, metrics) = system.get(&system.private_url(0, "/metrics").await).await;
    let value = |name: &str| -> f64 {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let count = value("magic_link_api_webhook_batch_size_count");
    (count as u64, value("magic_link_api_webhook_batch_size_sum") / count)
}
