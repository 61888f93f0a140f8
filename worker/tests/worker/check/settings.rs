//! Invalid options and settings, and settings that do not fit together.

use super::System;

#[tokio::test(flavor = "multi_thread")]
async fn the_check_exits_with_2_for_wrong_settings_and_options() {
    let mut system = System::sound().await;
    for option in ["--as=ann", "--callback=portal", "--portal=shop", "--callback-path=x", "--job-deadline=soon"] {
        let (code, printed) = system.run(&[option]).await;
        assert_eq!((code, printed.lines().count()), (Some(2), 1), "{option}: {printed}");
    }
    system.options[1] = "nowhere".to_owned();
    let (code, printed) = system.run(&[]).await;
    assert_eq!(code, Some(2), "{printed}");
    assert_eq!(printed, "--dns: `nowhere` must be an IP address, optionally with a port (example: 1.1.1.1)");
    system.options.truncate(0);
    system.test.set("SUPABASE_SERVICE_ROLE_KEY", "sb_publishable_abc");
    system.test.set("MAIL_FROM", "nobody");
    let (code, printed) = system.run(&[]).await;
    assert_eq!((code, printed.lines().count()), (Some(2), 2), "{printed}");
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_do_not_fit_together_are_found() {
    let mut system = System::sound().await;
    system.test.set("LEASE_SECONDS", "10");
    system.check(&[]).await.expect_only(
        "warn",
        "settings.lease",
        &["UPSTREAM_TIMEOUT (12 s)", "LEASE_SECONDS to 25 or more"],
    );
    system.test.set("LEASE_SECONDS", "30");
    system.test.set("MAILGUN_RATE", "1/6s");
    system.check(&[]).await.expect_only("warn", "settings.rate", &["WORKER_CONCURRENCY to 10 or less"]);
    system.test.set("MAILGUN_RATE", "20/1s");
    system.test.set("UPSTREAM_TIMEOUT", "2s");
    system.check(&[]).await.expect_only("warn", "settings.timeout", &["Set UPSTREAM_TIMEOUT to 12s"]);
    system.test.set("UPSTREAM_TIMEOUT", "12s");
    system.check(&["--job-deadline", "1h"]).await.expect_only(
        "warn",
        "settings.lifetime",
        &["LINK_LIFETIME (3600 s)", "to 3900s or more"],
    );
    system.test.set("JOB_DEADLINE", "55m");
    assert_eq!(system.check(&[]).await.probes["settings.fit"].0, "ok");
    system.test.set("LINK_SEALING_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    system.check(&[]).await.expect_only("warn", "settings.sealing-key", &["openssl rand -base64 32"]);
    system.finish().await;
}
