//! Checks that the path of Supabase's links is served. Supabase takes the path from its own settings. Behind a gateway
//! that routes only `/auth/v1`, the default path is not served, so no mailed link works.
//!
//! Each process caches its own answers. The path comes from Supabase's settings and not from the portals' requests, so
//! there are only one or two paths, and one request per hour from each worker costs less than a shared table.

use std::time::Duration;

use outbox::CallbackUrl;
use tokio::sync::Mutex;
use url::Url;

use super::ttl_cache::TtlCache;
use crate::upstream::{verdict::verify::LinkPathAnswer, verify::VerifyClient};

/// Checks whether the origin and path of links are served.
pub struct LinkPathChecker {
    client: VerifyClient,
    answers: TtlCache<LinkPathAnswer>,
    /// Locked during a request, so that concurrent deliveries do not repeat it.
    request_lock: Mutex<()>,
}

impl LinkPathChecker {
    /// Creates a checker with an empty cache.
    pub(crate) fn new(client: VerifyClient) -> Self {
        Self { client, answers: TtlCache::default(), request_lock: Mutex::default() }
    }

    /// Whether `link_path`, the origin and path of a link, is served. Makes a request if the answer is not cached.
    pub async fn check(&self, link_path: &Url, callback_url: &CallbackUrl) -> LinkPathAnswer {
        if let Some(answer) = self.answers.get(link_path.as_str()) {
            return answer;
        }
        let _guard = self.request_lock.lock().await;
        // Another delivery may have cached the answer while this one waited for the lock.
        if let Some(answer) = self.answers.get(link_path.as_str()) {
            return answer;
        }
        let answer = self.client.ask_link_path(link_path, callback_url.as_str()).await;
        self.answers.insert(link_path.as_str(), answer, valid_for(answer));
        answer
    }
}

fn valid_for(answer: LinkPathAnswer) -> Duration {
    match answer {
        LinkPathAnswer::Served => Duration::from_hours(1),
        // Long enough to cover the deliveries that run while the breaker opens, and short enough that each probe checks
        // again.
        LinkPathAnswer::NotFound => Duration::from_millis(500),
        // Cache this answer too, so that a server that does not respond does not delay every delivery.
        LinkPathAnswer::Unclear => Duration::from_mins(1),
    }
}
