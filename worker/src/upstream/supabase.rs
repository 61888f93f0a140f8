//! Requests sign-in links from Supabase Auth through the admin call `generate_link`, and checks the returned link.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use outbox::{CallbackUrl, Email, Failure};
use reqwest::{
    Client,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tokio::{sync::Semaphore, time::Instant};
use url::Url;

use super::{
    check::CheckResult,
    code_gate::{CodeGate, count_digits},
    http::{self, UpstreamResponse},
    verdict::{UpstreamFailure, Verdict, supabase as verdict},
};
use crate::{
    metrics,
    settings::{PortalLinks, Signups, SupabaseClientSettings},
};

/// A client for one Supabase project.
pub struct SupabaseClient {
    client: Client,
    endpoint: Url,
    headers: HeaderMap,
    link_origins: Vec<String>,
    slots: Semaphore,
    /// Slots for retries after a failed hook: half of `slots`, at least one.
    hook_slots: Semaphore,
    /// When a failed hook was last logged as an error.
    hook_error_at: Mutex<Option<Instant>>,
    /// Recipient in check calls. No mail is sent to this address.
    check_address: String,
    signups: Signups,
    code_gate: CodeGate,
}

/// Minimum time between two logged errors about failing hooks.
const HOOK_ERROR_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// A link that Supabase created. `Debug` shows neither the hash nor the code, because anybody who has the hash or the
/// code can sign in.
pub struct GeneratedLink {
    /// The link's origin and path, without its query.
    pub verify_url: Url,
    /// The token hash of the link.
    pub token_hash: String,
    /// The verification type of the link.
    pub kind: String,
    /// The one-time code, if the mail shows it.
    pub code: Option<String>,
    /// The URL that the link redirects to. Supabase may have replaced the requested URL.
    pub redirect_to: String,
}

impl fmt::Debug for GeneratedLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GeneratedLink").field("redirect_to", &self.redirect_to).finish_non_exhaustive()
    }
}

/// Facts about a link, without its token and its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkFacts {
    /// Whether Supabase created the link for the requested address.
    pub is_for_recipient: bool,
    /// Whether Supabase has banned the account. Links for a banned account do not work.
    pub is_banned: bool,
    /// Whether `LINK_ORIGINS` contains the link's origin.
    pub is_origin_allowed: bool,
    /// The link's origin and path, without its query.
    pub verify_url: Url,
    /// The URL that the link redirects to.
    pub redirect_to: String,
    /// Number of digits in the one-time code. 0 if there is no code, or if it contains anything other than digits.
    pub code_digits: usize,
}

/// The body of `generate_link`. `redirect_to` in the body takes precedence over every other source of the redirect
/// (Supabase: internal/api/mail.go).
#[derive(Serialize)]
struct GenerateLinkRequest<'a> {
    r#type: &'static str,
    email: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_to: Option<&'a str>,
}

#[derive(Deserialize)]
struct GenerateLinkResponse {
    email: String,
    action_link: String,
    redirect_to: String,
    email_otp: Option<SecretString>,
    /// Supabase also creates links for banned users, but refuses such a link when it is opened (observed).
    banned_until: Option<DateTime<Utc>>,
}

impl SupabaseClient {
    /// Creates a client. Makes no call. `timeout` limits each call.
    ///
    /// # Errors
    /// The key is not a valid header value, or the HTTP client cannot be created.
    pub fn new(settings: &SupabaseClientSettings, mail_domain: &str, timeout: Duration) -> anyhow::Result<Self> {
        let mut headers = HeaderMap::new();
        // Supabase's gateway reads `apikey`; the auth server reads the bearer token.
        headers.insert(HeaderName::from_static("apikey"), sensitive_header(settings.key.expose_secret())?);
        headers.insert(AUTHORIZATION, sensitive_header(&format!("Bearer {}", settings.key.expose_secret()))?);
        // Without this header, the response to a call that loses the race to create a user contains Postgres's own
        // error, which includes the address.
        headers.insert("x-supabase-api-version", HeaderValue::from_static("2024-01-01"));
        Ok(Self {
            client: http::client(&settings.url, &settings.connection, timeout)?,
            endpoint: settings.url.join("auth/v1/admin/generate_link")?,
            headers,
            link_origins: settings.link_origins.clone(),
            slots: Semaphore::new(settings.concurrency),
            hook_slots: Semaphore::new((settings.concurrency / 2).max(1)),
            hook_error_at: Mutex::default(),
            check_address: format!("probe@{mail_domain}"),
            signups: settings.signups,
            code_gate: CodeGate::new(),
        })
    }

