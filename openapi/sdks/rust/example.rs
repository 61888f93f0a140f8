//! An example caller. The README shows the marked lines.

// README
use magic_links::{Client, Error, types::MagicLinkRequest};
// end

/// Requests a sign-in mail.
///
/// # Errors
/// Fails if a field is invalid, if the api cannot be reached, or if the OpenAPI document does not list the response.
pub async fn ask(api: &str, email: &str) -> Result<(), Box<dyn std::error::Error>> {
    // README
    let body = MagicLinkRequest {
        email: email.try_into()?,
        callback_origin: None,
        callback_next: None,
        locale: None,
        time_zone: None,
    };
    match Client::new(api).send_magic_link(Some("https://example.com"), &body).await {
        Err(Error::ErrorResponse(refusal)) => println!("{:?} {:?}", refusal.code, refusal.headers().get("retry-after")),
        answer => println!("accepted: {}", answer?.ok),
    }
    // end
    Ok(())
}
