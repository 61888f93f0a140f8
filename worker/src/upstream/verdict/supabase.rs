//! Supabase Auth's answers to `generate_link`. Nothing is ever unknown here: asking again only makes a new link,
//! and the link of the newest answer is the live one.

use outbox::Failure;
use serde::Deserialize;

use super::{RETRY, UpstreamFailure, Verdict, configuration, later, rate_limit};
use crate::upstream::http::{CallError, UpstreamResponse};

/// Two first calls for one new address race, and the loser is told this (measured: 20 of 20 rounds). The next call
/// finds the user; a database that can never save it says the same, so it is believed only so often. (Before API
/// version 2024-01-01: Postgres's own code, 23505.)
const NOT_SAVED: &str = "Database error saving new user";
const NOT_SAVED_TRIES: Verdict = Verdict::RetryUpTo { tries: 3 };

/// What an answer means: the first row that fits decides.
fn sort(status: u16, code: &str, words: &str, answer: &UpstreamResponse) -> (Verdict, &'static str) {
    match (status, code) {
        (429, _) => (later(rate_limit::wait(answer, words)), "supabase_rate_limited"),

        // A before_user_created hook answers with a status of its choice and this code.
        (400..=499, "unknown") => (Verdict::Reject, "hook_rejected"),

        (401, _) => (configuration("SUPABASE_SERVICE_ROLE_KEY"), "no_authorization"),
        (403, "bad_jwt") => (configuration("SUPABASE_SERVICE_ROLE_KEY"), "bad_jwt"),
        (403, "not_admin") => (configuration("SUPABASE_SERVICE_ROLE_KEY"), "not_admin"),
        (403, code) if !code.is_empty() => (Verdict::Reject, "hook_rejected"),
        // Not in Supabase Auth's form: a firewall or gateway before it, which refuses everybody's.
        (403, _) => (configuration("SUPABASE_URL"), "supabase_forbidden"),
        (402, _) => (configuration("SUPABASE_URL"), "supabase_payment_required"),
        // Asked for as SIGNUPS=deny asks.
        (404, "user_not_found") => (Verdict::Reject, "unknown_user"),
        (300..=399 | 404 | 405, _) => (configuration("SUPABASE_URL"), "supabase_wrong_url"),

        (500, "23505") => (NOT_SAVED_TRIES, "user_not_saved"),
        (500, _) if words.contains(NOT_SAVED) => (NOT_SAVED_TRIES, "user_not_saved"),
        (503, _) => (rate_limit::named(answer, words).map_or(RETRY, later), "supabase_unavailable"),
        (504, _) => (RETRY, "supabase_timeout"),
        (408 | 500..=599, _) => (RETRY, "supabase_unavailable"),
        (200..=299, _) => (RETRY, "supabase_unreadable"),

        (400, "validation_failed") => (Verdict::Reject, "validation_failed"),
        _ => (Verdict::Reject, "supabase_refused"),
    }
}

/// What operators are told about a code.
fn says(code: &str) -> &'static str {
    match code {
        "supabase_rate_limited" => "Supabase asked for patience",
        "hook_rejected" => "A hook of Supabase refused this account",
        "no_authorization" => "Supabase does not take the key: set the project's secret key",
        "bad_jwt" => "Supabase does not take the key: it is wrong, expired, or of another project",
        "not_admin" => "The key is not the service role's: set the secret one, not the public one",
        "supabase_forbidden" => "Something before Supabase Auth refuses our calls",
        "supabase_payment_required" => "The Supabase project is restricted: see its billing page",
        "unknown_user" => "Nobody has an account with this address, and SIGNUPS=deny makes none",
        "supabase_wrong_url" => "No Supabase Auth at SUPABASE_URL: set the project's URL, without /auth/v1",
        "user_not_saved" => "Supabase could not create the user: see its Auth logs",
        "supabase_timeout" => "Supabase Auth gave up waiting for its database",
        "supabase_unavailable" => "Supabase Auth is in trouble",
        "supabase_unreadable" => "Supabase answered something that is no link",
        "validation_failed" => "Supabase does not take this address",
        _ => "Supabase refused the request",
    }
}

/// Its two error shapes (API versions before and from 2024-01-01), its gateway's, and OAuth's, as one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    code: serde_json::Value,
    error_code: Option<String>,
    message: Option<String>,
    msg: Option<String>,
    error_description: Option<String>,
}

/// Sorts an answer that brought no link.
#[must_use]
pub fn judge(answer: &UpstreamResponse) -> UpstreamFailure {
    let body = serde_json::from_slice::<ErrorBody>(&answer.body).unwrap_or_default();
    let code = match (body.code.as_str(), &body.error_code) {
        (Some(code), _) => code.to_owned(),
        (None, Some(code)) => code.clone(),
        (None, None) => {
            answer.header(reqwest::header::HeaderName::from_static("x-sb-error-code")).unwrap_or_default().to_owned()
        }
    };
    let words = outbox::redact(&body.message.or(body.msg).or(body.error_description).unwrap_or_default());
    let (verdict, code) = sort(answer.status, &code, &words, answer);
    UpstreamFailure::told(verdict, code, says(code), answer.status, &words)
}

/// Sorts a call that brought no answer.
#[must_use]
pub fn judge_silence(silence: &CallError) -> UpstreamFailure {
    let (CallError::NotSent(why) | CallError::Lost(why)) = silence;
    UpstreamFailure {
        verdict: RETRY,
        failure: Failure::new("supabase_unreachable", format!("Supabase did not answer: {why}")),
        http_status: None,
    }
}
