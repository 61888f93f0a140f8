//! The colours of the button.

use portals::Colour;

/// Minimum contrast between text and its background (WCAG 2.2, §1.4.3).
const TEXT_CONTRAST: f64 = 4.5;
/// Minimum contrast between a button and its surroundings (WCAG 2.2, §1.4.11).
const SHAPE_CONTRAST: f64 = 3.0;

/// The colour of the mail's card in dark mode.
pub(crate) const DARK_CARD: Colour = Colour { red: 0x1f, green: 0x24, blue: 0x2a };
const BLUE: Colour = Colour { red: 0x1d, green: 0x5f, blue: 0xd6 };
const LIGHT_BLUE: Colour = Colour { red: 0x5b, green: 0x93, blue: 0xff };

/// The colours of a button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ButtonColours {
    /// The colour of the button.
    pub background: Colour,
    /// The colour of the button's text.
    pub text: Colour,
    /// The colour of the button's border.
    pub border: Colour,
}

impl ButtonColours {
    /// The built-in colours in light mode.
    pub(crate) const LIGHT: Self = Self { background: BLUE, text: Colour::WHITE, border: BLUE };
    /// The built-in colours in dark mode.
    pub(crate) const DARK: Self =
        Self { background: LIGHT_BLUE, text: Colour { red: 0x0b, green: 0x12, blue: 0x20 }, border: LIGHT_BLUE };

    /// The colours of a button with this background on a card. The text is white if white text is readable, and
    /// otherwise black. A button that is hard to distinguish from the card gets a border.
    pub(crate) fn on(background: Colour, card: Colour) -> Self {
        // If white text is not readable, black text is readable, because the product of the two contrasts is 21.
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

    proptest! {
        #[test]
        fn every_button_is_readable_and_visible(red: u8, green: u8, blue: u8) {
            let colour = Colour { red, green, blue };
            for card in [Colour::WHITE, DARK_CARD] {
                let button = ButtonColours::on(colour, card);
                prop_assert!(button.text.contrast(colour) >= TEXT_CONTRAST);
                prop_assert!(button.border.contrast(card) >= SHAPE_CONTRAST || button.border == button.text);
            }
        }
    }

    #[test]
    fn the_built_in_buttons_are_readable() {
        for button in [ButtonColours::LIGHT, ButtonColours::DARK] {
            assert!(button.text.contrast(button.background) >= TEXT_CONTRAST, "{button:?}");
        }
    }
}
