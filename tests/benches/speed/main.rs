//! speed (work in progress)
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints for people, and stops at the first fault")]

mod drain;
mod load;

use std::time::Duration;

use sandbox::Postgres;
use tests::{House, Plan};

fn quiet(plan: Plan) -> Plan {
    plan.api("RUST_LOG", "info")
        .worker("RUST_LOG", "info")
        .api("IP_RATE_LIMIT", "1000000/1s")
        .api("QUEUE_LIMIT", "10000000")
}

#[tokio::main]
async fn main() {
    let what = std::env::args().nth(1).unwrap_or_default();
    if what.contains("http") {
        let house = House::of(quiet(Plan { own_server: true, workers: 0, ..Plan::default() })).await;
        let address = house.url("").await;
        println!("api pid {} {}", house.apis[0].pid(), house.database_url);
        for connections in [1, 32, 128] {
            let answered = load::ask(address.trim_start_matches("http://"), connections, Duration::from_secs(6)).await;
            let at = |part: f64| answered.seconds[((answered.seconds.len() - 1) as f64 * part) as usize] * 1e3;
            println!("http {connections}: {:.0}/s p50 {:.2} p99 {:.2} ms", answered.rate, at(0.5), at(0.99));
        }
    }
    if what.contains("outbox") {
        let server = Postgres::start().await.unwrap();
        server.create_outbox("enqueue").await.unwrap();
        let pool = outbox::connect(&server.url_as("enqueue", sandbox::Role::Api).into(), 10, "bench").unwrap();
        let admission = outbox::Admission {
            per_recipient: "10/15m,30/1d".parse().unwrap(),
            per_recipient_and_client: "3/15m,10/1d".parse().unwrap(),
            duplicate_window: Duration::from_secs(10),
            deadline: Duration::from_secs(900),
        };
        let commit = outbox::GroupCommit::of_requests(pool, admission, |n, t| drain::note(0, n, t));
        for callers in [1, 32, 128] {
            let began = std::time::Instant::now();
            let asks = (0..callers).map(|c| {
                let commit = commit.clone();
                tokio::spawn(async move {
                    let mut n = 0;
                    while began.elapsed() < Duration::from_secs(5) {
                        n += 1;
                        let job = outbox::NewJob {
                            id: outbox::JobId::new(),
                            recipient: outbox::Email::parse(&format!("p{callers}-{c}-{n}@example.com")).unwrap(),
                            callback_url: "https://example.com/auth/callback?next=%2Fprojects%2F42".into(),
                            client: "203.0.113.7".into(),
                            request_id: outbox::JobId::new().to_string(),
                            traceparent: None,
                        };
                        assert_eq!(commit.commit(job).await.unwrap(), outbox::Enqueued::Queued);
                    }
                    n
                })
            });
            let n: u64 = futures_util::future::join_all(asks).await.into_iter().map(Result::unwrap).sum();
            println!("outbox {callers}: {:.0}/s", n as f64 / began.elapsed().as_secs_f64());
            drain::notes();
        }
    }
    if what.contains("drain") {
        let server = Postgres::start().await.unwrap();
        server.create_outbox("drain").await.unwrap();
        println!("{}", server.url("drain"));
        let admin = outbox::connect(&server.url("drain").into(), 2, "bench").unwrap();
        let pool = outbox::connect(&server.url_as("drain", sandbox::Role::Worker).into(), 10, "bench").unwrap();
        for concurrency in [1000, 1000, 1000] {
            drain::fill(&admin, 100_000).await;
            println!(
                "drain {concurrency}: {:.0}/s",
                drain::drain(&pool, 100_000, concurrency, drain::Batching::Grouped).await
            );
            drain::notes();
        }
    }
}
