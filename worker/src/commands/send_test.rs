//! `magic-link-worker mail send-test`: sends one example mail through Mailgun, so that an operator can see how the mail
//! looks in a real mailbox.

use std::io::{Write as _, stdout};

use chrono::Utc;
use confirm::PublicUrl;
use outbox::Email;
use program::SettingErrors;
use words::{Language, TimeZone};

use super::{
    CommandError,
    preview::{language_of, look_of},
};
use crate::{
    mail::{
        look_set::LookSet,
        render::{MailContent, RenderedMail, render},
        sample::{HOST, MailStyle},
    },
    settings::{MailgunClientSettings, WorkerArguments, WorkerSettings},
    upstream::mailgun::{Envelope, MailgunClient},
};

/// The notice that marks the mail as a test.
const NOTICE: &str = "This is a test mail. Its link and its code do not work.";
/// The base URL of the link if `PUBLIC_URL` is not set. No server runs there.
const EXAMPLE_URL: &str = "https://login.example.com";

/// The settings that the command needs.
pub struct SendTestSettings {
    mailgun: MailgunClientSettings,
    looks: LookSet,
    public_url: Option<PublicUrl>,
    timeout: std::time::Duration,
}

/// The mail to send.
#[derive(Debug, Clone, Copy)]
pub struct TestMail<'a> {
    /// The recipient.
    pub to: &'a Email,
    /// The tag of a language. `None` for the portal's default.
    pub language: Option<&'a str>,
    /// The style.
    pub style: MailStyle,
    /// The id of a portal.
    pub portal: Option<&'a str>,
}

impl SendTestSettings {
    /// Parses the settings. Adds an error for each invalid setting.
    pub fn read(arguments: &WorkerArguments, errors: &mut SettingErrors) -> Option<Self> {
        let (mailgun, looks, timeout) = WorkerSettings::read_for_test_mail(arguments, errors);
        let public_url = arguments.public_url.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let public_url = match public_url {
            Some(text) => errors.parse("PUBLIC_URL", EXAMPLE_URL, text).map(Some),
            None => Some(None),
        };
        Some(Self { mailgun: mailgun?, looks: looks?, public_url: public_url?, timeout: timeout? })
    }
}

/// Sends the mail, and prints the id that Mailgun gave it. The mail belongs to no job, so Mailgun's reports about it
/// change nothing.
///
/// # Errors
/// [`CommandError::Language`], [`CommandError::Portal`], [`CommandError::Mail`], [`CommandError::Mailgun`] or
/// [`CommandError::Output`].
pub async fn send_test(settings: &SendTestSettings, mail: TestMail<'_>) -> Result<(), CommandError> {
    let look = look_of(&settings.looks, mail.portal)?;
    let language = match mail.language {
        Some(tag) => language_of(look, tag)?,
        None => look.brand.languages.iter().flatten().next().copied().unwrap_or(Language::ENGLISH),
    };
    let now = Utc::now();
    let link = settings
        .public_url
        .as_ref()
        .map_or_else(|| format!("{EXAMPLE_URL}/auth/confirm/test"), |public_url| public_url.confirm_link("test"));
    let link = mail.style.example(&link, now);
    let content = MailContent { link: &link, host: HOST, requested_at: now, language, time_zone: TimeZone::UTC };
    let rendered = render(look, &content).map_err(|error| CommandError::Mail(error.to_string()))?;
    let client = MailgunClient::new(&settings.mailgun, settings.timeout)
        .map_err(|error| CommandError::Mailgun(error.to_string()))?;
    let message_id = client.message_id("test");
    let envelope = Envelope {
        job: None,
        from: look.brand.from.as_deref(),
        reply_to: look.brand.reply_to.as_deref(),
        to: mail.to,
        message_id: &message_id,
        deliver_within: link.lifetime,
    };
    let sent = client.send(&envelope, marked(rendered)).await;
    let id =
        sent.map_err(|failure| CommandError::Mailgun(format!("{}: {}", failure.reason.code, failure.reason.message)))?;
    writeln!(stdout(), "sent: {id}")?;
    Ok(())
}

/// Marks a mail as a test at the start of its subject and of both bodies.
fn marked(mail: RenderedMail) -> RenderedMail {
    let RenderedMail { subject, text, html, logo } = mail;
    let banner = format!(
        "<p dir=\"ltr\" style=\"margin:0;padding:8px;background-color:#fff3bf;color:#14181f;font-family:sans-serif;\
         text-align:center;\">{NOTICE}</p>"
    );
    // If the template has no body element, the banner goes at the start of the HTML.
    let body_start =
        html.find("<body").and_then(|start| Some(start + html[start..].find('>')? + 1)).unwrap_or_default();
    let html = format!("{}{banner}{}", &html[..body_start], &html[body_start..]);
    RenderedMail { subject: format!("[Test] {subject}"), text: format!("{NOTICE}\n\n{text}"), html, logo }
}
