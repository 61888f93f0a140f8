//! `magic-link-worker check` finds no fault in a sound system. It finds each fault that a test causes, and says what to
//! do about it.

use std::collections::BTreeMap;

use sandbox::{Fault, Role, TestDatabase};
use serde_json::Value;

use crate::{
    dns_server::DnsServer,
    test_worker::{TestWorker, spawn},
};

const CALLBACK: &str = "https://example.com/auth/callback";
const WEBHOOK: &str = "https://login.example.com/api/webhooks/mailgun";
const ACCOUNT: &str = "ann.lee@example.com";

/// Parts of secrets, and a person's address, that no output may contain.
const SECRETS: [&str; 4] = ["sandbox-service-role-key", "key-sandbox", "postgres://", ACCOUNT];

/// A sound system, which a test then breaks.
struct System {
    test: TestWorker,
    dns: DnsServer,
    options: Vec<String>,
}

/// What the command printed, by probe.
#[derive(Debug)]
struct Report {
    code: Option<i32>,
    printed: String,
    probes: BTreeMap<String, (String, String)>,
}

impl System {
    async fn sound() -> Self {
        Self::on(TestWorker::new().await).await
    }

    async fn on(mut test: TestWorker) -> Self {
        let dns = DnsServer::start().await;
        for (name, value) in [
            ("UPSTREAM_TIMEOUT", "12s"),
            ("MAILGUN_RATE", "20/1s"),
            ("MAILGUN_EVENTS_KEY", "events-key-sandbox"),
            ("PUBLIC_URL", "https://login.example.com"),
            ("LINK_STYLE", "verify"),
        ] {
            test.set(name, value);
        }
        test.supabase.add_confirmed_user(ACCOUNT);
        test.supabase.set_otp_length(10);
        test.mailgun.set_webhook(WEBHOOK, "signing-key");
        let options = vec!["--dns".to_owned(), dns.address.to_string(), "--callback".to_owned(), CALLBACK.to_owned()];
        Self { test, dns, options }
    }

    /// Runs the command with `--json`.
    async fn check(&self, more: &[&str]) -> Report {
        let (code, printed) = self.run(&[&["--json"], more].concat()).await;
        let list: Vec<Value> = serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut probes = BTreeMap::new();
        for finding in &list {
            let told = format!("{}. {}", text(&finding["message"]), text(&finding["action"]));
            // If a probe has several findings, the worst counts.
            let entry = (text(&finding["result"]), told);
            let known: &mut (String, String) = probes.entry(text(&finding["probe"])).or_default();
            if known.0 != "fail" && known.0 != "warn" {
                *known = entry;
            }
        }
        Report { code, printed, probes }
    }

    async fn run(&self, more: &[&str]) -> (Option<i32>, String) {
        let options = self.options.iter().map(String::as_str);
        let command = spawn(
            self.test.settings(),
            &["check"].into_iter().chain(options).chain(more.iter().copied()).collect::<Vec<_>>(),
        );
        let code = command.wait().await.code();
        let printed = command.log().join("\n");
        let live = [self.test.supabase.live_codes(), self.test.supabase.live_token_hashes()].concat();
        for secret in SECRETS.into_iter().chain(live.iter().map(String::as_str)) {
            assert!(!printed.contains(secret), "{secret}: {printed}");
        }
        (code, printed)
    }

    /// Ends the test, and checks that no mail was sent.
    async fn finish(self) {
        assert!(self.test.mailgun.mails().is_empty(), "the check sends no mail");
        self.test.finish().await;
    }
}

