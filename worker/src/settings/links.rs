//! The settings for links: what links lead to, and whether mails show a code.

use confirm::{ConfirmKeys, KeyId, PublicUrl};
use portals::{LinkStyleName, MailCode};
use program::SettingErrors;

use super::WorkerArguments;

const KEY: &str = "the output of `openssl rand -base64 32`";
const PUBLIC_URL: &str = "https://login.example.com";

/// The settings for links. Has no `Debug`, because it contains keys.
#[derive(Clone)]
pub struct LinkSettings {
    /// What links lead to and which codes mails show, unless a portal has its own settings.
    pub default: PortalLinks,
    /// The `confirm` style, for portals that choose it. `None` if `PUBLIC_URL` or `CONFIRM_KEY` is not set.
    confirm: Option<LinkStyle>,
    /// `CONFIRM_KEY`. Needed even without [`LinkStyle::Confirm`], to retry mails that were first sent before the style
    /// was changed.
    pub confirm_keys: Option<ConfirmKeys>,
}

/// What one portal's links lead to, and which codes its mails show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalLinks {
    /// What links lead to.
    pub style: LinkStyle,
    /// Which codes mails show.
    pub mail_code: MailCode,
}

/// What the links in new mails lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkStyle {
    /// The api's confirm page, where a button takes the person to Supabase.
    Confirm {
        /// The api's public URL.
        public_url: PublicUrl,
        /// The id of the key that encrypts the payloads of new links.
        key: KeyId,
    },
    /// Supabase's verify URL.
    Verify,
    /// The portal's callback, with the token hash in its query.
    TokenHash,
    /// No link: the mail contains only a code.
    Code,
}

impl LinkStyle {
    /// The style's value in `LINK_STYLE`.
    #[must_use]
    pub fn name(&self) -> LinkStyleName {
        match self {
            Self::Confirm { .. } => LinkStyleName::Confirm,
            Self::Verify => LinkStyleName::Verify,
            Self::TokenHash => LinkStyleName::TokenHash,
            Self::Code => LinkStyleName::Code,
        }
    }

    /// Whether the link takes the person through Supabase's verify URL. If not, Supabase's settings for that URL and
    /// for redirects have no effect on the link.
    #[must_use]
    pub fn leads_through_supabase(&self) -> bool {
        matches!(self, Self::Confirm { .. } | Self::Verify)
    }
}

impl LinkSettings {
    pub(super) fn read(arguments: &WorkerArguments, errors: &mut SettingErrors) -> Option<Self> {
        let public_url = given(arguments.public_url.as_deref());
        let public_url = optional(public_url.map(|text| errors.parse("PUBLIC_URL", PUBLIC_URL, text)));
        let keys = given(arguments.confirm_key.as_deref());
        let keys = optional(keys.map(|text| errors.parse::<ConfirmKeys>("CONFIRM_KEY", KEY, text)));
        let mail_code = errors.parse("MAIL_CODE", "on", &arguments.mail_code);
        let (public_url, confirm_keys) = (public_url?, keys?);
        let confirm = public_url.as_ref().zip(confirm_keys.as_ref()).map(|(url, keys)| confirm(url, keys));
        let name = given(arguments.link_style.as_deref());
        let name = optional(name.map(|text| errors.parse::<LinkStyleName>("LINK_STYLE", "confirm", text)))?;
        let style = match name {
            None if public_url.is_none() && confirm_keys.is_none() => LinkStyle::Verify,
            None | Some(LinkStyleName::Confirm) => {
                let why = if name.is_some() {
                    "is missing: LINK_STYLE=confirm needs both PUBLIC_URL and CONFIRM_KEY"
                } else {
                    "is missing: set both PUBLIC_URL and CONFIRM_KEY, set neither, or set LINK_STYLE to a style other \
                     than confirm"
                };
                if public_url.is_none() {
                    errors.add("PUBLIC_URL", PUBLIC_URL, why.to_owned());
                }
                if confirm_keys.is_none() {
                    errors.add("CONFIRM_KEY", KEY, why.to_owned());
                }
                confirm.clone()?
            }
            Some(LinkStyleName::Verify) => LinkStyle::Verify,
            Some(LinkStyleName::TokenHash) => LinkStyle::TokenHash,
            Some(LinkStyleName::Code) => LinkStyle::Code,
        };
        let mail_code = mail_code?;
        if style == LinkStyle::Code && mail_code == MailCode::Off {
            errors.add("MAIL_CODE", "on", "is off, but with LINK_STYLE=code, mails contain only a code".to_owned());
            return None;
        }
        Some(Self { default: PortalLinks { style, mail_code }, confirm, confirm_keys })
    }

    /// The style with this name. `None` if the name is `confirm` and `PUBLIC_URL` or `CONFIRM_KEY` is not set.
    pub(super) fn style(&self, name: LinkStyleName) -> Option<LinkStyle> {
        match name {
            LinkStyleName::Confirm => self.confirm.clone(),
            LinkStyleName::Verify => Some(LinkStyle::Verify),
            LinkStyleName::TokenHash => Some(LinkStyle::TokenHash),
            LinkStyleName::Code => Some(LinkStyle::Code),
        }
    }
}

fn confirm(public_url: &PublicUrl, keys: &ConfirmKeys) -> LinkStyle {
    LinkStyle::Confirm { public_url: public_url.clone(), key: keys.current() }
}

/// The value of an optional setting, without surrounding white space. `None` if the value is empty or missing.
pub(super) fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// The value of an optional setting: `Some(None)` if the setting is missing, `None` if its value is invalid.
fn optional<T>(parsed: Option<Option<T>>) -> Option<Option<T>> {
    match parsed {
        None => Some(None),
        Some(value) => value.map(Some),
    }
}
