//! Mailgun's read endpoints: events (`GET /v3/{domain}/events` and its successor `POST /v1/analytics/logs`), the
//! suppression lists, and the domain's settings. These endpoints need a separate key, because a sending key can only
//! send.

mod domain;
mod events;
mod page;

use super::{
    Mailgun, MailgunState,
    lists::SuppressionList,
    messages::{forbidden, is_authorized, message},
};
use crate::{faults::Faults, journal::TimedOut, server::Cut};
use poem::{
    EndpointExt, IntoEndpoint, Request, Response, Route, RouteMethod, handler,
    http::{Method, StatusCode, header},
    web::{Data, Json, Path},
};
use serde_json::{Value, json};
use std::sync::PoisonError;

/// A call to a read endpoint.
#[derive(Clone, Debug)]
pub struct ReadCall {
    /// The request line, such as `GET /v3/mg.example.com/events?message-id=…`.
    pub request: String,
    /// The JSON body. `Null` if the call has none.
    pub body: Value,
    /// The status that the caller received. `None` until the call is answered, or if the caller received no response.
    pub answered: Option<u16>,
}

/// The read endpoints.
impl Mailgun {
    /// The read calls so far, oldest first.
    pub fn reads(&self) -> Vec<ReadCall> {
        self.state.reads.all()
    }

    /// Waits up to 20 s until at least this many read calls have arrived, answered or not.
    ///
    /// # Errors
    /// Fewer read calls arrived in that time.
    pub async fn wait_for_reads(&self, count: usize) -> Result<Vec<ReadCall>, TimedOut> {
        self.state.reads.wait_for_count(count, "read calls", |calls| format!("{calls:#?}")).await
    }

    /// The faults of the read endpoints.
    pub fn read_faults(&self) -> &Faults {
        &self.state.read_faults
    }

    /// Makes the lists of events empty while `lags` is true. Mailgun's lists can lag by up to half an hour.
    pub fn lag(&self, lags: bool) {
        self.state.lags.store(lags, std::sync::atomic::Ordering::Relaxed);
    }

    /// Changes the state of the domain, for example to `unverified`. The initial state is `active`. The state does not
    /// affect sending.
    pub fn set_domain_state(&self, domain_state: &str) {
        domain_state.clone_into(&mut self.state.domain_state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Adds an address to a suppression list, as a bounce does, or as a user can in Mailgun's console.
    pub fn suppress(&self, list: SuppressionList, address: &str) {
        self.state.lists.add(list, address);
    }

    /// Removes an address from a suppression list, as a user can in Mailgun's console.
    pub fn unsuppress(&self, list: SuppressionList, address: &str) {
        self.state.lists.remove(list, address);
    }

    /// Whether an address is on a suppression list.
    pub fn is_suppressed(&self, list: SuppressionList, address: &str) -> bool {
        self.state.lists.has(list, address)
    }
}

pub(super) fn routes(state: &MailgunState, route: Route) -> Route {
    let with_state = |method: RouteMethod| method.data(state.clone()).into_endpoint().boxed();
    route
        .at("/v3/:domain/events", with_state(RouteMethod::new().get(list_events)))
        .at("/v3/:domain/events/:page", with_state(RouteMethod::new().get(list_page)))
        .at("/v1/analytics/logs", with_state(RouteMethod::new().post(list_logs)))
        .at("/v4/domains/:domain", with_state(RouteMethod::new().get(show_domain)))
        .at("/v3/domains/:domain/webhooks", with_state(RouteMethod::new().get(list_webhooks)))
        .at("/v3/:domain/:list/:address", with_state(RouteMethod::new().get(entry).delete(entry)))
}

#[handler]
async fn list_events(state: Data<&MailgunState>, Path(domain): Path<String>, request: &Request) -> Response {
    let query = request.uri().query().unwrap_or_default();
    answer(&state, Some(&domain), request, Value::Null, || events::first_page(&state, &base(request), &domain, query))
        .await
}

#[handler]
async fn list_page(
    state: Data<&MailgunState>,
    Path((domain, page)): Path<(String, String)>,
    request: &Request,
) -> Response {
    answer(&state, Some(&domain), request, Value::Null, || events::page(&state, &base(request), &domain, &page)).await
}

#[handler]
async fn list_logs(state: Data<&MailgunState>, request: &Request, Json(question): Json<Value>) -> Response {
    answer(&state, None, request, question.clone(), || events::logs(&state, &question)).await
}

#[handler]
async fn show_domain(state: Data<&MailgunState>, Path(domain): Path<String>, request: &Request) -> Response {
    answer(&state, Some(&domain), request, Value::Null, || domain::show(&state)).await
}

#[handler]
async fn list_webhooks(state: Data<&MailgunState>, Path(domain): Path<String>, request: &Request) -> Response {
    answer(&state, Some(&domain), request, Value::Null, || domain::webhooks(&state)).await
}

/// Returns an entry of a suppression list, or removes it. The messages are those in Mailgun's OpenAPI document and
/// manual.
#[handler]
async fn entry(
    state: Data<&MailgunState>,
    Path((domain, list, address)): Path<(String, String, String)>,
    request: &Request,
) -> Response {
    let work = || {
        let Some(list) = SuppressionList::named(&list) else { return message(StatusCode::NOT_FOUND, "Not found") };
        let found = match *request.method() {
            Method::DELETE => state.lists.remove(list, &address),
            _ => state.lists.has(list, &address),
        };
        if !found {
            let text = format!("Address not found in {} table", list.name());
            return message(StatusCode::NOT_FOUND, &text);
        }
        match *request.method() {
            Method::DELETE => json_answer(&json!({"message": "Removed from the list", "address": address})),
            _ => json_answer(&json!({"address": address, "code": "550", "error": "", "created_at": ""})),
        }
    };
    answer(&state, Some(&domain), request, Value::Null, work).await
}

/// Records a read call. Calls `work` if the key and the domain are correct and no fault prevents it.
async fn answer(
    state: &MailgunState,
    domain: Option<&str>,
    request: &Request,
    body: Value,
    work: impl FnOnce() -> Response,
) -> Response {
    let asked = format!("{} {}", request.method(), request.original_uri());
    let number = state.reads.add(|_| ReadCall { request: asked, body, answered: None });
    let checked = || {
        if !is_authorized(request.header(header::AUTHORIZATION), &state.events_key) {
            return forbidden();
        }
        match domain {
            Some(domain) if domain != state.domain => {
                message(StatusCode::NOT_FOUND, &format!("Domain not found: {domain}"))
            }
            _ => work(),
        }
    };
    let response = state.read_faults.around(&[], checked).await;
    if response.extensions().get::<Cut>().is_none() {
        let status = response.status().as_u16();
        state.reads.update(number, |call| call.answered = Some(status));
    }
    response
}

fn base(request: &Request) -> String {
    format!("http://{}", request.header(header::HOST).unwrap_or_default())
}

fn json_answer(body: &Value) -> Response {
    Response::builder().content_type("application/json").body(body.to_string())
}
