//! Builds the link in a mail from its parts. The same parts and the same context always produce the same link.

use confirm::{ConfirmKeys, Content, Expiry, KeyId, PublicUrl};
use url::form_urlencoded;
use words::Language;

use super::link_parts::{LinkForm, LinkParts};

/// The query parameters with which the portal can verify the token hash itself, as in Supabase's guide for server-side
/// rendering.
const TOKEN_HASH_PARAMETERS: [&str; 2] = ["token_hash", "type"];

/// The values that a link is built from, in addition to its parts.
#[derive(Clone, Copy)]
pub(crate) struct LinkContext<'a> {
    /// `CONFIRM_KEY`.
    pub confirm_keys: Option<&'a ConfirmKeys>,
    /// The recipient's address.
    pub recipient: &'a str,
    /// The portal's host, as the mail shows it.
    pub shown_host: &'a str,
    /// The language of the mail and of the confirm page.
    pub language: Language,
}

/// A confirm link cannot be built, usually because its key is not in `CONFIRM_KEY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the confirm link needs a key that is not in CONFIRM_KEY")]
pub(crate) struct MissingConfirmKey;

impl LinkParts {
    /// The link to mail; `None` if the mail contains only a code.
    ///
    /// # Errors
    /// [`MissingConfirmKey`] if a confirm link cannot be built, usually because the key that encrypts its payload is
    /// not in `CONFIRM_KEY`.
    pub(crate) fn url(&self, context: LinkContext<'_>) -> Result<Option<String>, MissingConfirmKey> {
        match &self.form {
            LinkForm::Confirm { public_url, key, names_recipient } => {
                let recipient = names_recipient.then(|| context.recipient.to_owned());
                let url = self.confirm_url(public_url, KeyId(*key), recipient, context);
                url.map(Some).ok_or(MissingConfirmKey)
            }
            LinkForm::Verify => Ok(Some(self.verify_link())),
            LinkForm::TokenHash => Ok(Some(with_token_hash(&self.callback_url, &self.token_hash))),
            LinkForm::Code => Ok(None),
        }
    }

    fn confirm_url(
        &self,
        public_url: &str,
        key: KeyId,
        recipient: Option<String>,
        context: LinkContext<'_>,
    ) -> Option<String> {
        let public_url: PublicUrl = public_url.parse().ok()?;
        let content = Content {
            verify_url: self.verify_url.clone(),
            token_hash: self.token_hash.clone(),
            recipient,
            callback_url: self.callback_url.clone(),
            shown_host: context.shown_host.to_owned(),
            has_code: self.code.is_some(),
            // The language is left out for English, to keep the links in English mails short.
            language: Some(context.language).filter(|language| *language != Language::ENGLISH).map(Language::tag),
            expires_at: Expiry(u64::try_from(self.expires_at.timestamp()).unwrap_or_default()),
        };
        let payload = context.confirm_keys?.encode(&content, key)?;
        Some(public_url.confirm_link(&payload))
    }

    /// The link in the format that Supabase uses, but with the callback always encoded. Supabase does not encode a
    /// callback without `&`, `=` or `#`, and then decodes its escapes one time too many (observed).
    fn verify_link(&self) -> String {
        let callback = encode(&self.callback_url);
        format!(
            "{}?token={}&type={}&redirect_to={callback}",
            self.verify_url,
            encode(&self.token_hash),
            encode(&self.kind)
        )
    }
}

/// Percent-encodes a query value in the same way as Supabase (Go: `url.QueryEscape`).
fn encode(value: &str) -> String {
    form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>().replace("%7E", "~").replace('*', "%2A")
}

