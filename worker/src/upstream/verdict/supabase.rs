//! Classifies Supabase Auth's responses to `generate_link`. No verdict is `Unknown`, because repeating the call is
//! safe: each call creates a new link, and the newest link works.

use outbox::Failure;
use serde::Deserialize;

use super::{
    rate_limit,
    upstream_failure::{HOOK_FAILED, RETRY, UpstreamFailure, Verdict, configuration, refused, retry_after},
};
use crate::upstream::http::{CallError, UpstreamResponse};

/// Supabase's message if this call loses a race against another first call for the same new address (observed in 20 of
/// 20 rounds). The next call finds the user. Supabase returns the same message if its database can never save the user,
/// so the number of attempts is limited. API versions before 2024-01-01 return Postgres's error code 23505 instead.
const USER_NOT_SAVED: &str = "Database error saving new user";
const RETRY_USER_NOT_SAVED: Verdict = Verdict::RetryUpTo { attempts: 3 };

/// The verdict and the worker's own code for a response. `code` is Supabase's own code. The first matching arm applies.
fn verdict_for(status: u16, code: &str, message: &str, response: &UpstreamResponse) -> (Verdict, &'static str) {
    match (status, code) {
        _ if is_hook_failure(status, code, message) => (Verdict::Hook, HOOK_FAILED),
        (429, _) => (retry_after(rate_limit::wait_or_default(response, message)), "supabase_rate_limited"),

        // A before_user_created hook chooses the HTTP status, and Supabase adds the code `unknown`.
        (400..=499, "unknown") => (Verdict::RejectRecipient, "hook_rejected"),

        (401, _) => (configuration("SUPABASE_SERVICE_ROLE_KEY"), "no_authorization"),
        (403, "bad_jwt") => (configuration("SUPABASE_SERVICE_ROLE_KEY"), "bad_jwt"),
        (403, "not_admin") => (configuration("SUPABASE_SERVICE_ROLE_KEY"), "not_admin"),
        (403, code) if !code.is_empty() => (Verdict::RejectRecipient, "hook_rejected"),
        // This error does not come from Supabase Auth: a firewall or gateway in front of it refuses this call, or all
        // calls.
        (403, _) => (refused("SUPABASE_URL"), "supabase_forbidden"),
        (402, _) => (refused("SUPABASE_URL"), "supabase_payment_required"),
        // Occurs only if a `recovery` link was requested, because such a link needs an existing user. The worker
        // requests one with SIGNUPS=deny, and `check --as` always does.
        (404, "user_not_found") => (Verdict::RejectRecipient, "unknown_user"),
        (300..=399 | 404 | 405, _) => (refused("SUPABASE_URL"), "supabase_wrong_url"),

        (500, "23505") => (RETRY_USER_NOT_SAVED, "user_not_saved"),
        (500, _) if message.contains(USER_NOT_SAVED) => (RETRY_USER_NOT_SAVED, "user_not_saved"),
        (503, _) => (rate_limit::requested_wait(response, message).map_or(RETRY, retry_after), "supabase_unavailable"),
        (504, _) => (RETRY, "supabase_timeout"),
        (408 | 500..=599, _) => (RETRY, "supabase_unavailable"),
        (200..=299, _) => (RETRY, "supabase_unreadable"),

        (400, "validation_failed") => (Verdict::RejectRecipient, "validation_failed"),
        (_, code) if ADDRESS_CODES.contains(&code) => (Verdict::RejectRecipient, "supabase_refused"),
        _ => (refused("SUPABASE_URL"), "supabase_refused"),
    }
}

/// Supabase Auth's codes for a problem with the address or its account (Supabase: internal/api/apierrors/errorcode.go).
const ADDRESS_CODES: [&str; 6] = [
    "email_address_invalid",
    "email_address_not_authorized",
    "email_exists",
    "signup_disabled",
    "user_already_exists",
    "user_banned",
];

