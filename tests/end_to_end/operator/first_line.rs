//! The first log line of each program shows the build and the settings that differ from the defaults, without secrets.

use sandbox::Program;
use tests::{Plan, TestSystem};

use super::fields;

fn first_fields(program: &Program) -> (String, String) {
    let line = &program.log()[0];
    let fields = fields(line);
    assert!(fields["version"] == env!("CARGO_PKG_VERSION") && fields["commit"].is_string(), "{line}");
    let text = |name: &str| fields[name].as_str().unwrap().to_owned();
    (text("message"), text("settings"))
}

#[tokio::test]
async fn the_first_log_line_shows_the_build_and_the_changed_settings_but_no_secrets() {
    let plan = Plan::default()
        .api("MAILGUN_WEBHOOK_SIGNING_KEY", "signing-sesame")
        .api("CALLBACK_PATH", "/auth/callback")
        .worker("HTTPS_PROXY", "http://ann:sesame@proxy.internal:3128")
        .worker("MAILGUN_EVENTS_KEY", "events-sesame");
    let system = TestSystem::with(plan).await;
    for (program, name, shown, hidden) in [
        (&system.apis[0], "magic-link-api is starting", "IP_RATE_LIMIT=100000/1m", "CALLBACK_PATH"),
        (&system.workers[0], "magic-link-worker is starting", "MAILGUN_RATE=1000/1s", "LEASE_SECONDS"),
    ] {
        let (message, settings) = first_fields(program);
        assert_eq!(message, name);
        assert!(settings.contains(shown) && !settings.contains(hidden), "{settings}");
        for secret in ["DATABASE_URL", "postgres://", "KEY", "sesame", "service-role", "@", "PROXY"] {
            assert!(!settings.contains(secret), "{secret}: {settings}");
        }
    }
    system.finish().await;
}

#[tokio::test]
async fn both_programs_export_a_metric_with_their_build() {
    let system = TestSystem::start().await;
    let worker = format!("http://{}/metrics", system.workers[0].address().await.unwrap());
    for (url, program) in [(system.private_url(0, "/metrics").await, "magic-link-api"), (worker, "magic-link-worker")] {
        let (_, metrics) = system.get(&url).await;
        let info: Vec<&str> = metrics.lines().filter(|line| line.starts_with("magic_link_build_info{")).collect();
        assert!(info.len() == 1 && info[0].ends_with("} 1"), "{info:?}");
        let version = concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"");
        for label in [version, "commit=\"", &format!("program=\"{program}\"")] {
            assert!(info[0].contains(label), "{label}: {info:?}");
        }
    }
    assert!(include_str!("../../../docs/operating.md").contains("| `magic_link_build_info` by "));
    system.finish().await;
}