/// Adds `token_hash` and `type=email` to the callback's query. The type `email` works for every kind of link (Supabase:
/// internal/api/verify.go). Removes existing `token_hash` and `type` parameters, because portals differ in which value
/// they use if a parameter occurs twice. Leaves all other parameters unchanged, byte for byte.
fn with_token_hash(callback_url: &str, token_hash: &str) -> String {
    let (rest, fragment) = callback_url.split_once('#').map_or((callback_url, None), |(rest, end)| (rest, Some(end)));
    let (base, query) = rest.split_once('?').unwrap_or((rest, ""));
    let is_ours = |pair: &str| {
        let name = form_urlencoded::parse(pair.as_bytes()).next().map(|(name, _)| name.into_owned());
        name.is_some_and(|name| TOKEN_HASH_PARAMETERS.contains(&name.as_str()))
    };
    let mut link = format!("{base}?");
    for pair in query.split('&').filter(|pair| !pair.is_empty() && !is_ours(pair)) {
        link += pair;
        link.push('&');
    }
    link += &format!("token_hash={}&type=email", encode(token_hash));
    if let Some(fragment) = fragment {
        link.push('#');
        link += fragment;
    }
    link
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::mail::link_parts::example;

    const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef01234567";

    fn context(confirm_keys: Option<&ConfirmKeys>) -> LinkContext<'_> {
        let (recipient, shown_host) = ("ann@example.com", "portal.example.com");
        LinkContext { confirm_keys, recipient, shown_host, language: Language::ENGLISH }
    }

    fn keys(text: &str) -> ConfirmKeys {
        text.parse().unwrap_or_else(|error: &str| panic!("{error}"))
    }

    fn confirm_form(keys: &ConfirmKeys, names_recipient: bool) -> LinkForm {
        let public_url = "https://login.example.com".to_owned();
        LinkForm::Confirm { public_url, key: keys.current().0, names_recipient }
    }

    #[test]
    fn a_verify_link_has_the_format_of_supabases_own_links() {
        let url = example().url(context(None)).unwrap().unwrap();
        assert_eq!(
            url,
            format!(
                "https://abc.supabase.co/auth/v1/verify?token={HASH}&type=magiclink&redirect_to=\
                 https%3A%2F%2Fportal.example.com%2Fauth%2Fcallback%3Fnext%3D%252Fprojects%252F42"
            )
        );
        let parts = LinkParts { callback_url: "https://portal.example.com/%7Ea~b*".to_owned(), ..example() };
        let url = url::Url::parse(&parts.url(context(None)).unwrap().unwrap()).unwrap();
        assert!(url.query_pairs().any(|(name, value)| name == "redirect_to" && value == parts.callback_url));
        assert!(url.as_str().ends_with("%2F%257Ea~b%2A"), "{url}");
    }

    #[test]
    fn a_confirm_link_contains_what_the_page_needs() {
        let keys = keys("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        for names_recipient in [true, false] {
            let parts = LinkParts { form: confirm_form(&keys, names_recipient), ..example() };
            let url = parts.url(context(Some(&keys))).unwrap().unwrap();
            assert_eq!(parts.url(context(Some(&keys))), Ok(Some(url.clone())), "the same parts produced two links");
            let payload = url.strip_prefix("https://login.example.com/auth/confirm/").unwrap();
            let content = keys.decode(payload).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(content.recipient.as_deref(), names_recipient.then_some("ann@example.com"));
            assert_eq!((content.token_hash.as_str(), content.has_code), (HASH, true));
            assert_eq!((content.verify_url, content.callback_url), (parts.verify_url, parts.callback_url));
            assert_eq!(content.shown_host, "portal.example.com");
            assert_eq!(content.language, None);
            let expiry = UNIX_EPOCH + Duration::from_secs(content.expires_at.0);
            assert_eq!(chrono::DateTime::<chrono::Utc>::from(expiry).to_rfc3339(), "2026-11-23T14:05:30+00:00");
        }
    }

    #[test]
    fn a_confirm_link_contains_the_language_unless_it_is_english() {
        let keys = keys("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        let parts = LinkParts { form: confirm_form(&keys, true), ..example() };
        for (tag, expected) in [("en", None), ("de", Some("de")), ("zh-Hant", Some("zh-Hant"))] {
            let context = LinkContext { language: tag.parse().unwrap(), ..context(Some(&keys)) };
            let url = parts.url(context).unwrap().unwrap();
            let content = keys.decode(url.rsplit('/').next().unwrap()).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(content.language.as_deref(), expected);
        }
    }

    #[test]
    fn a_confirm_link_needs_the_key_of_the_first_mail() {
        let old = keys("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        let parts = LinkParts { form: confirm_form(&old, true), ..example() };
        let new = keys("/////////////////////////////////////////w8=");
        assert_eq!(parts.url(context(Some(&new))), Err(MissingConfirmKey));
        assert_eq!(parts.url(context(None)), Err(MissingConfirmKey));
        let both = keys("/////////////////////////////////////////w8=,AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        assert_eq!(parts.url(context(Some(&both))), parts.url(context(Some(&old))));
    }

    #[test]
    fn a_token_hash_is_added_to_the_callbacks_query() {
        for (callback_url, expected) in [
            ("https://a.example/cb", "https://a.example/cb?HERE"),
            ("https://a.example/cb?", "https://a.example/cb?HERE"),
            ("https://a.example/cb?next=%2Fa%3Fb%3Dc", "https://a.example/cb?next=%2Fa%3Fb%3Dc&HERE"),
            ("https://a.example/cb?next=%2Fa+b#top", "https://a.example/cb?next=%2Fa+b&HERE#top"),
            ("https://a.example/cb#top?a=b", "https://a.example/cb?HERE#top?a=b"),
            // Existing `token_hash` and `type` parameters are removed.
            ("https://a.example/cb?token_hash=x&next=%2F&type=recovery", "https://a.example/cb?next=%2F&HERE"),
            ("https://a.example/cb?token%5Fhash=x&a&token_hash&ty%70e=", "https://a.example/cb?a&HERE"),
            (
                "https://a.example/cb?my_token_hash=x&types=y&Type=z",
                "https://a.example/cb?my_token_hash=x&types=y&Type=z&HERE",
            ),
        ] {
            let link = with_token_hash(callback_url, HASH);
            assert_eq!(link, expected.replace("HERE", &format!("token_hash={HASH}&type=email")), "{callback_url}");
        }
    }

    #[test]
    fn a_mail_with_link_style_code_has_no_link() {
        assert_eq!(LinkParts { form: LinkForm::Code, ..example() }.url(context(None)), Ok(None));
    }
}
