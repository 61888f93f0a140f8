//! The mail. From the request it shows the portal's host and the time, and nothing else: whatever a stranger could
//! write into a request must not reach somebody's inbox under the portal's name.

use std::time::Duration;

use askama::Template;
use chrono::{DateTime, TimeDelta, Utc};
use url::Url;

/// What a mail says. No Debug: it holds the link.
#[derive(Clone)]
pub(crate) struct MailContent<'a> {
    /// The link: plain ASCII, without quotes and angle brackets.
    pub link: &'a str,
    /// Where it leads: only the host is shown.
    pub callback_url: &'a str,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// When Supabase made the link.
    pub link_made_at: DateTime<Utc>,
    /// How long Supabase lets it work, from there.
    pub link_lifetime: Duration,
}

/// A mail, ready to be handed over.
#[derive(Clone)]
pub struct RenderedMail {
    /// One line.
    pub subject: String,
    /// Has exactly one URL: the link.
    pub text: String,
    /// Has it in exactly one `href`.
    pub html: String,
}

#[derive(Template)]
#[template(path = "sign_in.txt")]
struct TextBody<'a> {
    words: &'a CommonText,
    link: &'a str,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct HtmlBody<'a> {
    words: &'a CommonText,
    /// Escaped already.
    link: &'a str,
    subject: &'a str,
}

/// What both forms say alike.
struct CommonText {
    host: String,
    requested: String,
    lifetime: String,
    until: String,
}

/// Writes the mail.
///
/// # Errors
/// A template could not be filled.
pub(crate) fn render(content: &MailContent<'_>) -> askama::Result<RenderedMail> {
    let until = content.link_made_at + TimeDelta::from_std(content.link_lifetime).unwrap_or_default();
    let words = CommonText {
        host: host(content.callback_url),
        requested: content.requested_at.format("%H:%M UTC on %-d %B %Y").to_string(),
        lifetime: lifetime(content.link_lifetime),
        until: until.format("%H:%M UTC").to_string(),
    };
    let subject = format!("Your sign-in link for {}", words.host);
    let text = TextBody { words: &words, link: content.link }.render()?;
    let html = HtmlBody { words: &words, link: &escape(content.link), subject: &subject }.render()?;
    Ok(RenderedMail { subject, text, html })
}

/// The portal's host, with its port where it has one of its own. Bare: a scheme before it would be a second URL.
fn host(callback_url: &str) -> String {
    let url = Url::parse(callback_url).ok();
    match url.as_ref().map(|url| (url.host_str(), url.port())) {
        Some((Some(host), Some(port))) => format!("{host}:{port}"),
        Some((Some(host), None)) => host.to_owned(),
        _ => "the portal".to_owned(),
    }
}

/// In the largest unit that comes out even; up to two hours in minutes.
fn lifetime(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    match minutes {
        0..=119 => format!("{minutes} minutes"),
        _ if minutes.is_multiple_of(1_440) && minutes > 1_440 => format!("{} days", minutes / 1_440),
        _ if minutes.is_multiple_of(60) => format!("{} hours", minutes / 60),
        _ => format!("{minutes} minutes"),
    }
}

/// For an attribute and for text. Writes `&amp;`, which even the simplest reader of HTML decodes; askama's own escape
/// would write `&#38;`.
fn escape(link: &str) -> String {
    link.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "https://abc.supabase.co/auth/v1/verify?token=0123abcd&type=magiclink&redirect_to=\
                        https://portal.example.com/auth/callback?next=%2Fsecret%2Fplace";

    fn mail() -> RenderedMail {
        let made: DateTime<Utc> = "2026-11-23T13:05:30Z".parse().unwrap();
        render(&MailContent {
            link: LINK,
            callback_url: "https://portal.example.com/auth/callback?next=%2Fbuy%2Fnow",
            requested_at: made - TimeDelta::seconds(40),
            link_made_at: made,
            link_lifetime: Duration::from_secs(3_600),
        })
        .unwrap()
    }

    #[test]
    fn it_says_who_asked_and_how_long_the_link_works() {
        let mail = mail();
        assert_eq!(mail.subject, "Your sign-in link for portal.example.com");
        for form in [&mail.text, &mail.html] {
            let line = form.split_whitespace().collect::<Vec<_>>().join(" ");
            for words in [
                "portal.example.com",
                "13:04 UTC on 23 November 2026",
                "60 minutes",
                "until 14:05 UTC",
                "newest",
                "ignore",
            ] {
                assert!(line.contains(words), "{words}: {form}");
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
        assert_eq!(mail.html.matches(&escaped).count(), 2, "once to click, once to read");
        assert_eq!(mail.html.replace(&escaped, "").matches("://").count(), 0);
    }

    #[test]
    fn nothing_that_a_stranger_wrote_is_shown() {
        let mail = mail();
        for form in [&mail.subject, &mail.text, &mail.html] {
            assert!(!form.contains("buy"), "{form}");
        }
    }

    #[test]
    fn no_image_script_or_style_comes_from_elsewhere() {
        let html = mail().html.to_lowercase();
        for tag in ["<img", "<script", "<link", "url(", "@import"] {
            assert!(!html.contains(tag), "{tag}");
        }
    }

    #[test]
    fn a_port_is_part_of_where_one_signs_in() {
        for (url, shown) in [
            ("http://localhost:3000/auth/callback", "localhost:3000"),
            ("https://portal.example.com/auth/callback", "portal.example.com"),
            ("https://portal.example.com:8443/x", "portal.example.com:8443"),
            ("not a url", "the portal"),
        ] {
            assert_eq!(host(url), shown);
        }
    }

    #[test]
    fn lifetimes_read_well() {
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
