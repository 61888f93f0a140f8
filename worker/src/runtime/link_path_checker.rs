//! Checks that a server serves the path of links. Supabase takes the path from its own settings. Behind a gateway that routes
//! only `/auth/v1`, nothing serves the default path, and no mailed link would work.
//!
//! Answers are cached in this process only. The path comes from Supabase's settings and not from the requests of portals, so
//! there are only one or two paths. One request per hour from each worker costs less than a shared table.

use std::time::Duration;

use outbox::CallbackUrl;
use tokio::sync::Mutex;
use url::Url;

use super::ttl_cache::TtlCache;
use crate::upstream::{verdict::verify::LinkPathAnswer, verify::VerifyClient};

/// Checks the origin and path of links.
pub struct LinkPathChecker {
    client: VerifyClient,
    answers: TtlCache<LinkPathAnswer>,
    /// Locked during a request, so that concurrent deliveries make only one request.
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
        // Another delivery may have cached the answer in the meantime.
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
        // Long enough to cover the deliveries that run while the breaker opens, and short enough that each probe checks again.
        LinkPathAnswer::NotFound => Duration::from_millis(500),
        // A server that does not respond must not delay each delivery.
        LinkPathAnswer::Unclear => Duration::from_mins(1),
    }
}
