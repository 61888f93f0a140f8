//! Asks Mailgun what became of a mail, and whether an address is on one of its lists. With a key of its own, since a
//! sending key may only send.

use std::{num::NonZeroU32, time::Duration};

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use outbox::SuppressionReason;
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::{
    http::{self, UpstreamResponse},
    verdict::mailgun_reads::{QueryError, judge, judge_silence, unreadable},
};
use crate::settings::{EventsApi, MailgunSettings};

/// Questions a second: Mailgun's narrowest documented limit of such calls is 300 a minute.
const QUESTIONS: NonZeroU32 = NonZeroU32::new(5).expect("five is not zero");
/// Pages of one mail's events: each has up to 100, and a mail has a dozen.
const MOST_PAGES: usize = 10;
/// Before its job's end a mail may have been taken so long ago.
const LONGEST_JOB: TimeDelta = TimeDelta::days(2);

/// A client of one sending domain.
pub struct MailgunEventsClient {
    client: Client,
    base: Url,
    /// The sending domain.
    pub domain: String,
    key: SecretString,
    api: EventsApi,
    pacer: DefaultDirectRateLimiter,
}

impl MailgunEventsClient {
    /// A client, if there is a key for it; calls nothing yet.
    ///
    /// # Errors
    /// The settings make no client.
    pub fn new(settings: &MailgunSettings, timeout: Duration) -> anyhow::Result<Option<Self>> {
        let Some(key) = settings.events_key.clone() else { return Ok(None) };
        Ok(Some(Self {
            client: http::client(&settings.url, timeout).context("MAILGUN_BASE_URL")?,
            base: settings.url.clone(),
            domain: settings.domain.clone(),
            key,
            api: settings.events_api,
            pacer: RateLimiter::direct(Quota::per_second(QUESTIONS)),
        }))
    }

    /// All events of a mail, as Mailgun words them. Nothing, where it has no trace of the mail or not yet: official
    /// advice trusts only what is older than half an hour.
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn events_of(&self, message_id: &str, job_ended: DateTime<Utc>) -> Result<Vec<Value>, QueryError> {
        let id = message_id.trim_start_matches('<').trim_end_matches('>');
        let mut events = Vec::new();
        let mut place = None;
        for _ in 0..MOST_PAGES {
            let mut page = match self.api {
                EventsApi::Events => self.page_of_events(id, place).await?,
                EventsApi::Logs => self.page_of_logs(id, job_ended, place).await?,
            };
            if page.items.is_empty() {
                break;
            }
            events.append(&mut page.items);
            place = page.next;
            if place.is_none() {
                break;
            }
        }
        Ok(events)
    }

    /// `GET /v3/{domain}/events`, or the page behind one of it: there is one until it is empty.
    async fn page_of_events(&self, message_id: &str, page: Option<String>) -> Result<EventsPage, QueryError> {
        let request = match page {
            None => {
                let filter = [("message-id", message_id), ("limit", "100")];
                self.client.get(self.url(&["v3", &self.domain, "events"])?).query(&filter)
            }
            Some(page) => self.client.get(self.ours(&page).ok_or_else(unreadable)?),
        };
        let answer = self.ask_and_judge(request).await?;
        EventsPage::read(&answer, "/paging/next")
    }

    /// `POST /v1/analytics/logs`. Its document names no attributes to filter by; Mailgun's own client filters by this one.
    async fn page_of_logs(
        &self,
        message_id: &str,
        job_ended: DateTime<Utc>,
        token: Option<String>,
    ) -> Result<EventsPage, QueryError> {
        let equals = |attribute: &str, value: &str| json!({"attribute": attribute, "comparator": "=", "values": [{"label": value, "value": value}]});
        let question = json!({
            "start": (job_ended - LONGEST_JOB).to_rfc2822(),
            "end": Utc::now().to_rfc2822(),
            "filter": {"AND": [equals("domain", &self.domain), equals("message-id", message_id)]},
            "pagination": {"limit": 100, "token": token.unwrap_or_default()},
        });
        let request = self.client.post(self.url(&["v1", "analytics", "logs"])?).json(&question);
        let answer = self.ask_and_judge(request).await?;
        EventsPage::read(&answer, "/pagination/next")
    }

    /// Whether an address is on the list that made us leave it alone.
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn is_listed(&self, address: &str, reason: SuppressionReason) -> Result<bool, QueryError> {
        let list = match reason {
            SuppressionReason::Bounce | SuppressionReason::ListedBounce => "bounces",
            SuppressionReason::Complaint | SuppressionReason::ListedComplaint => "complaints",
            SuppressionReason::ListedUnsubscribe => "unsubscribes",
        };
        let answer = self.ask(self.client.get(self.url(&["v3", &self.domain, list, address])?)).await?;
        if is_not_on_the_list(&answer) { Ok(false) } else { judge(&answer).map(|()| true) }
    }

    /// Takes an address off all lists.
    ///
    /// # Errors
    /// [`QueryError`]: it may be off some of them.
    pub async fn unlist(&self, address: &str) -> Result<(), QueryError> {
        for list in ["bounces", "complaints", "unsubscribes"] {
            let answer = self.ask(self.client.delete(self.url(&["v3", &self.domain, list, address])?)).await?;
            if !is_not_on_the_list(&answer) {
                judge(&answer)?;
            }
        }
        Ok(())
    }

    async fn ask_and_judge(&self, request: RequestBuilder) -> Result<UpstreamResponse, QueryError> {
        let answer = self.ask(request).await?;
        judge(&answer).map(|()| answer)
    }

    async fn ask(&self, request: RequestBuilder) -> Result<UpstreamResponse, QueryError> {
        self.pacer.until_ready().await;
        let request = request.basic_auth("api", Some(self.key.expose_secret()));
        http::call(request).await.map_err(|silence| judge_silence(&silence))
    }

    /// Its parts are encoded: an address may hold a slash.
    fn url(&self, parts: &[&str]) -> Result<Url, QueryError> {
        let mut url = self.base.clone();
        url.path_segments_mut().map_err(|()| unreadable())?.pop_if_empty().extend(parts);
        Ok(url)
    }

    /// A page's address, if it is the same server's: the key goes to no other.
    fn ours(&self, page: &str) -> Option<Url> {
        Url::parse(page).ok().filter(|page| page.origin() == self.base.origin())
    }
}

/// 404 with Mailgun's words; any other 404 is a wrong domain or region.
fn is_not_on_the_list(answer: &UpstreamResponse) -> bool {
    answer.status == 404 && String::from_utf8_lossy(&answer.body).to_lowercase().contains("address not found")
}

struct EventsPage {
    items: Vec<Value>,
    next: Option<String>,
}

impl EventsPage {
    fn read(answer: &UpstreamResponse, next: &str) -> Result<Self, QueryError> {
        let mut body: Value = serde_json::from_slice(&answer.body).map_err(|_| unreadable())?;
        let next = body.pointer(next).and_then(Value::as_str).filter(|next| !next.is_empty()).map(str::to_owned);
        match body.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => Ok(Self { items, next }),
            _ => Err(unreadable()),
        }
    }
}
