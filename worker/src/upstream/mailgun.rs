//! Sends mails through Mailgun's API, at a rate of at most `MAILGUN_RATE`.

use std::{num::NonZeroU32, time::Duration};

use anyhow::Context as _;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use outbox::{Email, JobId};
use reqwest::{Client, multipart::Form};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{
    check::CheckResult,
    http,
    verdict::{UpstreamFailure, mailgun as verdict},
};
use crate::{
    mail::render::RenderedMail,
    settings::{MIN_LINK_LIFETIME, MailgunClientSettings},
};

/// A client that sends mail for one domain.
pub struct MailgunClient {
    client: Client,
    endpoint: Url,
    key: SecretString,
    from: String,
    domain: String,
    require_tls: bool,
    skip_verification: bool,
    rate_limiter: DefaultDirectRateLimiter,
}

/// The recipient and the headers of one mail.
pub struct Envelope<'a> {
    /// The job. The job's id is sent as `v:job_id`, so that Mailgun's events include it.
    pub job: JobId,
    /// Exactly one address, because Mailgun would split a list at its commas.
    pub to: &'a Email,
    /// The Message-Id, in angle brackets. It stays the same when the same link is sent again.
    pub message_id: &'a str,
    /// The remaining lifetime of the link. Mailgun stops trying to deliver the mail after this time.
    pub deliver_within: Duration,
}

impl MailgunClient {
    /// Creates a client. Makes no call. `timeout` limits each call. Logs a warning if `MAIL_FROM` and `MAILGUN_DOMAIN` do not
    /// match, because receivers may then treat the mails as forged.
    ///
    /// # Errors
    /// The settings contain an unusable rate or URL, or the HTTP client cannot be created.
    pub fn new(settings: &MailgunClientSettings, timeout: Duration) -> anyhow::Result<Self> {
        let burst = NonZeroU32::new(settings.rate.limit).context("MAILGUN_RATE allows no mail")?;
        let rate = Quota::with_period(settings.rate.interval()).context("MAILGUN_RATE has no window")?;
        if !settings.is_sender_aligned() {
            tracing::warn!(
                mailgun_domain = settings.domain,
                "MAIL_FROM has a different domain than MAILGUN_DOMAIN, so receivers may treat the mails as forged (DMARC): use \
                 an address of MAILGUN_DOMAIN or of its parent domain"
            );
        }
        Ok(Self {
            client: http::client(&settings.url, &settings.connection, timeout)?,
            endpoint: settings.url.join(&format!("v3/{}/messages", settings.domain))?,
            key: settings.key.clone(),
            from: settings.from.clone(),
            domain: settings.domain.clone(),
            require_tls: settings.require_tls,
            skip_verification: settings.skip_verification,
            rate_limiter: RateLimiter::direct(rate.allow_burst(burst)),
        })
    }

    /// A new Message-Id for a link of this job, in angle brackets.
    #[must_use]
    pub fn message_id(&self, job: JobId) -> String {
        format!("<{job}.{:016x}@{}>", rand::random::<u64>(), self.domain)
    }

    /// Waits until `MAILGUN_RATE` allows one more mail.
    pub async fn wait_for_rate(&self) {
        self.rate_limiter.until_ready().await;
    }

    /// Sends one mail. Call [`wait_for_rate`](Self::wait_for_rate) first.
    ///
    /// # Errors
    /// [`UpstreamFailure`] if Mailgun did not confirm the mail. With [`Verdict::Unknown`](super::verdict::Verdict::Unknown),
    /// Mailgun may have accepted it.
    pub async fn send(&self, envelope: &Envelope<'_>, mail: RenderedMail) -> Result<(), UpstreamFailure> {
        let request = self
            .client
            .post(self.endpoint.clone())
            .basic_auth("api", Some(self.key.expose_secret()))
            .multipart(self.form(envelope, mail));
        let response = http::call(request).await.map_err(|error| verdict::classify_call_error(&error))?;
        verdict::classify(&response)
    }

    /// Makes a check call without side effects. Mailgun refuses a mail without `to`, but only after it has accepted the key and
    /// the domain (measured with Mailgun's own mock).
    pub async fn check(&self, timeout: Duration) -> CheckResult {
        let form = Form::new().text("from", self.from.clone()).text("subject", "check").text("text", "check");
        let request = self
            .client
            .post(self.endpoint.clone())
            .basic_auth("api", Some(self.key.expose_secret()))
            .timeout(timeout)
            .multipart(form);
        match http::call(request).await {
            Ok(response) if verdict::is_missing_recipient(&response) => CheckResult::Passed,
            Ok(response) => match verdict::classify(&response) {
                // Mailgun cannot accept a mail without a recipient.
                Ok(()) => CheckResult::Unclear,
                Err(failure) => CheckResult::from_failure(failure),
            },
            Err(error) => CheckResult::from_failure(verdict::classify_call_error(&error)),
        }
    }

    /// Builds the form in the same format as Mailgun's own clients: plain parts and a known length.
    fn form(&self, envelope: &Envelope<'_>, mail: RenderedMail) -> Form {
        Form::new()
            .text("from", self.from.clone())
            .text("to", envelope.to.to_string())
            .text("subject", mail.subject)
            .text("text", mail.text)
            .text("html", mail.html)
            .text("o:tag", "sign-in")
            // Click tracking would replace the link with a link to Mailgun's host.
            .text("o:tracking", "no")
            .text("o:tracking-clicks", "no")
            .text("o:tracking-opens", "no")
            .text("o:require-tls", yes_or_no(self.require_tls))
            .text("o:skip-verification", yes_or_no(self.skip_verification))
            .text("o:deliver-within", deliver_within(envelope.deliver_within))
            .text("v:job_id", envelope.job.to_string())
            .text("h:Message-Id", envelope.message_id.to_owned())
            // Keep mail programs from grouping the mails of several requests into one conversation. Gmail reads the second
            // header.
            .text("h:References", conversation_id(envelope.message_id))
            .text("h:X-Entity-Ref-ID", envelope.message_id.trim_matches(['<', '>']).to_owned())
            // Suppress automatic replies. RFC 3834 defines the first header, and Exchange reads the second header. `All` may
            // also suppress bounces.
            .text("h:Auto-Submitted", "auto-generated")
            .text("h:X-Auto-Response-Suppress", "OOF, AutoReply")
    }
}

/// The id of a nonexistent mail that appears to start this mail's conversation. When the same mail is sent again, the id is the
/// same.
fn conversation_id(message_id: &str) -> String {
    message_id.replacen('<', "<conversation.", 1)
}

fn yes_or_no(is_set: bool) -> &'static str {
    if is_set { "yes" } else { "no" }
}

/// Formats `o:deliver-within` as `[h]h[m]m`, 5 minutes to 24 hours. Rounds down to whole minutes, so that Mailgun never
/// delivers an expired link.
fn deliver_within(time: Duration) -> String {
    let minutes = time.clamp(MIN_LINK_LIFETIME, Duration::from_secs(24 * 3_600)).as_secs() / 60;
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
    fn mailgun_stops_trying_before_the_link_expires() {
        for (seconds, text) in
            [(0, "5m"), (299, "5m"), (3_599, "59m"), (3_600, "1h"), (5_400, "1h30m"), (86_400, "24h"), (90_000, "24h")]
        {
            assert_eq!(deliver_within(Duration::from_secs(seconds)), text);
        }
    }
}
