//! Runs both programs on a Postgres cluster that fails over: Patroni with synchronous replication, etcd, HAProxy and,
//! in one variant, PgBouncer. `just ha-test` downloads the cluster's programs and runs the test, which is not part of
//! `cargo test --workspace`. The test takes about eight minutes, prints a table of the measurements, and writes the
//! table to `target/ha/figures.md`, next to the logs.
//!
//! People send 120 requests per second while the primary is switched over, killed or frozen. Then the promises are
//! checked: no accepted request is lost, no mail is sent twice, the link in each person's newest mail works, no program
//! needs a restart, a program that is not ready reports this within three seconds, and requests are accepted again
//! within two seconds after new connections can write. This test sleeps, because disruptions last for a fixed time and
//! polls have a fixed interval.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a panic fails the test; the test prints its progress")]

mod balancer;
mod cluster;
mod disruption;
mod figures;
mod load;
mod output;
mod prober;
mod promises;
mod readiness;
mod run;
mod spans;
mod variant;

use balancer::Balancer;
use cluster::Cluster;
use figures::Figures;
use prober::Prober;
use run::Run;
use sandbox::{DaemonFolder, Fault, FaultKind, PgBouncer, TestDatabase};
use tests::{
    Plan, TestSystem,
    record::{Broken, Record},
};
use variant::{VARIANTS, Variant};

/// How long each upstream call takes, in milliseconds. With these delays, some mails are in flight when a disruption
/// begins.
const LINK_TAKES: u64 = 100;
const MAIL_TAKES: u64 = 150;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_loses_nothing_and_needs_no_restart() {
    let test = async {
        let (mut figures, mut broken) = (vec![], vec![]);
        eprintln!("ha: starting the cluster");
        let mut cluster = Cluster::start().await;
        for variant in &VARIANTS {
            let (measured, broke) = try_variant(variant, &mut cluster).await;
            figures.extend(measured);
            broken.extend(broke);
        }
        let table = figures::table(&figures);
        eprintln!("\n{table}");
        output::write("figures.md", &table);
        let details = broken.iter().map(|it: &Broken| format!("{}\n", it.promise)).collect::<String>();
        assert!(broken.is_empty(), "{} promises broken (logs in target/ha):\n{details}", broken.len());
    };
    // On Ctrl-C, the panic drops the cluster and the programs, which stops all processes.
    tokio::select! {
        () = test => {}
        _ = tokio::signal::ctrl_c() => panic!("interrupted"),
    }
}

/// Runs the disruptions of a variant one after another, with the same programs.
async fn try_variant(variant: &Variant, cluster: &mut Cluster) -> (Vec<Figures>, Vec<Broken>) {
    let disruptions: Vec<_> = variant.disruptions.iter().filter(|(it, _)| output::is_wanted(variant, *it)).collect();
    if disruptions.is_empty() {
        return (vec![], vec![]);
    }
    eprintln!("ha: {}", variant.description);
    let folder = DaemonFolder::create("ha-balancer").unwrap();
    let balancer = Balancer::start(cluster, &folder, variant.old_sessions).await;
    let address = cluster.address_at(balancer.port);
    cluster.until_complete().await.server.create_outbox(variant.name).await.unwrap();
    balancer::until_it_leads_to_the_primary(&address).await;
    let pooler = if variant.has_pooler { Some(start_pooler(&address).await) } else { None };
    let address = pooler.as_ref().map_or(address.clone(), |pooler| address.at_port(pooler.port()));
    let system = start_programs(TestDatabase::at(&address, variant.name)).await;
    Prober::prepare(&system.database.url()).await;

    let mut runs = vec![];
    for (disruption, time) in disruptions {
        eprintln!("ha:   sending requests for {} s", time.as_secs());
        runs.push(Run::of(variant, (*disruption, *time), cluster, &system).await);
    }
    output::write_logs(variant, &runs, &system, cluster, &balancer);
    let asked = runs.iter().flat_map(|run| &run.asked).map(|asked| asked.request.clone()).collect();
    let record = Record::gather(&system, asked).await;
    let figures: Vec<Figures> = runs.iter().map(|run| Figures::of(run, variant, &record)).collect();
    let mut broken = promises::broken(&system, &record).await;
    broken.extend(runs.iter().zip(&figures).flat_map(|(run, figures)| promises::broken_by(run, figures, variant)));
    // Allow open jobs here: the checks above have already reported each job that should have ended.
    system.finish_with_any_jobs();
    (figures, broken)
}

/// Starts PgBouncer. With this `server_login_retry`, PgBouncer retries a failed connection after one second instead of
/// 15.
async fn start_pooler(address: &sandbox::ServerAddress) -> PgBouncer {
    let settings = [("pool_mode", "session"), ("default_pool_size", "60"), ("server_login_retry", "1")];
    PgBouncer::start(address, &settings).await.unwrap()
}

async fn start_programs(database: TestDatabase) -> TestSystem {
    let plan = Plan { apis: 2, workers: 2, ..Plan::default() }.api("RUST_LOG", "info").worker("RUST_LOG", "info");
    let system = TestSystem::with_database(database, plan).await;
    system.supabase.faults().add(Fault::from(FaultKind::Delay { millis: LINK_TAKES }).always());
    system.mailgun.faults().add(Fault::from(FaultKind::Delay { millis: MAIL_TAKES }).always());
    system
}
