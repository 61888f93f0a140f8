//! Layer that turns poem's own errors into the error object, so that they have the same shape as the api's errors.

use std::sync::Arc;

use poem::{
    Endpoint, IntoResponse, Request, Response,
    error::{MethodNotAllowedError, NotFoundError},
};

use super::{error::ErrorResponse, paths};

/// Turns every error of the inner layers into a response with the error object.
pub(crate) async fn render_errors<E: Endpoint>(next: Arc<E>, request: Request) -> poem::Result<Response> {
    let allowed_methods = match request.uri().path() {
        paths::SEND_MAGIC_LINK_PATH => paths::SEND_MAGIC_LINK_METHODS,
        paths::WEBHOOK_PATH => paths::WEBHOOK_METHODS,
        _ => "GET, HEAD",
    };
    match next.call(request).await {
        Ok(response) => Ok(response.into_response()),
        Err(error) if error.is_from_response() => Ok(error.into_response()),
        Err(error) => Ok(to_error_response(&error, allowed_methods).into_response()),
    }
}

fn to_error_response(error: &poem::Error, allowed_methods: &'static str) -> ErrorResponse {
    if error.is::<NotFoundError>() {
        return ErrorResponse::not_found();
    }
    if error.is::<MethodNotAllowedError>() {
        return ErrorResponse::method_not_allowed(allowed_methods);
    }
    tracing::error!(status = error.status().as_u16(), %error, "request failed with an unexpected error");
    ErrorResponse::internal()
}
