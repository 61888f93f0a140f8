//! Renders the sign-in mail in the person's language and time zone. Outside the link, the only values from the request
//! that may appear in the mail are the portal's host and the time of the request, because anybody could use a request
//! to send text in the portal's name.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use minijinja::Value;
use words::{Language, TimeZone, WordsError};

use super::{
    brand::Logo,
    look::Look,
    mail_words::MailWords,
    mailed_link::MailedLink,
    prerendered::{PrerenderedMail, is_reserved, with_places},
    prerendered_mails::MailKind,
    templates::{HTML, SUBJECT, TEXT, TemplateError},
    variables::{Body, Variables},
};

/// The version of the templates and of the built-in words. A repeated mail has the same text as the first mail only if
/// both mails are rendered with the same version, so increase this number whenever you change a template or a message.
pub(crate) const TEMPLATE: u8 = 5;

/// The content of a mail. Has no `Debug`, because it contains the link.
#[derive(Clone)]
pub(crate) struct MailContent<'a> {
    /// The link and the code.
    pub link: &'a MailedLink,
    /// The portal's host, as the mail shows it.
    pub host: &'a str,
    /// When the person requested the mail.
    pub requested_at: DateTime<Utc>,
    /// The person's language.
    pub language: Language,
    /// The person's time zone.
    pub time_zone: TimeZone,
}

/// A mail that is ready to be sent.
#[derive(Clone)]
pub struct RenderedMail {
    /// The subject: a single line.
    pub subject: String,
    /// The plain-text body. Its only URLs are the link and the portal's support page, if the mail has them.
    pub text: String,
    /// The HTML body. Its only `href`s are the link and the portal's support link, if the mail has them.
    pub html: String,
    /// The image that the HTML body shows, if any.
    pub logo: Option<Logo>,
}

