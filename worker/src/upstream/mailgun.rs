//! Sends mails through Mailgun's API, at a rate of at most `MAILGUN_RATE`.

use std::{fmt::Display, num::NonZeroU32, time::Duration};

use anyhow::Context as _;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use outbox::{Email, JobId};
use reqwest::{
    Client,
    multipart::{Form, Part},
};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{
    check::CheckResult,
    http,
    verdict::{UpstreamFailure, mailgun as verdict},
};
use crate::{
    mail::{brand::Logo, render::RenderedMail},
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
    /// The mail's job. Its id is sent as `v:job_id`, so that Mailgun's events include the id. `None` for a mail that
    /// belongs to no job.
    pub job: Option<JobId>,
    /// The sender to use instead of `MAIL_FROM`.
    pub from: Option<&'a str>,
    /// The address that replies go to.
    pub reply_to: Option<&'a str>,
    /// The recipient: a single address. Mailgun would split a value that contains commas into several recipients.
    pub to: &'a Email,
    /// The Message-Id, in angle brackets. It stays the same when the same link is sent again.
    pub message_id: &'a str,
    /// The remaining lifetime of the link. Mailgun stops trying to deliver the mail after this time.
    pub deliver_within: Duration,
}

impl MailgunClient {
    /// Creates a client. Makes no call. `timeout` limits each call. Logs a warning if `MAIL_FROM` and `MAILGUN_DOMAIN`
    /// do not match, because receivers might then treat the mails as forged.
    ///
    /// # Errors
    /// The settings contain an unusable rate or URL, or the HTTP client cannot be created.
    pub fn new(settings: &MailgunClientSettings, timeout: Duration) -> anyhow::Result<Self> {
        let burst = NonZeroU32::new(settings.rate.limit).context("MAILGUN_RATE must allow at least one mail")?;
        let rate = Quota::with_period(settings.rate.interval()).context("the window of MAILGUN_RATE must not be 0")?;
        if !settings.is_sender_aligned() {
            tracing::warn!(
                mailgun_domain = settings.domain,
                "the domain of MAIL_FROM does not match MAILGUN_DOMAIN, so receivers may treat the mails as \
                 forged (DMARC): use an address at MAILGUN_DOMAIN or a parent domain"
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

    /// A new Message-Id, in angle brackets. `name` is its first part: the job's id, or any other word if there is no
    /// job.
    #[must_use]
    pub fn message_id(&self, name: impl Display) -> String {
        format!("<{name}.{:016x}@{}>", rand::random::<u64>(), self.domain)
    }

    /// Waits until `MAILGUN_RATE` allows one more mail.
    pub async fn wait_for_rate(&self) {
        self.rate_limiter.until_ready().await;
    }

    /// Sends one mail, and returns the id that Mailgun assigned to it. Call [`wait_for_rate`](Self::wait_for_rate)
    /// first.
    ///
    /// # Errors
    /// [`UpstreamFailure`] if Mailgun did not confirm that it accepted the mail. With
    /// [`Verdict::Unknown`](super::verdict::Verdict::Unknown), Mailgun may have accepted it nevertheless.
    pub async fn send(&self, envelope: &Envelope<'_>, mail: RenderedMail) -> Result<String, UpstreamFailure> {
        let request = self
            .client
            .post(self.endpoint.clone())
            .basic_auth("api", Some(self.key.expose_secret()))
            .multipart(self.form(envelope, mail));
        let response = http::call(request).await.map_err(|error| verdict::classify_call_error(&error))?;
        verdict::classify(&response)
    }

    /// Makes a check call without side effects. Mailgun refuses a mail without `to`, but only after it has accepted the
    /// key and the domain (tested with Mailgun's own mock).
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
                // Mailgun never accepts a mail without a recipient, so it is unclear where this response comes from.
                Ok(_) => CheckResult::Unclear,
                Err(failure) => CheckResult::from_failure(failure),
            },
            Err(error) => CheckResult::from_failure(verdict::classify_call_error(&error)),
        }
    }

    /// Builds the form in the same format as Mailgun's own clients: plain parts, and a `Content-Length`.
    fn form(&self, envelope: &Envelope<'_>, mail: RenderedMail) -> Form {
        let form = Form::new()
            .text("from", envelope.from.unwrap_or(&self.from).to_owned())
            .text("to", envelope.to.to_string())
            .text("subject", mail.subject)
            .text("text", mail.text)
            .text("html", mail.html)
            .text("o:tag", if envelope.job.is_some() { "sign-in" } else { "test" })
            // Click tracking would replace the link with a link to Mailgun's host.
            .text("o:tracking", "no")
            .text("o:tracking-clicks", "no")
            .text("o:tracking-opens", "no")
            .text("o:require-tls", yes_or_no(self.require_tls))
            .text("o:skip-verification", yes_or_no(self.skip_verification))
            .text("o:deliver-within", deliver_within(envelope.deliver_within))
            .text("h:Message-Id", envelope.message_id.to_owned())
            // Keep mail programs from grouping the mails for several requests into one conversation. Gmail reads the
            // second header.
            .text("h:References", conversation_id(envelope.message_id))
            .text("h:X-Entity-Ref-ID", envelope.message_id.trim_matches(['<', '>']).to_owned())
            // Suppress automatic replies. RFC 3834 defines the first header, and Exchange reads the second. The second
            // is not set to "All", because that might also suppress bounces.
            .text("h:Auto-Submitted", "auto-generated")
            .text("h:X-Auto-Response-Suppress", "OOF, AutoReply");
        let form = match envelope.job {
            Some(job) => form.text("v:job_id", job.to_string()),
            None => form,
        };
        let form = match envelope.reply_to {
            Some(reply_to) => form.text("h:Reply-To", reply_to.to_owned()),
            None => form,
        };
        match mail.logo {
            Some(logo) => form.part("inline", inline_part(&logo)),
            None => form,
        }
    }
}

