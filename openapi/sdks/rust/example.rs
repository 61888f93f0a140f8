//! What a caller of the generated client writes: README shows this function's body.

use magic_links::{Client, Error, types::MagicLinkRequest};

/// Asks for a mail. The refusal carries `code`, `field_errors`, `issues` and `retry_after`.
///
/// # Errors
/// A field that cannot be right, and any answer but 200.
pub async fn ask(api: &str, email: &str) -> Result<(), Box<dyn std::error::Error>> {
    let body = MagicLinkRequest { email: email.try_into()?, callback_origin: None, callback_next: None };
    match Client::new(api).send_magic_link(Some("https://example.com"), &body).await {
        Err(Error::ErrorResponse(refusal)) => Err(refusal.into_inner().error.into()),
        other => Ok(other.map(|_| ())?),
    }
}
