//! Tests with a single fault in an otherwise sound system. The command must find the fault, print what to do about it,
//! and print no secret, both as text and as JSON. tests/pgbouncer covers a pooler in transaction mode.

use sandbox::{Fault, Mailgun, MailgunSettings};

use super::{ACCOUNT, CALLBACK, System, postgres::set_clock_ahead};

/// The fault that a test adds to a sound system.
#[derive(Debug, Clone, Copy)]
enum Planted {
    WrongKey,
    AnonKey,
    VerifyPath,
    AllowListStopsAtDot,
    ShortCodes,
    Region,
    Domain,
    WebhookElsewhere,
    Spf,
    Dkim,
    Dmarc,
    MissingRight,
    Clock,
    LeaseUnderTimeout,
}

use Planted::*;

/// A fault, the options that are needed to find it, the result and the name of the only probe that finds a problem, and
/// words that this probe's line contains.
type Case = (Planted, &'static [&'static str], &'static str, &'static str, &'static [&'static str]);

const OF_SUPABASE: [Case; 5] = [
    (WrongKey, &[], "fail", "supabase.key", &["Set SUPABASE_SERVICE_ROLE_KEY to this project's secret key"]),
    (AnonKey, &[], "fail", "supabase.key", &["does not have the service_role role", "Set SUPABASE_SERVICE_ROLE_KEY"]),
    (VerifyPath, &[], "fail", "supabase.verify", &["404", "set MAILER_URLPATHS_* to /auth/v1/verify"]),
    (
        AllowListStopsAtDot,
        &[],
        "fail",
        "supabase.redirect",
        &["but not a longer path with dots and slashes", r"https://example.com/auth/callback\?**"],
    ),
    (
        ShortCodes,
        &["--as", ACCOUNT],
        "warn",
        "supabase.code",
        &["6 digits", "Set Supabase's MAILER_OTP_LENGTH (Email OTP length) to 10"],
    ),
];
const OF_MAILGUN_AND_DNS: [Case; 6] = [
    (Region, &[], "fail", "mailgun.key", &["in the other region: set MAILGUN_BASE_URL=https://api.eu.mailgun.net"]),
    (Domain, &[], "fail", "mailgun.domain", &["Set MAILGUN_DOMAIN to one of the account's domains"]),
    (
        WebhookElsewhere,
        &[],
        "warn",
        "mailgun.webhooks",
        &[
            "some of them go to https://old.example.org instead",
            "with the URL https://login.example.com/api/webhooks/mailgun",
        ],
    ),
    (Spf, &[], "fail", "dns.spf", &["Add include:mailgun.org to the TXT record at mg.example.com"]),
    (Dkim, &[], "fail", "dns.dkim", &["Set the DKIM record to the value that Mailgun's console shows for it"]),
    (Dmarc, &[], "fail", "dns.dmarc", &["do not pass DMARC", "Set MAIL_FROM"]),
];
const OF_POSTGRES_AND_SETTINGS: [Case; 3] = [
    (MissingRight, &[], "fail", "postgres.rights", &["lacks update on upstreams", "Run deploy/roles.sql again"]),
    (Clock, &[], "fail", "postgres.clock", &["s ahead of this machine's", "Synchronise both clocks (NTP)"]),
    (LeaseUnderTimeout, &[], "warn", "settings.lease", &["UPSTREAM_TIMEOUT (12 s)", "Set LEASE_SECONDS to 25 or more"]),
];

impl System {
    async fn plant(&mut self, fault: Planted) {
        let test = &mut self.test;
        match fault {
            WrongKey => test.set("SUPABASE_SERVICE_ROLE_KEY", "sb_secret_of_nothing"),
            AnonKey => test.set("SUPABASE_SERVICE_ROLE_KEY", "sandbox-anon-key"),
            VerifyPath => test.supabase.verify_faults().add(Fault::status(404).always()),
            AllowListStopsAtDot => test.supabase.set_allow_list(&[&format!("{CALLBACK}*")]),
            ShortCodes => test.supabase.set_otp_length(6),
            Region => {
                let keys = ("key-of-the-other-region".into(), "events-key-of-the-other-region".into());
                let other = MailgunSettings { api_key: keys.0, events_key: keys.1, ..MailgunSettings::default() };
                test.mailgun = Mailgun::start(other).await.unwrap();
                let url = test.mailgun.url();
                test.set("MAILGUN_BASE_URL", &url);
                test.set("MAILGUN_EVENTS_KEY", "");
            }
            Domain => {
                test.set("MAILGUN_DOMAIN", "mail.example.com");
                test.set("MAIL_FROM", "a@mail.example.com");
                test.set("MAILGUN_EVENTS_KEY", "");
                self.dns.set("mail.example.com", &["v=spf1 include:mailgun.org ~all"]);
                self.dns.set("k1._domainkey.mail.example.com", &["k=rsa; p=c2FuZGJveA=="]);
            }
            WebhookElsewhere => test.mailgun.set_webhook("https://old.example.org/hook?key=sesame", "signing-key"),
            Spf => self.dns.set("mg.example.com", &["v=spf1 a -all"]),
            Dkim => self.dns.set("mailo._domainkey.mg.example.com", &[]),
            Dmarc => {
                test.set("MAIL_FROM", "a@example.org");
                self.dns.set("_dmarc.example.org", &["v=DMARC1; p=reject"]);
            }
            MissingRight => test.execute("revoke update on upstreams from magic_link_worker").await,
            Clock => set_clock_ahead(self, "45 seconds").await,
            LeaseUnderTimeout => test.set("LEASE_SECONDS", "10"),
        }
    }
}

async fn assert_found(cases: &[Case]) {
    for (fault, options, result, probe, words) in cases {
        let mut system = System::sound().await;
        system.plant(*fault).await;
        let report = system.check(options).await;
        report.expect_only(result, probe, words);
        let (code, printed) = system.run(options).await;
        let word = if *result == "fail" { "FAIL" } else { *result };
        let found = |line: &&str| line.starts_with(&format!("{word}  {probe} "));
        let line = printed.lines().find(found).unwrap_or_else(|| panic!("{fault:?}: {printed}"));
        assert!(words.iter().all(|words| line.contains(words)), "{fault:?}: {line}");
        assert_eq!(code, report.code, "{fault:?}: {printed}");
        assert!(!report.printed.contains("sesame") && !printed.contains("sesame"), "{fault:?}: {printed}");
        system.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_planted_supabase_fault_is_found() {
    assert_found(&OF_SUPABASE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_planted_mailgun_or_dns_fault_is_found() {
    assert_found(&OF_MAILGUN_AND_DNS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_planted_postgres_or_settings_fault_is_found() {
    assert_found(&OF_POSTGRES_AND_SETTINGS).await;
}
