//! Faults in the DNS records of the sending domain and of the senders' domains.

use super::System;

const KEY: &str = "mailo._domainkey.mg.example.com";

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_wrong_spf_record_is_reported() {
    let system = System::sound().await;
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
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_evaluates_an_spf_record_as_receivers_do() {
    let system = System::sound().await;
    system.dns.set("spf.example.net", &["v=spf1 include:eu.mailgun.org -all"]);
    for record in ["v=spf1 include:spf.example.net ~all", "v=spf1 mx redirect=spf.example.net"] {
        system.dns.set("mg.example.com", &[record]);
        assert_eq!(system.check(&[]).await.probes["dns.spf"].0, "ok", "{record}");
    }
    for record in ["v=spf1 -all redirect=spf.example.net", "v=spf1 include:mailgun.org.example ~all"] {
        system.dns.set("mg.example.com", &[record]);
        system.check(&[]).await.expect_only("fail", "dns.spf", &["does not include Mailgun"]);
    }
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_revoked_or_foreign_dkim_key_is_reported() {
    let mut system = System::sound().await;
    let revoked = ["k=rsa; p="];
    for (records, words) in [
        (&[][..], "has no DKIM key"),
        (&revoked, "has a revoked DKIM key (an empty p=)"),
        (&["k=rsa; p=b2xkIGtleQ=="], "has a DKIM key that differs from Mailgun's"),
    ] {
        system.dns.set(KEY, records);
        let words = format!("{KEY} {words}");
        system.check(&[]).await.expect_only("fail", "dns.dkim", &[&words, "that Mailgun's console shows"]);
    }
    // Without a key that may read the names of the DKIM records, the command can only try Mailgun's usual names.
    system.test.set("MAILGUN_EVENTS_KEY", "");
    system.dns.set(KEY, &[]);
    let words = ["k1._domainkey.mg.example.com", "MAILGUN_EVENTS_KEY"];
    system.check(&[]).await.expect_only("warn", "dns.dkim", &words);
    system.dns.set(KEY, &revoked);
    system.check(&[]).await.expect_only("warn", "dns.dkim", &[KEY, "has a revoked DKIM key", "MAILGUN_EVENTS_KEY"]);
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_whose_mails_fail_dmarc_is_found() {
    let mut system = System::sound().await;
    let add = "Add a TXT record at _dmarc.example.com: v=DMARC1; p=none";
    system.dns.set("_dmarc.example.com", &[]);
    system.check(&[]).await.expect_only("warn", "dns.dmarc", &["has no DMARC policy", add]);
    system.dns.set("_dmarc.example.com", &["v=DMARC1; p=none", "v=DMARC1; p=reject"]);
    let words = ["several DMARC records", "Keep only one of the TXT records at _dmarc.example.com"];
    system.check(&[]).await.expect_only("warn", "dns.dmarc", &words);
    system.dns.set("_dmarc.example.com", &["v=DMARC1; p=none"]);

    system.test.set("MAIL_FROM", "a@news.example.org");
    for (name, record, result, words) in [
        ("_dmarc.example.org", "v=DMARC1; p=reject", "fail", "inherits the DMARC policy reject from example.org"),
        ("_dmarc.example.org", "v=DMARC1; p=none; sp=quarantine", "fail", "inherits the DMARC policy quarantine"),
        ("_dmarc.example.org", "v=DMARC1; p=none", "warn", "inherits the DMARC policy none"),
        ("_dmarc.news.example.org", "v=DMARC1; p=reject", "fail", "news.example.org has the DMARC policy reject"),
    ] {
        system.dns.set(name, &[record]);
        let words =
            [words, "do not pass DMARC", "Set MAIL_FROM (or the portal's from) to an address at mg.example.com"];
        system.check(&[]).await.expect_only(result, "dns.dmarc", &words);
    }
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_whose_mails_pass_dmarc_is_ok() {
    let mut system = System::sound().await;
    for (from, record, words) in [
        ("a@mg.example.com", "v=DMARC1; p=none", "inherits the DMARC policy none from example.com"),
        ("a@example.com", "v=DMARC1; p=reject; adkim=s", "example.com has the DMARC policy reject"),
        ("a@mg.example.com", "v=DMARC1; p=reject; adkim=s; aspf=s", "inherits the DMARC policy reject"),
    ] {
        system.test.set("MAIL_FROM", from);
        system.dns.set("_dmarc.example.com", &[record]);
        let report = system.check(&[]).await;
        let (result, told) = &report.probes["dns.dmarc"];
        assert!(result == "ok" && told.contains(words), "{from}, {record}: {told}");
    }
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn if_the_dns_server_does_not_answer_the_check_suggests_another_server() {
    let mut system = System::sound().await;
    system.options[1] = "127.0.0.1:1".to_owned();
    let report = system.check(&[]).await;
    assert_eq!(report.code, Some(0), "{report:#?}");
    assert!(report.probes["dns.spf"].1.contains("Pass --dns"), "{report:#?}");
    system.finish().await;
}
