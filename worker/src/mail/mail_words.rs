//! The words of one mail: the messages in the mail's language, filled in with the mail's values.

use chrono::TimeDelta;
use words::{
    Clock, Language, Part, Value, Words, WordsError, days_between, format_clock, format_date, format_duration,
};

use super::{render::MailContent, wrap::wrap};

/// Provides the mail's messages to the templates.
pub(super) struct MailWords<'a> {
    words: &'a Words,
    language: Language,
    values: Values<'a>,
}

/// The values that messages show. Never add another value from the request, because anybody could use a request to send text in
/// the portal's name.
struct Values<'a> {
    /// The portal's host, without the scheme, because the link must be the only URL in the mail.
    host: &'a str,
    time: String,
    date: String,
    lifetime: String,
    until: String,
    until_date: String,
    /// Number of calendar days from the request to the expiry of the link.
    days: u64,
}

impl<'a> MailWords<'a> {
    /// # Errors
    /// There are no words for the language, or a time, date or duration cannot be formatted.
    pub(super) fn new(words: &'a Words, content: &MailContent<'a>) -> Result<Self, WordsError> {
        let &MailContent { link, language, time_zone, requested_at, host } = content;
        let until = link.created_at + TimeDelta::from_std(link.lifetime).unwrap_or_default();
        let values = Values {
            host,
            time: format_clock(language, time_zone, requested_at, Clock::Seconds)?,
            date: format_date(language, time_zone, requested_at)?,
            lifetime: format_duration(words, language, link.lifetime)?,
            until: format_clock(language, time_zone, until, Clock::Minutes)?,
            until_date: format_date(language, time_zone, until)?,
            days: days_between(time_zone, requested_at, until),
        };
        Ok(Self { words, language, values })
    }

    /// The value of the HTML attribute `lang`.
    pub(super) fn tag(&self) -> String {
        self.language.tag()
    }

    /// The value of the HTML attribute `dir`.
    pub(super) fn direction(&self) -> &'static str {
        self.language.direction()
    }

    pub(super) fn is_right_to_left(&self) -> bool {
        self.language.is_right_to_left()
    }

    /// A message as one line.
    pub(super) fn line(&self, id: &str) -> askama::Result<String> {
        self.words.text(self.language, id, &self.args()).map_err(askama::Error::custom)
    }

    /// A paragraph of the plain-text body, made up of the messages `ids`.
    pub(super) fn paragraph(&self, ids: &[&str]) -> askama::Result<String> {
        let lines = ids.iter().map(|id| self.line(id)).collect::<askama::Result<Vec<_>>>()?;
        Ok(wrap(&lines.join(" ")))
    }

    /// A message, split into parts, because the HTML template marks up some of the message's values.
    pub(super) fn parts(&self, id: &str) -> askama::Result<Vec<Part<'_>>> {
        self.words.parts(self.language, id, &self.args()).map_err(askama::Error::custom)
    }

    fn args(&self) -> [(&str, Value<'_>); 7] {
        let Values { host, time, date, lifetime, until, until_date, days } = &self.values;
        [
            ("host", Value::Text(host)),
            ("time", Value::Text(time)),
            ("date", Value::Text(date)),
            ("lifetime", Value::Text(lifetime)),
            ("until", Value::Text(until)),
            ("until-date", Value::Text(until_date)),
            ("days", Value::Count(*days)),
        ]
    }
}
