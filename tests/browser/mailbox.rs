//! The mailbox page shows why a mail does not arrive, and works with a keyboard and a screen reader.

use std::time::Duration;

use sandbox::{Mailgun, MailgunSettings, OpenJob, OpenJobs};
use tests::Plan;
use tokio::sync::watch;

use crate::{Street, chromium::browse};

#[tokio::test]
async fn a_simulated_failure_is_shown_until_it_is_cleared_and_the_new_mail_is_announced() {
    let street = Street::of(Plan::default(), 30).await;
    browse(|browser| async move {
        browser.go(&street.mailbox()).await;
        browser.assert_accessible("the empty mailbox").await;
        browser.value("document.querySelector('details.panel').open = true").await;
        browser.assert_accessible("the mailbox's failures").await;

        // The button keeps the focus, so that keyboard users can press it again.
        browser.value("document.querySelector('button[value=\"always\"]').focus()").await;
        browser.value("document.activeElement.click()").await;
        browser.until_text("state-mailgun", "500 always").await;
        assert_eq!(browser.value("document.activeElement.value").await, "always");
        browser.assert_accessible("a provider that fails").await;

        let answer = street.system.ask("ada@example.com").await;
        street.system.until_state(&answer, "retrying").await;
        assert!(browser.text("state-mailgun").await.contains("500 always"));
        assert_eq!(browser.text("news").await, "");
        browser.value("document.querySelector('button[value=\"clear\"]').click()").await;
        browser.until_text("state-mailgun", "works").await;
        browser.until_text("news", "New mail to ada@example.com").await;
        assert_eq!(browser.value("document.getElementById('news').role").await, "status");
        browser.assert_accessible("a mail that has arrived").await;
        street.finish();
    })
    .await;
}

#[tokio::test]
async fn jobs_without_a_mail_are_listed_with_the_reason() {
    let job = |recipient: &str, state: &str, reason: Option<&str>| OpenJob {
        recipient: recipient.to_owned(),
        state: state.to_owned(),
        reason: reason.map(str::to_owned),
        next_try: chrono::Utc::now() + Duration::from_secs(42),
    };
    let (jobs, known) = watch::channel(OpenJobs::default());
    let settings = MailgunSettings { jobs: Some(known), ..MailgunSettings::default() };
    let mailgun = Mailgun::start(settings).await.unwrap();
    browse(|browser| async move {
        browser.go(&format!("{}/", mailgun.url())).await;
        browser.until("document.querySelector('.empty')").await;
        jobs.send_replace(OpenJobs {
            jobs: vec![
                job("ada@example.com", "retrying", Some("Mailgun answered 500.")),
                job("bob@example.com", "running", None),
                job("eve@example.com", "expired", Some("Mailgun did not answer.")),
            ],
            stops: vec!["Mailgun refuses the API key.".to_owned()],
        });
        browser.until_text("jobs", "Mail is stopped: Mailgun refuses the API key.").await;
        browser
            .until("/ada@example.com waiting, next attempt in 0:[34]\\d: Mailgun answered 500/.test(jobs.innerText)")
            .await;
        for part in ["bob@example.com being sent", "eve@example.com expired before it was sent"] {
            browser.until_text("jobs", part).await;
        }
        let before = browser.text("jobs").await;
        browser.until(&format!("jobs.innerText !== {before:?}")).await;
        browser.assert_accessible("jobs without a mail").await;

        jobs.send_replace(OpenJobs::default());
        browser.until("jobs.innerText === ''").await;
    })
    .await;
}

#[tokio::test]
async fn a_bounce_does_not_look_like_a_success() {
    let street = Street::of(Plan::default().api("MAILGUN_WEBHOOK_SIGNING_KEY", "a-key"), 30).await;
    street.system.mailgun.set_webhook_delay(Duration::ZERO);
    street.system.mailgun.set_webhook(&street.system.url("/api/webhooks/mailgun").await, "a-key");
    browse(|browser| async move {
        browser.go(&street.mailbox()).await;
        street.system.ask("bounce@example.com").await;
        browser.until("document.querySelector('.told .bad')?.innerText.includes('failed (permanent')").await;
        assert_eq!(browser.value("document.querySelectorAll('.told .good').length").await, 0);
        browser.assert_accessible("a bounce").await;
        street.finish();
    })
    .await;
}
