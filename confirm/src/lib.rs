//! The confirm link: `{PUBLIC_URL}/auth/confirm/{word}`. The worker mails it. It opens a page of the api on which the person
//! presses a button, so that a mail scanner that opens the link does not use it up.
//!
//! The word holds everything that the page needs ([`Content`]), encrypted and authenticated with `CONFIRM_KEY`
//! ([`ConfirmKeys`]). Nobody without a key can read a word, or make the page say or do anything.

mod content;
mod fields;
mod keys;
mod mend;
mod public_url;

pub use content::{Content, Expiry};
pub use keys::{ConfirmKeys, DecodeError};
pub use program::KeyId;
pub use public_url::{CONFIRM_PATH, PublicUrl};
