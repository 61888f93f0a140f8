//! A rendered mail with placeholders instead of its link and its code. In a burst, many mails differ only in their
//! links and codes, and filling in the placeholders is far quicker than rendering each mail.

use super::{mailed_link::MailedLink, markup::escape, variables::spell};

/// The character with which every placeholder begins. Unicode reserves it for internal use by programs, so ordinary
/// text does not contain it.
const START: char = '\u{FDD0}';
/// What templates get instead of the link. The `&` shows whether the template has escaped the value.
const LINK: &str = "\u{FDD0}&\u{FDD1}";
/// What templates get instead of the code.
const CODE: &str = "\u{FDD0}&\u{FDD2}";

/// Whether a character is reserved for the placeholders of links and codes.
pub(super) fn is_reserved(character: char) -> bool {
    ('\u{FDD0}'..='\u{FDD2}').contains(&character)
}

/// A copy of `link` with placeholders for the link and the code.
pub(super) fn with_places(link: &MailedLink) -> MailedLink {
    MailedLink {
        url: link.url.as_ref().map(|_| LINK.to_owned()),
        code: link.code.as_ref().map(|_| CODE.to_owned()),
        ..*link
    }
}

/// A rendered mail without its link and its code, and so without any secret.
pub(super) struct PrerenderedMail {
    subject: String,
    text: Body,
    html: Body,
}

impl PrerenderedMail {
    /// Finds the placeholders in a mail that was rendered with [`with_places`]. `None` if a template has changed a
    /// placeholder, or if the subject contains one.
    pub(super) fn new(subject: String, text: &str, html: &str) -> Option<Self> {
        let (text, html) = (Body::new(text)?, Body::new(html)?);
        (!subject.contains(START)).then_some(Self { subject, text, html })
    }

    /// The subject, text and HTML of the mail, with this link and code filled in.
    pub(super) fn fill(&self, link: &MailedLink) -> (String, String, String) {
        let values = Values::new(link.url.as_deref().unwrap_or_default(), link.code.as_deref().unwrap_or_default());
        (self.subject.clone(), self.text.fill(&values), self.html.fill(&values))
    }

    /// The memory that the mail uses, in bytes, not counting a small constant overhead.
    pub(super) fn bytes(&self) -> usize {
        let of_body = |Body { text, places }: &Body| text.capacity() + places.capacity() * size_of::<(usize, Place)>();
        self.subject.capacity() + of_body(&self.text) + of_body(&self.html)
    }
}

/// A placeholder: the value that replaces it, and how the value is written.
#[derive(Clone, Copy)]
enum Place {
    Link,
    EscapedLink,
    Code,
    EscapedCode,
    SpelledCode,
    EscapedSpelledCode,
}

impl Place {
    const ALL: [Self; 6] =
        [Self::Link, Self::EscapedLink, Self::Code, Self::EscapedCode, Self::SpelledCode, Self::EscapedSpelledCode];
}

/// The value for each kind of placeholder.
struct Values([String; Place::ALL.len()]);

impl Values {
    fn new(link: &str, code: &str) -> Self {
        Self(Place::ALL.map(|place| match place {
            Place::Link => link.to_owned(),
            Place::EscapedLink => escape(link),
            Place::Code => code.to_owned(),
            Place::EscapedCode => escape(code),
            Place::SpelledCode => spell(code),
            Place::EscapedSpelledCode => escape(&spell(code)),
        }))
    }

    fn of(&self, place: Place) -> &str {
        &self.0[place as usize]
    }
}

/// A body without its links and codes.
struct Body {
    text: String,
    /// The placeholders in order, each with its byte position in `text`.
    places: Vec<(usize, Place)>,
}

impl Body {
    fn new(rendered: &str) -> Option<Self> {
        let values = Values::new(LINK, CODE);
        let (mut text, mut places) = (String::with_capacity(rendered.len()), vec![]);
        let mut rest = rendered;
        while let Some(start) = rest.find(START) {
            text.push_str(&rest[..start]);
            rest = &rest[start..];
            let (place, after) = Place::ALL
                .into_iter()
                .find_map(|place| rest.strip_prefix(values.of(place)).map(|after| (place, after)))?;
            places.push((text.len(), place));
            rest = after;
        }
        text.push_str(rest);
        Some(Self { text, places })
    }

    fn fill(&self, values: &Values) -> String {
        let length: usize = self.places.iter().map(|(_, place)| values.of(*place).len()).sum();
        let mut filled = String::with_capacity(self.text.len() + length);
        let mut written = 0;
        for (position, place) in &self.places {
            filled.push_str(&self.text[written..*position]);
            filled.push_str(values.of(*place));
            written = *position;
        }
        filled.push_str(&self.text[written..]);
        filled
    }
}