/// An image that is embedded in the mail. Mailgun uses its file name as the Content-ID.
fn inline_part(logo: &Logo) -> Part {
    let part = Part::bytes(logo.bytes().to_vec()).file_name(logo.file_name());
    part.mime_str(logo.media_type()).expect("the media types of logos are well-formed")
}

/// The Message-Id to send in `References`. No real mail has this id, so mail programs do not group this mail with other
/// mails. The id stays the same when the same mail is sent again.
fn conversation_id(message_id: &str) -> String {
    message_id.replacen('<', "<conversation.", 1)
}

fn yes_or_no(is_set: bool) -> &'static str {
    if is_set { "yes" } else { "no" }
}

/// Formats the value of `o:deliver-within`, such as `1h30m`. Limits the time to between 5 minutes and 24 hours. Rounds
/// down to whole minutes, because rounding up could let Mailgun deliver an expired link.
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
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use sandbox::{Mailgun, MailgunSettings};
    use words::{Language, Words};

    use super::*;
    use crate::{
        mail::{
            brand::Brand,
            look::Look,
            sample::{MailStyle, sample},
        },
        settings::{ConnectionSettings, EventsApi},
    };

    fn client(mailgun: &Mailgun) -> MailgunClient {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = MailgunClientSettings {
            url: mailgun.url().parse().unwrap(),
            domain: "mg.example.com".to_owned(),
            key: "key-sandbox".to_owned().into(),
            from: "Example <sign-in@mg.example.com>".to_owned(),
            connection: ConnectionSettings::default(),
            require_tls: true,
            skip_verification: false,
            rate: "20/1s".parse().unwrap(),
            events_key: None,
            events_api: EventsApi::Events,
        };
        MailgunClient::new(&settings, Duration::from_secs(10)).unwrap()
    }

    #[tokio::test]
    async fn a_mail_has_the_portals_sender_reply_address_and_logo() {
        let mailgun = Mailgun::start(MailgunSettings::default()).await.unwrap();
        let client = client(&mailgun);
        let pixel = BASE64_STANDARD.decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7").unwrap();
        let brand = Brand { logo: Some(Logo::parse(pixel.clone()).unwrap()), ..Brand::default() };
        for (from, reply_to, brand) in
            [(None, None, Brand::default()), (Some("Shop <shop@mg.example.com>"), Some("help@example.com"), brand)]
        {
            let has_logo = brand.logo.is_some();
            let mail = sample(&Look::built_in(Words::built_in(), brand), Language::ENGLISH, MailStyle::Link).unwrap();
            let to = Email::parse("ada@example.com").unwrap();
            let message_id = client.message_id("test");
            let deliver_within = Duration::from_hours(1);
            let envelope = Envelope { job: None, from, reply_to, to: &to, message_id: &message_id, deliver_within };
            assert_eq!(client.send(&envelope, mail).await.unwrap(), message_id);
            let sent = mailgun.mails().pop().unwrap();
            assert_eq!(sent.from, from.unwrap_or("Example <sign-in@mg.example.com>"));
            assert_eq!(sent.header("Reply-To"), reply_to);
            assert_eq!((sent.variable("job_id"), sent.option("tag")), (None, Some("test")));
            let parts: Vec<_> = sent
                .inline
                .iter()
                .map(|part| (part.file_name.as_str(), part.content_type.as_str(), &part.bytes))
                .collect();
            let expected = if has_logo { vec![("logo.gif", "image/gif", &pixel)] } else { vec![] };
            assert_eq!(parts, expected);
            assert_eq!(sent.html.contains("src=\"cid:logo.gif\""), has_logo);
        }
    }

    #[test]
    fn mailgun_stops_trying_before_the_link_expires() {
        for (seconds, text) in
            [(0, "5m"), (299, "5m"), (3_599, "59m"), (3_600, "1h"), (5_400, "1h30m"), (86_400, "24h"), (90_000, "24h")]
        {
            assert_eq!(deliver_within(Duration::from_secs(seconds)), text);
        }
    }
}
