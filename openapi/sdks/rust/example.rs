//! What a caller writes: the README shows it, line by line.

// README
use magic_links::{Client, Error, types::MagicLinkRequest};
// end

/// Asks for a mail.
///
/// # Errors
/// A field that cannot be right, and no answer that the document knows.
pub async fn ask(api: &str, email: &str) -> Result<(), Box<dyn std::error::Error>> {
    // README
    let body = MagicLinkRequest { email: email.try_into()?, callback_origin: None, callback_next: None };
    match Client::new(api).send_magic_link(Some("https://example.com"), &body).await {
        Err(Error::ErrorResponse(refusal)) => println!("{:?} {:?}", refusal.code, refusal.headers().get("retry-after")),
        answer => println!("accepted: {}", answer?.ok),
    }
    // end
    Ok(())
}
