//! `POST /admin/generate_link` (internal/api/mail.go): makes a link, and an account for a stranger.

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

/// What a request says besides its body.
#[derive(Debug)]
pub(super) struct LinkQuestion {
    pub(super) version: ApiVersion,
    authorization: Option<String>,
    apikey: Option<String>,
    is_form: bool,
    /// From the header of that name, else from the query.
    redirect_to: String,
    referer: String,
}

impl LinkQuestion {
    pub(super) fn of(request: &Request) -> LinkQuestion {
        let header = |name: &str| request.header(name).map(str::to_owned);
        let query = request.uri().query().unwrap_or_default();
        let in_query = url::form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "redirect_to")
            .map(|(_, value)| value.into_owned());
        LinkQuestion {
            version: ApiVersion::of(request),
            authorization: header("authorization"),
            apikey: header("apikey"),
            is_form: request.content_type().is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")),
            redirect_to: header("redirect_to").filter(|value| !value.is_empty()).or(in_query).unwrap_or_default(),
            referer: header("referer").unwrap_or_default(),
        }
    }
}

/// The whole answer: gateway, credentials, body, link; in the real one's order.
pub(super) fn respond(world: &mut AuthState, asked: &LinkQuestion, body: &[u8]) -> Response {
    if let Some(refused) = gateway(&world.settings, asked) {
        return refused;
    }
    let outcome = check_credentials(&world.settings, asked)
        .and_then(|()| LinkRequest::parse(if asked.is_form { b"" } else { body }))
        .and_then(|link| generate(world, asked, &link));
    match outcome {
        Ok(body) => answer::json_answer(StatusCode::OK, &Value::Object(body)),
        Err(error) => answer::error(&error, asked.version),
    }
}

/// The hosted product's gateway wants the key in `apikey` too, equal to the Bearer when both are there.
fn gateway(settings: &SupabaseSettings, asked: &LinkQuestion) -> Option<Response> {
    let bearer = asked.authorization.as_deref().and_then(|value| value.strip_prefix("Bearer "));
    let (message, hint) = match (&asked.apikey, bearer) {
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

fn check_credentials(settings: &SupabaseSettings, asked: &LinkQuestion) -> Result<(), AuthError> {
    let authorization = asked.authorization.as_deref().unwrap_or_default();
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

fn generate(world: &mut AuthState, asked: &LinkQuestion, link: &LinkRequest) -> Result<Map<String, Value>, AuthError> {
    let email = valid_email(&link.email)?;
    let known = world.users.find(&email).is_some();
    let (verification_type, kind) =
        kind_of_link(&link.kind, known, || world.users.find(&email).is_some_and(|user| user.confirmed_at.is_some()))?;
    if !known && let Some((status, message)) = &world.settings.hook_rejects {
        return Err(hook_refusal(*status, message));
    }
    let redirect_to = redirect(&world.settings.allow_list(), asked, link);
    let (user, token) = world.users.issue(&email, link.data.clone(), kind, world.settings.otp_length);
    let mut fields = user.to_json();
    let SupabaseSettings { external_url, verify_path, .. } = &world.settings;
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

/// The verification type answered, and the kind of token made.
fn kind_of_link(
    asked: &str,
    known: bool,
    confirmed: impl FnOnce() -> bool,
) -> Result<(&'static str, TokenKind), AuthError> {
    match asked {
        "magiclink" if known => Ok(("magiclink", TokenKind::Recovery)),
        // A stranger's magic link is a sign-up.
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

/// The first that the allow list takes: body, header or query, Referer; else SITE_URL, without a word.
fn redirect(allow_list: &AllowList, asked: &LinkQuestion, link: &LinkRequest) -> String {
    [&link.redirect_to, &asked.redirect_to, &asked.referer]
        .into_iter()
        .find(|candidate| allow_list.allows(candidate))
        .unwrap_or(&allow_list.site_url)
        .clone()
}

/// Percent-encoded only if it has one of `& = #`, else as it is (templatemailer.go, encodeRedirectURL).
fn encoded_redirect(redirect_to: &str) -> String {
    if !redirect_to.contains(['&', '=', '#']) {
        return redirect_to.to_owned();
    }
    let encoded: String = url::form_urlencoded::byte_serialize(redirect_to.as_bytes()).collect();
    // Where Go's QueryEscape differs from the form encoding.
    encoded.replace('*', "%2A").replace("%7E", "~")
}