    /// Waits for one of the `SUPABASE_CONCURRENCY` slots. Hold the permit during the call. Additional concurrent calls
    /// would only make each call slower.
    pub async fn acquire_slot(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.slots.acquire().await.expect("the semaphore is never closed")
    }

    /// Takes a slot for a retry after a failed hook. `None` if such retries already use half of the slots.
    pub fn try_acquire_hook_slot(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.hook_slots.try_acquire().ok()
    }

    /// Counts a failed hook, and logs an error at most every five minutes.
    pub fn record_hook_failure(&self, reason: &Failure) {
        metrics::record_hook_failure();
        let mut logged_at = self.hook_error_at.lock().unwrap_or_else(PoisonError::into_inner);
        if logged_at.is_none_or(|at| at.elapsed() >= HOOK_ERROR_INTERVAL) {
            *logged_at = Some(Instant::now());
            tracing::error!(
                code = reason.code,
                reason = reason.message,
                "a Supabase Auth hook is failing: the people it affects get no mail until the hook is fixed; \
                 retrying automatically"
            );
        }
    }

    /// Makes a check call without side effects. Supabase Auth refuses a call without a `type` as invalid, but only
    /// after it has accepted the key and queried its database (observed).
    pub async fn check(&self, timeout: Duration) -> CheckResult {
        let body = serde_json::json!({ "email": self.check_address });
        let request =
            self.client.post(self.endpoint.clone()).headers(self.headers.clone()).timeout(timeout).json(&body);
        match http::call(request).await {
            Ok(response) if verdict::is_validation_error(&response) => CheckResult::Passed,
            Ok(response) => CheckResult::from_failure(verdict::classify(&response)),
            Err(error) => CheckResult::from_failure(verdict::classify_call_error(&error)),
        }
    }

    /// Creates a sign-in link that leads to `callback_url`. `links` specifies where the mailed link leads and whether
    /// the mail shows a code. Any earlier link for this address stops working.
    ///
    /// # Errors
    /// [`UpstreamFailure`] if Supabase returns no link, if the link must not be mailed, or if a required code is too
    /// short.
    pub async fn generate_link(
        &self,
        email: &Email,
        callback_url: &CallbackUrl,
        links: &PortalLinks,
    ) -> Result<GeneratedLink, UpstreamFailure> {
        let (response, body) = self.request_link(self.link_type(), email, Some(callback_url)).await?;
        self.code_gate.observe_length(body.email_otp.as_ref(), links);
        self.check_link(&response, email, body, links)
    }

    /// Creates a link for an existing account, and returns facts about the link without its secrets. Creates no
    /// account. Any earlier link for this address stops working.
    ///
    /// # Errors
    /// [`UpstreamFailure`] if Supabase returns no link.
    pub async fn inspect_link(
        &self,
        email: &Email,
        callback_url: Option<&CallbackUrl>,
    ) -> Result<LinkFacts, UpstreamFailure> {
        let (response, body) = self.request_link("recovery", email, callback_url).await?;
        let url = Url::parse(&body.action_link).map_err(|_| verdict::classify(&response))?;
        let origin = url.origin().ascii_serialization();
        let verify_url = Url::parse(&format!("{origin}{}", url.path())).map_err(|_| verdict::classify(&response))?;
        Ok(LinkFacts {
            is_for_recipient: body.email.eq_ignore_ascii_case(email.as_str()),
            is_banned: body.banned_until.is_some_and(|until| until > Utc::now()),
            is_origin_allowed: self.link_origins.contains(&origin),
            verify_url,
            redirect_to: body.redirect_to,
            code_digits: count_digits(body.email_otp.as_ref()),
        })
    }