/// Whether a hook failed, as opposed to running and rejecting the account. Supabase forwards a hook's own status with
/// the code `unknown`. For a hook that raises an error or cannot be reached, the code is `hook_…`, or
/// `unexpected_failure` with a message such as "Error running hook URI" or "Unexpected status code returned from hook:
/// 500".
fn is_hook_failure(status: u16, code: &str, message: &str) -> bool {
    let is_own_code = code.starts_with("hook_");
    let is_from_hook = is_own_code || code == "unknown" || message.to_lowercase().contains("hook");
    is_own_code || (is_from_hook && (status == 429 || status >= 500))
}

/// The explanation of a code, for operators.
fn explanation(code: &str) -> &'static str {
    match code {
        "supabase_rate_limited" => "Supabase is rate-limiting our calls",
        HOOK_FAILED => "A Supabase Auth hook failed: see the project's Auth hooks and their logs",
        "hook_rejected" => "A Supabase Auth hook rejected this account",
        "no_authorization" => {
            "Supabase does not accept the key: set SUPABASE_SERVICE_ROLE_KEY to the project's secret key"
        }
        "bad_jwt" => "Supabase does not accept the key: it is wrong, expired, or from another project",
        "not_admin" => "The key does not have the service_role role: use the secret key, not the publishable key",
        "supabase_forbidden" => "A firewall or gateway in front of Supabase Auth refuses the call",
        "supabase_payment_required" => "The Supabase project is restricted: see its billing page",
        "unknown_user" => "The address has no account, and with SIGNUPS=deny, none is created",
        "supabase_wrong_url" => {
            "SUPABASE_URL does not point to Supabase Auth: set it to the project's URL, without /auth/v1"
        }
        "user_not_saved" => "Supabase could not save the new user: see its Auth logs",
        "supabase_timeout" => "Supabase Auth timed out, probably while waiting for its database",
        "supabase_unavailable" => "Supabase Auth is unavailable",
        "supabase_unreadable" => "Supabase's response contains no link",
        "validation_failed" => "Supabase does not accept this address",
        _ => "Supabase refused the request",
    }
}

/// The fields of all error formats: the two formats of Supabase Auth (before and since API version 2024-01-01), the
/// format of its gateway, and the format of OAuth.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SupabaseErrorBody {
    code: serde_json::Value,
    error_code: Option<String>,
    message: Option<String>,
    msg: Option<String>,
    error_description: Option<String>,
}

/// Supabase's own code for an error (empty if there is none), and the error's fields.
fn error_code(response: &UpstreamResponse) -> (String, SupabaseErrorBody) {
    let body = serde_json::from_slice::<SupabaseErrorBody>(&response.body).unwrap_or_default();
    let code = match (body.code.as_str(), &body.error_code) {
        (Some(code), _) => code.to_owned(),
        (None, Some(code)) => code.clone(),
        (None, None) => {
            response.header(reqwest::header::HeaderName::from_static("x-sb-error-code")).unwrap_or_default().to_owned()
        }
    };
    (code, body)
}

/// Classifies a response without a usable link.
#[must_use]
pub fn classify(response: &UpstreamResponse) -> UpstreamFailure {
    let (code, body) = error_code(response);
    let message = outbox::redact(&body.message.or(body.msg).or(body.error_description).unwrap_or_default());
    let (verdict, code) = verdict_for(response.status, &code, &message, response);
    UpstreamFailure::from_response(verdict, code, explanation(code), response.status, &message)
}

/// Whether Supabase Auth itself refused the call as invalid. This is the expected response to a check call.
#[must_use]
pub fn is_validation_error(response: &UpstreamResponse) -> bool {
    response.status == 400 && error_code(response).0 == "validation_failed"
}

/// Classifies the error from a call that got no response.
#[must_use]
pub fn classify_call_error(error: &CallError) -> UpstreamFailure {
    let (CallError::NotSent(why) | CallError::ResponseLost(why)) = error;
    UpstreamFailure {
        verdict: RETRY,
        reason: Failure::new("supabase_unreachable", format!("Supabase did not respond: {why}")),
        http_status: None,
    }
}
