//! Checks, before a link is created, whether Supabase's redirect allow list accepts the callback. Without this check,
//! creating a link with a refused callback would still invalidate the person's earlier link. Anybody could then
//! invalidate the links for any address.
//!
//! A callback counts as allowed if the allow list accepts its three test URLs. Otherwise, each job's own URL is
//! checked. The check is only a precaution: if its answer is unclear, the delivery continues, and checks the redirect
//! of the created link instead.
//!
//! All workers share the answers in the `redirect_checks` table, and each worker caches them, so that most jobs need
//! neither a request nor a database statement.

use outbox::{
    CallbackUrl, PgPool,
    redirect_checks::{self, ALLOWED_FOR, REFUSED_FOR},
};
use tokio::{sync::Mutex, time::Instant};

use super::{outage::OutageLog, request_budget::RequestBudget, ttl_cache::TtlCache};
use crate::upstream::{verdict::verify::RedirectAnswer, verify::VerifyClient};

/// The queries of the three test URLs: no query, `next` set to `/`, and `next` set to `/a.b/c?d=e`. The values are
/// encoded in the same way as the api encodes `callback_next`. A `*` in an entry of the allow list does not match dots
/// or slashes, so an entry can accept the second test URL and refuse the third.
pub(crate) const TEST_QUERIES: [&str; 3] = ["", "?next=%2F", "?next=%2Fa.b%2Fc%3Fd%3De"];

/// Checks callbacks against Supabase's redirect allow list.
pub struct RedirectChecker {
    client: VerifyClient,
    /// For the origin and path of each callback, whether all test URLs are allowed.
    callbacks: TtlCache<bool>,
    /// The answers for single URLs, by URL. Requests add at most 240 answers per hour, because the budget allows no
    /// more requests.
    urls: TtlCache<RedirectAnswer>,
    /// Locked during a request, so that concurrent deliveries do not repeat it.
    budget: Mutex<RequestBudget>,
}

impl RedirectChecker {
    /// Creates a checker with an empty cache.
    pub(crate) fn new(client: VerifyClient) -> Self {
        Self { client, callbacks: TtlCache::default(), urls: TtlCache::default(), budget: Mutex::default() }
    }

    /// Whether Supabase allows links to lead to `callback_url`. If the answer is neither cached nor in the database,
    /// this worker asks Supabase. It makes at most four requests a minute; beyond that, the answer is unclear.
    pub async fn check(&self, pool: &PgPool, outage: &OutageLog, callback_url: &CallbackUrl) -> RedirectAnswer {
        let callback = TestableCallback::from_url(callback_url);
        if let Some(answer) = self.cached(callback_url, callback.as_ref()) {
            return answer;
        }
        if let Some(callback) = &callback
            && self.callbacks.get(&callback.0).is_none()
        {
            self.load(pool, outage, callback).await;
        }
        let mut budget = self.budget.lock().await;
        // Another delivery may have cached the answer while this one waited for the lock, or `load` may have found
        // another worker's answer.
        if let Some(answer) = self.cached(callback_url, callback.as_ref()) {
            return answer;
        }
        if let Some(callback) = &callback
            && self.callbacks.get(&callback.0).is_none()
            // If the budget does not allow requests for all test URLs, keep it for the job's own URL: an incomplete
            // test proves nothing.
            && budget.remaining(Instant::now()) >= TEST_QUERIES.len()
        {
            match self.ask_test_urls(&mut budget, callback).await {
                RedirectAnswer::Unclear => return RedirectAnswer::Unclear,
                RedirectAnswer::Allowed => {
                    self.store(pool, outage, callback, true).await;
                    return RedirectAnswer::Allowed;
                }
                RedirectAnswer::Refused { .. } => self.store(pool, outage, callback, false).await,
            }
        }
        self.ask(&mut budget, callback_url.as_str()).await
    }

    /// Records that Supabase replaced `callback_url` in a link. This overrides an earlier answer, because an operator
    /// may have removed the entry from the allow list.
    pub async fn record_refused(&self, pool: &PgPool, outage: &OutageLog, callback_url: &CallbackUrl, leads_to: &str) {
        self.urls.insert(callback_url.as_str(), RedirectAnswer::Refused { leads_to: leads_to.to_owned() }, REFUSED_FOR);
        if let Some(callback) = TestableCallback::from_url(callback_url) {
            self.store(pool, outage, &callback, false).await;
        }
    }

