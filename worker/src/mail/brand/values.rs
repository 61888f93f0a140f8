//! The template variables that depend on a brand. They are computed once for each look, because a template uses the
//! colours many times.

use minijinja::Value;

use super::{Brand, ButtonColours};

/// The values of the template variables that depend only on the brand.
pub(crate) struct BrandValues {
    /// The colours of the button in light mode and in dark mode.
    pub(crate) button: Value,
    /// `text` and `href` of the portal's support contact. `none` if the portal has no support contact.
    pub(crate) support: Value,
}

impl BrandValues {
    pub(crate) fn new(brand: &Brand) -> Self {
        Self { button: button(brand), support: support(brand) }
    }
}

fn button(brand: &Brand) -> Value {
    let (light, dark) = brand.button_colours();
    let ButtonColours { background, text, border } = light;
    Value::from_pairs([
        ("background", background.to_string()),
        ("text", text.to_string()),
        ("border", border.to_string()),
        ("dark_background", dark.background.to_string()),
        ("dark_text", dark.text.to_string()),
        ("dark_border", dark.border.to_string()),
    ])
}

fn support(brand: &Brand) -> Value {
    let Some(support) = &brand.support else { return ().into() };
    Value::from_pairs([("text", Value::from(support.text())), ("href", support.href().into())])
}
