//! The requests of a run.

use std::time::Duration;

use reqwest::Client;
use serde_json::json;

use super::now;

/// Maximum time to wait for the api's response.
const LONGEST_ANSWER: Duration = Duration::from_secs(20);

/// A request and its response.
#[derive(Clone, Debug)]
pub struct AskedRequest {
    /// The request's id.
    pub request_id: String,
    /// The address for which the link was requested.
    pub recipient: String,
    /// When the request was sent, in Unix seconds.
    pub at: f64,
    /// When the response arrived, in Unix seconds.
    pub answered: f64,
    /// The status, or the error if no response arrived.
    pub answer: Result<u16, String>,
}

/// Posts a request for a link that leads to `page`, and waits for the response.
pub async fn ask(client: Client, api: String, recipient: String, page: usize) -> AskedRequest {
    let request_id = uuid::Uuid::now_v7().to_string();
    let body = json!({
        "email": recipient, "callback_origin": "https://example.com", "callback_next": format!("/page/{page}"),
    });
    let at = now();
    let request = client.post(api).header("x-request-id", &request_id).timeout(LONGEST_ANSWER).json(&body);
    let answer = request.send().await.map(|answer| answer.status().as_u16()).map_err(|error| format!("{error:?}"));
    AskedRequest { request_id, recipient, at, answered: now(), answer }
}
