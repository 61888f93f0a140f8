//! Posts the events of each mail, and retries posts that were neither accepted nor rejected with 406. Each recipient of
//! a mail has a separate task. The tasks stop with the stand-in.

use super::{SentWebhook, Signing, WebhookError, mail_events, signature};
use crate::{
    http,
    journal::Journal,
    mailgun::{
        lists::Lists,
        mail::{Mail, bare_address},
    },
};
use reqwest::Client;
use serde_json::Value;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The pauses before the retries. After the last retry, the sender gives up. Mailgun's own pauses are 5 minutes to 4
/// hours. Users report that Mailgun does not retry `delivered`; the stand-in does.
const RETRIES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// Maximum time to wait for a response.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The settings that tests and `cargo dev` change.
struct Rules {
    target: Option<Target>,
    delay: Duration,
    dropped: bool,
}

#[derive(Clone)]
struct Target {
    url: String,
    key: String,
}

/// Posts webhooks. Clones share their state.
#[derive(Clone)]
pub(in crate::mailgun) struct Webhooks {
    rules: Arc<Mutex<Rules>>,
    events: Journal<SentWebhook>,
    lists: Lists,
    client: Client,
    stop: CancellationToken,
}

impl Webhooks {
    /// Returns a sender without a target, and a guard. Dropping the guard stops the sender's tasks.
    pub(in crate::mailgun) fn new(lists: Lists) -> reqwest::Result<(Webhooks, DropGuard)> {
        let stop = CancellationToken::new();
        let webhooks = Webhooks {
            rules: Arc::new(Mutex::new(Rules { target: None, delay: Duration::from_secs(1), dropped: false })),
            events: Journal::new(),
            lists,
            client: http::client()?,
            stop: stop.clone(),
        };
        Ok((webhooks, stop.drop_guard()))
    }

    pub(super) fn set_target(&self, url: &str, key: &str) {
        let target = Target { url: url.to_owned(), key: key.to_owned() };
        self.with(|rules| rules.target = Some(target));
    }

    /// The URL to which events are posted, if it is set.
    pub(in crate::mailgun) fn url(&self) -> Option<String> {
        self.target().ok().map(|target| target.url)
    }

    pub(super) fn set_delay(&self, delay: Duration) {
        self.with(|rules| rules.delay = delay);
    }

    pub(super) fn set_dropped(&self, dropped: bool) {
        self.with(|rules| rules.dropped = dropped);
    }

    /// All events so far.
    pub(in crate::mailgun) fn events(&self) -> &Journal<SentWebhook> {
        &self.events
    }

    /// Starts posting the events of an accepted mail, for each of its recipients. Does nothing if no target is set.
    pub(in crate::mailgun) fn start_events(&self, mail: &Mail) {
        if self.target().is_err() {
            return;
        }
        for to in &mail.to {
            let (webhooks, mail, recipient) = (self.clone(), mail.clone(), bare_address(to).to_owned());
            self.spawn(async move { webhooks.run_events(&mail, &recipient).await });
        }
    }

    async fn run_events(&self, mail: &Mail, recipient: &str) {
        for (place, event) in mail_events::of(recipient, self.lists.of(recipient)).iter().enumerate() {
            if place > 0 {
                tokio::time::sleep(self.with(|rules| rules.delay)).await;
            }
            if let Some(list) = event.suppression_list() {
                self.lists.add(list, recipient);
            }
            if let Ok(number) = self.record(mail.number, &event.event_data(mail, recipient)) {
                self.send(number).await;
            }
        }
    }

    fn record(&self, mail: usize, event_data: &Value) -> Result<usize, WebhookError> {
        let body = signature::signed(&self.target()?.key, event_data);
        let text = |name: &str| event_data[name].as_str().unwrap_or_default().to_owned();
        let (id, event) = (text("id"), text("event"));
        let entry = |number| SentWebhook { number, mail, id, event, body, answers: Vec::new(), settled: false };
        Ok(self.events.add(entry))
    }

    /// Posts an event for the first time. Retries run in a separate task, so that the next event does not wait for
    /// them.
    async fn send(&self, number: usize) {
        if self.is_dropped() || is_final(&self.post_recorded(number, Signing::Same).await) {
            return self.settle(number);
        }
        let webhooks = self.clone();
        self.spawn(async move { webhooks.retry(number).await });
    }

    async fn retry(&self, number: usize) {
        for pause in RETRIES {
            tokio::time::sleep(pause).await;
            if self.is_dropped() || is_final(&self.post_recorded(number, Signing::New).await) {
                break;
            }
        }
        self.settle(number);
    }

    /// Posts a recorded event once, and records the response's status.
    pub(super) async fn post_recorded(&self, number: usize, signing: Signing) -> Result<u16, WebhookError> {
        let target = self.target()?;
        let event = self.events.get(number).ok_or(WebhookError::NoSuchEvent(number))?;
        let body = match signing {
            Signing::Same => event.body,
            Signing::New => signature::signed(&target.key, event.event_data()),
        };
        self.events.update(number, |event| event.body = body.clone());
        let answer = self.post(&target, &body).await;
        self.events.update(number, |event| event.answers.push(answer.as_ref().ok().copied()));
        answer
    }

    /// Posts an event without recording it.
    pub(super) async fn post_event(&self, event_data: &Value) -> Result<u16, WebhookError> {
        let target = self.target()?;
        self.post(&target, &signature::signed(&target.key, event_data)).await
    }

    async fn post(&self, target: &Target, body: &Value) -> Result<u16, WebhookError> {
        let request = self.client.post(&target.url).timeout(TIMEOUT).json(body);
        Ok(request.send().await?.status().as_u16())
    }

    fn settle(&self, number: usize) {
        self.events.update(number, |event| event.settled = true);
    }

    fn target(&self) -> Result<Target, WebhookError> {
        self.with(|rules| rules.target.clone()).ok_or(WebhookError::NotSet)
    }

    fn is_dropped(&self) -> bool {
        self.with(|rules| rules.dropped)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(self.stop.clone().run_until_cancelled_owned(task));
    }

    fn with<R>(&self, work: impl FnOnce(&mut Rules) -> R) -> R {
        work(&mut self.rules.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether the receiver accepted the event or rejected it permanently (406).
fn is_final(answer: &Result<u16, WebhookError>) -> bool {
    matches!(answer, Ok(200..=299 | 406))
}
