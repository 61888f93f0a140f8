//! Faults on demand: makes a stand-in fail as the real provider can. Tests, the mailbox page and HTTP clients add
//! faults to a queue. Each call takes the first fault in the queue that applies to it.
//!
//! Over HTTP, on each stand-in: `GET /_sandbox/faults` lists the faults, `DELETE` removes all faults, and `POST` with
//! `content-type: application/json` adds one:
//! ```json
//! {"kind": "status", "status": 500, "lasts": {"times": 3}, "to": "ada@example.com"}
//! {"kind": "status", "status": 429, "headers": {"Retry-After": "10"}, "lasts": {"seconds": 10}}
//! {"kind": "cut_after"}
//! {"kind": "delay", "millis": 500, "lasts": "always"}
//! ```
//! Kinds: `status`, `status_after`, `delay`, `hang`, `hang_after`, `cut`, `cut_after`. Without `lasts`, a fault applies
//! to one call. Without `to`, it applies to any recipient.

mod api;
mod queue;

pub(crate) use api::routes;
pub use queue::Faults;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the fault does to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// Sends this response without carrying out the request.
    Status(CannedAnswer),
    /// Carries out the request, then sends this response: for example, a 500 for an accepted mail.
    StatusAfter(CannedAnswer),
    /// Waits, then carries out the request and answers normally.
    Delay {
        /// Milliseconds.
        millis: u64,
    },
    /// Does nothing and never answers. The connection stays open until the client closes it.
    Hang,
    /// Carries out the request, but never answers.
    HangAfter,
    /// Does nothing and closes the connection without a response.
    Cut,
    /// Carries out the request, then closes the connection without a response.
    CutAfter,
}

/// The response that a fault sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CannedAnswer {
    /// 100 to 999.
    pub status: u16,
    /// The body. The default is what the provider usually sends with this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Additional headers. The response always has `content-type: application/json`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

/// How many calls a fault applies to, or for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lasts {
    /// Applies to this many calls.
    Times(u32),
    /// Applies to every call until this many seconds after the fault was added.
    Seconds(u64),
    /// Applies to every call until the fault is cleared.
    Always,
}

/// A fault in the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What happens to the call.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// How many calls the fault applies to, or for how long. The default is one call.
    #[serde(default = "once")]
    pub lasts: Lasts,
    /// The fault applies only to calls for this email address, ignoring case. The default is all addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

fn once() -> Lasts {
    Lasts::Times(1)
}

impl From<FaultKind> for Fault {
    /// A fault that applies to one call, for any recipient.
    fn from(kind: FaultKind) -> Self {
        Fault { kind, lasts: once(), to: None }
    }
}

impl Fault {
    /// A fault that answers with `status` and the provider's usual body, without carrying out the request.
    pub fn status(status: u16) -> Fault {
        FaultKind::Status(CannedAnswer::new(status)).into()
    }

    /// A fault that answers with `status` and this body, without carrying out the request.
    pub fn answer(status: u16, body: impl Into<String>) -> Fault {
        let answer = CannedAnswer { body: Some(body.into()), ..CannedAnswer::new(status) };
        FaultKind::Status(answer).into()
    }

    /// A fault that answers with `status` and the provider's usual body, after the request has been carried out.
    pub fn status_after(status: u16) -> Fault {
        FaultKind::StatusAfter(CannedAnswer::new(status)).into()
    }

    /// Adds a header to a `status` or `status_after` fault.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Fault {
        if let FaultKind::Status(answer) | FaultKind::StatusAfter(answer) = &mut self.kind {
            answer.headers.insert(name.to_owned(), value.to_owned());
        }
        self
    }

    /// Makes the fault apply to this many calls.
    #[must_use]
    pub fn times(self, times: u32) -> Fault {
        let lasts = Lasts::Times(times);
        Fault { lasts, ..self }
    }

    /// Makes the fault apply to every call until this many seconds after it was added to the queue.
    #[must_use]
    pub fn seconds(self, seconds: u64) -> Fault {
        let lasts = Lasts::Seconds(seconds);
        Fault { lasts, ..self }
    }

    /// Makes the fault apply to every call until it is cleared.
    #[must_use]
    pub fn always(self) -> Fault {
        let lasts = Lasts::Always;
        Fault { lasts, ..self }
    }

    /// Makes the fault apply only to calls for this email address.
    #[must_use]
    pub fn to(self, address: &str) -> Fault {
        let to = Some(address.to_owned());
        Fault { to, ..self }
    }
}

impl CannedAnswer {
    fn new(status: u16) -> CannedAnswer {
        CannedAnswer { status, body: None, headers: BTreeMap::new() }
    }
}
