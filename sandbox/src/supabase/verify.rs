//! `/verify` (internal/api/verify.go), which signs a user in with a link or a one-time code. Browsers send GET, and
//! portals send POST. A request that signs the user in uses up the token.

use super::{
    AuthState,
    allow_list::is_loopback_url,
    answer::{self, ApiVersion, AuthError},
    email::valid_email,
    page,
    sessions::Tokens,
    users::{Proof, TokenKind, User},
};
use poem::{Request, Response, http::StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use url::form_urlencoded;

/// The response header with the result of opening a link. It is missing if the link has no type or no token. Tests read
/// the result from this header, because the page that the response redirects to might not exist.
pub(super) const OUTCOME_HEADER: &str = "x-sandbox-outcome";
/// The response header with the URL to which the browser is (or would be) redirected.
pub(super) const REDIRECT_HEADER: &str = "x-sandbox-redirect-to";

/// The query of a link. Missing parameters are empty.
pub(super) struct LinkQuery {
    pub(super) kind: String,
    pub(super) hash: String,
    pub(super) redirect_to: String,
}

impl LinkQuery {
    pub(super) fn of(request: &Request) -> LinkQuery {
        let query = request.uri().query().unwrap_or_default();
        let parameter = |name: &str| {
            form_urlencoded::parse(query.as_bytes())
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
                .unwrap_or_default()
        };
        LinkQuery { kind: parameter("type"), hash: parameter("token"), redirect_to: parameter("redirect_to") }
    }
}

/// Handles a GET: a browser opens a link.
pub(super) fn get(auth: &mut AuthState, request: &Request) -> Response {
    let LinkQuery { kind, hash, redirect_to } = LinkQuery::of(request);
    let missing = if kind.is_empty() {
        Some("Verify requires a verification type")
    } else {
        hash.is_empty().then_some("Verify requires a token or a token hash")
    };
    if let Some(missing) = missing {
        return answer::error(&AuthError::validation(missing), ApiVersion::of(request));
    }
    // Check again: the allow list may have changed since the link was created.
    let allow_list = auth.settings.allow_list();
    let redirect_to = Some(redirect_to).filter(|target| allow_list.allows(target)).unwrap_or(allow_list.site_url);
    let is_known = auth.users.have_issued(&hash);
    let outcome = use_hash(auth, &kind, &hash);
    send_browser(auth, &outcome, &redirect_to, &kind, is_known)
}

/// If the callback is on this machine, redirects to it with the session's tokens or the error in the URL, as the real
/// server does. Any other redirect would carry the tokens off this machine, so a page shows the result instead. If the
/// link's token is unknown, there are no session tokens to protect, and the response is always a redirect.
fn send_browser(
    auth: &mut AuthState,
    outcome: &Result<User, AuthError>,
    redirect_to: &str,
    kind: &str,
    is_known: bool,
) -> Response {
    let (name, fragment) = match outcome {
        Ok(user) => ("signed_in", session_fragment(&open_session(auth, user), kind)),
        Err(error) => (error.code, error_fragment(error)),
    };
    let response = if is_loopback_url(redirect_to) || !is_known {
        Response::builder()
            .status(StatusCode::SEE_OTHER)
            .header("location", format!("{redirect_to}#{fragment}"))
            .finish()
    } else {
        page::show(outcome, redirect_to)
    };
    let mut response = response;
    let headers = response.headers_mut();
    for (header, value) in [(OUTCOME_HEADER, name), (REDIRECT_HEADER, redirect_to)] {
        if let Ok(value) = value.parse() {
            headers.insert(header, value);
        }
    }
    response
}

fn session_fragment(tokens: &Tokens, kind: &str) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("access_token", &tokens.access_token)
        .append_pair("expires_at", &tokens.expires_at.to_string())
        .append_pair("expires_in", &tokens.expires_in.to_string())
        .append_pair("refresh_token", &tokens.refresh_token)
        .append_pair("sb", "")
        .append_pair("token_type", "bearer")
        .append_pair("type", kind)
        .finish()
}

fn error_fragment(error: &AuthError) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("error", "access_denied")
        .append_pair("error_code", error.code)
        .append_pair("error_description", &error.message)
        .append_pair("sb", "")
        .finish()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct VerifyBody {
    r#type: String,
    token: String,
    token_hash: String,
    email: String,
    redirect_to: String,
}

/// Handles a POST: a portal sends a token hash, or an address with its one-time code.
pub(super) fn post(auth: &mut AuthState, version: ApiVersion, body: &[u8]) -> Response {
    let session = parse_post(body).and_then(|body| {
        if body.token_hash.is_empty() { use_otp(auth, &body) } else { use_hash(auth, &body.r#type, &body.token_hash) }
    });
    match session {
        Ok(user) => answer::json_answer(StatusCode::OK, &session_json(&open_session(auth, &user), &user)),
        Err(error) => answer::error(&error, version),
    }
}

fn parse_post(body: &[u8]) -> Result<VerifyBody, AuthError> {
    let body: VerifyBody = serde_json::from_slice(body).map_err(|error| {
        let message = format!("Could not parse request body as JSON: {error}");
        AuthError::new(StatusCode::BAD_REQUEST, "bad_json", &message)
    })?;
    let by_hash = !body.token_hash.is_empty();
    let more_than_a_hash = !body.email.is_empty() || !body.redirect_to.is_empty();
    let refused = if body.r#type.is_empty() {
        "Verify requires a verification type"
    } else if body.token.is_empty() != by_hash {
        "Verify requires either a token or a token hash"
    } else if by_hash && more_than_a_hash {
        "Only the token_hash and type should be provided"
    } else {
        return Ok(body);
    };
    Err(AuthError::validation(refused))
}

fn use_hash(auth: &mut AuthState, kind: &str, hash: &str) -> Result<User, AuthError> {
    let lifetime = auth.settings.otp_exp;
    auth.users.use_token(kinds_of(kind)?, lifetime, Proof::Hash(hash))
}

fn use_otp(auth: &mut AuthState, body: &VerifyBody) -> Result<User, AuthError> {
    let email = valid_email(&body.email)?;
    let lifetime = auth.settings.otp_exp;
    let proof = Proof::Code { email: &email, otp: &body.token };
    auth.users.use_token(kinds_of(&body.r#type)?, lifetime, proof)
}

fn kinds_of(kind: &str) -> Result<&'static [TokenKind], AuthError> {
    TokenKind::of_type(kind).ok_or_else(|| AuthError::validation("Unsupported verification type"))
}

fn open_session(auth: &mut AuthState, user: &User) -> Tokens {
    let issuer = format!("{}/auth/v1", auth.settings.external_url);
    auth.sessions.open(user, &issuer)
}

fn session_json(tokens: &Tokens, user: &User) -> Value {
    json!({
        "access_token": tokens.access_token,
        "token_type": "bearer",
        "expires_in": tokens.expires_in,
        "expires_at": tokens.expires_at,
        "refresh_token": tokens.refresh_token,
        "user": user.to_json(),
    })
}
