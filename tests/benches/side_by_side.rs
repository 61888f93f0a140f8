//! `cargo bench`: our enqueue over HTTP against pgbench's single-row INSERT on the same server, the time from the
//! answer to the call of `generate_link`, and the memory of both programs. One run, one table.
//!
//! Compare the figures of one run only: the machine is shared by load, programs and Postgres.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints for people, and stops at the first fault")]

use std::{
    collections::HashMap,
    process::Stdio,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime},
};

use sandbox::Program;
use tests::{House, Plan};
use tokio::process::Command;

/// Length of each measurement under load.
const LOAD: Duration = Duration::from_secs(8);
/// Connections of the load, and clients of pgbench.
const CONNECTIONS: usize = 32;
/// Requests for the pickup latency, at 20 a second.
const PICKUPS: usize = 200;

#[tokio::main]
async fn main() {
    let rounds = 2;
    for round in 1..=rounds {
        println!("round {round} of {rounds}: enqueue over HTTP, {CONNECTIONS} connections, {} s …", LOAD.as_secs());
        let house = House::of(quiet(Plan { own_server: true, workers: 0, ..Plan::default() })).await;
        let enqueued = enqueue_rate(&house).await;
        let api_memory = resident_megabytes(&house.apis[0]);
        println!("round {round} of {rounds}: pgbench, {CONNECTIONS} clients, {} s …", LOAD.as_secs());
        let inserted = pgbench_rate(&house).await;
        drop(house);

        println!("round {round} of {rounds}: pickup, {PICKUPS} requests at 20/s …");
        let house = House::of(quiet(Plan { own_server: true, ..Plan::default() })).await;
        let (p50, p99) = pickup(&house).await;
        let worker_memory = resident_megabytes(&house.workers[0]);

        println!("\n  enqueue over HTTP          {enqueued:>8.0} /s");
        println!("  pgbench single-row INSERT  {inserted:>8.0} /s");
        println!("  ratio                      {:>8.2}", enqueued / inserted);
        println!("  pickup p50 / p99           {p50:>8.1} / {p99:.1} ms (200 answered to generate_link called)");
        println!("  resident: api after load   {api_memory:>8.1} MB");
        println!("  resident: worker           {worker_memory:>8.1} MB\n");
    }
}

/// The log level of production, and no limit in the way.
fn quiet(plan: Plan) -> Plan {
    plan.api("RUST_LOG", "info")
        .worker("RUST_LOG", "info")
        .api("IP_RATE_LIMIT", "1000000/1s")
        .api("QUEUE_LIMIT", "100000000")
}

/// Accepted requests a second, each for another person.
async fn enqueue_rate(house: &House) -> f64 {
    let accepted = AtomicU64::new(0);
    let began = Instant::now();
    let connections = (0..CONNECTIONS).map(|connection| {
        let accepted = &accepted;
        async move {
            let mut n = 0;
            while began.elapsed() < LOAD {
                n += 1;
                let answer = house.ask(&format!("c{connection}-{n}@example.com")).await;
                assert_eq!(answer.status, 200, "{answer:?}");
                accepted.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    futures_util::future::join_all(connections).await;
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let accepted = accepted.into_inner() as f64;
    accepted / began.elapsed().as_secs_f64()
}

/// Single-row prepared INSERTs a second into a plain table with a primary key and one index, same size of row.
async fn pgbench_rate(house: &House) -> f64 {
    house.execute("create table floor (id bigserial primary key, recipient text, body text); create index on floor (recipient); checkpoint").await;
    let script = tempfile();
    std::fs::write(&script, "\\set n random(1, 100000000)\ninsert into floor (recipient, body) values ('person-' || :n || '@example.com', repeat('x', 200));\n").unwrap();
    let seconds = LOAD.as_secs().to_string();
    let clients = CONNECTIONS.to_string();
    let output = Command::new("pgbench")
        .args(["-n", "-M", "prepared", "-c", &clients, "-j", "2", "-T", &seconds, "-f"])
        .arg(&script)
        .arg(&house.database_url)
        .stderr(Stdio::inherit())
        .output()
        .await
        .expect("pgbench is installed");
    std::fs::remove_file(&script).unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let line = output.lines().find(|line| line.starts_with("tps = ")).expect("pgbench tells its rate");
    line.split_whitespace().nth(2).unwrap().parse().unwrap()
}

fn tempfile() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("floor-{}.sql", std::process::id()))
}

/// Milliseconds from the answer's arrival to the call of `generate_link`: median and 99th percentile.
async fn pickup(house: &House) -> (f64, f64) {
    let mut answered = HashMap::new();
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    for n in 0..PICKUPS {
        pace.tick().await;
        let email = format!("pickup-{n}@example.com");
        assert_eq!(house.ask(&email).await.status, 200);
        answered.insert(email, SystemTime::now());
    }
    house.until_idle().await;
    let calls = house.supabase.journal();
    let mut waits: Vec<f64> = calls
        .iter()
        // A call may come before the answer has crossed back: that is no wait at all.
        .map(|call| call.at.duration_since(answered[&call.email]).unwrap_or_default().as_secs_f64() * 1_000.0)
        .collect();
    assert_eq!(waits.len(), PICKUPS);
    waits.sort_by(f64::total_cmp);
    (waits[PICKUPS / 2], waits[PICKUPS * 99 / 100])
}

/// VmRSS of a program, in MB.
fn resident_megabytes(program: &Program) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1_024.0
}
