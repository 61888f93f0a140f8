//! Invisible characters, and how messages show them.

use std::fmt;

use icu_properties::{CodePointSetData, props::DefaultIgnorableCodePoint};

/// A character that messages show as its code point, followed by its name if the character is a common one (`U+200B
/// zero width space`). The character itself is not shown, because it may be invisible or change how the rest of the
/// message is displayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodePoint(pub char);

impl CodePoint {
    /// The first invisible character in `text`.
    #[must_use]
    pub fn first_invisible(text: &str) -> Option<Self> {
        text.chars().map(Self).find(|c| c.is_invisible())
    }

    /// Whether the character is invisible: Unicode's `Default_Ignorable_Code_Point`, which includes zero-width and bidi
    /// characters, the byte order mark, and variation selectors.
    #[must_use]
    pub fn is_invisible(self) -> bool {
        CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(self.0)
    }

    /// The name of a character that people often paste without noticing. `None` for other characters.
    fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            '\u{ad}' => "soft hyphen",
            '\u{34f}' => "combining grapheme joiner",
            '\u{61c}' => "Arabic letter mark",
            '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' => "Hangul filler",
            '\u{17b4}' | '\u{17b5}' => "Khmer inherent vowel",
            '\u{180b}'..='\u{180f}' => "Mongolian variation selector or vowel separator",
            '\u{200b}' => "zero width space",
            '\u{200c}' => "zero width non-joiner",
            '\u{200d}' => "zero width joiner",
            '\u{200e}' => "left-to-right mark",
            '\u{200f}' => "right-to-left mark",
            '\u{2028}' => "line separator",
            '\u{2029}' => "paragraph separator",
            '\u{202a}' => "left-to-right embedding",
            '\u{202b}' => "right-to-left embedding",
            '\u{202c}' => "pop directional formatting",
            '\u{202d}' => "left-to-right override",
            '\u{202e}' => "right-to-left override",
            '\u{2060}' => "word joiner",
            '\u{2061}'..='\u{2064}' => "invisible operator",
            '\u{2066}' => "left-to-right isolate",
            '\u{2067}' => "right-to-left isolate",
            '\u{2068}' => "first strong isolate",
            '\u{2069}' => "pop directional isolate",
            '\u{3002}' => "ideographic full stop",
            '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => "variation selector",
            '\u{feff}' => "byte order mark",
            '\u{ff0f}' => "fullwidth solidus",
            '\u{ff3c}' => "fullwidth reverse solidus",
            '\u{ff61}' => "halfwidth ideographic full stop",
            '\u{e0000}'..='\u{e007f}' => "tag character",
            _ => return None,
        })
    }
}

impl fmt::Display for CodePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "U+{:04X}", u32::from(self.0))?;
        self.name().map_or(Ok(()), |name| write!(f, " {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_width_characters_bidi_marks_and_the_byte_order_mark_are_invisible() {
        let bidi = ['\u{61c}', '\u{200e}', '\u{200f}'].into_iter();
        let bidi = bidi.chain('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}');
        let others = ['\u{ad}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{3164}', '\u{fe0f}', '\u{feff}'];
        for c in bidi.chain(others) {
            assert!(CodePoint(c).is_invisible() && CodePoint(c).name().is_some(), "{}", CodePoint(c));
        }
        for c in ['a', ' ', '\u{a0}', 'é', '\u{301}', '木', '\u{2028}', '\n'] {
            assert!(!CodePoint(c).is_invisible(), "{}", CodePoint(c));
        }
    }

    #[test]
    fn an_invisible_character_is_shown_as_its_code_point_and_name() {
        for (text, named) in [
            ("a\u{200b}b", Some("U+200B zero width space")),
            ("\u{feff}\u{200b}", Some("U+FEFF byte order mark")),
            ("\u{e0061}", Some("U+E0061 tag character")),
            ("\u{206a}", Some("U+206A")),
            ("ab", None),
        ] {
            assert_eq!(CodePoint::first_invisible(text).map(|c| c.to_string()).as_deref(), named, "{text:?}");
        }
    }
}
