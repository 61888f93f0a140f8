//! The confirm link: `{PUBLIC_URL}/auth/confirm/{payload}`. The worker mails the link. The link opens a page of the
//! api, where the person presses a button to sign in. A mail scanner that only opens the link does not use up
//! Supabase's token.
//!
//! The payload contains everything that the page needs ([`Content`]), encrypted and authenticated with `CONFIRM_KEY`
//! ([`ConfirmKeys`]). Without a key, nobody can read a payload or create one that the page accepts.

mod content;
mod fields;
mod keys;
mod mend;
mod public_url;

pub use content::{Content, Expiry};
pub use keys::{ConfirmKeys, DecodeError};
pub use program::KeyId;
pub use public_url::{CONFIRM_PATH, PublicUrl};
