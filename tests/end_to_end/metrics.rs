//! The programs export every metric that the dashboard and the alerts use, with correct values and no personal data.

use std::collections::{BTreeMap, BTreeSet};

use sandbox::eventually;
use tests::{Plan, TestSystem};

const DASHBOARD: &str = include_str!("../../deploy/grafana.json");
const ALERTS: &str = include_str!("../../deploy/alerts.yaml");

/// Returns the names of this project's metrics in `text`, without the suffixes that Prometheus adds for histograms.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("magic_link_"));
    ours.map(|word| ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word))
        .collect()
}

/// Parses Prometheus's text format. Panics if a sample precedes its type or if a series occurs twice.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut types = BTreeMap::new();
    let mut samples = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(of) = line.strip_prefix("# TYPE ") {
            let (name, kind) = of.split_once(' ').unwrap();
            assert!(types.insert(name, kind).is_none(), "{name} has two `# TYPE` lines");
        } else if !line.starts_with("# HELP ") {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            let kind = types.get(family).or(types.get(name)).unwrap_or_else(|| panic!("{name} has no `# TYPE` line"));
            assert_eq!(name.ends_with("_total"), *kind == "counter", "{name}");
            assert!(samples.insert(series.to_owned(), value.parse().unwrap()).is_none(), "{series} occurs twice");
        }
    }
    samples
}

async fn scrape(system: &TestSystem) -> (String, BTreeMap<String, f64>) {
    let api = system.private_url(0, "/metrics").await;
    let worker = format!("http://{}/metrics", system.workers[0].address().await.unwrap());
    let mut text = String::new();
    let mut samples = BTreeMap::new();
    for url in [api, worker] {
        let (status, page) = system.get(&url).await;
        assert_eq!(status, 200);
        for (series, value) in parse(&page) {
            *samples.entry(series).or_default() += value;
        }
        text += &page;
    }
    (text, samples)
}

#[tokio::test]
async fn all_metrics_that_the_dashboard_and_the_alerts_use_are_exported_and_correct() {
    let plan = Plan::default().api("MAILGUN_WEBHOOK_SIGNING_KEY", "a-key").api("IP_RATE_LIMIT", "3/1m");
    let system = TestSystem::with(plan).await;
    system.mailgun.set_webhook_delay(std::time::Duration::ZERO);
    system.mailgun.set_webhook(&system.url("/api/webhooks/mailgun").await, "a-key");
    let first = system.ask("hello@example.com").await;
    system.until_delivery(&first, "delivered").await;
    let second = system.ask("bounce@example.com").await;
    system.until_delivery(&second, "bounced").await;
    for _ in 0..2 {
        system.ask("third@example.com").await;
    }
    system.until_idle().await;

    let (text, samples) = eventually("three sent jobs in the metrics", async || {
        let (text, samples) = scrape(&system).await;
        // The api reads the state of the queue in the background. On a busy machine, it may not have read the state yet
        // when the mails have been sent.
        let is_seen = samples.get("magic_link_database_up") == Some(&1.0)
            && samples.get("magic_link_jobs{state=\"queued\"}") == Some(&0.0)
            && samples.contains_key("magic_link_api_waiting_jobs");
        if is_seen && samples["magic_link_jobs_total{state=\"sent\",portal=\"default\"}"] == 3.0 {
            Ok((text, samples))
        } else {
            Err(text)
        }
    })
    .await;

    let exported = names(&text);
    for name in names(DASHBOARD).union(&names(ALERTS)) {
        assert!(exported.contains(name), "deploy/ uses {name}, but no program exports it");
    }
    for (series, wanted) in [
        ("magic_link_api_requests_total{status=\"200\",code=\"ok\",portal=\"default\"}", 3.0),
        ("magic_link_api_requests_total{status=\"429\",code=\"ip_rate_limited\"}", 1.0),
        ("magic_link_api_enqueue_batch_size_sum", 3.0),
        ("magic_link_api_enqueue_commit_seconds_count", 3.0),
        ("magic_link_attempts_total{step=\"send\",outcome=\"ok\"}", 3.0),
        ("magic_link_attempts_total{step=\"send\",outcome=\"unknown\"}", 0.0),
        ("magic_link_request_to_sent_seconds_count", 3.0),
        ("magic_link_pickup_seconds_count", 3.0),
        ("magic_link_generate_link_seconds_count", 3.0),
        ("magic_link_send_seconds_count", 3.0),
        ("magic_link_breaker_open{upstream=\"mailgun\"}", 0.0),
        ("magic_link_oldest_job_seconds{state=\"queued\"}", 0.0),
        ("magic_link_deliveries_total{delivery=\"bounced\"}", 1.0),
        ("magic_link_suppressions_total{reason=\"bounce\",outcome=\"suppressed\"}", 1.0),
        ("magic_link_leases_rescued_total", 0.0),
        ("magic_link_fenced_writes_total", 0.0),
    ] {
        assert_eq!(samples.get(series), Some(&wanted), "{series}");
    }
    for secret in ["@", "example.com", "http://", "token", "code_digits{"] {
        let samples: String = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(!samples.contains(secret), "{secret}");
    }
    system.finish().await;
}
