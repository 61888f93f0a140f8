//! Colours, and the contrast between them.

use std::{fmt, str::FromStr};

/// An opaque sRGB colour, written as `#rrggbb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour([u8; 3]);

/// Lowest contrast between a text and its background: WCAG 2.2, §1.4.3.
const TEXT_CONTRAST: f64 = 4.5;
/// Lowest contrast between a button and what is around it: WCAG 2.2, §1.4.11.
const SHAPE_CONTRAST: f64 = 3.0;

impl Colour {
    pub(crate) const WHITE: Self = Self([0xff; 3]);
    const BLACK: Self = Self([0; 3]);
    /// The mail's card in dark mode.
    pub(crate) const DARK_CARD: Self = Self([0x1f, 0x24, 0x2a]);

    /// The contrast to another colour, 1 to 21 (WCAG 2.2, "contrast ratio").
    #[must_use]
    pub fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance() + 0.05, other.luminance() + 0.05);
        one.max(two) / one.min(two)
    }

    /// WCAG 2.2, "relative luminance".
    fn luminance(self) -> f64 {
        let linear = |channel: u8| match f64::from(channel) / 255.0 {
            channel if channel <= 0.04045 => channel / 12.92,
            channel => ((channel + 0.055) / 1.055).powf(2.4),
        };
        let [red, green, blue] = self.0.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl FromStr for Colour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii());
        let channel = |at: usize| u8::from_str_radix(digits?.get(at..at + 2)?, 16).ok();
        let is_hexadecimal = digits.is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match (channel(0), channel(2), channel(4)) {
            (Some(red), Some(green), Some(blue)) if is_hexadecimal => Ok(Self([red, green, blue])),
            _ => Err(format!("`{text}` is not a colour such as #1d5fd6")),
        }
    }
}

/// The colours of a button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ButtonColours {
    /// The colour of the button.
    pub background: Colour,
    /// The colour of its text.
    pub text: Colour,
    /// The colour of its border.
    pub border: Colour,
}

impl ButtonColours {
    /// The built-in colours.
    pub(crate) const LIGHT: Self =
        Self { background: Colour([0x1d, 0x5f, 0xd6]), text: Colour::WHITE, border: Colour([0x1d, 0x5f, 0xd6]) };
    /// The built-in colours in dark mode.
    pub(crate) const DARK: Self = Self {
        background: Colour([0x5b, 0x93, 0xff]),
        text: Colour([0x0b, 0x12, 0x20]),
        border: Colour([0x5b, 0x93, 0xff]),
    };

    /// A button of a colour on a card: white or black text, whichever can be read. A button that is hard to tell from the card
    /// gets a border.
    pub(crate) fn on(background: Colour, card: Colour) -> Self {
        // Black is readable wherever white is not: the product of the two contrasts is 21.
        let is_white = background.contrast(Colour::WHITE) >= TEXT_CONTRAST;
        let text = if is_white { Colour::WHITE } else { Colour::BLACK };
        let border = if background.contrast(card) < SHAPE_CONTRAST { text } else { background };
        Self { background, text, border }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_colour_has_six_hexadecimal_digits() {
        assert_eq!("#1D5fd6".parse::<Colour>().unwrap().to_string(), "#1d5fd6");
        for text in ["", "#", "1d5fd6", "#1d5fd", "#1d5fd67", "#+1+2+3", "#ééé", "#1d5fdg", "red", "#1d5;\""] {
            assert!(text.parse::<Colour>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_contrast_is_that_of_wcag() {
        for (colour, contrast) in [("#ffffff", 1.0), ("#000000", 21.0), ("#777777", 4.48), ("#767676", 4.54)] {
            let found = colour.parse::<Colour>().unwrap().contrast(Colour::WHITE);
            assert!((found - contrast).abs() < 0.01, "{colour}: {found}");
        }
    }

    proptest! {
        #[test]
        fn every_button_can_be_read_and_seen(channels: [u8; 3]) {
            let colour = Colour(channels);
            for card in [Colour::WHITE, Colour::DARK_CARD] {
                let button = ButtonColours::on(colour, card);
                prop_assert!(button.text.contrast(colour) >= TEXT_CONTRAST);
                prop_assert!(button.border.contrast(card) >= SHAPE_CONTRAST || button.border == button.text);
            }
        }
    }

    #[test]
    fn the_built_in_buttons_can_be_read() {
        for button in [ButtonColours::LIGHT, ButtonColours::DARK] {
            assert!(button.text.contrast(button.background) >= TEXT_CONTRAST, "{button:?}");
        }
    }
}
