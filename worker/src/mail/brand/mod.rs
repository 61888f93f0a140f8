//! A portal's own look: its name, colour, logo, support and senders. Without a portal, mails show the portal's host and the
//! built-in colours.

mod colour;
mod logo;
mod name;
mod support;
#[cfg(test)]
mod tests;

pub use colour::{ButtonColours, Colour};
pub use logo::{Logo, LogoProblem};
pub use name::PortalName;
pub use support::Support;

/// What a portal changes in its mails. The default changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Brand {
    /// The id of the portal, which names its folder in `MAIL_TEMPLATES`. `None` for mails of no configured portal.
    pub portal: Option<String>,
    /// The name that mails show together with the host.
    pub name: Option<PortalName>,
    /// The colour of the button.
    pub colour: Option<Colour>,
    /// The picture above the heading.
    pub logo: Option<Logo>,
    /// Where people can ask questions.
    pub support: Option<Support>,
    /// The sender, `Name <address>` or an address, instead of `MAIL_FROM`.
    pub from: Option<String>,
    /// The address that answers go to.
    pub reply_to: Option<String>,
}

impl Brand {
    /// The colours of the button on a white card, and on the dark one.
    pub(crate) fn button_colours(&self) -> (ButtonColours, ButtonColours) {
        self.colour.map_or((ButtonColours::LIGHT, ButtonColours::DARK), |colour| {
            (ButtonColours::on(colour, Colour::WHITE), ButtonColours::on(colour, Colour::DARK_CARD))
        })
    }
}
