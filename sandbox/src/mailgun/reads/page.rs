//! The filters, the limit and the offset of a page of events. The opaque page tokens of `events` and `logs` encode
//! them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The filters, the limit and the offset of a page. An empty filter matches all events.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct PageQuery {
    pub(super) message_id: String,
    pub(super) recipient: String,
    pub(super) events: Vec<String>,
    pub(super) limit: usize,
    pub(super) offset: usize,
}

impl PageQuery {
    pub(super) fn from_token(token: &str) -> Option<PageQuery> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token).ok()?).ok()
    }

    pub(super) fn token(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    fn fits(&self, event: &Value) -> bool {
        let is = |place: &str, wanted: &str| {
            wanted.is_empty() || event.pointer(place).and_then(Value::as_str).is_some_and(|it| it == wanted)
        };
        is("/message/headers/message-id", self.message_id.trim_matches(['<', '>']))
            && is("/recipient", &self.recipient)
            && (self.events.is_empty() || self.events.iter().any(|kind| is("/event", kind)))
    }

    /// Returns this page's events, the query for the next page, and the total number of matching events.
    pub(super) fn of(&self, events: impl IntoIterator<Item = Value>) -> (Vec<Value>, PageQuery, usize) {
        let all: Vec<Value> = events.into_iter().filter(|event| self.fits(event)).collect();
        let total = all.len();
        let items: Vec<Value> = all.into_iter().skip(self.offset).take(self.limit).collect();
        let next = PageQuery { offset: self.offset + items.len(), ..self.clone() };
        (items, next, total)
    }
}
