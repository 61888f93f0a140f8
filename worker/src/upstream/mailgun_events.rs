//! Queries the events for a mail and Mailgun's suppression lists, and removes addresses from these lists. Needs a
//! separate key, `MAILGUN_EVENTS_KEY`, because a sending key only allows sending.

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
    verdict::mailgun_queries::{QueryError, classify, classify_call_error, unreadable},
};
use crate::settings::{EventsApi, MailgunClientSettings};

/// Maximum queries per second. Mailgun's lowest documented limit for these calls is 300 per minute.
const QUERIES_PER_SECOND: NonZeroU32 = NonZeroU32::new(5).expect("five is not zero");
/// Maximum number of pages to read for one mail. A page contains up to 100 events, and a mail has about a dozen events.
const MAX_PAGES: usize = 10;
/// Maximum time between the moment when Mailgun accepts a mail and the end of the mail's job.
const MAX_JOB_DURATION: TimeDelta = TimeDelta::days(2);

/// A client that queries the events and suppression lists of one sending domain.
pub struct MailgunEventsClient {
    pub(super) client: Client,
    base_url: Url,
    /// The sending domain.
    pub domain: String,
    key: SecretString,
    api: EventsApi,
    rate_limiter: DefaultDirectRateLimiter,
}

impl MailgunEventsClient {
    /// Creates a client, or `None` if `MAILGUN_EVENTS_KEY` is not set. Makes no call. `timeout` limits each call.
    ///
    /// # Errors
    /// The HTTP client cannot be created.
    pub fn new(settings: &MailgunClientSettings, timeout: Duration) -> anyhow::Result<Option<Self>> {
        settings.events_key.clone().map(|key| Self::with_key(settings, key, timeout)).transpose()
    }

    /// Creates a client that uses `key` instead of `MAILGUN_EVENTS_KEY`. Makes no call. `timeout` limits each call.
    ///
    /// # Errors
    /// The HTTP client cannot be created.
    pub fn with_key(settings: &MailgunClientSettings, key: SecretString, timeout: Duration) -> anyhow::Result<Self> {
        Ok(Self {
            client: http::client(&settings.url, &settings.connection, timeout).context("MAILGUN_BASE_URL")?,
            base_url: settings.url.clone(),
            domain: settings.domain.clone(),
            key,
            api: settings.events_api,
            rate_limiter: RateLimiter::direct(Quota::per_second(QUERIES_PER_SECOND)),
        })
    }

