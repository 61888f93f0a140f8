//! `POST /admin/generate_link` (internal/api/mail.go): creates a link, and an account if the address has none.

use super::{
    AuthState, SupabaseSettings,
    allow_list::AllowList,
    answer::{self, ApiVersion, AuthError},
    email::valid_email,
    link_request::LinkRequest,
    users::TokenKind,
};
use poem::{Request, Response, http::StatusCode};
use serde_json::{Map, Value, json};

/// What the stand-in reads from a request's headers and query.
#[derive(Debug)]
pub(super) struct RequestHead {
    pub(super) version: ApiVersion,
    authorization: Option<String>,
    apikey: Option<String>,
    is_form: bool,
    /// The redirect in the `redirect_to` header or, if that header is missing or empty, in the query.
    redirect_to: String,
    referer: String,
}

impl RequestHead {
    pub(super) fn of(request: &Request) -> RequestHead {
        let header = |name: &str| request.header(name).map(str::to_owned);
        let query = request.uri().query().unwrap_or_default();
        let in_query = url::form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "redirect_to")
            .map(|(_, value)| value.into_owned());
        RequestHead {
            version: ApiVersion::of(request),
            authorization: header("authorization"),
            apikey: header("apikey"),
            is_form: request.content_type().is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")),
            redirect_to: header("redirect_to").filter(|value| !value.is_empty()).or(in_query).unwrap_or_default(),
            referer: header("referer").unwrap_or_default(),
        }
    }
}

/// Checks the gateway's rules, the credentials and the body, in the same order as the real server, and then creates the
/// link.
pub(super) fn respond(auth: &mut AuthState, head: &RequestHead, body: &[u8]) -> Response {
    if let Some(refused) = gateway(&auth.settings, head) {
        return refused;
    }
    let outcome = check_credentials(&auth.settings, head)
        .and_then(|()| LinkRequest::parse(if head.is_form { b"" } else { body }))
        .and_then(|link| generate(auth, head, &link));
    match outcome {
        Ok(body) => answer::json_answer(StatusCode::OK, &Value::Object(body)),
        Err(error) => answer::error(&error, head.version),
    }
}

/// The hosted product's gateway also requires the key in `apikey`, which must equal the Bearer token if both are sent.
fn gateway(settings: &SupabaseSettings, head: &RequestHead) -> Option<Response> {
    let bearer = head.authorization.as_deref().and_then(|value| value.strip_prefix("Bearer "));
    let (message, hint) = match (&head.apikey, bearer) {
        _ if !settings.gateway => return None,
        (None, _) => ("No API key found in request", "No `apikey` request header or url param was found."),
        (Some(key), Some(bearer)) if key != bearer => {
            ("Invalid API key", "Double check your Supabase `anon` or `service_role` API key.")
        }
        _ => return None,
    };
    let body = json!({"message": message, "hint": hint});
    Some(answer::json_answer(StatusCode::UNAUTHORIZED, &body))
}

fn check_credentials(settings: &SupabaseSettings, head: &RequestHead) -> Result<(), AuthError> {
    let authorization = head.authorization.as_deref().unwrap_or_default();
    let Some(key) = authorization.strip_prefix("Bearer ") else {
        let message = "This endpoint requires a valid Bearer token";
        return Err(AuthError::new(StatusCode::UNAUTHORIZED, "no_authorization", message));
    };
    let forbidden = |code, message| Err(AuthError::new(StatusCode::FORBIDDEN, code, message));
    if key == settings.service_role_key {
        return Ok(());
    }
    if key == settings.anon_key {
        return forbidden("not_admin", "User not allowed");
    }
    forbidden(
        "bad_jwt",
        "invalid JWT: unable to parse or verify signature, token is malformed: \
         token contains an invalid number of segments",
    )
}

fn generate(auth: &mut AuthState, head: &RequestHead, link: &LinkRequest) -> Result<Map<String, Value>, AuthError> {
    let email = valid_email(&link.email)?;
    let known = auth.users.find(&email).is_some();
    let (verification_type, kind) =
        kind_of_link(&link.kind, known, || auth.users.find(&email).is_some_and(|user| user.confirmed_at.is_some()))?;
    if !known && let Some((status, message)) = &auth.settings.hook_rejects {
        return Err(hook_refusal(*status, message));
    }
    let redirect_to = redirect(&auth.settings.allow_list(), head, link);
    let (user, token) = auth.users.issue(&email, link.data.clone(), kind, auth.settings.otp_length);
    let mut fields = user.to_json();
    let SupabaseSettings { external_url, verify_path, .. } = &auth.settings;
    for (name, value) in [
        ("email_otp", token.otp.clone()),
        ("hashed_token", token.hash.clone()),
        ("verification_type", verification_type.to_owned()),
        ("redirect_to", redirect_to.clone()),
        (
            "action_link",
            format!(
                "{external_url}{verify_path}?token={}&type={verification_type}&redirect_to={}",
                token.hash,
                encoded_redirect(&redirect_to)
            ),
        ),
    ] {
        fields.insert(name.to_owned(), Value::String(value));
    }
    Ok(fields)
}

/// Returns the verification type for the response, and the kind of token to create.
fn kind_of_link(
    requested: &str,
    known: bool,
    confirmed: impl FnOnce() -> bool,
) -> Result<(&'static str, TokenKind), AuthError> {
    match requested {
        "magiclink" if known => Ok(("magiclink", TokenKind::Recovery)),
        // If the address has no account, a request for a magic link signs up a new user.
        "magiclink" => Ok(("signup", TokenKind::Confirmation)),
        "recovery" if known => Ok(("recovery", TokenKind::Recovery)),
        "recovery" => Err(AuthError::new(StatusCode::NOT_FOUND, "user_not_found", "User with this email not found")),
        "signup" if confirmed() => Err(AuthError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "email_exists",
            "A user with this email address has already been registered",
        )),
        "signup" => Ok(("signup", TokenKind::Confirmation)),
        other => Err(AuthError::validation(&format!("Invalid email action link type requested: {other}"))),
    }
}

fn hook_refusal(status: u16, message: &str) -> AuthError {
    AuthError {
        from_hook: true,
        ..AuthError::new(StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN), "unknown", message)
    }
}

/// Returns the first redirect that the allow list allows. Tries the body's `redirect_to`, then that of the header or
/// query, and then the `Referer` header. If none of them is allowed, returns SITE_URL.
fn redirect(allow_list: &AllowList, head: &RequestHead, link: &LinkRequest) -> String {
    [&link.redirect_to, &head.redirect_to, &head.referer]
        .into_iter()
        .find(|candidate| allow_list.allows(candidate))
        .unwrap_or(&allow_list.site_url)
        .clone()
}

/// Percent-encodes a URL only if it contains one of `& = #` (templatemailer.go, encodeRedirectURL).
fn encoded_redirect(redirect_to: &str) -> String {
    if !redirect_to.contains(['&', '=', '#']) {
        return redirect_to.to_owned();
    }
    let encoded: String = url::form_urlencoded::byte_serialize(redirect_to.as_bytes()).collect();
    // Go's QueryEscape differs from the form encoding in these two characters.
    encoded.replace('*', "%2A").replace("%7E", "~")
}
