//! The words of one mail: the messages in the mail's language, filled in with the mail's values.

use words::{
    Clock, Language, Part, Value, Words, WordsError, days_between, format_clock, format_date, format_duration,
};

use super::{
    brand::{Brand, Support},
    markup::{Marks, Markup, push_message},
    render::MailContent,
    wrap::wrap,
};

/// Provides the mail's messages to the templates.
pub(super) struct MailWords {
    words: Words,
    language: Language,
    is_right_to_left: bool,
    values: Values,
    support: Option<Support>,
}

/// The values that messages show. Never add another value from the request, because anybody could use a request to send
/// text in the portal's name.
struct Values {
    /// The portal's host, without the scheme: a mail must not contain any URLs other than the link and the support
    /// page.
    host: String,
    /// The portal's name. Empty if the portal has no name; messages then do not show a name.
    portal: String,
    time: String,
    date: String,
    lifetime: String,
    until: String,
    until_date: String,
    /// Number of calendar days from the request to the expiry of the link.
    days: u64,
}

impl MailWords {
    /// # Errors
    /// There are no words for the language, or a time, date or duration cannot be formatted.
    pub(super) fn new(words: &Words, brand: &Brand, content: &MailContent<'_>) -> Result<Self, WordsError> {
        let &MailContent { link, language, time_zone, requested_at, host } = content;
        let until = link.expires_at();
        let values = Values {
            host: host.to_owned(),
            portal: brand.name.as_ref().map(ToString::to_string).unwrap_or_default(),
            time: format_clock(language, time_zone, requested_at, Clock::Seconds)?,
            date: format_date(language, time_zone, requested_at)?,
            lifetime: format_duration(words, language, link.lifetime)?,
            until: format_clock(language, time_zone, until, Clock::Minutes)?,
            until_date: format_date(language, time_zone, until)?,
            days: days_between(time_zone, requested_at, until),
        };
        Ok(Self {
            words: words.clone(),
            language,
            is_right_to_left: language.is_right_to_left(),
            values,
            support: brand.support.clone(),
        })
    }

    pub(super) fn language(&self) -> Language {
        self.language
    }

    pub(super) fn host(&self) -> &str {
        &self.values.host
    }

    /// The portal's name, if it has one.
    pub(super) fn portal(&self) -> Option<&str> {
        Some(self.values.portal.as_str()).filter(|portal| !portal.is_empty())
    }

    pub(super) fn is_right_to_left(&self) -> bool {
        self.is_right_to_left
    }

    /// A message as one line of plain text.
    pub(super) fn line(&self, id: &str) -> Result<String, WordsError> {
        self.words.text(self.language, self.variant(id), &self.args())
    }

    /// A paragraph of a plain-text body, made up of the messages with these ids.
    pub(super) fn paragraph(&self, ids: &[&str]) -> Result<String, WordsError> {
        let lines = ids.iter().map(|id| self.line(id)).collect::<Result<Vec<_>, _>>()?;
        Ok(wrap(&lines.join(" ")))
    }

    /// A paragraph of an HTML body, made up of the messages with these ids.
    pub(super) fn html(&self, ids: &[&str], marks: Marks) -> Result<String, WordsError> {
        let support = self.support.as_ref().map(Support::href);
        let markup = Markup { marks, is_right_to_left: self.is_right_to_left, support: support.as_deref() };
        let mut html = String::with_capacity(512);
        for (position, id) in ids.iter().enumerate() {
            if position > 0 {
                html.push(' ');
            }
            push_message(&mut html, &self.parts(id)?, markup);
        }
        Ok(html)
    }

    fn parts(&self, id: &str) -> Result<Vec<Part<'_>>, WordsError> {
        self.words.parts(self.language, self.variant(id), &self.args())
    }

    /// The id of the message to show. Some messages have a variant for portals with a name or with a support page.
    /// Returns `id` itself if there is no such variant, or if a language that an operator added defines `id` but not
    /// the variant.
    fn variant<'b>(&self, id: &'b str) -> &'b str {
        let variant = match id {
            "mail-support" if matches!(self.support, Some(Support::Page(_))) => "mail-support-page",
            _ if self.values.portal.is_empty() => return id,
            "mail-subject-link" => "mail-subject-link-portal",
            "mail-subject-code" => "mail-subject-code-portal",
            "mail-heading" => "mail-heading-portal",
            "mail-request-link" => "mail-request-link-portal",
            "mail-request-code" => "mail-request-code-portal",
            _ => return id,
        };
        let lacks_only_variant = self.words.defines(self.language, id) && !self.words.defines(self.language, variant);
        if lacks_only_variant { id } else { variant }
    }

    fn args(&self) -> [(&str, Value<'_>); 9] {
        let Values { host, portal, time, date, lifetime, until, until_date, days } = &self.values;
        [
            ("host", Value::Text(host)),
            ("portal", Value::Text(portal)),
            ("support", Value::Text(self.support.as_ref().map_or("", Support::text))),
            ("time", Value::Text(time)),
            ("date", Value::Text(date)),
            ("lifetime", Value::Text(lifetime)),
            ("until", Value::Text(until)),
            ("until-date", Value::Text(until_date)),
            ("days", Value::Count(*days)),
        ]
    }
}
