//! `magic-link-worker upstreams`, `/metrics` and `/health/ready` report the same status for an upstream.

use sandbox::{Fault, eventually};
use tests::TestSystem;

/// The status of Supabase in the output of `upstreams`, in the metrics and in the health check.
#[derive(Debug, PartialEq, Eq)]
struct Reports {
    command: String,
    gauges: [String; 2],
    health: (u16, String),
}

async fn read(system: &TestSystem) -> Reports {
    let command = system.worker_command(&["upstreams"]).await;
    let line = command.iter().find(|line| line.starts_with("supabase ")).unwrap();
    let kind = line.trim_start_matches("supabase").split(" since").next().unwrap().trim();
    let url = format!("http://{}/metrics", system.workers[0].address().await.unwrap());
    let (_, metrics) = system.get(&url).await;
    let gauge = |name: &str| {
        let series = format!("{name}{{upstream=\"supabase\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&series)).unwrap_or("missing").to_owned()
    };
    let (status, body) = system.worker_ready(0).await;
    let told = body["checks"]["supabase"]["status"].as_str().unwrap_or("missing").to_owned();
    Reports {
        command: kind.to_owned(),
        gauges: [gauge("magic_link_breaker_open"), gauge("magic_link_upstream_slow")],
        health: (status, told),
    }
}

async fn until_all_say(system: &TestSystem, kind: &str, open: u8, slow: u8, health: (u16, &str)) {
    let wanted = Reports {
        command: kind.to_owned(),
        gauges: [open.to_string(), slow.to_string()],
        health: (health.0, health.1.to_owned()),
    };
    eventually("all three reports to show the expected status", async || {
        let reports = read(system).await;
        if reports == wanted { Ok(()) } else { Err(reports) }
    })
    .await;
}

#[tokio::test]
async fn the_command_the_metrics_and_the_health_check_agree_about_an_upstream() {
    let system = TestSystem::start().await;
    until_all_say(&system, "ok", 0, 0, (200, "ok")).await;
    system.supabase.faults().add(Fault::status(503).always());
    system.ask("hello@example.com").await;
    until_all_say(&system, "down (slow mode)", 0, 1, (503, "down")).await;
    let lines = system.worker_command(&["upstreams"]).await.join("\n");
    let code: String = system.scalar("select code from upstreams where name = 'supabase'").await;
    assert!(lines.contains(&format!(": {code}: ")) && lines.contains("Check SUPABASE_URL."), "{lines}");

    system.supabase.faults().clear();
    let refused = r#"{"code":"bad_jwt","message":"invalid JWT: token is expired"}"#;
    system.supabase.faults().add(Fault::answer(403, refused).always());
    until_all_say(&system, "down (breaker open)", 1, 0, (503, "down")).await;
    system.supabase.faults().clear();
    until_all_say(&system, "ok", 0, 0, (200, "ok")).await;
    system.until_idle().await;
    system.finish().await;
}
