//! `GET /user` and `POST /logout`, for people who have signed in (internal/api/user.go, logout.go). A gateway requires
//! a key in `apikey`, which may be the public key. The access token identifies the caller.

use super::{
    AuthState,
    answer::{self, ApiVersion, AuthError},
    sessions::Session,
};
use poem::{IntoResponse, Request, Response, http::StatusCode};
use serde_json::{Value, json};
use url::form_urlencoded;

/// Returns the user that the request's access token belongs to.
pub(super) fn user(auth: &mut AuthState, request: &Request) -> Response {
    if let Some(refused) = gateway(auth, request) {
        return refused;
    }
    let found = session(auth, request).and_then(|session| {
        let user = auth.users.find(&session.email);
        user.map(|user| user.to_json()).ok_or_else(|| {
            let message = "User from sub claim in JWT does not exist";
            AuthError::new(StatusCode::FORBIDDEN, "user_not_found", message)
        })
    });
    match found {
        Ok(user) => answer::json_answer(StatusCode::OK, &Value::Object(user)),
        Err(error) => answer::error(&error, ApiVersion::of(request)),
    }
}

/// Ends the sessions that `scope` in the query selects.
pub(super) fn logout(auth: &mut AuthState, request: &Request) -> Response {
    if let Some(refused) = gateway(auth, request) {
        return refused;
    }
    let query = request.uri().query().unwrap_or_default();
    let scope = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "scope");
    let scope = scope.map(|(_, value)| value).unwrap_or_default();
    match session(auth, request).and_then(|session| auth.sessions.end(&session, &scope)) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => answer::error(&error, ApiVersion::of(request)),
    }
}

/// Returns the session that the Bearer token belongs to, or an error if the session's user is banned.
fn session(auth: &mut AuthState, request: &Request) -> Result<Session, AuthError> {
    let header = request.header("authorization").unwrap_or_default();
    let token = header.strip_prefix("Bearer ").ok_or_else(|| {
        let message = "This endpoint requires a valid Bearer token";
        AuthError::new(StatusCode::UNAUTHORIZED, "no_authorization", message)
    })?;
    let session = auth.sessions.of_token(token)?;
    if auth.users.find(&session.email).is_some_and(|user| user.is_banned()) {
        return Err(AuthError::new(StatusCode::FORBIDDEN, "user_banned", "User is banned"));
    }
    Ok(session)
}

fn gateway(auth: &AuthState, request: &Request) -> Option<Response> {
    let settings = &auth.settings;
    let (message, hint) = match request.header("apikey") {
        _ if !settings.gateway => return None,
        None => ("No API key found in request", "No `apikey` request header or url param was found."),
        Some(key) if key != settings.anon_key && key != settings.service_role_key => {
            ("Invalid API key", "Double check your Supabase `anon` or `service_role` API key.")
        }
        Some(_) => return None,
    };
    Some(answer::json_answer(StatusCode::UNAUTHORIZED, &json!({"message": message, "hint": hint})))
}
