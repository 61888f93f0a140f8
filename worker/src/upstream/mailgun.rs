//! Hands mails to Mailgun, no faster than `MAILGUN_RATE`.

use std::{num::NonZeroU32, time::Duration};

use anyhow::Context as _;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use outbox::JobId;
use reqwest::{Client, multipart::Form};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{
    http,
    verdict::{UpstreamFailure, mailgun as verdict},
};
use crate::{
    mail::render::RenderedMail,
    settings::{MailgunSettings, SHORTEST_USE},
};

/// A client of one sending domain.
pub struct MailgunClient {
    client: Client,
    endpoint: Url,
    key: SecretString,
    from: String,
    domain: String,
    pacer: DefaultDirectRateLimiter,
}

/// One mail and where it goes.
pub struct Envelope<'a> {
    /// The job: `v:job_id`, by which events find it again.
    pub job: JobId,
    /// Exactly one address: Mailgun splits at commas.
    pub to: &'a str,
    /// One for all tries with the same link.
    pub message_id: &'a str,
    /// What is left of the link: Mailgun gives up delivering then.
    pub deliver_within: Duration,
}

impl MailgunClient {
    /// A client; calls nothing yet.
    ///
    /// # Errors
    /// The settings make no client.
    pub fn new(settings: &MailgunSettings, timeout: Duration) -> anyhow::Result<Self> {
        let burst = NonZeroU32::new(settings.rate.limit).context("MAILGUN_RATE lets nothing through")?;
        let rate = Quota::with_period(settings.rate.interval()).context("MAILGUN_RATE has no window")?;
        Ok(Self {
            client: http::client(&settings.url, timeout)?,
            endpoint: settings.url.join(&format!("v3/{}/messages", settings.domain))?,
            key: settings.key.clone(),
            from: settings.from.clone(),
            domain: settings.domain.clone(),
            pacer: RateLimiter::direct(rate.allow_burst(burst)),
        })
    }

    /// A fresh Message-Id for a job's link.
    #[must_use]
    pub fn message_id(&self, job: JobId) -> String {
        format!("<{job}.{:016x}@{}>", rand::random::<u64>(), self.domain)
    }

    /// Waits until `MAILGUN_RATE` lets one more mail through.
    pub async fn turn(&self) {
        self.pacer.until_ready().await;
    }

    /// Hands one mail over.
    ///
    /// # Errors
    /// [`UpstreamFailure`]: what the answer, or none, means.
    pub async fn send(&self, envelope: &Envelope<'_>, mail: RenderedMail) -> Result<(), UpstreamFailure> {
        let request = self
            .client
            .post(self.endpoint.clone())
            .basic_auth("api", Some(self.key.expose_secret()))
            .multipart(self.form(envelope, mail));
        let answer = http::call(request).await.map_err(|silence| verdict::judge_silence(&silence))?;
        verdict::judge(&answer)
    }

    /// As Mailgun's own clients send it: plain parts and a known length.
    fn form(&self, envelope: &Envelope<'_>, mail: RenderedMail) -> Form {
        Form::new()
            .text("from", self.from.clone())
            .text("to", envelope.to.to_owned())
            .text("subject", mail.subject)
            .text("text", mail.text)
            .text("html", mail.html)
            .text("o:tag", "sign-in")
            // A tracked link would lead to Mailgun's host, and be fetched there first.
            .text("o:tracking", "no")
            .text("o:tracking-clicks", "no")
            .text("o:tracking-opens", "no")
            .text("o:require-tls", "yes")
            .text("o:deliver-within", deliver_within(envelope.deliver_within))
            .text("v:job_id", envelope.job.to_string())
            .text("h:Message-Id", envelope.message_id.to_owned())
            // No out-of-office replies (RFC 3834; the second is Exchange's).
            .text("h:Auto-Submitted", "auto-generated")
            .text("h:X-Auto-Response-Suppress", "All")
    }
}

/// `[h]h[m]m`, from 5 minutes to 24 hours; whole minutes, rounded down so that no dead link is delivered.
fn deliver_within(time: Duration) -> String {
    let minutes = time.clamp(SHORTEST_USE, Duration::from_secs(24 * 3_600)).as_secs() / 60;
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes}m"),
        (hours, 0) => format!("{hours}h"),
        (hours, minutes) => format!("{hours}h{minutes}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailgun_gives_up_before_the_link_dies() {
        for (seconds, text) in
            [(0, "5m"), (299, "5m"), (3_599, "59m"), (3_600, "1h"), (5_400, "1h30m"), (86_400, "24h"), (90_000, "24h")]
        {
            assert_eq!(deliver_within(Duration::from_secs(seconds)), text);
        }
    }
}
