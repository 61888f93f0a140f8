//! Renders the sign-in mail. The mail shows only the portal's host and the time of the request. Nothing else from the request
//! may appear in the mail, because anybody could use a request to send text in the portal's name.

use std::time::Duration;

use askama::Template;
use chrono::{DateTime, TimeDelta, Utc};

/// The content of a mail. Has no `Debug`, because it contains the link.
#[derive(Clone)]
pub(crate) struct MailContent<'a> {
    /// The sign-in link: printable ASCII without quotes or angle brackets.
    pub link: &'a str,
    /// The portal's host, as the mail shows it.
    pub host: &'a str,
    /// When the link was requested.
    pub requested_at: DateTime<Utc>,
    /// When Supabase created the link.
    pub link_created_at: DateTime<Utc>,
    /// How long the link works after `link_created_at`.
    pub link_lifetime: Duration,
}

/// A mail that is ready to be sent.
#[derive(Clone)]
pub struct RenderedMail {
    /// The subject, one line.
    pub subject: String,
    /// The plain-text body. Its only URL is the link.
    pub text: String,
    /// The HTML body. It has exactly one `href`, the link.
    pub html: String,
}

#[derive(Template)]
#[template(path = "sign_in.txt")]
struct TextBody<'a> {
    values: &'a SharedValues,
    link: &'a str,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct HtmlBody<'a> {
    values: &'a SharedValues,
    /// Already escaped.
    link: &'a str,
    subject: &'a str,
}

/// The values that both bodies show.
struct SharedValues {
    host: String,
    requested: String,
    lifetime: String,
    until: String,
}

/// Renders the subject and both bodies.
///
/// # Errors
/// A template cannot be rendered.
pub(crate) fn render(content: &MailContent<'_>) -> askama::Result<RenderedMail> {
    let until = content.link_created_at + TimeDelta::from_std(content.link_lifetime).unwrap_or_default();
    let values = SharedValues {
        // Without the scheme, because the link must be the only URL in the mail.
        host: content.host.to_owned(),
        requested: content.requested_at.format("%H:%M:%S UTC on %-d %B %Y").to_string(),
        lifetime: lifetime(content.link_lifetime),
        until: until.format("%H:%M UTC").to_string(),
    };
    // Mail programs group mails with the same subject into one conversation and hide the newest, so each request gets its own
    // subject.
    let subject = format!("Your sign-in link for {}, {}", values.host, content.requested_at.format("%H:%M:%S UTC"));
    let text = TextBody { values: &values, link: content.link }.render()?;
    let html = HtmlBody { values: &values, link: &escape(content.link), subject: &subject }.render()?;
    Ok(RenderedMail { subject, text, html })
}

/// Formats a lifetime in the largest unit that divides it evenly. Anything below two hours is in minutes, and one
/// day is 24 hours.
fn lifetime(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    match minutes {
        0..=119 => format!("{minutes} minutes"),
        _ if minutes.is_multiple_of(1_440) && minutes > 1_440 => format!("{} days", minutes / 1_440),
        _ if minutes.is_multiple_of(60) => format!("{} hours", minutes / 60),
        _ => format!("{minutes} minutes"),
    }
}

/// Escapes the link for an attribute and for text. Writes `&amp;`, which even a very simple HTML parser decodes; askama's
/// own filter writes `&#38;`.
fn escape(link: &str) -> String {
    link.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "https://abc.supabase.co/auth/v1/verify?token=0123abcd&type=magiclink&redirect_to=\
                        https://portal.example.com/auth/callback?next=%2Fsecret%2Fplace";

    fn mail() -> RenderedMail {
        let created: DateTime<Utc> = "2026-11-23T13:05:30Z".parse().unwrap();
        render(&MailContent {
            link: LINK,
            host: "portal.example.com",
            requested_at: created - TimeDelta::seconds(40),
            link_created_at: created,
            link_lifetime: Duration::from_secs(3_600),
        })
        .unwrap()
    }

    #[test]
    fn the_mail_shows_the_host_the_time_and_how_long_the_link_works() {
        let mail = mail();
        assert_eq!(mail.subject, "Your sign-in link for portal.example.com, 13:04:50 UTC");
        for form in [&mail.text, &mail.html] {
            let text = form.split_whitespace().collect::<Vec<_>>().join(" ");
            for part in [
                "portal.example.com",
                "13:04:50 UTC on 23 November 2026",
                "60 minutes",
                "until 14:05 UTC",
                "use the newest mail: once you have signed in, older links no longer work",
                "ignore",
            ] {
                assert!(text.contains(part), "{part}: {form}");
            }
        }
    }

    #[test]
    fn the_text_has_one_url_and_the_html_one_href() {
        let mail = mail();
        assert!(mail.text.lines().any(|line| line == LINK), "{}", mail.text);
        assert_eq!(mail.text.replace(LINK, "").matches("://").count(), 0);
        let escaped = LINK.replace('&', "&amp;");
        assert_eq!(mail.html.matches("href").count(), 1);
        assert!(mail.html.contains(&format!("href=\"{escaped}\"")), "{}", mail.html);
        assert_eq!(mail.html.matches(&escaped).count(), 2, "the link must appear once as a button and once as text");
        assert_eq!(mail.html.replace(&escaped, "").matches("://").count(), 0);
    }

    #[test]
    fn the_mail_shows_the_callback_url_only_inside_the_link() {
        let mail = mail();
        let without_link = |form: &str| form.replace(LINK, "").replace(&LINK.replace('&', "&amp;"), "");
        for form in [&mail.subject, &mail.text, &mail.html] {
            assert!(!without_link(form).contains("secret"), "{form}");
        }
    }

    #[test]
    fn the_html_loads_no_external_resource() {
        let html = mail().html.to_lowercase();
        for tag in ["<img", "<script", "<link", "url(", "@import"] {
            assert!(!html.contains(tag), "{tag}");
        }
    }

    /// Outlook on Windows ignores `max-width`.
    #[test]
    fn outlook_gets_a_table_of_a_fixed_width_around_the_card() {
        let html = mail().html;
        let (before, rest) = html.split_once("<!--[if mso]><table role=\"presentation\" width=\"520\"").unwrap();
        let (card, after) = rest.split_once("<!--[if mso]></td></tr></table><![endif]-->").unwrap();
        assert!(card.contains("<td><![endif]-->") && card.contains("max-width:520px") && card.contains("href="));
        assert!(!before.contains("class=\"card\"") && !after.contains("class=\"card\""), "{html}");
        assert_eq!((html.matches("<!--[if mso]>").count(), html.matches("<![endif]-->").count()), (2, 2));
    }

    #[test]
    fn lifetimes_are_shown_in_minutes_hours_or_days() {
        for (minutes, text) in [
            (10, "10 minutes"),
            (60, "60 minutes"),
            (90, "90 minutes"),
            (120, "2 hours"),
            (1_440, "24 hours"),
            (2_880, "2 days"),
            (150, "150 minutes"),
        ] {
            assert_eq!(lifetime(Duration::from_secs(minutes * 60)), text);
        }
    }
}
