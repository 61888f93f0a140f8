//! The words of one mail: the messages in the mail's language, filled in with the mail's values.

use chrono::TimeDelta;
use words::{
    Clock, Language, Part, Value, Words, WordsError, days_between, format_clock, format_date, format_duration,
};

use super::{
    markup::{Marks, push_message},
    render::MailContent,
    wrap::wrap,
};

/// Provides the mail's messages to the templates.
pub(super) struct MailWords {
    words: Words,
    language: Language,
    is_right_to_left: bool,
    values: Values,
}

/// The values that messages show. Never add another value from the request, because anybody could use a request to send text in
/// the portal's name.
struct Values {
    /// The portal's host, without the scheme, because the link must be the only URL in the mail.
    host: String,
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
    pub(super) fn new(words: &Words, content: &MailContent<'_>) -> Result<Self, WordsError> {
        let &MailContent { link, language, time_zone, requested_at, host } = content;
        let until = link.created_at + TimeDelta::from_std(link.lifetime).unwrap_or_default();
        let values = Values {
            host: host.to_owned(),
            time: format_clock(language, time_zone, requested_at, Clock::Seconds)?,
            date: format_date(language, time_zone, requested_at)?,
            lifetime: format_duration(words, language, link.lifetime)?,
            until: format_clock(language, time_zone, until, Clock::Minutes)?,
            until_date: format_date(language, time_zone, until)?,
            days: days_between(time_zone, requested_at, until),
        };
        Ok(Self { words: words.clone(), language, is_right_to_left: language.is_right_to_left(), values })
    }

    pub(super) fn language(&self) -> Language {
        self.language
    }

    pub(super) fn host(&self) -> &str {
        &self.values.host
    }

    pub(super) fn is_right_to_left(&self) -> bool {
        self.is_right_to_left
    }

    /// A message as one line of plain text.
    pub(super) fn line(&self, id: &str) -> Result<String, WordsError> {
        self.words.text(self.language, id, &self.args())
    }

    /// A paragraph of a plain-text body, made up of the messages `ids`.
    pub(super) fn paragraph(&self, ids: &[&str]) -> Result<String, WordsError> {
        let lines = ids.iter().map(|id| self.line(id)).collect::<Result<Vec<_>, _>>()?;
        Ok(wrap(&lines.join(" ")))
    }

    /// A paragraph of an HTML body, made up of the messages `ids`.
    pub(super) fn html(&self, ids: &[&str], marks: Marks) -> Result<String, WordsError> {
        let mut html = String::with_capacity(512);
        for (position, id) in ids.iter().enumerate() {
            if position > 0 {
                html.push(' ');
            }
            push_message(&mut html, &self.parts(id)?, marks, self.is_right_to_left);
        }
        Ok(html)
    }

    fn parts(&self, id: &str) -> Result<Vec<Part<'_>>, WordsError> {
        self.words.parts(self.language, id, &self.args())
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
