//! A message in parts, so that a template can mark up the values in it.

/// The value of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// Text that the message shows.
    Text(&'a str),
    /// A number that selects the plural form of the message. Messages show the number through a separate text argument,
    /// because digits depend on the language.
    Count(u64),
}

/// A part of a message. Both variants are plain text, which a template must escape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part<'a> {
    /// Text from the catalogue.
    Text(String),
    /// The value of an argument.
    Value {
        /// The argument's name.
        name: &'a str,
        /// The argument's text.
        text: &'a str,
    },
}

impl Part<'_> {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Value { text, .. } => text,
        }
    }
}

/// The first character that stands for a value while a message is formatted. Unicode reserves U+FDD0 to U+FDEF for use
/// inside programs, and an operator's catalogue that contains them is refused. Values are inserted after formatting, so
/// a value can never be mistaken for a part of the message.
const FIRST_PLACE: char = '\u{FDD0}';
const LAST_PLACE: char = '\u{FDEF}';

/// The characters from [`FIRST_PLACE`] to [`LAST_PLACE`] in order. Each is 3 bytes long in UTF-8.
const PLACES: &str = "\
     \u{FDD0}\u{FDD1}\u{FDD2}\u{FDD3}\u{FDD4}\u{FDD5}\u{FDD6}\u{FDD7}\
     \u{FDD8}\u{FDD9}\u{FDDA}\u{FDDB}\u{FDDC}\u{FDDD}\u{FDDE}\u{FDDF}\
     \u{FDE0}\u{FDE1}\u{FDE2}\u{FDE3}\u{FDE4}\u{FDE5}\u{FDE6}\u{FDE7}\
     \u{FDE8}\u{FDE9}\u{FDEA}\u{FDEB}\u{FDEC}\u{FDED}\u{FDEE}\u{FDEF}";

/// Whether a character stands for a value.
pub(crate) fn is_place(character: char) -> bool {
    (FIRST_PLACE..=LAST_PLACE).contains(&character)
}

/// The character that stands for the argument at a position, counted from 0. `None` if the position is too high.
pub(crate) fn place(position: usize) -> Option<&'static str> {
    PLACES.get(3 * position..3 * position + 3)
}

/// Splits a formatted message at the characters that stand for values, and replaces them with the values.
pub(crate) fn split<'a>(formatted: &str, args: &[(&'a str, Value<'a>)]) -> Vec<Part<'a>> {
    let mut parts = vec![];
    for piece in formatted.split_inclusive(is_place) {
        let (words, value) = match piece.char_indices().next_back() {
            Some((at, character)) if is_place(character) => (&piece[..at], value_at(character, args)),
            _ => (piece, None),
        };
        if !words.is_empty() {
            // A message may span several lines in a catalogue. The templates decide where lines break.
            parts.push(Part::Text(words.replace('\n', " ")));
        }
        parts.extend(value);
    }
    parts
}

fn value_at<'a>(place: char, args: &[(&'a str, Value<'a>)]) -> Option<Part<'a>> {
    let position = (FIRST_PLACE..=LAST_PLACE).position(|character| character == place)?;
    match args.get(position)? {
        (name, Value::Text(text)) => Some(Part::Value { name, text }),
        (_, Value::Count(_)) => None,
    }
}