    /// The cached answer. The answer for the URL itself takes precedence over the answer for its callback.
    fn cached(&self, callback_url: &CallbackUrl, callback: Option<&TestableCallback>) -> Option<RedirectAnswer> {
        self.urls.get(callback_url.as_str()).or_else(|| {
            let is_allowed = callback.and_then(|callback| self.callbacks.get(&callback.0));
            (is_allowed == Some(true)).then_some(RedirectAnswer::Allowed)
        })
    }

    /// Caches the answer for the callback if a worker has stored it in the database.
    async fn load(&self, pool: &PgPool, outage: &OutageLog, callback: &TestableCallback) {
        let found = outbox::in_time(redirect_checks::find(pool, &callback.0)).await;
        // `observe` logs any error. Without a stored answer, this worker asks Supabase itself.
        if let Ok(Some(check)) = outage.observe(found) {
            self.callbacks.insert(&callback.0, check.is_allowed, check.valid_for);
        }
    }

    async fn store(&self, pool: &PgPool, outage: &OutageLog, callback: &TestableCallback, is_allowed: bool) {
        self.callbacks.insert(&callback.0, is_allowed, redirect_checks::valid_for(is_allowed));
        let stored = outbox::in_time(redirect_checks::store(pool, &callback.0, is_allowed)).await;
        // `observe` logs any error. If the answer is not stored, the other workers ask Supabase themselves.
        let _ = outage.observe(stored);
    }

    /// Asks Supabase about the test URLs. Returns `Allowed` if all test URLs are allowed, and otherwise the first
    /// answer that is not `Allowed`.
    async fn ask_test_urls(&self, budget: &mut RequestBudget, callback: &TestableCallback) -> RedirectAnswer {
        for query in TEST_QUERIES {
            match self.ask(budget, &format!("{}{query}", callback.0)).await {
                RedirectAnswer::Allowed => {}
                answer => return answer,
            }
        }
        RedirectAnswer::Allowed
    }

    /// Asks Supabase about one URL, unless the answer is cached or the budget is used up.
    async fn ask(&self, budget: &mut RequestBudget, url: &str) -> RedirectAnswer {
        if let Some(answer) = self.urls.get(url) {
            return answer;
        }
        if !budget.take(Instant::now()) {
            return RedirectAnswer::Unclear;
        }
        let answer = self.client.ask_redirect(url).await;
        match &answer {
            RedirectAnswer::Allowed => self.urls.insert(url, answer.clone(), ALLOWED_FOR),
            // Cache a refusal only briefly, so that a new entry in the allow list takes effect soon.
            RedirectAnswer::Refused { .. } => self.urls.insert(url, answer.clone(), REFUSED_FOR),
            RedirectAnswer::Unclear => {
                // The next requests would probably fail too, and each delivery would have to wait for a timeout.
                budget.exhaust(Instant::now());
                tracing::debug!("Supabase's redirect allow list cannot be checked now: continuing without the check");
            }
        }
        answer
    }
}

/// The origin and path of a callback URL for which the answers to the three test URLs are valid. The URL must be written
/// as the api writes it, and have no query or only the parameter `next`.
struct TestableCallback(String);

impl TestableCallback {
    fn from_url(callback_url: &CallbackUrl) -> Option<Self> {
        let origin_and_path = callback_url.origin_and_path();
        // Supabase compares URLs as text. With an explicit default port or an upper-case host, the URL differs from the
        // test URLs.
        let query = callback_url.as_str().strip_prefix(&origin_and_path)?;
        let is_next_alone = query.starts_with("?next=") && !query.contains(['&', '#']);
        (query.is_empty() || is_next_alone).then_some(Self(origin_and_path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_urls_represent_only_callback_urls_as_the_api_writes_them() {
        for (callback_url, is_testable) in [
            ("https://portal.example.com/auth/callback", true),
            ("https://portal.example.com/auth/callback?next=%2Fa.b%2Fc%26d", true),
            ("https://portal.example.com/auth/callback?next=%2F&lang=en", false),
            ("https://portal.example.com/auth/callback?lang=en", false),
            ("https://portal.example.com/auth/callback?next=%2F#top", false),
            ("https://portal.example.com:443/auth/callback", false),
            ("https://Portal.example.com/auth/callback", false),
        ] {
            let callback = TestableCallback::from_url(&CallbackUrl::parse(callback_url).unwrap());
            let expected = is_testable.then_some("https://portal.example.com/auth/callback");
            assert_eq!(callback.as_ref().map(|callback| callback.0.as_str()), expected, "{callback_url}");
        }
    }
}
