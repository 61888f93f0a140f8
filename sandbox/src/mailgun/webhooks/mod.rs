//! Signed webhooks, as Mailgun sends them. If a webhook is set, the event `accepted` is posted immediately for each
//! recipient of an accepted mail, followed by the events that the recipient's address selects (see
//! [`Mailgun::set_webhook`]). This module is the interface for tests; `sender` posts the events.

mod mail_events;
mod sender;
mod signature;

pub(super) use sender::Webhooks;
pub use signature::signed;

use super::Mailgun;
use crate::journal::TimedOut;
use serde_json::Value;
use std::time::Duration;

/// A mail event, and the responses to its webhook.
#[derive(Clone, Debug)]
pub struct SentWebhook {
    /// The event's index in the list of all events, for [`Mailgun::redeliver`].
    pub number: usize,
    /// The number of the event's mail.
    pub mail: usize,
    /// Mailgun's id for the event. All posts of the event have the same id.
    pub id: String,
    /// `accepted`, `delivered`, `failed` or `complained`.
    pub event: String,
    /// The body of the last post or, before the first post, the body that will be posted.
    pub body: Value,
    /// The status of each post, in order; `None` for a post that was not answered. Empty if nothing was posted.
    pub answers: Vec<Option<u16>>,
    /// Whether the stand-in has finished with this event: the event was accepted, rejected with 406, abandoned after
    /// the last retry, or dropped.
    pub settled: bool,
}

impl SentWebhook {
    /// The status of the last post. `None` if that post was not answered, or if nothing was posted.
    pub fn status(&self) -> Option<u16> {
        self.answers.last().copied().flatten()
    }

    /// The event's data, without the signature.
    pub fn event_data(&self) -> &Value {
        &self.body["event-data"]
    }
}

/// How an event is signed when it is posted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// With the timestamp, token and signature of the event's last post, as in a replay attack.
    Same,
    /// With a new timestamp and token.
    New,
}

/// Why a webhook was not posted or not answered.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// [`Mailgun::set_webhook`] was not called.
    #[error("no webhook is set; call set_webhook first")]
    NotSet,
    /// There is no event with this number.
    #[error("there is no event {0}")]
    NoSuchEvent(usize),
    /// There was no response within ten seconds, for example because nothing listens at the URL.
    #[error("the webhook was not answered")]
    NoAnswer(#[from] reqwest::Error),
}

/// The webhooks that the stand-in posts.
impl Mailgun {
    /// Posts events to this URL, signed with this key, for each mail that is accepted from now on. Mails accepted
    /// before the first call have no events. Another call replaces both the URL and the key, including for retries of
    /// earlier events.
    ///
    /// The recipient's local part, up to a `+`, selects the events:
    ///
    /// | name | events after `accepted` |
    /// |---|---|
    /// | `bounce` | `failed`, permanent: bounce, 550 5.1.1 |
    /// | `full` | `failed`, permanent: bounce, 552 5.2.2 |
    /// | `denied` | `failed`, permanent: bounce, 550 5.4.1, Exchange Online's reply for a missing mailbox |
    /// | `blocked` | `failed`, permanent: bounce, 550 5.7.1 |
    /// | `certificate` | `failed`, permanent: generic, the server's certificate could not be verified |
    /// | `suppressed` | `failed`, permanent: suppress-bounce, 605 |
    /// | `old` | `failed`, permanent: old |
    /// | `late` | `failed`, temporary: old, 602 |
    /// | `deferred` | `failed`, temporary: 451 4.7.1; then `delivered` |
    /// | `complaint` | `delivered`, then `complained` |
    /// | any other | `delivered` |
    ///
    /// If the response to a post is neither 2xx nor 406, or does not arrive within ten seconds, the post is retried
    /// after 1 s, 2 s and 4 s (Mailgun's own pauses add up to hours), each time with a new token. The next event of a
    /// mail waits for the first post of the previous event, but not for its retries.
    pub fn set_webhook(&self, url: &str, signing_key: &str) {
        self.state.webhooks.set_target(url, signing_key);
    }

    /// Sets the pause between the events of a mail. Default: 1 s.
    pub fn set_webhook_delay(&self, delay: Duration) {
        self.state.webhooks.set_delay(delay);
    }

    /// While `dropped` is true, neither posts nor retries are sent. The events are recorded, and [`Mailgun::redeliver`]
    /// can post them later.
    pub fn drop_webhooks(&self, dropped: bool) {
        self.state.webhooks.set_dropped(dropped);
    }

    /// The events so far, oldest first, posted or not.
    pub fn webhooks(&self) -> Vec<SentWebhook> {
        self.state.webhooks.events().all()
    }

    /// Waits up to 20 s until at least this many events are settled, and returns all events.
    ///
    /// # Errors
    /// Fewer events were settled in that time.
    pub async fn wait_for_webhooks(&self, count: usize) -> Result<Vec<SentWebhook>, TimedOut> {
        let enough = |events: &[SentWebhook]| {
            (events.iter().filter(|event| event.settled).count() >= count).then(|| events.to_vec())
        };
        let wanted = format!("{count} settled webhooks");
        self.state.webhooks.events().wait_for(crate::journal::TIMEOUT, &wanted, seen, enough).await
    }

    /// Posts a recorded event once, without retries, and returns the response's status.
    ///
    /// # Errors
    /// No webhook is set, there is no such event, or the post is not answered.
    pub async fn redeliver(&self, number: usize, signing: Signing) -> Result<u16, WebhookError> {
        self.state.webhooks.post_recorded(number, signing).await
    }

    /// Posts any `event-data` with a valid signature, and returns the response's status. Use this method for made-up
    /// events, or for changed copies of events from [`Mailgun::webhooks`]. The event is not recorded, and there are no
    /// retries.
    ///
    /// # Errors
    /// No webhook is set, or the post is not answered.
    pub async fn post_event(&self, event_data: Value) -> Result<u16, WebhookError> {
        self.state.webhooks.post_event(&event_data).await
    }
}

fn seen(events: &[SentWebhook]) -> String {
    let told = events.iter().map(|event| {
        let open = if event.settled { "" } else { ", not settled" };
        format!("{} of mail {}: {:?}{open}", event.event, event.mail, event.answers)
    });
    format!("{:#?}", told.collect::<Vec<_>>())
}
