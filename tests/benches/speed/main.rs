//! `cargo bench --bench speed` measures how fast requests are accepted and mails are sent, compared with the best that
//! the machine can do and, with `PEERS`, with other job queues. It runs a release build of the programs and a Postgres
//! with default durability, all on this machine, so only ratios within one run are meaningful.
//!
//! `cargo bench --bench speed -- enqueue drain` runs only the sections named on the command line. The sections are
//! enqueue, drain, delivery, confirm and peers. `HISTORY` lists the history sizes, in ended jobs, for which drains are
//! measured (default: 1000000,10000000). `ROUNDS` is the number of repetitions (default: 1). The bench prints each
//! value immediately and a table at the end, and writes `target/speed/figures.json` and `target/speed/rates.svg`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints its results and panics at the first error"
)]

mod confirm;
mod delivery;
mod drain;
mod enqueue;
mod figures;
mod floor;
mod load;
mod peers;
mod plot;
mod programs;
mod statistics;

use std::path::Path;

use figures::Figures;
use tests::Plan;

#[tokio::main]
async fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wants = |section: &str| wanted.is_empty() || wanted.iter().any(|it| it == section);
    let rounds: u32 = std::env::var("ROUNDS").map_or(1, |rounds| rounds.parse().unwrap());
    let histories = std::env::var("HISTORY").unwrap_or_else(|_| "1000000,10000000".to_owned());
    let histories: Vec<u64> =
        histories.split(',').filter(|jobs| !jobs.is_empty()).map(|jobs| jobs.trim().parse().unwrap()).collect();
    let mut figures = Figures::default();
    for round in 1..=rounds {
        println!("round {round} of {rounds}");
        if wants("enqueue") {
            enqueue::measure(&mut figures).await;
        }
        if wants("drain") {
            drain::measure(&mut figures, &histories).await;
        }
        if wants("delivery") {
            delivery::measure(&mut figures).await;
        }
        if wants("confirm") {
            confirm::measure(&mut figures).await;
        }
        if wants("peers") && peers::measure(&mut figures).await {
            // Measuring the other job queues takes minutes, and the machine's speed varies. Therefore the outbox is
            // measured both before and after them.
            if wants("enqueue") {
                enqueue::measure_again(&mut figures).await;
            }
            if wants("drain") {
                drain::measure_again(&mut figures).await;
            }
        }
    }
    ratios(&mut figures);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/speed");
    std::fs::create_dir_all(&folder).unwrap();
    figures.write_json(&folder.join("figures.json"));
    plot::write(&figures, &folder.join("rates.svg"));
    println!("\n{}\nwritten to {}", figures.table(), folder.canonicalize().unwrap().display());
}

/// Adds the ratios that are compared between runs.
fn ratios(figures: &mut Figures) {
    let pgbench = ("floor", "single-row prepared INSERT by pgbench, 32 clients");
    let drained = ("drain", "instant upstreams, 1000 at a time");
    let http = ("enqueue", "over HTTP, 32 connections");
    let alone = ("enqueue", "through the outbox alone, 128 callers");
    figures.add_ratio("enqueue over HTTP, 32 connections ÷ pgbench INSERT, 32 clients", http, pgbench);
    figures.add_ratio("enqueue through the outbox alone, 128 callers ÷ pgbench INSERT, 32 clients", alone, pgbench);
    figures.add_ratio(
        "enqueue over HTTP, 32 connections ÷ River's, 32 callers",
        http,
        ("peers", "river enqueue, 32 at a time"),
    );
    figures.add_ratio("drain ÷ River's, tuned", drained, ("peers", "river drain, 1000 at a time"));
    figures.add_ratio("drain ÷ graphile-worker's, tuned", drained, ("peers", "graphile-worker drain, 24 at a time"));
    let during_a_dump = ("drain", "instant upstreams, 1000 at a time, while a dump runs");
    figures.add_ratio("drain while a dump runs ÷ drain without a dump", during_a_dump, drained);
    for jobs in ["1000000", "10000000"] {
        let over = format!("instant upstreams, 1000 at a time, over {jobs} ended jobs");
        let name = format!("drain over {jobs} ended jobs ÷ drain without ended jobs");
        figures.add_ratio(&name, ("drain", &over), drained);
    }
}

/// Sets the production log level, and limits that are too high to be reached.
fn quiet(plan: Plan) -> Plan {
    plan.api("RUST_LOG", "info")
        .worker("RUST_LOG", "info")
        .api("IP_RATE_LIMIT", "1000000/1s")
        .api("QUEUE_LIMIT", "10000000")
}
