//! Tests of `magic-link-worker check`. The command must find no fault in a sound system. It must find each planted
//! fault and print what to do. `System::run` searches the command's output for secrets.

mod callbacks;
mod caller;
mod dns;
mod dns_server;
mod mailgun;
mod planted;
mod postgres;
mod secrets;
mod settings;
mod supabase;
mod terminal;

use std::collections::BTreeMap;

use sandbox::test_settings::LINK_SEALING_KEY;
use serde_json::Value;

use self::dns_server::DnsServer;
use crate::test_worker::{TestWorker, spawn};

const CALLBACK: &str = "https://example.com/auth/callback";
const WEBHOOK: &str = "https://login.example.com/api/webhooks/mailgun";
const ACCOUNT: &str = "ann.lee@example.com";

/// Text that must not occur in any output: parts of secrets, and an account's address, which the output must mask. The
/// events key is not listed: it contains the sending key, so a search for the sending key also finds the events key.
const SECRETS: [&str; 6] =
    ["sandbox-service-role-key", "sandbox-anon-key", "key-sandbox", "postgres://", LINK_SEALING_KEY, ACCOUNT];

/// A sound system, which a test then breaks.
struct System {
    test: TestWorker,
    dns: DnsServer,
    options: Vec<String>,
}

/// The command's exit code and output, and its findings by probe.
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
            // If a probe has several findings, keep the first failure or warning.
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

    /// Ends the test. Fails if a mail was sent or a job is still open.
    async fn finish(self) {
        assert!(self.test.mailgun.mails().is_empty(), "the check must not send mail");
        self.test.finish().await;
    }
}

impl Report {
    /// Fails unless `probe` has this result and a finding with these words, and all other probes are ok or skipped.
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
async fn in_a_sound_system_every_probe_is_ok() {
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
    assert_eq!(system.test.supabase.journal().len(), 1, "only the run with --as may request a link");
    system.finish().await;
}
