//! `magic-link-worker example-env`: prints an example `.env` for both programs.

use std::io::{Write as _, stdout};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rand::{TryRngCore as _, rngs::OsRng};

use super::CommandError;

/// The example `.env`, with every setting of both programs. `just settings` generates it from their command lines.
const TEMPLATE: &str = include_str!("../../templates/example.env");

/// Placeholder in the template for a generated key.
const KEY: &str = "{LINK_SEALING_KEY}";

/// Prints the template with a new random key.
///
/// # Errors
/// [`CommandError::Output`] or [`CommandError::Random`].
pub fn print_example_env() -> Result<(), CommandError> {
    let mut key = [0; 32];
    OsRng.try_fill_bytes(&mut key).map_err(|_| CommandError::Random)?;
    stdout().write_all(TEMPLATE.replace(KEY, &BASE64_STANDARD.encode(key)).as_bytes())?;
    Ok(())
}