    async fn request_link(
        &self,
        kind: &'static str,
        email: &Email,
        callback_url: Option<&CallbackUrl>,
    ) -> Result<(UpstreamResponse, GenerateLinkResponse), UpstreamFailure> {
        let redirect_to = callback_url.map(CallbackUrl::as_str);
        let request = GenerateLinkRequest { r#type: kind, email: email.as_str(), redirect_to };
        let request = self.client.post(self.endpoint.clone()).headers(self.headers.clone()).json(&request);
        let response = http::call(request).await.map_err(|error| verdict::classify_call_error(&error))?;
        let body = if response.status == 200 {
            serde_json::from_slice::<GenerateLinkResponse>(&response.body).ok()
        } else {
            None
        };
        let body = body.ok_or_else(|| verdict::classify(&response))?;
        Ok((response, body))
    }

    /// The shortest `verify_url` that a link can have.
    pub fn shortest_verify_url(&self) -> String {
        let origin = self.link_origins.iter().min_by_key(|origin| origin.len());
        format!("{}/", origin.map(String::as_str).unwrap_or_default())
    }

    /// The type of link to request. Supabase creates a `recovery` link only for an existing user. A recovery link also
    /// works as a magic link, because both use the same token (Supabase: internal/api/verify.go, verifyTokenHash; also
    /// observed).
    fn link_type(&self) -> &'static str {
        match self.signups {
            Signups::Allow => "magiclink",
            Signups::Deny => "recovery",
        }
    }

    /// Checks a link and extracts its parts. The link must be complete and for the recipient, and the recipient must
    /// not be banned. If the mailed link goes through Supabase, the link's origin must be in `LINK_ORIGINS`. If the
    /// mail contains only a code, the code must be long enough.
    fn check_link(
        &self,
        response: &UpstreamResponse,
        email: &Email,
        body: GenerateLinkResponse,
        links: &PortalLinks,
    ) -> Result<GeneratedLink, UpstreamFailure> {
        let failure = |verdict, code: &str, message: String| UpstreamFailure {
            verdict,
            reason: Failure::new(code, message),
            http_status: Some(response.status),
        };
        if !body.email.eq_ignore_ascii_case(email.as_str()) {
            let message = "Supabase returned a link for an address other than the requested one".to_owned();
            return Err(failure(Verdict::Reject, "link_of_another_address", message));
        }
        if let Some(until) = body.banned_until.filter(|until| *until > Utc::now()) {
            let message = format!("Supabase has banned this user until {}", until.format("%Y-%m-%d %H:%M UTC"));
            return Err(failure(Verdict::RejectRecipient, "user_banned", message));
        }
        let is_plain = body.action_link.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\".contains(&byte));
        let url = Url::parse(&body.action_link).ok().filter(|_| is_plain);
        let Some(url) = url else { return Err(verdict::classify(response)) };
        let origin = url.origin().ascii_serialization();
        // Leave out the query, because it contains the token.
        let verify_url = Url::parse(&format!("{origin}{}", url.path())).map_err(|_| verdict::classify(response))?;
        if links.style.leads_through_supabase() && !self.link_origins.contains(&origin) {
            let message = format!(
                "Supabase creates links to {origin}, which is not in LINK_ORIGINS: correct Supabase's \
                 API_EXTERNAL_URL, or add the origin to LINK_ORIGINS"
            );
            return Err(failure(
                Verdict::Configuration { setting: "LINK_ORIGINS" },
                "link_origin_not_allowed",
                message,
            ));
        }
        let parameter = |wanted: &str| {
            let found = url.query_pairs().find(|(name, value)| name == wanted && !value.is_empty());
            found.map(|(_, value)| value.into_owned()).ok_or_else(|| verdict::classify(response))
        };
        let (token_hash, kind) = (parameter("token")?, as_magic_link(parameter("type")?));
        let code = CodeGate::admit(body.email_otp.as_ref(), links)?;
        Ok(GeneratedLink { verify_url, token_hash, kind, code, redirect_to: body.redirect_to })
    }
}

/// Changes the type of a recovery link to `magiclink`. With a recovery link, a portal's callback page would ask the
/// person to set a new password.
fn as_magic_link(kind: String) -> String {
    if kind == "recovery" { "magiclink".to_owned() } else { kind }
}

fn sensitive_header(text: &str) -> anyhow::Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text)?;
    value.set_sensitive(true);
    Ok(value)
}
