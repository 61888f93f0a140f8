//! Enqueues requests directly through the outbox's Rust API, and over HTTP through the real api.

use std::time::{Duration, Instant};

use outbox::{CallbackUrl, Email, EnqueuePolicy, Enqueued, GroupCommit, JobId, NewJob, ShownHost};
use sandbox::{Postgres, Role};
use tests::{Plan, TestSystem};

use crate::{
    figures::Figures,
    floor,
    load::{self, newcomer},
    programs, quiet,
    statistics::{millis, quantile},
};

/// Duration of each measurement.
const LOAD: Duration = Duration::from_secs(6);

/// Measures the floor (plain INSERTs and flushes to disk) and everything that is compared with it, on the same server.
pub(crate) async fn measure(figures: &mut Figures) {
    let system = TestSystem::with(quiet(Plan { own_server: true, workers: 0, ..Plan::default() })).await;
    let server = system.server.as_ref().unwrap();
    figures.add("floor", "write of 8 KiB and fdatasync", floor::fdatasync(), "ms");
    server.create_database("floor").await.unwrap();
    inserts(figures, server).await;

    server.create_outbox("alone").await.unwrap();
    for callers in [32, 128] {
        alone(figures, server, callers).await;
    }
    let rate = through_the_outbox(server, 32, false).await;
    figures.add("ablation", "enqueue through the outbox alone, 32 callers, one commit per request", rate, "/s");

    for connections in [1, 32, 128] {
        over_http(figures, &system, connections).await;
    }
    figures.add("programs", "api memory after 128 connections", programs::megabytes(&system.apis[0], "VmRSS"), "MB");
    let accepted: f64 = system.scalar("select count(*)::float8 from email_jobs").await;
    let cpu = programs::cpu_seconds(&system.apis[0]) / accepted * 1e6;
    figures.add("programs", "api CPU per accepted request", cpu, "µs");
    inserts(figures, server).await;
    system.finish_with_any_jobs();
}

/// Repeats the measurements that are compared with those of other job queues.
pub(crate) async fn measure_again(figures: &mut Figures) {
    let system = TestSystem::with(quiet(Plan { own_server: true, workers: 0, ..Plan::default() })).await;
    let server = system.server.as_ref().unwrap();
    server.create_outbox("alone").await.unwrap();
    server.create_database("floor").await.unwrap();
    alone(figures, server, 128).await;
    over_http(figures, &system, 32).await;
    inserts(figures, server).await;
    system.finish_with_any_jobs();
}

async fn inserts(figures: &mut Figures, server: &Postgres) {
    let (by, rate) = floor::inserts(&server.url("floor"), 32, LOAD).await;
    figures.add("floor", format!("single-row prepared INSERT by {by}, 32 clients"), rate, "/s");
}

async fn alone(figures: &mut Figures, server: &Postgres, callers: usize) {
    let rate = through_the_outbox(server, callers, true).await;
    figures.add("enqueue", format!("through the outbox alone, {callers} callers"), rate, "/s");
}

async fn over_http(figures: &mut Figures, system: &TestSystem, connections: usize) {
    let address = system.url("").await.trim_start_matches("http://").to_owned();
    let answered = load::ask(&address, connections, LOAD).await;
    figures.add("enqueue", format!("over HTTP, {connections} connections"), answered.rate, "/s");
    let at = |part| millis(quantile(&answered.seconds, part));
    figures.add("enqueue", format!("over HTTP, {connections} connections, p50"), at(0.5), "ms");
    figures.add("enqueue", format!("over HTTP, {connections} connections, p99"), at(0.99), "ms");
}

fn admission() -> EnqueuePolicy {
    EnqueuePolicy {
        per_recipient: "10/15m,30/1d".parse().unwrap(),
        per_recipient_and_client: "3/15m,10/1d".parse().unwrap(),
        duplicate_window: Duration::from_secs(10),
        deadline: Duration::from_secs(900),
    }
}

/// Returns how many requests were enqueued per second. Each request is for a different recipient. If `in_groups` is
/// false, each request has its own commit.
async fn through_the_outbox(server: &Postgres, callers: usize, in_groups: bool) -> f64 {
    let connections = if in_groups { 4 } else { u32::try_from(callers).unwrap() };
    let pool = outbox::connect(&server.url_as("alone", Role::Api).into(), connections, "bench").unwrap();
    let commit = GroupCommit::of_requests(&pool, admission(), |_, _| ()).unwrap();
    let began = Instant::now();
    let asking = (0..callers).map(|_| {
        let (pool, commit) = (pool.clone(), commit.clone());
        tokio::spawn(async move {
            let mut taken = 0_u32;
            while began.elapsed() < LOAD {
                let outcome = if in_groups {
                    commit.commit(new_job()).await.unwrap()
                } else {
                    outbox::test_support::enqueue(&pool, &admission(), &[new_job()]).await.unwrap()[0]
                };
                assert_eq!(outcome, Enqueued::Queued);
                taken += 1;
            }
            f64::from(taken)
        })
    });
    let taken: f64 = futures_util::future::join_all(asking).await.into_iter().map(Result::unwrap).sum();
    let rate = taken / began.elapsed().as_secs_f64();
    pool.close().await;
    rate
}

fn new_job() -> NewJob {
    let id = JobId::new();
    NewJob {
        id,
        recipient: Email::parse(&newcomer()).unwrap(),
        callback_url: CallbackUrl::parse("https://example.com/auth/callback?next=%2Fprojects%2F42").unwrap(),
        shown_host: ShownHost::parse("example.com").unwrap(),
        language: "en".to_owned(),
        time_zone: None,
        portal: None,
        portal_quota: None,
        deadline: None,
        client: "203.0.113.7".to_owned(),
        request_id: id.to_string(),
        traceparent: None,
    }
}
