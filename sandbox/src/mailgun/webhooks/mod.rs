//! Signed webhooks, as Mailgun sends them: for each mail that was taken, `accepted` at once and then, a moment later,
//! what became of it. The recipient's name decides that (see [`Mailgun::set_webhook`]). Here is what tests can see and
//! steer; `sender` does the posting.

mod sender;
mod signature;
mod story;

pub(super) use sender::Webhooks;
pub use signature::signed;

use super::Mailgun;
use crate::journal::TimedOut;
use serde_json::Value;
use std::time::Duration;

/// An event of a mail, and what its webhook was answered.
#[derive(Clone, Debug)]
pub struct SentWebhook {
    /// Its place in the order of events, from 0, as [`Mailgun::redeliver`] wants it.
    pub number: usize,
    /// The number of its mail.
    pub mail: usize,
    /// Mailgun's id of the event, the same in each of its posts.
    pub id: String,
    /// `accepted`, `delivered`, `failed` or `complained`.
    pub event: String,
    /// The body last posted; of an event that was not posted, what it would have been.
    pub body: Value,
    /// What each post was answered, in order; none where no answer came. Empty when nothing was posted.
    pub answers: Vec<Option<u16>>,
    /// Whether nothing more is posted by itself: it was taken, refused with 406, given up, or kept back.
    pub settled: bool,
}

impl SentWebhook {
    /// What the last post was answered; none when no answer came or nothing was posted.
    pub fn status(&self) -> Option<u16> {
        self.answers.last().copied().flatten()
    }

    /// The event itself, without its signature.
    pub fn event_data(&self) -> &Value {
        &self.body["event-data"]
    }
}

/// How an event that is posted again is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// With the timestamp, token and signature of its last post, as somebody would who has recorded it.
    Same,
    /// With a timestamp and token of its own.
    Anew,
}

/// A webhook that got no answer.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// [`Mailgun::set_webhook`] was not called.
    #[error("no webhook is set")]
    NotSet,
    /// There are fewer events.
    #[error("there is no event {0}")]
    NoSuchEvent(usize),
    /// Nobody listens there, or not within ten seconds.
    #[error("the webhook was not answered")]
    NoAnswer(#[from] reqwest::Error),
}

/// Webhooks.
impl Mailgun {
    /// Tells this URL of every mail that is taken from now on, signed with this key; nothing is told of mails before.
    /// Another call replaces both, for retries of earlier events too.
    ///
    /// What happens is decided by the recipient's local part, up to a `+`:
    ///
    /// | name | events after `accepted` |
    /// |---|---|
    /// | `bounce` | `failed`, permanent: bounce, 550 5.1.1 |
    /// | `full` | `failed`, permanent: bounce, 552 5.2.2 |
    /// | `denied` | `failed`, permanent: bounce, 550 5.4.1, as Exchange Online says that there is no such mailbox |
    /// | `blocked` | `failed`, permanent: bounce, 550 5.7.1 |
    /// | `certificate` | `failed`, permanent: generic, the server's certificate could not be verified |
    /// | `suppressed` | `failed`, permanent: suppress-bounce, 605 |
    /// | `old` | `failed`, permanent: old |
    /// | `late` | `failed`, temporary: old, 602 |
    /// | `deferred` | `failed`, temporary: 451 4.7.1; then `delivered` |
    /// | `complaint` | `delivered`, then `complained` |
    /// | any other | `delivered` |
    ///
    /// A post answered neither 2xx nor 406, or not within ten seconds, is tried again after 1 s, 2 s and 4 s (Mailgun's
    /// own pauses add up to hours), each time with a new token. An event's first post ends before the next event comes;
    /// retries run beside that.
    pub fn set_webhook(&self, url: &str, signing_key: &str) {
        self.state.webhooks.set_target(url, signing_key);
    }

    /// How long after `accepted`, and then after each event, the next one comes: 1 s unless told.
    pub fn set_webhook_delay(&self, delay: Duration) {
        self.state.webhooks.set_delay(delay);
    }

    /// While true, nothing is posted by itself, retries included; the events are kept, and [`Mailgun::redeliver`] can
    /// post them late.
    pub fn drop_webhooks(&self, dropped: bool) {
        self.state.webhooks.set_dropped(dropped);
    }

    /// The events so far, oldest first, posted or not.
    pub fn webhooks(&self) -> Vec<SentWebhook> {
        self.state.webhooks.events().all()
    }

    /// Waits up to 20 s until this many events are settled, and gives all events.
    ///
    /// # Errors
    /// When there were fewer.
    pub async fn wait_for_webhooks(&self, count: usize) -> Result<Vec<SentWebhook>, TimedOut> {
        let enough = |events: &[SentWebhook]| {
            (events.iter().filter(|event| event.settled).count() >= count).then(|| events.to_vec())
        };
        let wanted = format!("{count} settled webhooks");
        self.state.webhooks.events().wait_for(crate::journal::PATIENCE, &wanted, seen, enough).await
    }

    /// Posts an event again, or at last, and gives the status. There are no retries.
    ///
    /// # Errors
    /// When there is no such event, or no answer.
    pub async fn redeliver(&self, number: usize, signing: Signing) -> Result<u16, WebhookError> {
        self.state.webhooks.post_kept(number, signing).await
    }

    /// Posts any `event-data`, rightly signed, and gives the status; it is not among the events. For events that are
    /// made up, or those of [`Mailgun::webhooks`] with something changed. There are no retries.
    ///
    /// # Errors
    /// When there is no webhook, or no answer.
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
