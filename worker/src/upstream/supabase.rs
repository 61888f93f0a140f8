//! Asks Supabase Auth for a sign-in link: the admin call `generate_link`.

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use outbox::Failure;
use reqwest::{
    Client,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use url::Url;

use super::{
    http::{self, UpstreamResponse},
    verdict::{UpstreamFailure, Verdict, supabase as verdict},
};
use crate::{
    metrics,
    settings::{Signups, SupabaseSettings},
};

/// A client of one project.
pub struct SupabaseClient {
    client: Client,
    endpoint: Url,
    headers: HeaderMap,
    link_origins: Vec<String>,
    slots: Semaphore,
    signups: Signups,
    /// Digits of the one-time code that Supabase makes beside a link; 0 until one was seen.
    code_digits: AtomicUsize,
}

/// A live one-time code lies beside each link, and fewer digits than this can be guessed within its lifetime.
const SAFE_CODE_DIGITS: usize = 8;

/// A link that was made. No Debug of the link: it signs its holder in.
pub struct GeneratedLink {
    /// What to mail.
    pub url: String,
    /// Where it leads, which may not be where it was asked to.
    pub redirect_to: String,
}

impl fmt::Debug for GeneratedLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MadeLink").field("redirect_to", &self.redirect_to).finish_non_exhaustive()
    }
}

/// `{type, email, redirect_to}`: `redirect_to` in the body goes before all other places (internal/api/mail.go).
#[derive(Serialize)]
struct Request<'a> {
    r#type: &'static str,
    email: &'a str,
    redirect_to: &'a str,
}

#[derive(Deserialize)]
struct Response {
    email: String,
    action_link: String,
    redirect_to: String,
    email_otp: Option<SecretString>,
}

impl SupabaseClient {
    /// A client; calls nothing yet.
    ///
    /// # Errors
    /// The settings make no client.
    pub fn new(settings: &SupabaseSettings, timeout: Duration) -> anyhow::Result<Self> {
        let mut headers = HeaderMap::new();
        // The gateway reads apikey, the auth server the bearer.
        headers.insert(HeaderName::from_static("apikey"), sensitive(settings.key.expose_secret())?);
        headers.insert(AUTHORIZATION, sensitive(&format!("Bearer {}", settings.key.expose_secret()))?);
        // Without it, a lost race is answered with Postgres's own error, which holds the address.
        headers.insert("x-supabase-api-version", HeaderValue::from_static("2024-01-01"));
        Ok(Self {
            client: http::client(&settings.url, timeout)?,
            endpoint: settings.url.join("auth/v1/admin/generate_link")?,
            headers,
            link_origins: settings.link_origins.clone(),
            slots: Semaphore::new(settings.concurrency),
            signups: settings.signups,
            code_digits: AtomicUsize::new(0),
        })
    }

    /// Waits for a turn: more calls at a time make each slower, not all faster.
    pub async fn turn(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.slots.acquire().await.expect("the semaphore is never closed")
    }

    /// Makes a link that leads to `callback_url`. The link made before, if
    /// any, is dead from now on.
    ///
    /// # Errors
    /// [`UpstreamFailure`]: what the answer means.
    pub async fn generate_link(&self, email: &str, callback_url: &str) -> Result<GeneratedLink, UpstreamFailure> {
        let request = Request { r#type: self.kind(), email, redirect_to: callback_url };
        let request = self.client.post(self.endpoint.clone()).headers(self.headers.clone()).json(&request);
        let answer = http::call(request).await.map_err(|silence| verdict::judge_silence(&silence))?;
        let made = if answer.status == 200 { serde_json::from_slice::<Response>(&answer.body).ok() } else { None };
        let made = made.ok_or_else(|| verdict::judge(&answer))?;
        self.note_code(made.email_otp.as_ref());
        self.check(&answer, email, made)
    }

    /// What is asked for. A `recovery` link is made only for a user who exists, lies in the same slot as a magic
    /// link, and its hash is taken as one (internal/api/verify.go, verifyTokenHash; and measured).
    fn kind(&self) -> &'static str {
        match self.signups {
            Signups::Allow => "magiclink",
            Signups::Deny => "recovery",
        }
    }

    /// Warns once of codes that are too short, and shows their length.
    fn note_code(&self, code: Option<&SecretString>) {
        let digits = code.map_or(0, |code| code.expose_secret().len());
        let known = self.code_digits.swap(digits, Ordering::Relaxed);
        metrics::code_digits(digits);
        if digits != known && (1..SAFE_CODE_DIGITS).contains(&digits) {
            tracing::warn!(
                digits,
                "beside each link Supabase makes a one-time code that can be guessed: set its length (Email OTP length, \
                 MAILER_OTP_LENGTH) to {SAFE_CODE_DIGITS} or more"
            );
        }
    }

    /// An answer is believed only if its link is the recipient's, and leads to a server that we know.
    fn check(&self, answer: &UpstreamResponse, email: &str, made: Response) -> Result<GeneratedLink, UpstreamFailure> {
        let trouble = |verdict, code: &str, message: String| UpstreamFailure {
            verdict,
            failure: Failure::new(code, message),
            http_status: Some(answer.status),
        };
        if !made.email.eq_ignore_ascii_case(email) {
            let message = "Supabase made a link for another address than it was asked for".to_owned();
            return Err(trouble(Verdict::Reject, "link_of_another_address", message));
        }
        let plain = made.action_link.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\".contains(&byte));
        let url = Url::parse(&made.action_link).ok().filter(|_| plain);
        let Some(url) = url else { return Err(verdict::judge(answer)) };
        let origin = url.origin().ascii_serialization();
        if !self.link_origins.contains(&origin) {
            let message = format!(
                "Supabase makes links to {origin}, which is not in LINK_ORIGINS: set the server's API_EXTERNAL_URL, \
                 or list its origin"
            );
            return Err(trouble(
                Verdict::Configuration { setting: "LINK_ORIGINS" },
                "link_origin_not_allowed",
                message,
            ));
        }
        let url = match self.signups {
            Signups::Allow => made.action_link,
            Signups::Deny => as_magic_link(&made.action_link),
        };
        Ok(GeneratedLink { url, redirect_to: made.redirect_to })
    }
}

/// A recovery link as the magic link that it can be: a portal's callback page would else offer a new password.
fn as_magic_link(link: &str) -> String {
    // The parameter stands before `redirect_to`, in which an `=` is always encoded.
    link.replacen("&type=recovery", "&type=magiclink", 1)
}

fn sensitive(text: &str) -> anyhow::Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text)?;
    value.set_sensitive(true);
    Ok(value)
}
