//! A portal's own look: its name, colour, logo, support contact and sender. Mails without a configured portal have the
//! built-in colours, and show only the host.

mod buttons;
#[cfg(test)]
mod tests;
mod values;

pub(crate) use buttons::ButtonColours;
use buttons::DARK_CARD;
use portals::{Colour, Portal};
pub use portals::{Logo, PortalName, Support};
pub(crate) use values::BrandValues;
use words::Language;

/// What a portal changes in its mails. The default changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Brand {
    /// The id of the portal, which is also the name of its folder in `MAIL_TEMPLATES`. `None` for mails without a
    /// configured portal.
    pub portal: Option<String>,
    /// The name that mails show together with the host.
    pub name: Option<PortalName>,
    /// The colour of the button.
    pub colour: Option<Colour>,
    /// The image above the heading.
    pub logo: Option<Logo>,
    /// Where people can ask questions.
    pub support: Option<Support>,
    /// The sender to use instead of `MAIL_FROM`: `Name <address>` or an address.
    pub from: Option<String>,
    /// The address that replies go to.
    pub reply_to: Option<String>,
    /// The languages of the portal's mails, the default first. `None` for all languages that have words. Only `mail
    /// preview` and `mail send-test` use this list; a job's mail is in the job's own language.
    pub languages: Option<Vec<Language>>,
}

impl From<&Portal> for Brand {
    fn from(portal: &Portal) -> Self {
        Self {
            portal: Some(portal.id.to_string()),
            name: Some(portal.name.clone()),
            colour: portal.colour,
            logo: portal.logo.clone(),
            support: portal.support.clone(),
            from: portal.from.clone(),
            reply_to: portal.reply_to.clone(),
            languages: portal.languages.clone(),
        }
    }
}

impl Brand {
    /// The colours of the button on the white card of light mode, and on the dark card of dark mode.
    pub(crate) fn button_colours(&self) -> (ButtonColours, ButtonColours) {
        self.colour.map_or((ButtonColours::LIGHT, ButtonColours::DARK), |colour| {
            (ButtonColours::on(colour, Colour::WHITE), ButtonColours::on(colour, DARK_CARD))
        })
    }
}
