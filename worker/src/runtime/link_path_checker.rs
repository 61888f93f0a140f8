//! Finds out whether links lead to a server that serves them. Supabase takes the path of a link from its own settings; behind
//! a gateway that routes only `/auth/v1`, the default path is nobody's, and every link in every mail would be dead.
//!
//! Answers are remembered in this process only: the path comes from Supabase's settings and not from strangers, so there
//! are one or two, and a request from each worker in an hour costs less than a shared table.

use std::time::Duration;

use outbox::CallbackUrl;
use tokio::sync::Mutex;
use url::Url;

use super::recent::Recent;
use crate::upstream::{verdict::verify::LinkPathAnswer, verify::VerifyClient};

/// Checks the origin and path of links.
pub struct LinkPathChecker {
    client: VerifyClient,
    answers: Recent<LinkPathAnswer>,
    /// Locked while a request is made, so that deliveries that start together ask once.
    turn: Mutex<()>,
}

impl LinkPathChecker {
    /// Creates a checker that knows nothing yet.
    pub(crate) fn new(client: VerifyClient) -> Self {
        Self { client, answers: Recent::default(), turn: Mutex::default() }
    }

    /// Whether `link_path`, the origin and path of a link, is served. Asks there if it is not known.
    pub async fn check(&self, link_path: &Url, callback_url: &CallbackUrl) -> LinkPathAnswer {
        if let Some(answer) = self.answers.get(link_path.as_str()) {
            return answer;
        }
        let _turn = self.turn.lock().await;
        // Another delivery may have asked in the meantime.
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
        // For the deliveries that were under way when the breaker opened. Its probes must ask again.
        LinkPathAnswer::NotFound => Duration::from_millis(500),
        // A server that does not answer must not delay each delivery.
        LinkPathAnswer::Unclear => Duration::from_mins(1),
    }
}
