//! Chooses what the link in a new mail leads to. The portal's link style determines this, unless the resulting link
//! would be too long for some mail programs.

use super::{
    link_parts::{LinkForm, LinkParts},
    link_url::LinkContext,
};
use crate::settings::LinkStyle;

/// Maximum length of a link, in characters. Some versions of Outlook open only the first 2,083 characters of a link,
/// which is the limit of a library that they use.
pub(crate) const MAX_LINK_LENGTH: usize = 2_083;

/// Maximum length of a confirm link, in characters. It can be lower than [`MAX_LINK_LENGTH`], because a longer confirm
/// link is not an error: a shorter form of link replaces it.
const MAX_CONFIRM_LINK_LENGTH: usize = 2_000;

/// The link would be too long for some mail programs to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LinkTooLong {
    /// The length of the shortest possible link, in characters.
    pub length: usize,
}

/// Sets `form` to the first of the style's forms that makes the link short enough.
///
/// # Errors
/// [`LinkTooLong`] if no form is short enough.
pub(crate) fn choose_form(
    style: &LinkStyle,
    mut parts: LinkParts,
    context: LinkContext<'_>,
) -> Result<LinkParts, LinkTooLong> {
    let mut shortest = usize::MAX;
    for form in forms(style) {
        parts.form = form;
        // A confirm link cannot be built if its callback is 64 KiB or longer.
        let length = parts.url(context).map_or(usize::MAX, |url| url.map_or(0, |url| url.len()));
        if length <= max_length(&parts.form) {
            return Ok(parts);
        }
        shortest = shortest.min(length);
    }
    Err(LinkTooLong { length: shortest })
}

/// The forms of a style, in order of preference.
fn forms(style: &LinkStyle) -> Vec<LinkForm> {
    match style {
        LinkStyle::Confirm { public_url, key } => {
            let confirm = |names_recipient| LinkForm::Confirm {
                public_url: public_url.as_str().to_owned(),
                key: key.0,
                names_recipient,
            };
            vec![confirm(true), confirm(false), LinkForm::Verify]
        }
        LinkStyle::Verify => vec![LinkForm::Verify],
        LinkStyle::TokenHash => vec![LinkForm::TokenHash],
        LinkStyle::Code => vec![LinkForm::Code],
    }
}

fn max_length(form: &LinkForm) -> usize {
    match form {
        LinkForm::Confirm { .. } => MAX_CONFIRM_LINK_LENGTH,
        LinkForm::Verify | LinkForm::TokenHash | LinkForm::Code => MAX_LINK_LENGTH,
    }
}

#[cfg(test)]
mod tests {
    use confirm::ConfirmKeys;
    use words::Language;

    use super::*;
    use crate::mail::link_parts::example;

    #[test]
    fn a_link_that_is_too_long_loses_the_address_first_and_then_the_confirm_page() {
        let keys: ConfirmKeys =
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse().unwrap_or_else(|error| panic!("{error}"));
        let style =
            LinkStyle::Confirm { public_url: "https://login.example.com".parse().unwrap(), key: keys.current() };
        let recipient = format!("{}@example.com", "a".repeat(52));
        let (shown_host, language) = ("portal.example.com", Language::ENGLISH);
        let context = LinkContext { confirm_keys: Some(&keys), recipient: &recipient, shown_host, language };
        let callback = "https://portal.example.com/auth/callback?next=%2F";
        let mut seen = vec![];
        for length in 0..2_000 {
            let callback_url = format!("{callback}{}", "a".repeat(length));
            let chosen = choose_form(&style, LinkParts { callback_url, ..example() }, context);
            let name = match &chosen {
                Ok(LinkParts { form: LinkForm::Confirm { names_recipient: true, .. }, .. }) => "confirm with address",
                Ok(LinkParts { form: LinkForm::Confirm { names_recipient: false, .. }, .. }) => "confirm",
                Ok(LinkParts { form: LinkForm::Verify, .. }) => "verify",
                Ok(_) => "another form",
                Err(_) => "too long",
            };
            if let Ok(parts) = chosen {
                let max = if name == "verify" { 2_083 } else { 2_000 };
                assert!(parts.url(context).unwrap().unwrap().len() <= max, "{name}, {length} characters");
            }
            if seen.last() != Some(&name) {
                seen.push(name);
            }
        }
        assert_eq!(seen, ["confirm with address", "confirm", "verify", "too long"]);
    }

    #[test]
    fn a_link_that_is_too_long_is_refused_and_its_length_is_reported() {
        let (recipient, shown_host) = ("ann@example.com", "portal.example.com");
        let context = LinkContext { confirm_keys: None, recipient, shown_host, language: Language::ENGLISH };
        for style in [LinkStyle::Verify, LinkStyle::TokenHash] {
            let link = |length| {
                let callback_url = format!("https://portal.example.com/?next={}", "a".repeat(length));
                choose_form(&style, LinkParts { callback_url, ..example() }, context)
            };
            let rest = link(0).ok().unwrap().url(context).unwrap().unwrap().len();
            assert!(link(2_083 - rest).is_ok());
            assert_eq!(link(2_084 - rest).err(), Some(LinkTooLong { length: 2_084 }));
        }
        let callback_url = format!("https://portal.example.com/?next={}", "a".repeat(9_999));
        assert!(choose_form(&LinkStyle::Code, LinkParts { callback_url, ..example() }, context).is_ok());
    }
}