impl Report {
    /// Fails unless this probe has this result and says these words, and every other probe is `ok` or skipped.
    fn expect_only(&self, result: &str, probe: &str, words: &[&str]) {
        let told = self.probes.get(probe).unwrap_or_else(|| panic!("{probe}: {self:#?}"));
        assert_eq!(told.0, result, "{probe}: {self:#?}");
        for word in words {
            assert!(told.1.contains(word), "{probe}, {word}: {}", told.1);
        }
        for (other, (result, told)) in &self.probes {
            assert!(other == probe || result == "ok" || result == "skip", "{other} {result}: {told}");
        }
        assert_eq!(self.code, Some(if result == "fail" { 1 } else { 0 }), "{self:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_system_has_nothing_but_ok() {
    let system = System::sound().await;
    let report = system.check(&["--as", ACCOUNT]).await;
    assert_eq!(report.code, Some(0), "{report:#?}");
    for (probe, (result, told)) in &report.probes {
        assert_eq!(result, "ok", "{probe}: {told}");
    }
    let probes: Vec<&str> = report.probes.keys().map(String::as_str).collect();
    assert_eq!(
        probes,
        [
            "dns.dkim",
            "dns.dmarc",
            "dns.spf",
            "mailgun.connection",
            "mailgun.domain",
            "mailgun.events-key",
            "mailgun.key",
            "mailgun.state",
            "mailgun.webhooks",
            "postgres.clock",
            "postgres.connection",
            "postgres.pooler",
            "postgres.rights",
            "postgres.tables",
            "postgres.version",
            "settings.fit",
            "supabase.code",
            "supabase.connection",
            "supabase.key",
            "supabase.link",
            "supabase.link-redirect",
            "supabase.redirect",
            "supabase.verify",
        ]
    );
    let (code, printed) = system.run(&[]).await;
    assert_eq!(code, Some(0), "{printed}");
    let lines: Vec<&str> = printed.lines().collect();
    assert!(lines.iter().all(|line| line.starts_with("ok    ") || line.starts_with("skip  ")), "{printed}");
    assert!(printed.contains("skip  supabase.link ") && printed.contains("pass --as"), "{printed}");
    assert_eq!(system.test.supabase.journal().len(), 1, "only --as requests a link");
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_and_options_exit_with_2() {
    let mut system = System::sound().await;
    for option in ["--as=ann", "--callback=portal", "--portal=shop", "--callback-path=x"] {
        let (code, printed) = system.run(&[option]).await;
        assert_eq!((code, printed.lines().count()), (Some(2), 1), "{option}: {printed}");
    }
    system.options[1] = "nowhere".to_owned();
    let (code, printed) = system.run(&[]).await;
    assert_eq!(code, Some(2), "{printed}");
    assert_eq!(printed, "--dns: `nowhere` is not an IP address, with or without a port (example: 1.1.1.1)");
    system.options.truncate(0);
    system.test.set("SUPABASE_SERVICE_ROLE_KEY", "sb_publishable_abc");
    system.test.set("MAIL_FROM", "nobody");
    let (code, printed) = system.run(&[]).await;
    assert_eq!((code, printed.lines().count()), (Some(2), 2), "{printed}");
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_supabase_is_found() {
    let mut system = System::sound().await;
    for (key, words) in [
        ("wrong", "Set SUPABASE_SERVICE_ROLE_KEY to this project's secret key"),
        ("sandbox-anon-key", "does not have the role service_role"),
    ] {
        system.test.set("SUPABASE_SERVICE_ROLE_KEY", key);
        system.check(&[]).await.expect_only("fail", "supabase.key", &[words]);
    }
    system.test.set("SUPABASE_SERVICE_ROLE_KEY", "sandbox-service-role-key");

    system.test.supabase.verify_faults().add(Fault::status(404).always());
    system.check(&[]).await.expect_only("fail", "supabase.verify", &["404", "MAILER_URLPATHS_*"]);
    system.test.supabase.verify_faults().clear();

    system.test.supabase.faults().add(Fault::status(503).always());
    system.check(&[]).await.expect_only("fail", "supabase.connection", &["status 503", "status page"]);
    system.test.supabase.faults().clear();

    let url = system.test.supabase.url();
    system.test.set("SUPABASE_URL", "http://127.0.0.1:1");
    system.check(&[]).await.expect_only("fail", "supabase.connection", &["Check SUPABASE_URL"]);
    system.test.set("SUPABASE_URL", &url);
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_the_allow_list_refuses_is_found() {
    let system = System::sound().await;
    let both = format!("Redirect URLs): {CALLBACK},{CALLBACK}\\?**");
    for (entries, words) in [
        (
            &["https://other.example.com"][..],
            "does not accept it, so links to https://example.com/auth/callback lead to https://www.example.org",
        ),
        (&["https://example.com/auth/callback*"], "no next with a dot or a slash"),
        (&["https://example.com/auth/callback"], "only without ?next="),
        (&[r"https://example.com/auth/callback\?**"], "only with ?next="),
    ] {
        system.test.supabase.set_allow_list(entries);
        system.check(&[]).await.expect_only("fail", "supabase.redirect", &[words, &both]);
    }
    let (code, printed) = system.run(&[]).await;
    let line = printed.lines().find(|line| line.starts_with("FAIL  supabase.redirect ")).unwrap_or(&printed);
    assert!(code == Some(1) && line.ends_with(&both), "the line ends with what to copy: {line}");
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_portal_of_the_file_has_its_callbacks_checked() {
    let mut system = System::sound().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portals.toml");
    let portals = "[[portal]]\nid = \"shop\"\nname = \"Shop\"\norigins = [\"https://*.shop.example\"]\ncallback_path = \"/in\"\n\n\
                   [[portal]]\nid = \"docs\"\nname = \"Docs\"\norigins = [\"https://example.com\"]\n\n\
                   [[portal]]\nid = \"server\"\nname = \"Server\"\norigins = [\"https://server.example\"]\nlink_style = \"token_hash\"\n";
    std::fs::write(&file, portals).unwrap();
    system.test.set("PORTALS_FILE", file.to_str().unwrap());
    system.options.truncate(2);
    let report = system.check(&[]).await;
    let words =
        ["https://preview.shop.example/in (portal shop)", r"https://*.shop.example/in,https://*.shop.example/in\?**"];
    report.expect_only("fail", "supabase.redirect", &words);
    assert!(
        report.printed.contains("https://example.com/auth/callback (portal docs): links may lead to it"),
        "{report:#?}"
    );
    assert!(
        report.printed.contains("(portal server): with its LINK_STYLE, the allow list does not matter"),
        "{report:#?}"
    );
    system.test.supabase.set_allow_list(&["https://*.shop.example/in", r"https://*.shop.example/in\?**"]);
    let report = system.check(&["--portal", "shop"]).await;
    assert_eq!(report.code, Some(0), "{report:#?}");
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_only_a_real_link_shows_is_found() {
    let mut system = System::sound().await;
    let real = ["--as", ACCOUNT];
    system.test.supabase.set_verify_path("/verify");
    system.check(&real).await.expect_only(
        "fail",
        "supabase.link",
        &["/verify, where the server answers with 404", "MAILER_URLPATHS_*"],
    );
    system.test.supabase.set_verify_path("/auth/v1/verify");

    system.test.set("LINK_ORIGINS", "https://auth.example.com");
    system.check(&real).await.expect_only("fail", "supabase.link", &["API_EXTERNAL_URL", "LINK_ORIGINS"]);
    system.test.set("LINK_ORIGINS", "");

    system.test.supabase.set_otp_length(6);
    system.check(&real).await.expect_only(
        "warn",
        "supabase.code",
        &["6 digits", "MAILER_OTP_LENGTH (Email OTP length) to 10"],
    );
    system.test.set("MAIL_CODE", "on");
    system.check(&real).await.expect_only(
        "fail",
        "supabase.code",
        &["without a code", "MAILER_OTP_LENGTH (Email OTP length) to 10"],
    );
    system.test.supabase.set_otp_length(10);

    let users = system.test.supabase.users().len();
    system.check(&["--as", "stranger@example.com"]).await.expect_only(
        "fail",
        "supabase.link",
        &["s…@example.com has no account"],
    );
    assert_eq!(system.test.supabase.users().len(), users, "the check creates no account");
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_with_an_open_job_keeps_the_link() {
    let system = System::sound().await;
    system.test.enqueue(ACCOUNT).await;
    let report = system.check(&["--as", ACCOUNT]).await;
    assert_eq!(report.probes["supabase.link"].0, "skip", "{report:#?}");
    assert!(report.probes["supabase.link"].1.contains("a…@example.com has an open job"), "{report:#?}");
    assert!(system.test.supabase.journal().is_empty());
    system.test.finish_with_open_jobs(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_mailgun_is_found() {
    let mut system = System::sound().await;
    system.test.set("MAILGUN_API_KEY", "wrong");
    let words = ["sending key of mg.example.com", "set MAILGUN_BASE_URL=https://api.eu.mailgun.net"];
    system.check(&[]).await.expect_only("fail", "mailgun.key", &words);
    system.test.set("MAILGUN_API_KEY", "key-sandbox");

    system.test.set("MAILGUN_EVENTS_KEY", "wrong");
    system.check(&[]).await.expect_only("fail", "mailgun.events-key", &["Set MAILGUN_EVENTS_KEY"]);
    system.test.set("MAILGUN_EVENTS_KEY", "events-key-sandbox");

    system.test.mailgun.set_domain_state("unverified");
    system.check(&[]).await.expect_only("fail", "mailgun.state", &["is unverified", "Verify mg.example.com"]);
    system.test.mailgun.set_domain_state("active");

    system.test.mailgun.set_webhook("https://old.example.org/api/webhooks/mailgun?key=sesame", "signing-key");
    let report = system.check(&[]).await;
    report.expect_only("warn", "mailgun.webhooks", &["but to https://old.example.org", WEBHOOK]);
    assert!(!report.printed.contains("sesame"), "{report:#?}");

    system
        .test
        .mailgun
        .faults()
        .add(Fault::answer(400, r#"{"message":"Domain mg.example.com is not allowed to send: unverified"}"#).always());
    system.test.mailgun.set_webhook(WEBHOOK, "signing-key");
    system.check(&[]).await.expect_only("fail", "mailgun.domain", &["Verify mg.example.com"]);
    system.test.mailgun.faults().clear();
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_mailgun_does_not_know_is_found() {
    let mut system = System::sound().await;
    system.test.set("MAILGUN_DOMAIN", "mail.example.com");
    system.test.set("MAIL_FROM", "a@mail.example.com");
    system.test.set("MAILGUN_EVENTS_KEY", "");
    system.dns.set("mail.example.com", &["v=spf1 include:spf.example.net ~all"]);
    system.dns.set("spf.example.net", &["v=spf1 include:mailgun.org ~all"]);
    system.dns.set("k1._domainkey.mail.example.com", &["k=rsa; p=c2FuZGJveA=="]);
    let words = ["Set MAILGUN_DOMAIN", "MAILGUN_BASE_URL=https://api.eu.mailgun.net"];
    system.check(&[]).await.expect_only("fail", "mailgun.domain", &words);
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_wrong_dns_record_is_found() {
    let mut system = System::sound().await;
    let spf = "v=spf1 include:mailgun.org ~all";
    for (records, words) in [
        (&[][..], "has no SPF record"),
        (&["v=spf1 a -all"], "does not include Mailgun"),
        (&[spf, "v=spf1 -all"], "several SPF records"),
    ] {
        system.dns.set("mg.example.com", records);
        system.check(&[]).await.expect_only("fail", "dns.spf", &[words, spf]);
    }
    system.dns.set("mg.example.com", &[spf]);

    system.dns.set("mailo._domainkey.mg.example.com", &["k=rsa; p="]);
    system.check(&[]).await.expect_only(
        "fail",
        "dns.dkim",
        &["Mailgun signs with mailo._domainkey.mg.example.com", "TXT record"],
    );
    system.test.set("MAILGUN_EVENTS_KEY", "");
    system.check(&[]).await.expect_only("warn", "dns.dkim", &["k1._domainkey.mg.example.com", "MAILGUN_EVENTS_KEY"]);
    system.dns.set("mailo._domainkey.mg.example.com", &["k=rsa; p=c2FuZGJveA=="]);

    system.dns.set("_dmarc.example.com", &[]);
    system.check(&[]).await.expect_only(
        "warn",
        "dns.dmarc",
        &["Add a TXT record at _dmarc.example.com: v=DMARC1; p=none"],
    );
    system.dns.set("_dmarc.example.org", &["v=DMARC1; p=reject"]);
    system.test.set("MAIL_FROM", "a@example.org");
    system.check(&[]).await.expect_only("fail", "dns.dmarc", &["policy reject", "Set MAIL_FROM"]);
    system.test.set("MAIL_FROM", "a@mg.example.com");
    system.dns.set("_dmarc.example.com", &["v=DMARC1; p=none"]);

    system.options[1] = "127.0.0.1:1".to_owned();
    let report = system.check(&[]).await;
    assert_eq!(report.code, Some(0), "{report:#?}");
    assert!(report.probes["dns.spf"].1.contains("Pass --dns"), "{report:#?}");
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
    system.test.set("LINK_SEALING_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    system.check(&[]).await.expect_only("warn", "settings.sealing-key", &["openssl rand -base64 32"]);
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_postgres_is_found() {
    let mut system = System::sound().await;
    let roles = "Run deploy/roles.sql again";
    for (revoked, granted, words) in [
        (
            "revoke update on upstreams from magic_link_worker",
            "grant update on upstreams to magic_link_worker",
            "update on upstreams",
        ),
        (
            "revoke execute on function email_roll_up from magic_link_worker, public",
            "grant execute on function email_roll_up to magic_link_worker",
            "execute on email_roll_up",
        ),
        (
            "drop policy worker_has_all on email_jobs",
            "create policy worker_has_all on email_jobs to magic_link_worker using (true) with check (true)",
            "a row policy on email_jobs",
        ),
    ] {
        system.test.execute(revoked).await;
        system.check(&[]).await.expect_only("fail", "postgres.rights", &[words, roles]);
        system.test.execute(granted).await;
    }
    system.test.set("DATABASE_URL", "postgres://ann:sesame@127.0.0.1:1/nothing");
    let report = system.check(&[]).await;
    report.expect_only("fail", "postgres.connection", &["no server listens", "Check DATABASE_URL"]);
    assert!(!report.printed.contains("sesame"), "{report:#?}");
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_missing_are_found() {
    let server = TestDatabase::shared_server().await;
    server.create_database("checked_without_tables").await.unwrap();
    server.set_roles("checked_without_tables").await.unwrap();
    let mut system = System::sound().await;
    let url = |role| server.url_as("checked_without_tables", role);
    system.test.set("DATABASE_URL", &url(Role::Worker));
    system.check(&[]).await.expect_only("fail", "postgres.tables", &["magic-link-worker migrate"]);
    system.test.set("MIGRATE_ON_START", "true");
    system.check(&[]).await.expect_only(
        "fail",
        "postgres.tables",
        &["may not create tables", "MIGRATE_ON_START=false"],
    );
    system.test.set("DATABASE_URL", &url(Role::Owner));
    system.check(&[]).await.expect_only("warn", "postgres.tables", &["The worker migrates them when it starts"]);
    system.finish().await;
}
