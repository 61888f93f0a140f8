//! A colour of a portal's mails.

use std::{fmt, str::FromStr};

/// An opaque colour in sRGB, written `#1d5fd6`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Colour {
    /// Red.
    pub red: u8,
    /// Green.
    pub green: u8,
    /// Blue.
    pub blue: u8,
}

impl FromStr for Colour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is not a colour like #1d5fd6", text.escape_debug());
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6).ok_or_else(wrong)?;
        // `from_str_radix` also accepts a sign.
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let [_, red, green, blue] = u32::from_str_radix(digits, 16).map_err(|_| wrong())?.to_be_bytes();
        Ok(Self { red, green, blue })
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { red, green, blue } = self;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_has_six_hexadecimal_digits() {
        for (text, shown) in [("#1d5fd6", "#1d5fd6"), ("#FFFFFF", "#ffffff"), ("#000000", "#000000")] {
            assert_eq!(text.parse::<Colour>().map(|colour| colour.to_string()).as_deref(), Ok(shown));
        }
        for text in ["", "#", "#fff", "1d5fd6", "blue", "#1d5fd", "#1d5fd6ff", "#+1d5fd", "#gggggg", "#1d5fdé"] {
            assert!(text.parse::<Colour>().is_err(), "{text}");
        }
    }
}