    /// The events for a mail, in Mailgun's own JSON; at most ten pages are read. Empty if Mailgun has no events for the
    /// mail, or has none yet: Mailgun's manual advises polling only for events that are older than half an hour.
    ///
    /// # Errors
    /// [`QueryError`] if a page cannot be read.
    pub async fn events_for(&self, message_id: &str, job_ended_at: DateTime<Utc>) -> Result<Vec<Value>, QueryError> {
        let id = message_id.trim_start_matches('<').trim_end_matches('>');
        let mut events = Vec::new();
        let mut next = None;
        for _ in 0..MAX_PAGES {
            let mut page = match self.api {
                EventsApi::Events => self.events_page(id, next).await?,
                EventsApi::Logs => self.logs_page(id, job_ended_at, next).await?,
            };
            if page.items.is_empty() {
                break;
            }
            events.append(&mut page.items);
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        Ok(events)
    }

    /// Checks that the key may read events, with a query that matches no events.
    ///
    /// # Errors
    /// [`QueryError`] if the query fails.
    pub async fn check(&self) -> Result<(), QueryError> {
        const NO_MAIL: &str = "no-mail-check";
        let page = match self.api {
            EventsApi::Events => self.events_page(NO_MAIL, None).await,
            EventsApi::Logs => self.logs_page(NO_MAIL, Utc::now(), None).await,
        };
        page.map(drop)
    }

    /// `GET /v3/{domain}/events`, or the page at the URL `next`. Every page contains the URL of the next page. An empty
    /// page marks the end.
    async fn events_page(&self, message_id: &str, next: Option<String>) -> Result<EventsPage, QueryError> {
        let request = match next {
            None => {
                let filter = [("message-id", message_id), ("limit", "100")];
                self.client.get(self.url(&["v3", &self.domain, "events"])?).query(&filter)
            }
            Some(next) => self.client.get(self.same_origin(&next).ok_or_else(unreadable)?),
        };
        let response = self.query(request).await?;
        EventsPage::read(&response, "/paging/next")
    }

    /// `POST /v1/analytics/logs`. The documentation does not list the filter attributes; Mailgun's own client filters
    /// by `message-id`.
    async fn logs_page(
        &self,
        message_id: &str,
        job_ended_at: DateTime<Utc>,
        token: Option<String>,
    ) -> Result<EventsPage, QueryError> {
        let equals = |attribute: &str, value: &str| json!({"attribute": attribute, "comparator": "=", "values": [{"label": value, "value": value}]});
        let query = json!({
            "start": (job_ended_at - MAX_JOB_DURATION).to_rfc2822(),
            "end": Utc::now().to_rfc2822(),
            "filter": {"AND": [equals("domain", &self.domain), equals("message-id", message_id)]},
            "pagination": {"limit": 100, "token": token.unwrap_or_default()},
        });
        let request = self.client.post(self.url(&["v1", "analytics", "logs"])?).json(&query);
        let response = self.query(request).await?;
        EventsPage::read(&response, "/pagination/next")
    }

    /// Whether an address is on the Mailgun list that matches the reason for its suppression.
    ///
    /// # Errors
    /// [`QueryError`] if the list cannot be read.
    pub async fn is_listed(&self, address: &str, reason: SuppressionReason) -> Result<bool, QueryError> {
        let list = match reason {
            SuppressionReason::Bounce | SuppressionReason::ListedBounce => "bounces",
            SuppressionReason::Complaint | SuppressionReason::ListedComplaint => "complaints",
            SuppressionReason::ListedUnsubscribe => "unsubscribes",
        };
        let response = self.call(self.client.get(self.url(&["v3", &self.domain, list, address])?)).await?;
        if is_address_not_found(&response) { Ok(false) } else { classify(&response).map(|()| true) }
    }

    /// Removes an address from Mailgun's lists of bounces, complaints and unsubscribes.
    ///
    /// # Errors
    /// [`QueryError`] if a call fails. The address may have been removed from some of the lists.
    pub async fn remove_from_lists(&self, address: &str) -> Result<(), QueryError> {
        for list in ["bounces", "complaints", "unsubscribes"] {
            let response = self.call(self.client.delete(self.url(&["v3", &self.domain, list, address])?)).await?;
            if !is_address_not_found(&response) {
                classify(&response)?;
            }
        }
        Ok(())
    }

    async fn query(&self, request: RequestBuilder) -> Result<UpstreamResponse, QueryError> {
        let response = self.call(request).await?;
        classify(&response).map(|()| response)
    }

    pub(super) async fn call(&self, request: RequestBuilder) -> Result<UpstreamResponse, QueryError> {
        self.rate_limiter.until_ready().await;
        let request = request.basic_auth("api", Some(self.key.expose_secret()));
        http::call(request).await.map_err(|error| classify_call_error(&error))
    }

    /// Joins path segments to the base URL. The segments are percent-encoded, because an address may contain a slash.
    pub(super) fn url(&self, segments: &[&str]) -> Result<Url, QueryError> {
        let mut url = self.base_url.clone();
        url.path_segments_mut().map_err(|()| unreadable())?.pop_if_empty().extend(segments);
        Ok(url)
    }

    /// The URL of a page. `None` if its origin is not that of the base URL, because the key must not be sent to another
    /// server.
    fn same_origin(&self, page: &str) -> Option<Url> {
        Url::parse(page).ok().filter(|page| page.origin() == self.base_url.origin())
    }
}

/// Whether the response reports that the address is not on the list. A 404 with another message means a wrong domain or
/// region.
fn is_address_not_found(response: &UpstreamResponse) -> bool {
    response.status == 404 && String::from_utf8_lossy(&response.body).to_lowercase().contains("address not found")
}

struct EventsPage {
    items: Vec<Value>,
    /// The URL or token of the next page.
    next: Option<String>,
}

impl EventsPage {
    fn read(response: &UpstreamResponse, next_pointer: &str) -> Result<Self, QueryError> {
        let mut body: Value = serde_json::from_slice(&response.body).map_err(|_| unreadable())?;
        let next =
            body.pointer(next_pointer).and_then(Value::as_str).filter(|next| !next.is_empty()).map(str::to_owned);
        match body.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => Ok(Self { items, next }),
            _ => Err(unreadable()),
        }
    }
}
