//! The settings of the confirm page: `PUBLIC_URL`, `CONFIRM_KEY` and `CONFIRM_RATE_LIMIT`.

use confirm::{ConfirmKeys, PublicUrl};
use outbox::Quota;
use program::SettingErrors;
use secrecy::ExposeSecret as _;

use super::ApiArguments;
use crate::confirm_page::ConfirmSettings;

const PUBLIC_URL: (&str, &str) = ("PUBLIC_URL", "https://login.example.com");
const KEY: (&str, &str) = ("CONFIRM_KEY", "QkRkWmJIdk5qTXlGcVJzVHVXeFl6QTEyMzQ1Njc4OTA=");

/// Reads the settings. Returns `Some(None)` if neither `PUBLIC_URL` nor `CONFIRM_KEY` is set, and `None` on error.
pub(super) fn read(arguments: &ApiArguments, errors: &mut SettingErrors) -> Option<Option<ConfirmSettings>> {
    let public_url = arguments.public_url.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let keys = arguments.confirm_key.as_ref().map(|keys| keys.expose_secret().trim()).filter(|keys| !keys.is_empty());
    let rate_limit: Option<Quota> = errors.parse("CONFIRM_RATE_LIMIT", "300/1m", &arguments.confirm_rate_limit);
    match (public_url, keys) {
        (None, None) => rate_limit.map(|_| None),
        (Some(_), None) => {
            errors.add(KEY.0, KEY.1, "is missing: if PUBLIC_URL is set, CONFIRM_KEY must be set, too".to_owned());
            None
        }
        (None, Some(_)) => {
            errors.add(
                PUBLIC_URL.0,
                PUBLIC_URL.1,
                "is missing: if CONFIRM_KEY is set, PUBLIC_URL must be set, too".to_owned(),
            );
            None
        }
        (Some(public_url), Some(keys)) => {
            let public_url: Option<PublicUrl> = errors.parse(PUBLIC_URL.0, PUBLIC_URL.1, public_url);
            let keys: Option<ConfirmKeys> = errors.parse(KEY.0, KEY.1, keys);
            Some(Some(ConfirmSettings { public_url: public_url?, keys: keys?, rate_limit: rate_limit? }))
        }
    }
}
