//! Renders the sign-in mail. The mail shows only the portal's host and the time of the request. Nothing else from the request
//! may appear in the mail, because anybody could use a request to send text in the portal's name.

use std::time::Duration;

use askama::Template;
use chrono::{DateTime, TimeDelta, Utc};

use super::mailed_link::MailedLink;

/// The version of the templates. A copy of a mail has the text of the first mail as long as it is rendered with the same
/// version, so raise the number with every change of a template.
pub(crate) const TEMPLATE: u8 = 1;

/// The content of a mail. Has no `Debug`, because it contains the link.
#[derive(Clone)]
pub(crate) struct MailContent<'a> {
    /// The link and the code.
    pub link: &'a MailedLink,
    /// The portal's host, as the mail shows it.
    pub host: &'a str,
    /// When the link was requested.
    pub requested_at: DateTime<Utc>,
}

/// A mail that is ready to be sent.
#[derive(Clone)]
pub struct RenderedMail {
    /// The subject, one line.
    pub subject: String,
    /// The plain-text body. Its only URL is the link, if the mail has one.
    pub text: String,
    /// The HTML body. Its only `href` is the link, if the mail has one.
    pub html: String,
}

#[derive(Template)]
#[template(path = "sign_in.txt")]
struct TextBody<'a> {
    values: &'a SharedValues,
    link: Option<&'a str>,
    code: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct HtmlBody<'a> {
    values: &'a SharedValues,
    /// Already escaped.
    link: Option<String>,
    code: Option<&'a str>,
    /// The code for screen readers, which would read `4081726359` as a number of billions.
    spelled_code: String,
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
    let MailedLink { url, code, created_at, lifetime } = content.link;
    let until = *created_at + TimeDelta::from_std(*lifetime).unwrap_or_default();
    let (link, code) = (url.as_deref(), code.as_deref());
    let values = SharedValues {
        // Without the scheme, because the link must be the only URL in the mail.
        host: content.host.to_owned(),
        requested: content.requested_at.format("%H:%M:%S UTC on %-d %B %Y").to_string(),
        lifetime: in_largest_unit(*lifetime),
        until: until.format("%H:%M UTC").to_string(),
    };
    // Mail programs group mails with the same subject into one conversation and hide the newest, so each request gets its own
    // subject.
    let what = if link.is_some() { "link" } else { "code" };
    let subject = format!("Your sign-in {what} for {}, {}", values.host, content.requested_at.format("%H:%M:%S UTC"));
    let text = TextBody { values: &values, link, code }.render()?;
    let spelled_code = code.map(spell).unwrap_or_default();
    let html = HtmlBody { values: &values, link: link.map(escape), code, spelled_code, subject: &subject }.render()?;
    Ok(RenderedMail { subject, text, html })
}

/// Formats a lifetime in the largest unit that divides it evenly. Anything below two hours is in minutes, and one
/// day is 24 hours.
fn in_largest_unit(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    match minutes {
        0..=119 => format!("{minutes} minutes"),
        _ if minutes.is_multiple_of(1_440) && minutes > 1_440 => format!("{} days", minutes / 1_440),
        _ if minutes.is_multiple_of(60) => format!("{} hours", minutes / 60),
        _ => format!("{minutes} minutes"),
    }
}

/// Separates the digits of a code, so that screen readers read one after the other.
fn spell(code: &str) -> String {
    code.chars().map(String::from).collect::<Vec<_>>().join(" ")
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

    const CODE: &str = "4081726359";

    fn mail_with(url: Option<&str>, code: Option<&str>) -> RenderedMail {
        let created_at: DateTime<Utc> = "2026-11-23T13:05:30Z".parse().unwrap();
        let link = MailedLink {
            url: url.map(str::to_owned),
            code: code.map(str::to_owned),
            created_at,
            lifetime: Duration::from_hours(1),
        };
        let requested_at = created_at - TimeDelta::seconds(40);
        render(&MailContent { link: &link, host: "portal.example.com", requested_at }).unwrap()
    }

    fn mail() -> RenderedMail {
        mail_with(Some(LINK), None)
    }

    /// The text of a body without tags, with single spaces, as a preview begins with it.
    fn visible(html: &str) -> String {
        let body = html.split_once("<body").unwrap().1;
        let text = body.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text);
        text.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_code_is_shown_with_where_to_type_it_and_until_when() {
        for (url, instruction) in [
            (Some(LINK), "It works once, until 14:05 UTC, if you have not used the link"),
            (None, "The code works once, for 60 minutes, until 14:05 UTC"),
        ] {
            let mail = mail_with(url, Some(CODE));
            assert!(mail.text.lines().any(|line| line == CODE), "{}", mail.text);
            assert_eq!(mail.html.matches(CODE).count(), 1);
            let spelled = "role=\"img\" aria-label=\"4 0 8 1 7 2 6 3 5 9\"";
            assert!(mail.html.contains(spelled) && mail.html.contains("user-select:all"), "{}", mail.html);
            for text in [visible(&mail.html), mail.text.split_whitespace().collect::<Vec<_>>().join(" ")] {
                assert!(text.contains(instruction) && text.contains("Type it only at portal.example.com"), "{text}");
                let position = text.find(CODE).unwrap();
                assert!(position > 250, "a preview of the mail may show the code: {text}");
            }
            assert!(!mail.subject.contains(CODE));
        }
    }

    #[test]
    fn a_mail_with_only_a_code_has_no_url_and_says_nothing_of_a_link() {
        let mail = mail_with(None, Some(CODE));
        assert_eq!(mail.subject, "Your sign-in code for portal.example.com, 13:04:50 UTC");
        for form in [&mail.text, &mail.html] {
            assert!(!form.contains("://") && !form.contains("href"), "{form}");
        }
        for text in [visible(&mail.html), mail.text] {
            assert!(!text.contains("link"), "{text}");
        }
    }

    /// A retry renders the mail again, perhaps by another version of the worker.
    #[test]
    fn a_changed_template_has_a_new_version() {
        use sha2::{Digest as _, Sha256};

        let mut digests = vec![];
        for mail in [mail(), mail_with(Some(LINK), Some(CODE)), mail_with(None, Some(CODE))] {
            let digest = Sha256::digest([mail.subject, mail.text, mail.html].join("\0"));
            digests.push(digest[..4].iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        }
        let known = (1, ["2a999d35".to_owned(), "3ce0c18d".to_owned(), "45f6b35a".to_owned()].to_vec());
        assert_eq!((TEMPLATE, digests), known, "raise TEMPLATE, and note its digests here");
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
            assert_eq!(in_largest_unit(Duration::from_secs(minutes * 60)), text);
        }
    }
}
