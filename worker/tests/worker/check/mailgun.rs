//! Mailgun faults: wrong keys, a wrong domain, the wrong region and wrong webhooks.

use sandbox::{Fault, Mailgun, MailgunSettings};

use super::{System, WEBHOOK};

#[tokio::test(flavor = "multi_thread")]
async fn a_mailgun_fault_is_found() {
    let mut system = System::sound().await;
    system.test.set("MAILGUN_API_KEY", "wrong-key");
    let words = ["sending key for mg.example.com", "set MAILGUN_BASE_URL=https://api.eu.mailgun.net"];
    system.check(&[]).await.expect_only("fail", "mailgun.key", &words);
    system.test.set("MAILGUN_API_KEY", "key-sandbox");

    system.test.set("MAILGUN_EVENTS_KEY", "wrong-key");
    system.check(&[]).await.expect_only("fail", "mailgun.events-key", &["Set MAILGUN_EVENTS_KEY"]);
    system.test.set("MAILGUN_EVENTS_KEY", "events-key-sandbox");

    system.test.mailgun.set_domain_state("unverified");
    system.check(&[]).await.expect_only("fail", "mailgun.state", &["is unverified", "Verify mg.example.com"]);
    system.test.mailgun.set_domain_state("active");

    system.test.mailgun.set_webhook("https://old.example.org/api/webhooks/mailgun?key=sesame", "signing-key");
    let report = system.check(&[]).await;
    report.expect_only("warn", "mailgun.webhooks", &["some of them go to https://old.example.org instead", WEBHOOK]);
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
async fn a_domain_that_is_missing_in_mailgun_is_reported() {
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
async fn a_domain_in_the_other_region_is_reported() {
    let mut system = System::sound().await;
    let eu = "set MAILGUN_BASE_URL=https://api.eu.mailgun.net";
    // A sending key exists only in its domain's region.
    let other = MailgunSettings { api_key: "key-of-the-other-region".into(), ..MailgunSettings::default() };
    let other_region = Mailgun::start(MailgunSettings { events_key: "other".into(), ..other }).await.unwrap();
    system.test.set("MAILGUN_BASE_URL", &other_region.url());
    system.test.set("MAILGUN_EVENTS_KEY", "");
    system.check(&[]).await.expect_only("fail", "mailgun.key", &["the domain is in the other region", eu]);
    // An account key works in both regions.
    let account = MailgunSettings { domain: "elsewhere.example".into(), ..MailgunSettings::default() };
    let other_region = Mailgun::start(account).await.unwrap();
    system.test.set("MAILGUN_BASE_URL", &other_region.url());
    system.check(&[]).await.expect_only("fail", "mailgun.domain", &["If mg.example.com is correct", eu]);
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_key_is_reported_and_a_sending_key_cannot_read_events() {
    let mut system = System::sound().await;
    let report = system.check(&[]).await;
    assert_eq!(report.probes["mailgun.key"].1, "Mailgun accepts MAILGUN_API_KEY. ", "a sending key");

    system.test.set("MAILGUN_EVENTS_KEY", "key-sandbox");
    system.check(&[]).await.expect_only("fail", "mailgun.events-key", &["A sending key cannot"]);

    let one_key = MailgunSettings { api_key: "events-key-sandbox".into(), ..MailgunSettings::default() };
    system.test.mailgun = Mailgun::start(one_key).await.unwrap();
    system.test.mailgun.set_webhook(WEBHOOK, "signing-key");
    let url = system.test.mailgun.url();
    for (name, value) in [("MAILGUN_BASE_URL", url.as_str()), ("MAILGUN_API_KEY", "events-key-sandbox")] {
        system.test.set(name, value);
    }
    system.test.set("MAILGUN_EVENTS_KEY", "events-key-sandbox");
    let report = system.check(&[]).await;
    let (result, told) = &report.probes["mailgun.key"];
    assert!(result == "ok" && told.contains("a sending key for mg.example.com would be enough"), "{report:#?}");
    assert_eq!(report.code, Some(0), "{report:#?}");
    system.finish().await;
}
