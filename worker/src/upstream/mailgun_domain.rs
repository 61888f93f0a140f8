//! Reads how the sending domain is set up in Mailgun: its state, its DKIM records, and its webhooks. Only
//! `magic-link-worker check` uses this module. A key that may read events is not necessarily allowed to read the
//! domain's setup.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    http::UpstreamResponse,
    mailgun_events::MailgunEventsClient,
    verdict::mailgun_queries::{QueryError, classify, unreadable},
};

/// How a domain is set up (Mailgun: `GET /v4/domains/{name}`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DomainFacts {
    /// The domain's state, such as `active` or `unverified`.
    pub state: String,
    /// Whether Mailgun has disabled the domain.
    pub is_disabled: bool,
    /// The DKIM records that Mailgun requires.
    pub dkim: Vec<DkimRecord>,
}

/// A DKIM record that Mailgun requires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DkimRecord {
    /// The record's full name.
    pub name: String,
    /// The text of a TXT record, or the name that a CNAME record points to.
    pub value: String,
}

#[derive(Deserialize)]
struct DomainResponse {
    domain: Domain,
    #[serde(default)]
    sending_dns_records: Vec<DnsRecord>,
}

#[derive(Deserialize)]
struct Domain {
    #[serde(default)]
    state: String,
    #[serde(default)]
    is_disabled: bool,
}

#[derive(Deserialize)]
struct DnsRecord {
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
struct WebhooksResponse {
    webhooks: BTreeMap<String, Webhook>,
}

/// A webhook has a list of URLs, or a single URL if it was created with an old version of the API.
#[derive(Deserialize)]
struct Webhook {
    #[serde(default)]
    urls: Vec<String>,
    url: Option<String>,
}

impl MailgunEventsClient {
    /// How the domain is set up. `None` if the key may not read it.
    ///
    /// # Errors
    /// [`QueryError`] if Mailgun does not respond, responds with another error status, or sends a response that cannot
    /// be parsed.
    pub async fn domain_facts(&self) -> Result<Option<DomainFacts>, QueryError> {
        let request = self.client.get(self.url(&["v4", "domains", &self.domain])?);
        let Some(response) = readable(self.call(request).await?)? else { return Ok(None) };
        let body: DomainResponse = serde_json::from_slice(&response.body).map_err(|_| unreadable())?;
        let records = body
            .sending_dns_records
            .into_iter()
            .map(|DnsRecord { name, value }| DkimRecord { name: name.trim_end_matches('.').to_lowercase(), value });
        Ok(Some(DomainFacts {
            state: body.domain.state,
            is_disabled: body.domain.is_disabled,
            dkim: records.filter(|record| record.name.contains("._domainkey.")).collect(),
        }))
    }

    /// The URLs of the domain's webhooks by type, such as `delivered`. `None` if the key may not read them.
    ///
    /// # Errors
    /// [`QueryError`] if Mailgun does not respond, responds with another error status, or sends a response that cannot
    /// be parsed.
    pub async fn webhook_urls(&self) -> Result<Option<BTreeMap<String, Vec<String>>>, QueryError> {
        let request = self.client.get(self.url(&["v3", "domains", &self.domain, "webhooks"])?);
        let Some(response) = readable(self.call(request).await?)? else { return Ok(None) };
        let body: WebhooksResponse = serde_json::from_slice(&response.body).map_err(|_| unreadable())?;
        let urls = |webhook: Webhook| webhook.urls.into_iter().chain(webhook.url).collect();
        Ok(Some(body.webhooks.into_iter().map(|(kind, webhook)| (kind, urls(webhook))).collect()))
    }
}

/// The response, or `None` if Mailgun refuses the key. Mailgun responds with 404 if the key belongs to a role that may
/// not see domains.
fn readable(response: UpstreamResponse) -> Result<Option<UpstreamResponse>, QueryError> {
    match response.status {
        401 | 403 | 404 => Ok(None),
        _ => classify(&response).map(|()| Some(response)),
    }
}
