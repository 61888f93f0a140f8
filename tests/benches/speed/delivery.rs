//! Measures the real programs end to end: how soon a request is picked up, how fast a backlog drains with stand-ins
//! over HTTP, and how much CPU and memory the programs use.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use sandbox::Fault;
use tests::{Plan, TestSystem};

use crate::{
    drain,
    figures::Figures,
    load::{Caller, newcomer},
    programs, quiet,
    statistics::{millis, quantile, rate},
};

/// Number of jobs in the backlog.
const BACKLOG: u64 = 20_000;
/// Duration of each pickup measurement.
const LOAD: Duration = Duration::from_secs(10);
/// Duration of the measurement of idle programs.
const IDLE: Duration = Duration::from_secs(20);
const FIREWALL: &str = "<html><head><title>403 Forbidden</title></head><body>Request blocked</body></html>";

pub(crate) async fn measure(figures: &mut Figures) {
    let plan = Plan { own_server: true, ..Plan::default() }
        .worker("WORKER_CONCURRENCY", "256")
        .worker("SUPABASE_CONCURRENCY", "256")
        .worker("MAILGUN_RATE", "1000000/1s");
    let system = TestSystem::with(quiet(plan)).await;
    let idle = programs::cpu_percent(&[&system.apis[0], &system.workers[0]], IDLE).await;
    figures.add("programs", "idle api", idle[0], "% of a core");
    figures.add("programs", "idle worker", idle[1], "% of a core");
    pickup(&system, figures, 20.0, "20 requests a second", None).await;
    let refused = newcomer();
    system.supabase.faults().add(Fault::answer(403, FIREWALL).always().to(&refused));
    let name = "20 requests a second, while a firewall refuses calls for one address";
    pickup(&system, figures, 20.0, name, Some(&refused)).await;
    system.supabase.faults().clear();

    drain::fill(&system.admin, BACKLOG).await;
    let began = Instant::now();
    let open = "select count(*) from email_jobs_open";
    // Poll only every 20 ms, so that the measurement does not slow down the drain.
    while system.scalar::<i64>(open).await != 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let full = rate(BACKLOG, began.elapsed());
    figures.add("drain", "real worker, stand-ins over HTTP, 256 at a time", full, "/s");
    let memory = programs::megabytes(&system.workers[0], "VmHWM");
    figures.add("programs", "peak worker memory, 256 at a time", memory, "MB");
    pickup(&system, figures, full / 2.0, "half of full load", None).await;
    system.finish().await;
}

/// Measures the time from the api's response to the worker's call to `generate_link`, at `a_second` requests per
/// second. If `refused` is given, a link for that address is requested first and not measured.
async fn pickup(system: &TestSystem, figures: &mut Figures, a_second: f64, name: &str, refused: Option<&str>) {
    system.until_idle().await;
    let known = system.supabase.journal().len();
    let address: Arc<str> = system.url("").await.trim_start_matches("http://").into();
    if let Some(refused) = refused {
        Caller::connect(&address).await.ask(refused).await;
    }
    let answered: Arc<Mutex<HashMap<String, SystemTime>>> = Arc::default();
    let began = Instant::now();
    const CALLERS: u32 = 16;
    let asking = (0..CALLERS).map(|caller| {
        let (address, answered) = (Arc::clone(&address), Arc::clone(&answered));
        tokio::spawn(async move {
            let mut connection = Caller::connect(&address).await;
            for turn in 0.. {
                let due = began + Duration::from_secs_f64(f64::from(turn * CALLERS + caller) / a_second);
                if due > began + LOAD {
                    break;
                }
                tokio::time::sleep_until(due.into()).await;
                let email = newcomer();
                connection.ask(&email).await;
                answered.lock().unwrap().insert(email, SystemTime::now());
            }
        })
    });
    futures_util::future::join_all(asking).await.into_iter().for_each(Result::unwrap);
    system.until_idle().await;
    let answered = answered.lock().unwrap();
    let calls = system.supabase.journal();
    // The worker may call `generate_link` before the api's response has arrived. Count that as a wait of zero.
    let wait =
        |called: SystemTime, answered: SystemTime| called.duration_since(answered).unwrap_or_default().as_secs_f64();
    let mut waits: Vec<f64> =
        calls[known..].iter().filter_map(|call| Some(wait(call.at, *answered.get(&call.email)?))).collect();
    assert!(waits.len() >= answered.len());
    waits.sort_by(f64::total_cmp);
    figures.add("pickup", format!("at {name}, p50"), millis(quantile(&waits, 0.5)), "ms");
    figures.add("pickup", format!("at {name}, p99"), millis(quantile(&waits, 0.99)), "ms");
}