/// Why a mail cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenderError {
    /// There are no words for the mail's language, or a date, time or duration cannot be formatted.
    #[error(transparent)]
    Words(#[from] WordsError),
    /// A template or a message contains an error.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// Renders the subject and both bodies. If the templates allow it, reuses a cached mail that differs only in its link
/// and code.
///
/// # Errors
/// There are no words for the language, a date, time or duration cannot be formatted, or a template cannot be rendered.
pub(crate) fn render(look: &Look, content: &MailContent<'_>) -> Result<RenderedMail, RenderError> {
    let (subject, text, html) = match prerendered(look, content) {
        Some(mail) => mail.fill(content.link),
        None => {
            let RenderedParts { subject, text, html } = render_parts(look, content)?;
            (subject?, text?, html?)
        }
    };
    let logo = look.brand.logo.clone().filter(|logo| html.contains(&logo.source()));
    Ok(RenderedMail { subject, text, html, logo })
}

/// The mail without its link and code. `None` if a prerendered mail might differ from the rendered mail, or if the mail
/// cannot be rendered.
fn prerendered(look: &Look, content: &MailContent<'_>) -> Option<Arc<PrerenderedMail>> {
    // A template that tests `{% if link %}` treats an empty link as a missing link.
    let is_empty = |value: &Option<String>| value.as_ref().is_some_and(String::is_empty);
    if is_empty(&content.link.url)
        || is_empty(&content.link.code)
        || content.host.contains(is_reserved)
        || !look.templates(content.language).only_shows_secrets()
    {
        return None;
    }
    let kind = MailKind::new(content);
    if let Some(mail) = look.prerendered.get(&kind) {
        return Some(mail);
    }
    let link = with_places(content.link);
    let RenderedParts { subject, text, html } =
        render_parts(look, &MailContent { link: &link, ..content.clone() }).ok()?;
    let mail = Arc::new(PrerenderedMail::new(subject.ok()?, &text.ok()?, &html.ok()?)?);
    debug_assert!(
        render_parts(look, content).is_ok_and(|parts| {
            let RenderedParts { subject: Ok(subject), text: Ok(text), html: Ok(html) } = parts else { return false };
            mail.fill(content.link) == (subject, text, html)
        }),
        "the prerendered mail differs from the rendered mail"
    );
    look.prerendered.insert(kind, Arc::clone(&mail));
    Some(mail)
}

/// The parts of a mail. Each part can fail separately.
pub(super) struct RenderedParts {
    pub subject: Result<String, TemplateError>,
    pub text: Result<String, TemplateError>,
    pub html: Result<String, TemplateError>,
}

/// Renders the subject and both bodies. If one part fails, the others are still rendered.
///
/// # Errors
/// There are no words for the language, or a date, time or duration cannot be formatted.
pub(super) fn render_parts(look: &Look, content: &MailContent<'_>) -> Result<RenderedParts, WordsError> {
    let MailedLink { url: link, code, .. } = content.link.clone();
    let words = Arc::new(MailWords::new(&look.words, &look.brand, content)?);
    let templates = look.templates(content.language);
    let style = match (&link, &code) {
        (Some(_), None) => "link",
        (Some(_), Some(_)) => "link-and-code",
        (None, _) => "code",
    };
    let variables = |body| {
        let (words, brand, brand_values) =
            (Arc::clone(&words), Arc::clone(&look.brand), Arc::clone(&look.brand_values));
        Arc::new(Variables { words, brand, brand_values, style, body })
    };
    // Mail programs group mails with the same subject into one conversation, which may hide the newest mail. So the
    // subject includes the time of the request.
    let subject = templates.render(SUBJECT, Value::from_dyn_object(variables(None)));
    let subject = subject.map(|subject| subject.trim().to_owned());
    let body = Body { link, code, subject: subject.as_deref().unwrap_or_default().to_owned() };
    let variables = Value::from_dyn_object(variables(Some(body)));
    let text = templates.render(TEXT, variables.clone());
    let html = templates.render(HTML, variables);
    Ok(RenderedParts { subject, text, html })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::TimeDelta;
    use words::Words;

    use super::*;
    use crate::mail::brand::Brand;

    const LINK: &str = "https://abc.supabase.co/auth/v1/verify?token=0123abcd&type=magiclink&redirect_to=\
                        https://portal.example.com/auth/callback?next=%2Fsecret%2Fplace";

    const CODE: &str = "4081726359";

    const STYLES: [(Option<&str>, Option<&str>); 3] =
        [(Some(LINK), None), (Some(LINK), Some(CODE)), (None, Some(CODE))];

    fn mail_with(url: Option<&str>, code: Option<&str>) -> RenderedMail {
        mail_in(Language::ENGLISH, "UTC", url, code)
    }

    fn mail_in(language: Language, zone: &str, url: Option<&str>, code: Option<&str>) -> RenderedMail {
        let created_at: DateTime<Utc> = "2026-11-23T13:05:30Z".parse().unwrap();
        let link = MailedLink {
            url: url.map(str::to_owned),
            code: code.map(str::to_owned),
            created_at,
            lifetime: Duration::from_hours(1),
        };
        let requested_at = created_at - TimeDelta::seconds(40);
        let (host, time_zone) = ("portal.example.com", zone.parse().unwrap());
        render(
            &Look::built_in(Words::built_in(), Brand::default()),
            &MailContent { link: &link, host, requested_at, language, time_zone },
        )
        .unwrap()
    }

    fn mail() -> RenderedMail {
        mail_with(Some(LINK), None)
    }

    /// The text of an HTML body, without tags and with single spaces. A preview of the mail begins with this text.
    fn visible(html: &str) -> String {
        let body = html.split_once("<body").unwrap().1;
        let text = body.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text);
        text.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_code_is_shown_with_its_expiry_and_where_to_type_it() {
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
    fn a_mail_with_only_a_code_has_no_url_and_does_not_mention_a_link() {
        let mail = mail_with(None, Some(CODE));
        assert_eq!(mail.subject, "Your sign-in code for portal.example.com, 13:04:50 UTC");
        for form in [&mail.text, &mail.html] {
            assert!(!form.contains("://") && !form.contains("href"), "{form}");
        }
        for text in [visible(&mail.html), mail.text] {
            assert!(!text.contains("link"), "{text}");
        }
    }

    /// A retry renders the mail again, possibly with another version of the worker. It compares `TEMPLATE` with the
    /// version stored with the link, to notice that the text has changed.
    #[test]
    fn a_changed_template_needs_a_new_version() {
        use sha2::{Digest as _, Sha256};

        let mut digests = vec![];
        for (url, code) in STYLES {
            let mails = Language::ALL.map(|language| mail_in(language, "Europe/Berlin", url, code));
            let texts = mails.into_iter().flat_map(|mail| [mail.subject, mail.text, mail.html]);
            let digest = Sha256::digest(texts.collect::<Vec<_>>().join("\0"));
            digests.push(digest[..4].iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        }
        let known = (5, ["bfac6d5b".to_owned(), "7d2b5708".to_owned(), "d1264649".to_owned()].to_vec());
        assert_eq!((TEMPLATE, digests), known, "increment TEMPLATE and update the digests here");
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
    fn outlook_gets_a_fixed_width_table_around_the_card() {
        let html = mail().html;
        let (before, rest) = html.split_once("<!--[if mso]><table role=\"presentation\" width=\"520\"").unwrap();
        let (card, after) = rest.split_once("<!--[if mso]></td></tr></table><![endif]-->").unwrap();
        assert!(card.contains("<td><![endif]-->") && card.contains("max-width:520px") && card.contains("href="));
        assert!(!before.contains("class=\"card\"") && !after.contains("class=\"card\""), "{html}");
        assert_eq!((html.matches("<!--[if mso]>").count(), html.matches("<![endif]-->").count()), (2, 2));
    }

    #[test]
    fn the_english_plain_text_is_as_expected() {
        let expected = [
            "Sign in to portal.example.com

Somebody asked for this link at 13:04:50 UTC on 23 November 2026. If that was
you, sign in here:

LINK

The link works once, for 60 minutes, until 14:05 UTC. If you asked more than
once, use the newest mail: once you have signed in, older links no longer
work.

If you did not ask for it, you can ignore this mail: nobody gets in without
the link. Never pass it on.",
            "Sign in to portal.example.com

Somebody asked for this link at 13:04:50 UTC on 23 November 2026. If that was
you, sign in here:

LINK

The link works once, for 60 minutes, until 14:05 UTC. If you asked more than
once, use the newest mail: once you have signed in, older links no longer
work.

Are you signing in on another device? Type this code there. It works once,
until 14:05 UTC, if you have not used the link. Type it only at
portal.example.com:

4081726359

If you did not ask for them, you can ignore this mail: nobody gets in without
the link or the code. Never pass them on.",
            "Sign in to portal.example.com

Somebody asked for this code at 13:04:50 UTC on 23 November 2026. If that was
you, type it on the page where you asked for it. Type it only at
portal.example.com.

The code works once, for 60 minutes, until 14:05 UTC. If you asked more than
once, use the newest mail: once you have signed in, older codes no longer
work.

4081726359

If you did not ask for it, you can ignore this mail: nobody gets in without
the code. Never pass it on.",
        ];
        for ((url, code), expected) in STYLES.into_iter().zip(expected) {
            assert_eq!(mail_with(url, code).text, expected.replace("LINK", LINK));
        }
    }

    /// The link stays on one line. Every other line is short enough for mail programs that do not wrap lines.
    #[test]
    fn the_lines_of_the_plain_text_are_short_in_every_language() {
        for language in Language::ALL {
            for (url, code) in STYLES {
                let text = mail_in(language, "America/New_York", url, code).text;
                for line in text.lines().filter(|line| *line != LINK) {
                    let width = line.chars().filter(|character| !('\u{2066}'..='\u{2069}').contains(character)).count();
                    assert!(width <= 77 && !line.contains("://") && line == line.trim(), "{line}");
                }
            }
        }
    }

    #[test]
    fn a_mail_is_in_the_persons_language_and_time_zone() {
        let mail = mail_in(Language::GERMAN, "Europe/Berlin", Some(LINK), Some(CODE));
        assert_eq!(mail.subject, "Ihr Anmeldelink für portal.example.com, 14:04:50 MEZ");
        assert!(mail.html.contains("<html lang=\"de\" dir=\"ltr\">"), "{}", mail.html);
        for text in [visible(&mail.html), mail.text.split_whitespace().collect::<Vec<_>>().join(" ")] {
            for part in [
                "Bei portal.example.com anmelden",
                "Jemand hat am 23. November 2026 um 14:04:50 MEZ diesen Link angefordert.",
                "60 Minuten lang, bis 15:05 MEZ",
                "Geben Sie den Code nur auf portal.example.com ein: 4081726359",
            ] {
                assert!(text.contains(part), "{part}: {text}");
            }
        }
    }

    #[test]
    fn a_mail_shows_the_expiry_date_if_the_link_expires_on_another_day() {
        let link = MailedLink {
            url: Some(LINK.to_owned()),
            code: None,
            created_at: "2026-11-23T22:35:00Z".parse().unwrap(),
            lifetime: Duration::from_hours(1),
        };
        for (zone, expected) in
            [("UTC", "until 23:35 UTC. If"), ("Europe/Berlin", "until 00:35 CET on 24 November 2026. If")]
        {
            let (time_zone, requested_at) = (zone.parse().unwrap(), link.created_at);
            let (host, language) = ("portal.example.com", Language::ENGLISH);
            let content = MailContent { link: &link, host, requested_at, language, time_zone };
            let mail = render(&Look::built_in(Words::built_in(), Brand::default()), &content).unwrap();
            assert!(visible(&mail.html).contains(expected), "{}", mail.html);
        }
    }

    #[test]
    fn an_arabic_mail_is_right_to_left_but_its_links_and_codes_are_left_to_right() {
        let html = mail_in(Language::ARABIC, "UTC", Some(LINK), Some(CODE)).html;
        assert!(html.contains("<html lang=\"ar\" dir=\"rtl\">"), "{html}");
        let tables = html.lines().filter(|line| line.trim().starts_with("<table"));
        assert!(tables.clone().count() == 3 && tables.clone().all(|table| table.contains(" dir=\"rtl\"")), "{html}");
        let link = LINK.replace('&', "&amp;");
        let hosts = html.matches("dir=\"ltr\"").count();
        for part in [
            "<span dir=\"ltr\">portal.example.com</span></h1>".to_owned(),
            format!("overflow-wrap:anywhere;\">{link}</p>"),
            format!(">{CODE}</p>"),
        ] {
            let line = html.lines().find(|line| line.contains(&part)).unwrap_or_else(|| panic!("{part}: {html}"));
            assert!(line.contains("dir=\"ltr\""), "{line}");
        }
        assert_eq!(hosts, 4, "the heading, the link, the code and its instruction are marked: {html}");
        let values = html.split("portal.example.com").skip(1);
        assert!(values.clone().all(|rest| rest.starts_with(['<', '/', '\u{2069}'])), "{html}");
        // A mail in a left-to-right language sets the direction only on `<html>`.
        let german = mail_in(Language::GERMAN, "UTC", Some(LINK), Some(CODE)).html;
        assert_eq!(german.matches(" dir=").count(), 1, "{german}");
    }
}
